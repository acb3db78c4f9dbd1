//! Every committed seed through its target, on the stable compiler.

use std::fs;
use std::path::{Path, PathBuf};

use stoop_fuzz::{Target, targets};

fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")
}

/// The files of that folder, in the order of their names.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn every_seed(act: impl Fn(&str, Target, &[u8])) {
    for (name, target) in targets() {
        let files = files(&seeds().join(name));
        assert!(!files.is_empty(), "{name} has no seed");
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

/// Without libFuzzer, so that it runs where usize has 32 bits as well: a thousand variants of each seed of core, the same in every run.
#[test]
fn cores_targets_take_a_thousand_variants_of_each_seed() {
    every_seed(|name, target, bytes| {
        if !name.starts_with("core-") {
            return;
        }
        let mut numbers = Numbers(0x9e37_79b9);
        for _ in 0..1000 {
            let mut variant = bytes.to_vec();
            for _ in 0..=numbers.below(4) {
                change(&mut variant, &mut numbers);
            }
            target(&variant);
        }
    });
}

/// What fuzzers found by themselves, in folders by the names of the targets: `cargo ci fuzz` names their place.
#[test]
fn targets_take_what_fuzzers_found_on_another_machine() {
    let Some(found) = std::env::var_os("STOOP_FUZZ_FOUND") else {
        eprintln!("skipped: STOOP_FUZZ_FOUND names no folder; `cargo ci fuzz` fills one and replays it");
        return;
    };
    for (name, target) in targets() {
        let folder = Path::new(&found).join(name);
        if folder.is_dir() {
            for file in files(&folder) {
                eprintln!("{name}: {}", file.display());
                target(&fs::read(&file).expect("an input"));
            }
        }
    }
}

#[test]
fn no_folder_of_seeds_is_without_a_target() {
    for folder in files(&seeds()) {
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let known = stoop_fuzz::target(&name).is_some();
        assert!(known || cfg!(not(feature = "host")), "seeds/{name} belongs to no target");
    }
}

/// One step of a fuzzer: a bit, a byte, a word, a piece left out or twice.
fn change(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    if bytes.is_empty() {
        bytes.push(numbers.below(256) as u8);
        return;
    }
    let at = numbers.below(bytes.len());
    let length = numbers.below(16).min(bytes.len() - at);
    match numbers.below(6) {
        0 => bytes[at] ^= 1 << numbers.below(8),
        1 => bytes[at] = numbers.below(256) as u8,
        2 => {
            let word = [0, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_fffc, 0xffff_ffff][numbers.below(6)];
            for (byte, new) in bytes[at & !3..].iter_mut().zip(u32::to_be_bytes(word)) {
                *byte = new;
            }
        }
        3 => drop(bytes.drain(at..at + length)),
        4 => {
            let piece = bytes[at..at + length].to_vec();
            bytes.splice(at..at, piece);
        }
        _ => bytes.truncate(at),
    }
}

/// Marsaglia's xorshift.
struct Numbers(u32);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % end
    }
}
