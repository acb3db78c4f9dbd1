//! System registers, cache and TLB maintenance, and the map from the tables in memory (Arm ARM, C5 and D8).

use super::instructions::Registers;
use super::memory::Memory;
use super::stop::{Level, Rule, Stop, broken};
use crate::bus::Bus;

/// SCTLR: MMU, data cache, instruction cache, write implies execute-never.
const M: u64 = 1;
const C: u64 = 1 << 2;
const I: u64 = 1 << 12;
const WXN: u64 = 1 << 19;
/// HCR_EL2.E2H.
const E2H: u64 = 1 << 34;

/// Cortex-A53's: lines of 64 bytes, an instruction cache that looks virtual.
const CTR: u64 = 0x8444_8004;
/// Cortex-A53's: two levels, unified below the first.
const CLIDR: u64 = 0x0a20_0023;

/// Encodings op0, op1, CRn, CRm, op2 of a register, as in its instruction from bit 5 on.
const fn encoding(op0: u32, op1: u32, n: u32, m: u32, op2: u32) -> u32 {
    op0 << 14 | op1 << 11 | n << 7 | m << 3 | op2
}

/// What one exception level has of registers that make its view of memory.
#[derive(Clone, Copy, Default, Debug)]
struct Regime {
    sctlr: u64,
    ttbr0: u64,
    tcr: u64,
    mair: u64,
    vbar: u64,
}

/// The system registers of one core, for the level that it runs at.
pub struct System {
    level: Level,
    regime: Regime,
    /// At EL2: EL1's, which nothing uses.
    below: Regime,
    hcr: u64,
    /// DAIF, from bit 3 down.
    pub masked: u32,
    /// What the last ISB made of SCTLR.
    sctlr: u64,
    /// The registers of the map changed, and no TLBI is complete since.
    stale: bool,
    /// A TLBI is under way.
    invalidating: bool,
    /// The counter that programs see: instructions, divided.
    pub counter_shift: u32,
    tlb: Tlb,
    /// RAM of the board: what may be mapped as normal memory.
    pub ram: Vec<stoop_core::Region>,
    /// Parts of it that firmware protects: what may not be.
    pub firmware: Vec<stoop_core::Region>,
}

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
    /// As a bootloader leaves it for a kernel, but with some interrupts unmasked and what it used of the map.
    pub fn new(level: Level) -> System {
        let on_reset = if level == Level::El1 { 0x30d0_0800 } else { 0x30c5_0830 };
        let left = Regime { sctlr: on_reset, ttbr0: 0xbad_f000, tcr: 0x8081_3519, mair: 0xbad, vbar: 0xbad_0000 };
        System {
            level,
            regime: left,
            below: left,
            hcr: if level == Level::El2Host { E2H | 1 << 27 } else { 1 << 31 },
            masked: 0b1011,
            sctlr: on_reset,
            stale: true,
            invalidating: false,
            counter_shift: 3,
            tlb: Tlb::default(),
            ram: Vec::new(),
            firmware: Vec::new(),
        }
    }

    /// The level that it runs at.
    pub fn level(&self) -> Level {
        self.level
    }

    /// As a bootloader leaves it for `go`: caches and MMU on, with a table of level 1 at `table` of 512 entries.
    pub fn leave_on(&mut self, table: u64) {
        (self.regime.ttbr0, self.regime.mair) = (table, 0xff_44_00);
        // 39 bits of address; walks cached.
        self.regime.tcr =
            25 | 1 << 8 | 1 << 10 | 3 << 12 | if self.level == Level::El2 { 0x8082_0000 } else { 1 << 23 };
        self.regime.sctlr |= M | C | I;
        self.sctlr = self.regime.sctlr;
        self.stale = false;
    }

    /// MMU, data cache and instruction cache are on.
    pub fn on(&self) -> [bool; 3] {
        [M, C, I].map(|bit| self.sctlr & bit != 0)
    }

    pub(super) fn is_unsynchronised(&self) -> bool {
        self.sctlr != self.regime.sctlr
    }

    pub(super) fn fetches_by_cache(&self) -> bool {
        self.sctlr & I != 0
    }
}

/// Blocks and pages of the map are kept by units of this many bits.
const UNIT: u32 = 21;
const NORMAL_WRITE_BACK: u8 = 0xff;
const NORMAL_UNCACHED: u8 = 0x44;

/// A translation that the TLB keeps.
#[derive(Clone, Copy, Debug)]
struct Entry {
    unit: u64,
    /// Address and attributes of the descriptor, and how many bits of the address it leaves.
    descriptor: u64,
    left: u32,
}

/// The TLB: what was walked once stays until a TLBI.
#[derive(Clone, Debug)]
pub struct Tlb([Option<Entry>; 64]);

impl Default for Tlb {
    fn default() -> Self {
        Tlb([None; 64])
    }
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
    fn check_map(&self, memory: &Memory, bus: &mut impl Bus) -> Result<(), Stop> {
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

    /// The register of that encoding: `None` when it is none of those that make the map.
    fn register(&mut self, encoding: u32) -> Option<&mut u64> {
        let op1 = encoding >> 11 & 7;
        let regime = match (op1, self.level) {
            (0, Level::El1 | Level::El2Host) | (4, Level::El2 | Level::El2Host) => &mut self.regime,
            (0, Level::El2) | (5, Level::El2Host) => &mut self.below,
            _ => return None,
        };
        match encoding & !(7 << 11) {
            SCTLR => Some(&mut regime.sctlr),
            TTBR0 => Some(&mut regime.ttbr0),
            TCR => Some(&mut regime.tcr),
            MAIR => Some(&mut regime.mair),
            VBAR => Some(&mut regime.vbar),
            _ => None,
        }
    }

    fn read(&mut self, encoding: u32, count: u64) -> Option<u64> {
        Some(match encoding {
            CURRENT_EL => {
                if self.level == Level::El1 {
                    4
                } else {
                    8
                }
            }
            DAIF => u64::from(self.masked) << 6,
            CTR_EL0 => CTR,
            CLIDR_EL1 => CLIDR,
            CNTVCT_EL0 | CNTPCT_EL0 => count >> self.counter_shift,
            CNTFRQ_EL0 => 13_000_000,
            HCR_EL2 if self.level != Level::El1 => self.hcr,
            _ => *self.register(encoding)?,
        })
    }

    fn write(&mut self, encoding: u32, value: u64) -> Option<()> {
        let regime = self.regime;
        *self.register(encoding)? = value;
        let turned_off = regime.sctlr & M != 0 && self.regime.sctlr & M == 0;
        let same = (regime.ttbr0, regime.tcr, regime.mair) == (self.regime.ttbr0, self.regime.tcr, self.regime.mair);
        if turned_off || !same {
            (self.stale, self.invalidating) = (true, false);
        }
        Some(())
    }

    /// An instruction of the system class.
    pub(super) fn run(
        &mut self,
        memory: &mut Memory,
        bus: &mut impl Bus,
        registers: &mut Registers,
        word: u32,
        count: u64,
    ) -> Result<(), Stop> {
        let undefined = Stop::Undefined(word);
        let (name, t, reads) = (word >> 5 & 0xffff, word & 31, word >> 21 & 1 != 0);
        // Names of EL2 and EL3, and of EL1 behind EL2.
        if name >> 15 != 0 && name >> 11 & 4 != 0 && self.level == Level::El1 {
            return broken(Rule::Privilege, registers.pc);
        }
        match (name >> 14, reads) {
            (2 | 3, true) => registers.set(t, self.read(name, count).ok_or(undefined)?),
            (2 | 3, false) => self.write(name, registers.get(t)).ok_or(undefined)?,
            (1, false) => self.maintain(memory, bus, name, registers, t).ok_or(undefined)??,
            (0, false) if t == 31 => match (name & !(15 << 3), name >> 3 & 15) {
                // HINT: only WFI is more than nothing here.
                (HINT_WFI, 0) => return Err(Stop::Waits),
                (hint, _) if hint >> 7 == HINT => {}
                (DSB, _) => {
                    memory.complete(bus)?;
                    if std::mem::take(&mut self.invalidating) {
                        self.stale = false;
                        self.tlb = Tlb::default();
                    }
                }
                (DMB, _) => {}
                (ISB, _) => {
                    let was = std::mem::replace(&mut self.sctlr, self.regime.sctlr);
                    let was_on = was & M != 0;
                    if was & C != 0 && self.sctlr & C == 0 {
                        memory.speculate(bus)?;
                    }
                    if self.sctlr & M != 0 && !was_on {
                        if self.stale {
                            return broken(Rule::StaleTranslation, registers.pc);
                        }
                        self.check_map(memory, bus)?;
                    }
                    memory.refetch();
                }
                (DAIF_SET, mask) => self.masked |= mask,
                (DAIF_CLEAR, mask) => self.masked &= !mask,
                _ => return Err(undefined),
            },
            _ => return Err(undefined),
        }
        Ok(())
    }

    /// IC, DC, TLBI. `None` for what this core does not have: by set and way, for one, which is never enough.
    fn maintain(
        &mut self,
        memory: &mut Memory,
        bus: &mut impl Bus,
        name: u32,
        registers: &Registers,
        t: u32,
    ) -> Option<Result<(), Stop>> {
        match name {
            IC_IALLU | IC_IALLUIS => return Some(memory.invalidate_code(registers.pc)),
            DC_CVAC | DC_CVAU | DC_CIVAC => {
                let translated = self.translate(memory, bus, registers.get(t), false, false);
                return Some(translated.and_then(|to| memory.clean(bus, to.physical, name == DC_CIVAC)));
            }
            // While the MMU is not off yet it would be filled again.
            TLBI_VMALLE1 | TLBI_VMALLE1IS | TLBI_ALLE2 | TLBI_ALLE2IS if self.is_unsynchronised() => {
                return Some(broken(Rule::Unsynchronised, registers.pc));
            }
            TLBI_VMALLE1 | TLBI_VMALLE1IS if self.level == Level::El1 => self.invalidating = true,
            TLBI_ALLE2 | TLBI_ALLE2IS if self.level != Level::El1 => self.invalidating = true,
            // Of another regime.
            TLBI_VMALLE1 | TLBI_VMALLE1IS => {}
            _ => return None,
        }
        Some(Ok(()))
    }
}

const SCTLR: u32 = encoding(3, 0, 1, 0, 0);
const TTBR0: u32 = encoding(3, 0, 2, 0, 0);
const TCR: u32 = encoding(3, 0, 2, 0, 2);
const MAIR: u32 = encoding(3, 0, 10, 2, 0);
const VBAR: u32 = encoding(3, 0, 12, 0, 0);
const CURRENT_EL: u32 = encoding(3, 0, 4, 2, 2);
const DAIF: u32 = encoding(3, 3, 4, 2, 1);
const CTR_EL0: u32 = encoding(3, 3, 0, 0, 1);
const CLIDR_EL1: u32 = encoding(3, 1, 0, 0, 1);
const CNTFRQ_EL0: u32 = encoding(3, 3, 14, 0, 0);
const CNTPCT_EL0: u32 = encoding(3, 3, 14, 0, 1);
const CNTVCT_EL0: u32 = encoding(3, 3, 14, 0, 2);
const HCR_EL2: u32 = encoding(3, 4, 1, 1, 0);
const HINT: u32 = encoding(0, 3, 2, 0, 0) >> 7;
const HINT_WFI: u32 = encoding(0, 3, 2, 0, 3);
const DSB: u32 = encoding(0, 3, 3, 0, 4);
const DMB: u32 = encoding(0, 3, 3, 0, 5);
const ISB: u32 = encoding(0, 3, 3, 0, 6);
const DAIF_SET: u32 = encoding(0, 3, 4, 0, 6);
const DAIF_CLEAR: u32 = encoding(0, 3, 4, 0, 7);
const IC_IALLU: u32 = encoding(1, 0, 7, 5, 0);
const IC_IALLUIS: u32 = encoding(1, 0, 7, 1, 0);
const DC_CVAC: u32 = encoding(1, 3, 7, 10, 1);
const DC_CVAU: u32 = encoding(1, 3, 7, 11, 1);
const DC_CIVAC: u32 = encoding(1, 3, 7, 14, 1);
const TLBI_VMALLE1: u32 = encoding(1, 0, 8, 7, 0);
const TLBI_VMALLE1IS: u32 = encoding(1, 0, 8, 3, 0);
const TLBI_ALLE2: u32 = encoding(1, 4, 8, 7, 0);
const TLBI_ALLE2IS: u32 = encoding(1, 4, 8, 3, 0);
