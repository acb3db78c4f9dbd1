//! CRC-32 as in zlib, PNG and U-Boot's `crc32`: the `crc` crate's CRC_32_ISO_HDLC, with our own loop.
//!
//! The table is built in RAM at start: flash is dearer than three thousand instructions. The crate's own implementations
//! cost 1.1 KiB with the same speed, or 40 instructions a byte (docs/decisions.md); the tests hold ours against them.
//!
//! Words are taken as they are loaded, so the remainder is kept with its bytes in the machine's order. It is kept rotated as
//! well: the byte that chooses the table's next entry is always in bits 2 to 9, already multiplied by the entry's size.

use crc::CRC_32_ISO_HDLC;

use crate::watchdog::EVERY;

const BIG_ENDIAN: bool = u32::from_ne_bytes([0, 0, 0, 1]) == 1;
/// The remainder is rotated left by this, and what is added to it as well.
const ROTATION: u32 = if BIG_ENDIAN { 10 } else { 2 };
/// Where the byte is that chooses an entry.
const INDEX: u32 = 2;
/// A byte is done: rotated right by this, the next one is in its place.
const NEXT: u32 = if BIG_ENDIAN { 24 } else { 8 };

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
        let (mut remainder, mut bit) = (1u32, 0x80u32);
        // An entry is the sum (XOR) of those of its index's bits, so only these eight are computed.
        while bit != 0 {
            remainder = remainder >> 1 ^ if remainder & 1 != 0 { polynomial } else { 0 };
            // A shift would drop the byte that chose the entry. The rotation does not, so the entry takes it away.
            let entry = remainder.to_le().rotate_left(ROTATION) ^ (bit << INDEX).rotate_right(NEXT);
            let mut index = 0;
            while index < 0x100 {
                self.0[((index | bit) & 0xff) as usize] = self.0[(index & 0xff) as usize] ^ entry;
                index = index.wrapping_add(bit << 1);
            }
            bit >>= 1;
        }
    }

    /// Of `bytes`, in one go.
    pub fn of(&self, bytes: &[u8]) -> u32 {
        self.of_fed(bytes, &|| ())
    }

    /// The same; `feed` is called for every [`EVERY`] bytes.
    pub fn of_fed(&self, bytes: &[u8], feed: &impl Fn()) -> u32 {
        // Rotated it is the same, all ones.
        let mut remainder = CRC_32_ISO_HDLC.init;
        for part in bytes.chunks(EVERY) {
            feed();
            remainder = self.more(remainder, part);
        }
        remainder.rotate_right(ROTATION).to_le() ^ CRC_32_ISO_HDLC.xorout
    }

    /// The remainder once `bytes` follow what gave `remainder`: by four words at a time where they are aligned.
    #[inline(never)]
    fn more(&self, remainder: u32, bytes: &[u8]) -> u32 {
        let (head, words, tail) = bytemuck::pod_align_to::<u8, [u32; 4]>(bytes);
        let mut remainder = self.by_bytes(remainder, head);
        let mut words = words.iter();
        // The test is behind the body: in front of it, it would take two instructions more.
        if let Some(mut four) = words.next() {
            loop {
                let [a, b, c, d] = *four;
                remainder = self.word(remainder, a);
                remainder = self.word(remainder, b);
                remainder = self.word(remainder, c);
                remainder = self.word(remainder, d);
                let Some(next) = words.next() else { break };
                four = next;
            }
        }
        self.by_bytes(remainder, tail)
    }

    /// Four bytes, as they are loaded.
    #[inline(always)]
    fn word(&self, remainder: u32, word: u32) -> u32 {
        let two = self.step(self.step(remainder ^ word.rotate_left(ROTATION)));
        self.step(self.step(two))
    }

    #[inline(never)]
    fn by_bytes(&self, mut remainder: u32, bytes: &[u8]) -> u32 {
        for byte in bytes {
            remainder = self.step(remainder ^ u32::from(*byte) << INDEX);
        }
        remainder
    }

    /// One byte, which has been added.
    #[inline(always)]
    fn step(&self, remainder: u32) -> u32 {
        // Always inside: 256 entries, 8 bits.
        remainder.rotate_right(NEXT) ^ self.0[(remainder >> INDEX & 0xff) as usize]
    }
}
