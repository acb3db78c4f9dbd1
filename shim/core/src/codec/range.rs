//! The range decoder under LZMA: single bits, bit trees and direct bits.
//!
//! Written for fast code at `opt-level = "z"` on MIPS32: all of it is inlined into one function so that the state lives in
//! registers, trees are walked without a loop where that pays, and array sizes make the bounds checks vanish.

use core::hint::black_box;
use core::slice::Iter;

/// Probabilities are 11 bits wide.
const ONE: u32 = 1 << 11;
/// A bit moves its probability by 1/32 of the way.
const RATE: u32 = 5;
/// Below this the range takes in another byte.
const TOP: u32 = 1 << 24;

/// A probability of one half, from which every model starts.
pub(super) const HALF: u16 = (ONE / 2) as u16;

/// All trees are walked by loops, for a shim that has no room for more: 300 bytes less, and 9 % slower on MIPS.
pub(super) const LOOPS: bool = cfg!(feature = "loops");

/// The decoder's state. Once the input has run out, `range` is 0 and every bit is 1: callers look at it once per symbol.
pub(super) struct Bits<'a> {
    pub(super) range: u32,
    pub(super) code: u32,
    /// [`ONE`], hidden from the compiler, which would load it again for every bit.
    one: u32,
    input: Iter<'a, u8>,
}

/// Marks its branch as unlikely, so that it is laid out behind the loop.
#[cold]
#[inline(always)]
pub(super) fn rarely() {}

impl<'a> Bits<'a> {
    /// Starts on a stream: one zero byte and four bytes of code; `None` when they are not there.
    #[inline(always)]
    pub(super) fn new(stream: &'a [u8]) -> Option<Self> {
        let (&[first, ref code @ ..], input) = stream.split_first_chunk::<5>()?;
        if first != 0 {
            return None;
        }
        Some(Bits { range: u32::MAX, code: u32::from_be_bytes(*code), one: black_box(ONE), input: input.iter() })
    }

    /// Takes in a byte when one is due.
    #[inline(always)]
    pub(super) fn fill(&mut self) {
        if self.range < TOP {
            rarely();
            self.range <<= 8;
            self.code <<= 8;
            match self.input.next() {
                Some(byte) => self.code |= u32::from(*byte),
                None => self.range = 0,
            }
        }
    }

    /// The next bit, after [`Bits::fill`].
    #[inline(always)]
    pub(super) fn filled_bit(&mut self, model: &mut u16) -> bool {
        let p = u32::from(*model);
        let bound = (self.range >> 11).wrapping_mul(p);
        if self.code < bound {
            self.range = bound;
            *model = p.wrapping_add(self.one.wrapping_sub(p) >> RATE) as u16;
            false
        } else {
            self.range = self.range.wrapping_sub(bound);
            self.code = self.code.wrapping_sub(bound);
            *model = p.wrapping_sub(p >> RATE) as u16;
            true
        }
    }

    /// The next bit.
    #[inline(always)]
    pub(super) fn bit(&mut self, model: &mut u16) -> bool {
        self.fill();
        self.filled_bit(model)
    }

    /// One step down a tree of `N` models, in order: the root is in the middle, what is below it for a 0 in front of it, what is
    /// below it for a 1 behind it. So a 0 costs no instruction for the way, and a 1 two. Gives the half in which it goes on,
    /// and `value` with `weight` added for a 1.
    #[inline(always)]
    fn step<'t, const N: usize, const HALF: usize>(
        &mut self,
        tree: &'t mut [u16; N],
        value: usize,
        weight: usize,
    ) -> (&'t mut [u16; HALF], usize) {
        self.fill();
        let (low, high) = halves::<N, HALF>(tree);
        let p = u32::from(high[0]);
        let bound = (self.range >> 11).wrapping_mul(p);
        if self.code < bound {
            self.range = bound;
            high[0] = p.wrapping_add(self.one.wrapping_sub(p) >> RATE) as u16;
            (low, value)
        } else {
            self.range = self.range.wrapping_sub(bound);
            self.code = self.code.wrapping_sub(bound);
            high[0] = p.wrapping_sub(p >> RATE) as u16;
            (high, value + weight)
        }
    }

    /// A value below 64 from its tree.
    #[inline(always)]
    pub(super) fn six(&mut self, tree: &mut [u16; 64]) -> usize {
        if LOOPS {
            let mut at = 1;
            loop {
                at = self.node(&mut tree[at & 63], at);
                if at >= 64 {
                    return at.wrapping_sub(64);
                }
            }
        }
        let (tree, value) = self.step::<64, 32>(tree, 0, 32);
        let (tree, value) = self.step::<32, 16>(tree, value, 16);
        let (tree, value) = self.step::<16, 8>(tree, value, 8);
        let (tree, value) = self.step::<8, 4>(tree, value, 4);
        let (tree, value) = self.step::<4, 2>(tree, value, 2);
        self.step::<2, 1>(tree, value, 1).1
    }

    /// A value below 16 from its tree, whose first bit is the value's lowest.
    #[inline(always)]
    pub(super) fn reverse_four(&mut self, tree: &mut [u16; 32]) -> usize {
        let (tree, _) = halves::<32, 16>(tree);
        let (tree, value) = self.step::<16, 8>(tree, 0, 1);
        let (tree, value) = self.step::<8, 4>(tree, value, 2);
        let (tree, value) = self.step::<4, 2>(tree, value, 4);
        self.step::<2, 1>(tree, value, 8).1
    }

    /// One step down a tree by levels: from node `at` to node `2 at + bit`.
    #[inline(always)]
    pub(super) fn node(&mut self, model: &mut u16, at: usize) -> usize {
        self.fill();
        // Not by `bit`: one store at the end, and the node computed in the two arms, make the loops around this four instructions shorter.
        let p = u32::from(*model);
        let bound = (self.range >> 11).wrapping_mul(p);
        let mut at = at << 1;
        let moved = if self.code < bound {
            self.range = bound;
            p.wrapping_add(self.one.wrapping_sub(p) >> RATE)
        } else {
            self.range = self.range.wrapping_sub(bound);
            self.code = self.code.wrapping_sub(bound);
            at |= 1;
            p.wrapping_sub(p >> RATE)
        };
        *model = moved as u16;
        at
    }

    /// A value below `limit`, 8 or 256, from a tree by levels.
    #[inline(always)]
    pub(super) fn tree(&mut self, tree: &mut [u16; 256], limit: usize) -> usize {
        let mut at = 1;
        loop {
            at = self.node(&mut tree[at & 0xff], at);
            if at >= limit {
                break;
            }
        }
        at.wrapping_sub(limit)
    }

    /// A value of `count` bits, 1 to 5, from a tree in order, whose first bit is the value's lowest.
    #[inline(always)]
    pub(super) fn reverse(&mut self, tree: &mut [u16; 32], count: u32) -> usize {
        let (mut value, mut weight) = (0, 1);
        let (mut at, mut half) = (0, 1usize << count >> 1);
        loop {
            let node = at + half;
            if self.bit(&mut tree[node & 31]) {
                at = node;
                value += weight;
            }
            weight <<= 1;
            half >>= 1;
            if half == 0 {
                break;
            }
        }
        value
    }

    /// Shifts `count` bits, at least 1, that have no model into `value`.
    #[inline(always)]
    pub(super) fn direct(&mut self, value: usize, mut count: usize) -> usize {
        // Collected with every bit inverted, which is one instruction less per bit.
        let mut inverted = !(value as u32);
        loop {
            self.fill();
            self.range >>= 1;
            let rest = self.code.wrapping_sub(self.range);
            // All ones when the code was below the range, which is now below 2^31.
            let below = (rest.cast_signed() >> 31).cast_unsigned();
            self.code = rest.wrapping_add(self.range & below);
            inverted = (inverted << 1).wrapping_sub(below);
            count = count.wrapping_sub(1);
            if count == 0 {
                break;
            }
        }
        !inverted as usize
    }
}

/// The two halves of a tree in order; the second begins with the root.
#[inline(always)]
fn halves<const N: usize, const HALF: usize>(tree: &mut [u16; N]) -> (&mut [u16; HALF], &mut [u16; HALF]) {
    const { assert!(HALF + HALF == N) };
    let (low, high) = tree.split_at_mut(HALF);
    match (low.first_chunk_mut(), high.first_chunk_mut()) {
        (Some(low), Some(high)) => (low, high),
        _ => unreachable!(),
    }
}
