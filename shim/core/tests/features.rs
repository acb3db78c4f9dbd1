//! What decides which code of core is built. Run with `--no-default-features` as well (`cargo ci test` does).

use std::fs;
use std::path::Path;

use stoop_core::codec::{Codec, Tables};

#[test]
fn a_codec_is_decoded_if_and_only_if_its_feature_is_on() {
    let mut tables = Box::new(Tables::new());
    let mut decoded = |codec: Codec| tables.decode(codec, &[], &mut [], &|| ()).is_some();
    assert_eq!(decoded(Codec::Lz4), cfg!(feature = "lz4"));
    assert_eq!(decoded(Codec::Lzma), cfg!(feature = "lzma"));
    assert!(!decoded(Codec::Store));
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn no_code_is_chosen_by_the_machine_it_is_built_for() {
    let files = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(files > 20, "only {files} files");
}

/// Looks at every source below; how many there are.
fn sources(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).expect("core's sources").map(|entry| entry.expect("an entry").path());
    let look = |path: std::path::PathBuf| {
        if path.is_dir() {
            return sources(&path);
        }
        let text = fs::read_to_string(&path).expect("a source");
        // target_arch, target_endian, target_pointer_width: `simulate` and the tests run what the board runs.
        assert!(!text.contains("target_"), "{} asks for the target", path.display());
        1
    };
    entries.map(look).sum()
}
