//! A buffer that counts on past its end: one check when all is written is smaller than one behind each field.

pub(super) struct Output<'o> {
    buffer: &'o mut [u8],
    /// Where the next byte belongs.
    pub(super) len: usize,
}

impl<'o> Output<'o> {
    /// Starts at the front of `buffer`.
    pub(super) fn new(buffer: &'o mut [u8]) -> Self {
        Output { buffer, len: 0 }
    }

    #[inline(never)]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let to = self.buffer.get_mut(self.len..).and_then(|rest| rest.get_mut(..bytes.len()));
        for (to, from) in to.into_iter().flatten().zip(bytes) {
            *to = *from;
        }
        self.len = self.len.saturating_add(bytes.len());
    }

    #[inline(never)]
    pub(super) fn be32(&mut self, value: u32) {
        self.bytes(&value.to_be_bytes());
    }

    /// Writes the word of that number again.
    #[inline(never)]
    pub(super) fn patch(&mut self, word: usize, value: usize) {
        let len = self.len;
        self.len = word.wrapping_mul(4);
        self.be32(value as u32);
        self.len = len;
    }

    /// Zeros up to the next multiple of `align`, a power of two up to 8.
    #[inline(never)]
    pub(super) fn align(&mut self, align: usize) {
        let missing = self.len.wrapping_neg() & align.wrapping_sub(1);
        self.bytes([0; 8].get(..missing).unwrap_or(&[]));
    }
}
