//! Squeezes the shim: everything behind its front is stored as LZ77 with Elias gamma codes, which the front's 60
//! instructions (shim/src/arch/mips/start.S) unpack at about 13 instructions a byte. MIPS code shrinks to 57 %.
//!
//! The stream is bytes; bits come from a byte of their own, high bit first, taken from the stream when the first of
//! its bits is needed. It begins with a literal run, and then:
//!
//! ```text
//! literals   gamma(length) bytes      then bit 0: match at the offset before   bit 1: match at a new offset
//! same       gamma(length)            then bit 0: literals                     bit 1: match at a new offset
//! new        gamma(high + 1) low-byte gamma(length - 1), offset = high * 256 + low + 1
//! ```
//!
//! gamma(n): for every bit of n below its highest, a 1 and that bit; then a 0. The end is where the output ends.

/// The longest literal run and match that are tried.
const LONGEST: usize = 255;
/// Offsets beyond this are never worth their bits in a shim of 12 KiB.
const FARTHEST: usize = 16 * 1024;

/// A token that ends at some position, and what it cost to get there.
#[derive(Clone, Copy)]
struct Step {
    /// Bits from the start.
    cost: u32,
    /// Where the token began.
    from: usize,
    /// The offset in use behind it; 0 before the first match.
    offset: usize,
    /// What the token is.
    token: Token,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Literals,
    Same,
    New,
}

const FAR: Step = Step { cost: u32::MAX, from: 0, offset: 0, token: Token::Literals };

fn gamma_bits(number: usize) -> u32 {
    2 * number.ilog2() + 1
}

fn new_bits(offset: usize, length: usize) -> u32 {
    gamma_bits((offset - 1) / 256 + 1) + 8 + gamma_bits(length - 1)
}

/// The squeezed form of `bytes`, which must not be empty.
pub fn squeeze(bytes: &[u8]) -> Vec<u8> {
    // The cheapest way to each position, by what the last token was: literals, or a match.
    let mut literal = vec![FAR; bytes.len() + 1];
    let mut matched = vec![FAR; bytes.len() + 1];
    let mut positions: Vec<Vec<usize>> = vec![Vec::new(); 1 << 16];
    for at in 0..bytes.len() {
        extend_literals(at, &matched, &mut literal, bytes.len());
        if at > 0 {
            extend_same(at, bytes, &literal, &mut matched);
        }
        if let [first, second, ..] = bytes[at..] {
            let pair = &mut positions[usize::from(u16::from_be_bytes([first, second]))];
            if at > 0 {
                extend_new(at, bytes, pair, &literal, &mut matched);
            }
            pair.push(at);
        }
    }
    write(bytes, &tokens(&literal, &matched))
}

fn offer(step: &mut Step, candidate: Step) {
    if candidate.cost < step.cost {
        *step = candidate;
    }
}

fn extend_literals(at: usize, matched: &[Step], literal: &mut [Step], end: usize) {
    let before = matched[at];
    let (cost, offset) = match at {
        0 => (0, 0),
        _ if before.cost == u32::MAX => return,
        // The bit that says "literals".
        _ => (before.cost + 1, before.offset),
    };
    for length in 1..=LONGEST.min(end - at) {
        let cost = cost + gamma_bits(length) + 8 * length as u32;
        offer(&mut literal[at + length], Step { cost, from: at, offset, token: Token::Literals });
    }
}

fn common(bytes: &[u8], from: usize, at: usize) -> usize {
    bytes[from..].iter().zip(&bytes[at..]).take(LONGEST).take_while(|(a, b)| a == b).count()
}

fn extend_same(at: usize, bytes: &[u8], literal: &[Step], matched: &mut [Step]) {
    let before = literal[at];
    if before.cost == u32::MAX || before.offset == 0 {
        return;
    }
    for length in 1..=common(bytes, at - before.offset, at) {
        let cost = before.cost + 1 + gamma_bits(length);
        offer(&mut matched[at + length], Step { cost, from: at, offset: before.offset, token: Token::Same });
    }
}

fn extend_new(at: usize, bytes: &[u8], candidates: &[usize], literal: &[Step], matched: &mut [Step]) {
    let before = literal[at].cost.min(matched[at].cost);
    if before == u32::MAX {
        return;
    }
    let mut longest = 1;
    for from in candidates.iter().rev().take_while(|from| at - **from <= FARTHEST) {
        // Only a longer match is worth a farther offset.
        if bytes.get(from + longest) != bytes.get(at + longest) {
            continue;
        }
        let (offset, length) = (at - from, common(bytes, *from, at));
        // A nearer offset has offered the shorter lengths for fewer bits.
        for length in longest + 1..=length {
            let cost = before + 1 + new_bits(offset, length);
            offer(&mut matched[at + length], Step { cost, from: at, offset, token: Token::New });
        }
        longest = longest.max(length);
    }
}

/// The cheapest tokens as (start, end, offset, kind), first to last.
fn tokens(literal: &[Step], matched: &[Step]) -> Vec<(usize, usize, usize, Token)> {
    let mut at = literal.len() - 1;
    let mut list = Vec::new();
    let mut step = if literal[at].cost <= matched[at].cost { literal[at] } else { matched[at] };
    loop {
        list.push((step.from, at, step.offset, step.token));
        at = step.from;
        if at == 0 {
            list.reverse();
            return list;
        }
        step = match step.token {
            Token::Literals => matched[at],
            Token::Same => literal[at],
            Token::New if literal[at].cost <= matched[at].cost => literal[at],
            Token::New => matched[at],
        };
    }
}

#[derive(Default)]
struct Bits {
    out: Vec<u8>,
    /// Index of the byte that takes the next bits, and how many it has room for.
    at: usize,
    left: u32,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        if self.left == 0 {
            self.at = self.out.len();
            self.out.push(0);
            self.left = 8;
        }
        self.left -= 1;
        self.out[self.at] |= u8::from(bit) << self.left;
    }

    fn gamma(&mut self, number: usize) {
        for shift in (0..number.ilog2()).rev() {
            self.bit(true);
            self.bit(number >> shift & 1 != 0);
        }
        self.bit(false);
    }
}

fn write(bytes: &[u8], tokens: &[(usize, usize, usize, Token)]) -> Vec<u8> {
    let mut bits = Bits::default();
    for (index, (start, end, offset, token)) in tokens.iter().enumerate() {
        if index > 0 {
            bits.bit(*token == Token::New);
        }
        match token {
            Token::Literals => {
                bits.gamma(end - start);
                bits.out.extend(&bytes[*start..*end]);
            }
            Token::Same => bits.gamma(end - start),
            Token::New => {
                bits.gamma((offset - 1) / 256 + 1);
                bits.out.push(((offset - 1) & 0xff) as u8);
                bits.gamma(end - start - 1);
            }
        }
    }
    bits.out
}

/// Unpacks `size` bytes from the front of `stream` as the front does; `None` when the stream is damaged.
pub fn unsqueeze(stream: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut input = stream.iter().copied();
    let mut bits = (0u8, 0u32);
    let mut out = Vec::with_capacity(size);
    let mut offset = 0usize;
    let mut bit = |input: &mut dyn Iterator<Item = u8>| {
        if bits.1 == 0 {
            bits = (input.next()?, 8);
        }
        bits.1 -= 1;
        Some(bits.0 >> bits.1 & 1)
    };
    let gamma = |input: &mut dyn Iterator<Item = u8>,
                 bit: &mut dyn FnMut(&mut dyn Iterator<Item = u8>) -> Option<u8>| {
        let mut number = 1usize;
        while bit(input)? == 1 {
            number = number.checked_mul(2)? | usize::from(bit(input)?);
        }
        Some(number)
    };
    let mut token = Token::Literals;
    loop {
        let length = match token {
            Token::Literals | Token::Same => gamma(&mut input, &mut bit)?,
            Token::New => {
                let high = gamma(&mut input, &mut bit)?;
                offset = (high - 1).checked_mul(256)? + usize::from(input.next()?) + 1;
                gamma(&mut input, &mut bit)? + 1
            }
        };
        if length > size - out.len() {
            return None;
        }
        for _ in 0..length {
            let byte = match token {
                Token::Literals => input.next()?,
                _ => *out.get(out.len().checked_sub(offset)?)?,
            };
            out.push(byte);
        }
        if out.len() == size {
            return Some(out);
        }
        token = match (bit(&mut input)?, token) {
            (1, _) => Token::New,
            (_, Token::Literals) => Token::Same,
            _ => Token::Literals,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_squeezed_comes_back(bytes in proptest::collection::vec(0u8..6, 1..600)) {
            prop_assert_eq!(unsqueeze(&squeeze(&bytes), bytes.len()), Some(bytes));
        }

        #[test]
        fn noise_comes_back_and_grows_by_little(bytes in proptest::collection::vec(any::<u8>(), 1..600)) {
            let squeezed = squeeze(&bytes);
            prop_assert!(squeezed.len() <= bytes.len() + bytes.len() / 64 + 4);
            prop_assert_eq!(unsqueeze(&squeezed, bytes.len()), Some(bytes));
        }

        #[test]
        fn a_damaged_stream_ends(stream in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Some(out) = unsqueeze(&stream, 1000) {
                prop_assert_eq!(out.len(), 1000);
            }
        }
    }

    #[test]
    fn a_cut_stream_gives_nothing() {
        let bytes: Vec<u8> = (0..200u8).chain(0..200).collect();
        let squeezed = squeeze(&bytes);
        for length in 0..squeezed.len() {
            assert_eq!(unsqueeze(&squeezed[..length], bytes.len()), None, "{length} of {}", squeezed.len());
        }
    }
}
