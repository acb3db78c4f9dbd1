//! Names for what lies where, and while its bytes matter.

use std::fmt;

use stoop_core::Region;

/// Linux maps by pages of at least this.
pub const PAGE: usize = stoop_core::boot::PAGE;
/// Good for every page size of MIPS Linux, and what the shim moves by.
pub const GRAIN: usize = 0x1_0000;
/// As much data must be copied behind the shim's first instruction: the kernel copies segments by rising addresses through
/// the cache and flushes nothing behind itself, so what comes later has to push the shim out.
pub const BEHIND_SHIM: usize = 0x2_0000;
/// For the tables of argv and env.
pub const ARGV_SIZE: usize = 0x1000;

/// The phases of a boot during which a region's bytes matter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Phases(u8);

impl Phases {
    /// The bootloader fetches the file or copies it from flash, and unpacks it.
    pub const DOWNLOAD: Phases = Phases(1);
    /// The shim runs: from its first instruction to the jump.
    pub const SHIM: Phases = Phases(2);
    /// The kernel has been called; a vmlinuz decompresses.
    pub const HANDOFF: Phases = Phases(4);
    /// The kernel proper runs, and may move itself.
    pub const KERNEL: Phases = Phases(8);

    /// What the bootloader and the shim read: done with when the kernel is called.
    pub const LOADED: Phases = Phases::DOWNLOAD.and(Phases::SHIM);
    /// What the shim writes for the kernel.
    pub const KEPT: Phases = Phases::SHIM.and(Phases::HANDOFF).and(Phases::KERNEL);
    /// From the download on, for good.
    pub const ALL: Phases = Phases::DOWNLOAD.and(Phases::KEPT);

    /// Each by itself and its name, in their order.
    pub const EACH: [(Phases, &'static str); 4] = [
        (Phases::DOWNLOAD, "download"),
        (Phases::SHIM, "shim"),
        (Phases::HANDOFF, "handoff"),
        (Phases::KERNEL, "kernel"),
    ];

    /// Both.
    pub const fn and(self, other: Phases) -> Phases {
        Phases(self.0 | other.0)
    }

    /// Whether the two have a phase in common.
    pub fn meets(self, other: Phases) -> bool {
        self.0 & other.0 != 0
    }

    /// The phases by name, in their order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Phases::EACH.into_iter().filter(move |(when, _)| self.meets(*when)).map(|(_, name)| name)
    }
}

/// What a region is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RegionKind {
    /// The file as the bootloader fetched it.
    Download,
    /// Where the bootloader copies a flash image to first.
    Staging,
    /// The bootloader's own code, stack and arguments.
    Bootloader,
    /// The image at its load address: shim, params, manifest, stored payloads.
    Image,
    /// Where the shim runs.
    Shim,
    /// The kernel, its bss included; of a vmlinuz the decompressor with its heap.
    Kernel,
    /// What a vmlinuz writes its kernel to.
    Decompressed,
    /// Where the kernel may move itself.
    Relocation,
    /// Room for the final device tree.
    Tree,
    /// Room for argv and env.
    Argv,
    /// The initial ramdisk.
    Initrd,
    /// The root filesystem.
    Rootfs,
    /// Room for copies of what the shim would else read twice from flash.
    Copies,
    /// Where the kernel keeps its log over a reset.
    Ramoops,
    /// What the device tree reserves.
    Reserved,
}

impl RegionKind {
    /// As in messages, tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            RegionKind::Download => "download",
            RegionKind::Staging => "staging",
            RegionKind::Bootloader => "bootloader",
            RegionKind::Image => "image",
            RegionKind::Shim => "shim",
            RegionKind::Kernel => "kernel",
            RegionKind::Decompressed => "decompressed kernel",
            RegionKind::Relocation => "kernel relocation",
            RegionKind::Tree => "dtb",
            RegionKind::Argv => "argv",
            RegionKind::Initrd => "initrd",
            RegionKind::Rootfs => "rootfs",
            RegionKind::Copies => "copies of flash",
            RegionKind::Ramoops => "ramoops",
            RegionKind::Reserved => "reserved by the device tree",
        }
    }
}

impl RegionKind {
    /// Pack chooses where it lies.
    fn is_placed(self) -> bool {
        use RegionKind::{Argv, Copies, Image, Initrd, Ramoops, Rootfs, Shim, Tree};
        matches!(self, Image | Shim | Tree | Argv | Initrd | Rootfs | Copies | Ramoops)
    }
}

impl fmt::Display for RegionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A named range of physical addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NamedRegion {
    /// Its purpose.
    pub what: RegionKind,
    /// Where.
    pub region: Region,
    /// While its bytes matter.
    pub when: Phases,
}

impl NamedRegion {
    /// A region with a purpose.
    pub fn new(what: RegionKind, region: Region, when: Phases) -> Self {
        NamedRegion { what, region, when }
    }

    pub(super) fn collides(&self, other: &NamedRegion) -> bool {
        // A device tree may reserve what others chose: the page a kernel is linked to, the bootloader's own.
        let tolerated =
            |one: &NamedRegion, other: &NamedRegion| one.what == RegionKind::Reserved && !other.what.is_placed();
        let tolerated = tolerated(self, other) || tolerated(other, self);
        !tolerated && self.when.meets(other.when) && self.region.overlaps(&other.region)
    }
}

impl fmt::Display for NamedRegion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NamedRegion { what, region, .. } = self;
        write!(f, "{what} [0x{:08x}, 0x{:08x}), 0x{:x} bytes", region.start(), region.end(), region.size())
    }
}
