//! Every committed seed through its target, on the stable compiler; with `STOOP_FUZZ_FOUND`, a folder of folders by the names of the
//! targets, what fuzzers found by themselves as well.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use stoop_fuzz::{Target, targets};

use common::{files, seeds};

/// What fuzzers found for that target: `cargo ci fuzz` keeps it in the cache.
fn found(name: &str) -> Vec<PathBuf> {
    let folder = std::env::var_os("STOOP_FUZZ_FOUND").map(|found| Path::new(&found).join(name));
    folder.filter(|folder| folder.is_dir()).map_or(Vec::new(), |folder| files(&folder))
}

/// Calls `act` with the name of each target, the target, and an input.
fn every_seed(act: impl Fn(&str, Target, &[u8])) {
    for (name, target) in targets() {
        let mut files = files(&seeds().join(name));
        assert!(!files.is_empty(), "{name} has no seed");
        files.extend(found(name));
        for file in files {
            eprintln!("{name}: {}", file.display());
            act(name, target, &fs::read(&file).expect("a seed"));
        }
    }
}

#[test]
fn every_target_takes_all_of_its_seeds_without_a_panic() {
    every_seed(|_, target, bytes| {
        target(bytes);
        // Cut and damaged seeds reach further than whole ones.
        target(&bytes[..bytes.len() / 2]);
        for at in 0..bytes.len().min(64) {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= 0x80;
            target(&damaged);
        }
    });
}

/// Without libFuzzer, so that it runs where usize has 32 bits as well: variants of each seed of core, the same in every run.
#[test]
fn cores_targets_take_variants_of_each_seed() {
    every_seed(|name, target, bytes| {
        if !name.starts_with("core-") {
            return;
        }
        for variant in common::variants(bytes, 500) {
            target(&variant);
        }
    });
}

#[test]
fn no_folder_of_seeds_is_without_a_target() {
    for folder in files(&seeds()) {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let known = stoop_fuzz::target(&name).is_some();
        assert!(known || cfg!(not(feature = "host")), "seeds/{name} belongs to no target");
    }
}
