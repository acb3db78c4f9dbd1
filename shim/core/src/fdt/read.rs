//! The checked reader.

use super::pass::pass;
use super::write::Edits;
use crate::Result;

/// A device tree that is sound from its first byte to its last: header, blocks, and the whole structure.
#[derive(Clone, Copy, Debug)]
pub struct Tree<'a> {
    pub(super) blob: &'a [u8],
    pub(super) bootargs: Option<&'a [u8]>,
    pub(super) has_memory: bool,
    pub(super) cells: [usize; 2],
    /// Of the tree that the pass wrote.
    pub(super) size: usize,
    /// In that tree: where the value of `count-handoff` is, 0 for nowhere.
    pub(super) count_handoff: usize,
}

const NONE: Edits = Edits { bootargs: None, phram: None, initrd: None, memory: None, report: None };

impl<'a> Tree<'a> {
    /// Checks the tree at the front of `bytes`, which may be longer than the tree.
    ///
    /// [`Code::TreeHeader`](crate::Code) (value: the first word) unless magic and version are right and the blocks
    /// lie inside the total size in the specification's order; [`Code::TreeStructure`](crate::Code) (value: offset in the
    /// structure block) for an unknown tag, a name without end, a property beyond the block, behind a child node or
    /// without a name, nodes that do not pair up or lie more than 32 deep, and a missing end.
    pub fn new(bytes: &'a [u8]) -> Result<Self> {
        pass(bytes, &NONE, false, &mut [])
    }

    /// The whole blob, `totalsize` bytes.
    pub fn blob(&self) -> &'a [u8] {
        self.blob
    }

    /// The value of `bootargs` in the node that the kernel takes for /chosen: the root's first child named `chosen` or
    /// `chosen@0` (arch/mips/kernel/setup.c, bootcmdline_scan_chosen). See [`bootargs`] for what the kernel makes of it.
    pub fn chosen_bootargs(&self) -> Option<&'a [u8]> {
        self.bootargs
    }

    /// The root has a child with `device_type = "memory"` (drivers/of/fdt.c, early_init_dt_scan_memory).
    pub fn has_memory(&self) -> bool {
        self.has_memory
    }

    /// The root's #address-cells and #size-cells; 1 where the tree has none, as for Linux (drivers/of/fdt.c,
    /// early_init_dt_scan_root).
    pub fn root_cells(&self) -> [usize; 2] {
        self.cells
    }
}

/// The bootargs that the kernel would take from a property's value: the bytes before the first NUL, and without a NUL all
/// but the last byte, since arch/mips/kernel/setup.c (bootcmdline_append) copies as into a buffer of the value's length.
pub fn bootargs(property: &[u8]) -> &[u8] {
    let (_, text) = property.split_last().unwrap_or((&0, &[]));
    text.split(|byte| *byte == 0).next().unwrap_or(text)
}
