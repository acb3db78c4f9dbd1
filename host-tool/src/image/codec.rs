//! How payloads are stored, and their checksums.

use std::borrow::Cow;

use stoop_core::codec::Codec;

use crate::Result;
use crate::plan::CodecWish;

/// A payload in its stored form.
#[derive(Clone, Debug)]
pub(super) struct Stored<'a> {
    pub(super) codec: Codec,
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) crc: u32,
    /// Why this codec.
    pub(super) why: &'static str,
}

/// Stores the kernel as wished. Encoders go here: each gives a [`Stored`], and `auto` takes the smallest that fits.
///
/// # Errors
/// None yet.
pub(super) fn store(wish: CodecWish, bytes: &[u8]) -> Result<Stored<'_>> {
    let why = match wish {
        CodecWish::Auto => "the only codec of this shim",
        CodecWish::Store => "asked for",
    };
    Ok(Stored { why, ..stored(Cow::Borrowed(bytes)) })
}

/// As it is.
pub(super) fn stored(bytes: Cow<'_, [u8]>) -> Stored<'_> {
    let crc = checksum(&bytes);
    Stored { codec: Codec::Store, crc, why: "used where it lies", bytes }
}

/// CRC-32 as the shim's, from the crate's largest table: images have many megabytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    const CRC: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISO_HDLC);
    CRC.checksum(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_checksum_is_the_shims() {
        let bytes: Vec<u8> = (0..1000u32).map(|number| (number * 7) as u8).collect();
        for length in [0, 1, 15, 16, 17, 1000] {
            assert_eq!(checksum(&bytes[..length]), stoop_core::crc32::Crc32::new().of(&bytes[..length]));
        }
    }
}
