//! The board's memory as a core sees it, through its caches.

use super::cache::{Cache, LINE};
use super::stop::{Rule, Stop, broken};
use crate::bus::Bus;
use crate::record::trace::Access;
use stoop_core::Region;

/// Caches, and what is under way.
pub struct Memory {
    /// The data cache, down to the point of coherency.
    pub data: Cache,
    /// The instruction cache.
    pub code: Cache,
    /// Data accesses of the instruction that runs, for those who compare.
    pub accesses: Option<Vec<Access>>,
    /// RAM, and what of it the program may write.
    pub fence: Option<[Region; 2]>,
    /// What of RAM is the firmware's: no store at all.
    pub kept: Vec<Region>,
    /// Lines of RAM outside the image's, the bootloader's among them, that were written to, and what they held before: they must get it back.
    pub borrowed: Vec<(u64, [u8; LINE])>,
    /// Lines to be written back, and whether they are to be dropped, by the next DSB.
    pub(super) under_way: Vec<(u64, bool)>,
    /// Instructions come from this line: checked when it was entered.
    pub(super) current: (u64, [u8; LINE]),
}

/// Lines of RAM outside the image's that may be tried.
const BORROWED: usize = 40;

/// Lines that the data cache fills by itself before it is turned off.
const SPECULATED: usize = 4096;

/// The line that holds the byte at `at`.
pub(super) fn line_of(at: u64) -> u64 {
    at & !(LINE as u64 - 1)
}

impl Memory {
    /// A store to RAM that is not the image's.
    pub(super) fn borrow(&mut self, bus: &mut impl Bus, at: u64, place: Region) -> Result<(), Stop> {
        let line = line_of(at);
        if self.kept.iter().any(|kept| kept.overlaps(&place)) || self.borrowed.len() == BORROWED {
            return broken(Rule::StoreOutside, at);
        }
        if !self.borrowed.iter().any(|(known, _)| *known == line) {
            let mut bytes = [0; LINE];
            bus.read_line(line, &mut bytes)?;
            if let Some(held) = self.data.find(line) {
                bytes = held.bytes;
            }
            self.borrowed.push((line, bytes));
        }
        Ok(())
    }

    /// An aligned access: it lies in one line.
    pub(super) fn part(
        &mut self,
        bus: &mut impl Bus,
        at: u64,
        size: usize,
        value: Option<u64>,
        cached: bool,
    ) -> Result<u64, Stop> {
        let line = line_of(at);
        if !cached {
            if self.data.find(line).is_some_and(|line| line.dirty) {
                return broken(Rule::PastDirty, at);
            }
            return match value {
                None => Ok(bus.read(at, size as u8)?),
                Some(value) => Ok(bus.write(at, size as u8, value).map(|()| value)?),
            };
        }
        let mut memory = [0; LINE];
        if self.data.find(line).is_none() {
            bus.read_line(line, &mut memory)?;
            if let Some((old, bytes)) = self.data.put(line, memory, false) {
                bus.write_line(old, &bytes)?;
            }
        }
        let offset = (at - line) as usize;
        let Some(held) = self.data.find_mut(line) else { return broken(Rule::StaleData, at) };
        let place = &mut held.bytes[offset..offset + size];
        match value {
            Some(value) => {
                place.copy_from_slice(&value.to_le_bytes()[..size]);
                held.dirty = true;
                Ok(value)
            }
            None => {
                let mut bytes = [0; 8];
                bytes[..size].copy_from_slice(place);
                let read = u64::from_le_bytes(bytes);
                if !held.dirty && bus.read(at, size as u8)? != read {
                    return broken(Rule::StaleData, at);
                }
                Ok(read)
            }
        }
    }

    /// DC CVAC, CVAU, CIVAC by physical address: done at the next DSB, not before. Only RAM has lines.
    pub(super) fn clean(&mut self, bus: &mut impl Bus, at: u64, drop: bool) -> Result<(), Stop> {
        bus.read_line(line_of(at), &mut [0; LINE])?;
        self.under_way.push((line_of(at), drop));
        Ok(())
    }

    /// DSB: what is under way is complete.
    pub(super) fn complete(&mut self, bus: &mut impl Bus) -> Result<(), Stop> {
        for (line, drop) in std::mem::take(&mut self.under_way) {
            if let Some(held) = self.data.find_mut(line) {
                if held.dirty {
                    bus.write_line(line, &held.bytes)?;
                    held.dirty = false;
                }
                if drop {
                    self.data.take(line);
                }
            }
        }
        Ok(())
    }

    /// As long as the data cache is on, it may fill lines by itself with anything that is mapped as normal memory.
    pub(super) fn speculate(&mut self, bus: &mut impl Bus) -> Result<(), Stop> {
        let Some([_, own]) = self.fence else { return Ok(()) };
        let lines = own.size() / LINE;
        for number in 0..SPECULATED.min(lines) {
            // A prime: lines from everywhere.
            let at = line_of((own.start() + number * 7919 % lines * LINE) as u64);
            if self.data.find(at).is_none() && at >= own.start() as u64 {
                let mut bytes = [0; LINE];
                bus.read_line(at, &mut bytes)?;
                if let Some((old, bytes)) = self.data.put(at, bytes, false) {
                    bus.write_line(old, &bytes)?;
                }
            }
        }
        Ok(())
    }

    /// IC IALLU.
    pub(super) fn invalidate_code(&mut self, at: u64) -> Result<(), Stop> {
        if !self.under_way.is_empty() {
            return broken(Rule::IcBeforeDsb, at);
        }
        self.code.clear();
        Ok(())
    }

    /// Eight bytes of a table of the map, as the MMU reads them: by the cache, or past it.
    pub(super) fn walk(&self, bus: &mut impl Bus, at: u64, cached: bool) -> Result<u64, Stop> {
        match self.data.find(line_of(at)) {
            Some(line) if cached => {
                let place = line.bytes[(at - line_of(at)) as usize..].first_chunk();
                Ok(place.copied().map_or(0, u64::from_le_bytes))
            }
            Some(line) if line.dirty => broken(Rule::PastDirty, at),
            _ => Ok(bus.read(at, 8)?),
        }
    }

    /// The next instruction is fetched anew.
    pub(super) fn refetch(&mut self) {
        self.current.0 = u64::MAX;
    }
}
