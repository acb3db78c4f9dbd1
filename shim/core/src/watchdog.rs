//! A watchdog: what is written to its registers, and when. Which registers is the board's data; the host tool turns them
//! and `--watchdog` into writes, and the shim does those without knowing what they mean.

/// A read, and a write of `(value & keep) ^ flip`: one form for a register to set, bits to set or clear, and a pin to toggle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write {
    /// Physical address of the 32-bit register.
    pub address: u32,
    /// Bits that stay as they are; 0 writes without reading.
    pub keep: u32,
    /// Bits to set where `keep` has 0, and to invert where it has 1.
    pub flip: u32,
}

/// What is done about the watchdog.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Care {
    /// Nothing.
    #[default]
    Leave = 0,
    /// Fed while the shim works, never after a failure.
    Feed = 1,
    /// Stopped before anything that takes long.
    Stop = 2,
    /// Started, fed while the shim works and just before the kernel, never after a failure; stopped for a bootloader that gets
    /// the board back.
    Start = 3,
}

/// When a write is due.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Moment {
    /// Once the params are read.
    Begin = 0,
    /// For every [`EVERY`] bytes that are copied from flash, checked or come out of LZMA, and before each payload is delivered.
    Feed = 1,
    /// Before the bootloader gets the board back.
    Back = 2,
}

/// Most writes of one set of params.
pub const MAX_WRITES: usize = 6;

/// Bytes between two feedings: that much is copied from flash, checked, or made by LZMA and what its last symbol adds. What LZ4 makes
/// of a payload, or a move of it in RAM, is not interrupted: docs/caches.md has how long that takes at most.
pub const EVERY: usize = 4096;
