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
    describe(&mut tables.first, 0, GIGABYTE, ram, tree);
    let mut edges = tables.edges.iter_mut();
    for (number, entry) in tables.first.iter_mut().enumerate() {
        let block = Region::new(number << GIGABYTE, 1 << GIGABYTE).unwrap_or(Region::EMPTY);
        let partly = (ram.overlaps(&block) || tree.overlaps(&block)) && !ram.contains(&block);
        if let (true, Some(edge)) = (partly, edges.next()) {
            describe(edge, number << (GIGABYTE - TWO_MEGABYTES), TWO_MEGABYTES, ram, tree);
            *entry = edge.as_ptr() as u64 | TABLE;
        }
    }
    tables.first.as_ptr()
}

/// Makes the entries of a table blocks of `1 << shift` bytes, from block `first` on: those that have a byte of RAM or of the tree are memory.
#[inline(never)]
fn describe(entries: &mut [u64], first: usize, shift: usize, ram: Region, tree: Region) {
    // The first one, and how many.
    let blocks = |region: Region| {
        let (start, behind) = (region.start() >> shift, region.end().wrapping_add((1 << shift) - 1) >> shift);
        (start, behind.wrapping_sub(start))
    };
    let (ram, tree) = (blocks(ram), blocks(tree));
    for (number, entry) in (first..).zip(entries) {
        let is_in = |(start, count): (usize, usize)| number.wrapping_sub(start) < count;
        let attributes = if is_in(ram) || is_in(tree) { NORMAL } else { DEVICE };
        *entry = (number << shift) as u64 | attributes;
    }
}
