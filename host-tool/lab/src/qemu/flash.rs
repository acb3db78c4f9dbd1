//! The emulated NOR flash: its bytes as the CPU reads them, kept over power cycles, and the pflash file QEMU wants instead.
//!
//! QEMU takes a file of exactly the flash's size. On a little-endian Malta it reverses every 32-bit word of the first
//! [`SWAPPED`] bytes when it starts (`hw/mips/malta.c`, `mips_malta_init`), but writes what the guest programs back in the
//! guest's order, in blocks of [`BLOCK`] bytes (`hw/block/pflash_cfi01.c`, `pflash_update`). So the file cannot just be used
//! again: [`Flash`] holds the guest's view and [`Flash::take_back`] finds the blocks that were written.

use std::path::Path;

use super::error::Error;
use crate::Result;

/// How many bytes from the start QEMU reverses in words; the 128 KiB behind (U-Boot's environment) stay as they are.
pub const SWAPPED: usize = 0x3e_0000;

/// The granularity in which QEMU writes a change back to the file: `BDRV_SECTOR_SIZE`.
pub const BLOCK: usize = 512;

/// A NOR flash as the guest's CPU reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flash {
    bytes: Vec<u8>,
    word_swap: bool,
}

impl Flash {
    /// An erased flash of this many bytes (a multiple of [`BLOCK`]); `word_swap` as in [`super::Machine`].
    pub fn erased(size: usize, word_swap: bool) -> Flash {
        Flash { bytes: vec![0xff; size], word_swap }
    }

    /// What the guest reads.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Programs `bytes` at `offset`, whatever was there.
    ///
    /// # Errors
    /// They would pass the flash's end.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        let size = self.bytes.len();
        let end = offset.checked_add(bytes.len()).filter(|&end| end <= size);
        let Some(end) = end else {
            return Err(Error::FlashEnd { size: bytes.len(), at: offset, flash: size }.into());
        };
        self.bytes[offset..end].copy_from_slice(bytes);
        Ok(())
    }

    /// The pflash file that makes the guest read these bytes.
    pub fn to_file(&self) -> Vec<u8> {
        let mut file = self.bytes.clone();
        if self.word_swap {
            swap_words(&mut file);
        }
        file
    }

    /// Writes the pflash file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_file(&self, path: &Path) -> Result<()> {
        std::fs::write(path, self.to_file()).map_err(|error| stoop_image::Error::file(path, error).into())
    }

    /// Takes over what a guest programmed: `file` is the pflash file after a run that began with [`Flash::to_file`].
    ///
    /// A block which the guest programmed with exactly the reversed words of what was there cannot be told from an
    /// untouched one, as the file is the same; it counts as untouched.
    ///
    /// # Errors
    /// The file has another size.
    pub fn take_back(&mut self, file: &[u8]) -> Result<()> {
        if file.len() != self.bytes.len() {
            return Err(Error::FlashFile { size: file.len(), wanted: self.bytes.len() }.into());
        }
        let before = self.to_file();
        let blocks = self.bytes.chunks_mut(BLOCK).zip(before.chunks(BLOCK)).zip(file.chunks(BLOCK));
        for ((ours, before), after) in blocks {
            if before != after {
                ours.copy_from_slice(after);
            }
        }
        Ok(())
    }

    /// Reads the pflash file back after a run: [`Flash::take_back`].
    ///
    /// # Errors
    /// The file cannot be read or has another size.
    pub fn read_file(&mut self, path: &Path) -> Result<()> {
        let file = std::fs::read(path).map_err(|error| stoop_image::Error::file(path, error))?;
        self.take_back(&file)
    }
}

/// Reverses each word below [`SWAPPED`].
fn swap_words(bytes: &mut [u8]) {
    let end = bytes.len().min(SWAPPED);
    for word in bytes[..end].chunks_exact_mut(4) {
        word.reverse();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 0x40_0000;

    #[test]
    fn a_big_endian_file_is_the_flash_itself_padded_with_ones() {
        let mut flash = Flash::erased(SIZE, false);
        flash.put(0, b"abcdef").unwrap();
        let file = flash.to_file();
        assert_eq!(file.len(), SIZE);
        assert_eq!(&file[..8], b"abcdef\xff\xff");
    }

    #[test]
    fn a_little_endian_file_has_its_words_reversed_except_behind_0x3e0000() {
        let mut flash = Flash::erased(SIZE, true);
        flash.put(0, b"abcdef").unwrap();
        flash.put(SWAPPED - 4, b"12345678").unwrap();
        let file = flash.to_file();
        assert_eq!(&file[..8], b"dcba\xff\xfffe");
        assert_eq!(&file[SWAPPED - 4..SWAPPED + 4], b"43215678");
    }

    #[test]
    fn what_the_guest_wrote_is_read_back_and_the_rest_is_kept() {
        for word_swap in [false, true] {
            let mut flash = Flash::erased(SIZE, word_swap);
            flash.put(0, b"old bytes").unwrap();
            flash.put(0x10000, b"more old bytes").unwrap();
            let mut wanted = flash.bytes().to_vec();
            wanted[0x10000..0x10008].copy_from_slice(b"rewrites");
            // QEMU writes back the whole block around a change, in the guest's order.
            let mut file = flash.to_file();
            file[0x10000..0x10000 + BLOCK].copy_from_slice(&wanted[0x10000..0x10000 + BLOCK]);
            flash.take_back(&file).unwrap();
            assert!(flash.bytes() == wanted, "word_swap {word_swap}");
            assert!(Flash { bytes: wanted, word_swap }.to_file() == flash.to_file(), "the next run begins with it");
        }
    }

    #[test]
    fn bytes_past_the_end_are_refused() {
        let mut flash = Flash::erased(SIZE, false);
        flash.put(SIZE - 2, b"ab").unwrap();
        let refused = flash.put(SIZE - 2, b"abc").unwrap_err();
        assert_eq!(refused.to_string(), "0x3 bytes at 0x3ffffe pass the flash's end, 0x400000");
        assert!(flash.put(usize::MAX, b"abc").is_err());
    }

    #[test]
    fn a_file_of_another_size_is_refused() {
        let mut flash = Flash::erased(SIZE, true);
        assert!(flash.take_back(&vec![0; SIZE - 1]).is_err());
    }
}
