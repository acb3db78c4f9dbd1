//! The arm64 Image (Documentation/arch/arm64/booting.rst, arch/arm64/include/asm/image.h): 64 bytes of header that are its first
//! bytes in RAM as well.

use crate::machine::Machine;
use std::collections::BTreeMap;

use super::kernel::Error;
use super::kernel::{contradicts, version};
use super::{Form, Kernel};
use crate::Result;
use crate::format::arm64::{ALIGNMENT, ANYWHERE, HEADER, Header};
use crate::kconfig::Kconfig;

/// The kernel in an Image. Its addresses count from a multiple of [`ALIGNMENT`]: whoever boots it chooses which.
///
/// # Errors
/// Kernels that could not run where stoop puts them, and files that are none.
pub(super) fn read(image: Vec<u8>, config: Option<Kconfig>) -> Result<Kernel> {
    let Some(header) = Header::of(&image) else {
        return Err(Error::ImageHeaderCut { size: image.len() }.into());
    };
    let Header { text_offset, image_size, flags } = header;
    if crate::shim_image::machine(&image).is_some() {
        return Err(Error::StoopImage.into());
    }
    if header.is_big_endian() {
        return Err(Error::ImageBigEndian.into());
    }
    if flags & ANYWHERE == 0 || image_size == 0 {
        return Err(Error::ImageFixed.into());
    }
    if text_offset >= ALIGNMENT || !text_offset.is_multiple_of(0x1000) {
        return Err(Error::ImageOffset { offset: text_offset }.into());
    }
    if image_size < image.len() as u64 || image.len() <= HEADER {
        return Err(Error::ImageSize { needs: image_size, have: image.len() }.into());
    }
    let config = match config {
        Some(config) => Some(config),
        None => Kconfig::from_image(&image, "the kernel")?,
    };
    if let Some(config) = &config
        && !config.is_yes("ARM64")
    {
        return Err(contradicts(Machine::Arm64, config).into());
    }
    Ok(Kernel {
        arch: Machine::Arm64,
        form: Form::Image,
        load_address: text_offset,
        entry_point: text_offset,
        memory_size: image_size,
        memory_exact: true,
        decompresses_to: None,
        // By virtual addresses only: it stays where it is put.
        relocation: None,
        appended_dtb: None,
        symbols: BTreeMap::new(),
        config,
        platform: None,
        version: version(&image),
        foreign_pages: header.foreign_pages(),
        notes: header.foreign_pages().map(|pages| {
            format!("the arm64 kernel has pages of {pages}: make sure that the board's cores have them; build it with CONFIG_ARM64_4K_PAGES=y if not")
        }).into_iter().collect(),
        image,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Explained as _;

    /// A file that has the header of a kernel, and its banner.
    pub(crate) fn image(text_offset: u64, image_size: u64, flags: u64) -> Vec<u8> {
        let mut bytes = vec![0; 0x1000];
        for (at, value) in [(8, text_offset), (16, image_size), (24, flags)] {
            bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        bytes[56..60].copy_from_slice(b"ARM\x64");
        bytes[0x100..0x11c].copy_from_slice(b"Linux version 6.12.1-lab (x\n");
        bytes
    }

    fn refused(bytes: Vec<u8>) -> crate::Error {
        read(bytes, None).unwrap_err()
    }

    #[test]
    fn an_image_says_what_it_needs() {
        let kernel = read(image(0x8_0000, 0x3000, 0xa), None).unwrap();
        assert_eq!((kernel.load_address, kernel.entry_point, kernel.memory_size), (0x8_0000, 0x8_0000, 0x3000));
        assert_eq!(kernel.version.as_deref(), Some("6.12.1-lab"));
        assert_eq!(kernel.arch, Machine::Arm64);
    }

    #[test]
    fn kernels_that_could_not_run_are_refused_by_what_is_wrong() {
        for (text_offset, size, flags, says) in [
            (0, 0x3000, 0xb, "big-endian"),
            (0, 0x3000, 2, "start of RAM"),
            (0x8_0000, 0, 0, "start of RAM"),
            (0x20_0000, 0x3000, 0xa, "text_offset is 0x200000"),
            (0x123, 0x3000, 0xa, "text_offset is 0x123"),
            (0, 0xfff, 0xa, "needs 0xfff bytes by its header and has 0x1000"),
        ] {
            let failure = refused(image(text_offset, size, flags));
            assert!(failure.to_string().contains(says), "{failure}");
            assert!(failure.next_step().is_some(), "{failure}");
        }
    }

    #[test]
    fn pages_of_another_size_are_told() {
        for (flags, pages) in [(0xa, None), (0xc, Some("16 KiB")), (0xe, Some("64 KiB"))] {
            let kernel = read(image(0, 0x3000, flags), None).unwrap();
            assert_eq!((kernel.foreign_pages, kernel.notes.len()), (pages, pages.iter().count()));
        }
    }

    #[test]
    fn an_image_cut_anywhere_in_its_header_is_refused() {
        let whole = image(0, 0x3000, 0xa);
        for length in 0..HEADER {
            assert!(read(whole[..length].to_vec(), None).is_err(), "{length}");
        }
    }
}
