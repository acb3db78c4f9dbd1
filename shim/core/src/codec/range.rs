//! The range decoder under LZMA: single bits, bit trees and direct bits.
//!
//! Written for small and fast code at `opt-level = "z"` on MIPS32: all of it is inlined into one function so that the state lives
//! in registers, loops test at their end, and array sizes make the bounds checks vanish.

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

    /// One step down a tree: from node `at` to node `2 at + bit`.
    #[inline(always)]
    pub(super) fn step(&mut self, model: &mut u16, at: usize) -> usize {
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

    /// Walks a tree from its root to a leaf: a value below `limit`, a power of two up to 256.
    #[inline(always)]
    pub(super) fn tree(&mut self, tree: &mut [u16; 256], limit: usize) -> usize {
        let mut at = 1;
        loop {
            at = self.step(&mut tree[at & 0xff], at);
            if at >= limit {
                break;
            }
        }
        at.wrapping_sub(limit)
    }

    /// Walks a tree of `count` levels, 1 to 5, whose first bit is the value's lowest.
    #[inline(always)]
    pub(super) fn reverse_tree(&mut self, tree: &mut [u16; 32], count: u32) -> usize {
        let (mut value, mut at, mut weight) = (0, 1, 1);
        loop {
            let model = &mut tree[at & 31];
            at <<= 1;
            if self.bit(model) {
                at |= 1;
                value += weight;
            }
            weight <<= 1;
            if weight >> count != 0 {
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
