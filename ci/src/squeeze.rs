//! Squeezes the shim when it is built: the blocks of [`stoop_image::halves`] that take the fewest bits.
//!
//! The search is ZX0's: going through the halves, it keeps for each distance the cheapest way to here that ends with a copy from it,
//! and the cheapest one that ends with literals behind such a copy, since only these two let a copy leave out its distance.

use stoop_image::halves::{Block, FARTHEST, MOST, block_bits, count_bits, half, literal_bits, write};

/// The stream that makes these bytes, whole words of them.
pub fn squeeze(bytes: &[u8], big_endian: bool) -> Vec<u8> {
    let halves: Vec<u16> = bytes.as_chunks().0.iter().map(|bytes| half(*bytes, big_endian)).collect();
    write(bytes, &Search::new(&halves).blocks(), big_endian)
}

/// A way to some place.
#[derive(Clone, Copy)]
struct Path {
    /// What it takes.
    bits: u32,
    /// Halves that it makes.
    end: usize,
    /// Its last block, in [`Search::steps`].
    last: usize,
}

/// In front of the first block.
const START: Path = Path { bits: 0, end: 0, last: usize::MAX };

/// A block at the end of a way, and the one in front of it.
struct Step {
    before: usize,
    block: Block,
}

/// What is known of a distance.
#[derive(Clone, Copy, Default)]
struct Distance {
    /// The cheapest way that ends with a copy from it.
    copied: Option<Path>,
    /// That way of the time when the last literals followed it, and what it takes with them. They are not a step of their own, since
    /// few of them are taken.
    literals: Option<(Path, Path)>,
    /// Halves up to here that are as those so far in front.
    same: usize,
}

struct Search<'h> {
    halves: &'h [u16],
    /// Bits of all halves in front of each as literals.
    literals: Vec<u32>,
    steps: Vec<Step>,
    /// The cheapest way to each place.
    best: Vec<Path>,
}

impl<'h> Search<'h> {
    fn new(halves: &'h [u16]) -> Self {
        let sums = halves.iter().scan(0, |sum, half| {
            *sum += literal_bits(*half);
            Some(*sum)
        });
        Search { halves, literals: [0].into_iter().chain(sums).collect(), steps: Vec::new(), best: vec![START] }
    }

    fn blocks(mut self) -> Vec<Block> {
        let mut distances = vec![Distance::default(); (self.halves.len() / 2).clamp(1, FARTHEST) + 1];
        // As if there had been a copy from one word.
        distances[1].copied = Some(START);
        for at in 0..self.halves.len() {
            self.advance(at, &mut distances);
        }
        let mut blocks = Vec::new();
        let mut last = self.best.last().map_or(usize::MAX, |path| path.last);
        while let Some(step) = self.steps.get(last) {
            blocks.push(step.block);
            last = step.before;
        }
        blocks.reverse();
        blocks
    }

    /// Takes one half more.
    fn advance(&mut self, at: usize, distances: &mut [Distance]) {
        let mut counts = vec![0, 1];
        let mut best: Option<(Path, Option<Path>)> = None;
        for words in 1..distances.len().min(at / 2 + 1).max(2) {
            let distance = &mut distances[words];
            let found = if 2 * words <= at && self.halves[at] == self.halves[at - 2 * words] {
                distance.same += 1;
                let most = distance.same.min(MOST);
                self.count(at, most, &mut counts);
                let path = self.copy(at, words, counts[most], distance);
                distance.copied = Some(path);
                Some((path, None))
            } else {
                distance.same = 0;
                distance.literals = distance.copied.map(|copied| (copied, self.literal(at, copied)));
                distance.literals.map(|(copied, path)| (path, Some(copied)))
            };
            best = best.into_iter().chain(found).min_by_key(|(path, _)| path.bits);
        }
        let (path, copied) = best.expect("literals can follow the first distance, and whatever was copied");
        let path = copied.map_or(path, |copied| self.with_literals(copied, path));
        self.best.push(path);
    }

    /// Of copies that end with the half at `at`, the best count up to `most`, behind the best counts up to less.
    fn count(&self, at: usize, most: usize, counts: &mut Vec<usize>) {
        let bits = |count: usize| self.best[at + 1 - count].bits + count_bits(count);
        while let Some(&last) = counts.last().filter(|_| counts.len() <= most) {
            let next = counts.len();
            counts.push(if bits(next) < bits(last) { next } else { last });
        }
    }

    /// The cheapest way that ends with a copy whose last half is at `at`.
    fn copy(&mut self, at: usize, words: usize, count: usize, distance: &Distance) -> Path {
        let start = self.best[at + 1 - count];
        let block = Block::Copy(words, count);
        let bits = start.bits + block_bits(block);
        if let Some((copied, literals)) = distance.literals {
            let block = Block::Again(at + 1 - literals.end);
            let again = literals.bits + block_bits(block);
            if again <= bits {
                let before = self.with_literals(copied, literals).last;
                return self.step(before, block, again, at + 1);
            }
        }
        self.step(start.last, block, bits, at + 1)
    }

    /// The way on by literals up to the half at `at`.
    fn literal(&self, at: usize, copied: Path) -> Path {
        let bits = self.literals[at + 1] - self.literals[copied.end];
        let block = Block::Literals(at + 1 - copied.end);
        Path { bits: copied.bits + block_bits(block) + bits, end: at + 1, last: usize::MAX }
    }

    fn with_literals(&mut self, copied: Path, literals: Path) -> Path {
        let block = Block::Literals(literals.end - copied.end);
        self.step(copied.last, block, literals.bits, literals.end)
    }

    fn step(&mut self, before: usize, block: Block, bits: u32, end: usize) -> Path {
        self.steps.push(Step { before, block });
        Path { bits, end, last: self.steps.len() - 1 }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stoop_image::halves::unpack;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_is_squeezed_comes_back(words in proptest::collection::vec(0u32..6, 1..200), big_endian: bool) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.wrapping_mul(0x4000_0101).to_be_bytes()).collect();
            prop_assert_eq!(unpack(&squeeze(&bytes, big_endian), bytes.len(), big_endian), Some(bytes));
        }

        #[test]
        fn noise_comes_back(words in proptest::collection::vec(any::<u32>(), 1..200), big_endian: bool) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            prop_assert_eq!(unpack(&squeeze(&bytes, big_endian), bytes.len(), big_endian), Some(bytes));
        }
    }

    #[test]
    fn the_cheaper_of_two_ways_is_taken() {
        // The third word is the first, whose distance is new, and the sixth is the fourth, whose distance was the last one.
        let words: [u32; 6] = [0x1234_5678, 0x2345_6789, 0x1234_5678, 0x3456_789a, 0x4567_89ab, 0x3456_789a];
        let halves: Vec<u16> = words.iter().flat_map(|word| [(word >> 16) as u16, *word as u16]).collect();
        let blocks = Search::new(&halves).blocks();
        assert_eq!(blocks, [Block::Literals(4), Block::Copy(2, 2), Block::Literals(4), Block::Again(2)]);
    }
}
