//! CP0, CACHE, SYNC and the barriers.

use super::{CAUSE_DC, Core, LEAP, NO_FETCH, PATIENCE, Step, Stop, cp0};
use crate::check::Rule;

/// Hazards that wait for `ehb`: Config.K0.
pub(super) const K0: u32 = 1;
/// TagLo, TagHi, ErrCtl.
const TAGS: u32 = 2;
/// Anything else.
const OTHER: u32 = 4;

impl Core {
    pub(super) fn mfc0(&mut self, number: usize, word: u32, pc: u32) -> Step<u32> {
        match number {
            cp0::COUNT => {
                self.count_reads += 1;
                if self.count_reads > PATIENCE && self.stopped_count.is_none() {
                    // Somebody waits: let it be soon.
                    self.machine.skip(LEAP * self.instructions_per_tick);
                }
                Ok(self.count())
            }
            cp0::STATUS
            | cp0::CAUSE
            | cp0::PRID
            | cp0::EBASE
            | cp0::TAG_LO
            | cp0::DTAG_LO
            | cp0::STAG_LO
            | cp0::TAG_HI
            | cp0::ERR_CTL
            | 128..=131 => Ok(self.cp0[number]),
            // Index to PageMask, Wired, HWREna, BadVAddr, EntryHi, Compare, EPC, Config7, watch and error registers.
            0..=112 | 135 | 144 | 152 | 240 => Ok(self.cp0[number]),
            _ => Err(Stop::Unknown { word, pc }),
        }
    }

    pub(super) fn mtc0(&mut self, number: usize, value: u32, word: u32, pc: u32) -> Step {
        match number {
            cp0::STATUS => {
                self.cp0[number] = value;
                self.hazards |= OTHER;
            }
            cp0::CAUSE => {
                const WRITABLE: u32 = CAUSE_DC | 1 << 23 | 1 << 22 | 3 << 8;
                let running = self.count();
                self.cp0[number] = self.cp0[number] & !WRITABLE | value & WRITABLE;
                self.stop_count(running);
                self.hazards |= OTHER;
            }
            cp0::EBASE => {
                if self.cp0[cp0::STATUS] & 1 << 22 == 0 {
                    self.violate(Rule::EbaseWithoutBev, pc, value);
                }
                self.cp0[number] = 0x8000_0000 | value & 0x3fff_f000;
                self.hazards |= OTHER;
            }
            cp0::CONFIG => {
                let old = self.cp0[number];
                self.cp0[number] = old & !7 | value & 7;
                if old & 7 != value & 7 {
                    self.change_k0(old & 7, value & 7, pc);
                }
                self.hazards |= K0;
            }
            cp0::TAG_LO | cp0::DTAG_LO | cp0::STAG_LO | cp0::TAG_HI | cp0::ERR_CTL => {
                self.cp0[number] = value;
                self.hazards |= TAGS;
            }
            cp0::COUNT | 88 | 112 | 144 | 152 => {
                self.cp0[number] = value;
                self.hazards |= OTHER;
            }
            _ => return Err(Stop::Unknown { word, pc }),
        }
        Ok(())
    }

    /// Sets Cause.DC: CP0 Count stands still from now on.
    pub fn stop_counting(&mut self) {
        let now = self.count();
        self.cp0[cp0::CAUSE] |= CAUSE_DC;
        self.stop_count(now);
    }

    fn stop_count(&mut self, now: u32) {
        self.stopped_count = (self.cp0[cp0::CAUSE] & CAUSE_DC != 0).then_some(now);
    }

    fn change_k0(&mut self, old: u32, new: u32, pc: u32) {
        self.fetch = NO_FETCH;
        if pc >> 29 == 4 {
            self.violate(Rule::K0UnderRunningCode, pc, new);
        }
        if self.cpu.coherent && new != 5 && new != 2 {
            self.violate(Rule::K0NotCoherent, pc, new);
        }
        let dirty = self.dcache.as_ref().and_then(|cache| cache.dirty().next());
        if let Some(at) = dirty
            && old != 2
            && new == 2
            && !self.garbage
        {
            self.violate(Rule::K0OverDirty, pc, at);
        }
    }

    /// `ehb`.
    pub(super) fn execution_barrier(&mut self) {
        self.hazards = 0;
    }

    /// `jr.hb`, `jalr.hb`, `eret`.
    pub(super) fn instruction_barrier(&mut self) {
        self.hazards = 0;
        self.epoch += 1;
        self.fetch = NO_FETCH;
    }

    pub(super) fn sync(&mut self) {
        self.unsynced.clear();
        self.unsynced_l2.clear();
    }

    /// CACHE: the low two bits name the cache, the upper three the operation.
    pub(super) fn cache(&mut self, operation: u32, at: u32, word: u32, pc: u32) -> Step {
        if self.attribute(at).is_none() {
            return Err(Stop::Exception { code: 4, pc, at });
        }
        if self.hazards & TAGS != 0 {
            self.violate(Rule::HazardWithoutEhb, pc, self.hazards);
        }
        let (which, operation) = (operation & 3, operation >> 2);
        let slot = match which {
            0 => &mut self.icache,
            1 => &mut self.dcache,
            3 => &mut self.l2,
            _ => return Err(Stop::Unknown { word, pc }),
        };
        let Some(mut cache) = slot.take() else {
            self.violate(Rule::NoSuchCache, pc, at);
            return Ok(());
        };
        let done = self.operate(&mut cache, which, operation, at, word, pc);
        match which {
            0 => self.icache = Some(cache),
            1 => self.dcache = Some(cache),
            _ => self.l2 = Some(cache),
        }
        if which == 0 {
            self.fetch = NO_FETCH;
        }
        done
    }

    fn operate(
        &mut self,
        cache: &mut crate::cache::Cache,
        which: u32,
        operation: u32,
        at: u32,
        word: u32,
        pc: u32,
    ) -> Step {
        let physical = at & 0x1fff_ffff;
        let by_index = operation < 4;
        let line = if by_index { Some(cache.indexed(at)) } else { cache.find(physical) };
        if which == 3 && by_index && operation == 0 && !self.unsynced.is_empty() {
            let waiting = self.unsynced[0];
            self.violate(Rule::NoSync, pc, waiting);
        }
        let tag = match which {
            0 => cp0::TAG_LO,
            // Cores with one TagLo for both have no DTagLo; ours has both, as the 24K has.
            1 => cp0::DTAG_LO,
            _ => cp0::STAG_LO,
        };
        match (which, operation) {
            // Invalidate, the data caches write back first; hit operations the same.
            (_, 0) | (1 | 3, 5) => {
                let Some(line) = line else { return Ok(()) };
                self.write_back(cache, which, line, by_index, pc)?;
                cache.drop_line(line);
            }
            (0 | 1 | 3, 4) => {
                let Some(line) = line else { return Ok(()) };
                cache.drop_line(line);
            }
            (1 | 3, 6) => {
                let Some(line) = line else { return Ok(()) };
                self.write_back(cache, which, line, by_index, pc)?;
                cache.clean(line);
            }
            (_, 2) => {
                let Some(line) = line else { return Ok(()) };
                if self.cp0[tag] != 0 || self.cp0[cp0::TAG_LO] != 0 {
                    return Err(Stop::Unknown { word, pc });
                }
                cache.drop_line(line);
                self.initialised(which);
            }
            _ => return Err(Stop::Unknown { word, pc }),
        }
        Ok(())
    }

    fn write_back(
        &mut self,
        cache: &mut crate::cache::Cache,
        which: u32,
        line: usize,
        by_index: bool,
        pc: u32,
    ) -> Step {
        let Some(base) = cache.holds(line).filter(|_| which != 0 && cache.is_dirty(line)) else { return Ok(()) };
        if self.garbage && by_index {
            self.violate(Rule::WritebackOfGarbage, pc, base);
        }
        let done = match which {
            1 => self.write_below(base, cache.bytes(line)),
            _ => crate::bus::Bus::write_line(&mut self.machine, base.into(), cache.bytes(line)),
        };
        done.map_err(|stray| Stop::Bus { stray, pc })?;
        if which == 1 { &mut self.unsynced } else { &mut self.unsynced_l2 }.push(base);
        Ok(())
    }

    /// The tags of a cache were stored one by one; once all are, they are no garbage any more.
    fn initialised(&mut self, which: u32) {
        if !self.garbage || which == 0 {
            return;
        }
        let clean = |cache: &Option<crate::cache::Cache>| {
            cache.as_ref().is_none_or(|cache| (0..cache.geometry().lines()).all(|line| cache.holds(line).is_none()))
        };
        if clean(&self.dcache) && clean(&self.l2) {
            self.garbage = false;
        }
    }
}
