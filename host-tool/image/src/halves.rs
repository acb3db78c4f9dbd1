//! The form in which the shim is stored: an LZ77 of 16-bit halves of instructions, whose unpacker is some 60 instructions
//! (shim/src/arch/*/unpack.S) and needs no memory of its own. `cargo ci shim` squeezes; this unpacks, to prove what was squeezed.
//!
//! The codes are those of ZX0. Halves, and distances in whole words, are what suits code: an instruction repeats an earlier one
//! in one of its halves or in both.
//!
//! There are two rows. Bytes follow one another from the front. Bits are in 16-bit halves of the machine's byte order, from the
//! end to the front, in each the highest bit first. Between the two are zeros, so that both are whole words, which the unpacker on
//! arm64 reads, and that the one on MIPS, which keeps 16 bits at hand, finds as many behind the last bit.
//!
//! | block | bits and bytes | the next block |
//! |---|---|---|
//! | literals, the first block | count; for each half 0 and a byte if its high byte is 0, else 1 and its two bytes in their order | 0: a copy from the last distance, 1: from a new one |
//! | copy from the last distance | count | 0: literals, 1: a copy from a new distance |
//! | copy from a new distance | a number ([`END`]: nothing follows); a byte; count, the first bit of which, inverted, is the byte's highest | 0: literals, 1: a copy from a new distance |
//!
//! A distance is 128 times the number, less the byte's lower seven bits, in words. Before the first new one it is one word.
//! A number, from 1 on, is in Elias gamma code: as many zeros as it has digits behind the leading 1, then that 1 and the digits. A
//! count is 1 for one; else 0, and the number of all but one.

/// The number that stands for the end in place of a distance.
pub const END: usize = 255;
/// The longest distance, in words.
pub const FARTHEST: usize = (END - 1) * NEAR;
/// Most halves of one copy from a new distance. What the unpacker on MIPS has at hand behind the distance must hold all zeros of
/// its number.
pub const MOST: usize = 256;
/// Distances that need no more than the smallest number.
const NEAR: usize = 128;
const WORD: usize = 4;

/// A part of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Block {
    /// So many halves as they are, the small ones as one byte.
    Literals(usize),
    /// So many halves as they are, by their two bytes.
    Plain(usize),
    /// So many halves from the distance of the last copy.
    Again(usize),
    /// So many halves, at most [`MOST`], from a distance in words, at most [`FARTHEST`].
    Copy(usize, usize),
}

/// The bits of a number.
pub fn number_bits(number: usize) -> u32 {
    2 * number.ilog2() + 1
}

/// The bits of a count.
pub fn count_bits(count: usize) -> u32 {
    if count == 1 { 1 } else { 1 + number_bits(count - 1) }
}

/// The bits that a half takes as a literal.
pub fn literal_bits(half: u16) -> u32 {
    if half > 0xff { 17 } else { 9 }
}

/// The bits that a block takes, those in front of it included, without what its literals take.
pub fn block_bits(block: Block) -> u32 {
    1 + match block {
        Block::Literals(count) | Block::Plain(count) | Block::Again(count) => count_bits(count),
        Block::Copy(distance, count) => number_bits((distance - 1) / NEAR + 1) + 7 + count_bits(count),
    }
}

/// The stream of these blocks, which make `bytes`: literals first, and never twice in a row.
pub fn write(bytes: &[u8], blocks: &[Block], big_endian: bool) -> Vec<u8> {
    let mut out = Output { bytes: Vec::new(), bits: Vec::new(), big_endian };
    let mut halves = bytes.as_chunks::<2>().0.iter();
    for (index, block) in blocks.iter().enumerate() {
        if index != 0 {
            out.bits.push(matches!(block, Block::Copy(..)));
        }
        let (Block::Literals(count) | Block::Plain(count) | Block::Again(count) | Block::Copy(_, count)) = *block;
        let halves = halves.by_ref().take(count);
        match *block {
            Block::Literals(_) => {
                out.bits.extend(counted(count));
                halves.for_each(|half| out.literal(*half));
            }
            Block::Plain(_) => {
                out.bits.extend(counted(count));
                halves.for_each(|half| out.plain(*half));
            }
            Block::Again(_) => {
                out.bits.extend(counted(count));
                halves.for_each(drop);
            }
            Block::Copy(distance, _) => {
                out.bits.extend(gamma((distance - 1) / NEAR + 1));
                let mut count = counted(count);
                let is_more = count.next() == Some(false);
                out.bytes.push((NEAR - 1 - (distance - 1) % NEAR) as u8 | u8::from(is_more) << 7);
                out.bits.extend(count);
                halves.for_each(drop);
            }
        }
    }
    out.bits.push(true);
    out.bits.extend(gamma(END));
    out.finish()
}

/// These bytes, whole words of them, as a stream that begins with them.
pub fn plain(bytes: &[u8], big_endian: bool) -> Vec<u8> {
    write(bytes, &[Block::Plain(bytes.len() / 2)], big_endian)
}

/// A number's bits.
fn gamma(number: usize) -> impl Iterator<Item = bool> {
    let zeros = number.ilog2();
    let digits = (0..=zeros).rev().map(move |digit| number >> digit & 1 != 0);
    (0..zeros).map(|_| false).chain(digits)
}

/// A count's bits.
fn counted(count: usize) -> impl Iterator<Item = bool> {
    let is_one = count == 1;
    let others = (!is_one).then(|| gamma(count - 1));
    [is_one].into_iter().chain(others.into_iter().flatten())
}

/// A half as a number.
pub fn half(bytes: [u8; 2], big_endian: bool) -> u16 {
    if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
}

struct Output {
    bytes: Vec<u8>,
    bits: Vec<bool>,
    big_endian: bool,
}

impl Output {
    fn literal(&mut self, bytes: [u8; 2]) {
        match u8::try_from(half(bytes, self.big_endian)) {
            Ok(small) => {
                self.bits.push(false);
                self.bytes.push(small);
            }
            Err(_) => self.plain(bytes),
        }
    }

    fn plain(&mut self, bytes: [u8; 2]) {
        self.bits.push(true);
        self.bytes.extend(bytes);
    }

    fn finish(self) -> Vec<u8> {
        let (mut stream, mut bits) = (self.bytes, self.bits);
        // 16 bits from the leading 1 of the end's number on, of which it has 8.
        bits.extend([false; 8]);
        let order = if self.big_endian { u16::to_be_bytes } else { u16::to_le_bytes };
        let half =
            |bits: &[bool]| bits.iter().zip((0..16).rev()).fold(0, |half, (bit, at)| half | u16::from(*bit) << at);
        bits.resize(bits.len().next_multiple_of(32), false);
        let halves: Vec<[u8; 2]> = bits.chunks(16).map(|bits| order(half(bits))).collect();
        stream.resize(stream.len().next_multiple_of(WORD), 0);
        stream.extend(halves.iter().rev().flatten());
        stream
    }
}

/// Unpacks a stream up to its end, at most `most` bytes; `None` when it is cut, damaged or longer than that.
pub fn unpack(stream: &[u8], most: usize, big_endian: bool) -> Option<Vec<u8>> {
    let mut input = Input { rest: stream, bits: 0, left: 0, big_endian };
    let (mut out, mut distance, mut is_new) = (Vec::new(), WORD, false);
    loop {
        let count = if is_new {
            let number = input.number()?;
            if number >= END {
                return (number == END).then_some(out);
            }
            let low = input.byte()?;
            distance = (number * NEAR - usize::from(low & 0x7f)) * WORD;
            if low & 0x80 != 0 { input.number()? + 1 } else { 1 }
        } else {
            for _ in 0..input.count()? {
                let literal = input.literal().filter(|_| out.len() + 2 <= most)?;
                out.extend(literal);
            }
            is_new = input.bit()?;
            if is_new {
                continue;
            }
            input.count()?
        };
        for _ in 0..count {
            let from = out.len().checked_sub(distance).filter(|_| out.len() + 2 <= most)?;
            out.extend_from_within(from..from + 2);
        }
        is_new = input.bit()?;
    }
}

struct Input<'a> {
    rest: &'a [u8],
    /// The last two halves for bits, and how many of them are left.
    bits: u32,
    left: u32,
    big_endian: bool,
}

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            // Two at a time, as the unpacker on arm64 does.
            let (rest, &[a, b, c, d]) = self.rest.split_last_chunk()?;
            self.rest = rest;
            let [second, first] = [[a, b], [c, d]].map(|bytes| u32::from(half(bytes, self.big_endian)));
            (self.bits, self.left) = (first << 16 | second, u32::BITS);
        }
        self.left -= 1;
        Some(self.bits >> self.left & 1 != 0)
    }

    fn number(&mut self) -> Option<usize> {
        let mut zeros = 0;
        while !self.bit()? {
            zeros += 1;
        }
        // More zeros than digits of a number are damage.
        (zeros < usize::BITS - 1).then_some(())?;
        (0..zeros).try_fold(1, |number, _| Some(number << 1 | usize::from(self.bit()?)))
    }

    fn count(&mut self) -> Option<usize> {
        if self.bit()? { Some(1) } else { Some(self.number()? + 1) }
    }

    fn literal(&mut self) -> Option<[u8; 2]> {
        let both = self.bit()?;
        let first = self.byte()?;
        Some(match (both, self.big_endian) {
            (true, _) => [first, self.byte()?],
            (false, true) => [0, first],
            (false, false) => [first, 0],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn literals_alone_come_back_and_can_be_read(words in proptest::collection::vec(any::<u32>(), 1..800), big: bool) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            let stream = plain(&bytes, big);
            prop_assert!(stream.starts_with(&bytes) && stream.len().is_multiple_of(WORD));
            prop_assert_eq!(unpack(&stream, bytes.len(), big), Some(bytes));
        }

        #[test]
        fn a_damaged_stream_ends(stream in proptest::collection::vec(any::<u8>(), 0..300), big: bool) {
            prop_assert!(unpack(&stream, 5000, big).is_none_or(|bytes| bytes.len() <= 5000));
        }
    }

    /// Words that are not alike, so many; then the last of them once more, two halves of a word far in front, two small ones, and as many
    /// as one copy can be.
    fn sample() -> (Vec<u8>, Vec<Block>) {
        let words = FARTHEST + 9;
        let mut bytes: Vec<u8> =
            (0..words as u32).flat_map(|word| word.wrapping_mul(0x1234_5679).to_be_bytes()).collect();
        let farthest = (words + 1 - FARTHEST) * 4;
        for from in [(words - 1) * 4, farthest] {
            bytes.extend_from_within(from..from + 4);
        }
        bytes.extend([0, 7, 9, 0]);
        bytes.extend_from_within(farthest + 8..farthest + 12);
        let near = bytes.len() - 4 * 600;
        bytes.extend_from_within(near..near + 2 * MOST);
        let blocks = [
            Block::Literals(words * 2),
            Block::Again(2),
            Block::Copy(FARTHEST, 2),
            Block::Literals(2),
            Block::Again(2),
            Block::Copy(600, MOST),
        ];
        (bytes, blocks.to_vec())
    }

    #[test]
    fn every_block_comes_back_in_both_byte_orders_and_takes_the_bits_it_is_said_to_take() {
        for big_endian in [false, true] {
            let (bytes, blocks) = sample();
            let stream = write(&bytes, &blocks, big_endian);
            assert_eq!(unpack(&stream, bytes.len(), big_endian).as_deref(), Some(&bytes[..]));
            let literals = |from: usize, to: usize| {
                bytes[from..to].as_chunks().0.iter().map(|bytes| literal_bits(half(*bytes, big_endian))).sum::<u32>()
            };
            let end = bytes.len() - 2 * MOST;
            let bits: u32 = blocks.iter().map(|block| block_bits(*block)).sum::<u32>()
                + literals(0, end - 16)
                + literals(end - 8, end - 4)
                + number_bits(END);
            // The first block has no bit in front, and the end has. 8 bits follow it; bytes end at a word, and so do bits.
            let bits = bits as usize + 8;
            assert!((bits..bits + 24 + 32).contains(&(stream.len() * 8)), "{} for {bits}", stream.len() * 8);
        }
    }

    #[test]
    fn a_cut_stream_or_one_half_less_room_gives_nothing() {
        let (bytes, blocks) = sample();
        let stream = write(&bytes, &blocks, true);
        assert_eq!(unpack(&stream, bytes.len() - 2, true), None);
        for cut in (4..stream.len()).step_by(1000).chain([4, 8, 12]) {
            let (front, end) = (&stream[..stream.len() - cut], &stream[cut..]);
            assert_ne!(unpack(front, bytes.len(), true).as_ref(), Some(&bytes), "{cut} less at the end");
            assert_ne!(unpack(end, bytes.len(), true).as_ref(), Some(&bytes), "{cut} less in front");
        }
    }
}
