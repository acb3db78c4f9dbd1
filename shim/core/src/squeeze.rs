//! How the shim is squeezed: the model that says how likely the next bit of its code is. Bits that it expects cost next to
//! nothing. The front unpacks by it (shim/src/arch/mips/unpack.S takes the constants from here), the host tool packs.
//!
//! A MIPS instruction is a word with fields, so words are coded bit by bit from the highest, and the *ring* holds what is
//! known best of every field: bits of this word as far as they are decoded, below them those of the word before. Each of
//! [`MASKS`] picks fields of the ring; with the position and the field's bits so far it names one *weight*. The sum of the
//! weights says which bit is likely, and how likely; afterwards all of them move towards the bit that came.
//!
//! This is logistic regression, as in the PAQ family, with the mixing left away: one byte a weight and no mixer make an
//! unpacker of few instructions, and field masks are worth more than the mixer (docs/decisions.md).

/// Weights, one byte each: what the shim's budget of RAM has behind its code.
pub const WEIGHTS: usize = 40_320;
/// The fields of the ring that name weights; the front's loop ends at 0.
pub const MASKS: [u32; 6] = [0xdc00_0000, 0xf100_65be, 0xfbe8_0000, 0xfc1f_1000, 0x4100_fc00, 0];
/// The lowest bit of each field.
pub const FIELDS: u32 = 0x0421_0805;
/// Spreads names over the weights; odd.
pub const SPREAD: u32 = 0x1583_35ad;
/// See [`unlikely`].
pub const NEAR: u32 = 415;
/// See [`unlikely`].
pub const HALF: u32 = 1 << 16;
/// See [`unlikely`].
pub const SCALE: u32 = 0xe18 << 16;

/// Probabilities are this many bits wide.
pub const BITS: u32 = 12;
/// A weight moves by this part of the error: its shift, after rounding.
const RATE: u32 = 8;

/// How likely the less likely bit is, 1 to 4095 of 4096, when the weights' sum is `sum` away from undecided. Near to
/// 1 / (1 + e^sum): an eighth power is cheap to compute.
pub fn unlikely(sum: u32) -> u32 {
    let near = sum.wrapping_add(NEAR);
    let square = near.wrapping_mul(near) >> 6;
    let fourth = square.wrapping_mul(square) >> 15;
    let eighth = fourth.wrapping_mul(fourth);
    SCALE / eighth.wrapping_add(HALF)
}

// The largest sum still leaves the unlikely bit its share.
const _: () = {
    let near = NEAR + MASKS.len() as u32 * 128;
    let square = (near * near) >> 6;
    let fourth = ((square * square) >> 15) as u64;
    assert!(fourth * fourth + HALF as u64 <= SCALE as u64);
};

/// The model, before the first bit or somewhere in the stream.
pub struct Model {
    weights: [i8; WEIGHTS],
    ring: u32,
    /// The bit of the ring that comes next.
    next: u32,
    /// The field's bits so far.
    prefix: u32,
    /// Sign of the sum for the next bit: 0, or all ones when a 0 is likely.
    sign: u32,
    /// How likely the less likely bit is.
    unlikely: u32,
}

impl Model {
    /// Knows nothing.
    #[allow(clippy::new_without_default, reason = "40 KiB by value: the caller chooses where it lives")]
    pub fn new() -> Self {
        Model { weights: [0; WEIGHTS], ring: 0, next: 1 << 31, prefix: 0, sign: 0, unlikely: 0 }
    }

    /// The weights that the coming bit depends on.
    fn names(&self) -> impl Iterator<Item = usize> + use<> {
        let (ring, place) = (self.ring, self.next.wrapping_mul(SPREAD).wrapping_add(self.prefix));
        MASKS.into_iter().map(move |mask| {
            let name = ((ring & mask).wrapping_add(mask) ^ place).wrapping_mul(SPREAD);
            (u64::from(name).wrapping_mul(WEIGHTS as u64) >> 32) as usize
        })
    }

    /// The bit that is likely to come, and how likely the other one is: 1 to 4095 of 4096.
    pub fn predict(&mut self) -> (bool, u32) {
        let weight = |name: usize| self.weights.get(name).copied().unwrap_or(0);
        let sum = self.names().map(|name| i32::from(weight(name))).fold(0, i32::wrapping_add);
        self.sign = (sum >> 31).cast_unsigned();
        self.unlikely = unlikely(sum.cast_unsigned() ^ self.sign);
        (self.sign == 0, self.unlikely)
    }

    /// The bit that came, after [`Model::predict`]. A whole word when it was the last one of it.
    pub fn update(&mut self, bit: bool) -> Option<u32> {
        let wrong = u32::from(bit != (self.sign == 0));
        let error = self.unlikely.wrapping_sub(wrong << BITS).wrapping_add(1 << (RATE - 1)).cast_signed() >> RATE;
        let step = (error ^ self.sign.cast_signed()).wrapping_sub(self.sign.cast_signed());
        for name in self.names() {
            if let Some(weight) = self.weights.get_mut(name) {
                // A weight at its end stays there.
                *weight = i8::try_from(i32::from(*weight).wrapping_add(step)).unwrap_or(*weight);
            }
        }
        self.ring = if bit { self.ring | self.next } else { self.ring & !self.next };
        self.prefix = self.prefix << 1 | u32::from(bit);
        if self.next & FIELDS != 0 {
            self.prefix = 0;
        }
        let last = self.next == 1;
        self.next = self.next.rotate_right(1);
        last.then_some(self.ring)
    }
}
