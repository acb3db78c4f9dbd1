//! The identity map: RAM cached, everything else as devices, by blocks of 1 GiB and at RAM's ends of 2 MiB (Arm ARM, D8.3:
//! 4 KiB granule, first level 1). Speculation never leaves RAM, nor the blocks of the bootloader's device tree behind it.

use stoop_core::Region;

/// Address space that is mapped: 16 GiB.
const GIGABYTES: usize = 16;
const GIGABYTE: usize = 30;
const TWO_MEGABYTES: usize = 21;
/// The first address that is not mapped.
const END: usize = GIGABYTES << GIGABYTE;

/// Bits 1:0 of a descriptor.
const BLOCK: u64 = 1;
const TABLE: u64 = 3;
/// Attribute 1 of MAIR, inner shareable, accessed.
const NORMAL: u64 = BLOCK | 1 << 2 | 3 << 8 | 1 << 10;
/// Attribute 0, accessed, never executed.
const DEVICE: u64 = BLOCK | 1 << 10 | 3 << 53;

#[repr(C, align(4096))]
struct Tables {
    /// The GiB in which RAM begins, the one in which it ends, and that of the bootloader's tree.
    edges: [[u64; 512]; 3],
    first: [u64; GIGABYTES],
}

static mut TABLES: Tables = Tables { edges: [[0; 512]; 3], first: [0; GIGABYTES] };

/// Whether a device tree outside of RAM can be mapped: it lies in one GiB, for which there is a table.
pub fn reaches(tree: &Region) -> bool {
    let last = tree.start().wrapping_add(tree.size()).wrapping_sub(1);
    last < END && tree.start() >> GIGABYTE == last >> GIGABYTE
}

/// A page that means nothing before [`fill`].
pub fn page() -> *mut u64 {
    (&raw mut TABLES).cast()
}

/// Writes the tables for `ram` and a device tree outside of it, and gives the address of the first one.
pub fn fill(ram: Region, tree: Region) -> *const u64 {
    // SAFETY: called once, by `map`, which is called once; the MMU reads them only afterwards.
    let tables = unsafe { (&raw mut TABLES).as_mut_unchecked() };
    let mut edges = tables.edges.iter_mut();
    for (number, entry) in tables.first.iter_mut().enumerate() {
        let (block, partly) = descriptor(ram, tree, number, GIGABYTE);
        *entry = block;
        if let (true, Some(edge)) = (partly, edges.next()) {
            *entry = edge.as_ptr() as u64 | TABLE;
            for (part, entry) in edge.iter_mut().enumerate() {
                *entry = descriptor(ram, tree, number << (GIGABYTE - TWO_MEGABYTES) | part, TWO_MEGABYTES).0;
            }
        }
    }
    tables.first.as_ptr()
}

/// The block with that number, and whether only a part of it is memory.
fn descriptor(ram: Region, tree: Region, number: usize, shift: usize) -> (u64, bool) {
    let block = Region::new(number << shift, 1 << shift).unwrap_or(Region::EMPTY);
    let partly = ram.overlaps(&block) || tree.overlaps(&block);
    let attributes = if partly { NORMAL } else { DEVICE };
    (block.start() as u64 | attributes, partly && !ram.contains(&block))
}
