//! The arm64 image: the shim, its header filled in, and everything else behind it by distances from its first byte.

use super::*;
use crate::input::ARM64_ALIGNMENT;
use crate::layout::{Placed, Relative, place_relative};

/// A larger tree the kernel does not map (arch/arm64/mm/fixmap.c: fixmap_remap_fdt).
const LARGEST_TREE: usize = ARM64_ALIGNMENT as usize;

/// Makes the image with the kernel stored so.
pub(super) fn build(plan: &Plan, kernel: codec::Stored<'_>) -> Result<Built> {
    let variant = plan.shim([kernel.codec]);
    let shim = shim_image::prebuilt(Arch::Arm64, variant)?;
    let crc = Crc32::new();
    // No address is in it, so it does not depend on the layout.
    let line = command_line(plan, &Places::default())?;
    let dtb = plan.dtb.as_ref().map(|dtb| &dtb.value[..]);
    let additions_size = additions_of(plan, &line, &Places::default(), true)?.0.len() + ADDITIONS_SLACK;
    let base = dtb.map_or(UNKNOWN_TREE, <[u8]>::len);
    let tree_room = (base + TREE_GROWTH + 2 * additions_size).next_multiple_of(PAGE);
    if tree_room > LARGEST_TREE {
        return Err(Failure::new(format!(
            "the device tree needs 0x{tree_room:x} bytes with what the shim adds, arm64 kernels take 0x{LARGEST_TREE:x}"
        ))
        .next("leave parts of it out, such as its __symbols__ (dtc without -@)"));
    }
    let manifest_at = shim_image::run_size(shim)?;
    let dtb_at = (manifest_at + manifest::SIZE + note::SIZE + note::BOARD_SIZE).next_multiple_of(16);
    let additions_at = (dtb_at + dtb.map_or(0, <[u8]>::len)).next_multiple_of(16);
    let lists = additions_at + additions_size - manifest_at;
    let placed = place_relative(&need(plan, &kernel, manifest_at, lists, tree_room))?;
    let Placed { places, kernel: kernel_place, packed, text_offset, image_size } = placed;
    let load = places.head.start();

    let params = params(plan, &[SlotAt { name: b'-', relative: true, address: manifest_at }], &crc)?;
    let front = shim_image::front(shim, Header::Arm64 { text_offset, image_size }, &params, plan.shim_form())?;
    let from_image =
        |region: Region| Region::new(region.start().wrapping_sub(load), region.size()).unwrap_or(Region::EMPTY);
    let distances =
        Places { initrd: from_image(places.initrd), rootfs: from_image(places.rootfs), ..Places::default() };
    let (additions, relative) = additions_of(plan, &line, &distances, true)?;
    let (tree, additions_place) = super::tree_room(plan, &places, additions.len())?;
    let kernel_bytes = Region::new(kernel_place.start(), plan.kernel.image.len()).unwrap_or(Region::EMPTY);
    let source = if packed.is_empty() { kernel_place.start() } else { packed.start() };
    let initrd = plan.initrd.as_deref().map(Cow::Borrowed);
    let rootfs = plan.rootfs.as_ref().map(|rootfs| Cow::Borrowed(&rootfs.bytes[..]));
    let parts = [
        Some(Part::new(Kind::Kernel, kernel, source, kernel_bytes, kernel_place.size())),
        initrd.map(|bytes| Part::in_place(Kind::Initrd, bytes, places.initrd)),
        rootfs.map(|bytes| Part::in_place(Kind::Rootfs, bytes, places.rootfs)),
        dtb.map(|dtb| Part::new(Kind::Dtb, codec::stored(Cow::Borrowed(dtb)), load + dtb_at, Region::EMPTY, 0)),
        Some(Part::new(
            Kind::Additions,
            codec::stored(Cow::Borrowed(&additions)),
            load + additions_at,
            additions_place,
            additions.len(),
        )),
    ];
    let parts: Vec<Part> = parts.into_iter().flatten().collect();
    let entry_point = kernel_place.start();
    let mut listing = listing(plan, from_image(tree), &parts, load + manifest_at);
    listing.entry_point = entry_point - load;
    listing.relative = relative;
    for entry in listing.payloads.iter_mut().flatten().filter(|entry| !entry.destination.is_empty()) {
        entry.destination_relative = true;
        entry.destination = from_image(entry.destination);
    }
    let note = Note { big_endian: false, run: places.run, load, manifest: manifest_at, variant };
    let shim = front.bytes.len();
    let mut head = front.bytes;
    head.resize(manifest_at, 0);
    head.extend_from_slice(&listing.encode(&crc));
    head.extend_from_slice(&note.encode(&crc));
    head.extend_from_slice(&note::board(&plan.board.name, &crc));
    let pieces = pieces(load, head, &parts);
    let image = pieces[0].1.len();
    let payloads = parts.iter().map(Part::packed).collect();
    let file = container::wrap(plan, places.head, pieces)?;
    Ok(Built { file, shim, image, payloads, line, entry_point, places, flash: None, reads_twice: false })
}

fn need(plan: &Plan, kernel: &codec::Stored<'_>, run: usize, lists: usize, tree: usize) -> Relative {
    let (board, stored) = (&plan.board, kernel.bytes.len());
    let in_place = kernel.codec == Codec::Store;
    let reserved = plan.facts.reserved.iter().filter_map(|(_, range)| crate::plan::region(range).ok());
    Relative {
        ram: board.shim_ram(),
        bootloader: board.bootloader.reserved_top,
        download: board.bootloader.tftp_address,
        reserved: reserved.collect(),
        ramoops: plan.ramoops.map_or(Region::EMPTY, |ramoops| ramoops.region),
        dynamic: dynamic(plan),
        run,
        lists,
        initrd: plan.initrd.as_ref().map_or(0, Vec::len),
        rootfs: plan.rootfs.as_ref().map_or(0, |rootfs| rootfs.bytes.len()),
        packed: if in_place { 0 } else { stored },
        stored: if in_place { stored } else { 0 },
        kernel: plan.kernel.memory_size as usize,
        offset: plan.kernel.load_address as usize,
        tree,
        header: match plan.format.value {
            Format::Uimage => Some(container::UIMAGE_HEADER),
            Format::Fit => Some(fit::ROOM),
            _ => None,
        },
    }
}
