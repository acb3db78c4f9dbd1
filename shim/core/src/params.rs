//! The params block: what one board needs of the shim. The host tool writes it behind the shim; the shim reads it back.
//!
//! Big-endian, offsets in bytes:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `STPP` |
//! | 4 | 2 | version, 1 |
//! | 6 | 2 | length of the block with its CRC |
//! | 8 | 8, 8 | RAM: start, size (size 0: unknown) |
//! | 24 | 8, 8 | memory-mapped flash: start, size (size 0: none) |
//! | 40 | 8 | UART registers (physical) |
//! | 48 | 1, 1, 1 | UART kind, register shift, access width in bytes |
//! | 51 | 1 | cookie rule |
//! | 52 | 1 | policy after the last slot failed |
//! | 53 | 1 | number of slots |
//! | 54 | 1, 1 | length of the cookie, of the kept keys |
//! | 56 | 8, 4, 4 | reset register, value to write, LED bit mask (0: no LED) |
//! | 72 | 8, 8 | LED set register, LED clear register |
//! | 88 | 12 each | slots: name, flags (bit 0: relative to the image), 2 spare, 8 bytes address |
//! | … | | cookie; kept keys, each ending with NUL |
//! | last 4 | 4 | CRC-32 of all before it |

use crate::bytes::{Writer, be_usize, be16, be32};
use crate::crc32::Crc32;
use crate::{Code, Error, Region, Result, Subject};

/// `STPP`.
pub const MAGIC: u32 = 0x5354_5050;
/// This layout.
pub const VERSION: u16 = 1;
/// The block's largest size in bytes; the shim keeps this much room behind itself.
pub const MAX_SIZE: usize = 512;
/// Most slots of one image.
pub const MAX_SLOTS: usize = 4;

const FIXED: usize = 88;
const SLOT: usize = 12;
const CRC: usize = 4;

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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Led {
    /// Bits to write; 0 when the board has none.
    pub mask: u32,
    /// Writing `mask` here lights it.
    pub set: usize,
    /// Writing `mask` here darkens it.
    pub clear: usize,
}

/// The block, decoded. Borrowed from its bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Params<'a> {
    /// Physical RAM that the shim may use; size 0 when unknown.
    pub ram: Region,
    /// Memory-mapped flash that may be read; size 0 when none.
    pub flash: Region,
    /// Console.
    pub uart: Uart,
    /// When bootargs count.
    pub cookie_rule: CookieRule,
    /// Not empty unless the rule is off.
    pub cookie: &'a [u8],
    /// Keys that pass even without the cookie, each ending with NUL.
    pub keep: &'a [u8],
    /// After the last slot failed.
    pub policy: Policy,
    /// Physical address of the reset register, and the value to write; 0 when there is none.
    pub reset: (usize, u32),
    /// Error code LED.
    pub led: Led,
    /// In the order to try them.
    pub slots: Slots,
}

/// At most [`MAX_SLOTS`] places to look for a manifest.
pub type Slots = heapless::Vec<SlotAt, MAX_SLOTS>;

impl<'a> Params<'a> {
    /// Reads the block at the front of `bytes`; checks magic, version, length and CRC before anything else.
    pub fn decode(bytes: &'a [u8], crc: &Crc32) -> Result<Self> {
        Self::decode_checked(bytes, crc).ok_or(Error::new(Code::Params, Subject::Params, 0, 0))
    }

    fn decode_checked(bytes: &'a [u8], crc: &Crc32) -> Option<Self> {
        let length = usize::from(be16(bytes, 6)?);
        let sum_at = length.checked_sub(CRC)?;
        let (block, _) = bytes.split_at_checked(sum_at)?;
        let right = be32(block, 0)? == MAGIC
            && be16(block, 4)? == VERSION
            && length <= MAX_SIZE
            && be32(bytes, sum_at)? == crc.of(block);
        if !right {
            return None;
        }
        let (head, rest) = block.split_first_chunk::<FIXED>()?;
        let head = head.as_slice();
        let byte = |at: usize| head.get(at).copied();
        let (slots, rest) = rest.split_at_checked(SLOT.wrapping_mul(usize::from(byte(53)?)))?;
        let (cookie, rest) = rest.split_at_checked(usize::from(byte(54)?))?;
        let (keep, _) = rest.split_at_checked(usize::from(byte(55)?))?;
        let mut params = Params {
            ram: Region::new(be_usize(head, 8)?, be_usize(head, 16)?)?,
            flash: Region::new(be_usize(head, 24)?, be_usize(head, 32)?)?,
            uart: Uart {
                kind: match byte(48)? {
                    0 => UartKind::None,
                    1 => UartKind::Ns16550,
                    2 => UartKind::Pl011,
                    _ => return None,
                },
                address: be_usize(head, 40)?,
                shift: byte(49)?,
                width: byte(50)?,
            },
            cookie_rule: match byte(51)? {
                0 => CookieRule::Off,
                1 => CookieRule::Contains,
                2 => CookieRule::Word,
                _ => return None,
            },
            cookie,
            keep,
            policy: match byte(52)? {
                0 => Policy::Halt,
                1 => Policy::Reset,
                2 => Policy::Return,
                _ => return None,
            },
            reset: (be_usize(head, 56)?, be32(head, 64)?),
            led: Led { mask: be32(head, 68)?, set: be_usize(head, 72)?, clear: be_usize(head, 80)? },
            slots: Slots::new(),
        };
        for slot in slots.chunks_exact(SLOT) {
            let (name, flags) = (*slot.first()?, *slot.get(1)?);
            params.slots.push(SlotAt { name, relative: flags & 1 != 0, address: be_usize(slot, 4)? }).ok()?;
        }
        Some(params)
    }

    /// Writes the block to the front of `out` and returns its length; `None` when it does not fit `out` or [`MAX_SIZE`].
    pub fn encode(&self, out: &mut [u8], crc: &Crc32) -> Option<usize> {
        let length = FIXED + SLOT * self.slots.len() + self.cookie.len() + self.keep.len() + CRC;
        if length > MAX_SIZE {
            return None;
        }
        let mut w = Writer::new(out);
        w.be32(MAGIC)?;
        w.be16(VERSION)?;
        w.be16(u16::try_from(length).ok()?)?;
        for region in [self.ram, self.flash] {
            w.be64(region.start())?;
            w.be64(region.size())?;
        }
        w.be64(self.uart.address)?;
        w.bytes(&[self.uart.kind as u8, self.uart.shift, self.uart.width])?;
        w.bytes(&[self.cookie_rule as u8, self.policy as u8])?;
        w.u8(u8::try_from(self.slots.len()).ok()?)?;
        w.u8(u8::try_from(self.cookie.len()).ok()?)?;
        w.u8(u8::try_from(self.keep.len()).ok()?)?;
        w.be64(self.reset.0)?;
        w.be32(self.reset.1)?;
        w.be32(self.led.mask)?;
        w.be64(self.led.set)?;
        w.be64(self.led.clear)?;
        for slot in &self.slots {
            w.bytes(&[slot.name, u8::from(slot.relative), 0, 0])?;
            w.be64(slot.address)?;
        }
        w.bytes(self.cookie)?;
        w.bytes(self.keep)?;
        let sum = crc.of(w.written());
        w.be32(sum)?;
        Some(length)
    }
}
