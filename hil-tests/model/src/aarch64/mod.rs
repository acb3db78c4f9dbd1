//! An AArch64 core with a data cache, an instruction cache and a TLB that hold what they hold on a board: with wrong
//! maintenance it runs old instructions and reads old data, and says so.
//!
//! Everything is checked that the architecture leaves to chance. Whoever relies on luck is stopped: an access past the caches
//! to a line that is dirty, an instruction from a line that differs from memory, a translation from before the registers
//! changed, an access that is not aligned while all memory is device memory (QEMU allows that), an access between a write of
//! SCTLR and the ISB behind it, an IC before the DSB that completes the cleaning.

pub mod boot;
pub mod cache;
pub mod case;
pub mod instructions;
pub mod parts;
pub mod system;

use std::fmt;

use stoop_core::Region;

use crate::bus::{Bus, Stray};
use crate::record::trace::Access;
use cache::{Cache, Geometry, LINE};
use instructions::{Outside, Registers};
use system::{System, Translation};

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
    /// No access to memory and no TLBI between a write of SCTLR and the ISB behind it.
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

fn broken<T>(rule: Rule, at: u64) -> Result<T, Stop> {
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

/// A core and what it has of the board's memory.
pub struct Core {
    /// The general registers.
    pub registers: Registers,
    /// The system registers.
    pub system: System,
    /// What it has of memory.
    pub memory: Memory,
    /// Instructions so far.
    pub count: u64,
    /// Addresses at which another instruction runs than the one in memory.
    pub patches: Vec<(u64, u32)>,
}

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
    /// What of RAM is the bootloader's.
    pub kept: Vec<Region>,
    /// Lines of nobody's RAM that were written to, and what they held before.
    pub borrowed: Vec<(u64, [u8; LINE])>,
    /// Lines to be written back, and whether they are to be dropped, by the next DSB.
    under_way: Vec<(u64, bool)>,
    /// Instructions come from this line: checked when it was entered.
    current: (u64, [u8; LINE]),
}

/// The first-level caches of Cortex-A53.
const DATA: Geometry = Geometry { sets: 128, ways: 4 };
const CODE: Geometry = Geometry { sets: 256, ways: 2 };
/// The data cache with the second level of Cortex-A53's clusters: it gives up hardly any line by itself.
pub const LARGE: Geometry = Geometry { sets: 512, ways: 16 };

/// Lines of nobody's RAM that may be tried.
const BORROWED: usize = 40;

/// Lines that the data cache fills by itself before it is turned off.
const SPECULATED: usize = 4096;

impl Core {
    /// A core as a bootloader leaves it: MMU and caches off. `large` is the data cache that keeps most of what is written.
    pub fn new(level: Level, large: bool, seed: u32) -> Core {
        Core {
            registers: Registers { x: [0; 31], sp: 0, pc: 0, nzcv: 0 },
            system: System::new(level),
            memory: Memory {
                data: Cache::new(if large { LARGE } else { DATA }, seed),
                code: Cache::new(CODE, seed),
                accesses: None,
                fence: None,
                kept: Vec::new(),
                borrowed: Vec::new(),
                under_way: Vec::new(),
                current: (u64::MAX, [0; LINE]),
            },
            count: 0,
            patches: Vec::new(),
        }
    }

    /// Runs one instruction; gives its word.
    ///
    /// # Errors
    /// Why it cannot.
    #[inline]
    pub fn step(&mut self, bus: &mut impl Bus) -> Result<u32, Stop> {
        let pc = self.registers.pc;
        let line = pc & !(LINE as u64 - 1);
        if line != self.memory.current.0 {
            self.memory.current = (line, self.memory.fetch(&mut self.system, bus, pc)?);
        }
        if !pc.is_multiple_of(4) {
            return broken(Rule::Alignment, pc);
        }
        let at = (pc - line) as usize;
        let bytes = self.memory.current.1[at..].first_chunk().copied().unwrap_or_default();
        let patch = self.patches.iter().find(|(at, _)| *at == pc);
        let word = patch.map_or(u32::from_le_bytes(bytes), |(_, word)| *word);
        if let Some(accesses) = &mut self.memory.accesses {
            accesses.clear();
        }
        self.count += 1;
        let mut outside = Around { system: &mut self.system, memory: &mut self.memory, bus, count: self.count };
        instructions::run(&mut self.registers, &mut outside, word)?;
        Ok(word)
    }
}

struct Around<'a, B> {
    system: &'a mut System,
    memory: &'a mut Memory,
    bus: &'a mut B,
    count: u64,
}

impl<B: Bus> Outside for Around<'_, B> {
    fn load(&mut self, _: &Registers, at: u64, size: usize) -> Result<u64, Stop> {
        self.memory.access(self.system, self.bus, at, size, None)
    }

    fn store(&mut self, _: &Registers, at: u64, size: usize, value: u64) -> Result<(), Stop> {
        self.memory.access(self.system, self.bus, at, size, Some(value)).map(|_| ())
    }

    fn system(&mut self, registers: &mut Registers, word: u32) -> Result<(), Stop> {
        self.system.run(self.memory, self.bus, registers, word, self.count)
    }
}

/// The line that holds the byte at `at`.
fn line_of(at: u64) -> u64 {
    at & !(LINE as u64 - 1)
}

impl Memory {
    /// A load, or a store of `value`.
    fn access(
        &mut self,
        system: &mut System,
        bus: &mut impl Bus,
        at: u64,
        size: usize,
        value: Option<u64>,
    ) -> Result<u64, Stop> {
        if system.is_unsynchronised() {
            return broken(Rule::Unsynchronised, at);
        }
        let Translation { physical, cached, device, .. } = system.translate(self, bus, at, value.is_some(), false)?;
        if let (Some([ram, own]), true) = (self.fence, value.is_some()) {
            let place = Region::new(physical as usize, size).unwrap_or(Region::EMPTY);
            if ram.overlaps(&place) && !own.contains(&place) {
                self.borrow(bus, physical, place)?;
            }
        }
        let aligned = at.is_multiple_of(size as u64);
        if device && !aligned {
            return broken(Rule::Alignment, at);
        }
        let is_store = value.is_some();
        let mut read = 0;
        if aligned {
            read = self.part(bus, physical, size, value, cached)?;
        } else {
            for byte in 0..size {
                let one = value.map(|value| value >> (8 * byte) & 0xff);
                // Blocks of the map are far larger than an access, and it maps addresses to themselves.
                read |= self.part(bus, physical + byte as u64, 1, one, cached)? << (8 * byte);
            }
        }
        let value = value.map_or(read, |value| instructions::low(value, size));
        if let Some(accesses) = &mut self.accesses {
            accesses.push(Access { at, size: size as u8, is_store, value });
        }
        Ok(value)
    }

    /// A store to RAM that is not the image's.
    fn borrow(&mut self, bus: &mut impl Bus, at: u64, place: Region) -> Result<(), Stop> {
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
    fn part(
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

    /// The line of instructions with that address.
    fn fetch(&mut self, system: &mut System, bus: &mut impl Bus, at: u64) -> Result<[u8; LINE], Stop> {
        let translation = system.translate(self, bus, at, false, true)?;
        let line = line_of(translation.physical);
        if self.data.find(line).is_some_and(|line| line.dirty) {
            return broken(Rule::FetchOfDirty, at);
        }
        let mut memory = [0; LINE];
        bus.read_line(line, &mut memory)?;
        if system.fetches_by_cache() {
            match self.code.find(line) {
                Some(held) if held.bytes != memory => return broken(Rule::StaleCode, at),
                Some(_) => {}
                None => _ = self.code.put(line, memory, false),
            }
        }
        Ok(memory)
    }

    /// DC CVAC, CVAU, CIVAC by physical address: done at the next DSB, not before. Only RAM has lines.
    fn clean(&mut self, bus: &mut impl Bus, at: u64, drop: bool) -> Result<(), Stop> {
        bus.read_line(line_of(at), &mut [0; LINE])?;
        self.under_way.push((line_of(at), drop));
        Ok(())
    }

    /// DSB: what is under way is complete.
    fn complete(&mut self, bus: &mut impl Bus) -> Result<(), Stop> {
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
    fn speculate(&mut self, bus: &mut impl Bus) -> Result<(), Stop> {
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
    fn invalidate_code(&mut self, at: u64) -> Result<(), Stop> {
        if !self.under_way.is_empty() {
            return broken(Rule::IcBeforeDsb, at);
        }
        self.code.clear();
        Ok(())
    }

    /// Eight bytes of a table of the map, as the MMU reads them: by the cache, or past it.
    fn walk(&self, bus: &mut impl Bus, at: u64, cached: bool) -> Result<u64, Stop> {
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
    fn refetch(&mut self) {
        self.current.0 = u64::MAX;
    }
}
