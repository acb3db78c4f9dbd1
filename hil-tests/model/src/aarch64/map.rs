//! The map from the tables in memory: where an access goes, and what may be in a map at all (Arm ARM, D8.3).

use super::memory::Memory;
use super::stop::{Level, Rule, Stop, broken};
use super::system::{C, M, System, WXN};
use super::tlb::{Entry, UNIT};
use crate::bus::Bus;

const NORMAL_WRITE_BACK: u8 = 0xff;
const NORMAL_UNCACHED: u8 = 0x44;

/// Where an access goes.
#[derive(Clone, Copy, Debug)]
pub struct Translation {
    /// The address behind it.
    pub physical: u64,
    /// By the data cache.
    pub cached: bool,
    /// Device memory.
    pub device: bool,
}

impl System {
    /// Where the access goes, and how.
    ///
    /// # Errors
    /// The map does not allow it.
    pub(super) fn translate(
        &mut self,
        memory: &Memory,
        bus: &mut impl Bus,
        at: u64,
        write: bool,
        fetch: bool,
    ) -> Result<Translation, Stop> {
        if self.sctlr & M == 0 {
            return Ok(Translation { physical: at, cached: false, device: true });
        }
        let unit = at >> UNIT;
        let kept = self.tlb.0[unit as usize % 64].filter(|entry| entry.unit == unit);
        let entry = match kept {
            Some(entry) => entry,
            None => {
                let (descriptor, left) = self.walk(memory, bus, at)?;
                let entry = Entry { unit, descriptor, left };
                // A page says nothing of the rest of its unit.
                if left >= UNIT {
                    self.tlb.0[unit as usize % 64] = Some(entry);
                }
                entry
            }
        };
        let Entry { descriptor, left, .. } = entry;
        let read_only = descriptor >> 7 & 1 != 0;
        let never_executed = descriptor >> 54 & 1 != 0 || self.level != Level::El2 && descriptor >> 53 & 1 != 0;
        let never_executed = never_executed || self.sctlr & WXN != 0 && !read_only;
        if write && read_only || fetch && never_executed {
            return broken(Rule::Translation, at);
        }
        let (device, cached) = self.kind(descriptor, at)?;
        let low = (1 << left) - 1;
        let physical = descriptor & 0xffff_ffff_f000 & !low | at & low;
        Ok(Translation { physical, cached: cached && self.sctlr & C != 0, device })
    }

    /// Whether it is device memory, and whether the data cache takes it.
    fn kind(&self, descriptor: u64, at: u64) -> Result<(bool, bool), Stop> {
        let attributes = self.regime.mair.to_le_bytes()[(descriptor >> 2 & 7) as usize];
        match attributes {
            0 | 4 | 8 | 12 => Ok((true, false)),
            NORMAL_WRITE_BACK => Ok((false, true)),
            NORMAL_UNCACHED => Ok((false, false)),
            _ => broken(Rule::Map, at),
        }
    }

    /// The level at which the tables begin, and how many bits of the address they translate.
    fn shape(&self) -> (u32, u32) {
        let bits = 64 - (self.regime.tcr & 63) as u32;
        (4 - bits.saturating_sub(12).div_ceil(9), bits)
    }

    /// The descriptor for an address, and how many bits of the address it leaves.
    fn walk(&self, memory: &Memory, bus: &mut impl Bus, at: u64) -> Result<(u64, u32), Stop> {
        let (first, bits) = self.shape();
        if bits > 48 || at >> bits != 0 {
            return broken(Rule::Translation, at);
        }
        let cached = self.regime.tcr >> 8 & 3 != 0;
        let mut table = self.regime.ttbr0 & 0xffff_ffff_ffe0;
        for level in first..4 {
            let left = 39 - 9 * level;
            let width = if level == first { bits - left } else { 9 };
            let index = at >> left & ((1 << width) - 1);
            let descriptor = memory.walk(bus, table + 8 * index, cached)?;
            match (descriptor & 3, level) {
                (3, 0..3) => table = descriptor & 0xffff_ffff_f000,
                (1, 1 | 2) | (3, 3) if descriptor >> 10 & 1 != 0 => return Ok((descriptor, left)),
                _ => return broken(Rule::Translation, at),
            }
        }
        broken(Rule::Translation, at)
    }

    /// Goes through the whole map: what the CPU may read by itself is RAM, and what is a device is never executed.
    pub(super) fn check_map(&self, memory: &Memory, bus: &mut impl Bus) -> Result<(), Stop> {
        let (_, bits) = self.shape();
        if bits > 48 {
            return broken(Rule::Map, self.regime.tcr);
        }
        let mut at = 0u64;
        while at >> bits == 0 {
            let left = match self.walk(memory, bus, at) {
                Ok((descriptor, left)) => {
                    let (device, _) = self.kind(descriptor, at)?;
                    let block = stoop_core::Region::new(at as usize, 1 << left);
                    let is_ram = block.is_some_and(|block| {
                        let is_kept = self.firmware.iter().any(|firmware| firmware.overlaps(&block));
                        !is_kept && self.ram.iter().any(|ram| ram.contains(&block))
                    });
                    let executed = descriptor >> 54 & 1 == 0;
                    if descriptor & 0xffff_ffff_f000 != at || !device && !is_ram || device && executed {
                        return broken(Rule::Map, at);
                    }
                    left
                }
                // Nothing is there. How much of nothing does not matter: smaller steps come to the same.
                Err(Stop::Broken { rule: Rule::Translation, .. }) => UNIT,
                Err(stop) => return Err(stop),
            };
            at += 1 << left;
        }
        Ok(())
    }
}
