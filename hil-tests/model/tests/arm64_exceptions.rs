//! x0 behind the RAM of the params: the shim reads two words there with exception vectors of its own (`peek`), so that an address
//! where nothing answers is no tree, and not the end.

use stoop_image::board::{self, Board};
use stoop_image::image::{self, Opened, open};
use stoop_image::machine::Machine;
use stoop_image::plan::{CodecChoice, Plan};
use stoop_image::progress::Quiet;
use stoop_model::aarch64::Level;
use stoop_model::aarch64::boot::{EntryPath, Place};
use stoop_model::aarch64::case::Case;
use stoop_model::aarch64::parts::{Parts, tree};
use stoop_model::suite::formats;
use stoop_samples::failure::Result;

/// How an image is entered: level, stack pointer, caches. Every other one has each level.
const WAYS: [(Level, bool, EntryPath); 6] = [
    (Level::El1, false, EntryPath::Cleaned),
    (Level::El1, true, EntryPath::Running),
    (Level::El2, false, EntryPath::Running),
    (Level::El2, true, EntryPath::Cleaned),
    (Level::El2Host, false, EntryPath::Cleaned),
    (Level::El2Host, true, EntryPath::Running),
];

const MIB: usize = 1 << 20;
/// The first address behind the shim's map.
const MAPPED: usize = 16 << 30;

/// Where x0 leads, and what follows.
struct Pointer {
    name: &'static str,
    place: Place,
    tree: Option<Vec<u8>>,
    /// Loads that nothing answers.
    aborts: u32,
}

fn pointers(board: &Board) -> Result<Vec<Pointer>> {
    let behind = |distance, more| Place::Behind { distance, more };
    let (accepted, vendor) = (tree(b"liminix x.y=1")?, tree(b"root=/dev/mmcblk0p65 rootwait")?);
    let nothing = |name, distance, aborts| Pointer { name, place: behind(distance, 0), tree: None, aborts };
    Ok(vec![
        nothing("the first word without RAM", 0, 1),
        nothing("the last mapped word without RAM", MAPPED - 8 - board.ram.end(), 1),
        nothing("no multiple of 8, without RAM", 4 * MIB + 4, 0),
        nothing("behind the map", MAPPED - board.ram.end(), 0),
        Pointer { name: "RAM without a tree", place: behind(8 * MIB, 16 * MIB), tree: None, aborts: 0 },
        Pointer { name: "the last word of more RAM", place: behind(16 * MIB - 8, 16 * MIB), tree: None, aborts: 0 },
        Pointer { name: "a tree", place: behind(12 * MIB + 8, 16 * MIB), tree: Some(accepted.clone()), aborts: 0 },
        Pointer { name: "a tree at once", place: behind(0, 2 * MIB), tree: Some(vendor), aborts: 0 },
        // Two blocks of the map are its own.
        Pointer {
            name: "over the end of a block",
            place: behind(4 * MIB - 64, 16 * MIB),
            tree: Some(accepted),
            aborts: 0,
        },
    ])
}

/// What is wrong with a boot, the number of exceptions included.
fn wrong(case: &Case<'_>, stack_of_el0: bool, aborts: u32) -> Result<Vec<String>> {
    let mut boot = case.boot()?;
    boot.core.system.stack_of_el0 = stack_of_el0;
    let mut wrong = match boot.run(|_, _, _| ()) {
        Ok(end) => case.judge(&mut boot, &end)?,
        Err(wrong) => vec![wrong],
    };
    if boot.core.system.aborts != aborts {
        wrong.push(format!("{} exceptions, not {aborts}", boot.core.system.aborts));
    }
    Ok(wrong)
}

#[test]
fn a_pointer_behind_ram_is_a_tree_or_none_and_never_the_end_on_every_arm64_board_at_every_level() -> Result<()> {
    let parts = Parts::new()?;
    let (mut boots, mut faults) = (0, 0);
    let boards = board::all()?;
    let boards = boards.iter().filter(|board| board.arch == Machine::Arm64);
    for (number, board) in boards.enumerate() {
        let request = parts.request(&board.name, formats(board)[0], CodecChoice::Store, number % 2 == 0);
        let plan = Plan::resolve(&request, &mut Quiet)?;
        let file = image::build(&plan, &mut Quiet)?.file;
        let opened: Opened<'_> = open(&file)?;
        for (at, pointer) in pointers(board)?.iter().enumerate() {
            for (level, stack_of_el0, way) in WAYS.into_iter().skip((number / 2 + at) % 2).step_by(2) {
                boots += 1;
                faults += pointer.aborts;
                let case = Case {
                    board,
                    plan: &plan,
                    file: &file,
                    image: &opened,
                    tree: pointer.tree.as_deref(),
                    place: pointer.place,
                    way,
                    level,
                    moved: 0,
                    seed: boots,
                    patches: &[],
                };
                let wrong = wrong(&case, stack_of_el0, pointer.aborts)?;
                assert_eq!(wrong, [""; 0], "{}: {}, {level:?} {way:?}", board.name, pointer.name);
            }
        }
    }
    println!("x0 behind RAM: {boots} boots, {faults} exceptions");
    assert!(faults > 0, "no board of arm64");
    Ok(())
}
