//! What kind of file is to be booted, as far as starting it needs to know.

use std::ops::Range;

use super::error::Error;
use crate::Result;
use crate::format::arm64::{ALIGNMENT, Header, is_image};
use crate::format::{bootm, uimage};

/// A file's format, from its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Image {
    /// A legacy uImage (U-Boot `include/image.h`, `struct legacy_img_hdr`: 64 bytes, big endian).
    Uimage {
        /// Where bootm puts the bytes, a virtual address; `None` for `kernel_noload`, which runs where it is put.
        load: Option<u32>,
        /// Where it jumps.
        entry: u32,
        /// How many bytes follow the header.
        size: u32,
        /// `ih_comp`: 0 for none.
        compression: u8,
    },
    /// A flattened image tree, started by its default configuration.
    Fit {
        /// Where bootm puts the kernel, a virtual address; `None` for `kernel_noload`, which runs where it is put.
        load: Option<u32>,
        /// How many bytes it has there; `None` when bootm decompresses it.
        size: Option<u32>,
    },
    /// A 32-bit MIPS ELF.
    Elf {
        /// Whether its words are little endian.
        little_endian: bool,
        /// The first virtual address that its segments fill, and the one behind the last.
        load: Option<(u64, u64)>,
    },
    /// An arm64 Image (Documentation/arch/arm64/booting.rst).
    Arm64 {
        /// Its distance from a multiple of 2 MiB.
        text_offset: u64,
    },
    /// Anything else: bytes that run where they are put.
    Raw,
}

impl Image {
    /// Looks at a file.
    ///
    /// # Errors
    /// It is empty, ends within its uImage header or before the bytes this promises, or is an ELF for another CPU.
    pub fn of(bytes: &[u8]) -> Result<Image> {
        if bytes.is_empty() {
            return Err(Error::Empty.into());
        }
        if uimage::is_one(bytes) {
            return Image::uimage(bytes);
        }
        if bytes.starts_with(b"\x7fELF") {
            return Image::elf(bytes);
        }
        if crate::format::device_tree::is_fit(bytes) {
            let kernel = crate::format::fit::read(bytes)?.kernel;
            if kernel.kind == "kernel_noload" {
                return Ok(Image::Fit { load: None, size: None });
            }
            let load = kernel.load.and_then(|load| u32::try_from(load).ok());
            let (Some(load), Ok(size)) = (load, u32::try_from(kernel.data.len())) else {
                return Err(Error::FitLoad.into());
            };
            return Ok(Image::Fit { load: Some(load), size: kernel.compression.is_empty().then_some(size) });
        }
        if is_image(bytes)
            && let Some(header) = Header::of(bytes)
        {
            return Ok(Image::Arm64 { text_offset: header.text_offset });
        }
        Ok(Image::Raw)
    }

    fn uimage(bytes: &[u8]) -> Result<Image> {
        let header = bytes.get(..uimage::HEADER).unwrap_or_default();
        let (Some(size), Some(load), Some(entry), Some(&compression)) =
            (word(header, 12), word(header, 16), word(header, 20), header.get(31))
        else {
            return Err(Error::HeaderCut { size: bytes.len() }.into());
        };
        let have = bytes.len().saturating_sub(uimage::HEADER);
        if (have as u64) < u64::from(size) {
            return Err(Error::Cut { size, have }.into());
        }
        let load = (header[30] != bootm::NOLOAD).then_some(load);
        Ok(Image::Uimage { load, entry, size, compression })
    }

    fn elf(bytes: &[u8]) -> Result<Image> {
        use object::{Architecture, Object, ObjectSegment};
        let broken = |error| Error::Elf { reason: error };
        let file = object::File::parse(bytes).map_err(broken)?;
        if file.architecture() != Architecture::Mips || file.is_64() {
            let machine = file.architecture();
            return Err(Error::Machine { machine }.into());
        }
        let mut load: Option<(u64, u64)> = None;
        for segment in file.segments().filter(|segment| segment.size() != 0) {
            segment.data().map_err(broken)?;
            let (start, end) = (segment.address(), segment.address().saturating_add(segment.size()));
            load = Some(load.map_or((start, end), |all| (all.0.min(start), all.1.max(end))));
        }
        Ok(Image::Elf { little_endian: file.is_little_endian(), load })
    }

    /// Where bootm or bootelf will write, as physical addresses; `None` where the file does not say.
    pub fn load_range(&self) -> Option<Range<u64>> {
        match *self {
            Image::Uimage { load: Some(load), size, compression: 0, .. }
            | Image::Fit { load: Some(load), size: Some(size) } => {
                let start = physical(u64::from(load));
                Some(start..start + u64::from(size))
            }
            Image::Elf { load: Some((start, end)), .. } => Some(physical(start)..physical(start) + (end - start)),
            _ => None,
        }
    }
}

/// The physical address behind a KSEG0 or KSEG1 address; others stay.
pub fn physical(address: u64) -> u64 {
    if (0x8000_0000..0xc000_0000).contains(&address) { address & 0x1fff_ffff } else { address }
}

/// Where to fetch `size` bytes that bootm then moves to `load`: at `preferred`, or, if the two would overlap, at the next
/// MiB behind `load`. Addresses are physical.
///
/// # Errors
/// They would end behind `limit`, the highest address the bootloader leaves free.
pub fn staging(preferred: u64, size: u64, load: Option<Range<u64>>, limit: u64) -> Result<u64> {
    const MIB: u64 = 0x10_0000;
    let at = match load {
        Some(load) if preferred < load.end && load.start < preferred.saturating_add(size) => {
            load.end.next_multiple_of(MIB)
        }
        _ => preferred,
    };
    if at.saturating_add(size) > limit {
        return Err(Error::NoRoom { size, at, limit }.into());
    }
    Ok(at)
}

/// Where to fetch an image of `size` bytes to: `preferred`, unless what starts it will write there, to `load` ([`staging`]); an arm64 Image where
/// booti wants it, so that it is not moved (U-Boot arch/arm/lib/image.c, booti_setup). Addresses are physical.
///
/// # Errors
/// As for [`staging`].
pub fn download(image: &Image, size: usize, preferred: u64, load: Option<Range<u64>>, limit: u64) -> Result<u64> {
    let at = match image {
        Image::Arm64 { text_offset } => {
            preferred.saturating_sub(*text_offset).next_multiple_of(ALIGNMENT) + text_offset
        }
        _ => preferred,
    };
    staging(at, size as u64, load, limit)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uimage(size: u32, payload: usize) -> Vec<u8> {
        let mut bytes = vec![0; uimage::HEADER + payload];
        bytes[..4].copy_from_slice(&uimage::MAGIC.to_be_bytes());
        bytes[12..16].copy_from_slice(&size.to_be_bytes());
        bytes[16..20].copy_from_slice(&0x8010_0000_u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&0xa010_0040_u32.to_be_bytes());
        bytes
    }

    #[test]
    fn a_uimage_says_where_it_goes() {
        let image = Image::of(&uimage(0x20, 0x20)).unwrap();
        assert_eq!(image, Image::Uimage { load: Some(0x8010_0000), entry: 0xa010_0040, size: 0x20, compression: 0 });
        assert_eq!(image.load_range(), Some(0x10_0000..0x10_0020));
    }

    #[test]
    fn a_uimage_of_type_kernel_noload_goes_nowhere() {
        let mut bytes = uimage(0x20, 0x20);
        bytes[30] = bootm::NOLOAD;
        let image = Image::of(&bytes).unwrap();
        assert_eq!(image, Image::Uimage { load: None, entry: 0xa010_0040, size: 0x20, compression: 0 });
        assert_eq!(image.load_range(), None);
    }

    #[test]
    fn a_cut_uimage_is_refused_with_both_numbers() {
        let refused = Image::of(&uimage(0x20, 0x1f)).unwrap_err();
        assert!(matches!(refused, crate::Error::Bootloader(Error::Cut { size: 0x20, have: 0x1f })), "{refused}");
        for length in 4..uimage::HEADER {
            assert!(Image::of(&uimage(0, 0)[..length]).is_err(), "cut within the header, which promises no bytes");
        }
        assert!(Image::of(&[]).is_err(), "empty");
    }

    /// An ELF header and one program header that fills 0x20 bytes at 0x80100000.
    fn elf(machine: u8) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x01\x01\x01".to_vec();
        bytes.resize(0x34 + 0x20, 0);
        bytes.extend([1, 2, 3, 4]);
        let half = [(0x10, 2), (0x12, machine), (0x14, 1), (0x28, 0x34), (0x2a, 0x20), (0x2c, 1)];
        for (at, value) in half {
            bytes[at] = value;
        }
        bytes[0x1c] = 0x34;
        for (at, value) in [(0, 1_u32), (4, 0x54), (8, 0x8010_0000), (12, 0x8010_0000), (16, 4), (20, 0x20)] {
            bytes[0x34 + at..0x34 + at + 4].copy_from_slice(&value.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn an_elf_says_its_byte_order_and_where_it_goes() {
        let image = Image::of(&elf(8)).unwrap();
        assert_eq!(image, Image::Elf { little_endian: true, load: Some((0x8010_0000, 0x8010_0020)) });
        assert_eq!(image.load_range(), Some(0x10_0000..0x10_0020));
    }

    #[test]
    fn an_elf_that_is_cut_or_for_another_cpu_is_refused() {
        assert_eq!(Image::of(&elf(40)).unwrap_err().to_string(), "the ELF file is for Arm, not for 32-bit MIPS");
        let whole = elf(8);
        for length in 5..whole.len() {
            assert!(Image::of(&whole[..length]).is_err(), "{length:#x} bytes");
        }
    }

    #[test]
    fn other_bytes_are_raw() {
        assert_eq!(Image::of(b"\x27").unwrap(), Image::Raw);
        assert_eq!(Image::of(b"hello").unwrap().load_range(), None);
    }

    #[test]
    fn staging_keeps_clear_of_the_load_range() {
        let load = Some(0x10_0000..0x90_0001);
        assert_eq!(staging(0x100_0000, 0x80_0000, load.clone(), 0x800_0000).unwrap(), 0x100_0000, "clear already");
        assert_eq!(staging(0x80_0000, 0x80_0000, load.clone(), 0x800_0000).unwrap(), 0xa0_0000, "moved behind");
        assert_eq!(staging(0x90_0001, 1, load.clone(), 0x800_0000).unwrap(), 0x90_0001, "touching is not overlapping");
        assert_eq!(staging(0, 0x10_0000, load, 0x800_0000).unwrap(), 0, "nor is it below");
        assert_eq!(staging(0x10_0000, 1, None, 0x800_0000).unwrap(), 0x10_0000);
        let refused = staging(0x700_0000, 0x200_0000, None, 0x800_0000).unwrap_err();
        assert!(
            matches!(
                refused,
                crate::Error::Bootloader(Error::NoRoom { size: 0x200_0000, at: 0x700_0000, limit: 0x800_0000 })
            ),
            "{refused}"
        );
    }
}
