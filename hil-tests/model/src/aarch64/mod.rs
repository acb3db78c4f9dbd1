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
mod entry;
mod exceptions;
pub mod instructions;
mod map;
pub mod memory;
pub mod noise;
pub mod parts;
mod stop;
pub mod system;
pub mod tlb;

use stoop_core::Region;

use crate::bus::Bus;
use crate::record::trace::Access;
use memory::line_of;
use stop::broken;

use cache::{Cache, Geometry, LINE};
use instructions::{Outside, Registers};
use map::Translation;
pub use memory::Memory;
pub use stop::{Level, Rule, Stop};
use system::System;

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

/// The first-level caches of Cortex-A53.
const DATA: Geometry = Geometry { sets: 128, ways: 4 };
const CODE: Geometry = Geometry { sets: 256, ways: 2 };
/// The data cache with the second level of Cortex-A53's clusters: it gives up hardly any line by itself.
pub const LARGE: Geometry = Geometry { sets: 512, ways: 16 };

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
        match instructions::run(&mut self.registers, &mut outside, word) {
            Err(Stop::Stray(stray)) if stray.value.is_none() && self.system.has_own_vectors() => self.abort()?,
            done => done?,
        }
        Ok(word)
    }

    /// A load that nothing answered: a synchronous external abort, taken to the level that runs, by the program's own vectors.
    /// With the bootloader's nobody knows what follows: there the run ends.
    fn abort(&mut self) -> Result<(), Stop> {
        self.registers.pc = self.system.take_abort(self.registers.pc)?;
        self.memory.refetch();
        Ok(())
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

/// What goes through the map.
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
}
