//! Why kexec cannot start an image.

use stoop_core::Region;

use super::rule::{TREE_LIMIT, show};
use crate::layout::{GRAIN, PAGE};
use crate::machine::Machine;

crate::explained! {
    /// Why kexec cannot start an image. Addresses are physical; `format` is the image's.
    pub enum Error {
        #[error("the image is a {format}, and {}", match machine {
            Machine::Arm64 => "kexec on arm64 takes an arm64 Image",
            _ => "kexec-tools for MIPS load only ELF",
        })]
        Format { format: &'static str, machine: Machine, wanted: &'static str } => Kexec, "pack it with --format {wanted}";
        /// `of` is what the checksum is over.
        #[error("the image is damaged: {of}: {wrong}")]
        Checksum { of: String, wrong: String } => ImageDamaged, "pack or download it again";
        #[error("the image is damaged: {reason}")]
        Damaged { reason: stoop_core::Error } => ImageDamaged;
        #[error("the ELF file is broken")]
        Elf => ImageDamaged, "pack or download it again";
        #[error("the shim gives up when it is entered without arguments, as by kexec: {reason}")]
        GivesUp { reason: stoop_core::Error } => Kexec, "pack it with a device tree: --dtb FILE";

        #[error("the image's header is cut")]
        HeaderCut { format: &'static str } => Kexec, "pack it again with --format {format} by this version of stoop";
        #[error("the image's header has the flags 0x{flags:x}, not those of a little-endian kernel with 4 KiB pages")]
        HeaderFlags { flags: u64, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";
        #[error("the image's header has the text_offset 0x{offset:x}, which puts the kernel 0x{beside:x} bytes \
            beside where it was packed for")]
        HeaderOffset { offset: usize, beside: usize, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";
        #[error("the image's header asks for 0x{memory:x} bytes of RAM: no multiple of 0x{PAGE:x}, or less than the \
            file's 0x{size:x}")]
        HeaderMemory { memory: usize, size: usize, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";
        #[error("the image's header asks for RAM up to 0x{end:08x}, and the {part} ends at 0x{used:08x}, where \
            kexec-tools put their device tree")]
        HeaderEnd { end: usize, part: &'static str, used: usize, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";

        #[error("{count} segments, kexec takes {most}")]
        Segments { count: usize, most: usize, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";
        #[error("the segment {} does not begin at a multiple of 0x{GRAIN:x}", show(segment))]
        Unaligned { segment: Region, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";
        #[error("the segment {} begins like a device tree, and kexec would hand it over as that", show(segment))]
        LikeATree { segment: Region, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";
        #[error("the segment {} touches {}, with which it must not share a page", show(segment), show(next))]
        Touches { segment: Region, next: Region, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";
        #[error("the image ends at 0x{end:08x} and leaves no room for kexec-tools' device tree, which must be below \
            0x{TREE_LIMIT:08x}")]
        NoRoomForTree { end: usize } => Kexec, "make the root filesystem smaller";
        #[error("the shim would run at {}, where kexec-tools puts its device tree", show(run))]
        RunsInTree { run: Region, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";
        #[error("only 0x{size:x} bytes are copied behind the shim, which may stay in the data cache")]
        Uncached { size: usize, format: &'static str }
            => Kexec, "pack it again with --format {format} by this version of stoop";
    }
}
