//! arm64: a device tree in x0 and nothing else (Documentation/arch/arm64/booting.rst).
//!
//! The bootloader's bootargs are those in its tree. With a packed tree they count by the cookie rule and extend the packed
//! tree's own. Without one the bootloader's tree is the base of the final one, but its bootargs are no part of that: they
//! are still what the bootloader says, and pass only if they hold the cookie or none is required. Otherwise a vendor's
//! `root=` would come back by the very tree that was to be kept.

use crate::abi::{Abi, Entry};
use crate::bootargs::{EntryKind, Joined, Line};
use crate::cookie::judge;
use crate::fdt::Tree;
use crate::manifest::{Machine, Manifest};
use crate::memory::Memory;
use crate::params::Params;
use crate::{Region, Result};

/// arm64, little-endian.
pub struct Arm64;

impl Abi for Arm64 {
    const MACHINE: Machine = Machine::Arm64;
    const BIG_ENDIAN: bool = false;
    const COMMAND_LINE_SIZE: usize = 2048;
    const RELATIVE: bool = true;

    fn enter<M: Memory>(
        registers: [usize; 4],
        memory: &M,
        params: &Params,
        _joined: &mut Joined,
        line: &mut Line,
    ) -> Entry {
        // x0 may be anything: 0, or argc from U-Boot's `go`. Its alignment does not matter here: the final tree is a new one.
        let [at, ..] = registers;
        let mut tree = Tree::new(memory.from(at).unwrap_or(&[]));
        if tree.read().is_err() {
            return Entry::NONE;
        }
        let bootargs = judge(tree.bootargs(), true, params, line);
        Entry { kind: EntryKind::Uhi, tree: Region::stated(at, tree.size()), bootargs }
    }

    fn leave<M: Memory>(
        _manifest: &Manifest,
        tree: Region,
        _line: usize,
        _registers: &[usize; 4],
        _memory: &mut M,
    ) -> Result<[usize; 4]> {
        Ok([tree.start(), 0, 0, 0])
    }
}
