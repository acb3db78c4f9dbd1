//! What is random about a boot.

/// Numbers that are the same in every run: xorshift64* (Vigna).
pub(crate) struct Random(u64);

impl Random {
    /// From a seed, any but 0.
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed | 1)
    }

    /// Any 32 bits.
    pub(crate) fn next(&mut self) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    /// Below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }
}
