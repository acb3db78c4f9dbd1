//! CRC-32 as in zlib, PNG and U-Boot's `crc32`: the `crc` crate's CRC_32_ISO_HDLC, with our own loop.
//!
//! The table is built in RAM at start: flash is dearer than 13 thousand instructions. The crate's own implementations
//! cost 1.1 KiB with the same speed, or 40 instructions a byte (docs/decisions.md); the tests hold ours against them.

use crc::CRC_32_ISO_HDLC;

use crate::watchdog::EVERY;

/// The table of remainders, 1 KiB.
pub struct Crc32([u32; 256]);

impl Crc32 {
    /// Computes the table.
    #[allow(clippy::new_without_default, reason = "1 KiB by value: the caller chooses where it lives")]
    pub fn new() -> Self {
        let mut crc = Self::BLANK;
        crc.fill();
        crc
    }

    /// No table yet.
    pub const BLANK: Self = Crc32([0; 256]);

    /// Computes the table where it is: on the board a copy of 1 KiB costs more than it looks.
    pub fn fill(&mut self) {
        let polynomial = CRC_32_ISO_HDLC.poly.reverse_bits();
        let mut index = 0u32;
        for entry in &mut self.0 {
            let mut remainder = index;
            for _ in 0..8 {
                remainder = remainder >> 1 ^ if remainder & 1 != 0 { polynomial } else { 0 };
            }
            *entry = remainder;
            index = index.wrapping_add(1);
        }
    }

    /// Of `bytes`, in one go.
    pub fn of(&self, bytes: &[u8]) -> u32 {
        self.more(CRC_32_ISO_HDLC.init, bytes) ^ CRC_32_ISO_HDLC.xorout
    }

    /// The same; `feed` is called for every [`EVERY`] bytes.
    pub fn of_fed(&self, bytes: &[u8], feed: &impl Fn()) -> u32 {
        let mut remainder = CRC_32_ISO_HDLC.init;
        for part in bytes.chunks(EVERY) {
            feed();
            remainder = self.more(remainder, part);
        }
        remainder ^ CRC_32_ISO_HDLC.xorout
    }

    /// The remainder once `bytes` follow what gave `remainder`.
    #[inline(never)]
    fn more(&self, mut remainder: u32, bytes: &[u8]) -> u32 {
        for byte in bytes {
            let index = usize::from(*byte ^ remainder as u8);
            // Always inside: 256 entries, 8 bits.
            let entry = self.0.get(index).copied().unwrap_or(0);
            remainder = remainder >> 8 ^ entry;
        }
        remainder
    }
}
