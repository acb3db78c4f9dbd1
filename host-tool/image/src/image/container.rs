//! Containers: the legacy uImage header (U-Boot include/image.h, struct legacy_img_hdr), FIT, ELF with loadable
//! segments, and nothing at all.

use stoop_core::Region;

use crate::board::Container;
use crate::format::{elf, fit, uimage};
use crate::layout::GRAIN;
use crate::machine::Machine;
use crate::plan::{Format, Plan};
use crate::{Failure, Result};

const _: () = assert!((GRAIN as u64).is_multiple_of(elf::ALIGN));

/// The file with `pieces`, which lie at their physical addresses; the first one is entered at its first byte and has at least
/// the room of `head`.
///
/// # Errors
/// More bytes than the container can name.
pub(super) fn wrap(plan: &Plan, head: Region, mut pieces: Vec<(usize, Vec<u8>)>) -> Result<Vec<u8>> {
    match plan.format.value {
        Format::Raw | Format::Image => Ok(pieces.swap_remove(0).1),
        Format::Uimage => uimage::write(&name(plan), plan.arch(), typed(plan, head.start())?, &pieces.swap_remove(0).1),
        Format::Fit => fit::write(&name(plan), plan.arch(), typed(plan, head.start())?, &pieces.swap_remove(0).1),
        Format::Elf => {
            let segment = |(at, bytes): (usize, Vec<u8>)| elf::Segment {
                at,
                memory: memory_size(plan, head, at, bytes.len()),
                bytes,
            };
            elf::write(plan.arch().is_big_endian(), head.start(), pieces.into_iter().map(segment).collect())
        }
        Format::Nor => unreachable!("a flash image is no container, see nor.rs"),
    }
}

/// Most bytes of a container beside its data.
pub(super) const ROOM: usize = if fit::ROOM > uimage::HEADER { fit::ROOM } else { uimage::HEADER };

/// The shim alone, for flash of MIPS boards: named by the tool's version, so that the same shim makes the same bytes for every kernel.
///
/// # Errors
/// As for [`wrap`].
pub(super) fn of_boot(container: Container, load: usize, data: &[u8]) -> Result<Vec<u8>> {
    let name = concat!("stoop ", env!("CARGO_PKG_VERSION"));
    let entry = stoop_core::mips::kseg0(load) as u32;
    match container {
        Container::Fit => fit::write(name, Machine::MipsBe, entry, data),
        _ => uimage::write(name, Machine::MipsBe, entry, data),
    }
}

/// For people who look at it in the bootloader.
fn name(plan: &Plan) -> String {
    format!("stoop {}", plan.kernel.version.as_deref().unwrap_or("Linux"))
}

/// An address as bootm wants it.
fn typed(plan: &Plan, address: usize) -> Result<u32> {
    u32::try_from(plan.board.typed(address)).map_err(|_| {
        Failure::new(format!("the container cannot name the load address 0x{address:x}"))
            .next("pack with `--format image`")
    })
}

/// The kernel's bss belongs to its segment, and the head has its room.
fn memory_size(plan: &Plan, head: Region, at: usize, size: usize) -> u64 {
    let room = match at {
        at if at == head.start() => head.size() as u64,
        at if at as u64 == plan.kernel.load_address => plan.kernel.memory_size,
        _ => 0,
    };
    room.max(size as u64)
}
