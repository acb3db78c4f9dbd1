//! Why the parts of an image find no place.

use stoop_core::Region;

use super::region::{NamedRegion, RegionKind};

const STAY: &str = "keep the kernel in place with `--append nokaslr`, or give one that is not relocatable";

crate::explained! {
    /// Why the parts of an image find no place in RAM. All addresses are physical.
    pub enum Error {
        #[error("{region} is not in RAM [0x{:08x}, 0x{:08x})", ram.start(), ram.end())]
        NotInRam { region: NamedRegion, ram: Region } => NotInRam, (match region.what {
            RegionKind::Relocation => STAY,
            RegionKind::Ramoops => "correct `ram` in the board file, or omit --ramoops",
            _ => "give a kernel that is linked inside the board's RAM, or correct `ram` in the board file",
        });
        #[error("{first} overlaps {second}")]
        Overlap { first: NamedRegion, second: NamedRegion } => Overlap, (out_of_the_way(first, second));
        /// What is fetched would lie on something else.
        #[error("no room for the file at 0x{at:x}")]
        Download { at: usize } => NoRoom;
        #[error("the board has no RAM below 0x20000000")]
        NoRam => NoRoom, "correct `ram` in the board file";
        /// For memory that the kernel looks for by itself, in one of these places.
        #[error("no room for /reserved-memory/{} of the device tree, 0x{size:x} bytes aligned to 0x{align:x}, in \
            {}", node.escape_default(), list(places))]
        Reserved { node: String, size: usize, align: usize, places: Vec<Region> } => NoRoom,
            "make its size smaller or its alloc-ranges larger in the device tree, or delete the node";
        /// `ram` ends below what the bootloader has at the top while the room is needed; `largest` is the largest other thing in the way.
        #[error("too little RAM: no room for the {what}, 0x{size:x} bytes, in [0x{:08x}, \
            0x{:08x}){}{}", ram.start(), ram.end(), below(*bootloader), beside(largest.as_ref()))]
        Full { what: RegionKind, size: usize, ram: Region, bootloader: usize, largest: Option<NamedRegion> }
            => NoRoom, (match largest.as_ref().is_some_and(|largest| largest.what == RegionKind::Relocation) {
                true => STAY,
                false => "give a smaller kernel, initrd or root filesystem",
            });
    }
}

fn list(places: &[Region]) -> String {
    let places: Vec<_> = places.iter().map(|ram| format!("[0x{:08x}, 0x{:08x})", ram.start(), ram.end())).collect();
    places.join(" or ")
}

fn below(bootloader: usize) -> String {
    if bootloader == 0 { String::new() } else { format!(" below the bootloader's own 0x{bootloader:x} bytes") }
}

fn beside(largest: Option<&NamedRegion>) -> String {
    largest.map_or(String::new(), |largest| format!(" beside the {largest}"))
}

fn out_of_the_way(first: &NamedRegion, second: &NamedRegion) -> &'static str {
    let is = |what| first.what == what || second.what == what;
    if is(RegionKind::Relocation) {
        STAY
    } else if (is(RegionKind::Shim) || is(RegionKind::Image))
        && (is(RegionKind::Kernel) || is(RegionKind::Decompressed))
    {
        // Only where a container in flash fixes them.
        "give a smaller kernel: the shim's place at the top of RAM is fixed"
    } else if is(RegionKind::Ramoops) {
        "give a smaller kernel, or a smaller --ramoops: its place depends on the board alone, so that the next boot finds it"
    } else if is(RegionKind::Staging) || is(RegionKind::Bootloader) {
        "give a smaller kernel or root filesystem: the bootloader leaves no more room"
    } else {
        "report this: the layout should have found another place"
    }
}
