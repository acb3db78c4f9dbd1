//! What the rules of both machines need.

use stoop_core::Region;

/// More than any device tree of a router, in whole pages of every size.
pub(super) const TREE_ROOM: usize = 0x2_0000;

/// kexec-tools puts its device tree behind the last segment and below this (kexec-elf-mips.c: elf_mips_load).
pub(super) const TREE_LIMIT: usize = 0x1000_0000;

/// A range for people.
pub(super) fn show(at: &Region) -> String {
    format!("[0x{:08x}, 0x{:08x})", at.start(), at.end())
}
