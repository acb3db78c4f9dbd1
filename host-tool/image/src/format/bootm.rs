//! What U-Boot's bootm starts as a Linux kernel (boot/bootm.c, boot/image.c, boot/image-fit.c): one rule for `check`, which asks whether
//! a file starts, and for `pack`, which takes the kernel out of it.

use super::bytes::be32;
use super::codec::Codec;
use super::error::Error;
use super::{device_tree, fit, uimage};
use crate::Result;

/// A uImage's type `multi`: several files in one.
pub const MULTI: u8 = 4;
/// A uImage's type `kernel_noload`: it runs where it is put.
pub const NOLOAD: u8 = 14;
/// IH_OS_LINUX.
const LINUX: u8 = 5;

/// Whether a uImage's header is that of a Linux kernel; `header` has [`uimage::HEADER`] bytes, its CRC is not looked at.
///
/// # Errors
/// Another type, another operating system, or no data behind it.
pub fn uimage_header(header: &[u8]) -> Result<()> {
    let byte = |at: usize| header.get(at).copied().unwrap_or_default();
    let (system, kind) = (byte(28), byte(30));
    let (held, next) = match kind {
        2 | MULTI | NOLOAD => ("", ""),
        1 => (
            "a standalone program",
            "if it is a kernel, take it out with dumpimage and give it with --load-address and --entry-point",
        ),
        3 => ("a ramdisk", "give it to `stoop pack` with --initrd, and a kernel with --kernel"),
        5 => ("firmware", "give a kernel"),
        6 => ("a U-Boot script", "give a kernel"),
        7 => ("a filesystem", "give it to `stoop pack` with --rootfs, and a kernel with --kernel"),
        8 => ("a device tree", "give it to `stoop pack` with --dtb, and a kernel with --kernel"),
        _ => ("no kernel", "give a uImage of type kernel"),
    };
    if !held.is_empty() {
        return Err(Error::UimageKind { held, kind, next }.into());
    }
    if system != LINUX {
        return Err(Error::UimageSystem { system }.into());
    }
    if be32(header, 12) == Some(0) {
        return Err(Error::UimageEmpty.into());
    }
    Ok(())
}

/// Whether a FIT's image is a Linux kernel. One that names no operating system is taken for Linux.
///
/// # Errors
/// Another type or another operating system.
pub fn fit_image(image: &fit::Image<'_>) -> Result<()> {
    let fit::Image { name, kind, system, .. } = image;
    if !matches!(*kind, "kernel" | "kernel_noload") {
        return Err(Error::FitKind { name: (*name).to_owned(), kind: (*kind).to_owned() }.into());
    }
    if !matches!(*system, "" | "linux") {
        return Err(Error::FitSystem { name: (*name).to_owned(), system: (*system).to_owned() }.into());
    }
    Ok(())
}

/// Whether the bytes that bootm would jump into, decompressed if the header says so, can be code. `what` is the container's name with its
/// article.
///
/// # Errors
/// They are another container, compressed data or an ELF file: bootm jumps to an address, whatever lies there.
pub fn content(bytes: &[u8], what: &str) -> Result<()> {
    if bytes.starts_with(b"\x7fELF") {
        return Err(Error::ElfInside { container: what.to_owned() }.into());
    }
    packaged(bytes, what)
}

/// As [`content`] for who takes an ELF file apart: still neither a container nor compressed.
///
/// # Errors
/// They are another container or compressed data.
pub fn packaged(bytes: &[u8], what: &str) -> Result<()> {
    if uimage::is_one(bytes) {
        return Err(Error::UimageInside { container: what.to_owned() }.into());
    }
    if device_tree::is_fit(bytes) {
        return Err(Error::FitInside { container: what.to_owned() }.into());
    }
    if let Some(codec) = Codec::detect(bytes) {
        return Err(Error::OtherCompression { container: what.to_owned(), codec: codec.name() }.into());
    }
    Ok(())
}

/// The kernel of a uImage of type [`MULTI`]: the first of its files. In front of them lie their sizes, big endian, and a zero.
///
/// # Errors
/// The table has no end or no entry, or the file it promises is not there.
pub fn first_file(data: &[u8]) -> Result<&[u8]> {
    let sizes: Vec<usize> =
        (0..).map_while(|at| be32(data, 4 * at)).take_while(|size| *size != 0).map(|size| size as usize).collect();
    let table = 4 * (sizes.len() + 1);
    let Some(&first) = sizes.first() else { return Err(Error::MultiEmpty.into()) };
    let Some(files) = data.get(table..) else { return Err(Error::MultiEndless.into()) };
    // Each begins at a multiple of 4.
    let promised = sizes.iter().fold(0u64, |all, size| all.next_multiple_of(4) + *size as u64);
    if promised > files.len() as u64 {
        return Err(Error::MultiCut { promised, have: files.len() }.into());
    }
    files.get(..first).ok_or_else(|| Error::MultiCut { promised, have: files.len() }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;

    /// A header of this operating system and type, with data.
    fn header(system: u8, kind: u8) -> Vec<u8> {
        let mut header = vec![0; uimage::HEADER];
        header[15] = 4;
        header[28..31].copy_from_slice(&[system, 5, kind]);
        header
    }

    #[test]
    fn only_linux_kernels_are_started_as_kernels() {
        for kind in [2, MULTI, NOLOAD] {
            uimage_header(&header(LINUX, kind)).unwrap();
        }
        for kind in (0..=40).filter(|kind| ![2, MULTI, NOLOAD].contains(kind)) {
            let refused = uimage_header(&header(LINUX, kind)).unwrap_err();
            let told = kind;
            assert!(
                matches!(refused, crate::Error::Format(Error::UimageKind { kind, .. }) if kind == told),
                "{refused}"
            );
        }
        for system in (0..=40).filter(|system| *system != LINUX) {
            let refused = uimage_header(&header(system, 2)).unwrap_err();
            let told = system;
            assert!(
                matches!(refused, crate::Error::Format(Error::UimageSystem { system }) if system == told),
                "{refused}"
            );
        }
        let mut empty = header(LINUX, 2);
        empty[15] = 0;
        assert!(matches!(uimage_header(&empty), Err(crate::Error::Format(Error::UimageEmpty))));
    }

    #[test]
    fn a_fit_starts_kernels_of_linux_only() {
        let with = |kind, system| fit_image(&fit::Image { kind, system, ..fit::Image::default() });
        for (kind, system) in [("kernel", "linux"), ("kernel_noload", "linux"), ("kernel", "")] {
            with(kind, system).unwrap();
        }
        assert!(matches!(with("standalone", "linux"), Err(crate::Error::Format(Error::FitKind { .. }))));
        assert!(matches!(with("kernel", "netbsd"), Err(crate::Error::Format(Error::FitSystem { .. }))));
    }

    #[test]
    fn what_bootm_would_jump_into_must_be_code() {
        let inner = [&uimage::MAGIC.to_be_bytes()[..], &[0; 60]].concat();
        let of = |bytes: &[u8]| content(bytes, "a uImage");
        assert!(matches!(of(&inner), Err(crate::Error::Format(Error::UimageInside { .. }))));
        assert!(matches!(of(b"\x7fELF\x01"), Err(crate::Error::Format(Error::ElfInside { .. }))));
        assert!(matches!(
            of(b"\x1f\x8b\x08"),
            Err(crate::Error::Format(Error::OtherCompression { codec: "gzip", .. }))
        ));
        content(&[0x25, 0x80, 0x80, 0], "a uImage").unwrap();
        packaged(b"\x7fELF\x01", "a uImage").unwrap();
    }

    #[test]
    fn the_first_of_several_files_is_the_kernel() {
        let table = |sizes: &[u32], files: &[u8]| {
            [&sizes.iter().flat_map(|size| size.to_be_bytes()).collect::<Vec<_>>()[..], files].concat()
        };
        assert_eq!(first_file(&table(&[3, 2, 0], b"abc-de")).unwrap(), b"abc");
        for broken in
            [table(&[0], b""), table(&[3, 2], b""), table(&[3, 3, 0], b"abc-de"), table(&[u32::MAX, 0], b"abc"), vec![]]
        {
            let refused = first_file(&broken).unwrap_err();
            assert!(refused.to_string().contains("broken") && refused.next_step().is_some(), "{refused}");
        }
    }
}
