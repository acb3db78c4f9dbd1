//! A board's memory as far as it is used, with the same refusals as the shim's own (shim/src/memory.rs).

use std::collections::BTreeMap;

use stoop_core::Region;
use stoop_core::memory::Memory;

/// Memory is allocated in pieces of this size, and at least so much is there behind whatever was written.
const GRAIN: usize = 0x1_0000;
/// What nobody wrote reads like this: so much of it at once.
const ZEROS: &[u8] = &[0; GRAIN];
const ERASED: &[u8] = &[0xff; GRAIN];

/// A range of addresses of any size, of which only the written parts are held. The image's own bytes are lent to it, and copied
/// only when they are written over.
struct Sparse<'a> {
    region: Region,
    untouched: &'static [u8],
    /// By the address of their first byte; they overlap neither each other nor a chunk.
    lent: BTreeMap<usize, &'a [u8]>,
    /// By the address of their first byte; no two overlap or touch.
    chunks: BTreeMap<usize, Vec<u8>>,
}

impl<'a> Sparse<'a> {
    fn new(region: Region, untouched: &'static [u8]) -> Self {
        Sparse { region, untouched, lent: BTreeMap::new(), chunks: BTreeMap::new() }
    }

    /// Lends bytes to a place that has none yet; `None` when they do not fit there.
    fn lend(&mut self, at: usize, bytes: &'a [u8]) -> Option<()> {
        let place = Region::new(at, bytes.len()).filter(|place| self.region.contains(place))?;
        if !place.is_empty() {
            let taken = self.overlapping(place).next().is_some() || self.chunks.range(at..place.end()).next().is_some();
            (!taken && self.chunk(at).is_none()).then_some(())?;
            self.lent.insert(at, bytes);
        }
        Some(())
    }

    /// What is lent of these addresses.
    fn overlapping(&self, at: Region) -> impl Iterator<Item = (usize, &'a [u8])> {
        let ends_behind = move |(first, bytes): &(usize, &[u8])| first + bytes.len() > at.start();
        self.lent.range(..at.end()).rev().map(|(first, bytes)| (*first, *bytes)).take_while(ends_behind)
    }

    /// What is lent of all these addresses at once.
    fn lent(&self, at: Region) -> Option<&'a [u8]> {
        let (first, bytes) = self.lent.range(..=at.start()).next_back()?;
        bytes.get(at.start() - first..at.end() - first)
    }

    fn held(&self) -> usize {
        self.chunks.values().map(Vec::len).sum()
    }

    /// The chunk that holds the first byte of `at`: where it begins, and its bytes.
    fn chunk(&self, at: usize) -> Option<(usize, &[u8])> {
        let (start, bytes) = self.chunks.range(..=at).next_back()?;
        (at - start < bytes.len()).then_some((*start, bytes))
    }

    /// Readable from `start` on, up to `end` at most: all that is held, or some of what nobody wrote.
    fn from(&self, start: usize, end: usize) -> &[u8] {
        let bytes = match self.chunk(start) {
            Some((first, bytes)) => &bytes[start - first..],
            None => match self.lent.range(..=start).next_back() {
                Some((first, bytes)) if start - first < bytes.len() => &bytes[start - first..],
                _ => {
                    let next = self.chunks.range(start..).next().map_or(end, |(next, _)| *next);
                    let next = self.lent.range(start..).next().map_or(next, |(lent, _)| next.min(*lent));
                    &self.untouched[..self.untouched.len().min(next - start)]
                }
            },
        };
        &bytes[..bytes.len().min(end - start)]
    }

    /// Makes one chunk of all that touches `at`; `None` when more than `most` bytes would be held then.
    fn hold(&mut self, at: Region, most: usize) -> Option<()> {
        let inside = |chunk: (usize, &[u8])| at.end() - chunk.0 <= chunk.1.len();
        if self.chunk(at.start()).is_some_and(inside) {
            return Some(());
        }
        self.copy_lent(at, most)?;
        let before =
            self.lent.range(..at.start()).next_back().map_or(self.region.start(), |(first, it)| first + it.len());
        let start = (at.start() / GRAIN * GRAIN).max(before);
        let behind = self.lent.range(at.start()..).next().map_or(self.region.end(), |(first, _)| *first);
        let end = (at.end() / GRAIN).checked_add(2)?.saturating_mul(GRAIN).min(behind);
        let touching = |(first, bytes): &(&usize, &Vec<u8>)| **first <= end && start <= **first + bytes.len();
        let merged: Vec<usize> = self.chunks.iter().filter(touching).map(|(first, _)| *first).collect();
        let taken: usize = merged.iter().map(|first| self.chunks[first].len()).sum();
        let behind = merged.last().map_or(end, |last| end.max(last + self.chunks[last].len()));
        let start = merged.first().map_or(start, |first| start.min(*first));
        if self.held() - taken + (behind - start) > most {
            return None;
        }
        let mut whole = vec![self.untouched[0]; behind - start];
        for first in merged {
            let bytes = self.chunks.remove(&first)?;
            whole[first - start..][..bytes.len()].copy_from_slice(&bytes);
        }
        self.chunks.insert(start, whole);
        Some(())
    }

    /// Makes chunks of what is lent of these addresses.
    fn copy_lent(&mut self, at: Region, most: usize) -> Option<()> {
        let lent: Vec<(usize, &[u8])> = self.overlapping(at).collect();
        for (first, bytes) in lent {
            if self.held() + bytes.len() > most {
                return None;
            }
            self.lent.remove(&first);
            self.chunks.insert(first, bytes.to_vec());
        }
        Some(())
    }

    /// The bytes of a range that one chunk holds.
    fn held_mut(&mut self, at: Region) -> Option<&mut [u8]> {
        let (start, bytes) = self.chunks.range_mut(..=at.start()).next_back()?;
        bytes.get_mut(at.start() - start..at.end() - start)
    }

    /// The bytes of two ranges that do not overlap, each in one chunk.
    fn two(&mut self, from: Region, to: Region) -> Option<(&[u8], &mut [u8])> {
        let (mut source, mut room) = (None, None);
        for (start, bytes) in &mut self.chunks {
            let holds = |at: &Region| *start <= at.start() && at.end() - start <= bytes.len();
            match (holds(&from), holds(&to)) {
                (true, true) => {
                    let (from, to) = (from.start() - start..from.end() - start, to.start() - start..to.end() - start);
                    // No bytes overlap nothing, wherever they begin.
                    if from.is_empty() {
                        return Some((&[], &mut bytes[to]));
                    }
                    if to.is_empty() {
                        return Some((&bytes[from], &mut []));
                    }
                    return Some(if from.end <= to.start {
                        let (low, high) = bytes.split_at_mut(to.start);
                        (&low[from], &mut high[..to.len()])
                    } else {
                        let (low, high) = bytes.split_at_mut(from.start);
                        (&high[..from.len()], &mut low[to])
                    });
                }
                (true, false) => source = bytes.get(from.start() - start..from.end() - start),
                (false, true) => room = bytes.get_mut(to.start() - start..to.end() - start),
                (false, false) => {}
            }
        }
        source.zip(room)
    }
}

/// RAM, flash, and the loader's own region, which nobody gets.
pub(super) struct Board<'a> {
    ram: Sparse<'a>,
    flash: Sparse<'a>,
    run: Region,
    /// The bootloader's device tree where that is behind RAM: only read.
    tree: (Region, &'a [u8]),
    /// Most bytes of each that are held.
    most: usize,
    /// More than that was asked for.
    exceeded: bool,
}

impl<'a> Board<'a> {
    /// RAM of zeros and erased flash; at most so many bytes of each can be written.
    pub(super) fn new(ram: Region, flash: Region, run: Region, most: usize) -> Self {
        let (ram, flash) = (Sparse::new(ram, ZEROS), Sparse::new(flash, ERASED));
        Board { ram, flash, run, tree: (Region::EMPTY, &[]), most, exceeded: false }
    }

    /// Puts bytes anywhere in RAM, as a bootloader can; `None` when they do not fit.
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) -> Option<()> {
        let at = Region::new(at, bytes.len()).filter(|at| self.ram.region.contains(at))?;
        self.hold(at)?.copy_from_slice(bytes);
        Some(())
    }

    /// Lends an image's bytes to RAM before anything else is put there; `None` when they do not fit.
    pub(super) fn lend(&mut self, at: usize, bytes: &'a [u8]) -> Option<()> {
        self.ram.lend(at, bytes)
    }

    /// Puts the bootloader's device tree behind RAM; `None` when it is not behind it.
    pub(super) fn put_behind(&mut self, at: usize, tree: &'a [u8]) -> Option<()> {
        let region = Region::new(at, tree.len()).filter(|region| region.start() >= self.ram.region.end())?;
        self.tree = (region, tree);
        Some(())
    }

    /// Lends bytes to flash that has none there yet; `None` when they do not fit.
    pub(super) fn flash(&mut self, at: usize, bytes: &'a [u8]) -> Option<()> {
        self.flash.lend(at, bytes)
    }

    /// The most bytes that can be used, when that was too few.
    pub(super) fn exceeded(&self) -> Option<usize> {
        self.exceeded.then_some(self.most)
    }

    fn hold(&mut self, at: Region) -> Option<&mut [u8]> {
        let held = self.ram.hold(at, self.most);
        self.exceeded |= held.is_none();
        held?;
        self.ram.held_mut(at)
    }

    fn readable_end(&self, start: usize) -> Option<usize> {
        let inside = |region: &Region| region.start() <= start && start < region.end();
        let (ram, flash) = (self.ram.region, self.flash.region);
        if inside(&self.tree.0) {
            Some(self.tree.0.end())
        } else if inside(&flash) {
            Some(flash.end())
        } else if !inside(&ram) || inside(&self.run) {
            None
        } else if start < self.run.start() && ram.contains(&self.run) {
            Some(self.run.start())
        } else {
            Some(ram.end())
        }
    }

    fn readable(&self, at: Region) -> bool {
        self.readable_end(at.start()).is_some_and(|end| at.end() <= end)
    }

    fn writable(&self, at: Region) -> bool {
        self.ram.region.contains(&at) && !at.overlaps(&self.run)
    }

    fn in_flash(&self, at: Region) -> bool {
        self.flash.region.contains(&at) && !self.flash.region.is_empty()
    }
}

impl Memory for Board<'_> {
    fn from(&self, start: usize) -> Option<&[u8]> {
        let end = self.readable_end(start)?;
        let (tree, bytes) = self.tree;
        if end == tree.end() && start >= tree.start() && !tree.is_empty() {
            return bytes.get(start - tree.start()..);
        }
        let side = if self.in_flash(Region::between(start, end)?) { &self.flash } else { &self.ram };
        Some(side.from(start, end))
    }

    fn write(&mut self, at: Region) -> Option<&mut [u8]> {
        if !self.writable(at) {
            return None;
        }
        self.hold(at)
    }

    fn pair(&mut self, from: Region, to: Region) -> Option<(&[u8], &mut [u8])> {
        if !self.readable(from) || !self.writable(to) || from.overlaps(&to) {
            return None;
        }
        self.hold(to)?;
        let (tree, bytes) = self.tree;
        if tree.contains(&from) && !tree.is_empty() {
            return Some((bytes.get(from.start() - tree.start()..)?.get(..from.size())?, self.ram.held_mut(to)?));
        }
        if self.in_flash(from) {
            let source = self.flash.from(from.start(), from.end());
            return Some((source.get(..from.size())?, self.ram.held_mut(to)?));
        }
        if let Some(source) = self.ram.lent(from) {
            return Some((source, self.ram.held_mut(to)?));
        }
        self.hold(from)?;
        self.ram.two(from, to)
    }

    fn copy(&mut self, from: Region, to: usize) -> Option<()> {
        let to = Region::new(to, from.size())?;
        if !self.readable(from) || !self.writable(to) {
            return None;
        }
        if self.in_flash(from) || !from.overlaps(&to) {
            let (source, room) = self.pair(from, to)?;
            room.copy_from_slice(source);
            return Some(());
        }
        let both = Region::between(from.start().min(to.start()), from.end().max(to.end()))?;
        let offset = from.start() - both.start();
        self.hold(both)?.copy_within(offset..offset + from.size(), to.start() - both.start());
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
        let mut board = Board::new(region(0x1000, 0x1000), region(0x8000, 0x100), region(0x1800, 0x100), 0x10_0000);
        board.flash(0x8000, &[7; 16]).unwrap();
        board.put(0x1000, b"abcdef").unwrap();
        board
    }

    #[test]
    fn a_tree_behind_ram_is_read_and_never_written() {
        let mut board = board();
        assert!(board.put_behind(0x1ff0, b"tree").is_none(), "that is RAM");
        board.put_behind(0x4000, b"tree").unwrap();
        assert_eq!(board.from(0x4001), Some(&b"ree"[..]));
        assert!(board.from(0x4004).is_none() && board.from(0x3fff).is_none());
        assert!(board.write(region(0x4000, 1)).is_none());
        assert_eq!(board.pair(region(0x4000, 4), region(0x1000, 4)).unwrap().0, b"tree");
        assert!(board.pair(region(0x4000, 5), region(0x1000, 4)).is_none());
    }

    #[test]
    fn of_memory_that_nobody_has_only_what_is_used_is_held() {
        let all = region(0x1000, usize::MAX / 2);
        let mut board = Board::new(all, Region::EMPTY, Region::EMPTY, 8 * GRAIN);
        let far = 0x4000_0000_0000;
        board.put(far, b"far").unwrap();
        board.put(0x1000, b"near").unwrap();
        assert_eq!(
            (board.from(far).unwrap()[..4].to_vec(), board.from(0x1000).unwrap()[..5].to_vec()),
            (b"far\0".to_vec(), b"near\0".to_vec())
        );
        assert!(board.from(far / 2).unwrap().iter().all(|byte| *byte == 0), "nobody wrote it");
        assert_eq!(board.exceeded(), None);
        assert!(board.write(region(far, 9 * GRAIN)).is_none());
        assert_eq!(board.exceeded(), Some(8 * GRAIN));
        assert!(board.from(far).unwrap().starts_with(b"far\0"), "and what was there stays");
    }

    #[test]
    fn pieces_that_grow_together_keep_their_bytes() {
        let mut board = Board::new(region(0, 0x100_0000), Region::EMPTY, Region::EMPTY, 0x100_0000);
        for at in [0x30_0000, 0x10_0000, 0x20_0000] {
            board.put(at, &at.to_le_bytes()).unwrap();
        }
        assert!(board.pair(region(0x10_0000, 8), region(0x30_0000, 8)).is_some(), "in two pieces");
        board.write(region(0x10_0008, 0x20_0000 - 8)).unwrap().fill(1);
        for at in [0x10_0000, 0x30_0000usize] {
            assert_eq!(board.read(region(at, 8)).unwrap(), at.to_le_bytes());
        }
        assert_eq!(board.read(region(0x20_0000, 8)).unwrap(), [1; 8]);
        board.copy(region(0x10_0000, 8), 0x80_0000).unwrap();
        assert_eq!(board.read(region(0x80_0000, 8)).unwrap(), 0x10_0000usize.to_le_bytes());
    }

    #[test]
    fn what_is_lent_is_read_in_place_and_copied_only_when_it_is_written_over() {
        let lent = vec![5; 3 * GRAIN];
        let mut board = Board::new(region(0, 0x100_0000), Region::EMPTY, Region::EMPTY, 0x100_0000);
        board.lend(0x8_0000, &lent).unwrap();
        assert!(board.lend(0x8_0000 + lent.len() - 1, &[1; 2]).is_none(), "that place is taken");
        assert_eq!(board.from(0x8_0010).unwrap().as_ptr(), lent[0x10..].as_ptr());
        // Right in front of it, and right behind it.
        for at in [0x8_0000 - 8, 0x8_0000 + lent.len()] {
            board.write(region(at, 8)).unwrap().fill(1);
            assert_eq!(board.read(region(at, 8)).unwrap(), [1; 8]);
        }
        board.copy(region(0x8_0000, 0x100), 0x20_0000).unwrap();
        assert_eq!(board.read(region(0x20_0000, 0x100)).unwrap(), [5; 0x100]);
        assert_eq!(board.from(0x8_0000).unwrap().as_ptr(), lent.as_ptr(), "still not copied");
        board.write(region(0x8_0000 + 8, 8)).unwrap().fill(2);
        let bytes = board.read(region(0x8_0000, lent.len())).unwrap();
        assert!(bytes[..8] == [5; 8] && bytes[8..16] == [2; 8] && bytes[16..].iter().all(|byte| *byte == 5));
    }

    #[test]
    fn only_ram_and_flash_are_read_and_never_the_loader() {
        let board = board();
        assert_eq!(board.from(0x1000).unwrap().len(), 0x800, "ends at the loader");
        assert_eq!(board.from(0x1900).unwrap().len(), 0x700);
        assert_eq!(board.from(0x8000).unwrap(), [7; 16]);
        assert_eq!(board.from(0x8010).unwrap(), [0xff; 0xf0], "erased behind its content");
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
    fn a_pair_of_which_one_is_empty_may_begin_inside_the_other() {
        let mut board = board();
        let (source, room) = board.pair(region(0x1002, 0), region(0x1000, 6)).unwrap();
        assert_eq!((source, &room[..]), (&b""[..], &b"abcdef"[..]));
        let (source, room) = board.pair(region(0x1000, 6), region(0x1002, 0)).unwrap();
        assert_eq!((source, &room[..]), (&b"abcdef"[..], &b""[..]));
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
