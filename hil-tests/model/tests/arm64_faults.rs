//! Planted faults: the arm64 shim with an instruction changed, and boards that are not what the params say. Each has to be found,
//! by the check that is named. One that nothing finds is a missing test.

use object::{Object, ObjectSection, ObjectSymbol};
use stoop::board;
use stoop::image::{self, open};
use stoop::input::Arch;
use stoop::plan::{CodecWish, Format, Plan};
use stoop::shim_image::{Variant, prebuilt};
use stoop::ui::Quiet;
use stoop::{Failure, Result};
use stoop_core::Region;
use stoop_model::aarch64::Level;
use stoop_model::aarch64::boot::Way;
use stoop_model::aarch64::case::Case;
use stoop_model::aarch64::parts::{Parts, tree};

const BOARD: &str = "openwrt-one";
const NOP: u32 = 0xd503_201f;
/// `bl` to anywhere.
const CALL: (u32, u32) = (0xfc00_0000, 0x9400_0000);

/// An instruction and what runs in its place.
struct Change {
    /// The symbol behind which it is searched.
    behind: &'static str,
    /// Bits that count, and their values.
    word: (u32, u32),
    /// Which of those found, from 0 on.
    which: usize,
    /// What runs instead.
    instead: u32,
}

const fn change(behind: &'static str, word: u32, which: usize, instead: u32) -> Change {
    Change { behind, word: (u32::MAX, word), which, instead }
}

const fn no_call(behind: &'static str, which: usize) -> Change {
    Change { behind, word: CALL, which, instead: NOP }
}

const DC_CIVAC: u32 = 0xd50b_7e2a;
const DC_CVAC: u32 = 0xd50b_7a2a;
const DSB: u32 = 0xd503_3f9f;
const ISB: u32 = 0xd503_3fdf;
const IC: u32 = 0xd508_751f;
const SCTLR: [u32; 2] = [0xd518_100b, 0xd51c_100b];
const TLBI: [u32; 2] = [0xd508_871f, 0xd50c_871f];

/// What is wrong, the changes that make it so, and words of what finds it.
const FAULTS: &[(&str, &[Change], &str)] = &[
    ("nothing is written back", &[change("clean_image", DC_CIVAC, 0, NOP)], "PastDirty"),
    ("every other line is left out", &[change("clean_image", 0xd280_008d, 0, 0xd280_010d)], "PastDirty"),
    ("lines are written back and kept", &[change("clean_image", DC_CIVAC, 0, DC_CVAC)], "StaleData"),
    ("IC before the lines are written back", &[change("code_written", DSB, 0, NOP)], "IcBeforeDsb"),
    ("the instruction cache keeps what it has", &[change("code_written", IC, 0, NOP)], "StaleCode"),
    (
        "the caches stay on",
        &[change("caches_off", SCTLR[0], 0, NOP), change("caches_off", SCTLR[1], 0, NOP)],
        "the data cache is on",
    ),
    ("nothing is written back for the kernel", &[no_call("leave", 0)], "lines are dirty"),
    ("the kernel is called with the MMU on", &[no_call("leave", 1)], "the MMU is on"),
    ("the caches are turned on over lines from before", &[no_call("caches_on", 0)], "StaleData"),
    (
        "the TLB keeps what it has",
        &[change("caches_on", TLBI[0], 0, NOP), change("caches_on", TLBI[1], 0, NOP)],
        "StaleTranslation",
    ),
    (
        "the map is used before the TLB is empty",
        &[change("caches_on", DSB, 0, NOP), change("caches_on", DSB, 1, NOP)],
        "StaleTranslation",
    ),
    (
        "no ISB behind turning on",
        &[change("caches_on", ISB, 2, NOP), change("caches_on", ISB, 5, NOP)],
        "Unsynchronised",
    ),
    (
        "no ISB behind turning off",
        &[change("caches_off", ISB, 0, NOP), change("caches_off", ISB, 1, NOP), change("caches_off", ISB, 2, NOP)],
        "Unsynchronised",
    ),
    ("RAM mapped as devices, and devices as RAM", &[change("caches_on", 0xd29f_e00a, 0, 0xd280_1fea)], "Map"),
    ("a smaller address space than the tables are for", &[change("caches_on", 0xd286_a3cc, 0, 0xd286_a50c)], "Map"),
    ("interrupts as they came", &[change("_start", 0xd503_4fdf, 0, NOP)], "DAIF"),
    ("x0 is not the tree", &[change("leave", 0xaa04_03e0, 0, NOP)], "x0 to x3"),
    ("x1 is not 0", &[change("leave", 0xaa05_03e1, 0, NOP)], "x0 to x3"),
    ("a store behind the last flush", &[change("leave", 0xaa06_03e2, 0, 0xf900_011f)], "the kernel is wrong"),
    ("an unaligned load with the MMU off", &[change("clean_image", 0xf940_094b, 0, 0xf841_114b)], "Alignment"),
];

/// Where in the shim the change is.
fn place(shim: &[u8], change: &Change) -> Result<u64> {
    let file = object::File::parse(shim).map_err(|error| Failure::new(error.to_string()))?;
    let gone = || {
        let fact = format!("the shim has no instruction 0x{:08x} behind {} any more", change.word.1, change.behind);
        Failure::new(fact).next("plant the fault where it is now")
    };
    let start = file.symbols().find(|symbol| symbol.name() == Ok(change.behind)).ok_or_else(gone)?.address();
    let holds = |section: &object::Section<'_, '_>| {
        section.size() != 0 && (section.address()..section.address() + section.size()).contains(&start)
    };
    let section =
        file.sections().find(|section| section.name() != Ok(".squeezed") && holds(section)).ok_or_else(gone)?;
    let bytes = section.data().map_err(|error| Failure::new(error.to_string()))?;
    let words = bytes.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    let words = (section.address()..).step_by(4).zip(words).skip_while(|(at, _)| *at < start);
    let mut found = words.filter(|(_, word)| word & change.word.0 == change.word.1);
    found.nth(change.which).map(|(at, _)| at).ok_or_else(gone)
}

/// What is found in the shim with these changes, in boots of every kind.
fn found(patches: &[(u64, u32)], change: impl Fn(&mut Plan), damaged: bool) -> Result<Vec<String>> {
    let parts = Parts::new()?;
    let (mut all, cookie) = (Vec::new(), tree(b"liminix a=1")?);
    let truth = board::load(BOARD)?;
    for packed_tree in [true, false] {
        let mut plan = Plan::resolve(&parts.request(BOARD, Format::Image, CodecWish::Lz4, packed_tree), &mut Quiet)?;
        change(&mut plan);
        let mut file = image::build(&plan, &mut Quiet)?.file;
        if damaged {
            let at = file.len() - 0x400;
            file[at] ^= 4;
        }
        let opened = open(&file)?;
        for (level, way) in [(Level::El1, Way::Cleaned), (Level::El2, Way::Running), (Level::El2Host, Way::Running)] {
            for seed in [1, 2] {
                let case = Case {
                    board: &truth,
                    plan: &plan,
                    file: &file,
                    image: &opened,
                    tree: (!packed_tree).then_some(&cookie),
                    way,
                    level,
                    moved: 0,
                    seed,
                    patches,
                };
                all.extend(case.wrong()?);
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
    let shim = prebuilt(Arch::Arm64, Variant::Full)?;
    let mut faults = Vec::new();
    for (name, changes, by) in FAULTS {
        let patches = changes.iter().map(|change| Ok((place(shim, change)?, change.instead)));
        faults.push((*name, *by, found(&patches.collect::<Result<Vec<_>>>()?, |_| (), false)?));
    }
    all_found(faults);
    Ok(())
}

#[test]
fn params_that_are_not_of_this_arm64_board_are_found() -> Result<()> {
    let far = |plan: &mut Plan| plan.board.uart.address += 0x1000;
    let larger =
        |plan: &mut Plan| plan.board.ram = Region::new(plan.board.ram.start(), 1 << 31).unwrap_or(Region::EMPTY);
    let reset = |plan: &mut Plan| plan.board.reset = plan.board.reset.map(|reset| board::Reset { value: 1, ..reset });
    all_found([
        ("the UART is elsewhere", "nothing is there", found(&[], far, false)?),
        ("its registers lie close", "Alignment", found(&[], |plan| plan.board.uart.shift = 0, false)?),
        ("it wants bytes", "another width", found(&[], |plan| plan.board.uart.width = 1, false)?),
        ("there is less RAM", "Map", found(&[], larger, false)?),
        ("another value resets", "not what resets the board", found(&[], reset, true)?),
    ]);
    Ok(())
}

#[test]
fn nothing_is_found_where_nothing_is_planted() -> Result<()> {
    assert_eq!(found(&[], |_| (), false)?, [""; 0]);
    Ok(())
}
