//! The arm64 image: the shim, its header filled in, and everything else behind it by distances from its first byte.

use std::borrow::Cow;

use stoop_core::Region;
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::Kind;
use stoop_core::params::SlotAt;

use super::assemble::extents;
use super::blocks;
use super::built::Layout;
use super::codec::{self, Stored};
use super::error::Error;
use super::note::{self, Note};
use super::part::Part;
use super::tree::{self, OVERLAY_SLACK, TREE_GROWTH, UNKNOWN_TREE, command_line, dynamic, overlay_and_fixups};
use crate::Result;
use crate::format::arm64::ALIGNMENT as ARM64_ALIGNMENT;
use crate::format::{fit, uimage};
use crate::layout::{PAGE, Places};
use crate::layout::{Placed, Relative, place_relative};
use crate::machine::Machine;
use crate::plan::{Format, Plan};
use crate::shim_image::{self, Header};

/// A larger tree the kernel does not map (arch/arm64/mm/fixmap.c: fixmap_remap_fdt).
const LARGEST_TREE: usize = ARM64_ALIGNMENT as usize;

/// Lays out the image with the kernel stored so.
///
/// # Errors
/// As for [`super::build`].
pub(super) fn layout<'a>(plan: &'a Plan, kernel: Stored<'a>) -> Result<Layout<'a>> {
    let variant = plan.shim([kernel.codec]);
    let shim = shim_image::prebuilt(Machine::Arm64, variant)?;
    let crc = Crc32::new();
    // No address is in it, so it does not depend on the layout.
    let line = command_line(plan, &Places::default())?;
    let dtb = plan.dtb.as_ref().map(|dtb| &dtb.value[..]);
    let overlay_size = overlay_and_fixups(plan, &line, &Places::default(), true)?.0.len() + OVERLAY_SLACK;
    let base = dtb.map_or(UNKNOWN_TREE, <[u8]>::len);
    let tree_room = (base + TREE_GROWTH + 2 * overlay_size).next_multiple_of(PAGE);
    if tree_room > LARGEST_TREE {
        return Err(Error::TreeTooLarge { size: tree_room, most: LARGEST_TREE }.into());
    }
    let manifest_at = shim_image::run_size(shim)?;
    let dtb_at = (manifest_at + note::blocks_size(plan)).next_multiple_of(16);
    let overlay_at = (dtb_at + dtb.map_or(0, <[u8]>::len)).next_multiple_of(16);
    let lists = overlay_at + overlay_size - manifest_at;
    let placed = place_relative(&need(plan, &kernel, manifest_at, lists, tree_room))?;
    let Placed { places, kernel: kernel_place, packed, text_offset, image_size } = placed;
    let load = places.head.start();

    let params = blocks::params(plan, &[SlotAt { name: b'-', relative: true, address: manifest_at }], &crc)?;
    let front = shim_image::front(shim, Header::Arm64 { text_offset, image_size }, &params, plan.shim_form())?;
    let from_image =
        |region: Region| Region::new(region.start().wrapping_sub(load), region.size()).unwrap_or(Region::EMPTY);
    let distances =
        Places { initrd: from_image(places.initrd), rootfs: from_image(places.rootfs), ..Places::default() };
    let (overlay, relative) = overlay_and_fixups(plan, &line, &distances, true)?;
    let (tree, overlay_place) = tree::tree_room(plan, &places, overlay.len())?;
    let kernel_bytes = Region::new(kernel_place.start(), plan.kernel.image.len()).unwrap_or(Region::EMPTY);
    let source = if packed.is_empty() { kernel_place.start() } else { packed.start() };
    let size = overlay.len();
    let mut parts = vec![Part::new(Kind::Kernel, kernel, source, kernel_bytes, kernel_place.size())];
    parts.extend(Part::in_place(plan, places.initrd, places.rootfs));
    parts.extend(
        dtb.map(|dtb| Part::new(Kind::Dtb, codec::stored(Cow::Borrowed(dtb)), load + dtb_at, Region::EMPTY, 0)),
    );
    let stored = codec::stored(Cow::Owned(overlay));
    parts.push(Part::new(Kind::Overlay, stored, load + overlay_at, overlay_place, size));
    let entry_point = kernel_place.start();
    let mut listing = blocks::listing(plan, from_image(tree), &parts, load + manifest_at);
    listing.entry_point = entry_point - load;
    listing.relative = relative;
    for entry in listing.payloads.iter_mut().flatten().filter(|entry| !entry.destination.is_empty()) {
        entry.destination_relative = true;
        entry.destination = from_image(entry.destination);
    }
    let note = Note { big_endian: false, run: places.run, load, manifest: manifest_at, variant };
    let behind = note::blocks(plan, &note, &listing, &places.regions, &crc);
    let (shim, blocks) = (front.bytes.len(), vec![(load, front.bytes), (load + manifest_at, behind)]);
    let extents = extents(load, dtb_at, &parts);
    let (head, image) = (places.head, extents[0].size);
    Ok(Layout { places, head, extents, blocks, parts, shim, image, line, entry_point, flash: None, reads_twice: false })
}

fn need(plan: &Plan, kernel: &Stored<'_>, run: usize, lists: usize, tree: usize) -> Relative {
    let (board, stored) = (&plan.board, kernel.bytes.len());
    let in_place = kernel.codec == Codec::Store;
    let reserved = plan.facts.reserved.iter().filter_map(|(_, range)| crate::plan::region(range).ok());
    Relative {
        ram: board.shim_ram(),
        bootloader: board.bootloader.reserved_top,
        download: board.bootloader.tftp_address,
        staging: board.bootloader.staging,
        reserved: reserved.collect(),
        ramoops: plan.ramoops.map_or(Region::EMPTY, |ramoops| ramoops.region),
        dynamic: dynamic(plan),
        run,
        lists,
        initrd: plan.initrd.as_ref().map_or(0, Vec::len),
        rootfs: plan.rootfs.as_ref().map_or(0, |rootfs| rootfs.size),
        packed: if in_place { 0 } else { stored },
        stored: if in_place { stored } else { 0 },
        kernel: plan.kernel.memory_size as usize,
        offset: plan.kernel.load_address as usize,
        tree,
        header: match plan.format.value {
            Format::Uimage => Some(uimage::HEADER),
            Format::Fit => Some(fit::ROOM),
            _ => None,
        },
    }
}
