//! What is made of a plan: first where everything goes, then the file.

use stoop_core::Region;

use super::flash::Flashing;
use super::part::{Packed, Part};
use crate::layout::Places;

/// A finished image.
#[derive(Clone, Debug)]
pub struct Built {
    /// The file.
    pub file: Vec<u8>,
    /// Where everything is.
    pub places: Places,
    /// Bytes of the shim with its params, as stored.
    pub shim: usize,
    /// Bytes from the load address on, of ELF the first segment's.
    pub image: usize,
    /// In the order of delivery.
    pub payloads: Vec<Packed>,
    /// The kernel's command line before bootargs.
    pub line: Vec<u8>,
    /// Physical.
    pub entry_point: usize,
    /// For flash: where its extents go.
    pub flash: Option<Flashing>,
    /// For flash: RAM has no room for copies, so the shim reads what it decodes once to check it and once more to use it.
    pub reads_twice: bool,
}

/// One run of addresses, and where its bytes are in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Extent {
    /// Physical.
    pub(super) at: usize,
    /// In bytes.
    pub(super) size: usize,
    /// What no part and no block covers.
    pub(super) fill: u8,
}

/// Every address and size of an image before a byte of it is written: what a placer returns, and [`super::assemble`] fills in.
pub(super) struct Layout<'a> {
    pub(super) places: Places,
    /// Entered at its first byte; empty where the file is no container: for flash.
    pub(super) head: Region,
    /// In the order of the file.
    pub(super) extents: Vec<Extent>,
    /// The shim, manifest and trailers, by address.
    pub(super) blocks: Vec<(usize, Vec<u8>)>,
    pub(super) parts: Vec<Part<'a>>,
    /// Bytes of the shim with its params, as stored.
    pub(super) shim: usize,
    /// Bytes from the load address on.
    pub(super) image: usize,
    /// The kernel's command line before bootargs.
    pub(super) line: Vec<u8>,
    pub(super) entry_point: usize,
    pub(super) flash: Option<Flashing>,
    pub(super) reads_twice: bool,
}
