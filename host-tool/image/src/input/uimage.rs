//! U-Boot's legacy image format (include/image.h): a 64-byte big-endian header with two CRC-32.

use crate::format::bootm::{self, MULTI, NOLOAD};
use crate::format::uimage::{HEADER, MAGIC, MAGIC_OKLI, codec, header_crc};
use crate::machine::Machine;
use stoop_core::crc32::Crc32;

use super::Overrides;
use super::kernel::Error;
use crate::Result;
use crate::format::bytes::be32;
use crate::format::codec::Codec;

/// What the header says about a kernel.
pub(super) struct UImage<'a> {
    /// `None` for MIPS: the header does not tell the byte order.
    pub(super) arch: Option<Machine>,
    /// As written, usually KSEG0.
    load: u64,
    entry: u64,
    /// It runs wherever it is put: type `kernel_noload`.
    noload: bool,
    /// A magic that is neither U-Boot's nor OpenWrt's.
    pub(super) vendor: Option<u32>,
    pub(super) codec: Option<Codec>,
    pub(super) data: &'a [u8],
    pub(super) name: String,
    /// Bytes behind the data, such as padding or a root filesystem.
    pub(super) behind: usize,
}

impl UImage<'_> {
    /// Load address and entry point; `None` when neither the header nor its kind says. What the user says counts for a
    /// kernel that runs wherever it is put.
    pub(super) fn addresses(&self, overrides: &Overrides) -> Option<(u64, u64)> {
        if !self.noload {
            return Some((self.load, self.entry));
        }
        // U-Boot's boot/bootm.c adds the entry point to where the data lie; mkimage is often given both as they are linked.
        let entry = if self.entry < self.load { self.load + self.entry } else { self.entry };
        Some((self.load, entry)).filter(|(load, _)| *load != 0 && overrides.load_address.is_none())
    }
}

/// Checks the header and both CRCs; `bytes` begin with one: see [`crate::format::uimage::is_one`].
pub(super) fn read(bytes: &[u8]) -> Result<UImage<'_>> {
    let Some(header) = bytes.get(..HEADER) else {
        return Err(Error::UimageHeaderCut { size: bytes.len() }.into());
    };
    let word = |at| be32(header, at).unwrap_or_default();
    let crc = Crc32::new();
    let (computed, stored) = (header_crc(header), word(4));
    if computed != stored {
        return Err(Error::UimageHeaderCrc { computed, stored }.into());
    }
    let size = word(12) as usize;
    let Some(data) = bytes[HEADER..].get(..size) else {
        return Err(Error::UimageCut { size, have: bytes.len() - HEADER }.into());
    };
    let (computed, stored) = (crc.of(data), word(24));
    if computed != stored {
        return Err(Error::UimageDataCrc { computed, stored }.into());
    }
    bootm::uimage_header(header)?;
    if header[30] == MULTI {
        return Err(Error::UimageMulti { kind: MULTI }.into());
    }
    let arch = match header[29] {
        5 => None,
        22 => Some(Machine::Arm64),
        6 => {
            return Err(Error::UimageMips64.into());
        }
        other => {
            return Err(Error::UimageMachine { number: other }.into());
        }
    };
    let codec = codec(header[31]).ok_or_else(|| Error::UimageCompression { number: header[31] })?;
    let name = header[32..64].split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(UImage {
        arch,
        noload: header[30] == NOLOAD,
        vendor: Some(word(0)).filter(|magic| !matches!(*magic, MAGIC | MAGIC_OKLI)),
        load: word(16).into(),
        entry: word(20).into(),
        codec,
        data,
        name: String::from_utf8_lossy(name).into_owned(),
        behind: bytes.len() - HEADER - size,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::Explained as _;

    const DATA: &[u8] = b"kernel bytes";

    fn refusal(bytes: &[u8]) -> crate::Error {
        let failure = read(bytes).err().expect("refused");
        assert!(failure.next_step().is_some(), "{failure}");
        failure
    }

    #[test]
    fn a_good_one_reads_with_what_lies_behind_it() {
        let mut bytes = testing::UImage { entry: 0x8010_0400, ..testing::UImage::kernel(0x8010_0000) }.write(DATA);
        bytes.extend_from_slice(b"pad");
        let image = read(&bytes).unwrap();
        assert_eq!((image.load, image.entry), (0x8010_0000, 0x8010_0400));
        assert_eq!((image.data, image.behind, image.name.as_str()), (DATA, 3, "Linux"));
        assert!(image.codec.is_none() && image.arch.is_none());
    }

    #[test]
    fn every_flipped_bit_of_header_and_data_is_noticed() {
        let good = testing::UImage::kernel(0x8010_0000).write(DATA);
        for bit in 32..8 * good.len() {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let expected = if bit < 8 * HEADER { "header CRC" } else { "data CRC" };
            assert!(refusal(&bad).to_string().contains(expected), "bit {bit}");
        }
    }

    #[test]
    fn truncation_is_told_with_both_sizes() {
        let good = testing::UImage::kernel(0x8010_0000).write(DATA);
        assert!(matches!(refusal(&good[..40]), crate::Error::Kernel(Error::UimageHeaderCut { size: 40 })));
        let failure = refusal(&good[..good.len() - 1]);
        assert!(matches!(failure, crate::Error::Kernel(Error::UimageCut { size: 0xc, have: 0xb })), "{failure}");
    }

    #[test]
    fn what_is_no_kernel_is_refused_by_what_it_is() {
        let kind = |kind| testing::UImage { kind, ..testing::UImage::kernel(0x8010_0000) }.write(DATA);
        assert!(matches!(refusal(&kind(4)), crate::Error::Kernel(Error::UimageMulti { .. })));
        assert!(refusal(&kind(3)).next_step().unwrap().contains("--initrd"));
        assert!(refusal(&kind(8)).next_step().unwrap().contains("--dtb"));
        let arch = |arch| testing::UImage { arch, ..testing::UImage::kernel(0x8010_0000) }.write(DATA);
        assert!(matches!(refusal(&arch(6)), crate::Error::Kernel(Error::UimageMips64)));
        assert!(matches!(refusal(&arch(2)), crate::Error::Kernel(Error::UimageMachine { number: 2 })));
        let codec = testing::UImage { codec: 9, ..testing::UImage::kernel(0x8010_0000) }.write(DATA);
        assert!(matches!(refusal(&codec), crate::Error::Kernel(Error::UimageCompression { number: 9 })));
    }
}
