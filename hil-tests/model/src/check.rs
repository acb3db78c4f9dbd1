//! What a program may not do on real hardware, by name. A violation does not stop the run: what follows from it is seen, too.

use std::fmt;

/// A rule.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// An instruction came from the instruction cache or memory, and something newer is in the data cache, L2 or memory.
    FetchOfOldCode,
    /// An instruction was written since the last `jr.hb`, `jalr.hb` or `eret` (MIPS32 PRA volume III, instruction hazards).
    FetchWithoutBarrier,
    /// An uncached load of bytes that are newer in a cache.
    UncachedLoadOfDirty,
    /// An uncached store to a line that a cache holds.
    UncachedStoreUnderCache,
    /// A cached load of a line that memory has newer.
    LoadOfOldData,
    /// At the jump to the kernel a line is not in memory yet.
    DirtyAtHandoff,
    /// A write-back by index of a tag that nobody has initialised: it writes anything anywhere.
    WritebackOfGarbage,
    /// Config.K0 was changed by code that runs in KSEG0.
    K0UnderRunningCode,
    /// Config.K0 is not the coherent attribute, and the core is one of several.
    K0NotCoherent,
    /// Config.K0 was changed and lines of the old attribute were dirty.
    K0OverDirty,
    /// What a CP0 register tells was used without `ehb` behind its `mtc0`.
    HazardWithoutEhb,
    /// EBase was written while Status.BEV was 0.
    EbaseWithoutBev,
    /// What was written back was used without `sync`.
    NoSync,
    /// An operation on a cache that the core does not have.
    NoSuchCache,
    /// What the bootloader still needs, or its part of RAM, is not as it was.
    StoreToBootloader,
    /// RAM outside everything that the image was laid out for is not as it was.
    StoreOutsideLayout,
    /// A branch in the delay slot of another.
    BranchInDelaySlot,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// A rule that was broken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Violation {
    /// Which.
    pub rule: Rule,
    /// By which instruction.
    pub pc: u32,
    /// At which physical address, or which register.
    pub at: u32,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at 0x{:08x}, pc 0x{:08x}", self.rule, self.at, self.pc)
    }
}

/// Violations, each rule and instruction once.
#[derive(Clone, Default, Debug)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Most of them that are kept.
    const MOST: usize = 64;

    /// Adds one.
    pub fn add(&mut self, rule: Rule, pc: u32, at: u32) {
        if self.0.len() < Self::MOST && !self.0.iter().any(|known| known.rule == rule && known.pc == pc) {
            self.0.push(Violation { rule, pc, at });
        }
    }

    /// In the order of time.
    pub fn all(&self) -> &[Violation] {
        &self.0
    }
}
