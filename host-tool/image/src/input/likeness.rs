//! What a file most likely is.

use crate::format::bytes::be32;
use crate::format::codec::Codec;
use crate::format::device_tree::{MAGIC, is_fit};

/// A few words that say what a file most likely is, by its first bytes.
pub fn looks_like(bytes: &[u8]) -> &'static str {
    recognised(bytes).unwrap_or("unknown data")
}

/// A few words that say what a file is, by its first bytes; `None` for bytes that say nothing, as code has them.
pub fn recognised(bytes: &[u8]) -> Option<&'static str> {
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
        (0, b"*#$^", "a Netgear CHK image"),
        (0, b"\x5e\xa3\xa4\x17", "a Seama image"),
        (0, b"\x01\x00\x00\x00TP-LINK Technologies", "a TP-Link image, version 1"),
        (0, b"\x02\x00\x00\x00TP-LINK Technologies", "a TP-Link image, version 2"),
        (0x1014, b"fwup-ptn", "a TP-Link safeloader image"),
        (0, b"ANDROID!", "an Android boot image"),
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
        return Some(name);
    }
    if be32(bytes, 0) == Some(MAGIC) {
        return Some(if is_fit(bytes) { "a FIT image" } else { "a device tree blob" });
    }
    if let Some(codec) = Codec::detect(bytes) {
        return Some(codec.described());
    }
    let head = &bytes[..bytes.len().min(4096)];
    if head.is_empty() {
        Some("nothing")
    } else if head.iter().all(|byte| *byte == 0xff) {
        Some("erased flash (all 0xff)")
    } else if head.iter().all(|byte| *byte == 0) {
        Some("all zeros")
    } else if std::str::from_utf8(&head[..head.len().min(512)]).is_ok_and(|text| !text.contains('\0')) {
        Some("text")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_files_are_told_apart() {
        assert_eq!(looks_like(b"\x7fELF\x01"), "an ELF file");
        assert_eq!(looks_like(&[0xff; 100]), "erased flash (all 0xff)");
        assert_eq!(looks_like(b"hello"), "text");
        assert_eq!(looks_like(&[0x1f, 0x8b, 8, 0]), "gzip data");
        assert_eq!(looks_like(b""), "nothing");
    }
}
