//! EFI zboot images, the `vmlinuz` of today's distributions: a small EFI program in front of a compressed kernel
//! (drivers/firmware/efi/libstub/zboot-header.S of Linux 6.12; include/linux/pe.h: struct linux_efi_zboot_header).

use super::kernel::Error;
use crate::Result;
use crate::format::bytes::le32;
use crate::format::codec::Codec;

/// Whether the bytes begin with the header of one.
pub(super) fn is_zboot(bytes: &[u8]) -> bool {
    bytes.starts_with(b"MZ") && bytes.get(4..8) == Some(b"zimg")
}

/// The compressed kernel in it, with its compression.
///
/// # Errors
/// The header is cut off, or names bytes that are not there or a compression that is not known.
pub(super) fn zboot(bytes: &[u8]) -> Result<(Codec, &[u8])> {
    let cut = || Error::ZbootHeaderCut;
    let (at, size) = le32(bytes, 8).zip(le32(bytes, 12)).ok_or_else(cut)?;
    let name = bytes.get(24..56).ok_or_else(cut)?.split(|byte| *byte == 0).next().unwrap_or_default();
    let range = at as usize..at as usize + size as usize;
    let payload = bytes.get(range).ok_or(Error::ZbootCut { at, size, have: bytes.len() })?;
    // Such as `zstd22` and `xzkern`, the names of Kbuild's compressors.
    let named = [
        (&b"gzip"[..], Codec::Gzip),
        (b"xz", Codec::Xz),
        (b"zstd", Codec::Zstd),
        (b"lzma", Codec::Lzma),
        (b"lz4", Codec::Lz4),
        (b"lzo", Codec::Lzo),
    ];
    let codec = named.into_iter().find(|(start, _)| name.starts_with(start)).map(|(_, codec)| codec);
    let codec = codec.ok_or_else(|| Error::ZbootCompression { compression: name.escape_ascii().to_string() })?;
    Ok((codec, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;

    fn image(codec: &[u8], at: u32, size: u32) -> Vec<u8> {
        let mut bytes = b"MZ\0\0zimg".to_vec();
        bytes.extend([at, size].map(u32::to_le_bytes).concat());
        bytes.resize(24, 0);
        bytes.extend_from_slice(codec);
        bytes.resize(0x40, 0);
        bytes.extend_from_slice(b"payload");
        bytes
    }

    #[test]
    fn the_header_gives_place_size_and_codec() {
        for (name, codec) in [(&b"gzip"[..], Codec::Gzip), (b"zstd22", Codec::Zstd), (b"xzkern", Codec::Xz)] {
            let image = image(name, 0x40, 7);
            assert!(is_zboot(&image));
            assert_eq!(zboot(&image).unwrap(), (codec, &b"payload"[..]));
        }
    }

    #[test]
    fn places_outside_the_file_and_unknown_codecs_are_refused() {
        for bytes in [image(b"gzip", 0x40, 8), image(b"gzip", u32::MAX, u32::MAX), image(b"brotli", 0x40, 7)] {
            assert!(zboot(&bytes).unwrap_err().next_step().is_some());
        }
        assert!(zboot(&image(b"gzip", 0x40, 7)[..50]).is_err());
    }
}
