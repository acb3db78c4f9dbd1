//! How payloads are stored, and their checksums.

use std::borrow::Cow;
use std::io::Read;

use liblzma::stream::{LzmaOptions, Stream};
use stoop_core::codec::Codec;

use super::error::Error;
use crate::Result;
use crate::cache::Cache;
use crate::format::checksum::checksum;

/// A payload in its stored form.
#[derive(Clone, Debug)]
pub(super) struct Stored<'a> {
    pub(super) codec: Codec,
    pub(super) bytes: Cow<'a, [u8]>,
    pub(super) crc: u32,
    /// Why this codec.
    pub(super) why: String,
}

/// Stores bytes by one codec, from the cache if they were stored so before.
///
/// # Errors
/// The encoder has no memory.
pub(super) fn encode<'a>(codec: Codec, bytes: &'a [u8], why: String, cache: Option<&Cache>) -> Result<Stored<'a>> {
    let encode = || match codec {
        Codec::Store => Ok(Vec::new()),
        Codec::Lz4 => lz4(bytes).map_err(|error| Error::Encoder { codec: "LZ4", reason: error.to_string() }),
        Codec::Lzma => lzma(bytes).map_err(|error| Error::Encoder { codec: "LZMA", reason: error.to_string() }),
    };
    let stored = match (codec, cache) {
        (Codec::Store, _) => Cow::Borrowed(bytes),
        (_, Some(cache)) => Cow::Owned(cache.encoded(codec, bytes, encode)?),
        (_, None) => Cow::Owned(encode()?),
    };
    Ok(Stored { codec, crc: checksum(&stored), bytes: stored, why })
}

/// The highest of the reference encoder's levels, which looks for the smallest block of all. Its matches are shorter, so a byte takes a few more
/// instructions to decode.
const LZ4_LEVEL: i32 = 12;

fn lz4(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    if bytes.is_empty() {
        // The encoder computes addresses in front of what it gets, and an empty slice may begin at address 1. A token of no literals.
        return Ok(vec![0]);
    }
    lz4::block::compress(bytes, Some(lz4::block::CompressionMode::HIGHCOMPRESSION(LZ4_LEVEL)), false)
}

/// Of 4-byte instructions the position tells more than the byte before.
const LITERAL_CONTEXT: u32 = 1;
const LITERAL_POSITION: u32 = 2;

fn lzma(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut options = LzmaOptions::new_preset(9)?;
    options.literal_context_bits(LITERAL_CONTEXT).literal_position_bits(LITERAL_POSITION);
    // The decoder's dictionary is the destination, so one as large as that costs nothing.
    options.dict_size(u32::try_from(bytes.len().next_power_of_two()).unwrap_or(u32::MAX).clamp(0x1_0000, 1 << 28));
    let mut stored = Vec::new();
    liblzma::read::XzEncoder::new_stream(bytes, Stream::new_lzma_encoder(&options)?).read_to_end(&mut stored)?;
    // The encoder leaves the size unknown. The decoder is faster when it knows where the end is.
    if let Some(size) = stored.get_mut(5..13) {
        size.copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    }
    Ok(stored)
}

/// As it is.
pub(super) fn stored(bytes: Cow<'_, [u8]>) -> Stored<'_> {
    let crc = checksum(&bytes);
    Stored { codec: Codec::Store, crc, why: "used where it lies".into(), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_decodes_in_the_shim() {
        let bytes: Vec<u8> = (0..200_000u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        let mut probs = Box::new(stoop_core::codec::lzma::Probs::new());
        for codec in [Codec::Store, Codec::Lz4, Codec::Lzma] {
            let stored = encode(codec, &bytes, String::new(), None).unwrap();
            assert_eq!(stored.crc, checksum(&stored.bytes));
            let mut out = vec![0; bytes.len()];
            let length = match codec {
                Codec::Store => {
                    out.copy_from_slice(&stored.bytes);
                    Ok(out.len())
                }
                Codec::Lz4 => stoop_core::codec::lz4::decode(&stored.bytes, &mut out),
                Codec::Lzma => stoop_core::codec::lzma::decode(&stored.bytes, &mut out, &mut probs, &|| ()),
            };
            assert_eq!(length, Ok(bytes.len()));
            assert!(out == bytes && (codec == Codec::Store || stored.bytes.len() < bytes.len() / 2));
        }
    }

    #[test]
    fn lz4_blocks_are_as_small_as_the_reference_encoder_makes_them() {
        // What lz4_flex, which was here before, makes of them is 39 % larger.
        let bytes = include_bytes!("../../../../docs/bench.json");
        let (ours, fast) = (lz4(bytes).unwrap(), lz4_flex::block::compress(bytes));
        assert!(ours.len() * 10 < fast.len() * 9, "{} and {} bytes", ours.len(), fast.len());
        assert_eq!(lz4(&[]).unwrap(), [0]);
    }
}
