//! Containers: the legacy uImage header (U-Boot include/image.h, struct legacy_img_hdr), FIT, ELF with loadable
//! segments, and nothing at all.

use stoop_core::Region;

use super::built::{Extent, Layout};

use super::error::Error;
use crate::Result;
use crate::board::Container;
use crate::format::{elf, fit, uimage};
use crate::layout::GRAIN;
use crate::machine::Machine;
use crate::plan::{Format, Plan};

const _: () = assert!((GRAIN as u64).is_multiple_of(elf::ALIGN));

/// Where each extent begins in the file, and how many bytes that has in all.
pub(super) struct Frame {
    pub(super) offsets: Vec<usize>,
    pub(super) size: usize,
}

/// How the container lays out the extents.
///
/// # Errors
/// More bytes than the container can name.
pub(super) fn frame(plan: &Plan, layout: &Layout<'_>) -> Result<Frame> {
    let first = layout.extents.first().map_or(0, |extent| extent.size);
    let (offset, size) = match plan.format.value {
        Format::Uimage => (uimage::HEADER, uimage::HEADER + first),
        Format::Fit => fit::frame(&name(plan), plan.arch(), first)?,
        Format::Raw | Format::Image => (0, first),
        Format::Elf => {
            let (offsets, size) = elf::frame(&segments(plan, layout));
            return Ok(Frame { offsets, size });
        }
        Format::Nor => {
            let mut size = 0;
            let offsets = layout.extents.iter().map(|extent| {
                size += extent.size;
                size - extent.size
            });
            return Ok(Frame { offsets: offsets.collect(), size });
        }
    };
    Ok(Frame { offsets: vec![offset], size })
}

/// Writes the container around the extents, which are in the file already.
///
/// # Errors
/// More bytes than the container can name.
pub(super) fn seal(plan: &Plan, layout: &Layout<'_>, file: &mut [u8]) -> Result<()> {
    let (head, first) = (layout.head.start(), layout.extents.first().map_or(0, |extent| extent.size));
    match plan.format.value {
        // The container of an image for flash is in its first extent.
        Format::Raw | Format::Image | Format::Nor => Ok(()),
        Format::Uimage => uimage::seal(file, &name(plan), plan.arch(), typed(plan, head)?),
        Format::Fit => fit::seal(file, &name(plan), plan.arch(), typed(plan, head)?, first),
        Format::Elf => elf::seal(file, plan.arch().is_big_endian(), head, &segments(plan, layout)),
    }
}

/// In the order of their addresses, as the ABI wants them, and as the extents of an ELF file are; kexec copies in that order, so
/// the shim is not the last one and not dirty in the cache when it runs, if there is anything above it.
fn segments(plan: &Plan, layout: &Layout<'_>) -> Vec<elf::Segment> {
    let segment = |extent: &Extent| elf::Segment {
        at: extent.at,
        size: extent.size,
        memory: memory_size(plan, layout.head, extent.at, extent.size),
    };
    layout.extents.iter().map(segment).collect()
}

/// Most bytes of a container beside its data.
pub(super) const ROOM: usize = if fit::ROOM > uimage::HEADER { fit::ROOM } else { uimage::HEADER };

/// The shim alone, for flash of MIPS boards: named by the tool's version, so that the same shim makes the same bytes for every kernel.
///
/// # Errors
/// As for [`seal`].
pub(super) fn of_boot(container: Container, load: usize, data: &[u8]) -> Result<Vec<u8>> {
    let name = concat!("stoop ", env!("CARGO_PKG_VERSION"));
    let entry = stoop_core::mips::kseg0(load) as u32;
    match container {
        Container::Fit => {
            let (at, size) = fit::frame(name, Machine::MipsBe, data.len())?;
            let mut file = vec![0; size];
            file[at..at + data.len()].copy_from_slice(data);
            fit::seal(&mut file, name, Machine::MipsBe, entry, data.len()).map(|()| file)
        }
        _ => {
            let mut file = [&[0; uimage::HEADER], data].concat();
            uimage::seal(&mut file, name, Machine::MipsBe, entry).map(|()| file)
        }
    }
}

/// For people who look at it in the bootloader.
fn name(plan: &Plan) -> String {
    format!("stoop {}", plan.kernel.version.as_deref().unwrap_or("Linux"))
}

/// An address as bootm wants it.
fn typed(plan: &Plan, address: usize) -> Result<u32> {
    u32::try_from(plan.board.typed(address)).map_err(|_| Error::LoadAddress { address }.into())
}

/// The kernel's bss belongs to its segment, and the head has its room.
fn memory_size(plan: &Plan, head: Region, at: usize, size: usize) -> usize {
    let room = match at {
        at if at == head.start() => head.size(),
        at if at as u64 == plan.kernel.load_address => plan.kernel.memory_size as usize,
        _ => 0,
    };
    room.max(size)
}
