//! Rubbish: what RAM, registers and caches hold before anybody writes to them.

use super::cache::LINE;

/// Numbers without a pattern.
#[derive(Clone, Debug)]
pub struct Noise(u64);

impl Noise {
    /// Other numbers for another seed.
    pub fn new(seed: u32) -> Noise {
        Noise(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A cache line of them.
    pub fn line(&mut self) -> [u8; LINE] {
        let mut line = [0; LINE];
        for word in line.as_chunks_mut::<8>().0 {
            *word = self.draw().to_le_bytes();
        }
        line
    }
}
