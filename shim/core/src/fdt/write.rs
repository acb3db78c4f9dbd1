//! The one-pass writer: from a source tree, never changed, to a destination, or nothing.

use super::Tree;
use super::pass::pass;
use crate::{Code, Error, Region, Result, Subject};

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
    /// The new bootargs, in pieces that are written one after the other, without NUL; `None` keeps what the tree has.
    pub bootargs: Option<&'a [&'a [u8]]>,
    /// The root filesystem in RAM, in whole pages, and N of its `mtdN` alias.
    pub phram: Option<(Region, u8)>,
    /// The initial ramdisk; `None` keeps what the tree has.
    pub initrd: Option<Region>,
    /// RAM, written only when the tree has no memory node.
    pub memory: Option<Region>,
    /// The node /chosen/stoop.
    pub report: Option<Report<'a>>,
}

/// Writes `source` with `edits` to the front of `out`; returns its size and where the value of `count-handoff` lies
/// (0 without a report). After an error the bytes of `out` mean nothing.
///
/// [`Code::TreeRoom`] (value: bytes of `out`), [`Code::TreeCells`] (value: the cell count found) when
/// an address is to be written and the root's counts are not 1 or 2, or those of /reserved-memory differ from them,
/// [`Code::TreeAddress`] (value: the address or size) when it needs two cells and there is one.
pub fn write(source: &Tree, edits: &Edits, out: &mut [u8]) -> Result<(usize, usize)> {
    let room = out.len();
    let tree = pass(source.blob, edits, source.has_memory, out)?;
    if tree.size > room {
        return Err(Error::new(Code::TreeRoom, Subject::Dtb, room));
    }
    Ok((tree.size, tree.count_handoff))
}
