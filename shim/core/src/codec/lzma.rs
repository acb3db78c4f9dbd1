//! LZMA in the "alone" container (`.lzma`, `xz --format=lzma`): 13 bytes of header, then one stream.
//!
//! Format: "LZMA specification", Igor Pavlov, 2015 (`lzma-specification.txt` in the LZMA SDK, public domain).
//! The destination is the dictionary, so the header's dictionary size costs no memory.

use super::copy;
use super::range::{Bits, HALF, LOOPS, rarely};
use crate::watchdog::EVERY;

/// Most that `lc + lp` may be: the number of literal coders is two to this power.
const MAX_LITERAL_BITS: u32 = 4;
/// The largest dictionary that makes sense on a board: all of KSEG0, in bytes.
const MAX_DICTIONARY: u32 = 512 << 20;
/// What the size field holds when only the end marker ends the stream.
const UNKNOWN: u64 = u64::MAX;

// Where the models lie in `Probs`. States count to 12, steps (`pos & mask`) to 16.
/// A match and not a literal: by state and step.
const MATCH: usize = 0;
/// A match with an earlier distance: by state. Then the choices among those distances, 12 states each: not the last, not the one before…
const REPEAT: usize = 192;
/// The last distance again, more than one byte: by state and step.
const LONG: usize = REPEAT + 4 * STATES;
/// Trees for the distance slot: 64 each, by length.
const SLOT: usize = LONG + 192;
/// Reverse trees for the distances of slots 4 to 13, packed: [`Decoder::distance`] says how.
const SPECIAL: usize = SLOT + 4 * 64 - 1;
/// Reverse tree for the low four bits of larger distances.
const ALIGN: usize = SPECIAL + 115;
/// Lengths after a new distance: two choices, 16 low trees of 8, 16 middle trees of 8, a high tree of 256.
const LENGTH: usize = ALIGN + 16;
/// Lengths after an earlier distance, alike.
const REPEAT_LENGTH: usize = LENGTH + LENGTH_MODELS;
/// Where the literal coders begin.
const LITERALS: usize = REPEAT_LENGTH + LENGTH_MODELS;

const LENGTH_MODELS: usize = 2 + 128 + 128 + 256;
const STATES: usize = 12;
/// Models of one literal coder: plain, and for either value of the bit that a match would have given.
const CODER: usize = 0x300;

/// Most literal coders.
const CODERS: usize = 1 << MAX_LITERAL_BITS;

/// The state after a literal: what the last symbols were decides how likely the next one is a match.
const AFTER_LITERAL: [u8; 16] = [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 4, 5, 0, 0, 0, 0];

/// The decoder's scratch memory: 28,268 bytes, of no meaning before and after [`decode`].
pub struct Probs([u16; LITERALS + CODER * CODERS]);

impl Probs {
    /// All zero, so that a static costs no bytes in the image.
    #[allow(clippy::new_without_default, reason = "28 KiB by value: the caller chooses where it lives")]
    pub const fn new() -> Self {
        Probs([0; LITERALS + CODER * CODERS])
    }

    /// Their first bytes, for whoever needs memory while nothing is decoded.
    pub(super) fn bytes<const N: usize>(&mut self) -> &mut [u8; N] {
        const { assert!(N <= size_of::<Self>()) };
        match bytemuck::must_cast_slice_mut(&mut self.0).first_chunk_mut() {
            Some(bytes) => bytes,
            None => unreachable!(),
        }
    }
}

/// The 13 bytes in front of the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// High bits of the previous byte that choose a literal's coder: 0 to 4.
    pub lc: u32,
    /// Low bits of the position that choose a literal's coder: 0 to 4, and `lc + lp <= 4`.
    pub lp: u32,
    /// Low bits of the position that choose other models: 0 to 4.
    pub pb: u32,
    /// The farthest distance that the encoder used, in bytes.
    pub dictionary: u32,
    /// Bytes after decoding; `None` when the stream's end marker says it.
    pub size: Option<u64>,
}

impl Header {
    /// Reads the header and returns what follows it. `None` when it is cut, when no decoder could mean these properties,
    /// when `lc + lp > 4`, and when the dictionary is larger than 512 MiB.
    #[inline(always)]
    pub fn read(stored: &[u8]) -> Option<(Self, &[u8])> {
        let ([properties, field @ ..], stream) = stored.split_first_chunk::<13>()?;
        let [d0, d1, d2, d3, size @ ..] = *field;
        let (mut lc, mut lp, mut pb) = (u32::from(*properties), 0, 0);
        while lc >= 45 {
            lc -= 45;
            pb += 1;
        }
        while lc >= 9 {
            lc -= 9;
            lp += 1;
        }
        let dictionary = u32::from_le_bytes([d0, d1, d2, d3]);
        if lc + lp > MAX_LITERAL_BITS || pb > 4 || dictionary > MAX_DICTIONARY {
            return None;
        }
        let size = u64::from_le_bytes(size);
        Some((Header { lc, lp, pb, dictionary, size: (size != UNKNOWN).then_some(size) }, stream))
    }
}

/// Decodes `stored` to the front of `out` and returns how many bytes that made. Bytes of `stored` behind the stream's end are ignored.
///
/// The stream ends at the header's size, or at an end marker, which is accepted in both cases but never before that size.
///
/// # Errors
/// How many bytes had been produced when the damage was noticed: a header that [`Header::read`] refuses or whose size exceeds
/// `out`, a stream that is cut, that reaches back before the first byte, that produces more than `out` or the header's size, or
/// that does not end as LZMA does. Every input ends in time linear to `stored` and `out`.
///
/// `feed` is called for every [`EVERY`] bytes that come out.
#[inline(never)]
pub fn decode(stored: &[u8], out: &mut [u8], probs: &mut Probs, feed: &impl Fn()) -> Result<usize, usize> {
    let mut produced = 0;
    match run(stored, out, probs, feed, &mut produced) {
        Some(()) => Ok(produced),
        None => Err(produced),
    }
}

#[inline(always)]
fn run(stored: &[u8], mut out: &mut [u8], probs: &mut Probs, feed: &impl Fn(), produced: &mut usize) -> Option<()> {
    let (header, stream) = Header::read(stored)?;
    let mut end = usize::MAX;
    if let Some(size) = header.size {
        end = usize::try_from(size).ok()?;
        out = out.get_mut(..end)?;
    }
    let mut bits = Bits::new(stream)?;
    // Its address is a constant to the compiler, which would be loaded again for every symbol.
    let probs = core::hint::black_box(probs);
    probs.0.fill(HALF);
    let (models, literals) = probs.0.split_first_chunk_mut::<LITERALS>()?;
    let literals = literals.as_chunks_mut::<CODER>().0.first_chunk_mut::<CODERS>()?;
    let step_mask = (1usize << header.pb) - 1;
    let coder_mask = (0x100usize << header.lp) - (0x100 >> header.lc);
    let coder_shift = 8 - header.lc;
    let (mut state, mut pos) = (0, 0usize);
    // Distances less one: the last, and the three before.
    let mut distance = 0;
    let mut earlier = [0; 3];
    // The end, or where the watchdog is fed next: one comparison for both.
    let mut pause = 0;
    'symbols: loop {
        let step = pos & step_mask;
        let row = (state * 16 + step) & 0xff;
        let after_match = state >= 7;
        bits.fill();
        if pos >= pause {
            rarely();
            if pos == end && bits.code == 0 {
                if bits.range == 0 {
                    break;
                }
                *produced = pos;
                return Some(());
            }
            feed();
            pause = end.min(pos.wrapping_add(EVERY));
        }
        if !bits.filled_bit(&mut models[MATCH + row]) {
            // The coder's number: low bits of the position, then high bits of the last byte.
            let last = out.get(pos.wrapping_sub(1)).copied().unwrap_or(0);
            let coder = ((pos << 8 | usize::from(last)) & coder_mask) >> coder_shift;
            let coder = &mut literals[coder & (CODERS - 1)];
            let mut guess = None;
            if after_match {
                let Some(byte) = out.get(pos.wrapping_sub(distance).wrapping_sub(1)) else { break };
                guess = Some(*byte);
            }
            let byte = literal(&mut bits, coder, guess);
            let Some(to) = out.get_mut(pos) else { break };
            *to = byte;
            pos += 1;
            state = usize::from(AFTER_LITERAL[state & 15]);
            continue;
        }
        let len = 'len: {
            let flags = state & 15;
            let (mut lengths, mut repeated) = (LENGTH, false);
            if !bits.bit(&mut models[REPEAT + flags]) {
                earlier = [distance, earlier[0], earlier[1]];
                state = if after_match { 10 } else { 7 };
            } else {
                // Out of input all bits are 1, so that every cut stream comes here.
                if bits.range == 0 {
                    break 'symbols;
                }
                let mut at = REPEAT + STATES + flags;
                for earlier in &mut earlier {
                    if !bits.bit(&mut models[at & 0xff]) {
                        break;
                    }
                    core::mem::swap(&mut distance, earlier);
                    at += STATES;
                }
                if at < REPEAT + 2 * STATES && !bits.bit(&mut models[LONG + row]) {
                    state = if after_match { 11 } else { 9 };
                    break 'len 1;
                }
                state = if after_match { 11 } else { 8 };
                (lengths, repeated) = (REPEAT_LENGTH, true);
            }
            let (mut at, mut limit, mut len) = (lengths + 2 + (step & 15) * 8, 8, 2);
            let Some([middle, high]) = models.get_mut(lengths..).and_then(|models| models.first_chunk_mut()) else {
                break 'symbols;
            };
            if bits.bit(middle) {
                (at, len) = (at + 128, 10);
                if bits.bit(high) {
                    (at, limit, len) = (lengths + 2 + 256, 256, 18);
                }
            }
            let Some(tree) = models.get_mut(at..).and_then(|models| models.first_chunk_mut()) else { break 'symbols };
            len += bits.tree(tree, limit);
            if repeated {
                break 'len len;
            }
            at = SLOT - 2 * 64 + len.min(5) * 64;
            let Some(tree) = models.get_mut(at..).and_then(|models| models.first_chunk_mut()) else { break 'symbols };
            let slot = bits.six(tree);
            distance = slot;
            if slot >= 4 {
                // A slot gives the two highest bits and how many follow.
                let mut count = (slot as u32 >> 1) - 1;
                distance = 2 | slot & 1;
                let at;
                if slot < 14 {
                    distance <<= count;
                    // Trees of 2, 2, 4, 4, 8… models overlap, each without its unused first one.
                    at = SPECIAL + distance - slot;
                } else {
                    distance = bits.direct(distance, count as usize - 4) << 4;
                    (at, count) = (ALIGN, 4);
                }
                let Some(tree) = models.get_mut(at..).and_then(|models| models.first_chunk_mut()) else {
                    break 'symbols;
                };
                let rest = if LOOPS || slot < 14 { bits.reverse(tree, count) } else { bits.reverse_four(tree) };
                distance = distance.wrapping_add(rest);
                if distance as u32 == u32::MAX {
                    // The end marker.
                    if end > pos && end != usize::MAX {
                        break 'symbols;
                    }
                    (end, pause) = (pos, pos);
                    continue 'symbols;
                }
            }
            len
        };
        // Where the end is not known, nothing is written behind a match.
        if copy::back(out, pos, distance, len, header.size.is_some()).is_none() {
            break;
        }
        pos += len;
    }
    *produced = pos;
    None
}

/// A literal. After a match, `guess` is the byte that the match would have given next: its bits choose models until one is wrong.
#[inline(always)]
fn literal(bits: &mut Bits<'_>, coder: &mut [u16; CODER], guess: Option<u8>) -> u8 {
    let mut at = 1;
    if let Some(guess) = guess {
        let mut guess = usize::from(guess);
        loop {
            guess <<= 1;
            at = bits.node(&mut coder[0x100 + (guess & 0x100) + (at & 0xff)], at);
            if at >= 0x100 {
                return at as u8;
            }
            if (guess >> 8 ^ at) & 1 != 0 {
                break;
            }
        }
    }
    loop {
        at = bits.node(&mut coder[at & 0xff], at);
        if at >= 0x100 {
            return at as u8;
        }
    }
}
