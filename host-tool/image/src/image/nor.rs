//! The image as a board's flash has it: the shim in the container that the bootloader starts, written once, and slots with a
//! manifest and payloads each, which the shim reads where they lie.
//!
//! The file has three consecutive extents, each in whole erase blocks: the container, the slot, and the root filesystem when that
//! has a partition of its own.

use std::borrow::Cow;

use stoop_core::Region;
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{self, Kind, Listing};

use super::built::{Extent, Layout};
use super::codec::{self, Stored};
use super::error::Error;
use super::flash::{Area, BOOT_SIZE, Flashing, Map, Slot, Write};
use super::mips::need;
use super::note::{self, FlashNote, Note};
use super::part::Part;
use super::tree::{OVERLAY_SLACK, command_line, overlay_bytes, own_tree, tree_room};
use super::{argv, blocks, container, kept};
use crate::Result;
use crate::board::Board;
use crate::layout::{self, GRAIN, PAGE, Places, Shape};
use crate::machine::KSEG_SIZE;
use crate::plan::{Plan, RootfsIn};
use crate::shim_image::{self, Header};

/// Where the shim and its container go in RAM: fixed by the board, so that a container which is in flash already starts every
/// later slot. High, since kernels grow upwards.
fn fixed(board: &Board, run: usize, container: usize) -> Result<(Region, Region)> {
    let mut end = board.free_ram().end().min(KSEG_SIZE);
    let mut take = |size: usize| {
        let place = |end: usize| Region::new(end.checked_sub(size)? / GRAIN * GRAIN, size);
        let mut region = place(end)?;
        if let Some(staging) = board.bootloader.staging.filter(|staging| staging.overlaps(&region)) {
            region = place(staging.start())?;
        }
        end = region.start();
        board.ram.contains(&region).then_some(region)
    };
    let places = take(run).and_then(|run| Some((run, take(container)?)));
    places.ok_or_else(|| Error::NoRoomForShim.into())
}

/// The container: the same bytes for every slot and every kernel, as long as the board's data, the cookie and the shim are.
struct Boot {
    file: Vec<u8>,
    run: Region,
    load: Region,
    /// Bytes of the shim in it.
    shim: usize,
    area: Area,
}

fn boot(plan: &Plan, map: &Map, crc: &Crc32) -> Result<Boot> {
    // A later slot may have its kernel in any form.
    let variant = plan.shim([Codec::Lzma]);
    let shim = shim_image::prebuilt(plan.arch(), variant)?;
    let (run, load) = fixed(&plan.board, shim_image::run_size(shim)?, BOOT_SIZE)?;
    let params = blocks::params(plan, &map.listed(), crc)?;
    let header = Header::Mips { run_address: stoop_core::mips::kseg0(run.start()) };
    let front = shim_image::front(shim, header, &params, plan.shim_form())?;
    let mut data = front.bytes.clone();
    // Its manifest is the one at the next extent of the file.
    let area = map.boot.front(data.len() + note::SIZE + note::BOARD_SIZE + container::ROOM)?;
    let big_endian = plan.arch().is_big_endian();
    let note = Note { big_endian, run, load: load.start(), manifest: area.size(), variant };
    data.extend_from_slice(&note.encode(crc));
    data.extend_from_slice(&note::board(&plan.board.name, crc));
    let load = Region::new(load.start(), data.len())
        .filter(|data| load.contains(data))
        .ok_or(Error::ShimTooLarge { size: data.len(), room: BOOT_SIZE })?;
    let mut file = container::of_boot(map.container, load.start(), &data)?;
    // As erased flash is: nothing to program.
    file.resize(area.size(), ERASED);
    Ok(Boot { file, run, load, shim: front.bytes.len(), area })
}

/// Lays out one slot and what starts it.
///
/// # Errors
/// As for [`super::build`] and [`Map::of`], and a slot or partition that is too small.
pub(super) fn layout<'a>(plan: &'a Plan, kernel: Stored<'a>) -> Result<Layout<'a>> {
    let crc = Crc32::new();
    let map = Map::of(&plan.board)?;
    let slot = map.slot(plan.slot)?;
    let boot = boot(plan, &map, &crc)?;
    let base = own_tree(plan, rootfs_partition(plan, slot))?;
    let (places, line, overlay) = ram(plan, &boot, &base, &kernel)?;
    let (tree, overlay_place) = tree_room(plan, &places, overlay.len())?;

    let start = slot.area.address();
    let mut end = (note::KEPT_IN_SLOT + kept::size(plan)).next_multiple_of(16);
    let mut next = |size: usize| {
        let at = end.next_multiple_of(16);
        end = at + size;
        start + at
    };
    let mut parts = Vec::new();
    if let Some(base) = base {
        let source = next(base.len());
        parts.push(Part::new(Kind::Dtb, codec::stored(base), source, Region::EMPTY, 0));
    }
    let (size, source) = (overlay.len(), next(overlay.len()));
    parts.push(Part::new(Kind::Overlay, codec::stored(Cow::Owned(overlay)), source, overlay_place, size));
    if let Some((bytes, place)) = argv::tables(plan, &places, places.tree.start())? {
        let source = next(bytes.len());
        parts.push(Part::new(Kind::Env, codec::stored(Cow::Owned(bytes)), source, place, place.size()));
    }
    let place = Region::new(plan.kernel.load_address as usize, plan.kernel.image.len()).unwrap_or(Region::EMPTY);
    let source = next(kernel.bytes.len());
    parts.push(Part::new(Kind::Kernel, kernel, source, place, plan.kernel.memory_size as usize));
    let mut apart = None;
    for mut part in Part::in_place(plan, places.initrd, places.rootfs) {
        if part.kind == Kind::Rootfs && plan.rootfs_in == RootfsIn::Flash {
            let area = slot.rootfs.as_ref().ok_or_else(|| no_partition(slot.name))?.front(part.content.len())?;
            (part.why, part.absolute, part.source) = ("left in flash".into(), true, area.address());
            (part.destination, part.place) = (Region::EMPTY, Region::EMPTY);
            apart = Some(area);
        } else {
            (part.why, part.source) = (COPIED.into(), next(part.content.len()));
        }
        parts.push(part);
    }
    // In the order of their kinds, as every other image has them.
    parts.sort_by_key(|part| part.kind as u8);

    let area = slot.area.front(end)?;
    let rootfs = apart.as_ref().and_then(|area| Region::new(area.address(), area.size())).unwrap_or(Region::EMPTY);
    let note = FlashNote { slot: slot.name as u8, at: start, size: area.size(), rootfs };
    let listing = Listing { copies: places.copies, ..blocks::listing(plan, tree, &parts, start) };
    // Between the parts there are zeros, behind the last one what erased flash has.
    let mut head = listing.encode(&crc).to_vec();
    head.extend_from_slice(&note.encode(plan.arch().is_big_endian(), &crc));
    head.extend(kept::encode(plan, &places.regions, &crc));
    let gaps = gaps(start + head.len(), &parts);
    let extent = |area: &Area| Extent { at: area.address(), size: area.size(), fill: ERASED };
    let mut extents = vec![extent(&boot.area)];
    let mut blocks = vec![(boot.area.address(), boot.file), (start, head)];
    blocks.extend(gaps);
    let write = |what, area: &Area, extents: &[Extent]| {
        let from = extents.iter().map(|extent| extent.size).sum();
        Write { what, area: area.clone(), from }
    };
    // The slot comes first in the file, and is written last.
    let slot_write = write("slot", &area, &extents);
    extents.push(extent(&area));
    let mut writes: Vec<Write> = Vec::new();
    if let Some(area) = &apart {
        writes.push(write("rootfs", area, &extents));
        extents.push(extent(area));
    }
    writes.push(slot_write);
    let before = map.slots.iter().take_while(|other| other.name < slot.name);
    let flash = Flashing {
        container: map.container,
        slot: slot.name,
        boot: Write { what: "boot", area: boot.area, from: 0 },
        update: writes,
        before: before.map(|other| other.area.front(1)).collect::<Result<_>>()?,
    };
    Ok(Layout {
        head: Region::EMPTY,
        extents,
        blocks,
        shim: boot.shim,
        image: boot.load.size(),
        parts,
        line,
        entry_point: plan.kernel.entry_point as usize,
        reads_twice: places.copies.is_empty(),
        places,
        flash: Some(flash),
    })
}

/// What flash reads like before it is written.
const ERASED: u8 = 0xff;

/// Zeros for what is between parts that lie behind each other from `end` on.
fn gaps(mut end: usize, parts: &[Part<'_>]) -> Vec<(usize, Vec<u8>)> {
    let mut own: Vec<&Part> = parts.iter().filter(|part| !part.absolute).collect();
    own.sort_by_key(|part| part.source);
    let mut gaps = Vec::new();
    for part in own {
        gaps.push((end, vec![0; part.source - end]));
        end = part.source + part.content.len();
    }
    gaps
}

/// Where everything goes in RAM, the command line, and the overlay.
fn ram(
    plan: &Plan,
    boot: &Boot,
    base: &Option<Cow<'_, [u8]>>,
    kernel: &Stored<'_>,
) -> Result<(Places, Vec<u8>, Vec<u8>)> {
    let line = command_line(plan, &Places::default())?;
    let overlay = overlay_bytes(plan, &line, &Places::default())?.len() + OVERLAY_SLACK;
    let shape = Shape::Flash { load: boot.load, run: boot.run };
    let mut need = need(plan, shape, boot.load.size(), boot.run.size(), overlay)?;
    if plan.rootfs_in == RootfsIn::Flash {
        need.rootfs = 0;
    }
    if need.tree != 0 {
        let given = plan.dtb.as_ref().map_or(0, |dtb| dtb.value.len());
        let alias = base.as_ref().map_or(0, |tree| tree.len()).saturating_sub(given);
        need.tree = (need.tree + alias).next_multiple_of(PAGE);
    }
    // Everything else goes straight to its place.
    let decoded = if kernel.codec == Codec::Store { 0 } else { kernel.bytes.len() };
    let read_where_they_are = [decoded, base.as_ref().map_or(0, |dtb| dtb.len()), overlay];
    need.copies = read_where_they_are.map(|size| size.next_multiple_of(manifest::COPY_ALIGN)).iter().sum();
    let places = layout::place(&need)?;
    let line = command_line(plan, &places)?;
    let overlay = overlay_bytes(plan, &line, &places)?;
    Ok((places, line, overlay))
}

const COPIED: &str = "copied from flash to RAM";

fn no_partition(slot: char) -> Error {
    Error::NoRootfsPartition { slot }
}

/// The bytes of flash that the kernel mounts, when it does.
fn rootfs_partition(plan: &Plan, slot: &Slot) -> Option<Region> {
    let area = slot.rootfs.as_ref().filter(|_| plan.rootfs_in == RootfsIn::Flash && plan.rootfs.is_some())?;
    Some(area.range)
}

const _: () = assert!(GRAIN.is_multiple_of(PAGE));
