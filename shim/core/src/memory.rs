//! The machine's memory as core sees it: physical addresses in, slices out.
//!
//! The shim implements it over real addresses in one file; the host over vectors. Every method returns `None`
//! instead of touching what is not there, so that garbage in registers can never fault.

use crate::Region;

/// RAM, and flash that reads like memory.
pub trait Memory {
    /// Everything readable from `start` to the end of the RAM or flash that holds it.
    fn from(&self, start: usize) -> Option<&[u8]>;

    /// RAM to write. `None` when any byte of `at` is not RAM or belongs to the running loader.
    fn write(&mut self, at: Region) -> Option<&mut [u8]>;

    /// A source and a destination at once; as [`Memory::from`] and [`Memory::write`], and `None` when they overlap.
    fn pair(&mut self, from: Region, to: Region) -> Option<(&[u8], &mut [u8])>;

    /// Moves bytes, right for every overlap (memmove); as [`Memory::from`] and [`Memory::write`] otherwise.
    fn copy(&mut self, from: Region, to: usize) -> Option<()>;

    /// Whether the 32-bit words at two addresses of RAM are one and the same, past all caches. Both are as they were afterwards.
    /// `false` where nobody can tell, and for addresses that are no multiples of 4.
    fn is_one_word(&mut self, _one: usize, _other: usize) -> bool {
        false
    }

    /// Exactly the bytes of `at`.
    fn read(&self, at: Region) -> Option<&[u8]> {
        self.from(at.start())?.get(..at.size())
    }
}
