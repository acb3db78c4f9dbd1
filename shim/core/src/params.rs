//! The params block: what one board needs of the shim. The host tool writes it behind the shim; the shim reads it back.
//!
//! 32-bit words in the byte order of the machine; addresses and sizes take two, the high one first.
//!
//! | word | field |
//! |---|---|
//! | 0 | magic `STPP` |
//! | 1 | version (16 bits), length of the block in bytes with its CRC (16 bits) |
//! | 2, 4 | RAM: start, size |
//! | 6, 8 | memory-mapped flash: start, size (size 0: none) |
//! | 10 | UART registers |
//! | 12 | UART kind, register shift, access width in bytes, cookie rule (a byte each, high one first) |
//! | 13 | policy, number of slots, what is done about the watchdog ([`Care`]), a byte each from the high end |
//! | 14, 16 | reset register, value to write |
//! | 17, 18, 20 | LED bit mask (0: no LED), set register, clear register |
//! | 22 | where the cookie ends (16 bits), where the kept keys end (16 bits): bytes from the front of the block |
//! | 23 | writes to the watchdog, a byte each from the second: how many there are at the beginning; with those to feed; with those before a return |
//! | 24… | four slots, three words each: name, flags (bit 16: relative to the image), address |
//! | 36… | so many writes to the watchdog, three words each: register, bits to keep, bits to flip |
//! | behind them | bytes: cookie; kept keys, each ending with NUL; zeros up to a word; CRC-32 of all before it |

use crate::block;
use crate::bytes::{put, wide};
use crate::crc32::Crc32;
use crate::watchdog::{Care, MAX_WRITES, Moment, Write};
use crate::{Code, Error, Region, Result, Subject};

/// `STPP`.
pub const MAGIC: u32 = 0x5354_5050;
/// This layout.
pub const VERSION: u16 = 3;
/// The block's largest size in bytes; the shim keeps this much room behind itself.
pub const MAX_SIZE: usize = 512;
/// Most slots of one image.
pub const MAX_SLOTS: usize = 4;

const ENDS: usize = 22;
const WATCHDOG: usize = 23;
const FIXED: usize = 24;
const SLOT: usize = 3;
const WRITES: usize = FIXED + SLOT * MAX_SLOTS;
const WRITE: usize = 3;
/// Moments that have writes.
const MOMENTS: u32 = 3;
const WORDS: usize = WRITES + WRITE * MAX_WRITES;

/// The console's UART.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum UartKind {
    /// Say nothing.
    None = 0,
    /// 8250 family with the National 16550's register order.
    Ns16550 = 1,
    /// ARM PrimeCell PL011.
    Pl011 = 2,
}

/// Where and how to write characters. The bootloader has set the speed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Uart {
    /// What it is.
    pub kind: UartKind,
    /// Physical address of register 0.
    pub address: usize,
    /// Registers are `1 << shift` bytes apart.
    pub shift: u8,
    /// Access width in bytes: 1 or 4.
    pub width: u8,
}

/// How the cookie must appear in the bootargs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum CookieRule {
    /// No cookie needed: bootargs always count.
    Off = 0,
    /// Anywhere in the line, as the kernel patch it replaces does with strstr().
    Contains = 1,
    /// A blank-separated word equals it.
    Word = 2,
}

/// What to do when no slot boots.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Policy {
    /// Stop, with the code on UART and LED.
    Halt = 0,
    /// Write the reset register; the bootloader starts again.
    Reset = 1,
    /// Return to the bootloader's `go`.
    Return = 2,
}

/// Where to look for a manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SlotAt {
    /// One ASCII character: `a`, `b`, or `-` for an image without slots.
    pub name: u8,
    /// `address` counts from the first byte of the image, not from physical 0.
    pub relative: bool,
    /// Of the manifest.
    pub address: usize,
}

/// A LED that blinks the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Led {
    /// Bits to write; 0 when the board has none.
    pub mask: u32,
    /// Writing `mask` here lights it.
    pub set: usize,
    /// Writing `mask` here darkens it.
    pub clear: usize,
}

/// The block, checked. Fields are read where they are used: the shim has no room for a decoded copy.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    words: [u32; WORDS],
    bytes: &'a [u8],
}

impl<'a> Params<'a> {
    /// The block at the front of `bytes` ([`MAX_SIZE`] of them), not read yet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Params { words: [0; WORDS], bytes }
    }

    /// As [`Params::read`], by value.
    ///
    /// # Errors
    /// [`Code::Params`].
    pub fn check(bytes: &'a [u8], big_endian: bool, crc: &Crc32) -> Result<Self> {
        let mut params = Self::new(bytes);
        params.read(big_endian, crc)?;
        Ok(params)
    }

    /// Reads the block; checks magic, version, length and CRC.
    ///
    /// # Errors
    /// [`Code::Params`].
    pub fn read(&mut self, big_endian: bool, crc: &Crc32) -> Result<()> {
        let read = block::read(&mut self.words, self.bytes, 0, MAGIC, big_endian, crc);
        if read.is_err() || self.words[1] >> 16 != u32::from(VERSION) {
            return Err(Error::new(Code::Params, Subject::Params, 0));
        }
        Ok(())
    }

    fn byte(&self, word: usize, index: u32) -> u8 {
        (self.words[word] >> (24 - 8 * index)) as u8
    }

    fn wide(&self, word: usize) -> usize {
        wide(self.words[word], self.words[word + 1])
    }

    fn region(&self, word: usize) -> Region {
        Region::stated(self.wide(word), self.wide(word + 2))
    }

    /// Physical RAM that the shim may use.
    pub fn ram(&self) -> Region {
        self.region(2)
    }

    /// Memory-mapped flash that may be read; empty when there is none.
    pub fn flash(&self) -> Region {
        self.region(6)
    }

    /// Console.
    pub fn uart(&self) -> Uart {
        let kind = match self.byte(12, 0) {
            1 => UartKind::Ns16550,
            2 => UartKind::Pl011,
            _ => UartKind::None,
        };
        Uart { kind, address: self.wide(10), shift: self.byte(12, 1), width: self.byte(12, 2) }
    }

    /// When bootargs count.
    pub fn cookie_rule(&self) -> CookieRule {
        match self.byte(12, 3) {
            0 => CookieRule::Off,
            1 => CookieRule::Contains,
            // Of what no version defines, the strictest.
            _ => CookieRule::Word,
        }
    }

    /// After the last slot failed.
    pub fn policy(&self) -> Policy {
        match self.byte(13, 0) {
            1 => Policy::Reset,
            2 => Policy::Return,
            _ => Policy::Halt,
        }
    }

    /// Physical address of the reset register and the value to write; address 0 when there is none.
    pub fn reset(&self) -> (usize, u32) {
        (self.wide(14), self.words[16])
    }

    /// Error code LED.
    pub fn led(&self) -> Led {
        Led { mask: self.words[17], set: self.wide(18), clear: self.wide(20) }
    }

    /// In the order to try them; at most [`MAX_SLOTS`], whatever the block says.
    pub fn slots(&self) -> impl Iterator<Item = SlotAt> + '_ {
        let slots = self.words[FIXED..WRITES].as_chunks::<SLOT>().0;
        slots.iter().take(usize::from(self.byte(13, 1))).map(|&[flags, high, low]| SlotAt {
            name: (flags >> 24) as u8,
            relative: flags & 1 << 16 != 0,
            address: wide(high, low),
        })
    }

    /// The slot with that number, if there are so many.
    pub fn slot(&self, index: usize) -> Option<SlotAt> {
        self.slots().nth(index)
    }

    /// What is done about the watchdog.
    pub fn care(&self) -> Care {
        match self.byte(13, 2) {
            1 => Care::Feed,
            2 => Care::Stop,
            3 => Care::Start,
            _ => Care::Leave,
        }
    }

    /// Word at which the writes of `moment`, a [`Moment`] or the one behind the last, begin.
    fn writes_at(&self, moment: u32) -> usize {
        usize::from(self.byte(WATCHDOG, moment)).wrapping_mul(WRITE).wrapping_add(WRITES)
    }

    /// What is to be written to the watchdog at that moment, in this order.
    #[inline(always)] // One caller in the shim.
    pub fn watchdog(&self, moment: Moment, write: &mut impl FnMut(Write)) {
        let (mut at, end) = (self.writes_at(moment as u32), self.writes_at(moment as u32 + 1));
        while at < end {
            let Some(&[address, keep, flip]) = self.words.get(at..).and_then(|words| words.first_chunk()) else {
                return;
            };
            write(Write { address, keep, flip });
            at = at.wrapping_add(WRITE);
        }
    }

    /// Where the cookie begins.
    fn strings(&self) -> usize {
        self.writes_at(MOMENTS).wrapping_mul(4)
    }

    /// Not empty unless the rule is off.
    pub fn cookie(&self) -> &'a [u8] {
        self.bytes.get(self.strings()..self.cookie_end()).unwrap_or(&[])
    }

    /// Keys that pass even without the cookie, each ending with NUL.
    pub fn keep(&self) -> &'a [u8] {
        self.bytes.get(self.cookie_end()..(self.words[ENDS] & 0xffff) as usize).unwrap_or(&[])
    }

    fn cookie_end(&self) -> usize {
        (self.words[ENDS] >> 16) as usize
    }
}

/// What the host tool writes into the block.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings<'a> {
    /// Physical RAM that the shim may use.
    pub ram: Region,
    /// Memory-mapped flash that may be read; empty when there is none.
    pub flash: Region,
    /// Console: kind, then register 0, shift and width.
    pub uart: Uart,
    /// When bootargs count.
    pub cookie_rule: CookieRule,
    /// Not empty unless the rule is off.
    pub cookie: &'a [u8],
    /// Keys that pass even without the cookie, each ending with NUL.
    pub keep: &'a [u8],
    /// After the last slot failed.
    pub policy: Policy,
    /// Reset register and the value to write; address 0 when there is none.
    pub reset: (usize, u32),
    /// Error code LED.
    pub led: Led,
    /// In the order to try them.
    pub slots: &'a [SlotAt],
    /// What is done about the watchdog.
    pub care: Care,
    /// How: the writes of each [`Moment`], together at most [`MAX_WRITES`].
    pub watchdog: [&'a [Write]; MOMENTS as usize],
}

impl Settings<'_> {
    /// Writes the block to the front of `out` and returns its length in bytes; `None` when it does not fit `out`,
    /// [`MAX_SIZE`] or a field.
    pub fn encode(&self, out: &mut [u8], big_endian: bool, crc: &Crc32) -> Option<usize> {
        // Without a rule anything counts, which is what an empty cookie means.
        let cookie = if self.cookie_rule == CookieRule::Off { &[] } else { self.cookie };
        let writes = self.watchdog.map(<[Write]>::len);
        let count: usize = writes.iter().sum();
        let strings = (WRITES + WRITE * count) * 4;
        let cookie_end = strings + cookie.len();
        let keep_end = cookie_end + self.keep.len();
        let length = keep_end.next_multiple_of(4) + 4;
        if length > MAX_SIZE || self.slots.len() > MAX_SLOTS || count > MAX_WRITES {
            return None;
        }
        let out = out.get_mut(..length)?;
        out.fill(0);
        let high = |value: usize| (value as u64 >> 32) as u32;
        let bytes = |bytes: [u8; 4]| u32::from_be_bytes(bytes);
        let mut fixed = [0; FIXED];
        fixed[..2].copy_from_slice(&[MAGIC, u32::from(VERSION) << 16 | length as u32]);
        let addresses = [
            (2, self.ram.start()),
            (4, self.ram.size()),
            (6, self.flash.start()),
            (8, self.flash.size()),
            (10, self.uart.address),
            (14, self.reset.0),
            (18, self.led.set),
            (20, self.led.clear),
        ];
        for (word, address) in addresses {
            fixed[word] = high(address);
            fixed[word + 1] = address as u32;
        }
        fixed[12] = bytes([self.uart.kind as u8, self.uart.shift, self.uart.width, self.cookie_rule as u8]);
        fixed[13] = bytes([self.policy as u8, self.slots.len() as u8, self.care as u8, 0]);
        // Below MAX_SIZE.
        fixed[ENDS] = (cookie_end << 16 | keep_end) as u32;
        fixed[16] = self.reset.1;
        fixed[17] = self.led.mask;
        let [begin, feed, _] = writes;
        fixed[WATCHDOG] = bytes([0, begin as u8, (begin + feed) as u8, count as u8]);
        let mut slots = [0; SLOT * MAX_SLOTS];
        for (words, slot) in slots.chunks_exact_mut(SLOT).zip(self.slots) {
            let flags = u32::from(slot.name) << 24 | u32::from(slot.relative) << 16;
            words.copy_from_slice(&[flags, high(slot.address), slot.address as u32]);
        }
        let writes = self.watchdog.iter().copied().flatten().flat_map(|write| [write.address, write.keep, write.flip]);
        let all = fixed.into_iter().chain(slots).chain(writes);
        for (field, word) in out.chunks_exact_mut(4).zip(all) {
            put(field, word, big_endian);
        }
        let (block, sum) = out.split_at_mut(length - 4);
        block[strings..cookie_end].copy_from_slice(cookie);
        block[cookie_end..keep_end].copy_from_slice(self.keep);
        put(sum, crc.of(block), big_endian);
        Some(length)
    }
}
