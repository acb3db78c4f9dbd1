//! The compressions that kernels, their containers and packages come in.

use std::io::{Read, Write};

use super::lzop;
use crate::Result;
use crate::format::Error;

/// The largest file believed; a vmlinux with debugging information stays well below.
pub const LARGEST: u64 = 1 << 30;

/// The most bytes believed to come out of a file of `size` bytes: kernels, ramdisks and packages shrink to a sixth at best.
pub fn most_decoded(size: usize) -> u64 {
    (16 * size as u64).clamp(0x600_0000, LARGEST)
}

/// A compression, known by its first bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// The .xz format.
    Xz,
    /// The .lzma ("alone") format.
    Lzma,
    /// The LZ4 frame format, or the legacy one that kernels use.
    Lz4,
    /// RFC 8878.
    Zstd,
    /// bzip2.
    Bzip2,
    /// The format of `lzop`.
    Lzo,
}

/// As many members of one file are decoded: each of them costs a decoder, and one that is empty takes a few bytes.
pub(crate) const MOST_MEMBERS: usize = 0x4000;
const LZ4_LEGACY: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// Bytes that a decoder of LZMA may take: since Linux 6.12 kernels have dictionaries of 128 MiB (scripts/xz_wrap.sh).
const DECODER_MEMORY: u64 = 160 << 20;
/// A block of the legacy format decodes to at most this.
pub(crate) const LZ4_LEGACY_BLOCK: usize = 8 << 20;

impl Codec {
    /// By the first bytes; `None` when they are of no compression known here.
    pub fn detect(bytes: &[u8]) -> Option<Codec> {
        const MAGICS: &[(&[u8], Codec)] = &[
            (&[0x1f, 0x8b, 0x08], Codec::Gzip),
            (&[0xfd, b'7', b'z', b'X', b'Z', 0], Codec::Xz),
            (&LZ4_LEGACY, Codec::Lz4),
            (&[0x04, 0x22, 0x4d, 0x18], Codec::Lz4),
            (&[0x28, 0xb5, 0x2f, 0xfd], Codec::Zstd),
            (b"BZh", Codec::Bzip2),
            (&lzop::MAGIC, Codec::Lzo),
        ];
        match MAGICS.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            Some((_, codec)) => Some(*codec),
            None => is_lzma(bytes).then_some(Codec::Lzma),
        }
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip",
            Codec::Xz => "xz",
            Codec::Lzma => "lzma",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
            Codec::Bzip2 => "bzip2",
            Codec::Lzo => "lzo",
        }
    }

    /// For "it looks like …".
    pub(crate) fn described(self) -> &'static str {
        match self {
            Codec::Gzip => "gzip data",
            Codec::Xz => "xz data",
            Codec::Lzma => "lzma data",
            Codec::Lz4 => "lz4 data",
            Codec::Zstd => "zstd data",
            Codec::Bzip2 => "bzip2 data",
            Codec::Lzo => "lzo data",
        }
    }

    /// Decodes the stream at the front of `bytes`, and those of the same kind that follow it, as the tools of all but LZMA and LZ4 do.
    /// What follows them is ignored, since kernels put their size there.
    ///
    /// # Errors
    /// A damaged or truncated stream, or more output than `limit` or than any file of this size has.
    pub fn decode(self, bytes: &[u8], limit: u64) -> Result<Vec<u8>> {
        self.decode_most(bytes, limit.min(most_decoded(bytes.len())))
    }

    fn decode_most(self, bytes: &[u8], limit: u64) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        let damaged = |error: &dyn std::fmt::Display| Error::Stream { codec: self.name(), reason: error.to_string() };
        let read = match self {
            Codec::Lz4 if self.is_by_blocks(bytes) => {
                (out, _) = lz4_legacy(bytes, limit).map_err(|error| damaged(&error))?;
                Ok(out.len())
            }
            Codec::Gzip | Codec::Xz | Codec::Zstd | Codec::Bzip2 | Codec::Lzo => self.members(bytes, limit, &mut out),
            Codec::Lzma | Codec::Lz4 => self.reader(bytes)?.take(limit + 1).read_to_end(&mut out),
        };
        read.map_err(|error| damaged(&error))?;
        if out.len() as u64 > limit {
            return Err(Error::StreamTooLong { codec: self.name(), limit }.into());
        }
        Ok(out)
    }

    /// Every member, one behind the other, to at most one byte more than `limit`.
    fn members(self, mut bytes: &[u8], limit: u64, out: &mut Vec<u8>) -> std::io::Result<usize> {
        for _ in 0..MOST_MEMBERS {
            let room = (limit + 1).saturating_sub(out.len() as u64);
            (_, bytes) = self.member(bytes, room, out)?;
            if self == Codec::Xz {
                // Padding between streams (The .xz File Format 1.2, section 2.2).
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count() / 4 * 4;
                bytes = &bytes[zeros..];
            }
            if out.len() as u64 > limit || Codec::detect(bytes) != Some(self) {
                return Ok(out.len());
            }
        }
        Err(std::io::Error::other(format!("more than {MOST_MEMBERS} members")))
    }

    /// Decodes the first member to `out`, at most `limit` bytes of it; gives how many came out, and what follows the member. LZ4 frames
    /// have one member, to the end.
    ///
    /// # Errors
    /// A damaged or truncated member.
    pub(crate) fn member<'a>(
        self,
        bytes: &'a [u8],
        limit: u64,
        out: &mut impl Write,
    ) -> std::io::Result<(u64, &'a [u8])> {
        let lzma = |stream: std::result::Result<liblzma::stream::Stream, liblzma::stream::Error>| {
            stream.map(|stream| liblzma::bufread::XzDecoder::new_stream(bytes, stream))
        };
        match self {
            Codec::Gzip => {
                let mut member = flate2::bufread::GzDecoder::new(bytes);
                Ok((std::io::copy(&mut member.by_ref().take(limit), out)?, member.into_inner()))
            }
            Codec::Xz | Codec::Lzma => {
                let mut member = lzma(match self {
                    Codec::Xz => liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY, 0),
                    _ => liblzma::stream::Stream::new_lzma_decoder(DECODER_MEMORY),
                })?;
                Ok((std::io::copy(&mut member.by_ref().take(limit), out)?, member.into_inner()))
            }
            Codec::Zstd => {
                let mut member = zstd::stream::read::Decoder::with_buffer(bytes)?.single_frame();
                Ok((std::io::copy(&mut member.by_ref().take(limit), out)?, member.finish()))
            }
            Codec::Lz4 if self.is_by_blocks(bytes) => {
                let (decoded, rest) = lz4_legacy(bytes, limit).map_err(std::io::Error::other)?;
                out.write_all(&decoded)?;
                Ok((decoded.len() as u64, rest))
            }
            Codec::Lz4 => Ok((std::io::copy(&mut lz4_flex::frame::FrameDecoder::new(bytes).take(limit), out)?, &[])),
            Codec::Bzip2 => {
                let mut member = bzip2::bufread::BzDecoder::new(bytes);
                Ok((std::io::copy(&mut member.by_ref().take(limit), out)?, member.into_inner()))
            }
            Codec::Lzo => {
                let mut rest = bytes;
                let made = std::io::copy(&mut lzop::Decoder::new(&mut rest)?.take(limit), out)?;
                Ok((made, rest))
            }
        }
    }

    /// A form that is decoded block by block, not while it is read.
    pub(crate) fn is_by_blocks(self, bytes: &[u8]) -> bool {
        self == Codec::Lz4 && bytes.starts_with(&LZ4_LEGACY)
    }

    /// Decodes while it is read, the first stream only.
    ///
    /// # Errors
    /// No memory for its state, or no header of its format.
    pub(crate) fn reader<'a>(self, from: impl Read + 'a) -> Result<Box<dyn Read + 'a>> {
        let state = |error: &dyn std::fmt::Display| Error::NoDecoder { codec: self.name(), reason: error.to_string() };
        Ok(match self {
            Codec::Gzip => Box::new(flate2::read::GzDecoder::new(from)),
            Codec::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(DECODER_MEMORY, 0);
                Box::new(liblzma::read::XzDecoder::new_stream(from, stream.map_err(|error| state(&error))?))
            }
            Codec::Lzma => {
                let stream =
                    liblzma::stream::Stream::new_lzma_decoder(DECODER_MEMORY).map_err(|error| state(&error))?;
                Box::new(liblzma::read::XzDecoder::new_stream(from, stream))
            }
            Codec::Lz4 => Box::new(lz4_flex::frame::FrameDecoder::new(from)),
            Codec::Zstd => {
                Box::new(zstd::stream::read::Decoder::new(from).map_err(|error| state(&error))?.single_frame())
            }
            Codec::Bzip2 => Box::new(bzip2::read::BzDecoder::new(from)),
            Codec::Lzo => Box::new(lzop::Decoder::new(from).map_err(|error| state(&error))?),
        })
    }
}

/// .lzma has no magic: properties below 225, a dictionary that is a power of two (or three quarters of one) as every encoder
/// writes, and a size that is unknown or not absurd.
fn is_lzma(bytes: &[u8]) -> bool {
    let Some(head) = bytes.get(..13) else { return false };
    let dictionary = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let size = u64::from_le_bytes([head[5], head[6], head[7], head[8], head[9], head[10], head[11], head[12]]);
    let dictionary_good = (1 << 12..=1 << 28).contains(&dictionary)
        && (dictionary.is_power_of_two() || (dictionary / 3).is_power_of_two() && dictionary % 3 == 0);
    // The range coder's first byte is always zero.
    head[0] < 225 && dictionary_good && (size == u64::MAX || (size > 0 && size < 1 << 32)) && bytes.get(13) == Some(&0)
}

/// What comes out, and what follows: blocks with a 32-bit size in front, until the data ends or what follows cannot be a block's size.
fn lz4_legacy(bytes: &[u8], limit: u64) -> std::result::Result<(Vec<u8>, &[u8]), String> {
    let mut rest = &bytes[LZ4_LEGACY.len()..];
    let mut out = Vec::new();
    let largest = lz4_flex::block::get_maximum_output_size(LZ4_LEGACY_BLOCK);
    while let Some((size, body)) = rest.split_first_chunk::<4>() {
        let size = u32::from_le_bytes(*size) as usize;
        // The kernel's build appends its own size: larger than a block, or more than is left.
        if size > largest || size > body.len() || size == 0 {
            break;
        }
        let block = lz4_flex::block::decompress(&body[..size], LZ4_LEGACY_BLOCK).map_err(|error| error.to_string())?;
        out.extend_from_slice(&block);
        if out.len() as u64 > limit {
            break;
        }
        rest = &body[size..];
    }
    if out.is_empty() { Err("no complete block in it".into()) } else { Ok((out, rest)) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One stream of these bytes, in the form that Linux takes.
    pub(crate) fn encode(codec: Codec, bytes: &[u8]) -> Vec<u8> {
        match codec {
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Codec::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Codec::Lzma => {
                let options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
                let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
                let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Codec::Lz4 => {
                let mut out = LZ4_LEGACY.to_vec();
                for block in bytes.chunks(LZ4_LEGACY_BLOCK) {
                    let packed = lz4_flex::block::compress(block);
                    out.extend_from_slice(&(packed.len() as u32).to_le_bytes());
                    out.extend_from_slice(&packed);
                }
                out
            }
            Codec::Zstd => zstd::stream::encode_all(bytes, 1).unwrap(),
            Codec::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).unwrap();
                encoder.finish().unwrap()
            }
            Codec::Lzo => lzop::tests::encode(bytes),
        }
    }

    fn sample() -> Vec<u8> {
        (0u32..40_000).flat_map(|n| (n * n).to_le_bytes()).collect()
    }

    const ALL: [Codec; 7] = [Codec::Gzip, Codec::Xz, Codec::Lzma, Codec::Lz4, Codec::Zstd, Codec::Bzip2, Codec::Lzo];

    #[test]
    fn every_codec_is_detected_and_decodes_with_the_kernels_size_behind_it() {
        for codec in ALL {
            let mut packed = encode(codec, &sample());
            packed.extend_from_slice(&(sample().len() as u32).to_le_bytes());
            assert_eq!(Codec::detect(&packed), Some(codec));
            assert_eq!(codec.decode(&packed, 1 << 20).unwrap(), sample(), "{codec:?}");
        }
    }

    #[test]
    fn several_members_are_one_file() {
        for codec in [Codec::Gzip, Codec::Xz, Codec::Zstd, Codec::Bzip2, Codec::Lzo] {
            let sample = sample();
            let (front, back) = sample.split_at(70_001);
            let mut packed = [encode(codec, front), encode(codec, back)].concat();
            packed.extend_from_slice(b"tail");
            assert_eq!(codec.decode(&packed, 1 << 20).unwrap(), sample, "{codec:?}");
            let failure = codec.decode(&packed, 100_000).unwrap_err();
            assert!(
                matches!(failure, crate::Error::Format(Error::StreamTooLong { limit: 100_000, .. })),
                "{codec:?}: {failure}"
            );
        }
    }

    #[test]
    fn members_without_end_are_given_up() {
        for codec in [Codec::Gzip, Codec::Zstd] {
            let member = encode(codec, b"");
            assert_eq!(codec.decode(&member.repeat(MOST_MEMBERS), 1000).unwrap(), b"");
            let failure = codec.decode(&member.repeat(MOST_MEMBERS + 1), 1000).unwrap_err();
            assert!(failure.to_string().contains("more than 16384 members"), "{failure}");
        }
    }

    #[test]
    fn an_lz4_frame_decodes_too() {
        let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
        encoder.write_all(&sample()).unwrap();
        let packed = encoder.finish().unwrap();
        assert_eq!(Codec::detect(&packed), Some(Codec::Lz4));
        assert_eq!(Codec::Lz4.decode(&packed, 1 << 20).unwrap(), sample());
    }

    #[test]
    fn a_stream_cut_in_half_is_damaged() {
        for codec in ALL {
            let packed = encode(codec, &sample());
            let failure = codec.decode(&packed[..packed.len() / 2], 1 << 20).unwrap_err();
            assert!(matches!(failure, crate::Error::Format(Error::Stream { .. })), "{codec:?}: {failure}");
        }
    }

    #[test]
    fn output_stops_at_the_limit() {
        for codec in ALL {
            let failure = codec.decode(&encode(codec, &sample()), 1000).unwrap_err();
            assert!(
                matches!(failure, crate::Error::Format(Error::StreamTooLong { limit: 1000, .. })),
                "{codec:?}: {failure}"
            );
            assert_eq!(codec.decode(&encode(codec, &sample()), 160_000).unwrap().len(), 160_000);
        }
    }
}
