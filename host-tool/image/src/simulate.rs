//! What the shim will decide and write: core's own function, over an image in the memory of a board made of vectors.

mod error;

mod memory;

use crate::machine::Machine;
use stoop_core::Region;
use stoop_core::abi::Abi;
use stoop_core::arm64::Arm64;
use stoop_core::boot::{self, Buffers, Handoff, Loader, Report};
use stoop_core::bootargs::EntryKind;
use stoop_core::bytes;
use stoop_core::codec::Tables;
use stoop_core::cookie::{Refusal, Verdict};
use stoop_core::crc32::Crc32;
use stoop_core::fdt::{self, Overlay};
use stoop_core::manifest::{HandoffKind, Kind, Manifest};
use stoop_core::memory::Memory;
use stoop_core::mips::{Mips, kseg0, kseg1, physical};

use crate::bootloader::uboot;
use crate::format::device_tree::Facts;
use crate::image::{Opened, open, open_container};
pub use error::Error;

use crate::{Result, watchdog};
use memory::Board;

/// How the bootloader enters the image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Entry {
    /// Registers of zeros.
    #[default]
    None,
    /// argc and argv as U-Boot's bootm makes them of its bootargs; on arm64 a device tree that has only these bootargs.
    Argv(Vec<u8>),
    /// A device tree (UHI, arm64).
    Uhi(Vec<u8>),
}

/// What happens around the image.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Input {
    /// The entry.
    pub entry: Entry,
    /// Where the image is put, physical, instead of where it says.
    pub load: Option<usize>,
}

/// How the kernel is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Called {
    /// By which convention.
    pub kind: HandoffKind,
    /// Physical.
    pub entry_point: usize,
    /// a0 to a3, or x0 to x3.
    pub registers: [u64; 4],
    /// The strings that a2 points to when the kernel is called with argc, argv and env.
    pub env: Vec<Vec<u8>>,
}

/// A root filesystem in RAM, as the kernel hears of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PhramAt {
    /// Where.
    pub region: Region,
    /// N of its `mtdN` alias; `None` when the command line names it.
    pub alias: Option<u8>,
}

/// What the shim did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Booted {
    /// The one string the kernel will see, without NUL.
    pub cmdline: Vec<u8>,
    /// What became of the bootargs.
    pub verdict: Verdict,
    /// Why they are refused.
    pub refusal: Option<Refusal>,
    /// How the bootloader called the image.
    pub entry: EntryKind,
    /// One character.
    pub slot: char,
    /// The handoff.
    pub handoff: Called,
    /// The root filesystem.
    pub phram: Option<PhramAt>,
    /// By name, in the order of addresses.
    pub regions: Vec<(&'static str, Region)>,
    /// The final device tree.
    pub tree: Vec<u8>,
}

/// What came out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outcome {
    /// What the shim did, or why it gave up.
    pub result: std::result::Result<Booted, stoop_core::Error>,
    /// What the shim prints about slots that do not boot: slot and error.
    pub failed: Vec<(char, stoop_core::Error)>,
    /// What it does about the watchdog; `None`: nothing.
    pub watchdog: Option<String>,
    /// What the user should know, whole sentences without a full stop.
    pub warnings: Vec<String>,
}

/// More `name=value` words than this that the kernel does not know and it panics: "Too many boot env vars" (init/main.c,
/// MAX_INIT_ENVS).
const ENV_LIMIT: usize = 32;
/// For argc, argv and strings, or a device tree, at the top of RAM, where U-Boot keeps them.
const BOOTLOADER_GRAIN: usize = 0x1_0000;

/// Bytes of RAM, and of flash, that every image may use; larger ones may use more.
const MOST_MEMORY: usize = 0x800_0000;

/// U-Boot uses no memory above (common/board_f.c: board_get_usable_ram_top of most boards).
const FOUR_GIB: usize = 1 << 32;

/// Runs it.
///
/// # Errors
/// No stoop image, or memory that cannot hold it. That the shim itself gives up is an [`Outcome`].
pub fn run(file: &[u8], input: &Input) -> Result<Outcome> {
    on(&open(file)?, input, None)
}

/// Runs the front of an image for flash over this content of the flash, as the CPU reads it from the start of its window.
///
/// # Errors
/// As for [`run`].
pub fn run_from_flash(file: &[u8], input: &Input, flash: &[u8]) -> Result<Outcome> {
    on(&open_container(file)?, input, Some(flash))
}

fn on(image: &Opened<'_>, input: &Input, flash: Option<&[u8]>) -> Result<Outcome> {
    match image.machine {
        Machine::MipsBe => run_on::<Mips<true>>(image, input, flash),
        Machine::MipsLe => run_on::<Mips<false>>(image, input, flash),
        Machine::Arm64 => run_on::<Arm64>(image, input, flash),
    }
}

fn run_on<A: Abi>(image: &Opened<'_>, input: &Input, flash: Option<&[u8]>) -> Result<Outcome> {
    let crc = Crc32::new();
    let params = match image.params(&crc) {
        Ok(params) => params,
        Err(error) => {
            return Ok(Outcome { result: Err(error), failed: Vec::new(), watchdog: None, warnings: Vec::new() });
        }
    };
    let window = params.flash();
    let offset = input.load.map_or(0, |load| load.wrapping_sub(image.load));
    // On MIPS the shim moves to its run address, on arm64 it runs where it is.
    let run = if A::MACHINE == Machine::Arm64 { image.note.run.moved(offset) } else { image.note.run };
    let pieces: usize = image.pieces.iter().map(|(_, bytes)| bytes.len()).sum();
    let flash = flash.unwrap_or_default();
    let mut board = Board::new(params.ram(), window, run, MOST_MEMORY.max(4 * pieces));
    let damaged = || Error::Flash;
    // Of an image for flash, all but its front lie there.
    let stays = |at: usize, bytes: &[u8]| Region::new(at, bytes.len()).is_some_and(|region| window.contains(&region));
    for (at, bytes) in image.pieces.iter().filter(|(at, bytes)| stays(*at, bytes)) {
        board.flash(*at, bytes).ok_or_else(damaged)?;
    }
    if !flash.is_empty() {
        board.flash(window.start(), &flash[..flash.len().min(window.size())]).ok_or_else(damaged)?;
    }
    for (at, bytes) in image.pieces.iter().filter(|(at, bytes)| !stays(*at, bytes)) {
        let at = at.wrapping_add(offset);
        board.lend(at, bytes).or_else(|| board.put(at, bytes)).ok_or_else(|| {
            let ram = params.ram();
            Error::NotInRam { size: bytes.len(), at, ram }
        })?;
    }
    let registers = enter::<A>(&mut board, image, params.ram(), &input.entry)?;
    let loader = Loader { image: image.load.wrapping_add(offset), run };
    let mut buffers = Box::new(Buffers::new());
    buffers.crc.fill();
    let mut board = boot::Board {
        memory: board,
        loader,
        buffers: &mut buffers,
        tables: &mut Box::new(Tables::new()),
        feed: &|| (),
    };
    let mut failed = Vec::new();
    let booting = board.boot::<A>(&params, registers, &mut |slot, error| failed.push((char::from(slot), *error)));
    let board = board.memory;
    if let Some(most) = board.exceeded() {
        return Err(Error::TooLarge { most }.into());
    }
    let result = match booting {
        Ok((handoff, report)) => {
            Ok(booted::<A>(&board, &loader, &params.slots().collect::<Vec<_>>(), &handoff, &report)?)
        }
        Err(error) => Err(error),
    };
    let mut warnings = Vec::new();
    if let Entry::Argv(line) = &input.entry
        && A::MACHINE != Machine::Arm64
        && uboot::argv(line).len() > uboot::BOOTM_WORDS
    {
        warnings.push(format!("U-Boot itself passes only the first {} words of its bootargs", uboot::BOOTM_WORDS));
    }
    if let Ok(booted) = &result {
        warnings.extend(concerns(booted));
    }
    Ok(Outcome { result, failed, watchdog: watchdog::told(&params), warnings })
}

/// Puts what the bootloader passes into memory, and gives its registers.
fn enter<'a, A: Abi>(board: &mut Board<'a>, image: &Opened<'_>, ram: Region, entry: &'a Entry) -> Result<[usize; 4]> {
    let room = |size: usize| {
        let size = size.next_multiple_of(BOOTLOADER_GRAIN) + BOOTLOADER_GRAIN;
        let taken = image.pieces.iter().filter_map(|(at, bytes)| Region::new(*at, bytes.len()));
        let taken: Vec<Region> = taken.chain([image.note.run]).collect();
        let top = ram.end() / BOOTLOADER_GRAIN * BOOTLOADER_GRAIN;
        let candidates = (ram.start()..=top.saturating_sub(size)).rev().step_by(BOOTLOADER_GRAIN);
        let mut free =
            candidates.filter(|at| Region::new(*at, size).is_some_and(|at| !taken.iter().any(|t| t.overlaps(&at))));
        free.next().ok_or(Error::NoRoomForArguments { size })
    };
    let lost = || Error::Arguments;
    match entry {
        Entry::None => Ok([0; 4]),
        Entry::Uhi(tree) if A::MACHINE == Machine::Arm64 && behind(tree, ram).is_some() => {
            let at = behind(tree, ram).unwrap_or_default();
            // As the shim looks at it (shim/src/arch/aarch64).
            let first = tree.first_chunk::<8>().map(|first| first.as_chunks::<4>().0);
            let size =
                first.and_then(|first| fdt::stated_size(u32::from_be_bytes(first[0]), u32::from_be_bytes(first[1])));
            if let Some(tree) = size.and_then(|size| tree.get(..size)) {
                board.put_behind(at, tree).ok_or_else(lost)?;
            }
            Ok([at, 0, 0, 0])
        }
        Entry::Uhi(tree) => {
            let at = room(tree.len())?;
            board.put(at, tree).ok_or_else(lost)?;
            if A::MACHINE == Machine::Arm64 {
                return Ok([at, 0, 0, 0]);
            }
            Ok([-2i32 as u32 as usize, kseg0(at), 0, 0])
        }
        Entry::Argv(line) if A::MACHINE == Machine::Arm64 => {
            let tree = with_bootargs(line)?;
            let at = room(tree.len())?;
            board.put(at, &tree).ok_or_else(lost)?;
            Ok([at, 0, 0, 0])
        }
        Entry::Argv(line) => {
            let words = uboot::argv(line);
            let table = (words.len() + 2) * 4;
            let at = room(table + line.len() + words.len() + 1)?;
            let mut strings = vec![0];
            let mut pointers = vec![kseg0(at + table)];
            for word in &words {
                pointers.push(kseg0(at + table + strings.len()));
                strings.extend_from_slice(word);
                strings.push(0);
            }
            pointers.push(0);
            let mut block: Vec<u8> = Vec::new();
            for pointer in &pointers {
                let word = *pointer as u32;
                block.extend_from_slice(&if A::BIG_ENDIAN { word.to_be_bytes() } else { word.to_le_bytes() });
            }
            block.extend_from_slice(&strings);
            board.put(at, &block).ok_or_else(lost)?;
            // U-Boot passes its table's uncached alias, and an environment that ends at once.
            Ok([words.len() + 1, kseg1(at), kseg1(at + table - 4), 0])
        }
    }
}

/// Where U-Boot puts its tree on arm64 when the machine has more RAM than the image knows: at the end of what the tree says.
fn behind(tree: &[u8], ram: Region) -> Option<usize> {
    let facts = Facts::of(tree).ok()?;
    let whole = facts.memory.iter().find(|range| range.contains(&(ram.start() as u64)))?;
    let end = usize::try_from(whole.end).ok()?.min(FOUR_GIB);
    let at = end.checked_sub(tree.len())? / BOOTLOADER_GRAIN * BOOTLOADER_GRAIN;
    (at >= ram.end()).then_some(at)
}

/// A tree with bootargs and nothing else: U-Boot's booti puts its variable there and leaves the rest (boot/fdt_support.c:
/// fdt_chosen).
fn with_bootargs(line: &[u8]) -> Result<Vec<u8>> {
    // An empty variable is none, and leaves the tree as it is.
    let what = Overlay { cells: [2, 2], line: (!line.is_empty()).then_some(line), ..Overlay::default() };
    let mut tree = vec![0; line.len() + 4096];
    let size = what.encode(&mut tree).ok_or(Error::Tree)?;
    tree.truncate(size);
    Ok(tree)
}

fn booted<A: Abi>(
    board: &Board<'_>,
    loader: &Loader,
    slots: &[stoop_core::params::SlotAt],
    handoff: &Handoff,
    report: &Report,
) -> Result<Booted> {
    let gone = || Error::Lost;
    let slot = slots.iter().find(|slot| slot.name == report.slot).ok_or_else(gone)?;
    let at = slot.address.wrapping_add(if slot.relative { loader.image } else { 0 });
    // A payload may have been delivered over the manifest: then it says nothing any more, but the kernel does not ask.
    let manifest = Manifest::check(board.from(at).unwrap_or(&[]), at, loader.image, A::MACHINE, &Crc32::new())
        .map_err(|_| gone())?;
    let tree = board.read(handoff.tree).ok_or_else(gone)?.to_vec();
    let facts = Facts::of(&tree)?;
    let cmdline = facts.bootargs.clone().unwrap_or_default();
    let mut env = Vec::new();
    if !manifest.payload(Kind::Env).place.is_empty() {
        let [argc, argv, list, _] = handoff.registers;
        let arguments = strings(board, argv, A::BIG_ENDIAN).ok_or_else(gone)?;
        if argc != arguments.len() || arguments != [Vec::new(), cmdline.clone()] {
            return Err(Error::TwoLines.into());
        }
        env = strings(board, list, A::BIG_ENDIAN).ok_or_else(gone)?;
    }
    let payload = |kind: Kind| manifest.payload(kind);
    let mut regions = vec![("shim", loader.run), ("dtb", handoff.tree)];
    let places =
        [Kind::Kernel, Kind::Initrd, Kind::Rootfs, Kind::Env].map(|kind| (kind.subject().text(), payload(kind).place));
    regions.extend(places);
    regions.retain(|(_, region)| !region.is_empty());
    regions.sort_by_key(|(_, region)| region.start());
    let phram =
        named_in_the_tree(&facts).or_else(|| named_on_the_line(&cmdline).map(|region| PhramAt { region, alias: None }));
    Ok(Booted {
        cmdline,
        verdict: report.bootargs.verdict,
        refusal: report.bootargs.refusal,
        entry: report.entry,
        slot: char::from(report.slot),
        handoff: Called {
            kind: manifest.handoff(),
            entry_point: handoff.entry_point,
            registers: handoff.registers.map(|register| register as u64),
            env,
        },
        phram,
        regions,
        tree,
    })
}

/// The strings of a list of pointers that ends with NULL, as the kernel reads them.
fn strings(board: &Board<'_>, list: usize, big_endian: bool) -> Option<Vec<Vec<u8>>> {
    let mut pointers = board.from(physical(list as u32)?)?.chunks_exact(4);
    let mut strings = Vec::new();
    loop {
        let mut pointer = [0];
        bytes::words(&mut pointer, pointers.next()?, big_endian)?;
        if pointer == [0] {
            return Some(strings);
        }
        let bytes = board.from(physical(pointer[0])?)?;
        strings.push(bytes.split(|byte| *byte == 0).next()?.to_vec());
    }
}

/// An alias `mtdN` of a node under /reserved-memory (drivers/mtd/mtdcore.c: add_mtd_device).
fn named_in_the_tree(facts: &Facts) -> Option<PhramAt> {
    facts.aliases.iter().find_map(|(name, path)| {
        let alias = name.strip_prefix("mtd")?.parse().ok()?;
        let node = path.strip_prefix("/reserved-memory/").filter(|node| node.split('@').next() == Some("phram"))?;
        let (_, range) = facts.reserved.iter().find(|(name, _)| name == node)?;
        let region = Region::between(usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?)?;
        Some(PhramAt { region, alias: Some(alias) })
    })
}

/// `phram.phram=NAME,START,LENGTH`: the last one counts (drivers/mtd/devices/phram.c: phram_param_call).
fn named_on_the_line(line: &[u8]) -> Option<Region> {
    let mut words = line.split(|byte| *byte == b' ').filter_map(|word| word.strip_prefix(b"phram.phram="));
    let mut parts = std::str::from_utf8(words.next_back()?).ok()?.split(',').skip(1);
    let mut number = || usize::from_str_radix(parts.next()?.strip_prefix("0x")?, 16).ok();
    Region::new(number()?, number()?)
}

/// What accepted bootargs may break.
fn concerns(booted: &Booted) -> Vec<String> {
    let mut concerns = Vec::new();
    let words: Vec<&[u8]> = booted.cmdline.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).collect();
    let roots: Vec<_> = words.iter().filter(|word| word.starts_with(b"root=")).collect();
    let passed = booted.verdict.passes();
    if let [.., image, last] = roots[..]
        && passed
        && image != last
    {
        concerns.push(format!("bootargs' {} overrides the image's {}", shown(last), shown(image)));
    }
    if passed && words.iter().any(|word| word.starts_with(b"mem=")) {
        concerns.push("mem= replaces the memory that the device tree names".into());
    }
    let assignments = words.iter().filter(|word| word.contains(&b'='));
    if passed && assignments.count() > ENV_LIMIT {
        concerns.push(format!(
            "there are more than {ENV_LIMIT} name=value words: the kernel panics if it knows none of them (Too many boot env vars)"
        ));
    }
    concerns
}

/// Bytes of a line for people.
pub fn shown(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
