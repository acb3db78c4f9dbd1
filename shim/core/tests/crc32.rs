//! The CRC-32 of the board against the `crc` crate's.

use crc::{CRC_32_ISO_HDLC, Crc};
use stoop_core::crc32::Crc32;

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn bytes_of_every_length_at_every_alignment_have_the_crates_checksum() {
    let (ours, crate_s) = (Crc32::new(), Crc::<u32>::new(&CRC_32_ISO_HDLC));
    let bytes: Vec<u8> = (0u32..200).map(|number| (number * number + 7 * number) as u8).collect();
    for start in 0..8 {
        for end in start..bytes.len() {
            let part = &bytes[start..end];
            assert_eq!(ours.of(part), crate_s.checksum(part), "bytes {start} to {end}");
        }
    }
}

#[test]
fn the_checksum_is_the_one_that_everybody_knows() {
    assert_eq!(Crc32::new().of(b"123456789"), 0xcbf4_3926);
    assert_eq!(Crc32::new().of(b""), 0);
}
