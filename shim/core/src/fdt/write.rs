//! The one-pass writer: from a source tree, never changed, to a destination, or nothing.

use super::Tree;
use crate::{Region, Result};

/// What the shim leaves under /chosen/stoop for Linux to read.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Of the shim.
    pub version: &'a [u8],
    /// One of the verdict's spellings.
    pub verdict: &'a [u8],
    /// One of the entry's spellings.
    pub entry: &'a [u8],
    /// One character.
    pub slot: u8,
    /// CP0 Count at entry.
    pub count_entry: u32,
}

/// Everything the final tree has that the source tree has not.
#[derive(Clone, Copy, Debug, Default)]
pub struct Edits<'a> {
    /// The new bootargs, in pieces that are written one after the other; `None` keeps what the tree has.
    pub bootargs: Option<&'a [&'a [u8]]>,
    /// The root filesystem in RAM and N of its `mtdN` alias.
    pub phram: Option<(Region, u8)>,
    /// The initial ramdisk.
    pub initrd: Option<Region>,
    /// RAM, written only when the tree has no memory node.
    pub memory: Option<Region>,
    /// The node /chosen/stoop.
    pub report: Option<Report<'a>>,
}

/// Writes `source` with `edits` to the front of `out`; returns its size and where the value of `count-handoff` lies.
pub fn write(source: &Tree, edits: &Edits, out: &mut [u8]) -> Result<(usize, usize)> {
    let _ = (source, edits, out);
    Err(crate::Error::new(crate::Code::TreeRoom, crate::Subject::Dtb, 0))
}
