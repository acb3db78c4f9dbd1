//! The oracle kernel as an image that a bootloader starts with argc and argv: its device tree stands behind it.

use object::{Object, ObjectSegment, ObjectSymbol};
use stoop_samples::failure::{Failure, Result};

/// The room the kernel keeps for the tree (arch/mips/kernel/vmlinux.lds.S, CONFIG_MIPS_RAW_APPENDED_DTB), in bytes.
const ROOM: usize = 0x10_0000;

/// A legacy uImage, not compressed, of `vmlinux` (built with CONFIG_MIPS_RAW_APPENDED_DTB) with `dtb` where it looks for it.
/// U-Boot's `bootm ADDRESS` without a tree's address passes `bootargs` as argc and argv.
///
/// # Errors
/// When `vmlinux` is no ELF or has no symbol `__appended_dtb`, or the tree has no room.
pub fn oracle_image(vmlinux: &[u8], dtb: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(vmlinux).map_err(|error| Failure::new(format!("the oracle kernel: {error}")))?;
    let lacks = |what: &str| Failure::new(format!("the oracle kernel has no {what}")).next("run `cargo ci lab`");
    let slot = file.symbols().find(|symbol| symbol.name() == Ok("__appended_dtb"));
    let slot = slot.ok_or_else(|| lacks("symbol __appended_dtb"))?.address() as u32;
    let segments: Vec<_> = file.segments().filter(|segment| segment.file_range().1 != 0).collect();
    let load = segments.iter().map(|segment| segment.address() as u32).min().ok_or_else(|| lacks("segment"))?;
    if dtb.len() > ROOM {
        return Err(Failure::new(format!("a device tree of {:#x} bytes exceeds the oracle's {ROOM:#x}", dtb.len())));
    }
    let mut flat = vec![0u8; slot.checked_sub(load).ok_or_else(|| lacks("tree behind its code"))? as usize];
    for segment in &segments {
        let from = (segment.address() as u32 - load) as usize;
        let data = segment.data().map_err(|error| Failure::new(format!("the oracle kernel: {error}")))?;
        // The ELF may store zeros for the room; the tree goes there.
        let data = &data[..data.len().min(flat.len().saturating_sub(from))];
        flat[from..from + data.len()].copy_from_slice(data);
    }
    flat.extend(dtb);
    Ok(uimage(&flat, load, file.entry() as u32))
}

/// The 64-byte header of include/image.h in U-Boot, big endian, and the data.
fn uimage(data: &[u8], load: u32, entry: u32) -> Vec<u8> {
    const LINUX: u8 = 5;
    const MIPS: u8 = 5;
    const KERNEL: u8 = 2;
    const NOT_COMPRESSED: u8 = 0;
    let crc32 = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);
    let mut header = Vec::with_capacity(64);
    for word in [0x2705_1956, 0, 0, data.len() as u32, load, entry, crc32.checksum(data)] {
        header.extend(word.to_be_bytes());
    }
    header.extend([LINUX, MIPS, KERNEL, NOT_COMPRESSED]);
    header.extend(b"stoop's oracle");
    header.resize(64, 0);
    let checksum = crc32.checksum(&header);
    header[4..8].copy_from_slice(&checksum.to_be_bytes());
    header.extend(data);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cache, run};

    #[test]
    fn mkimage_accepts_the_header() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("image");
        cache::write(&path, &uimage(b"kernel and tree", 0x8010_0000, 0x8010_0400)).unwrap();
        let listed = run::output(run::command("mkimage").arg("-l").arg(&path)).unwrap();
        for part in ["MIPS Linux Kernel Image (uncompressed)", "Load Address: 80100000", "Entry Point:  80100400"] {
            assert!(listed.contains(part), "no {part:?} in\n{listed}");
        }
    }

    #[test]
    fn a_file_that_is_no_elf_is_refused() {
        assert!(oracle_image(b"not an ELF", &[]).is_err());
    }
}
