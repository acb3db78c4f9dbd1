//! The layout of an image that runs where its loader puts it (arm64): every place counts from the image's first byte, and the
//! header asks the loader for as much RAM as the whole boot needs.
//!
//! ```text
//! shim | manifest, device tree | initrd | root filesystem | packed kernel | kernel at a multiple of 2 MiB | final tree
//! ```
//!
//! The file ends with the kernel, or before it when the kernel is packed. So the kernel is never copied: the header's
//! text_offset puts the image's first byte as far below a multiple of 2 MiB as the kernel lies behind it.

use stoop_core::Region;
use stoop_core::region::align_up;

use super::first_fit::Fit;
use super::first_fit::Room;
use super::place::Places;
use super::proof::prove;
use super::region::{NamedRegion, PAGE, Phases, RegionKind};
use crate::Result;
use crate::format::arm64::ALIGNMENT as ARM64_ALIGNMENT;

/// Sizes in bytes and ranges, all physical.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relative {
    /// Of the board.
    pub ram: Region,
    /// At the top of RAM, the bootloader's.
    pub bootloader: usize,
    /// Where the bootloader likes to fetch files to.
    pub download: Option<usize>,
    /// Where the bootloader copies what it starts from flash.
    pub staging: Option<Region>,
    /// What the packed device tree reserves.
    pub reserved: Vec<Region>,
    /// Where the kernel keeps its log over a reset; empty for none.
    pub ramoops: Region,
    /// What the kernel reserves by it wherever it finds room.
    pub dynamic: Vec<Room>,
    /// The running shim, from the image's first byte.
    pub run: usize,
    /// Behind it: manifest and packed device tree.
    pub lists: usize,
    /// 0 for none.
    pub initrd: usize,
    /// 0 for none.
    pub rootfs: usize,
    /// The kernel as it is stored, when it has to be unpacked; 0 when it lies where it runs.
    pub packed: usize,
    /// The kernel's bytes in the file when it lies where it runs.
    pub stored: usize,
    /// The kernel with its bss.
    pub kernel: usize,
    /// Where it wants to be behind a multiple of 2 MiB.
    pub offset: usize,
    /// Room for the final device tree.
    pub tree: usize,
    /// Bytes in front of the image when the bootloader copies it to its load address.
    pub header: Option<usize>,
}

/// Where everything is when the image is where the plan has it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Placed {
    /// Physical.
    pub places: Places,
    /// The kernel.
    pub kernel: Region,
    /// Its packed form; empty when there is none.
    pub packed: Region,
    /// For the header: the image's distance from a multiple of 2 MiB.
    pub text_offset: usize,
    /// For the header: everything from the image's first byte on.
    pub image_size: usize,
}

const ALIGNMENT: usize = ARM64_ALIGNMENT as usize;

/// Finds a place for the image, and proves it.
///
/// # Errors
/// Too little RAM.
pub fn place_relative(need: &Relative) -> Result<Placed> {
    let align = |size: usize, to: usize| align_up(size, to).unwrap_or(usize::MAX / 2);
    let lists = need.run;
    let initrd = align(lists + need.lists, PAGE);
    let rootfs = align(initrd + need.initrd, PAGE);
    let packed = align(rootfs + need.rootfs, PAGE);
    let kernel = align(packed + need.packed, PAGE);
    let tree = align(kernel + need.kernel, PAGE);
    let image_size = align(tree + need.tree, PAGE);
    let text_offset = need.offset.wrapping_sub(kernel) % ALIGNMENT;
    let file = if need.stored == 0 { kernel } else { kernel + need.stored };

    let mut fit = Fit { ram: need.ram, taken: Vec::new() };
    for region in &need.reserved {
        fit.take(RegionKind::Reserved, *region, Phases::KEPT);
    }
    fit.take(RegionKind::Ramoops, need.ramoops, Phases::ALL);
    fit.keep_room(&need.dynamic)?;
    fit.take(RegionKind::Staging, need.staging.unwrap_or_default(), Phases::DOWNLOAD);
    let top = need.ram.size().min(need.bootloader);
    fit.take(RegionKind::Bootloader, Region::new(need.ram.end() - top, top).unwrap_or(Region::EMPTY), Phases::LOADED);

    // The lowest place from where the bootloader likes its downloads on: what it fetches there, it need not move.
    let mut at = need.download.unwrap_or(need.ram.start()).max(need.ram.start());
    at = align(at.saturating_sub(text_offset), ALIGNMENT) + text_offset;
    let load = loop {
        let region = Region::new(at, image_size)
            .filter(|region| need.ram.contains(region))
            .ok_or_else(|| fit.full(RegionKind::Image, image_size, Phases::ALL))?;
        match fit.taken.iter().find(|taken| taken.region.overlaps(&region)) {
            None => break at,
            Some(taken) => at = align(taken.region.end().saturating_sub(text_offset), ALIGNMENT) + text_offset,
        }
    };
    let mut take = |what: RegionKind, start: usize, size: usize, when: Phases| {
        let region = Region::new(load + start, size).filter(|_| size != 0).unwrap_or(Region::EMPTY);
        fit.take(what, region, when);
        region
    };
    let run = take(RegionKind::Shim, 0, need.run, Phases::LOADED);
    let head = take(RegionKind::Image, lists, need.lists, Phases::LOADED);
    let initrd = take(RegionKind::Initrd, initrd, align(need.initrd, PAGE), Phases::ALL);
    let rootfs = take(RegionKind::Rootfs, rootfs, align(need.rootfs, PAGE), Phases::ALL);
    let packed = take(RegionKind::Image, packed, need.packed, Phases::LOADED);
    let in_file = if need.stored == 0 { Phases::SHIM } else { Phases::LOADED };
    let kernel = take(RegionKind::Kernel, kernel, need.kernel, in_file.and(Phases::KEPT));
    let tree = take(RegionKind::Tree, tree, need.tree, Phases::KEPT);
    let mut download = load;
    if let Some(header) = need.header {
        let from = need.download.unwrap_or(need.ram.start());
        let whole = Region::new(load, image_size).unwrap_or(Region::EMPTY);
        let free =
            Region::new(from, file + header).is_some_and(|at| !at.overlaps(&whole) && fit.free(at, Phases::DOWNLOAD));
        let floor = if free { from } else { whole.end() };
        download = fit.place(RegionKind::Download, file + header, PAGE, Phases::DOWNLOAD, floor)?.start();
    }
    let mut regions = fit.taken;
    prove(&regions, need.ram)?;
    regions.sort_by_key(|named: &NamedRegion| (named.region.start(), named.region.end()));
    let whole = Region::between(run.start(), head.end()).unwrap_or(Region::EMPTY);
    let places = Places { download, run, head: whole, tree, initrd, rootfs, regions, ..Places::default() };
    Ok(Placed { places, kernel, packed, text_offset, image_size })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 0x10_0000;

    fn need() -> Relative {
        Relative {
            ram: Region::new(0x4000_0000, 128 * MIB).unwrap(),
            bootloader: 2 * MIB,
            download: Some(0x4040_0000),
            staging: None,
            reserved: Vec::new(),
            ramoops: Region::EMPTY,
            dynamic: Vec::new(),
            run: 0x1_1000,
            lists: 0x3456,
            initrd: 0,
            rootfs: 3 * MIB + 5,
            packed: 0,
            stored: 4 * MIB,
            kernel: 5 * MIB,
            offset: 0,
            tree: 0x2_0000,
            header: None,
        }
    }

    #[test]
    fn the_kernel_lies_on_its_boundary_wherever_the_loader_obeys_the_header() {
        for (offset, packed) in [(0, 0), (0x8_0000, 0), (0, 0x12_3456)] {
            let placed = place_relative(&Relative { offset, packed, ..need() }).unwrap();
            assert_eq!(placed.kernel.start() % ALIGNMENT, offset);
            assert_eq!(placed.places.head.start() % ALIGNMENT, placed.text_offset);
            assert!(placed.places.rootfs.start().is_multiple_of(PAGE));
            assert!(placed.places.tree.end() <= placed.places.head.start() + placed.image_size);
            assert_eq!(placed.places.download, placed.places.head.start(), "fetched to where it stays");
        }
    }

    #[test]
    fn what_the_tree_reserves_is_left_free() {
        let reserved = Region::new(0x4080_0000, 0x1000).unwrap();
        let placed = place_relative(&Relative { reserved: vec![reserved], ..need() }).unwrap();
        assert!(placed.places.head.start() > reserved.start());
    }

    #[test]
    fn the_bootloaders_copy_from_flash_is_not_loaded_over() {
        let staging = Region::new(0x4040_0000, 32 * MIB).unwrap();
        let placed = place_relative(&Relative { staging: Some(staging), header: Some(64), ..need() }).unwrap();
        let image = Region::new(placed.places.head.start(), placed.image_size).unwrap();
        assert!(!image.overlaps(&staging) && placed.places.download >= staging.end());
    }

    #[test]
    fn too_little_ram_is_an_error_with_both_numbers() {
        let ram = Region::new(0x4000_0000, 8 * MIB).unwrap();
        let failure = place_relative(&Relative { ram, ..need() }).unwrap_err();
        assert!(
            matches!(failure, crate::Error::Layout(crate::layout::Error::Full { what: RegionKind::Image, .. })),
            "{failure}"
        );
    }

    #[test]
    fn a_uimage_is_fetched_beside_where_it_is_copied_to() {
        let placed = place_relative(&Relative { header: Some(64), ..need() }).unwrap();
        let file = Region::new(placed.places.download, 8 * MIB).unwrap();
        let image = Region::new(placed.places.head.start(), placed.image_size).unwrap();
        assert!(!file.overlaps(&image));
    }
}
