//! One boot: the image where the bootloader puts it, the core as the bootloader leaves it, the run, and what was wrong with it.

use std::ops::Range;

use stoop_core::Region;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{Kind, Manifest};
use stoop_core::params::{Policy, SlotAt};
use stoop_image::board::Board;
use stoop_image::image::{Built, Opened, nor, open, open_container};
use stoop_image::plan::{Format, Plan};
use stoop_image::simulate::{self, Booted, Input, Outcome};
use stoop_image::{Failure, Result};

use crate::core::{Core, Stop, cp0};
use crate::cpu::Cpu;
use crate::machine::{Event, Machine};

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

/// Everything about one boot.
#[derive(Clone, Debug)]
pub struct Boot<'a> {
    /// The board.
    pub board: &'a Board,
    /// The core.
    pub cpu: Cpu,
    /// The image file.
    pub file: &'a [u8],
    /// The content of the flash, when the image is started from there.
    pub flash: Option<Vec<u8>>,
    /// How it is entered.
    pub enter: Enter,
    /// How the caches are.
    pub caches: Caches,
    /// Of all that is random.
    pub seed: u64,
    /// Where the image is put instead of where it says, physical.
    pub load: Option<usize>,
    /// It is entered by its uncached address.
    pub uncached: bool,
    /// What is unusual about the board.
    pub change: Option<fn(&mut Machine)>,
    /// The image that `simulate` gets, when what runs was changed behind its back.
    pub simulated: Option<&'a [u8]>,
    /// The bytes of a raw image in RAM, when they are not the file's any more.
    pub flipped: Option<&'a [u8]>,
    /// Most instructions.
    pub most: u64,
}

/// Where the bootloader's `go` continues: in its own RAM.
const RETURN_OFFSET: u32 = 0x40;
/// What a bootloader that copies an image and flushes nothing must have written back by chance: the shim's first instructions,
/// which nothing can clean for it.
const FRONT: u32 = 0x800;
/// From the end of what the bootloader leaves free: argv, environment, tree.
const ARGUMENTS: u32 = 0x8000;
/// What a bootloader wants back unchanged.
const SAVED: [usize; 12] = [16, 17, 18, 19, 20, 21, 22, 23, 26, 28, 29, 30];

/// A finished run.
pub struct Ran {
    /// The core with its board.
    pub core: Core,
    /// What stopped it.
    pub stop: Stop,
    /// The general registers at the entry.
    pub entered_with: [u32; 32],
    /// CP0 Status and Config at the entry.
    pub entered_cp0: [u32; 2],
    /// The environment that the bootloader passed.
    pub environment: u32,
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

struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }
}

impl Boot<'_> {
    /// Puts everything in place; the core is at the image's first instruction.
    ///
    /// # Errors
    /// The image is none, or lies where there is no RAM.
    pub fn prepare(&self) -> Result<Ran> {
        let opened = self.opened()?;
        let mut random = Random(self.seed | 1);
        let mut machine = Machine::of(self.board);
        if let Some(flash) = &self.flash {
            machine.flash.clone_from(flash);
        }
        if let Some(change) = self.change {
            change(&mut machine);
        }
        let k0 = match self.caches {
            Caches::Used if self.cpu.coherent => 5,
            Caches::Used => 3,
            Caches::WriteThrough => 0,
            Caches::NeverInitialised | Caches::Off => 2,
        };
        let mut core = Core::new(self.cpu, machine, k0);
        let offset = self.load.map_or(0, |load| load.wrapping_sub(opened.load));
        let mut pieces = Vec::new();
        for (at, bytes) in &opened.pieces {
            let bytes = &self.flipped.unwrap_or(bytes);
            if core.machine.flash_at.contains(&Region::new(*at, bytes.len()).unwrap_or(Region::EMPTY)) {
                core.machine.put(*at as u64, bytes);
                continue;
            }
            let at = at.wrapping_add(offset);
            let lost = || Failure::new(format!("the image's 0x{:x} bytes at 0x{at:08x} are not in RAM", bytes.len()));
            core.machine.put(at as u64, bytes).ok_or_else(lost)?;
            pieces.push(at as u32..(at + bytes.len()) as u32);
        }
        self.rubbish(&mut core, &opened, &pieces, &mut random);
        let start = opened.load.wrapping_add(offset) as u32;
        core.layout = self.layout(&opened);
        let arch =
            if core.machine.big_endian { stoop_image::input::Arch::MipsBe } else { stoop_image::input::Arch::MipsLe };
        if let Some((_, at)) =
            crate::symbols(opened.note.variant, arch)?.iter().find(|(name, _)| name.contains("delay_ns"))
        {
            core.wait_at = 0x8000_0000 | (opened.note.run.start() as u32 + at);
        }
        self.enter(&mut core, start, opened.note.run, &pieces, &mut random);
        let environment = core.r[6];
        let (entered_with, entered_cp0) = (core.r, [core.cp0[cp0::STATUS], core.cp0[cp0::CONFIG]]);
        Ok(Ran { stop: Stop::Endless { pc: core.pc }, core, entered_with, entered_cp0, environment })
    }

    /// Runs until the kernel has arrived, the bootloader has the board back, a reset, or an end that should not be.
    ///
    /// # Errors
    /// As for [`Boot::prepare`].
    pub fn run(&self) -> Result<Ran> {
        let mut ran = self.prepare()?;
        ran.stop = ran.core.run(self.most);
        Ok(ran)
    }

    /// What `simulate` says.
    ///
    /// # Errors
    /// As for [`simulate::run`].
    pub fn simulate(&self) -> Result<Outcome> {
        let input = Input { entry: self.enter.simulated(), load: self.load };
        let file = self.simulated.unwrap_or(self.file);
        match &self.flash {
            None => simulate::run(file, &input),
            Some(flash) => simulate::run_from_flash(file, &input, flash),
        }
    }

    fn opened(&self) -> Result<Opened<'_>> {
        if self.flash.is_some() { open_container(self.file) } else { open(self.file) }
    }

    /// Every manifest that the shim may find.
    fn manifests(&self, opened: &Opened<'_>) -> Vec<Manifest> {
        let crc = Crc32::new();
        let Some(flash) = &self.flash else { return opened.manifest(&crc).into_iter().collect() };
        let Ok(params) = opened.params(&crc) else { return Vec::new() };
        let at = |slot: SlotAt| {
            let bytes = flash.get(slot.address.checked_sub(self.board.flash_window().start())?..)?;
            Manifest::check(bytes, slot.address, opened.load, opened.machine, &crc).ok()
        };
        params.slots().filter_map(at).collect()
    }

    /// Where the shim may write: its own region, and what a manifest names.
    fn layout(&self, opened: &Opened<'_>) -> Vec<Range<u32>> {
        let mut regions = vec![opened.note.run];
        for manifest in self.manifests(opened) {
            regions.extend([manifest.tree(), manifest.copies()]);
            for kind in Kind::ALL {
                let payload = manifest.payload(kind);
                regions.extend([payload.place, payload.destination]);
            }
        }
        // A file that is damaged names nothing, and its shim writes nothing but its own.
        regions.iter().map(|region| region.start() as u32..region.end() as u32).collect()
    }

    /// What memory holds where nothing was put: not zeros.
    fn rubbish(&self, core: &mut Core, opened: &Opened<'_>, pieces: &[Range<u32>], random: &mut Random) {
        let mut wanted = vec![opened.note.run];
        for manifest in self.manifests(opened) {
            wanted.extend([manifest.tree(), manifest.copies()]);
            wanted.extend(Kind::ALL.map(|kind| manifest.payload(kind).place));
        }
        for region in wanted {
            for at in region.start()..region.end() {
                if !pieces.iter().any(|piece| piece.contains(&(at as u32))) {
                    core.machine.put(at as u64, &[random.next() as u8]);
                }
            }
        }
    }

    fn enter(&self, core: &mut Core, start: u32, run: Region, pieces: &[Range<u32>], random: &mut Random) {
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
        match &self.enter {
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

impl Ran {
    /// What was said on the UART.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.core.machine.said).into_owned()
    }
}

/// What a boot should come to, and everything in which it did not.
pub struct Judge<'a> {
    /// The boot.
    pub boot: &'a Boot<'a>,
    /// What was packed.
    pub plan: &'a Plan,
    /// The packed image.
    pub built: &'a Built,
    /// What went wrong.
    pub wrong: Vec<String>,
}

impl Judge<'_> {
    fn unless_equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, is: &T, wanted: &T) {
        if is != wanted {
            self.wrong.push(format!("{what}: {is:x?}, not {wanted:x?}"));
        }
    }

    /// Compares a finished run with what `simulate` says.
    ///
    /// # Errors
    /// `simulate` cannot run it.
    pub fn compare(&mut self, ran: &mut Ran) -> Result<()> {
        let outcome = self.boot.simulate()?;
        match &outcome.result {
            Ok(booted) => self.booted(ran, booted, &outcome),
            Err(_) => self.gave_up(ran, &outcome),
        }
        self.unless_equal("characters lost", &ran.core.machine.lost, &0);
        ran.core.check_layout();
        let violations: Vec<String> = ran.core.violations.all().iter().map(ToString::to_string).collect();
        self.wrong.extend(violations);
        if ran.core.machine.events.iter().any(|(_, event)| *event == Event::Bite) {
            self.wrong.push("the watchdog was not fed in time".into());
        }
        Ok(())
    }

    fn booted(&mut self, ran: &mut Ran, booted: &Booted, outcome: &Outcome) {
        let entry = 0x8000_0000 | booted.handoff.entry_point as u32;
        match ran.stop {
            Stop::Arrived { pc } if pc == entry + 12 => {}
            ref stop => {
                self.wrong.push(format!("the kernel did not arrive: {stop}; said {:?}", ran.said()));
                return;
            }
        }
        ran.core.check_handoff();
        // IE, EXL and ERL: the kernel has no vectors yet.
        self.unless_equal("interrupts and levels in Status", &(ran.core.cp0[cp0::STATUS] & 7), &0);
        let core = &ran.core;
        let mut said = String::new();
        if core.machine.uart.kind != stoop_core::params::UartKind::None {
            said = failures(outcome) + &report(booted, &self.boot.enter);
        }
        if self.boot.enter == Enter::Nonsense {
            // Random registers may lead to an argv of nothing, or to text without the cookie.
            let said = ran.said();
            if !said.is_empty()
                && !["bootargs none", "bootargs ignored", "bootargs refused"].iter().any(|end| said.contains(end))
            {
                self.wrong.push(format!("nonsense was taken for bootargs: {said:?}"));
            }
            self.payloads(core);
            return;
        }
        self.unless_equal("the UART", &ran.said(), &said);
        let wanted = booted.handoff.registers.map(|register| register as u32);
        let mut is = [core.r[4], core.r[5], core.r[6], core.r[7]];
        if is[2] == ran.environment && booted.handoff.env.is_empty() {
            is[2] = wanted[2];
        }
        self.unless_equal("a0 to a3", &is, &wanted);
        let tree = booted.regions.iter().find(|(name, _)| *name == "dtb").map_or(Region::EMPTY, |(_, region)| *region);
        let bytes = core.machine.bytes(tree.start() as u64, tree.size()).unwrap_or_default().to_vec();
        let (is, wanted) = (without_counts(bytes), without_counts(booted.tree.clone()));
        if is != wanted {
            let at = is.iter().zip(&wanted).position(|(a, b)| a != b).unwrap_or(is.len());
            self.wrong.push(format!("the device tree differs from simulate's at 0x{at:x}"));
        }
        self.payloads(core);
    }

    /// Every payload is in memory, and zeros are behind it.
    fn payloads(&mut self, core: &Core) {
        let kernel = &self.plan.kernel;
        let mut image = kernel.image.clone();
        image.resize((kernel.memory_size as usize).max(image.len()), 0);
        let places = &self.built.places;
        let page = stoop_image::layout::PAGE;
        let rootfs = self.plan.rootfs.as_ref().filter(|_| !places.rootfs.is_empty()).map(|rootfs| rootfs.bytes.clone());
        let all = [
            ("kernel", kernel.load_address as usize, Some(image)),
            ("initrd", places.initrd.start(), self.plan.initrd.clone()),
            ("rootfs", places.rootfs.start(), rootfs),
        ];
        for (name, at, bytes) in all {
            let Some(mut bytes) = bytes else { continue };
            if name == "rootfs" && core.machine.ram_at.contains(&places.rootfs) {
                bytes.resize(bytes.len().next_multiple_of(page), 0);
            }
            let is = core.machine.bytes(at as u64, bytes.len()).unwrap_or_default();
            if is != bytes {
                let offset = is.iter().zip(&bytes).position(|(a, b)| a != b).unwrap_or(is.len());
                self.wrong.push(format!("the {name} at 0x{at:08x} is wrong from 0x{offset:x} on"));
            }
        }
    }

    fn gave_up(&mut self, ran: &Ran, outcome: &Outcome) {
        let core = &ran.core;
        let Err(error) = &outcome.result else { return };
        let mut said = String::new();
        if core.machine.uart.kind != stoop_core::params::UartKind::None {
            said = failures(outcome);
        }
        self.unless_equal("the UART", &ran.said(), &said);
        self.led(core, error.number());
        match self.plan.board.defaults.policy {
            Policy::Reset => {
                self.unless_equal("the end", &ran.stop, &Stop::Reset);
                let reset = core.machine.events.last().is_some_and(|(_, event)| *event == Event::Reset);
                self.unless_equal("the reset register was written", &reset, &true);
            }
            Policy::Return => {
                self.unless_equal("the end", &ran.stop, &Stop::Halted);
                self.unless_equal("v0", &core.r[2], &u32::from(error.number()));
                for register in SAVED {
                    self.unless_equal(&format!("r{register}"), &core.r[register], &ran.entered_with[register]);
                }
                let is = [core.cp0[cp0::STATUS], core.cp0[cp0::CONFIG]];
                self.unless_equal("Status and Config", &is, &ran.entered_cp0);
            }
            Policy::Halt => {
                let endless = matches!(ran.stop, Stop::Endless { .. });
                self.unless_equal("it halts", &endless, &true);
            }
        }
    }

    /// Tens as long flashes, then ones as short ones; each dark in between. The waits are what embedded-hal's
    /// `DelayNs` promises if a turn of the shim's loop takes what it assumes.
    fn led(&mut self, core: &Core, number: u8) {
        if core.machine.led.is_none() {
            return;
        }
        let flashes: Vec<(u64, Event)> =
            core.machine.events.iter().filter(|(_, event)| matches!(event, Event::Led(_))).copied().collect();
        // A halted board repeats the code after a longer pause.
        let mut codes = vec![0];
        let mut dark_since = None;
        for pair in flashes.chunks_exact(2) {
            let [(on, Event::Led(true)), (off, Event::Led(false))] = pair else {
                self.wrong.push(format!("the LED is not lit and darkened in turns: {flashes:?}"));
                return;
            };
            if dark_since.is_some_and(|dark| on - dark > LONG) {
                codes.push(0);
            }
            *codes.last_mut().unwrap_or(&mut 0) += if off - on > LONG { 10 } else { 1 };
            dark_since = Some(*off);
        }
        let repeats = self.plan.board.defaults.policy == Policy::Halt;
        if repeats {
            // The run ended in the middle of the last one.
            codes.pop();
        }
        if codes.is_empty() || codes.iter().any(|code| *code != u32::from(number)) || (!repeats && codes.len() != 1) {
            self.wrong.push(format!("the LED flashes {codes:?}, the error is {number}"));
        }
    }
}

/// Instructions between a short flash or pause (250 and 500 ms in turns of 16 ns) and a long one (1500 ms).
const LONG: u64 = 8 * 1_000_000_000 / 16;

/// A line for each slot that does not boot.
fn failures(outcome: &Outcome) -> String {
    outcome.failed.iter().map(|(slot, error)| format!("stoop: {error}, slot {slot}\r\n")).collect()
}

/// What the shim says when it boots: docs and DESIGN.md have the words, this is written from them.
pub(crate) fn report(booted: &Booted, enter: &Enter) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let mut said =
        format!("stoop {version}: entry {}, slot {}, bootargs {}\r\n", booted.entry, booted.slot, booted.verdict);
    let line = match enter {
        Enter::Bootm(line) | Enter::BootmCached(line) | Enter::Go(line) => line.clone(),
        Enter::Tree(tree) => stoop_image::device_tree::Facts::of(tree)
            .ok()
            .and_then(|facts| facts.bootargs)
            .map_or(String::new(), |line| String::from_utf8_lossy(&line).into_owned()),
        Enter::Nonsense => String::new(),
    };
    if !line.is_empty() {
        let (shown, dots) = if line.len() > 56 { (&line[..56], "...") } else { (&line[..], "") };
        let why = booted.refusal.map_or(String::new(), |refusal| format!(", {refusal}"));
        said += &format!("stoop: {}{why}: {shown}{dots}\r\n", booted.verdict);
    }
    said
}

/// The tree with zeros as the values of `count-entry` and `count-handoff` (devicetree specification, chapter 5).
pub(crate) fn without_counts(mut tree: Vec<u8>) -> Vec<u8> {
    let word = |tree: &[u8], at: usize| {
        tree.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes) as usize
    };
    let (structure, strings, size) = (word(&tree, 8), word(&tree, 12), word(&tree, 36));
    let mut at = structure;
    while at < structure + size {
        match word(&tree, at) {
            // BEGIN_NODE
            1 => {
                let name = tree[at + 4..].iter().position(|byte| *byte == 0).unwrap_or(0);
                at += (4 + name + 1).next_multiple_of(4);
            }
            // PROP
            3 => {
                let (length, name) = (word(&tree, at + 4), strings + word(&tree, at + 8));
                let name = tree.get(name..).unwrap_or_default();
                if (name.starts_with(b"count-entry\0") || name.starts_with(b"count-handoff\0")) && length == 4 {
                    tree[at + 12..at + 16].fill(0);
                }
                at += 12 + length.next_multiple_of(4);
            }
            9 => break,
            _ => at += 4,
        }
    }
    tree
}

/// The flash of a board with these images in it, each at its place.
///
/// # Errors
/// An image is none for flash.
pub fn flash_with(board: &Board, images: &[&Built]) -> Result<Vec<u8>> {
    let mut bytes = vec![0xff; board.flash_window().size()];
    for built in images {
        let flash = built.flash.as_ref().ok_or_else(|| Failure::new("no image for flash"))?;
        for write in [&flash.boot].into_iter().chain(&flash.update) {
            let piece = &built.file[write.from..][..write.area.size()];
            bytes[write.area.offset()..][..piece.len()].copy_from_slice(piece);
        }
    }
    Ok(bytes)
}

/// The formats that the board's bootloader starts, and flash when the shim can read it.
pub fn formats(board: &Board) -> Vec<Format> {
    use stoop_image::board::Container;
    let mut formats = Vec::new();
    for container in &board.bootloader.containers {
        let format = match container {
            Container::UimageNone | Container::UimageLzma | Container::UimageGzip => Format::Uimage,
            Container::Fit => Format::Fit,
            Container::Elf => Format::Elf,
            Container::Raw => Format::Raw,
            Container::Image => Format::Image,
        };
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    if nor::Map::of(board).is_ok() {
        formats.push(Format::Nor);
    }
    formats
}
