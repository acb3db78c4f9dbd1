//! What an architecture's bootloaders and kernels put into registers. Pure: the host runs every one of them.

use crate::bootargs::{EntryKind, Joined, Line};
use crate::cookie::Judgement;
use crate::manifest::{Machine, Manifest};
use crate::memory::Memory;
use crate::params::Params;
use crate::{Region, Result};

/// How the bootloader called us.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The protocol.
    pub kind: EntryKind,
    /// The bootloader's device tree, whose header is right; empty when there is none.
    pub tree: Region,
    /// What becomes of its line.
    pub bootargs: Judgement,
}

impl Entry {
    /// The bootloader passed nothing.
    pub const NONE: Entry = Entry { kind: EntryKind::None, tree: Region::EMPTY, bootargs: Judgement::NONE };
}

/// One architecture and endianness.
pub trait Abi {
    /// What manifests for it say.
    const MACHINE: Machine;
    /// Byte order of params and manifest.
    const BIG_ENDIAN: bool;
    /// The kernel's COMMAND_LINE_SIZE in bytes, with the NUL.
    const COMMAND_LINE_SIZE: usize;
    /// The loader chooses where the image runs: addresses in the overlay to the device tree count from it.
    const RELATIVE: bool;

    /// Classifies the entry and judges the bootloader's line; what passes of it goes to `line`. Never fails: what makes no
    /// sense is no bootargs. Arguments are put together in `joined`.
    fn enter<M: Memory>(
        registers: [usize; 4],
        memory: &M,
        params: &Params,
        joined: &mut Joined,
        line: &mut Line,
    ) -> Entry;

    /// Builds what the handoff needs in memory and gives the kernel's first four argument registers.
    ///
    /// `tree` is the final device tree, `line` the physical address of the command
    /// line in it, which ends with NUL. `registers` are those of the entry.
    ///
    /// # Errors
    /// [`crate::Code::ArgvRoom`] when the image has no tables for argc and argv.
    fn leave<M: Memory>(
        manifest: &Manifest,
        tree: Region,
        line: usize,
        registers: &[usize; 4],
        memory: &mut M,
    ) -> Result<[usize; 4]>;
}
