//! Seeds, and what a fuzzer without a memory would make of them.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the committed seeds.
pub fn seeds() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds")
}

/// The files of that folder, in the order of their names.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

/// So many variants of a seed, the same in every run.
pub fn variants(seed: &[u8], count: usize) -> impl Iterator<Item = Vec<u8>> {
    let mut numbers = Numbers(0x9e37_79b9);
    (0..count).map(move |_| {
        let mut variant = seed.to_vec();
        for _ in 0..=numbers.below(4) {
            change(&mut variant, &mut numbers);
        }
        variant
    })
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
