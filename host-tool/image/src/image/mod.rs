//! From a plan to the bytes of an image: a placer lays it out (`mips`, `arm64` or `nor`), `assemble` writes it, and `open` reads
//! it again.

mod argv;
mod arm64;
mod assemble;
mod auto;
mod blocks;
mod built;
mod codec;
mod container;
mod contents;
mod error;
pub mod flash;
pub mod flashing;
mod kept;
mod mips;
mod nor;
mod note;
pub mod open;
mod part;
mod tree;

use stoop_core::codec::Codec;

use self::assemble::assemble;
use self::auto::{Candidate, Speed};
use self::flash::Map;
use crate::Result;
use crate::input::Form;
use crate::machine::Machine;
use crate::plan::{CodecChoice, Format, Plan};
use crate::progress::Progress;

pub use built::Built;
pub use error::Error;
pub use note::{FlashNote, Note};
pub use open::{Opened, is_foreign, open, open_container};
pub use part::Packed;
pub use tree::{LONGEST_LINE, longest_line};

/// Makes the image.
///
/// # Errors
/// A command line that is too long, too little RAM, overlaps, params that do not fit.
pub fn build(plan: &Plan, progress: &mut dyn Progress) -> Result<Built> {
    let asked = |codec| (codec, "asked for".to_owned());
    let (codec, why) = match plan.codec {
        CodecChoice::Store => asked(Codec::Store),
        CodecChoice::Lz4 => asked(Codec::Lz4),
        CodecChoice::Lzma => asked(Codec::Lzma),
        CodecChoice::Auto => match Room::of(plan)? {
            Room::Loaded(why) => (Codec::Store, why.to_owned()),
            Room::Any(why) => return build_fetched(plan, why, progress),
            Room::Bounded(budget) => match build_best(plan, &budget, progress)? {
                Some(built) => return Ok(built),
                None => {
                    let why = format!("the flash partition {} is too small in any case", budget.partition);
                    return build_fetched(plan, &why, progress);
                }
            },
        },
    };
    progress.step(if codec == Codec::Store { "packing" } else { "compressing the kernel" }, None);
    build_with(plan, codec::encode(codec, &plan.kernel.image, why, plan.cache.as_ref())?)
}

/// Seconds from the shim's first instruction to the kernel's, by the board's data, if they say how fast its CPU is and, when
/// flash is read as memory, that; estimated as for `--codec auto`.
pub fn seconds(plan: &Plan, built: &Built) -> Option<f64> {
    let board = &plan.board;
    // What is not in a slot the bootloader has copied to RAM.
    let speed = match &built.flash {
        Some(_) => Speed::of(board, if built.reads_twice { 2 } else { 1 })?,
        None => Speed { read: u64::MAX, clock: board.cpu_clock.filter(|_| board.arch.is_mips())? as u64, times: 0 },
    };
    let way = |packed: &Packed| Candidate { codec: packed.codec, stored: packed.stored, decoded: packed.decoded };
    let micros: u64 = built.payloads.iter().map(|packed| way(packed).time(&speed)).sum();
    Some(micros as f64 / 1e6)
}

/// The image for a board that gets it by its bootloader's network, where bytes count as well.
fn build_fetched(plan: &Plan, why: &str, progress: &mut dyn Progress) -> Result<Built> {
    let kernel = &plan.kernel.image;
    progress.step("compressing the kernel", None);
    let lz4 = codec::encode(Codec::Lz4, kernel, auto::fetched(why), plan.cache.as_ref())?;
    if lz4.bytes.len() < kernel.len() {
        return build_with(plan, lz4);
    }
    let why = format!("{why}, and LZ4 makes the kernel no smaller");
    build_with(plan, codec::encode(Codec::Store, kernel, why, plan.cache.as_ref())?)
}

/// The image with the codec that is wanted most of those with which it fits; `None` when it fits with none.
fn build_best(plan: &Plan, budget: &Budget, progress: &mut dyn Progress) -> Result<Option<Built>> {
    progress.step("compressing the kernel", None);
    // The shim reads a slot once, if RAM has room for copies; a bootloader copies the whole image to RAM.
    match best(plan, budget, 1)? {
        Some(built) if built.reads_twice => best(plan, budget, 2),
        built => Ok(built),
    }
}

/// The same, when flash is read so many times.
fn best(plan: &Plan, budget: &Budget, times: u64) -> Result<Option<Built>> {
    let kernel = &plan.kernel.image;
    let all = [Codec::Store, Codec::Lz4, Codec::Lzma]
        .map(|codec| codec::encode(codec, kernel, String::new(), plan.cache.as_ref()));
    let mut all = all.into_iter().collect::<Result<Vec<_>>>()?;
    let way = |stored: &codec::Stored<'_>| Candidate {
        codec: stored.codec,
        stored: stored.bytes.len(),
        decoded: kernel.len(),
    };
    let speed = Speed::of(&plan.board, times);
    all.sort_by_key(|stored| way(stored).rank(speed.as_ref()));
    let ways: Vec<Candidate> = all.iter().map(way).collect();
    let mut smallest = (usize::MAX, None);
    for (number, mut stored) in all.into_iter().enumerate() {
        stored.why = auto::why(&ways, number, speed.as_ref(), &budget.partition);
        match build_with(plan, stored) {
            Ok(built) if built.file.len() <= budget.size => return Ok(Some(built)),
            Ok(_) => {}
            // A slot counts its blocks itself.
            Err(failure) if budget.is_slot => {
                if ways[number].stored < smallest.0 {
                    smallest = (ways[number].stored, Some(failure));
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    smallest.1.map_or(Ok(None), Err)
}

const COMPRESSED: &str = "a vmlinuz is compressed already";

/// What decides about the codec.
enum Room {
    /// No codec but store can make a difference, for this reason.
    Loaded(&'static str),
    /// There is nothing that it has to fit, for this reason.
    Any(&'static str),
    /// A partition.
    Bounded(Budget),
}

/// Where the image has to fit.
struct Budget {
    /// The name of the partition that it would be flashed to.
    partition: String,
    /// Most bytes of the file.
    size: usize,
    /// A slot, which the shim reads where it lies.
    is_slot: bool,
}

impl Room {
    fn of(plan: &Plan) -> Result<Room> {
        if plan.format.value == Format::Elf {
            return Ok(Room::Loaded("ELF segments are loaded where they belong"));
        }
        if matches!(plan.kernel.form.innermost(), Form::Vmlinuz) {
            return Ok(Room::Loaded(COMPRESSED));
        }
        if plan.format.value == Format::Nor {
            let map = Map::of(&plan.board)?;
            let partition = map.slot(plan.slot)?.area.partition().to_owned();
            return Ok(Room::Bounded(Budget { partition, size: usize::MAX, is_slot: true }));
        }
        let Some(flash) = &plan.board.flash else { return Ok(Room::Any("the board has no flash to fit into")) };
        let Some(partition) = flash.image(None) else {
            return Ok(Room::Any("the board's flash has no partition for an image to fit into"));
        };
        let others = plan.initrd.as_ref().map_or(0, Vec::len) + plan.rootfs.as_ref().map_or(0, |rootfs| rootfs.size);
        // What lies behind the CPU's window is no room for an image.
        let size = flash::Area::mapped(flash, partition).size();
        Ok(match others < size {
            true => Room::Bounded(Budget { partition: partition.name.clone(), size, is_slot: false }),
            false => Room::Any("what else is packed does not fit the flash anyway"),
        })
    }
}

fn build_with(plan: &Plan, kernel: codec::Stored<'_>) -> Result<Built> {
    let layout = match (plan.arch(), plan.format.value) {
        (Machine::Arm64, _) => arm64::layout(plan, kernel)?,
        (_, Format::Nor) => nor::layout(plan, kernel)?,
        _ => mips::layout(plan, kernel)?,
    };
    assemble(plan, layout)
}
