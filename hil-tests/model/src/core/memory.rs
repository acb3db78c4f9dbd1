//! Loads, stores and fetches through the caches, and what they may not meet there.

use super::{Core, Fetch, NO_FETCH, Step, Stop};
use crate::bus::Bus;
use crate::check::Rule;

/// How the caches serve an address: the coherency attributes of its segment (MIPS32 PRA, Config.K0).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheAttribute {
    Uncached,
    /// Write-through; whether a store that misses fills a line.
    Through(bool),
    Back,
}

const PHYSICAL: u32 = 0x1fff_ffff;

impl Core {
    /// The attribute of a virtual address; an address error outside KSEG0 and KSEG1, since there is no TLB.
    #[inline]
    pub(super) fn attribute(&self, at: u32) -> Option<CacheAttribute> {
        match at >> 29 {
            4 => Some(match self.cp0[super::cp0::CONFIG] & 7 {
                2 | 7 => CacheAttribute::Uncached,
                0 => CacheAttribute::Through(false),
                1 => CacheAttribute::Through(true),
                _ => CacheAttribute::Back,
            }),
            5 => Some(CacheAttribute::Uncached),
            _ => None,
        }
    }

    pub(super) fn fetch(&mut self, pc: u32) -> Step<u32> {
        if pc & self.fetch.mask == self.fetch.base
            && let Some(cache) = &self.icache
        {
            let offset = (pc & !self.fetch.mask) as usize;
            return Ok(self.word(&cache.bytes(self.fetch.line)[offset..]));
        }
        self.fetch_line(pc)
    }

    fn word(&self, bytes: &[u8]) -> u32 {
        let bytes = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if self.machine.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn fetch_line(&mut self, pc: u32) -> Step<u32> {
        self.fetch = NO_FETCH;
        let address_error = Stop::Exception { code: 4, pc, at: pc };
        let attribute = self.attribute(pc).filter(|_| pc & 3 == 0).ok_or(address_error)?;
        let at = pc & PHYSICAL;
        if self.hazards & super::privileged::K0 != 0 && pc >> 29 == 4 {
            self.violate(Rule::HazardWithoutEhb, pc, pc);
        }
        if attribute == CacheAttribute::Uncached || self.icache.is_none() {
            let word = self.machine.read(at.into(), 4).map_err(|stray| self.bus(stray, pc))? as u32;
            self.check_fetched(pc, at, word);
            return Ok(word);
        }
        let Some(mut cache) = self.icache.take() else { return Err(Stop::Unknown { word: 0, pc }) };
        let line = match cache.find(at) {
            Some(line) => line,
            None => {
                let (line, base) = (cache.victim(at), cache.base(at));
                if self.unsynced.contains(&base) || self.unsynced_l2.contains(&base) {
                    self.violate(Rule::NoSync, pc, base);
                }
                let filled = self.read_below(base, cache.bytes_mut(line));
                if let Err(stray) = filled {
                    self.icache = Some(cache);
                    return Err(self.bus(stray, pc));
                }
                cache.fill(line, at);
                line
            }
        };
        let base = cache.base(at);
        let word = self.word(&cache.bytes(line)[cache.offset(at)..]);
        let size = cache.geometry().line as u32;
        let suspect = self.is_suspect(base, cache.bytes(line));
        self.icache = Some(cache);
        if suspect {
            self.check_fetched(pc, at, word);
        } else {
            self.fetch = Fetch { base: pc & !(size - 1), mask: !(size - 1), line };
        }
        Ok(word)
    }

    /// Something about these bytes of an instruction line may be wrong, so that each word has to be looked at.
    fn is_suspect(&self, base: u32, bytes: &[u8]) -> bool {
        let start = self.ram_word(base);
        let fresh = start.is_some_and(|start| {
            let words = &self.written[start..(start + bytes.len() / 4).min(self.written.len())];
            words.contains(&self.epoch)
        });
        fresh || self.newest_line(base, bytes.len()).is_none_or(|newest| newest != bytes)
    }

    fn check_fetched(&mut self, pc: u32, at: u32, word: u32) {
        let newest: Option<Vec<u8>> = self.seen(at, 4);
        if newest.is_some_and(|newest| self.word(&newest) != word) {
            self.violate(Rule::FetchOfOldCode, pc, at);
        }
        if self.ram_word(at).is_some_and(|word| self.written[word] == self.epoch) {
            self.violate(Rule::FetchWithoutBarrier, pc, at);
        }
    }

    /// The number of the word of RAM at a physical address.
    #[inline]
    fn ram_word(&self, at: u32) -> Option<usize> {
        let word = at.wrapping_sub(self.machine.ram_at.start() as u32) as usize / 4;
        (word < self.written.len()).then_some(word)
    }

    /// The newest bytes of a line: where the data cache has it dirty these, else L2's, else memory's.
    fn newest_line(&self, base: u32, size: usize) -> Option<&[u8]> {
        for cache in [&self.dcache, &self.l2].into_iter().flatten() {
            if let Some(line) = cache.find(base)
                && cache.is_dirty(line)
                && !self.garbage
                && size <= cache.geometry().line
            {
                let offset = cache.offset(base);
                return cache.bytes(line).get(offset..offset + size);
            }
        }
        self.machine.bytes(base.into(), size)
    }

    pub(super) fn newest_byte(&self, at: u32) -> Option<u8> {
        self.newest_line(at, 1).map(|bytes| bytes[0])
    }

    /// Reads a line for the first level.
    fn read_below(&mut self, base: u32, line: &mut [u8]) -> Result<(), crate::Stray> {
        let Some(mut l2) = self.l2.take() else { return self.machine.read_line(base.into(), line) };
        let done = self.l2_line(&mut l2, base, true).map(|number| {
            let offset = l2.offset(base);
            line.copy_from_slice(&l2.bytes(number)[offset..offset + line.len()]);
        });
        self.l2 = Some(l2);
        done
    }

    /// The line of L2 that holds `base`, filled from memory if `fill`.
    fn l2_line(&mut self, l2: &mut crate::cache::Cache, base: u32, fill: bool) -> Result<usize, crate::Stray> {
        if let Some(line) = l2.find(base) {
            return Ok(line);
        }
        let line = l2.victim(base);
        if let Some(old) = l2.holds(line)
            && l2.is_dirty(line)
        {
            self.machine.write_line(old.into(), l2.bytes(line))?;
        }
        if fill {
            self.machine.read_line(l2.base(base).into(), l2.bytes_mut(line))?;
        }
        l2.fill(line, base);
        Ok(line)
    }

    /// Writes a line of the first level back.
    pub(super) fn write_below(&mut self, base: u32, bytes: &[u8]) -> Result<(), crate::Stray> {
        let Some(mut l2) = self.l2.take() else { return self.machine.write_line(base.into(), bytes) };
        let whole = bytes.len() == l2.geometry().line;
        let done = self.l2_line(&mut l2, base, !whole).map(|number| {
            let offset = l2.offset(base);
            l2.bytes_mut(number)[offset..offset + bytes.len()].copy_from_slice(bytes);
            l2.soil(number);
        });
        self.l2 = Some(l2);
        done
    }

    /// The line of the data cache that holds `at`, filled when it misses.
    fn data_line(&mut self, at: u32, pc: u32) -> Step<usize> {
        let Some(cache) = &mut self.dcache else { return Err(Stop::Unknown { word: 0, pc }) };
        if let Some(line) = cache.find(at) {
            return Ok(line);
        }
        let (line, base) = (cache.victim(at), cache.base(at));
        let mut bytes = [0u8; 64];
        let bytes = &mut bytes[..cache.geometry().line];
        if let Some(old) = cache.holds(line)
            && cache.is_dirty(line)
        {
            bytes.copy_from_slice(cache.bytes(line));
            self.write_below(old, bytes).map_err(|stray| self.bus(stray, pc))?;
        }
        if self.unsynced.contains(&base) {
            // It comes back from where it went: the write buffer answers.
            self.unsynced.retain(|line| *line != base);
        }
        self.read_below(base, bytes).map_err(|stray| self.bus(stray, pc))?;
        if let Some(cache) = &mut self.dcache {
            cache.bytes_mut(line).copy_from_slice(bytes);
            cache.fill(line, at);
        }
        Ok(line)
    }

    fn aligned(&self, at: u32, width: u32, code: u32, pc: u32) -> Step<CacheAttribute> {
        let attribute = self.attribute(at).filter(|_| at & (width - 1) == 0);
        attribute.ok_or(Stop::Exception { code, pc, at })
    }

    #[inline]
    fn check_k0_hazard(&mut self, at: u32, pc: u32) {
        if self.hazards & super::privileged::K0 != 0 && at >> 29 == 4 {
            self.violate(Rule::HazardWithoutEhb, pc, at);
        }
    }

    /// Loads `width` bytes, zero-extended.
    #[inline]
    pub(super) fn load(&mut self, at: u32, width: u32, pc: u32) -> Step<u32> {
        let attribute = self.aligned(at, width, 4, pc)?;
        self.check_k0_hazard(at, pc);
        let physical = at & PHYSICAL;
        if attribute == CacheAttribute::Uncached || self.dcache.is_none() {
            self.check_uncached_load(physical, width, pc);
            let value = self.machine.read(physical.into(), width as u8);
            return value.map(|value| value as u32).map_err(|stray| self.bus(stray, pc));
        }
        let line = self.data_line(physical, pc)?;
        let Some(cache) = &self.dcache else { return Err(Stop::Unknown { word: 0, pc }) };
        let offset = cache.offset(physical);
        let bytes = &cache.bytes(line)[offset..offset + width as usize];
        let join = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
        let value = if self.machine.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) };
        if cache.is_stale(line)
            && !self.garbage
            && self.machine.bytes(physical.into(), width as usize).is_some_and(|memory| memory != bytes)
        {
            self.violate(Rule::LoadOfOldData, pc, physical);
        }
        Ok(value)
    }

    fn check_uncached_load(&mut self, at: u32, width: u32, pc: u32) {
        if self.ram_word(at).is_none() {
            return;
        }
        let newer = self
            .newest_line(at, width as usize)
            .is_some_and(|newest| self.machine.bytes(at.into(), width as usize).is_some_and(|memory| memory != newest));
        if newer {
            self.violate(Rule::UncachedLoadOfDirty, pc, at);
        }
        if !self.unsynced.is_empty() && self.unsynced.iter().any(|line| at & !31 == line & !31) {
            self.violate(Rule::NoSync, pc, at);
        }
    }

    /// Stores the low `width` bytes.
    #[inline]
    pub(super) fn store(&mut self, at: u32, width: u32, value: u32, pc: u32) -> Step {
        let attribute = self.aligned(at, width, 5, pc)?;
        self.check_k0_hazard(at, pc);
        self.count_reads = 0;
        self.linked = false;
        let physical = at & PHYSICAL;
        if let Some(word) = self.ram_word(physical) {
            if self.written[word] == 0 {
                self.first_store(physical, pc);
            }
            self.written[word] = self.epoch;
        }
        if attribute == CacheAttribute::Uncached || self.dcache.is_none() {
            self.check_uncached_store(physical, pc);
            return self.machine.write(physical.into(), width as u8, value.into()).map_err(|stray| self.bus(stray, pc));
        }
        if attribute != CacheAttribute::Back {
            return self.store_through(physical, width, value, attribute == CacheAttribute::Through(true), pc);
        }
        let line = self.data_line(physical, pc)?;
        self.put_in_line(line, physical, width, value);
        if let Some(cache) = &mut self.dcache {
            cache.soil(line);
        }
        Ok(())
    }

    fn put_in_line(&mut self, line: usize, at: u32, width: u32, value: u32) {
        let (big_endian, width) = (self.machine.big_endian, width as usize);
        if let Some(cache) = &mut self.dcache {
            let offset = cache.offset(at);
            let room = &mut cache.bytes_mut(line)[offset..offset + width];
            match big_endian {
                true => room.copy_from_slice(&value.to_be_bytes()[4 - width..]),
                false => room.copy_from_slice(&value.to_le_bytes()[..width]),
            }
        }
    }

    fn store_through(&mut self, at: u32, width: u32, value: u32, allocates: bool, pc: u32) -> Step {
        let line = match self.dcache.as_ref().and_then(|cache| cache.find(at)) {
            None if allocates => Some(self.data_line(at, pc)?),
            found => found,
        };
        if let Some(line) = line {
            self.put_in_line(line, at, width, value);
        }
        // L2 is write-back for itself: what goes through the first level stays in it.
        if self.l2.is_some() {
            let size = self.cpu.l2.map_or(32, |geometry| geometry.line);
            let (base, mut bytes) = (at & !(size as u32 - 1), [0u8; 64]);
            self.read_below(base, &mut bytes[..size]).map_err(|stray| self.bus(stray, pc))?;
            let (offset, width) = ((at - base) as usize, width as usize);
            match self.machine.big_endian {
                true => bytes[offset..offset + width].copy_from_slice(&value.to_be_bytes()[4 - width..]),
                false => bytes[offset..offset + width].copy_from_slice(&value.to_le_bytes()[..width]),
            }
            return self.write_below(base, &bytes[..size]).map_err(|stray| self.bus(stray, pc));
        }
        self.machine.write(at.into(), width as u8, value.into()).map_err(|stray| self.bus(stray, pc))
    }

    fn check_uncached_store(&mut self, at: u32, pc: u32) {
        if self.ram_word(at).is_none() || self.garbage {
            return;
        }
        let mut under = false;
        for cache in [&mut self.dcache, &mut self.l2].into_iter().flatten() {
            if let Some(line) = cache.find(at) {
                under |= cache.is_dirty(line);
                cache.mark_stale(line);
            }
        }
        if under {
            self.violate(Rule::UncachedStoreUnderCache, pc, at);
        }
    }

    /// The first store to a word.
    fn first_store(&mut self, at: u32, pc: u32) {
        self.stores += 1;
        let inside = |ranges: &[std::ops::Range<u32>]| ranges.iter().any(|range| range.contains(&at));
        let rule = match inside(&self.bootloader) {
            true => Rule::StoreToBootloader,
            false if self.layout.is_empty() || inside(&self.layout) => return,
            false => Rule::StoreOutsideLayout,
        };
        let word = at & !3;
        self.outside.push((word, pc, rule, self.seen(word, 4)));
    }
}
