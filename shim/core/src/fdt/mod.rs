//! Flattened device trees, version 17 (Devicetree Specification v0.4, chapter 5): the base tree and the overlay become
//! one.
//!
//! ```text
//! base tree (packed, or the bootloader's) --tree--+
//!                                                 +--merge--> final tree --output--> RAM
//! overlay (made by the host tool) --------tree--+
//! ```
//!
//! Everything that is known when an image is packed is in the [`Overlay`], a small tree of its own: the board has no
//! names, no paths and no cell counts to write, it merges two trees.

mod merge;
mod output;
mod overlay;
mod tree;

pub use merge::{COUNT_ENTRY, COUNT_HANDOFF, Merge, check};
pub use overlay::{Overlay, Ramoops};
pub use tree::{Tree, bootargs};

/// No kernel maps a larger tree (arch/arm64/mm/fixmap.c: fixmap_remap_fdt).
pub const MAX_SIZE: usize = 0x20_0000;

/// How many bytes a tree has that begins with these two words; `None` when no tree begins so, or one that is too large.
pub fn stated_size(magic: u32, total: u32) -> Option<usize> {
    let size = total as usize;
    (magic as usize == MAGIC && (HEADER..=MAX_SIZE).contains(&size)).then_some(size)
}

/// First word of a blob.
const MAGIC: usize = 0xd00d_feed;
/// Bytes of the header of version 17.
const HEADER: usize = 40;
/// A node begins; its name follows.
const BEGIN_NODE: usize = 1;
/// The innermost node ends.
const END_NODE: usize = 2;
/// A property; length, offset of its name and value follow.
const PROPERTY: usize = 3;
/// Nothing.
const NOP: usize = 4;
/// The structure block ends.
const END: usize = 9;

/// How the overlay's strings block begins: names of properties whose texts are known on the board only, `bootargs`
/// first.
const SPOKEN: &[u8] = b"bootargs\0verdict\0entry\0slot\0";
