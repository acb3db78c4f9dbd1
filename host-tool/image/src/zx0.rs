//! ZX0, version 2, by which the shim is squeezed: an LZ77 whose unpacker is some 50 instructions (shim/src/arch/*/unpack.S) and
//! needs no memory of its own. `cargo ci shim` packs, by the crate `zx0`; this unpacks, to prove what was packed.
//!
//! The stream is a row of blocks, of bytes and of bits between them: a byte for bits is read when a bit is wanted and none is
//! left, its highest bit first. Numbers from 1 on are in interlaced Elias gamma code: before each digit behind the leading 1 a
//! 0, at the end a 1. The first block is literals.
//!
//! | block | what it has | the next block |
//! |---|---|---|
//! | literals | count, that many bytes | 0: a copy from the last distance, 1: from a new one |
//! | copy from the last distance | count | 0: literals, 1: a copy from a new distance |
//! | copy from a new distance | a number whose digits are inverted (256: the end); a byte; count less 1, its first bit in that byte's lowest | 0: literals, 1: a copy from a new distance |
//!
//! The distance is 128 times the number, less the byte's upper seven bits. Before the first new one it is 1.

/// The number that stands for the end in place of a distance.
const END: usize = 256;

/// Unpacks a stream up to its end, at most `most` bytes; `None` when it is cut, damaged or longer than that.
pub fn unpack(stream: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut input = Input { rest: stream, bits: 0, left: 0 };
    let (mut out, mut distance, mut is_new) = (Vec::new(), 1, false);
    loop {
        let count = if is_new {
            let high = input.number(None, true)?;
            if high == END {
                return Some(out);
            }
            let low = input.byte()?;
            distance = high.checked_mul(128)? - usize::from(low >> 1);
            input.number(Some(low & 1 != 0), false)?.checked_add(1)?
        } else {
            for _ in 0..input.number(None, false)? {
                out.push(input.byte().filter(|_| out.len() < most)?);
            }
            is_new = input.bit()?;
            if is_new {
                continue;
            }
            input.number(None, false)?
        };
        for _ in 0..count {
            let from = out.len().checked_sub(distance).filter(|_| out.len() < most)?;
            out.push(out[from]);
        }
        is_new = input.bit()?;
    }
}

/// These bytes as a stream that has nothing but literals.
pub fn plain(bytes: &[u8]) -> Vec<u8> {
    let gamma = |number: usize, inverted: bool| {
        let digits = (0..number.ilog2()).rev().map(move |digit| (number >> digit & 1 != 0) != inverted);
        digits.flat_map(|digit| [false, digit]).chain([true])
    };
    let count: Vec<bool> = gamma(bytes.len(), false).collect();
    // The literals begin behind the byte with the count's last bit.
    let front = count.len().div_ceil(8);
    let bits: Vec<bool> = count.into_iter().chain([true]).chain(gamma(END, true)).collect();
    let byte = |bits: &[bool]| bits.iter().zip((0..8).rev()).fold(0, |byte, (bit, at)| byte | u8::from(*bit) << at);
    let packed: Vec<u8> = bits.chunks(8).map(byte).collect();
    [&packed[..front], bytes, &packed[front..]].concat()
}

struct Input<'a> {
    rest: &'a [u8],
    /// The last byte for bits, and how many of it are left.
    bits: u8,
    left: u32,
}

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn bit(&mut self) -> Option<bool> {
        if self.left == 0 {
            (self.bits, self.left) = (self.byte()?, u8::BITS);
        }
        self.left -= 1;
        Some(self.bits >> self.left & 1 != 0)
    }

    /// `first`: its first bit, when it has been read already.
    fn number(&mut self, first: Option<bool>, inverted: bool) -> Option<usize> {
        let mut number = 1usize;
        let mut ends = first.map_or_else(|| self.bit(), Some)?;
        while !ends {
            number = number.checked_mul(2)? | usize::from(self.bit()? != inverted);
            ends = self.bit()?;
        }
        Some(number)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
        zx0::Compressor::new().compress(bytes).output
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn what_the_crate_packs_comes_back(bytes in proptest::collection::vec(0u8..4, 1..600)) {
            prop_assert_eq!(unpack(&pack(&bytes), bytes.len()), Some(bytes));
        }

        #[test]
        fn noise_comes_back(bytes in proptest::collection::vec(any::<u8>(), 1..600)) {
            prop_assert_eq!(unpack(&pack(&bytes), bytes.len()), Some(bytes));
        }

        #[test]
        fn literals_alone_come_back_and_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 1..3000)) {
            let stream = plain(&bytes);
            prop_assert!(stream.windows(bytes.len()).any(|window| window == bytes));
            prop_assert_eq!(unpack(&stream, bytes.len()), Some(bytes));
        }

        #[test]
        fn a_damaged_stream_ends(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(unpack(&stream, 5000).is_none_or(|bytes| bytes.len() <= 5000));
        }
    }

    #[test]
    fn far_copies_come_back_and_a_cut_stream_or_one_byte_less_room_gives_nothing() {
        let near: Vec<u8> = (0..9000u32).map(|number| ((number * number) >> 7) as u8).collect();
        let bytes = [&near[..], b"nothing like it", &near[..5000]].concat();
        let packed = pack(&bytes);
        assert!(packed.len() < bytes.len());
        assert_eq!(unpack(&packed, bytes.len()).as_deref(), Some(&bytes[..]));
        assert_eq!(unpack(&packed, bytes.len() - 1), None);
        for length in 0..packed.len() {
            assert_eq!(unpack(&packed[..length], bytes.len()), None, "{length} of {}", packed.len());
        }
    }
}
