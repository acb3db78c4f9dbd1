//! The bootloader: how it enters an image, and what its work leaves in the registers and caches.

use std::ops::Range;

use stoop_core::Region;
use stoop_image::board::Board;
use stoop_image::simulate;

use crate::core::{Core, cp0};
use crate::random::Random;

/// How a bootloader enters an image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Enter {
    /// As vendors' U-Boots do by `bootm`: argv and environment, written and passed uncached; caches flushed.
    Bootm(String),
    /// As newer U-Boots do by `bootm`: argv and environment in KSEG0, and still in the data cache.
    BootmCached(String),
    /// By `bootm` with a device tree: UHI, the tree still in the data cache.
    Tree(Vec<u8>),
    /// By `go`: argv in KSEG0, and all but the image's first 2 KiB still in the data cache.
    Go(String),
    /// Registers of random bits.
    Nonsense,
}

impl Enter {
    /// For people.
    pub fn name(&self) -> &'static str {
        match self {
            Enter::Bootm(_) => "bootm",
            Enter::BootmCached(_) => "bootm, arguments in the cache",
            Enter::Tree(_) => "bootm with a tree",
            Enter::Go(_) => "go",
            Enter::Nonsense => "nonsense",
        }
    }

    /// What `simulate` is given for it.
    pub fn simulated(&self) -> simulate::Entry {
        match self {
            Enter::Bootm(line) | Enter::BootmCached(line) | Enter::Go(line) => {
                simulate::Entry::Argv(line.clone().into_bytes())
            }
            Enter::Tree(tree) => simulate::Entry::Uhi(tree.clone()),
            Enter::Nonsense => simulate::Entry::None,
        }
    }
}

/// How the bootloader leaves the caches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Caches {
    /// On: lines of its own data valid and partly dirty, old code in the instruction cache.
    Used,
    /// KSEG0 write-through.
    WriteThrough,
    /// KSEG0 uncached, the tags random as after power-on.
    NeverInitialised,
    /// KSEG0 uncached by somebody who had initialised them.
    Off,
}

/// Where the bootloader's `go` continues: in its own RAM.
const RETURN_OFFSET: u32 = 0x40;
/// What a bootloader that copies an image and flushes nothing must have written back by chance: the shim's first instructions,
/// which nothing can clean for it.
const FRONT: u32 = 0x800;
/// From the end of what the bootloader leaves free: argv, environment, tree.
const ARGUMENTS: u32 = 0x8000;
/// A bootloader at the end of its work.
pub(crate) struct Bootloader<'a> {
    /// Where it runs.
    pub board: &'a Board,
    /// How it enters the image.
    pub enter: &'a Enter,
    /// How it leaves the caches.
    pub caches: Caches,
    /// It enters the image by its uncached address.
    pub uncached: bool,
}

/// What of a bootloader's work the caches know.
struct Passed<'a> {
    /// Where its argv, environment or tree is.
    arguments: u32,
    /// They were written uncached.
    uncached: bool,
    /// What it copied to RAM without flushing.
    copied: Option<&'a Range<u32>>,
    /// Where the shim will run.
    run: Region,
}

impl Bootloader<'_> {
    /// Leaves the core at the image's first instruction; `run` is where the shim will be, `pieces` where the image is in RAM.
    pub(crate) fn enter(&self, core: &mut Core, start: u32, run: Region, pieces: &[Range<u32>], random: &mut Random) {
        let free = self.board.free_ram();
        let (top, end) = (free.end() as u32, self.board.ram.end() as u32);
        core.bootloader.push(top..end);
        for register in 1..32 {
            core.r[register] = random.next();
        }
        core.r[29] = 0x8000_0000 | (top + 0x6000);
        core.r[31] = 0x8000_0000 | (top + RETURN_OFFSET);
        core.halt_at = core.r[31];
        // Interrupts are on; CU0 as a bootloader has it.
        core.cp0[cp0::STATUS] = 0x1000_0001 | random.next() & 0xff00;
        core.cp0[cp0::CAUSE] = 0;
        let arguments = top + ARGUMENTS.min((end - top) / 2);
        let uncached = matches!(self.enter, Enter::Bootm(_));
        match self.enter {
            Enter::Bootm(line) | Enter::BootmCached(line) => {
                // argv[0] is not useful.
                self.argv(core, arguments, "", line, uncached);
            }
            Enter::Go(line) => self.argv(core, arguments, "0x81000000", line, false),
            Enter::Tree(tree) => {
                core.machine.put(arguments.into(), tree);
                core.r[4..8].copy_from_slice(&[-2i32 as u32, 0x8000_0000 | arguments, 0, 0]);
            }
            Enter::Nonsense => {
                let ram = self.board.ram.size() as u32;
                for register in 4..8 {
                    core.r[register] = match random.next() % 8 {
                        0 => random.next() % 64,
                        1 => -2i32 as u32,
                        2 => 0x8000_0000 | (random.next() % ram),
                        3 => 0xa000_0000 | (random.next() % ram) & !3,
                        4 => 0xbf00_0000 | (random.next() % 0x100_0000),
                        5 => random.next() % 0x8000_0000,
                        _ => random.next(),
                    };
                }
            }
        }
        let go = matches!(self.enter, Enter::Go(_));
        let from = Passed { arguments, uncached, copied: pieces.first().filter(|_| go), run };
        self.soil(core, &from, random);
        core.jump_to(if self.uncached { 0xa000_0000 } else { 0x8000_0000 } | start);
    }

    /// argc, argv and an environment of two variables, as U-Boot has them (arch/mips/lib/bootm.c, vendors' lib_mips/mips_linux.c).
    fn argv(&self, core: &mut Core, at: u32, first: &str, line: &str, uncached: bool) {
        let segment = if uncached { 0xa000_0000 } else { 0x8000_0000 };
        let word = |value: u32| if core.machine.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut words = vec![first];
        words.extend(line.split(' ').filter(|word| !word.is_empty()));
        let mut strings = Vec::new();
        let (table, env) = (4 * (words.len() + 1), ["memsize=64", "ethaddr=00:11:22:33:44:55"]);
        let text = at + (table + 4 * (env.len() + 1)) as u32;
        let mut block = Vec::new();
        for list in [&words[..], &env[..]] {
            for string in list {
                block.extend(word(segment | (text + strings.len() as u32)));
                strings.extend_from_slice(string.as_bytes());
                strings.push(0);
            }
            block.extend(word(0));
        }
        block.extend(strings);
        core.machine.put(at.into(), &block);
        let registers = [words.len() as u32, segment | at, segment | (at + table as u32), 0];
        core.r[4..8].copy_from_slice(&registers);
    }

    /// The caches as they are after a bootloader's work.
    fn soil(&self, core: &mut Core, from: &Passed<'_>, random: &mut Random) {
        let Passed { arguments, uncached, copied, run } = *from;
        let top = self.board.free_ram().end() as u32;
        let own = top..self.board.ram.end() as u32;
        match self.caches {
            Caches::Off => {}
            Caches::NeverInitialised => {
                core.garbage = true;
                let ram = self.board.ram;
                for cache in [&mut core.icache, &mut core.dcache, &mut core.l2].into_iter().flatten() {
                    for line in 0..cache.geometry().lines() {
                        let at = ram.start() as u32 + random.next() % ram.size() as u32;
                        if random.below(3) != 0 {
                            cache.put_tag(line, at, random.below(2) == 0);
                            cache.bytes_mut(line).fill(random.next() as u8);
                        }
                    }
                }
            }
            Caches::Used | Caches::WriteThrough => {
                let dirty = self.caches == Caches::Used;
                // Old code where something else will run.
                let size = core.icache.as_ref().map_or(0, |cache| cache.geometry().lines());
                if let Some(cache) = &mut core.icache {
                    for _ in 0..size {
                        let at = self.old_code(run, &own, random);
                        let line = cache.victim(at);
                        if cache.find(at).is_none() {
                            cache.put_tag(line, at, false);
                            cache.bytes_mut(line).fill(random.next() as u8);
                        }
                    }
                }
                let lines = core.dcache.as_ref().map_or(0, |cache| cache.geometry().lines());
                let mut wanted = Vec::new();
                for _ in 0..lines {
                    wanted.push(own.start + random.below(own.len()) as u32);
                }
                if !uncached {
                    wanted.extend((arguments..arguments + 0x1000).step_by(16));
                } else {
                    wanted.retain(|at| !(arguments..arguments + 0x1000).contains(&(at & !63)));
                }
                if let Some(range) = copied {
                    let size = (range.end - range.start) as usize;
                    wanted.extend((range.start + FRONT..range.end).step_by(16).take(size));
                }
                for at in wanted {
                    self.hold(core, at, dirty && random.below(3) != 0);
                }
            }
        }
    }

    /// Somewhere in the bootloader, or in what the image will fill.
    fn old_code(&self, run: Region, own: &Range<u32>, random: &mut Random) -> u32 {
        let load = self.board.load_addresses.values().next().map_or(0x10_0000, |at| self.board.physical(*at)) as u32;
        match random.below(4) {
            0 => run.start() as u32 + random.below(run.size()) as u32,
            1 => load + random.below(0x6000) as u32,
            _ => own.start + random.below(own.len()) as u32,
        }
    }

    /// Makes the data cache hold the line with what memory has there; if it is dirty, memory forgets it.
    fn hold(&self, core: &mut Core, at: u32, dirty: bool) {
        let Some(cache) = &mut core.dcache else { return };
        let (base, size) = (cache.base(at), cache.geometry().line);
        if cache.find(base).is_some() {
            return;
        }
        let line = cache.victim(base);
        // Sets are small: what no longer fits has been written back.
        if cache.holds(line).is_some() {
            return;
        }
        let Some(bytes) = core.machine.bytes(base.into(), size).map(<[u8]>::to_vec) else { return };
        cache.bytes_mut(line).copy_from_slice(&bytes);
        cache.put_tag(line, base, dirty);
        if dirty {
            let old: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x5a).collect();
            core.machine.put(base.into(), &old);
        }
    }
}
