//! An image for a MIPS board, to be fetched to RAM: everything has its absolute address.

use std::borrow::Cow;

use stoop_core::Region;
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{HandoffKind, Kind};
use stoop_core::params::SlotAt;

use super::assemble::extents;
use super::built::Layout;
use super::codec::{self, Stored};
use super::error::Error;
use super::note::{self, Note};
use super::part::Part;
use super::tree::{OVERLAY_SLACK, TREE_GROWTH, UNKNOWN_TREE, command_line, dynamic, overlay_bytes, tree_room};
use super::{argv, blocks};
use crate::Result;
use crate::format::{fit, uimage};
use crate::layout::{self, BEHIND_SHIM, GRAIN, KernelNeed, Need, PAGE, Places, Shape};
use crate::plan::{Format, Plan};
use crate::shim_image::{self, Header};

/// Clears what a kernel whose bss is unknown may clear: an appended tree's slot of 1 MiB and as much again.
const UNKNOWN_BSS: usize = 0x20_0000;

/// A copy of the kernel at 2^n bytes from the kernel looks to arch/mips/kernel/setup.c (detect_memory_region) like the end of
/// RAM.
pub(super) fn fakes_a_wrap(copy: usize, kernel: usize) -> bool {
    let distance = copy.abs_diff(kernel);
    distance.is_power_of_two() && distance >= 0x20_0000
}

/// What the image and the boot need of RAM.
pub(super) fn need(plan: &Plan, shape: Shape, head: usize, run: usize, overlay: usize) -> Result<Need> {
    let kernel = &plan.kernel;
    let slack = |exact: bool| if exact { 0 } else { UNKNOWN_BSS as u64 };
    let start = kernel.load_address;
    let place = crate::plan::region(&(start..start + kernel.memory_size + slack(kernel.memory_exact)))?;
    let inner = kernel.decompresses_to.as_ref();
    let decompressed =
        inner.map(|inner| crate::plan::region(&(inner.region.start..inner.region.end + slack(inner.exact))));
    let moves = kernel.relocation.as_ref().filter(|relocation| !(relocation.random && plan.stays()));
    let bootloader = &plan.board.bootloader;
    let reserved = plan.facts.reserved.iter().filter_map(|(_, range)| crate::plan::region(range).ok());
    Ok(Need {
        ram: plan.board.ram,
        bootloader: bootloader.reserved_top,
        staging: bootloader.staging,
        download: bootloader.tftp_address.map(|address| plan.board.physical(address)),
        reserved: reserved.collect(),
        ramoops: plan.ramoops.map_or(Region::EMPTY, |ramoops| ramoops.region),
        dynamic: dynamic(plan),
        kernel: KernelNeed {
            place,
            decompressed: decompressed.transpose()?,
            relocation: moves.map(|relocation| crate::plan::region(&relocation.region)).transpose()?,
        },
        run,
        tree: match plan.handoff.value {
            HandoffKind::Appended => 0,
            // The overlay is in it twice: merged, and on their way.
            _ => {
                let base = plan.dtb.as_ref().map_or(UNKNOWN_TREE, |dtb| dtb.value.len());
                (base + TREE_GROWTH + 2 * overlay).next_multiple_of(PAGE)
            }
        },
        argv: plan.called_with_argv(),
        head,
        initrd: plan.initrd.as_ref().map_or(0, Vec::len),
        rootfs: plan.rootfs.as_ref().map_or(0, |rootfs| rootfs.size),
        // nor.rs knows them.
        copies: 0,
        shape,
    })
}

/// Lays out the image with the kernel stored so. The loader of an ELF file can put a kernel that needs no decoder where it
/// belongs; kexec only by whole pages.
///
/// # Errors
/// A command line that is too long, too little RAM, overlaps, params that do not fit.
pub(super) fn layout<'a>(plan: &'a Plan, kernel: Stored<'a>) -> Result<Layout<'a>> {
    let elf = plan.format.value == Format::Elf;
    let apart = elf && kernel.codec == Codec::Store && plan.kernel.load_address.is_multiple_of(GRAIN as u64);
    // The addresses in them have a fixed width: no length depends on the layout.
    let nowhere = Places::default();
    let line = command_line(plan, &nowhere)?;
    let dtb = plan.dtb.as_ref().map(|dtb| &dtb.value[..]);
    let overlay_size = overlay_bytes(plan, &line, &nowhere)?.len() + OVERLAY_SLACK;
    let tables_size = argv::tables(plan, &nowhere, 0)?.map_or(0, |(block, _)| block.len());
    // Everything but the kernel is stored as it is.
    let variant = plan.shim([kernel.codec]);
    let shim = shim_image::prebuilt(plan.arch(), variant)?;
    let crc = Crc32::new();
    let slots = |manifest_at| [SlotAt { name: b'-', relative: true, address: manifest_at }];
    let params_size = blocks::params(plan, &slots(0), &crc)?.len();

    let manifest_at = shim_image::stored_size(shim, params_size, plan.shim_form())?.next_multiple_of(16);
    let dtb_at = (manifest_at + note::blocks_size(plan)).next_multiple_of(16);
    let overlay_at = (dtb_at + dtb.map_or(0, <[u8]>::len)).next_multiple_of(16);
    let tables_at = (overlay_at + overlay_size).next_multiple_of(16);
    let tables_end = tables_at + tables_size;
    let kernel_at = tables_end.next_multiple_of(16);
    // The kernel may have to go one step further, see below.
    let head = if apart { tables_end } else { kernel_at + STEP + kernel.bytes.len() };
    let others = plan.initrd.as_ref().map_or(0, Vec::len) + plan.rootfs.as_ref().map_or(0, |rootfs| rootfs.size);
    // What kexec copies behind the shim pushes it out of the data cache; if there is too little, zeros.
    let head = if elf && others < BEHIND_SHIM { head.max(BEHIND_SHIM) } else { head };
    let run_size = shim_image::run_size(shim)?;
    let places = layout::place(&need(plan, shape(plan.format.value), head, run_size, overlay_size)?)?;

    let load = places.head.start();
    let line = command_line(plan, &places)?;
    let overlay = overlay_bytes(plan, &line, &places)?;
    if overlay.len() > overlay_size {
        return Err(Error::OverlayGrew { size: overlay.len() }.into());
    }
    let (tree, overlay_place) = tree_room(plan, &places, overlay.len())?;
    let kernel_place = Region::new(plan.kernel.load_address as usize, plan.kernel.image.len()).unwrap_or(Region::EMPTY);
    let kernel_source = match load + kernel_at {
        _ if apart => kernel_place.start(),
        at if fakes_a_wrap(at, kernel_place.start()) => at + STEP,
        at => at,
    };
    let tables = argv::tables(plan, &places, places.tree.start())?;
    let size = overlay.len();
    let mut parts =
        vec![Part::new(Kind::Kernel, kernel, kernel_source, kernel_place, plan.kernel.memory_size as usize)];
    parts.extend(Part::in_place(plan, places.initrd, places.rootfs));
    parts.extend(
        dtb.map(|dtb| Part::new(Kind::Dtb, codec::stored(Cow::Borrowed(dtb)), load + dtb_at, Region::EMPTY, 0)),
    );
    parts.extend(tables.map(|(bytes, place)| {
        Part::new(Kind::Env, codec::stored(Cow::Owned(bytes)), load + tables_at, place, place.size())
    }));
    let stored = codec::stored(Cow::Owned(overlay));
    parts.push(Part::new(Kind::Overlay, stored, load + overlay_at, overlay_place, size));

    let params = blocks::params(plan, &slots(manifest_at), &crc)?;
    let header = Header::Mips { run_address: stoop_core::mips::kseg0(places.run.start()) };
    let front = shim_image::front(shim, header, &params, plan.shim_form())?;
    let note = Note { big_endian: plan.arch().is_big_endian(), run: places.run, load, manifest: manifest_at, variant };
    let listing = blocks::listing(plan, tree, &parts, load + manifest_at);
    let blocks = note::blocks(plan, &note, &listing, &places.regions, &crc);
    let (shim, blocks) = (front.bytes.len(), vec![(load, front.bytes), (load + manifest_at, blocks)]);
    let mut extents = extents(load, dtb_at, &parts);
    let image = extents[0].size;
    extents.sort_by_key(|extent| extent.at);
    let entry_point = plan.kernel.entry_point as usize;
    let head = places.head;
    Ok(Layout { places, head, extents, blocks, parts, shim, image, line, entry_point, flash: None, reads_twice: false })
}

/// How far the kernel's stored bytes are moved where they would look like the end of RAM.
const STEP: usize = 16;

/// How the image gets into RAM.
fn shape(format: Format) -> Shape {
    match format {
        Format::Uimage => Shape::Copied { header: uimage::HEADER },
        Format::Fit => Shape::Copied { header: fit::ROOM },
        Format::Elf => Shape::Segments,
        _ => Shape::Direct,
    }
}
