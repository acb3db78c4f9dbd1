//! What people have, read and checked: kernels, device trees, root filesystems, initial ramdisks.

pub mod codec;
pub mod cpio;
pub mod dtb;
pub mod initrd;
pub mod kernel;
pub mod rootfs;

pub(crate) mod arm64;
mod beside;
mod deb;
mod efi;
mod elf;
pub mod fit;
mod mips;
mod raw;
mod relocation;
mod uimage;
pub mod xz;
mod zboot;

#[cfg(test)]
pub(crate) mod testing;

use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

use crate::{ErrorCode, Failure, Result};

pub use arm64::ALIGNMENT as ARM64_ALIGNMENT;
pub use kernel::{Form, Inner, Kernel, Overrides};
pub use relocation::Relocation;
pub use rootfs::Rootfs;

/// The machine an input is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arch {
    /// MIPS32, big-endian.
    MipsBe,
    /// MIPS32, little-endian.
    MipsLe,
    /// arm64, little-endian.
    Arm64,
}

impl Arch {
    /// As in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Arch::MipsBe => "mips big-endian",
            Arch::MipsLe => "mips little-endian",
            Arch::Arm64 => "arm64",
        }
    }

    /// Most significant byte first.
    pub fn big_endian(self) -> bool {
        self == Arch::MipsBe
    }
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// KSEG0 maps this much physical memory, from 0: nothing of a boot may lie above it.
pub const KSEG0_SIZE: u64 = 0x2000_0000;

/// The largest file believed; a vmlinux with debugging information stays well below.
const LARGEST: u64 = 1 << 30;

/// The most bytes believed to come out of a file of `size` bytes: kernels, ramdisks and packages shrink to a sixth at best.
pub fn most_decoded(size: usize) -> u64 {
    (16 * size as u64).clamp(0x600_0000, LARGEST)
}

/// Strips KSEG0 or KSEG1 from a 32-bit or sign-extended address; a physical address stays. `None` when it is neither.
pub fn physical(address: u64) -> Option<u64> {
    let low = match address >> 32 {
        0 | 0xffff_ffff => address & 0xffff_ffff,
        _ => return None,
    };
    match low {
        0x8000_0000..=0xbfff_ffff => Some(low & 0x1fff_ffff),
        _ if address < KSEG0_SIZE => Some(address),
        _ => None,
    }
}

/// Stdin, read once however often it is asked for.
fn stdin() -> Result<Vec<u8>> {
    static STDIN: OnceLock<std::result::Result<Vec<u8>, String>> = OnceLock::new();
    let read = || {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|error| error.to_string())
    };
    STDIN.get_or_init(read).clone().map_err(|error| Failure::new(ErrorCode::File, format!("stdin: {error}")))
}

/// Reads a whole file; `-` is stdin.
///
/// # Errors
/// It is missing, a directory, empty, or larger than any input can be.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let bytes = stdin()?;
        return match bytes.len() as u64 {
            0 => Err(Failure::new(ErrorCode::File, "stdin: is empty").next("pipe the file into it")),
            size if size > LARGEST => {
                Err(Failure::new(ErrorCode::File, format!("stdin: more than the 0x{LARGEST:x} bytes of any input"))
                    .next("check that this is the file you meant"))
            }
            _ => Ok(bytes),
        };
    }
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|error| {
        Failure::io(path, &error).next("check the path; relative paths count from the current directory")
    })?;
    if meta.is_dir() {
        return Err(Failure::new(ErrorCode::File, format!("{shown}: is a directory")).next("name the file in it"));
    }
    if meta.len() > LARGEST {
        return Err(Failure::new(
            ErrorCode::File,
            format!("{shown}: 0x{:x} bytes, more than the 0x{LARGEST:x} of any input", meta.len()),
        )
        .next("check that this is the file you meant"));
    }
    let bytes = std::fs::read(path).map_err(|error| Failure::io(path, &error))?;
    if bytes.is_empty() {
        return Err(Failure::new(ErrorCode::File, format!("{shown}: is empty")).next("build or download it again"));
    }
    Ok(bytes)
}

/// Whether these bytes are big-endian MIPS code; `None` when that cannot be told.
pub fn mips_byte_order(bytes: &[u8]) -> Option<bool> {
    mips::big_endian(bytes)
}

/// Where `needle` first begins in `bytes`.
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| byte == first) {
        if bytes[from + at + 1..].starts_with(rest) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Big-endian word at `at`.
pub fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Little-endian word at `at`.
pub fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}

/// A few words that say what a file most likely is, by its first bytes.
pub fn looks_like(bytes: &[u8]) -> &'static str {
    const MAGICS: &[(usize, &[u8], &str)] = &[
        (0, b"\x7fELF", "an ELF file"),
        (0, b"\x27\x05\x19\x56", "a uImage"),
        (0, b"hsqs", "a squashfs"),
        (0, b"sqsh", "a big-endian squashfs, older than version 4"),
        (0, b"!<arch>\n", "an ar archive or Debian package"),
        (0, b"070701", "a cpio archive"),
        (0, b"070702", "a cpio archive"),
        (257, b"ustar", "a tar archive"),
        (56, b"ARM\x64", "an arm64 Image"),
        (0, b"UBI#", "a UBI image"),
        (0, b"\x31\x18\x10\x06", "a UBIFS image"),
        (0, b"\x19\x85", "a JFFS2 image"),
        (0, b"\x85\x19", "a JFFS2 image"),
        (0, b"MZ", "an EFI program"),
        (0, b"070707", "a cpio archive of the old portable form (odc)"),
        (0, b"\xc7\x71", "a cpio archive of the old binary form"),
        (0, b"\x71\xc7", "a cpio archive of the old binary form"),
        (0, b"sqlz", "a squashfs of a vendor's own, with LZMA"),
        (0, b"shsq", "a squashfs of a vendor's own, with LZMA"),
        (0, b"qshs", "a squashfs of a vendor's own, with LZMA"),
        (0, b"-rom1fs-", "a romfs"),
        (0, b"XFSB", "an XFS image"),
        (0, b"HDR0", "a TRX image"),
        (0, b"PK\x03\x04", "a zip archive"),
        (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
        (0, b"QFI\xfb", "a qcow2 disk image"),
        (0x400, b"\x10\x20\xf5\xf2", "an F2FS image"),
        (0x1_0040, b"_BHRfS_M", "a Btrfs image"),
        (0x8001, b"CD001", "an ISO 9660 image"),
        (0x410, b"\x7f\x13", "a Minix image"),
        (0x410, b"\x8f\x13", "a Minix image"),
        (0x36, b"FAT", "a FAT image"),
        (0x52, b"FAT32", "a FAT image"),
        (0x1fe, b"\x55\xaa", "a disk image with a partition table"),
        (0x438, b"\x53\xef", "an ext2, ext3 or ext4 image"),
        (0x400, b"\xe2\xe1\xf5\xe0", "an EROFS image"),
        (0, b"\x45\x3d\xcd\x28", "a cramfs"),
        (0, b"\x28\xcd\x3d\x45", "a cramfs"),
        (0, b"<!DOCTYPE", "a web page"),
        (0, b"<html", "a web page"),
        (0, b"/dts-v1/", "the source of a device tree"),
    ];
    if let Some((.., name)) =
        MAGICS.iter().find(|(at, magic, _)| bytes.get(*at..).is_some_and(|b| b.starts_with(magic)))
    {
        return name;
    }
    if be32(bytes, 0) == Some(dtb::MAGIC) {
        return if dtb::is_fit(bytes) { "a FIT image" } else { "a device tree blob" };
    }
    if let Some(codec) = codec::Codec::detect(bytes) {
        return codec.described();
    }
    let head = &bytes[..bytes.len().min(4096)];
    if head.is_empty() {
        "nothing"
    } else if head.iter().all(|byte| *byte == 0xff) {
        "erased flash (all 0xff)"
    } else if head.iter().all(|byte| *byte == 0) {
        "all zeros"
    } else if std::str::from_utf8(&head[..head.len().min(512)]).is_ok_and(|text| !text.contains('\0')) {
        "text"
    } else {
        "unknown data"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kseg_addresses_become_physical_and_mapped_ones_do_not() {
        assert_eq!(physical(0x8010_0000), Some(0x10_0000));
        assert_eq!(physical(0xa010_0000), Some(0x10_0000));
        assert_eq!(physical(0xffff_ffff_8010_0000), Some(0x10_0000));
        assert_eq!(physical(0x10_0000), Some(0x10_0000));
        for mapped in [0x2000_0000, 0x4000_0000, 0xc000_0000, 0xffff_ffff_0010_0000, 0x9800_0000_0010_0000] {
            assert_eq!(physical(mapped), None, "0x{mapped:x}");
        }
    }

    #[test]
    fn a_directory_an_empty_file_and_a_missing_one_each_have_their_message() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_file(folder.path()).unwrap_err().fact().contains("is a directory"));
        let empty = folder.path().join("empty");
        std::fs::write(&empty, b"").unwrap();
        assert!(read_file(&empty).unwrap_err().fact().contains("is empty"));
        assert!(read_file(&folder.path().join("none")).unwrap_err().fact().contains("none"));
    }

    #[test]
    fn a_file_larger_than_any_input_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let huge = folder.path().join("huge");
        // Sparse: takes no room.
        std::fs::File::create(&huge).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(read_file(&huge).unwrap_err().fact().contains("0x40000001 bytes"));
    }

    #[test]
    fn a_needle_is_found_behind_its_own_first_byte() {
        assert_eq!(find(b"aab", b"ab"), Some(1));
        assert_eq!(find(b"aaa", b"ab"), None);
        assert_eq!(find(b"a", b"ab"), None);
    }

    #[test]
    fn common_files_are_told_apart() {
        assert_eq!(looks_like(b"\x7fELF\x01"), "an ELF file");
        assert_eq!(looks_like(&[0xff; 100]), "erased flash (all 0xff)");
        assert_eq!(looks_like(b"hello"), "text");
        assert_eq!(looks_like(&[0x1f, 0x8b, 8, 0]), "gzip data");
        assert_eq!(looks_like(b""), "nothing");
    }
}
