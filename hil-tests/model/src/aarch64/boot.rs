//! An image on an arm64 board, from the bootloader's jump to the kernel's first instruction.

use object::{Object, ObjectSymbol};
use stoop_core::Region;
use stoop_image::board::Board;
use stoop_image::image::Opened;
use stoop_image::shim_image;
use stoop_samples::failure::{Failure, Result};

use super::cache::LINE;
use super::instructions::Registers;
use super::noise::Noise;
use super::{Core, Level, Stop};
use crate::machine::{Event, Machine};
use crate::record::Compared;
use crate::record::trace::{Cpu, Range, Start};

/// How the bootloader leaves the CPU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryPath {
    /// booti and bootm: the image is in memory, MMU and caches are off. What the caches hold of the RAM behind the image's
    /// bytes is rubbish, and dirty (Documentation/arch/arm64/booting.rst asks for no more).
    Cleaned,
    /// `go`: MMU and caches are on, and of the image only the front is in memory; the rest may still be in the data cache.
    Running,
}

/// Where x0 leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Near the top of the RAM that the data file names, if there is a tree.
    InRam,
    /// Behind its end, also where no tree is: the same board is sold with more RAM.
    Behind {
        /// Bytes between the end and the address.
        distance: usize,
        /// Bytes of RAM that there are behind the end, of which the params know nothing.
        more: usize,
    },
}

/// What is started, and how.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// The board.
    pub board: &'a Board,
    /// The image.
    pub image: &'a Opened<'a>,
    /// What its header asks for from its first byte on.
    pub size: usize,
    /// How far from where it was laid out for it is, in bytes.
    pub moved: usize,
    /// How.
    pub way: EntryPath,
    /// At which exception level.
    pub level: Level,
    /// x0 is the address of this tree; without one, the registers are those of `go`.
    pub tree: Option<&'a [u8]>,
    /// Where it is.
    pub place: Place,
    /// The data cache keeps most of what is written, instead of giving up lines all the time.
    pub large_cache: bool,
    /// Other numbers, other rubbish.
    pub seed: u32,
    /// Instructions to be run in place of others, by their distance from the shim's first byte: to see that it is noticed.
    pub patches: &'a [(u64, u32)],
}

/// Where a run ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum End {
    /// At this address, outside of the shim: the kernel's first instruction.
    Left(u64),
    /// The board was reset.
    Reset,
    /// WFI.
    Waits,
    /// This function of the firmware was called.
    Firmware(u32),
    /// It goes on without end, and says nothing more.
    Loops,
}

/// A board with an image on it.
pub struct Boot {
    /// The CPU.
    pub core: Core,
    /// The board.
    pub machine: Machine,
    /// Where the shim runs.
    pub run: Region,
    /// The image's RAM.
    pub own: Region,
    /// Where the bootloader's tree is.
    pub tree: Region,
    /// The lowest stack pointer.
    pub lowest: u64,
    /// What belongs to the stack.
    pub stack: Region,
    pub(super) noise: Noise,
}

/// Instructions without a word on the UART after which a shim is taken to loop: no image here takes half as many.
const PATIENCE: u64 = 8_000_000;
/// Instructions of one run.
const MOST: u64 = 200_000_000;

impl Boot {
    /// The board just before the first instruction of the image.
    ///
    /// # Errors
    /// The image does not fit the board.
    pub fn new(setup: &Setup<'_>) -> Result<Boot> {
        let lost = || Failure::new("the image does not fit the board's RAM").next("pack it for this board");
        let load = setup.image.load.wrapping_add(setup.moved);
        let own = Region::new(load, setup.size).ok_or_else(lost)?;
        let front = front_end(setup.image)?;
        let run = setup.image.note.run.moved(setup.moved);
        let mut boot = Boot {
            core: Core::new(setup.level, setup.large_cache, setup.seed),
            run,
            own,
            tree: Region::EMPTY,
            lowest: u64::MAX,
            stack: stack(setup.image, run)?,
            noise: Noise::new(setup.seed),
            machine: Machine::of(setup.board),
        };
        boot.machine.busy_polls = 1 + setup.seed % 5;
        // Nothing in RAM is zero by itself.
        for line in (own.start()..own.end()).step_by(LINE) {
            let noise = boot.noise.line();
            boot.machine.put(line as u64, &noise).ok_or_else(lost)?;
        }
        for (at, bytes) in &setup.image.pieces {
            boot.machine.put(at.wrapping_add(setup.moved) as u64, bytes).ok_or_else(lost)?;
        }
        let registers = &mut boot.core.registers;
        for register in &mut registers.x {
            *register = boot.noise.draw();
        }
        (registers.sp, registers.pc) = (boot.noise.draw() & !15, load as u64);
        registers.x[..4].copy_from_slice(&[0, 0, 0, 0]);
        boot.core.system.ram = vec![setup.board.ram];
        boot.put_tree(setup).ok_or_else(lost)?;
        let patches = setup.patches.iter().map(|(at, word)| (run.start() as u64 + at, *word));
        boot.core.patches = patches.collect();
        boot.core.memory.fence = Some([boot.machine.ram_at, own]);
        boot.core.memory.kept = setup.board.firmware.clone();
        boot.core.system.firmware = setup.board.firmware.clone();
        match setup.way {
            EntryPath::Cleaned => boot.dirty_behind(setup),
            EntryPath::Running => boot.dirty_image(setup, front).ok_or_else(lost)?,
        }
        boot.old_code(front);
        Ok(boot)
    }

    /// Runs to the end, and calls `each` behind every instruction with its address and word.
    ///
    /// # Errors
    /// What the shim did wrong, and where.
    pub fn run(&mut self, mut each: impl FnMut(&Core, u64, u32)) -> std::result::Result<End, String> {
        let (mut said, mut since) = (0, 0);
        let symbols = |at: u64| at.wrapping_sub(self.run.start() as u64);
        loop {
            let pc = self.core.registers.pc;
            if pc.wrapping_sub(self.run.start() as u64) >= self.run.size() as u64 {
                return Ok(End::Left(pc));
            }
            let word = match self.core.step(&mut self.machine) {
                Ok(word) => word,
                Err(Stop::Waits) => return Ok(End::Waits),
                Err(Stop::Calls(function)) => return Ok(End::Firmware(function)),
                Err(stop) => return Err(format!("{stop}, by the instruction at 0x{:x} of the shim", symbols(pc))),
            };
            each(&self.core, pc, word);
            let sp = self.core.registers.sp;
            if sp < self.lowest && self.stack.start() as u64 <= sp && sp <= self.stack.end() as u64 {
                self.lowest = sp;
            }
            self.machine.advance(1);
            if self.machine.dead {
                return Ok(End::Reset);
            }
            let progress = self.machine.said.len() + self.machine.events.len();
            if progress != said {
                (said, since) = (progress, self.core.count);
            }
            if self.core.count - since > PATIENCE || self.core.count > MOST {
                return Ok(End::Loops);
            }
        }
    }

    /// What the LED, reset register and watchdog saw.
    pub fn events(&self) -> Vec<Event> {
        self.machine.events.iter().map(|(_, event)| *event).collect()
    }

    /// What keeps the kernel from what it is promised when it is entered; its registers and payloads aside.
    pub fn handed_over(&mut self, level: Level) -> Vec<String> {
        let mut wrong = Vec::new();
        for (name, on) in ["the MMU", "the data cache", "the instruction cache"].iter().zip(self.core.system.on()) {
            if on {
                wrong.push(format!("{name} is on"));
            }
        }
        if self.core.system.level() != level {
            wrong.push("another exception level".into());
        }
        if self.core.system.has_own_vectors() {
            wrong.push("the exception vectors are not the bootloader's".into());
        }
        if self.core.system.masked != 15 {
            wrong.push(format!("DAIF is {:04b}", self.core.system.masked));
        }
        let own = self.own;
        let inside = |at: u64| own.overlaps(&Region::new(at as usize, LINE).unwrap_or(Region::EMPTY));
        let dirty: Vec<u64> = self.core.memory.data.dirty().map(|(at, _)| at).filter(|at| inside(*at)).collect();
        if let Some(first) = dirty.first() {
            wrong.push(format!("{} lines are dirty, one at 0x{first:x}", dirty.len()));
        }
        for (line, bytes) in &self.core.memory.borrowed {
            let is_dirty = self.core.memory.data.find(*line).is_some_and(|line| line.dirty);
            if is_dirty || self.machine.bytes(*line, LINE) != Some(bytes) {
                wrong.push(format!("RAM at 0x{line:x} was tried and not put back"));
            }
        }
        if self.machine.lost != 0 {
            wrong.push(format!("{} characters were sent to a busy UART", self.machine.lost));
        }
        if self.lowest < self.stack.start() as u64 + 64 {
            wrong.push("the stack is full".into());
        }
        wrong
    }

    /// Bytes of RAM, not of the caches: what the kernel reads with the caches off.
    pub fn ram(&mut self, at: Region) -> Vec<u8> {
        self.machine.bytes(at.start() as u64, at.size()).unwrap_or_default().to_vec()
    }

    /// How deep the stack was, in bytes.
    pub fn depth(&self) -> u64 {
        (self.stack.end() as u64).saturating_sub(self.lowest)
    }
}

impl Boot {
    /// The board as it is now, for a comparison; accesses are noted from here on.
    pub fn start(&mut self) -> Start {
        self.core.memory.accesses = Some(Vec::new());
        let machine = &self.machine;
        let pages = crate::compare::device_pages(machine);
        let mut ranges: Vec<Range> = pages.into_iter().map(|at| Range { at, size: 0x1000, is_device: true }).collect();
        let mut pieces = Vec::new();
        for (memory, used) in [(machine.ram_at, vec![self.own, self.tree]), (machine.flash_at, vec![machine.flash_at])]
        {
            if memory.is_empty() {
                continue;
            }
            ranges.push(Range { at: memory.start() as u64, size: memory.size() as u64, is_device: false });
            for used in used {
                let at = used.start() as u64;
                pieces.push((at, machine.bytes(at, used.size()).unwrap_or_default().to_vec()));
            }
        }
        let registers = &self.core.registers;
        Start { cpu: Cpu::Arm64, ranges, pieces, registers: words(registers).collect(), pc: registers.pc }
    }

    /// Runs as [`Boot::run`] does, and has every instruction compared.
    ///
    /// # Errors
    /// As for [`Boot::run`].
    pub fn run_compared(&mut self, other: &mut Compared) -> std::result::Result<End, String> {
        self.run(|core, pc, word| {
            // Instructions of the system class tell what this emulator knows and the other one does not.
            let is_told = word >> 22 == 0b11_0101_0100;
            let accesses = core.memory.accesses.iter().flatten().copied();
            other.step(pc, is_told, words(&core.registers), accesses);
        })
    }
}

/// In the order of a record.
fn words(registers: &Registers) -> impl Iterator<Item = u64> {
    registers.x.iter().copied().chain([registers.sp, registers.nzcv.into()])
}

/// The distance of one of the shim's symbols from its first byte, the first of these that there is.
fn symbol(image: &Opened<'_>, names: &[&str]) -> Result<usize> {
    let shim = shim_image::prebuilt(stoop_image::machine::Machine::Arm64, image.note.variant)?;
    let file = object::File::parse(shim).map_err(|error| Failure::new(error.to_string()))?;
    let find = |name: &&str| file.symbols().find(|symbol| symbol.name() == Ok(name));
    let found = names.iter().find_map(find).map(|symbol| symbol.address() as usize);
    found.ok_or_else(|| Failure::new(format!("the shim has no symbol {names:?}")).next("build it with `cargo ci shim`"))
}

/// Where the front ends that a loader must have written to memory: behind it the shim helps itself.
fn front_end(image: &Opened<'_>) -> Result<usize> {
    symbol(image, &["__stub_end", "front_end"])
}

/// The stack of the shim that runs at `run`, by its linker's symbols.
fn stack(image: &Opened<'_>, run: Region) -> Result<Region> {
    let [start, end] = ["__bss_end", "__stack_top"].map(|name| symbol(image, &[name]));
    Region::between(run.start() + start?, run.start() + end?).ok_or_else(|| Failure::new("the shim has no stack"))
}

/// An 8-byte field of an image's header.
pub fn header_field(image: &[u8], at: usize) -> u64 {
    image.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
