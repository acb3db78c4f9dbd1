//! What is typed at a U-Boot prompt to erase and write NOR flash that it reads as memory (`cmd/flash.c`, `cmd/mem.c`): printed by
//! `pack`, typed by `stoop flash`. Every range comes from an [`Area`], which no protected byte is in.

use crate::board::Board;
use crate::image::flash::{Area, Write};

/// Bytes in RAM and their place in flash, both as typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range {
    /// In RAM.
    pub from: usize,
    /// In flash.
    pub to: usize,
    /// Bytes.
    pub size: usize,
}

/// An area's address as the bootloader knows its flash (`CONFIG_SYS_FLASH_BASE`): in the segment of the address that it starts from.
pub fn typed(board: &Board, area: &Area) -> usize {
    let start = board.bootloader.started_from();
    start.map_or(board.typed(area.address()), |start| start & 0xe000_0000 | area.address())
}

impl Range {
    /// Of one write, from a file that was fetched to `fetched`.
    pub fn of(board: &Board, fetched: usize, write: &Write) -> Range {
        Range { from: fetched + write.from, to: typed(board, &write.area), size: write.area.size() }
    }

    /// A part of it, by its distance from the start.
    pub fn part(&self, at: usize, size: usize) -> Range {
        Range { from: self.from + at, to: self.to + at, size }
    }

    /// Takes away the write protection.
    pub fn unprotect(&self) -> String {
        format!("protect off 0x{:08x} +0x{:x}", self.to, self.size)
    }

    /// Erases it.
    pub fn erase(&self) -> String {
        format!("erase 0x{:08x} +0x{:x}", self.to, self.size)
    }

    /// Writes it.
    pub fn copy(&self) -> String {
        format!("cp.b 0x{:08x} 0x{:08x} 0x{:x}", self.from, self.to, self.size)
    }

    /// Compares flash with RAM.
    pub fn compare(&self) -> String {
        format!("cmp.b 0x{:08x} 0x{:08x} 0x{:x}", self.from, self.to, self.size)
    }

    /// Prints the CRC-32 of what is in flash.
    pub fn sum(&self) -> String {
        format!("crc32 0x{:08x} 0x{:x}", self.to, self.size)
    }

    /// Erases and writes all of it, its first block last: with it the range becomes what it is.
    pub fn write(&self, block: usize) -> Vec<String> {
        let mut lines = vec![self.unprotect(), self.erase()];
        if self.size > block {
            lines.push(self.part(block, self.size - block).copy());
        }
        lines.push(self.part(0, block.min(self.size)).copy());
        lines.push(self.compare());
        lines
    }
}
