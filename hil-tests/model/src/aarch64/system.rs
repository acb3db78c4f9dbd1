//! System registers, cache and TLB maintenance, and the map from the tables in memory (Arm ARM, C5 and D8).

use super::instructions::Registers;
use super::memory::Memory;
use super::stop::{Level, Rule, Stop, broken};
use super::tlb::Tlb;
use crate::bus::Bus;

/// SCTLR: MMU, data cache, instruction cache, write implies execute-never.
pub(super) const M: u64 = 1;
pub(super) const C: u64 = 1 << 2;
const I: u64 = 1 << 12;
pub(super) const WXN: u64 = 1 << 19;
/// HCR_EL2.E2H.
const E2H: u64 = 1 << 34;

/// Cortex-A53's: lines of 64 bytes, an instruction cache that looks virtual.
const CTR: u64 = 0x8444_8004;
/// Cortex-A53's: two levels, unified below the first.
const CLIDR: u64 = 0x0a20_0023;

/// Where the bootloader has its exception vectors.
pub(super) const VECTORS: u64 = 0xbad_0000;

/// Encodings op0, op1, CRn, CRm, op2 of a register, as in its instruction from bit 5 on.
const fn encoding(op0: u32, op1: u32, n: u32, m: u32, op2: u32) -> u32 {
    op0 << 14 | op1 << 11 | n << 7 | m << 3 | op2
}

/// What one exception level has of registers that make its view of memory.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Regime {
    pub(super) sctlr: u64,
    pub(super) ttbr0: u64,
    pub(super) tcr: u64,
    pub(super) mair: u64,
    pub(super) vbar: u64,
}

/// The system registers of one core, for the level that it runs at.
pub struct System {
    pub(super) level: Level,
    pub(super) regime: Regime,
    /// At EL2: EL1's, which nothing uses.
    below: Regime,
    hcr: u64,
    /// DAIF, from bit 3 down.
    pub masked: u32,
    /// What the last ISB made of SCTLR.
    pub(super) sctlr: u64,
    /// What it made of VBAR.
    pub(super) vbar: u64,
    /// PSTATE.SP is 0: the stack pointer is that of EL0, and exceptions take the first four vectors.
    pub stack_of_el0: bool,
    /// Exceptions that were taken.
    pub aborts: u32,
    /// The registers of the map changed, and no TLBI is complete since.
    stale: bool,
    /// A TLBI is under way.
    invalidating: bool,
    /// The counter that programs see: instructions, divided.
    pub counter_shift: u32,
    pub(super) tlb: Tlb,
    /// RAM of the board: what may be mapped as normal memory.
    pub ram: Vec<stoop_core::Region>,
    /// Parts of it that firmware protects: what may not be.
    pub firmware: Vec<stoop_core::Region>,
}

impl System {
    /// As a bootloader leaves it for a kernel, but with some interrupts unmasked and what it used of the map.
    pub fn new(level: Level) -> System {
        let on_reset = if level == Level::El1 { 0x30d0_0800 } else { 0x30c5_0830 };
        let left = Regime { sctlr: on_reset, ttbr0: 0xbad_f000, tcr: 0x8081_3519, mair: 0xbad, vbar: VECTORS };
        System {
            level,
            regime: left,
            below: left,
            hcr: if level == Level::El2Host { E2H | 1 << 27 } else { 1 << 31 },
            masked: 0b1011,
            sctlr: on_reset,
            vbar: left.vbar,
            stack_of_el0: false,
            aborts: 0,
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

impl System {
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
                    self.vbar = self.regime.vbar;
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
