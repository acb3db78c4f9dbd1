//! CRC-32 as in zlib, PNG and U-Boot's `crc32` (polynomial 0x04c11db7, reflected), by the `crc` crate.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// Holds the 1 KiB table. The shim builds it in RAM at start, since flash is dearer than 20 thousand instructions.
pub struct Crc32(Crc<u32, Table<1>>);

impl Crc32 {
    /// Computes the table.
    #[allow(clippy::new_without_default, reason = "1 KiB by value: the caller chooses where it lives")]
    pub fn new() -> Self {
        Crc32(Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC))
    }

    /// Of `bytes`, in one go.
    pub fn of(&self, bytes: &[u8]) -> u32 {
        self.0.checksum(bytes)
    }
}
