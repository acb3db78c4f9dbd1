//! How a CPU reaches what is around it: physical addresses, and what happens where nothing is.

use std::fmt;

/// The physical address space of a board.
///
/// Values are what the CPU's register holds: the implementor knows the byte order of the board. Addresses are multiples of
/// `width`, which is 1, 2, 4 or 8.
pub trait Bus {
    /// Reads `width` bytes.
    ///
    /// # Errors
    /// Nothing on the board answers such a read.
    fn read(&mut self, at: u64, width: u8) -> Result<u64, Stray>;

    /// Writes the low `width` bytes of `value`.
    ///
    /// # Errors
    /// Nothing on the board takes such a write.
    fn write(&mut self, at: u64, width: u8, value: u64) -> Result<(), Stray>;

    /// Fills `line` with the bytes from `at` on, as a cache does: only RAM and flash answer.
    ///
    /// # Errors
    /// As for [`Bus::read`].
    fn read_line(&mut self, at: u64, line: &mut [u8]) -> Result<(), Stray>;

    /// Writes a cache line back: only RAM takes it.
    ///
    /// # Errors
    /// As for [`Bus::write`].
    fn write_line(&mut self, at: u64, line: &[u8]) -> Result<(), Stray>;
}

/// An access that the board does not have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stray {
    /// Physical.
    pub at: u64,
    /// In bytes.
    pub width: usize,
    /// What was to be written; `None` for a read.
    pub value: Option<u64>,
    /// Why nothing answers.
    pub why: &'static str,
}

impl fmt::Display for Stray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.value {
            None => write!(f, "read of {} bytes at 0x{:08x}: {}", self.width, self.at, self.why),
            Some(value) => write!(f, "write of 0x{value:x}, {} bytes, at 0x{:08x}: {}", self.width, self.at, self.why),
        }
    }
}
