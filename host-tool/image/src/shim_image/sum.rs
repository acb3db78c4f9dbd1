//! The sum by which the stub knows that what is stored is whole.

use stoop_core::bytes::{put, words};

use super::error::Error;

pub(super) const WORD: usize = 4;

pub(super) fn broken(fact: impl Into<String>) -> Error {
    Error::Broken { why: fact.into() }
}

/// What the stub checks what is stored and what it has unpacked by: 0 for what is whole.
pub fn sum(bytes: &[u8], big_endian: bool) -> u32 {
    let mut all = vec![0; bytes.len() / WORD];
    words(&mut all, bytes, big_endian);
    all.into_iter().fold(0, |sum, word| mixed(sum).wrapping_add(word))
}

/// Between two words. Invertible, so a change of one word is always seen; and neither plain addition nor plain bits, or else the
/// same change at two places, as a damaged literal makes that is copied, would cancel far too often.
fn mixed(sum: u32) -> u32 {
    sum.rotate_right(13).wrapping_mul(5)
}

/// The word behind these bytes that makes the sum 0.
pub(super) fn closing(bytes: &[u8], big_endian: bool) -> [u8; WORD] {
    let mut word = [0; WORD];
    put(&mut word, mixed(sum(bytes, big_endian)).wrapping_neg(), big_endian);
    word
}
