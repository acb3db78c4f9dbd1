//! Planted faults: the arm64 shim with an instruction changed, and boards that are not what the params say. Each has to be found,
//! by the check that is named. One that nothing finds is a missing test.

use object::{Object, ObjectSection, ObjectSymbol};
use stoop_core::Region;
use stoop_image::board;
use stoop_image::image::{self, open};
use stoop_image::machine::Machine;
use stoop_image::plan::{CodecChoice, Format, Plan};
use stoop_image::progress::Quiet;
use stoop_image::shim_image::{Variant, prebuilt};
use stoop_model::aarch64::Level;
use stoop_model::aarch64::boot::{End, EntryPath, Place};
use stoop_model::aarch64::case::Case;
use stoop_model::aarch64::parts::{Parts, tree};
use stoop_samples::failure::{Failure, Result};

use crate::planted;

const BOARD: &str = "openwrt-one";
const NOP: u32 = 0xd503_201f;
/// `bl` to anywhere.
const CALL: (u32, u32) = (0xfc00_0000, 0x9400_0000);

/// Which of the instructions behind a symbol.
enum Which {
    /// The one with this number, from 0 on.
    Number(usize),
    /// All up to the next symbol.
    All,
    /// Of those, each that is the first one behind one of these.
    FirstBehind([u32; 2]),
}

/// Instructions and what runs in their place.
struct Change {
    /// The symbol behind which they are searched.
    behind: &'static str,
    /// Bits that count, and their values.
    word: (u32, u32),
    which: Which,
    /// What runs instead.
    instead: u32,
}

const fn first(behind: &'static str, word: u32, instead: u32) -> Change {
    Change { behind, word: (u32::MAX, word), which: Which::Number(0), instead }
}

const fn none(behind: &'static str, word: u32) -> Change {
    Change { behind, word: (u32::MAX, word), which: Which::All, instead: NOP }
}

const fn no_isb_after_sctlr(behind: &'static str) -> Change {
    Change { behind, word: (u32::MAX, ISB), which: Which::FirstBehind(SCTLR), instead: NOP }
}

const fn no_call(behind: &'static str, number: usize) -> Change {
    Change { behind, word: CALL, which: Which::Number(number), instead: NOP }
}

const DC_CIVAC: u32 = 0xd50b_7e2a;
const DC_CVAC: u32 = 0xd50b_7a2a;
const DSB: u32 = 0xd503_3f9f;
const ISB: u32 = 0xd503_3fdf;
const IC: u32 = 0xd508_751f;
const SCTLR: [u32; 2] = [0xd518_100b, 0xd51c_100b];
/// `msr vbar_el1, x1` and `msr vbar_el2, x1`.
const OWN_VECTORS: [u32; 2] = [0xd518_c001, 0xd51c_c001];
const TLBI: [u32; 2] = [0xd508_871f, 0xd50c_871f];

/// What is wrong, the changes that make it so, and words of what finds it.
const FAULTS: &[(&str, &[Change], &str)] = &[
    ("nothing is written back", &[none("clean_image", DC_CIVAC)], "PastDirty"),
    ("every other line is left out", &[first("clean_image", 0xd280_008d, 0xd280_010d)], "PastDirty"),
    ("lines are written back and kept", &[first("clean_image", DC_CIVAC, DC_CVAC)], "StaleData"),
    ("IC before the lines are written back", &[first("code_written", DSB, NOP)], "IcBeforeDsb"),
    ("the instruction cache keeps what it has", &[none("code_written", IC)], "StaleCode"),
    ("the caches stay on", &[none("caches_off", SCTLR[0]), none("caches_off", SCTLR[1])], "the data cache is on"),
    ("nothing is written back for the kernel", &[no_call("leave", 0)], "lines are dirty"),
    ("the kernel is called with the MMU on", &[no_call("leave", 1)], "the MMU is on"),
    ("the caches are turned on over lines from before", &[no_call("caches_on", 0)], "StaleData"),
    ("the TLB keeps what it has", &[none("caches_on", TLBI[0]), none("caches_on", TLBI[1])], "StaleTranslation"),
    ("the map is used before the TLB is empty", &[none("caches_on", DSB)], "StaleTranslation"),
    ("no ISB behind turning on", &[no_isb_after_sctlr("caches_on")], "Unsynchronised"),
    ("no ISB behind turning off", &[no_isb_after_sctlr("caches_off")], "Unsynchronised"),
    ("RAM mapped as devices, and devices as RAM", &[first("caches_on", 0xd29f_e00a, 0xd280_1fea)], "Map"),
    ("the TLB of EL1 is emptied at EL2", &[first("caches_on", TLBI[1], TLBI[0])], "StaleTranslation"),
    ("a smaller address space than the tables are for", &[first("caches_on", 0xd286_a3cc, 0xd286_a50c)], "Map"),
    ("interrupts as they came", &[first("_start", 0xd503_4fdf, NOP)], "DAIF"),
    ("x0 is not the tree", &[first("leave", 0xaa04_03e0, NOP)], "x0 to x3"),
    ("x1 is not 0", &[first("leave", 0xaa05_03e1, NOP)], "x0 to x3"),
    ("a store behind the last flush", &[first("leave", 0xaa06_03e2, 0xf900_011f)], "the kernel is wrong"),
    ("the bootloader's vectors stay, at EL1 and under E2H", &[first("peek", OWN_VECTORS[0], NOP)], "nothing is there"),
    ("the bootloader's vectors stay, at EL2", &[first("peek", OWN_VECTORS[1], NOP)], "nothing is there"),
    (
        "no ISB behind the vectors' address",
        &[Change { behind: "peek", word: (u32::MAX, ISB), which: Which::FirstBehind(OWN_VECTORS), instead: NOP }],
        "Unsynchronised",
    ),
    ("only the vectors of the level's own stack", &[first("peek", 0xf900_0022, NOP)], "not known"),
    ("only the vectors of EL0's stack", &[first("peek", 0xf901_0022, NOP)], "not known"),
    ("the shim's vectors stay, at EL1 and under E2H", &[first("peek", 0xd518_c005, NOP)], "the exception vectors"),
    ("the shim's vectors stay, at EL2", &[first("peek", 0xd51c_c005, NOP)], "the exception vectors"),
    ("an unaligned load with the MMU off", &[first("clean_image", 0xf940_094b, 0xf841_114b)], "Alignment"),
];

/// Where in the shim the change is.
fn places(shim: &[u8], change: &Change) -> Result<Vec<u64>> {
    let file = object::File::parse(shim).map_err(|error| Failure::new(error.to_string()))?;
    let gone = || {
        let fact = format!("the shim has no instruction 0x{:08x} behind {} any more", change.word.1, change.behind);
        Failure::new(fact).next("plant the fault where it is now")
    };
    let symbols = || file.symbols().filter(|symbol| symbol.name().is_ok_and(|name| !name.starts_with('$')));
    let start = symbols().find(|symbol| symbol.name() == Ok(change.behind)).ok_or_else(gone)?.address();
    let holds = |section: &object::Section<'_, '_>| {
        section.size() != 0 && (section.address()..section.address() + section.size()).contains(&start)
    };
    let section =
        file.sections().find(|section| section.name() != Ok(".squeezed") && holds(section)).ok_or_else(gone)?;
    let end = symbols().map(|symbol| symbol.address()).filter(|at| *at > start).min().unwrap_or(u64::MAX);
    let bytes = section.data().map_err(|error| Failure::new(error.to_string()))?;
    let words = bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let words = (section.address()..).step_by(4).zip(words).skip_while(|(at, _)| *at < start);
    let (mut found, mut armed) = (Vec::new(), false);
    for (at, word) in words {
        let matches = word & change.word.0 == change.word.1;
        match change.which {
            Which::Number(number) => {
                found.extend(matches.then_some(at));
                if let Some(at) = found.get(number) {
                    return Ok(vec![*at]);
                }
            }
            _ if at >= end => break,
            Which::All => found.extend(matches.then_some(at)),
            Which::FirstBehind(others) => {
                armed |= others.contains(&word);
                if matches && std::mem::take(&mut armed) {
                    found.push(at);
                }
            }
        }
    }
    if found.is_empty() || matches!(change.which, Which::Number(_)) { Err(gone()) } else { Ok(found) }
}

/// What is found in the shim with these changes, in boots of every kind.
fn found(patches: &[(u64, u32)], change: impl Fn(&mut Plan), damaged: bool) -> Result<Vec<String>> {
    let parts = Parts::new()?;
    let (mut all, cookie) = (Vec::new(), tree(b"liminix a=1")?);
    let truth = board::load(BOARD)?;
    for packed_tree in [true, false] {
        let mut plan = Plan::resolve(&parts.request(BOARD, Format::Image, CodecChoice::Lz4, packed_tree), &mut Quiet)?;
        change(&mut plan);
        let mut file = image::build(&plan, &mut Quiet)?.file;
        if damaged {
            let at = file.len() - 0x400;
            file[at] ^= 4;
        }
        let opened = open(&file)?;
        for (level, way) in
            [(Level::El1, EntryPath::Cleaned), (Level::El2, EntryPath::Running), (Level::El2Host, EntryPath::Running)]
        {
            for (seed, place, stack_of_el0) in [
                (1, Place::InRam, false),
                (2, Place::InRam, false),
                // Nothing is there: an exception.
                (3, Place::Behind { distance: 0, more: 0 }, false),
                (4, Place::Behind { distance: 0, more: 0 }, true),
            ] {
                let tree = (!packed_tree && place == Place::InRam).then_some(&cookie[..]);
                let case = Case {
                    board: &truth,
                    plan: &plan,
                    file: &file,
                    image: &opened,
                    tree,
                    place,
                    way,
                    level,
                    moved: 0,
                    seed,
                    patches,
                };
                let mut boot = case.boot()?;
                boot.core.system.stack_of_el0 = stack_of_el0;
                match boot.run(|_, _, _| ()) {
                    Ok(end) => all.extend(case.judge(&mut boot, &end)?),
                    Err(wrong) => all.push(wrong),
                }
            }
        }
    }
    Ok(all)
}

/// Fails with the faults that were not found by their checks.
fn all_found(faults: impl IntoIterator<Item = (&'static str, &'static str, Vec<String>)>) {
    let mut missed = Vec::new();
    for (name, by, found) in faults {
        let first = found.iter().find(|wrong| wrong.contains(by));
        println!("{name}: {}", first.map_or("NOT FOUND", |wrong| wrong));
        if first.is_none() {
            missed.push(format!("{name}, to be found by {by}: {:?}", found.first()));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn every_planted_fault_of_the_arm64_shim_is_found_by_its_check() -> Result<()> {
    let shim = prebuilt(Machine::Arm64, Variant::Full)?;
    let mut faults = Vec::new();
    for (name, changes, by) in FAULTS {
        let mut patches = Vec::new();
        for change in *changes {
            patches.extend(places(shim, change)?.into_iter().map(|at| (at, change.instead)));
        }
        faults.push((*name, *by, found(&patches, |_| (), false)?));
    }
    all_found(faults);
    Ok(())
}

/// Params that are wrong, words of what finds them, what makes them so, and whether that shows in a damaged image only.
type WrongParams = (&'static str, &'static str, fn(&mut Plan), bool);

const WRONG_PARAMS: [WrongParams; 6] = [
    ("the UART is elsewhere", "nothing is there", |plan| plan.board.uart.address += 0x1000, false),
    ("the UART's registers lie close", "Alignment", |plan| plan.board.uart.shift = 0, false),
    ("the UART wants bytes", "another width", |plan| plan.board.uart.width = 1, false),
    ("firmware's RAM is mapped", "Map", |plan| plan.board.firmware.clear(), false),
    (
        "there is less RAM",
        "Map",
        |plan| plan.board.ram = Region::new(plan.board.ram.start(), 1 << 31).unwrap_or(Region::EMPTY),
        false,
    ),
    (
        "another value resets",
        "not what resets the board",
        |plan| plan.board.reset = plan.board.reset.map(|reset| board::Reset { value: 1, ..reset }),
        true,
    ),
];

#[test]
fn params_that_are_not_of_this_arm64_board_are_found() -> Result<()> {
    let mut faults = Vec::new();
    for (name, by, change, damaged) in WRONG_PARAMS {
        faults.push((name, by, found(&[], change, damaged)?));
    }
    all_found(faults);
    Ok(())
}

#[test]
fn the_table_of_planted_faults_of_arm64_in_the_docs_has_these_and_no_other() -> Result<()> {
    let code = FAULTS.iter().map(|(name, _, by)| (*name, *by));
    planted::assert_documented("Planted on arm64", code.chain(WRONG_PARAMS.map(|(name, by, ..)| (name, by))))
}

#[test]
fn nothing_is_found_where_nothing_is_planted() -> Result<()> {
    assert_eq!(found(&[], |_| (), false)?, [""; 0]);
    Ok(())
}

/// PSCI's SYSTEM_RESET (Arm DEN 0022, 5.11).
const SYSTEM_RESET: u32 = 0x8400_0009;

#[test]
fn a_bit_that_flips_behind_the_arm64_stub_resets_the_board_before_anything_runs() -> Result<()> {
    let (parts, board) = (Parts::new()?, board::load(BOARD)?);
    let plan = Plan::resolve(&parts.request(BOARD, Format::Image, CodecChoice::Store, true), &mut Quiet)?;
    let file = image::build(&plan, &mut Quiet)?.file;
    let (good, shim) = (open(&file)?, prebuilt(Machine::Arm64, Variant::Store)?);
    let elf = object::File::parse(shim).map_err(|error| Failure::new(error.to_string()))?;
    let stub = elf.symbols().find(|symbol| symbol.name() == Ok("__stub_end")).map_or(0, |symbol| symbol.address());
    // The header's second field of stoop: how many bytes are stored.
    let stored = usize::from(u16::from_le_bytes([file[64], file[65]]));
    let mut count = 0;
    for (number, at) in (stub as usize..stored).step_by(149).enumerate() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (number % 8);
        let mut image = good.clone();
        image.pieces = vec![(good.load, &damaged)];
        let case = Case {
            board: &board,
            plan: &plan,
            file: &damaged,
            image: &image,
            tree: None,
            place: Place::InRam,
            way: EntryPath::Cleaned,
            level: if number % 2 == 0 { Level::El1 } else { Level::El2 },
            moved: 0,
            seed: number as u32,
            patches: &[],
        };
        let end = case.boot()?.run(|_, _, _| ());
        assert_eq!(end, Ok(End::Firmware(SYSTEM_RESET)), "a bit of the byte at 0x{at:x}");
        count += 1;
    }
    assert!(count > 30, "{count} bits");
    Ok(())
}
