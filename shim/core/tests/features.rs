//! What a build without decoders does: run with `--no-default-features` as well (`cargo ci test` does).

use stoop_core::codec::{Codec, Tables};

#[test]
fn a_codec_is_decoded_if_and_only_if_its_feature_is_on() {
    let mut tables = Box::new(Tables::new());
    let mut decoded = |codec: u8| tables.decode(codec, &[], &mut []).is_some();
    assert_eq!(decoded(Codec::Lz4 as u8), cfg!(feature = "lz4"));
    assert_eq!(decoded(Codec::Lzma as u8), cfg!(feature = "lzma"));
    assert!(!decoded(Codec::Store as u8) && !decoded(3));
}
