//! An arm64 Image.
//!
//! Facts: Linux' arch/arm64/kernel/kexec_image.c (image_load), kernel/kexec_core.c (sanity_check_segment_list); kexec-tools'
//! kexec/arch/arm64/kexec-image-arm64.c and kexec-arm64.c (arm64_load_other_segments, setup_2nd_dtb).

use stoop_core::Region;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::Kind;

use super::error::Error;
use super::rule::TREE_ROOM;
use crate::Result;
use crate::format::arm64::ALIGNMENT as ARM64_ALIGNMENT;
use crate::format::arm64::Header;
use crate::image::Opened;
use crate::layout::PAGE;
use crate::simulate::Booted;

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
        let format = opened.format.name();
        let crc = Crc32::new();
        let damaged = |reason| Error::Damaged { reason };
        let manifest = opened.manifest(&crc).map_err(damaged)?;
        let Some(header) = Header::of(file) else { return Err(Error::HeaderCut { format }.into()) };
        if header.is_big_endian() || header.foreign_pages().is_some() {
            return Err(Error::HeaderFlags { flags: header.flags, format }.into());
        }
        let (offset, memory) = (header.text_offset as usize, header.image_size as usize);
        if opened.load % ARM64_ALIGNMENT as usize != offset {
            let beside = (opened.load % ARM64_ALIGNMENT as usize).abs_diff(offset);
            return Err(Error::HeaderOffset { offset, beside, format }.into());
        }
        // The kernel refuses a segment that is shorter than its bytes, or no whole pages.
        if memory < file.len() || !memory.is_multiple_of(PAGE) {
            return Err(Error::HeaderMemory { memory, size: file.len(), format }.into());
        }
        // Device tree and purgatory lie directly behind it.
        let end = opened.load + memory;
        let room = manifest.tree().start() + manifest.tree().size() + manifest.payload(Kind::Overlay).place.size();
        let ends = booted.regions.iter().map(|(name, region)| (*name, region.end())).chain([("dtb", room)]);
        if let Some((name, used)) = ends.filter(|(_, used)| *used > end).max_by_key(|(_, used)| *used) {
            return Err(Error::HeaderEnd { end, part: name, used, format }.into());
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
