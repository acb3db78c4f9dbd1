//! A board's memory made of vectors, with the same refusals as the shim's own (shim/src/memory.rs).

use std::borrow::Cow;

use stoop_core::Region;
use stoop_core::memory::Memory;

/// RAM, flash, and the loader's own region, which nobody gets.
pub(super) struct Board<'a> {
    ram: Region,
    flash: Region,
    run: Region,
    ram_bytes: Vec<u8>,
    flash_bytes: Cow<'a, [u8]>,
}

impl<'a> Board<'a> {
    /// RAM of zeros, flash as given; what is missing of it is erased.
    pub(super) fn new(ram: Region, flash: Region, run: Region, mut flash_bytes: Cow<'a, [u8]>) -> Board<'a> {
        if flash_bytes.len() != flash.size() {
            flash_bytes.to_mut().resize(flash.size(), 0xff);
        }
        Board { ram, flash, run, ram_bytes: vec![0; ram.size()], flash_bytes }
    }

    /// Puts bytes anywhere in RAM, as a bootloader can; `None` when they do not fit.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        let at = Region::new(at, bytes.len()).filter(|at| self.ram.contains(at))?;
        self.ram_bytes[at.start() - self.ram.start()..][..bytes.len()].copy_from_slice(bytes);
        Some(())
    }

    fn readable_end(&self, start: usize) -> Option<usize> {
        let inside = |region: &Region| region.start() <= start && start < region.end();
        if inside(&self.flash) {
            Some(self.flash.end())
        } else if !inside(&self.ram) || inside(&self.run) {
            None
        } else if start < self.run.start() && self.ram.contains(&self.run) {
            Some(self.run.start())
        } else {
            Some(self.ram.end())
        }
    }

    fn readable(&self, at: Region) -> bool {
        self.readable_end(at.start()).is_some_and(|end| at.end() <= end)
    }

    fn writable(&self, at: Region) -> bool {
        self.ram.contains(&at) && !at.overlaps(&self.run)
    }

    fn ram_range(&self, at: Region) -> std::ops::Range<usize> {
        at.start() - self.ram.start()..at.end() - self.ram.start()
    }
}

impl Memory for Board<'_> {
    fn from(&self, start: usize) -> Option<&[u8]> {
        let end = self.readable_end(start)?;
        let (base, bytes) = match self.flash.contains(&Region::between(start, end)?) && !self.flash.is_empty() {
            true => (self.flash.start(), &self.flash_bytes[..]),
            false => (self.ram.start(), &self.ram_bytes[..]),
        };
        bytes.get(start - base..end - base)
    }

    fn write(&mut self, at: Region) -> Option<&mut [u8]> {
        if !self.writable(at) {
            return None;
        }
        let range = self.ram_range(at);
        self.ram_bytes.get_mut(range)
    }

    fn pair(&mut self, from: Region, to: Region) -> Option<(&[u8], &mut [u8])> {
        if !self.readable(from) || !self.writable(to) || from.overlaps(&to) {
            return None;
        }
        let to = self.ram_range(to);
        if self.flash.contains(&from) && !self.flash.is_empty() {
            let at = from.start() - self.flash.start();
            return Some((self.flash_bytes.get(at..at + from.size())?, self.ram_bytes.get_mut(to)?));
        }
        let from = self.ram_range(from);
        if from.end <= to.start {
            let (low, high) = self.ram_bytes.split_at_mut_checked(to.start)?;
            Some((low.get(from)?, high.get_mut(..to.len())?))
        } else {
            let (low, high) = self.ram_bytes.split_at_mut_checked(from.start.max(to.end))?;
            Some((high.get(from.start - from.start.max(to.end)..)?.get(..from.len())?, low.get_mut(to)?))
        }
    }

    fn copy(&mut self, from: Region, to: usize) -> Option<()> {
        let to = Region::new(to, from.size())?;
        if !self.readable(from) || !self.writable(to) {
            return None;
        }
        let to = self.ram_range(to);
        if self.flash.contains(&from) && !self.flash.is_empty() {
            let at = from.start() - self.flash.start();
            self.ram_bytes.get_mut(to)?.copy_from_slice(self.flash_bytes.get(at..at + from.size())?);
            return Some(());
        }
        let from = self.ram_range(from);
        self.ram_bytes.copy_within(from, to.start);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(start: usize, size: usize) -> Region {
        Region::new(start, size).unwrap()
    }

    fn board() -> Board<'static> {
        let mut board =
            Board::new(region(0x1000, 0x1000), region(0x8000, 0x100), region(0x1800, 0x100), Cow::Owned(vec![7; 16]));
        board.put(0x1000, b"abcdef").unwrap();
        board
    }

    #[test]
    fn only_ram_and_flash_are_read_and_never_the_loader() {
        let board = board();
        assert_eq!(board.from(0x1000).unwrap().len(), 0x800, "ends at the loader");
        assert_eq!(board.from(0x1900).unwrap().len(), 0x700);
        assert_eq!(board.from(0x8000).unwrap()[..17], [[7; 16].as_slice(), &[0xff]].concat());
        for outside in [0, 0xfff, 0x1800, 0x18ff, 0x2000, 0x7fff, 0x8100] {
            assert!(board.from(outside).is_none(), "0x{outside:x}");
        }
        assert!(board.read(region(0x17ff, 2)).is_none(), "into the loader");
    }

    #[test]
    fn only_ram_is_written_and_never_the_loader() {
        let mut board = board();
        board.write(region(0x1ff0, 0x10)).unwrap().fill(1);
        for (start, size) in [(0x1ff0, 0x11), (0x8000, 1), (0x17ff, 2), (0x18ff, 1), (0xfff, 2)] {
            assert!(board.write(region(start, size)).is_none(), "0x{start:x}");
        }
    }

    #[test]
    fn pairs_come_from_either_side_and_never_overlap() {
        let mut board = board();
        for (from, to) in [(0x1000, 0x1010), (0x1000, 0x1006)] {
            let (source, room) = board.pair(region(from, 6), region(to, 6)).unwrap();
            assert_eq!(source, b"abcdef");
            room.copy_from_slice(b"ghijkl");
        }
        let (source, room) = board.pair(region(0x1006, 6), region(0x1000, 6)).unwrap();
        assert_eq!(source, b"ghijkl");
        room.fill(b'x');
        assert_eq!(board.read(region(0x1000, 8)).unwrap(), b"xxxxxxgh");
        assert!(board.pair(region(0x1000, 6), region(0x1005, 6)).is_none());
        assert_eq!(board.pair(region(0x8000, 2), region(0x1000, 2)).unwrap().0, [7, 7]);
    }

    #[test]
    fn copies_are_right_for_every_overlap() {
        let mut board = board();
        board.copy(region(0x1000, 6), 0x1002).unwrap();
        assert_eq!(board.read(region(0x1000, 8)).unwrap(), b"ababcdef");
        board.copy(region(0x1002, 6), 0x1000).unwrap();
        assert_eq!(board.read(region(0x1000, 6)).unwrap(), b"abcdef");
        board.copy(region(0x8000, 3), 0x1001).unwrap();
        assert_eq!(board.read(region(0x1000, 5)).unwrap(), b"a\x07\x07\x07e");
        assert!(board.copy(region(0x1000, 6), 0x1ffb).is_none());
    }
}
