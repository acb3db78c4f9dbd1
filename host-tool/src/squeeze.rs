//! Squeezes the shim: everything behind its front becomes a stream of a binary range coder, driven by
//! [`stoop_core::squeeze::Model`], which the front's instructions (shim/src/arch/mips/unpack.S) unpack.
//!
//! The coder is LZMA's with probabilities of 12 bits: the stream begins with its first 32 bits of code, as a word of the
//! machine, and then has a byte for each time that the range falls below 2^24. The end is where the output ends.

use stoop_core::squeeze::{BITS, Model};

/// Below this the range takes in another byte.
const TOP: u32 = 1 << 24;
/// Bytes that the front reads as a word.
const WORD: usize = 4;

/// The squeezed form of `words`, in the byte order of the machine.
pub fn squeeze(words: &[u32], big_endian: bool) -> Vec<u8> {
    let (mut model, mut coder) = (Box::new(Model::new()), Encoder::default());
    for word in words {
        for shift in (0..u32::BITS).rev() {
            let bit = word >> shift & 1 != 0;
            let (likely, unlikely) = model.predict();
            coder.encode(bit == likely, unlikely);
            model.update(bit);
        }
    }
    let mut out = coder.finish();
    if !big_endian {
        out[..WORD].reverse();
    }
    out
}

struct Encoder {
    /// The lower end of the interval, 32 bits, and above them a carry.
    low: u64,
    range: u32,
    out: Vec<u8>,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { low: 0, range: u32::MAX, out: Vec::new() }
    }
}

impl Encoder {
    fn encode(&mut self, likely: bool, unlikely: u32) {
        while self.range < TOP {
            self.byte();
            self.range <<= 8;
        }
        let bound = (self.range >> BITS) * unlikely;
        if likely {
            self.low += u64::from(bound);
            self.range -= bound;
        } else {
            self.range = bound;
        }
    }

    /// Puts the highest byte of `low` out, after adding its carry to what is out already.
    fn byte(&mut self) {
        if self.low >> 32 != 0 {
            for byte in self.out.iter_mut().rev() {
                *byte = byte.wrapping_add(1);
                if *byte != 0 {
                    break;
                }
            }
        }
        self.out.push((self.low >> 24) as u8);
        self.low = self.low << 8 & 0xffff_ffff;
    }

    /// As many bytes as the decoder reads.
    fn finish(mut self) -> Vec<u8> {
        (0..WORD).for_each(|_| self.byte());
        self.out
    }
}

/// Unpacks `count` words from the front of `stream` as the front does; `None` when the stream is cut.
pub fn unsqueeze(stream: &[u8], count: usize, big_endian: bool) -> Option<Vec<u32>> {
    let (word, rest) = stream.split_first_chunk()?;
    let mut code = if big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
    let (mut model, mut rest, mut range) = (Box::new(Model::new()), rest.iter(), u32::MAX);
    let mut words = Vec::with_capacity(count);
    while words.len() < count {
        while range < TOP {
            range <<= 8;
            code = code << 8 | u32::from(*rest.next()?);
        }
        let (likely, unlikely) = model.predict();
        let bound = (range >> BITS) * unlikely;
        let right = code >= bound;
        if right {
            code -= bound;
            range -= bound;
        } else {
            range = bound;
        }
        words.extend(model.update(right == likely));
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_squeezed_comes_back(words in proptest::collection::vec(0u32..9, 1..300), big_endian: bool) {
            let squeezed = squeeze(&words, big_endian);
            prop_assert_eq!(unsqueeze(&squeezed, words.len(), big_endian), Some(words));
        }

        #[test]
        fn noise_comes_back_and_grows_by_little(words in proptest::collection::vec(any::<u32>(), 1..300)) {
            let squeezed = squeeze(&words, true);
            prop_assert!(squeezed.len() <= 4 * words.len() * 3 / 2 + 8, "{} words: {}", words.len(), squeezed.len());
            prop_assert_eq!(unsqueeze(&squeezed, words.len(), true), Some(words));
        }

        #[test]
        fn a_damaged_stream_ends(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(words) = unsqueeze(&stream, 200, false) {
                prop_assert_eq!(words.len(), 200);
            }
        }
    }

    #[test]
    fn a_cut_stream_gives_nothing() {
        let words: Vec<u32> = (0..100).chain(0..100).map(|number| number * 0x101).collect();
        let squeezed = squeeze(&words, true);
        for length in 0..squeezed.len() {
            assert_eq!(unsqueeze(&squeezed[..length], words.len(), true), None, "{length} of {}", squeezed.len());
        }
    }

    #[test]
    fn repeated_words_cost_next_to_nothing() {
        assert!(squeeze(&[0x8fbf_0014; 1000], true).len() < 250);
    }
}
