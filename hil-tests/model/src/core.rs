//! A MIPS32 release 2 core without TLB, floating point and interrupts, whose caches hold what they hold.
//!
//! From "MIPS32 Architecture For Programmers", volumes II (instructions) and III (privileged resources), and the software
//! user's manuals of the 4KEc, 24K, 74K and 1004K families. What it does not know it does not guess: it stops with [`Stop`].

use std::fmt;
use std::ops::Range;

use crate::bus::Stray;
use crate::cache::Cache;
use crate::check::{Rule, Violations};
use crate::cpu::Cpu;
use crate::machine::Machine;

mod execute;
mod memory;
mod privileged;

/// Why a core went no further.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stop {
    /// An instruction that it does not know, or may not be executed.
    Unknown {
        /// The instruction.
        word: u32,
        /// Where it is.
        pc: u32,
    },
    /// An exception, by its code in Cause (4 address error on load, 5 on store, 8 syscall, 9 break, 12 overflow, 13 trap).
    Exception {
        /// Its code.
        code: u32,
        /// The instruction.
        pc: u32,
        /// The address that was used.
        at: u32,
    },
    /// An access that the board does not have.
    Bus {
        /// The access.
        stray: Stray,
        /// The instruction.
        pc: u32,
    },
    /// `sdbbp`: how the programs of the tests say that they have arrived.
    Arrived {
        /// The instruction.
        pc: u32,
    },
    /// The board was reset, by its register or its watchdog.
    Reset,
    /// [`Core::halt_at`] was reached.
    Halted,
    /// Too many instructions.
    Endless {
        /// The next instruction.
        pc: u32,
    },
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Unknown { word, pc } => write!(f, "an unknown instruction 0x{word:08x}, pc 0x{pc:08x}"),
            Stop::Exception { code, pc, at } => write!(f, "exception {code} at 0x{at:08x}, pc 0x{pc:08x}"),
            Stop::Bus { stray, pc } => write!(f, "{stray}, pc 0x{pc:08x}"),
            Stop::Arrived { pc } => write!(f, "sdbbp at 0x{pc:08x}"),
            Stop::Reset => f.write_str("a reset"),
            Stop::Halted => f.write_str("the address to halt at"),
            Stop::Endless { pc } => write!(f, "no end, pc 0x{pc:08x}"),
        }
    }
}

/// What happened, if it was not the next instruction.
pub type Step<T = ()> = Result<T, Stop>;

/// CP0 registers by name, as [`Core::cp0`] numbers them: eight selects each.
pub mod cp0 {
    /// Cycles / 2.
    pub const COUNT: usize = 9 * 8;
    /// Modes and interrupt masks.
    pub const STATUS: usize = 12 * 8;
    /// Exceptions; DC stops Count.
    pub const CAUSE: usize = 13 * 8;
    /// Processor identification.
    pub const PRID: usize = 15 * 8;
    /// Where the exception vectors are.
    pub const EBASE: usize = 15 * 8 + 1;
    /// K0 and what the core is.
    pub const CONFIG: usize = 16 * 8;
    /// Tags for and from CACHE.
    pub const TAG_LO: usize = 28 * 8;
    /// Tags of the data cache.
    pub const DTAG_LO: usize = 28 * 8 + 2;
    /// Tags of the second level.
    pub const STAG_LO: usize = 28 * 8 + 4;
    /// Tags for CACHE, high.
    pub const TAG_HI: usize = 29 * 8;
    /// Which RAM CACHE means.
    pub const ERR_CTL: usize = 26 * 8;
}

/// Cause.DC: Count does not count.
pub const CAUSE_DC: u32 = 1 << 27;

/// A core with its board.
#[derive(Clone, Debug)]
pub struct Core {
    /// The general registers.
    pub r: [u32; 32],
    /// The high half of products.
    pub hi: u32,
    /// The low half of products.
    pub lo: u32,
    /// The next instruction.
    pub pc: u32,
    /// The one behind it: a branch's target while its delay slot is next.
    pub next: u32,
    /// CP0 registers, eight selects each.
    pub cp0: [u32; 256],
    /// What it is.
    pub cpu: Cpu,
    /// The board.
    pub machine: Machine,
    /// The instruction cache.
    pub icache: Option<Cache>,
    /// The data cache.
    pub dcache: Option<Cache>,
    /// The second level.
    pub l2: Option<Cache>,
    /// Nobody has initialised the caches' tags.
    pub garbage: bool,
    /// What was done that must not be.
    pub violations: Violations,
    /// RAM that nobody may write to: what the bootloader needs.
    pub bootloader: Vec<Range<u32>>,
    /// RAM that the image may write to; empty: anything that is not the bootloader's.
    pub layout: Vec<Range<u32>>,
    /// Stops before the instruction at this virtual address.
    pub halt_at: u32,
    /// Where a function begins that only waits, for so many nanoseconds as a0 has: it returns at once, and the time passes.
    pub wait_at: u32,
    /// Instructions of a tick of Count.
    pub instructions_per_tick: u64,
    /// For each word of RAM the barrier's number when it was last written; 0 never.
    written: Vec<u32>,
    epoch: u32,
    /// Words that were written.
    stores: usize,
    /// Stores outside the layout: where, by which instruction, against which rule, and what was there.
    outside: Vec<(u32, u32, Rule, Option<Vec<u8>>)>,
    /// Reads of Count since anything was stored.
    count_reads: u32,
    stopped_count: Option<u32>,
    /// CP0 registers written without `ehb` since.
    hazards: u32,
    /// Lines that the data cache has written back, and those that L2 has, without `sync` since.
    unsynced: Vec<u32>,
    unsynced_l2: Vec<u32>,
    /// `ll` was executed and nothing else.
    linked: bool,
    in_delay_slot: bool,
    fetch: Fetch,
}

/// Where instructions come from until the line ends.
#[derive(Clone, Copy, Debug)]
struct Fetch {
    /// Virtual; 1 when it is to be found out.
    base: u32,
    mask: u32,
    line: usize,
}

const NO_FETCH: Fetch = Fetch { base: 1, mask: !0, line: 0 };

/// Instructions of a turn of that loop, which is to take 16 nanoseconds.
const WAIT: u64 = 8;
/// Reads of Count in a row after which waiting is made short.
const PATIENCE: u32 = 64;
/// Ticks that each further read skips.
const LEAP: u64 = 100_000;

impl Core {
    /// A core at reset's values that has not run, Config.K0 as given, caches empty.
    pub fn new(cpu: Cpu, machine: Machine, k0: u32) -> Core {
        let words = machine.ram.len() / 4;
        let mut core = Core {
            r: [0; 32],
            hi: 0,
            lo: 0,
            pc: 0,
            next: 4,
            cp0: [0; 256],
            cpu,
            icache: cpu.icache.map(Cache::new),
            dcache: cpu.dcache.map(Cache::new),
            l2: cpu.l2.map(Cache::new),
            garbage: false,
            violations: Violations::default(),
            bootloader: Vec::new(),
            layout: Vec::new(),
            halt_at: 1,
            wait_at: 1,
            instructions_per_tick: 2,
            written: vec![0; words],
            epoch: 1,
            stores: 0,
            outside: Vec::new(),
            count_reads: 0,
            stopped_count: None,
            hazards: 0,
            unsynced: Vec::new(),
            unsynced_l2: Vec::new(),
            linked: false,
            in_delay_slot: false,
            fetch: NO_FETCH,
            machine,
        };
        core.cp0[cp0::CONFIG] = cpu.config(core.machine.big_endian, k0);
        core.cp0[cp0::CONFIG + 1] = cpu.config1();
        core.cp0[cp0::CONFIG + 2] = cpu.config2();
        core.cp0[cp0::CONFIG + 3] = cpu.config3();
        core.cp0[cp0::PRID] = cpu.prid;
        core.cp0[cp0::EBASE] = 0x8000_0000;
        core
    }

    /// The core is about to execute the instruction at `pc`.
    pub fn jump_to(&mut self, pc: u32) {
        (self.pc, self.next) = (pc, pc.wrapping_add(4));
        self.fetch = NO_FETCH;
    }

    /// Runs until something stops it, at most so many instructions.
    pub fn run(&mut self, most: u64) -> Stop {
        let end = self.executed().saturating_add(most);
        while self.executed() < end {
            if self.pc == self.halt_at {
                return Stop::Halted;
            }
            if self.pc == self.wait_at {
                self.machine.skip(u64::from(self.r[4] >> 4) * WAIT);
                let back = self.r[31];
                self.jump_to(back);
            }
            if let Err(stop) = self.step() {
                return stop;
            }
        }
        Stop::Endless { pc: self.pc }
    }

    /// Executes one instruction.
    ///
    /// # Errors
    /// Why there is no next one; the program counter is still at the instruction.
    #[inline]
    pub fn step(&mut self) -> Step {
        let pc = self.pc;
        let word = self.fetch(pc)?;
        let target = self.next;
        self.machine.advance(1);
        if self.machine.dead {
            return Err(Stop::Reset);
        }
        let was_delay_slot = std::mem::take(&mut self.in_delay_slot);
        self.next = target.wrapping_add(4);
        self.pc = target;
        if let Err(stop) = self.execute(word, pc, was_delay_slot) {
            (self.pc, self.next, self.in_delay_slot) = (pc, target, was_delay_slot);
            return Err(stop);
        }
        self.r[0] = 0;
        Ok(())
    }

    /// CP0 Count.
    pub fn count(&self) -> u32 {
        self.stopped_count.unwrap_or((self.machine.now / self.instructions_per_tick) as u32)
    }

    /// Instructions that were executed: without the time that was skipped while somebody waited.
    #[inline]
    pub fn executed(&self) -> u64 {
        self.machine.executed()
    }

    fn violate(&mut self, rule: Rule, pc: u32, at: u32) {
        self.violations.add(rule, pc, at);
    }

    fn bus(&self, stray: Stray, pc: u32) -> Stop {
        Stop::Bus { stray, pc }
    }

    /// Words of RAM that were written since the start.
    pub fn words_written(&self) -> usize {
        self.stores
    }

    /// A word of RAM was written since the start.
    pub fn was_written(&self, at: u32) -> bool {
        let word = at.wrapping_sub(self.machine.ram_at.start() as u32) as usize / 4;
        self.written.get(word).is_some_and(|epoch| *epoch != 0)
    }

    /// At the end: what was stored outside the layout and is not as it was. A loader may try a word of RAM and put it back.
    pub fn check_layout(&mut self) {
        for (at, pc, rule, old) in std::mem::take(&mut self.outside) {
            if self.seen(at, 4) != old {
                self.violate(rule, pc, at);
            }
        }
    }

    /// What must hold at the jump to a kernel: everything is in memory, for whoever reads it and how.
    pub fn check_handoff(&mut self) {
        let pc = self.pc;
        let dirty: Vec<u32> = [&self.dcache, &self.l2]
            .into_iter()
            .flatten()
            .flat_map(|cache| cache.dirty().collect::<Vec<_>>())
            .collect();
        if !self.garbage {
            for at in dirty {
                self.violate(Rule::DirtyAtHandoff, pc, at);
            }
        }
        if let Some(at) = self.unsynced.first().or(self.unsynced_l2.first()).copied() {
            self.violate(Rule::NoSync, pc, at);
        }
        if self.hazards != 0 {
            let hazards = self.hazards;
            self.violate(Rule::HazardWithoutEhb, pc, hazards);
        }
    }

    /// The bytes that a cached load would see.
    pub fn seen(&self, at: u32, size: usize) -> Option<Vec<u8>> {
        (at..at + size as u32).map(|at| self.newest_byte(at)).collect()
    }
}
