//! What the first instructions of a MIPS kernel say: its byte order, where execution really begins, which bss it clears.
//!
//! A flat binary has no headers, but `kernel_entry` (arch/mips/kernel/head.S) and `start` of a vmlinuz
//! (arch/mips/boot/compressed/head.S) load these addresses as constants within their first few dozen instructions.

use std::ops::Range;

use crate::machine::physical;

/// Bytes at a physical address, and how to read them.
#[derive(Clone, Copy)]
pub(super) struct Code<'a> {
    pub(super) bytes: &'a [u8],
    /// Physical address of the first byte.
    pub(super) base: u64,
    pub(super) big_endian: bool,
}

/// What `start` of a vmlinuz says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Zboot {
    /// Behind the heap and stack: physical `_end`.
    pub(super) end: u64,
    /// Physical address that it jumps to when the kernel is decompressed.
    pub(super) entry: u64,
}

/// How many instructions of straight code are read; the real ones need 20 to 60.
const STEPS: usize = 256;
/// CONFIG_NO_EXCEPT_FILL=n fills 0x400 bytes in front of the jump to `kernel_entry`.
const FILL: u64 = 0x1000;

const NOP: u32 = 0;

/// The front of a vmlinuz is code, the rest compressed data, in which either byte order finds as much.
const FRONT: usize = 0x4000;

/// Big-endian or not, by which reading has far more `addiu sp,sp,…` and `jr ra`; `None` when neither has.
pub fn big_endian(bytes: &[u8]) -> Option<bool> {
    let decide = |bytes: &[u8]| {
        let count = |read: fn([u8; 4]) -> u32| {
            let words = bytes.chunks_exact(4).map(|word| read([word[0], word[1], word[2], word[3]]));
            words.filter(|word| word >> 16 == 0x27bd || *word == 0x03e0_0008).count()
        };
        let (big, little) = (count(u32::from_be_bytes), count(u32::from_le_bytes));
        match big.max(little) {
            most if most < 4 => None,
            _ if big >= 4 * little => Some(true),
            _ if little >= 4 * big => Some(false),
            _ => None,
        }
    };
    decide(&bytes[..bytes.len().min(FRONT)]).or_else(|| decide(bytes))
}

impl Code<'_> {
    fn word(&self, at: u64) -> Option<u32> {
        let at = usize::try_from(at.checked_sub(self.base)?).ok()?;
        match self.big_endian {
            true => crate::format::bytes::be32(self.bytes, at),
            false => crate::format::bytes::le32(self.bytes, at),
        }
    }

    /// Follows the fill and the jump that CONFIG_BOOT_RAW puts at the load address; `at` when there is neither.
    pub(super) fn real_entry(&self, at: u64) -> Option<u64> {
        let mut pc = at;
        while self.word(pc)? == NOP && pc < at + FILL {
            pc += 4;
        }
        let word = self.word(pc)?;
        match word >> 26 {
            0x02 => {
                let target = physical((0x8000_0000 | pc) & 0xf000_0000 | u64::from(word & 0x03ff_ffff) << 2)?;
                self.word(target).map(|_| target)
            }
            _ => Some(pc),
        }
    }

    /// The physical range that `kernel_entry` at `entry` clears: `__bss_start..__bss_stop`.
    pub(super) fn bss(&self, entry: u64) -> Option<Range<u64>> {
        let walk = self.walk(self.real_entry(entry)?)?;
        // The loop stores behind its increment, so its limit is the last word.
        let range = physical(walk.cleared_from.into())?..physical(walk.cleared_to.into())? + 4;
        (range.start < range.end).then_some(range)
    }

    /// What `start` at `entry` says, when it is the start of a vmlinuz.
    pub(super) fn zboot(&self, entry: u64) -> Option<Zboot> {
        // It saves a0..a3 in s0..s3 first, as `or` or as `addu`.
        for register in 0..4u32 {
            let word = self.word(entry + 4 * u64::from(register))?;
            let saved = (4 + register) << 21 | (16 + register) << 11;
            if word != saved | 0x25 && word != saved | 0x21 {
                return None;
            }
        }
        let walk = self.walk(entry)?;
        Some(Zboot { end: physical(walk.cleared_to.into())?, entry: physical((*walk.calls.get(1)?).into())? })
    }

    /// Reads straight code with its constants up to the first backward `bne` behind a store of zero, and the calls behind it.
    fn walk(&self, entry: u64) -> Option<Walk> {
        let mut registers = [None; 32];
        registers[0] = Some(0u32);
        let (mut cleared_from, mut cleared_to) = (None, None);
        let mut calls = Vec::new();
        for step in 0..STEPS as u64 {
            let Some(word) = self.word(entry + 4 * step) else { break };
            let (rs, rt, rd) = (word as usize >> 21 & 31, word as usize >> 16 & 31, word as usize >> 11 & 31);
            let immediate = word & 0xffff;
            let signed = immediate as u16 as i16 as i32 as u32;
            match word >> 26 {
                0x0f => registers[rt] = Some(immediate << 16),
                0x09 => registers[rt] = registers[rs].map(|value: u32| value.wrapping_add(signed)),
                0x0d => registers[rt] = registers[rs].map(|value| value | immediate),
                // sw zero, offset(rs)
                0x2b if rt == 0 && cleared_from.is_none() => {
                    cleared_from = registers[rs].map(|value| value.wrapping_add(signed));
                }
                // bne rs, rt, backwards
                0x05 if signed >> 31 == 1 && cleared_to.is_none() => {
                    let from = cleared_from?;
                    // One side counts up from the start, the other is the limit.
                    let limit = [registers[rs]?, registers[rt]?].into_iter().max()?;
                    cleared_to = (limit > from).then_some(limit);
                    cleared_to?;
                }
                // jalr, and jr behind the loop
                0x00 if word & 0x3f == 0x09 || (word & 0x3f == 0x08 && cleared_to.is_some()) => {
                    calls.extend(registers[rs]);
                }
                0x00 if word & 0x3f != 0x08 => registers[rd] = None,
                // What else writes rt: immediate arithmetic, loads, moves from coprocessor 0.
                0x08..=0x0e | 0x20..=0x26 => registers[rt] = None,
                0x10 if rs == 0 => registers[rt] = None,
                _ => {}
            }
            registers[0] = Some(0);
        }
        Some(Walk { cleared_from: cleared_from?, cleared_to: cleared_to?, calls })
    }
}

struct Walk {
    cleared_from: u32,
    cleared_to: u32,
    calls: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::super::testing::{kernel_entry, words, zboot_start};
    use super::*;

    fn code(bytes: &[u8], big_endian: bool) -> Code<'_> {
        Code { bytes, base: 0x10_0000, big_endian }
    }

    #[test]
    fn kernel_entry_tells_its_bss_in_both_byte_orders() {
        for big_endian in [false, true] {
            let bytes = words(&kernel_entry(0x8045_0000, 0x8047_d4b0), big_endian);
            assert_eq!(code(&bytes, big_endian).bss(0x10_0000), Some(0x45_0000..0x47_d4b0));
        }
    }

    #[test]
    fn the_jump_at_the_load_address_is_followed_over_the_fill() {
        let mut program = vec![0; 0x100];
        // j 0x80100480
        program.extend([0x0804_0120, 0]);
        program.resize(0x120, 0);
        program.extend(kernel_entry(0x8045_0000, 0x8047_d4b0));
        let bytes = words(&program, true);
        assert_eq!(code(&bytes, true).real_entry(0x10_0000), Some(0x10_0480));
        assert_eq!(code(&bytes, true).bss(0x10_0000), Some(0x45_0000..0x47_d4b0));
    }

    #[test]
    fn the_start_of_a_vmlinuz_tells_its_end_and_the_kernels_entry() {
        let bytes = words(&zboot_start(0x816a_b770, 0x81aa_db80, 0x80b1_74bc), false);
        assert_eq!(code(&bytes, false).zboot(0x10_0000), Some(Zboot { end: 0x1aa_db80, entry: 0xb1_74bc }));
        assert_eq!(code(&words(&kernel_entry(0x8045_0000, 0x8047_d4b0), false), false).zboot(0x10_0000), None);
    }

    #[test]
    fn other_code_tells_nothing_and_does_not_panic() {
        for bytes in [&[][..], &[0; 4096], &[0xff; 4096], &[0x27, 0xbd]] {
            assert_eq!(code(bytes, true).bss(0x10_0000), None);
            assert_eq!(code(bytes, true).zboot(0x10_0000), None);
        }
    }

    #[test]
    fn the_byte_order_of_code_is_seen_and_that_of_noise_is_not() {
        let program = [0x27bd_ffe0, 0x03e0_0008, 0x27bd_0020, 0x27bd_ffe8, 0x03e0_0008];
        assert_eq!(big_endian(&words(&program, true)), Some(true));
        assert_eq!(big_endian(&words(&program, false)), Some(false));
        assert_eq!(big_endian(&[0x55; 4096]), None);
        let mut code_before_noise = words(&program, true);
        code_before_noise.resize(FRONT, 0);
        code_before_noise.extend(words(&[0x27bd_0000; 1000], false));
        assert_eq!(big_endian(&code_before_noise), Some(true));
    }
}
