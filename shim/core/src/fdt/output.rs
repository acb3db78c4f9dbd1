//! A buffer that counts on past its end: one check when all is written is smaller than one behind each field.

use crate::bytes::put;

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
        let end = self.len.wrapping_add(bytes.len());
        // `copy_from_slice` has a panicking path when the lengths are not known to be equal.
        let to = self.buffer.get_mut(self.len..end).unwrap_or(&mut []);
        to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
        self.len = end;
    }

    pub(super) fn be32(&mut self, value: usize) {
        let at = self.len;
        self.len = at.wrapping_add(4);
        self.patch(at, value);
    }

    /// Writes a word at that place.
    #[inline(never)]
    pub(super) fn patch(&mut self, at: usize, value: usize) {
        put(self.buffer.get_mut(at..).unwrap_or(&mut []), value as u32, true);
    }

    /// Zeros up to the next multiple of `align`, a power of two up to 8.
    pub(super) fn align(&mut self, align: usize) {
        let missing = self.len.wrapping_neg() & align.wrapping_sub(1);
        self.bytes([0; 8].get(..missing).unwrap_or(&[]));
    }
}
