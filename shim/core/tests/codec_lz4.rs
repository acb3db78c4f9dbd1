//! The LZ4 decoder against two encoders and a decoder of other hands, and against damage of every kind.

use crate::codec_samples::{code, kinds, noise};
use lz4::block::CompressionMode;
use lz4_flex::block::{compress, decompress};
use proptest::prelude::*;
use stoop_core::codec::lz4::decode;

/// What it is, the block, and the bytes it makes or how many it makes before the damage.
type Case<'a> = (&'a str, &'a [u8], Result<&'a [u8], usize>);

/// By lz4_flex, and by the reference encoder's fastest and by its smallest level, which pack takes.
fn encoded(bytes: &[u8]) -> [Vec<u8>; 3] {
    // The reference encoder computes addresses in front of what it gets: not of an empty slice, which may begin at address 1.
    let bytes = if bytes.is_empty() { &[0; 64][..0] } else { bytes };
    let by_reference = |mode| lz4::block::compress(bytes, Some(mode), false).unwrap();
    let small = by_reference(CompressionMode::HIGHCOMPRESSION(12));
    [compress(bytes), by_reference(CompressionMode::FAST(1)), small]
}

fn decoded(stored: &[u8], room: usize) -> (Result<usize, usize>, Vec<u8>) {
    let mut out = vec![0xee; room];
    let result = decode(stored, &mut out);
    let (Ok(produced) | Err(produced)) = result;
    assert!(produced <= room, "{produced} of {room} bytes produced");
    (result, out)
}

#[test]
fn blocks_of_all_kinds_of_bytes_decode() {
    for (kind, bytes) in kinds() {
        for stored in encoded(&bytes) {
            let (result, out) = decoded(&stored, bytes.len() + 3);
            assert_eq!(result, Ok(bytes.len()), "{kind}");
            assert!(out[..bytes.len()] == bytes, "{kind}: other bytes");
            assert_eq!(out[bytes.len()..], [0xee; 3], "{kind}: written behind the end");
        }
    }
}

#[test]
fn the_destination_may_fit_exactly_and_not_be_a_byte_short() {
    for (kind, bytes) in kinds().into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        for stored in encoded(&bytes) {
            assert_eq!(decoded(&stored, bytes.len()).0, Ok(bytes.len()), "{kind}");
            assert!(decoded(&stored, bytes.len() - 1).0.is_err(), "{kind}, a byte short");
        }
    }
}

#[test]
fn hand_made_blocks_mean_what_the_format_says() {
    let cases: &[Case] = &[
        ("no bytes", &[], Err(0)),
        ("no literals", &[0x00], Ok(b"")),
        ("literals alone", &[0x30, b'a', b'b', b'c'], Ok(b"abc")),
        ("cut literals", &[0x30, b'a', b'b'], Err(0)),
        ("distance 1", &[0x11, b'a', 1, 0, 0x10, b'z'], Ok(b"aaaaaaz")),
        ("distance 2", &[0x22, b'a', b'b', 2, 0, 0x10, b'z'], Ok(b"ababababz")),
        ("distance 3, shorter than itself", &[0x30, b'a', b'b', b'c', 3, 0, 0x00], Ok(b"abcabca")),
        ("distance 0", &[0x11, b'a', 0, 0, 0x10, b'z'], Err(1)),
        ("distance before the first byte", &[0x11, b'a', 2, 0, 0x10, b'z'], Err(1)),
        ("distance at the first byte", &[0x01, 1, 0, 0x10, b'z'], Err(0)),
        ("half a distance", &[0x11, b'a', 1], Err(1)),
        ("a match at the end", &[0x11, b'a', 1, 0], Err(6)),
        ("fifteen literals and no more", &[&[0xf0, 0][..], &[b'a'; 15]].concat(), Ok(&[b'a'; 15])),
        ("literals with a cut length", &[0xf0], Err(0)),
        ("literals with a cut long length", &[0xf0, 255, 255], Err(0)),
        ("a match with a cut length", &[0x1f, b'a', 1, 0], Err(1)),
        ("a match with a cut long length", &[0x1f, b'a', 1, 0, 255], Err(1)),
        ("a long match", &[0x1f, b'a', 1, 0, 255, 0, 0x10, b'z'], Ok(&[&[b'a'; 275][..], b"z"].concat())),
    ];
    for (what, stored, expected) in cases {
        let (result, out) = decoded(stored, 400);
        assert_eq!(result, expected.map(<[u8]>::len), "{what}");
        if let Ok(bytes) = expected {
            assert_eq!(&out[..bytes.len()], *bytes, "{what}");
        }
    }
}

#[test]
fn endless_lengths_are_errors() {
    for token in [0xf0, 0x1f] {
        let stored = [&[token, b'a', 1, 0][..], &[255; 100_000]].concat();
        assert!(decoded(&stored, 1_000).0.is_err(), "{token:#x}");
    }
}

#[test]
fn cut_blocks_never_decode_to_the_whole() {
    for bytes in [code(1_500), noise(300), vec![0; 5_000]] {
        for stored in encoded(&bytes) {
            for len in 0..stored.len() {
                let (result, out) = decoded(&stored[..len], bytes.len());
                assert_ne!(result, Ok(bytes.len()), "{len} of {} bytes", stored.len());
                let (Ok(produced) | Err(produced)) = result;
                assert!(out[..produced] == bytes[..produced], "{len} of {} bytes", stored.len());
            }
        }
    }
}

#[test]
fn every_flipped_bit_ends_and_never_decodes_unlike_lz4_flex() {
    for bytes in [code(700), [3, 4].repeat(2_000)] {
        for stored in encoded(&bytes) {
            for bit in 0..stored.len() * 8 {
                let mut stored = stored.clone();
                stored[bit / 8] ^= 1 << (bit % 8);
                let (result, out) = decoded(&stored, 5_000);
                if let (Ok(produced), Ok(theirs)) = (result, decompress(&stored, 5_000)) {
                    assert!(out[..produced] == theirs, "bit {bit}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn what_an_encoder_wrote_decodes(bytes in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..5_000),
        prop::collection::vec(0u8..3, 0..5_000),
    ]) {
        for stored in encoded(&bytes) {
            let (result, out) = decoded(&stored, bytes.len());
            prop_assert_eq!(result, Ok(bytes.len()));
            prop_assert!(out == bytes);
        }
    }

    #[test]
    fn no_bytes_panic_or_outgrow_the_destination(
        stored in prop::collection::vec(any::<u8>(), 0..2_000),
        room in 0usize..9_000,
    ) {
        let (result, out) = decoded(&stored, room);
        if let (Ok(produced), Ok(theirs)) = (result, decompress(&stored, room)) {
            prop_assert!(out[..produced] == theirs);
        }
    }
}
