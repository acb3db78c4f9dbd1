//! An arm64 Image.
//!
//! Facts: Linux' arch/arm64/kernel/kexec_image.c (image_load), kernel/kexec_core.c (sanity_check_segment_list); kexec-tools'
//! kexec/arch/arm64/kexec-image-arm64.c and kexec-arm64.c (arm64_load_other_segments, setup_2nd_dtb).

use stoop_core::Region;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::Kind;

use super::rule::{TREE_ROOM, again};
use crate::format::arm64::ALIGNMENT as ARM64_ALIGNMENT;
use crate::format::arm64::Header;
use crate::image::Opened;
use crate::layout::PAGE;
use crate::simulate::Booted;
use crate::{ErrorCode, Failure, Result};

/// What the kernel and kexec-tools load on arm64, where they like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Of the first byte from a multiple of 2 MiB, in bytes.
    pub offset: usize,
    /// RAM that it wants from its first byte on, in bytes; kexec's device tree comes behind it.
    pub memory: usize,
    /// RAM that the shim uses, physical; it must lie there, and so must the device tree.
    pub ram: Region,
}

impl Image {
    /// Reads the header and checks the rules.
    pub(super) fn of(file: &[u8], opened: &Opened<'_>, booted: &Booted) -> Result<Image> {
        let refused =
            |why: String| Err(Failure::new(ErrorCode::Kexec, format!("the image's header {why}")).next(again(opened)));
        let crc = Crc32::new();
        let damaged =
            |error: stoop_core::Error| Failure::new(ErrorCode::ImageDamaged, format!("the image is damaged: {error}"));
        let manifest = opened.manifest(&crc).map_err(damaged)?;
        let Some(header) = Header::of(file) else { return refused("is cut".into()) };
        if header.is_big_endian() || header.foreign_pages().is_some() {
            return refused(format!(
                "has the flags 0x{:x}, not those of a little-endian kernel with 4 KiB pages",
                header.flags
            ));
        }
        let (offset, memory) = (header.text_offset as usize, header.image_size as usize);
        if opened.load % ARM64_ALIGNMENT as usize != offset {
            return refused(format!(
                "has the text_offset 0x{offset:x}, which puts the kernel 0x{:x} bytes beside where it was packed for",
                (opened.load % ARM64_ALIGNMENT as usize).abs_diff(offset)
            ));
        }
        // The kernel refuses a segment that is shorter than its bytes, or no whole pages.
        if memory < file.len() || !memory.is_multiple_of(PAGE) {
            return refused(format!(
                "asks for 0x{memory:x} bytes of RAM: no multiple of 0x{PAGE:x}, or less than the file's 0x{:x}",
                file.len()
            ));
        }
        // Device tree and purgatory lie directly behind it.
        let end = opened.load + memory;
        let room = manifest.tree().start() + manifest.tree().size() + manifest.payload(Kind::Overlay).place.size();
        let ends = booted.regions.iter().map(|(name, region)| (*name, region.end())).chain([("dtb", room)]);
        if let Some((name, used)) = ends.filter(|(_, used)| *used > end).max_by_key(|(_, used)| *used) {
            return refused(format!(
                "asks for RAM up to 0x{end:08x}, and the {name} ends at 0x{used:08x}, where kexec-tools put their device tree"
            ));
        }
        let ram = opened.params(&crc).map_err(damaged)?.ram();
        Ok(Image { offset, memory, ram })
    }

    /// For arm64.sh.
    pub(super) fn values(&self) -> Vec<(&'static str, String)> {
        let hex = |number: usize| format!("0x{number:x}");
        vec![
            ("@OFFSET@", hex(self.offset)),
            ("@EXTENT@", hex(self.memory)),
            ("@BEHIND@", hex(TREE_ROOM)),
            ("@RAM_START@", hex(self.ram.start())),
            ("@RAM_END@", hex(self.ram.end())),
        ]
    }
}
