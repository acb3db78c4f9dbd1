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
        let end = self.len.wrapping_add(bytes.len());
        let room = self.buffer.get_mut(self.len..).unwrap_or(&mut []);
        if let Some((to, _)) = room.split_at_mut_checked(bytes.len()) {
            // By words. `copy_from_slice` has a panicking path, which stays where it is not inlined.
            let ((words, rest), (from, from_rest)) = (to.as_chunks_mut::<4>(), bytes.as_chunks::<4>());
            words.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
        }
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
        if let Some(word) = self.buffer.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *word = (value as u32).to_be_bytes();
        }
    }

    /// Zeros up to the next multiple of `align`, a power of two up to 8.
    pub(super) fn align(&mut self, align: usize) {
        let missing = self.len.wrapping_neg() & align.wrapping_sub(1);
        self.bytes([0; 8].get(..missing).unwrap_or(&[]));
    }
}
