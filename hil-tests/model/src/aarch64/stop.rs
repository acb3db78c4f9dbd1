//! Why a core stops, and on which exception level it runs.

use std::fmt;

use crate::bus::Stray;

/// Why the core stops.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// An instruction that this core does not have.
    Undefined(u32),
    /// Nothing on the board answers.
    Stray(Stray),
    /// The code relies on what is not so on every board.
    Broken {
        /// Which rule.
        rule: Rule,
        /// The address that it is about.
        at: u64,
    },
    /// WFI with every interrupt masked: it waits for good.
    Waits,
    /// A call of the firmware, SMC or HVC, with this function in w0.
    Calls(u32),
}

/// What code must not do. The names are those of `docs/proof.md`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rule {
    /// No access past the cache to a line that is dirty in it.
    PastDirty,
    /// No access by the cache to a line that differs from memory, and is not dirty.
    StaleData,
    /// No instruction from a line that is dirty in the data cache.
    FetchOfDirty,
    /// No instruction from a line of the instruction cache that differs from memory.
    StaleCode,
    /// No map without an invalidated TLB behind the last change of the registers that make it.
    StaleTranslation,
    /// Accesses are aligned where memory is device memory.
    Alignment,
    /// No access to memory and no TLBI between a write of SCTLR and the ISB behind it; no exception between one of VBAR and its ISB.
    Unsynchronised,
    /// DC is complete, by DSB, before IC.
    IcBeforeDsb,
    /// No address without a translation, no write to what is read-only, no instruction from what is not executable.
    Translation,
    /// Normal memory is RAM of the board and nothing else; devices are not executable.
    Map,
    /// No register of a higher exception level.
    Privilege,
    /// No store to RAM that is not the image's by its header: a few words of nobody's may be tried, and are put back.
    StoreOutside,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Undefined(word) => write!(f, "an instruction that is not known: 0x{word:08x}"),
            Stop::Stray(stray) => stray.fmt(f),
            Stop::Broken { rule, at } => write!(f, "{rule:?} at 0x{at:x}"),
            Stop::Calls(function) => write!(f, "a call of the firmware, 0x{function:x}"),
            Stop::Waits => f.write_str("it waits for an interrupt that cannot come"),
        }
    }
}

impl From<Stray> for Stop {
    fn from(stray: Stray) -> Stop {
        Stop::Stray(stray)
    }
}

pub(super) fn broken<T>(rule: Rule, at: u64) -> Result<T, Stop> {
    Err(Stop::Broken { rule, at })
}

/// The exception level, and what hypervisors make of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Under a hypervisor, or a secure monitor that hands out nothing more.
    El1,
    /// As most bootloaders run.
    El2,
    /// EL2 with HCR_EL2.E2H: the names of EL1's registers mean those of EL2.
    El2Host,
}
