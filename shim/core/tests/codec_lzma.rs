//! The LZMA decoder against two encoders and one decoder of other hands, and against damage of every kind.

use std::cell::Cell;
use std::io::{Read, Write};

use crate::codec_samples::{code, kinds, noise};
use liblzma::read::{XzDecoder, XzEncoder};
use liblzma::stream::{LzmaOptions, Stream};
use proptest::prelude::*;
use stoop_core::codec::lzma::{Header, Probs, decode};
use stoop_core::watchdog::EVERY;

/// How the end of a stream is given.
#[derive(Clone, Copy, Debug)]
enum End {
    Marker,
    Size,
    Both,
}

/// By liblzma, which always writes a marker and never the size: for [`End::Both`] the size is put in afterwards.
fn by_liblzma(bytes: &[u8], (lc, lp, pb): (u32, u32, u32), dictionary: u32, end: End) -> Vec<u8> {
    let mut options = LzmaOptions::new_preset(6).unwrap();
    options.literal_context_bits(lc).literal_position_bits(lp).position_bits(pb).dict_size(dictionary);
    let mut stored = vec![];
    XzEncoder::new_stream(bytes, Stream::new_lzma_encoder(&options).unwrap()).read_to_end(&mut stored).unwrap();
    match end {
        End::Marker => {}
        End::Both => set_size(&mut stored, bytes.len() as u64),
        End::Size => unreachable!("liblzma always writes a marker"),
    }
    stored
}

/// By lzma-rust2.
fn by_rust2(bytes: &[u8], (lc, lp, pb): (u32, u32, u32), dictionary: u32, end: End) -> Vec<u8> {
    let options =
        lzma_rust2::LzmaOptions { lc, lp, pb, dict_size: dictionary, ..lzma_rust2::LzmaOptions::with_preset(6) };
    let size = match end {
        End::Marker => None,
        End::Size | End::Both => Some(bytes.len() as u64),
    };
    let marker = matches!(end, End::Marker | End::Both);
    let mut writer = lzma_rust2::LzmaWriter::new(vec![], &options, true, marker, size).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// Every encoder with every end it can write.
fn encoded(bytes: &[u8], properties: (u32, u32, u32), dictionary: u32) -> Vec<(String, Vec<u8>)> {
    let mut streams = vec![];
    for end in [End::Marker, End::Both] {
        streams.push((format!("liblzma {end:?}"), by_liblzma(bytes, properties, dictionary, end)));
    }
    for end in [End::Marker, End::Size, End::Both] {
        streams.push((format!("lzma-rust2 {end:?}"), by_rust2(bytes, properties, dictionary, end)));
    }
    streams
}

fn set_size(stored: &mut [u8], size: u64) {
    stored[5..13].copy_from_slice(&size.to_le_bytes());
}

/// The result, and the buffer of `room` bytes behind it.
fn decoded(stored: &[u8], room: usize) -> (Result<usize, usize>, Vec<u8>) {
    let mut out = vec![0xee; room];
    let result = decode(stored, &mut out, &mut Probs::new(), &|| ());
    let (Ok(produced) | Err(produced)) = result;
    assert!(produced <= room, "{produced} of {room} bytes produced");
    (result, out)
}

fn assert_decodes(stored: &[u8], bytes: &[u8], what: &str) {
    let (result, out) = decoded(stored, bytes.len() + 3);
    assert_eq!(result, Ok(bytes.len()), "{what}");
    assert!(out[..bytes.len()] == *bytes, "{what}: other bytes");
    assert_eq!(out[bytes.len()..], [0xee; 3], "{what}: written behind the end");
}

const USUAL: (u32, u32, u32) = (1, 2, 2);

#[test]
fn streams_of_all_properties_decode() {
    let bytes = code(6_000);
    for lc in 0..=4 {
        for lp in 0..=4 - lc {
            for pb in 0..=4 {
                for (what, stored) in encoded(&bytes, (lc, lp, pb), 1 << 16) {
                    assert_decodes(&stored, &bytes, &format!("{what} lc {lc} lp {lp} pb {pb}"));
                }
            }
        }
    }
}

#[test]
fn streams_of_all_kinds_of_bytes_decode() {
    for (kind, bytes) in kinds() {
        for (what, stored) in encoded(&bytes, USUAL, 1 << 20) {
            assert_decodes(&stored, &bytes, &format!("{what} {kind}"));
        }
    }
}

#[test]
fn streams_of_all_dictionary_sizes_decode() {
    let bytes = code(200_000);
    for bits in [12, 13, 16, 18, 20, 23] {
        for (what, stored) in encoded(&bytes, USUAL, 1 << bits) {
            assert_decodes(&stored, &bytes, &format!("{what} dictionary 2^{bits}"));
        }
    }
}

#[test]
fn the_header_reads_as_it_was_written() {
    let stored = by_rust2(b"stoop", (3, 1, 4), 1 << 16, End::Size);
    let (header, stream) = Header::read(&stored).unwrap();
    assert_eq!(header, Header { lc: 3, lp: 1, pb: 4, dictionary: 1 << 16, size: Some(5) });
    assert_eq!(stream, &stored[13..]);
    let stored = by_liblzma(b"stoop", USUAL, 1 << 16, End::Marker);
    assert_eq!(Header::read(&stored).unwrap().0.size, None);
    assert_eq!(Header::read(&stored[..12]), None);
}

#[test]
fn probs_need_no_cleaning_between_streams() {
    let bytes = code(5_000);
    let mut probs = Probs::new();
    for properties in [(4, 0, 4), USUAL, (0, 4, 0), (3, 0, 2)] {
        for end in [End::Size, End::Marker] {
            let mut out = vec![0; bytes.len()];
            assert_eq!(decode(&by_rust2(&bytes, properties, 4096, end), &mut out, &mut probs, &|| ()), Ok(bytes.len()));
            assert!(out == bytes);
        }
    }
}

#[test]
fn probs_fit_the_shims_budget() {
    assert!(size_of::<Probs>() <= 28_296, "{} bytes", size_of::<Probs>());
}

#[test]
fn refused_headers_produce_nothing() {
    let good = by_rust2(&code(500), USUAL, 4096, End::Size);
    let refused = |change: fn(&mut Vec<u8>)| {
        let mut stored = good.clone();
        change(&mut stored);
        decoded(&stored, 500).0
    };
    assert_eq!(refused(|_| {}), Ok(500));
    assert_eq!(refused(|stored| stored[0] = 225), Err(0), "properties past the last");
    assert_eq!(refused(|stored| stored[0] = 255), Err(0), "properties past the last");
    assert_eq!(refused(|stored| stored[0] = 5), Err(0), "lc 5");
    assert_eq!(refused(|stored| stored[0] = 4 + 9), Err(0), "lc 4 lp 1");
    assert_eq!(refused(|stored| stored[1..5].fill(0xff)), Err(0), "dictionary of 4 GiB");
    assert_eq!(refused(|stored| stored[1..5].copy_from_slice(&0x2000_0001u32.to_le_bytes())), Err(0), "over 512 MiB");
    assert_eq!(refused(|stored| stored[1..5].copy_from_slice(&0x2000_0000u32.to_le_bytes())), Ok(500), "512 MiB");
    assert_eq!(refused(|stored| set_size(stored, 501)), Err(0), "one byte more than the destination");
    assert_eq!(refused(|stored| set_size(stored, 1 << 32)), Err(0), "more than 32 bits");
    assert_eq!(refused(|stored| set_size(stored, u64::MAX - 1)), Err(0), "nearly unknown");
    assert_eq!(refused(|stored| stored[13] = 1), Err(0), "a stream that does not begin with zero");
    assert_eq!(refused(|stored| stored.truncate(0)), Err(0), "nothing");
}

#[test]
fn lying_sizes_are_errors() {
    let bytes = code(3_000);
    for end in [End::Size, End::Both, End::Marker] {
        let stored = by_rust2(&bytes, USUAL, 4096, end);
        for size in [0, 1, 2_000, 2_998, 2_999, 3_001, 3_300, 4_000] {
            let mut stored = stored.clone();
            set_size(&mut stored, size);
            let (result, _) = decoded(&stored, 4_000);
            assert!(result.is_err(), "{end:?} with size {size}: {result:?}");
        }
    }
    let mut stored = by_rust2(&bytes, USUAL, 4096, End::Size);
    set_size(&mut stored, u64::MAX);
    assert!(decoded(&stored, 4_000).0.is_err(), "neither size nor marker");
}

#[test]
fn a_marker_before_the_size_is_an_error() {
    let bytes = code(3_000);
    let mut stored = by_liblzma(&bytes, USUAL, 4096, End::Marker);
    set_size(&mut stored, 3_001);
    assert_eq!(decoded(&stored, 4_000).0, Err(3_000));
}

#[test]
fn the_watchdog_is_fed_for_every_few_bytes_that_come_out() {
    for bytes in [code(150_000), vec![0; 150_000]] {
        for end in [End::Size, End::Marker, End::Both] {
            let (stored, fed) = (by_rust2(&bytes, (3, 0, 2), 1 << 16, end), Cell::new(0));
            let mut out = vec![0; bytes.len()];
            let result = decode(&stored, &mut out, &mut Probs::new(), &|| fed.set(fed.get() + 1));
            assert_eq!(result, Ok(bytes.len()));
            // A match adds 273 bytes at most.
            let (least, most) = (bytes.len() / (EVERY + 273), bytes.len() / EVERY + 4);
            assert!((least..=most).contains(&fed.get()), "fed {} times", fed.get());
        }
    }
}

#[test]
fn the_destination_may_fit_exactly_and_not_be_a_byte_short() {
    for (kind, bytes) in kinds().into_iter().filter(|(_, bytes)| !bytes.is_empty()) {
        for (what, stored) in encoded(&bytes, USUAL, 1 << 20) {
            let (result, out) = decoded(&stored, bytes.len());
            assert_eq!(result, Ok(bytes.len()), "{what} {kind}");
            assert!(out == bytes, "{what} {kind}");
            assert!(decoded(&stored, bytes.len() - 1).0.is_err(), "{what} {kind}, a byte short");
        }
    }
}

#[test]
fn streams_cut_anywhere_are_errors() {
    for bytes in [code(1_500), noise(300), vec![0; 5_000], vec![]] {
        for (what, stored) in encoded(&bytes, USUAL, 4096) {
            for len in 0..stored.len() {
                let (result, _) = decoded(&stored[..len], bytes.len());
                assert!(result.is_err(), "{what}: {len} of {} bytes gave {result:?}", stored.len());
            }
        }
    }
}

#[test]
fn a_cut_stream_is_given_up_at_the_cut() {
    // Noise does not shrink, so the bytes in hand bound the bytes that can come out; the symbol at the cut may be wrong.
    let bytes = noise(5_000);
    for (what, stored) in encoded(&bytes, USUAL, 4096) {
        let (result, out) = decoded(&stored[..1_000], bytes.len());
        let produced = result.unwrap_err();
        assert!((900..1_300).contains(&produced), "{what}: {produced}");
        let right = produced - 273;
        assert!(out[..right] == bytes[..right], "{what}");
    }
}

#[test]
fn bytes_behind_the_stream_are_ignored() {
    let bytes = code(1_000);
    for (what, mut stored) in encoded(&bytes, USUAL, 4096) {
        stored.extend([0xa5; 40]);
        assert_decodes(&stored, &bytes, &what);
    }
}

#[test]
fn a_distance_before_the_first_byte_is_an_error() {
    // With a code just below the range every bit is 1: the first symbol repeats an earlier distance, and there is none.
    let mut stored = by_rust2(b"", USUAL, 4096, End::Marker);
    stored.truncate(13);
    stored.extend([0, 0xff, 0xff, 0xff, 0xfe]);
    stored.extend([0xff; 200]);
    assert_eq!(decoded(&stored, 1_000).0, Err(0));
}

/// What liblzma makes of the same bytes; `None` for an error.
fn by_liblzma_decoder(stored: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![];
    XzDecoder::new_stream(stored, Stream::new_lzma_decoder(1 << 30).ok()?).read_to_end(&mut out).ok()?;
    Some(out)
}

#[test]
fn every_flipped_bit_ends_and_never_decodes_unlike_liblzma() {
    for bytes in [code(700), [3, 4].repeat(2_000)] {
        for (what, stored) in encoded(&bytes, USUAL, 4096) {
            for bit in 0..stored.len() * 8 {
                let mut stored = stored.clone();
                stored[bit / 8] ^= 1 << (bit % 8);
                let (result, out) = decoded(&stored, 5_000);
                if let (Ok(produced), Some(theirs)) = (result, by_liblzma_decoder(&stored)) {
                    assert!(out[..produced] == theirs, "{what}, bit {bit}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_an_encoder_wrote_decodes(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..3_000),
            prop::collection::vec(0u8..3, 0..3_000),
        ],
        lc in 0u32..=4, lp in 0u32..=4, pb in 0u32..=4,
    ) {
        let properties = (lc.min(4 - lp), lp, pb);
        for (what, stored) in encoded(&bytes, properties, 4096) {
            assert_decodes(&stored, &bytes, &what);
        }
    }

    #[test]
    fn no_bytes_panic_or_outgrow_the_destination(
        properties in 0u8..=255,
        stream in prop::collection::vec(any::<u8>(), 0..2_000),
        size in prop_oneof![Just(u64::MAX), 0u64..10_000, any::<u64>()],
        room in 0usize..9_000,
    ) {
        let mut stored = vec![properties, 0, 0, 1, 0];
        stored.extend(size.to_le_bytes());
        stored.push(0);
        stored.extend(stream);
        let _ = decoded(&stored, room);
    }

    #[test]
    fn damaged_streams_end(
        damage in prop::collection::vec((13usize..4_000, any::<u8>()), 1..5),
        marker in any::<bool>(),
    ) {
        let mut stored = by_rust2(&code(9_000), USUAL, 1 << 14, if marker { End::Marker } else { End::Size });
        for (at, byte) in damage {
            let len = stored.len();
            stored[13 + at % (len - 13)] = byte;
        }
        let (result, out) = decoded(&stored, 20_000);
        if let (Ok(produced), Some(theirs)) = (result, by_liblzma_decoder(&stored)) {
            prop_assert!(out[..produced] == theirs);
        }
    }
}
