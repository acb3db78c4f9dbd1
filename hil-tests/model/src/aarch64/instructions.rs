//! What the base instructions of A64 do to registers (Arm ARM, C4 and C6): no floating point, no atomics, no exceptions. The
//! decoding is by whole classes, not by what a compiler happens to use.

use super::stop::Stop;

/// Bits `from` to `from + width` of an instruction.
fn bits(word: u32, from: u32, width: u32) -> u32 {
    (word >> from) & ((1 << width) - 1)
}

/// The same as a signed number.
fn signed(word: u32, from: u32, width: u32) -> i64 {
    (i64::from(bits(word, from, width)) << (64 - width)) >> (64 - width)
}

/// The low `size` bytes of a value.
pub fn low(value: u64, size: usize) -> u64 {
    value & ones(8 * size as u32)
}

/// What an instruction asks of the world outside the registers.
pub trait Outside {
    /// A load of `size` bytes.
    ///
    /// # Errors
    /// What the access does wrong.
    fn load(&mut self, registers: &Registers, at: u64, size: usize) -> Result<u64, Stop>;
    /// A store of `size` bytes.
    ///
    /// # Errors
    /// As for [`Outside::load`].
    fn store(&mut self, registers: &Registers, at: u64, size: usize, value: u64) -> Result<(), Stop>;
    /// An instruction of the system class: MSR, MRS, SYS, barriers, hints.
    ///
    /// # Errors
    /// As for [`Outside::load`].
    fn system(&mut self, registers: &mut Registers, word: u32) -> Result<(), Stop>;
}

/// The general registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Registers {
    /// x0 to x30.
    pub x: [u64; 31],
    /// The current stack pointer.
    pub sp: u64,
    /// Address of the instruction that runs.
    pub pc: u64,
    /// N, Z, C, V from bit 3 down.
    pub nzcv: u32,
}

impl Registers {
    /// A register in which 31 is zero.
    pub fn get(&self, number: u32) -> u64 {
        self.x.get(number as usize).copied().unwrap_or(0)
    }

    /// Writes one in which 31 is nothing.
    pub fn set(&mut self, number: u32, value: u64) {
        if let Some(register) = self.x.get_mut(number as usize) {
            *register = value;
        }
    }

    fn or_sp(&self, number: u32) -> u64 {
        self.x.get(number as usize).copied().unwrap_or(self.sp)
    }

    fn set_or_sp(&mut self, number: u32, value: u64) {
        *self.x.get_mut(number as usize).unwrap_or(&mut self.sp) = value;
    }

    fn carry(&self) -> bool {
        self.nzcv & 2 != 0
    }

    /// Whether condition `number` holds.
    fn holds(&self, number: u32) -> bool {
        let [n, z, c, v] = [8, 4, 2, 1].map(|flag| self.nzcv & flag != 0);
        let base = match number >> 1 {
            0 => z,
            1 => c,
            2 => n,
            3 => v,
            4 => c && !z,
            5 => n == v,
            6 => n == v && !z,
            _ => return true,
        };
        base != (number & 1 != 0)
    }

    /// Sum and flags in 64 bits, or in 32.
    fn add(&mut self, wide: bool, one: u64, two: u64, carry: bool, flags: bool) -> u64 {
        let (sum, unsigned, overflow) = if wide {
            let sum = u128::from(one) + u128::from(two) + u128::from(carry);
            let signed = i128::from(one as i64) + i128::from(two as i64) + i128::from(carry);
            (sum as u64, sum >> 64 != 0, i128::from(sum as i64) != signed)
        } else {
            let (one, two) = (one as u32, two as u32);
            let sum = u64::from(one) + u64::from(two) + u64::from(carry);
            let signed = i64::from(one as i32) + i64::from(two as i32) + i64::from(carry);
            (u64::from(sum as u32), sum >> 32 != 0, i64::from(sum as i32) != signed)
        };
        if flags {
            self.flags_of(wide, sum);
            self.nzcv |= u32::from(unsigned) << 1 | u32::from(overflow);
        }
        sum
    }

    /// N and Z; C and V become 0.
    fn flags_of(&mut self, wide: bool, value: u64) {
        let negative = if wide { value >> 63 } else { value >> 31 & 1 };
        let zero = if wide { value == 0 } else { value as u32 == 0 };
        self.nzcv = (negative as u32) << 3 | u32::from(zero) << 2;
    }
}

/// Runs the instruction `word` at `registers.pc` and moves that on.
///
/// # Errors
/// An instruction that is not known here, or what `outside` says.
pub fn run(registers: &mut Registers, outside: &mut impl Outside, word: u32) -> Result<(), Stop> {
    let next = registers.pc.wrapping_add(4);
    let done = match bits(word, 25, 4) {
        0b1000 | 0b1001 => immediate(registers, word),
        0b1010 | 0b1011 => {
            if bits(word, 22, 10) == 0b11_0101_0100 {
                outside.system(registers, word)?;
                Some(())
            } else {
                // HVC and SMC, with 0.
                if matches!(word, 0xd400_0002 | 0xd400_0003) {
                    return Err(Stop::Calls(registers.get(0) as u32));
                }
                return branch(registers, word, next).ok_or(Stop::Undefined(word));
            }
        }
        0b0101 | 0b1101 => of_registers(registers, word),
        0b0100 | 0b1100 => return memory(registers, outside, word).map(|()| registers.pc = next),
        _ => None,
    };
    done.ok_or(Stop::Undefined(word))?;
    registers.pc = next;
    Ok(())
}

/// Keeps 64 or 32 bits.
fn narrow(wide: bool, value: u64) -> u64 {
    if wide { value } else { value & 0xffff_ffff }
}

fn immediate(r: &mut Registers, word: u32) -> Option<()> {
    let (wide, d, n) = (word >> 31 != 0, bits(word, 0, 5), bits(word, 5, 5));
    let op = bits(word, 29, 2);
    match bits(word, 23, 6) {
        0b10_0000 | 0b10_0001 => {
            let offset = signed(word, 5, 19) << 2 | i64::from(op);
            let value = if wide {
                (r.pc & !0xfff).wrapping_add((offset << 12) as u64)
            } else {
                r.pc.wrapping_add(offset as u64)
            };
            r.set(d, value);
        }
        0b10_0010 => {
            let value = u64::from(bits(word, 10, 12)) << (12 * bits(word, 22, 1));
            let (one, subtract, flags) = (r.or_sp(n), op & 2 != 0, op & 1 != 0);
            let sum = r.add(wide, one, if subtract { !value } else { value }, subtract, flags);
            if flags { r.set(d, sum) } else { r.set_or_sp(d, sum) }
        }
        0b10_0100 => {
            let (mask, _) = bit_masks(wide, bits(word, 22, 1), bits(word, 10, 6), bits(word, 16, 6))?;
            let value = logical(r, wide, op, r.get(n), mask);
            if op == 3 { r.set(d, value) } else { r.set_or_sp(d, value) }
        }
        0b10_0101 => {
            let shift = 16 * bits(word, 21, 2);
            let value = u64::from(bits(word, 5, 16)) << shift;
            let value = match op {
                0 => !value,
                2 => value,
                3 => r.get(d) & !(0xffff << shift) | value,
                _ => return None,
            };
            if !wide && shift > 16 {
                return None;
            }
            r.set(d, narrow(wide, value));
        }
        0b10_0110 => {
            let (rotate, top) = (bits(word, 16, 6), bits(word, 10, 6));
            let (mask, fields) = bit_masks(wide, bits(word, 22, 1), top, rotate).or_else(|| {
                // All ones are no immediate of a logical instruction, but a field of all bits.
                let all = if wide { 63 } else { 31 };
                (top == all && rotate <= all)
                    .then(|| (rotated(wide, narrow(wide, u64::MAX), rotate), field(wide, top, rotate)))
            })?;
            let source = r.get(n);
            let moved = rotated(wide, narrow(wide, source), rotate);
            let value = match op {
                0 => {
                    let sign = if source >> top & 1 != 0 { u64::MAX } else { 0 };
                    sign & !fields | moved & mask & fields
                }
                1 => {
                    let old = r.get(d);
                    let bottom = old & !mask | moved & mask;
                    old & !fields | bottom & fields
                }
                2 => moved & mask & fields,
                _ => return None,
            };
            r.set(d, narrow(wide, value));
        }
        0b10_0111 if op == 0 => {
            let (shift, low, high) = (bits(word, 10, 6), r.get(bits(word, 16, 5)), r.get(n));
            let value = if wide {
                (u128::from(high) << 64 | u128::from(low)) >> shift
            } else {
                (u128::from(high as u32) << 32 | u128::from(low as u32)) >> (shift & 31)
            };
            r.set(d, narrow(wide, value as u64));
        }
        _ => return None,
    }
    Some(())
}

fn rotated(wide: bool, value: u64, by: u32) -> u64 {
    if wide { value.rotate_right(by) } else { u64::from((value as u32).rotate_right(by)) }
}

/// The mask of bits that a bit-field instruction writes at all: DecodeBitMasks' tmask.
fn field(wide: bool, top: u32, rotate: u32) -> u64 {
    let levels = if wide { 63 } else { 31 };
    ones((top.wrapping_sub(rotate) & levels) + 1)
}

fn ones(count: u32) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

/// DecodeBitMasks (Arm ARM, J1): wmask and tmask. `None` for what is reserved, and for all ones.
fn bit_masks(wide: bool, n: u32, top: u32, rotate: u32) -> Option<(u64, u64)> {
    let length = 31u32.checked_sub((n << 6 | !top & 63).leading_zeros())?;
    if length == 0 || !wide && n != 0 {
        return None;
    }
    let (size, levels) = (1 << length, (1 << length) - 1);
    let (s, r) = (top & levels, rotate & levels);
    if s == levels {
        return None;
    }
    let repeat = |element: u64| (0..64 / size).fold(0, |all, number| all | element << (number * size));
    let element = ones(s + 1);
    let turned = (element >> r | element << ((size - r) % size)) & ones(size);
    let turned = if r == 0 { element } else { turned };
    let fields = ones((s.wrapping_sub(r) & levels) + 1);
    Some((narrow(wide, repeat(turned)), narrow(wide, repeat(fields))))
}

fn logical(r: &mut Registers, wide: bool, op: u32, one: u64, two: u64) -> u64 {
    let value = narrow(
        wide,
        match op {
            1 => one | two,
            2 => one ^ two,
            _ => one & two,
        },
    );
    if op == 3 {
        r.flags_of(wide, value);
    }
    value
}

fn branch(r: &mut Registers, word: u32, next: u64) -> Option<()> {
    let (wide, t) = (word >> 31 != 0, bits(word, 0, 5));
    let far = |width, from| r.pc.wrapping_add((signed(word, from, width) << 2) as u64);
    let target = match bits(word, 24, 8) {
        0x14..=0x17 => far(26, 0),
        0x94..=0x97 => {
            let to = far(26, 0);
            r.set(30, next);
            to
        }
        0x54 if word & 16 == 0 => {
            if r.holds(bits(word, 0, 4)) {
                far(19, 5)
            } else {
                next
            }
        }
        0x34 | 0x35 | 0xb4 | 0xb5 => {
            let zero = narrow(wide, r.get(t)) == 0;
            if zero != (word >> 24 & 1 != 0) { far(19, 5) } else { next }
        }
        0x36 | 0x37 | 0xb6 | 0xb7 => {
            let bit = bits(word, 31, 1) << 5 | bits(word, 19, 5);
            let set = r.get(t) >> bit & 1 != 0;
            if set == (word >> 24 & 1 != 0) { far(14, 5) } else { next }
        }
        0xd6 if word & 0xff9f_fc1f == 0xd61f_0000 => {
            let to = r.get(bits(word, 5, 5));
            match bits(word, 21, 2) {
                0 | 2 => {}
                1 => r.set(30, next),
                _ => return None,
            }
            to
        }
        _ => return None,
    };
    r.pc = target;
    Some(())
}

fn of_registers(r: &mut Registers, word: u32) -> Option<()> {
    let (wide, d, n, m) = (word >> 31 != 0, bits(word, 0, 5), bits(word, 5, 5), bits(word, 16, 5));
    let (op, amount) = (bits(word, 29, 2), bits(word, 10, 6));
    let (subtract, flags) = (op & 2 != 0, op & 1 != 0);
    match bits(word, 21, 8) {
        0b0101_0000..=0b0101_0111 => {
            let other = shifted(wide, r.get(m), bits(word, 22, 2), amount)?;
            let other = if word >> 21 & 1 != 0 { !other } else { other };
            let value = logical(r, wide, op, r.get(n), other);
            r.set(d, value);
        }
        0b0101_1000 | 0b0101_1010 | 0b0101_1100 => {
            let other = shifted(wide, r.get(m), bits(word, 22, 2), amount)?;
            let sum = r.add(wide, r.get(n), if subtract { !other } else { other }, subtract, flags);
            r.set(d, sum);
        }
        0b0101_1001 if bits(word, 10, 3) <= 4 => {
            let other = extended(r.get(m), bits(word, 13, 3), bits(word, 10, 3));
            let sum = r.add(wide, r.or_sp(n), if subtract { !other } else { other }, subtract, flags);
            if flags { r.set(d, sum) } else { r.set_or_sp(d, sum) }
        }
        0b1101_0000 if amount == 0 => {
            let other = r.get(m);
            let sum = r.add(wide, r.get(n), if subtract { !other } else { other }, r.carry(), flags);
            r.set(d, sum);
        }
        0b1101_0010 if flags && word & 0x410 == 0 => {
            if r.holds(bits(word, 12, 4)) {
                let other = if word >> 11 & 1 != 0 { u64::from(m) } else { r.get(m) };
                r.add(wide, r.get(n), if subtract { !other } else { other }, subtract, true);
            } else {
                r.nzcv = bits(word, 0, 4);
            }
        }
        0b1101_0100 if !flags => {
            let value = if r.holds(bits(word, 12, 4)) {
                r.get(n)
            } else {
                let other = if subtract { !r.get(m) } else { r.get(m) };
                match bits(word, 10, 2) {
                    0 => other,
                    1 => other.wrapping_add(1),
                    _ => return None,
                }
            };
            r.set(d, narrow(wide, value));
        }
        0b1101_0110 if op == 0 => r.set(d, two_sources(wide, r.get(n), r.get(m), amount)?),
        0b1101_0110 if op == 2 && m == 0 => r.set(d, one_source(wide, r.get(n), amount)?),
        0b1101_1000..=0b1101_1111 if op == 0 => r.set(d, three_sources(r, word)?),
        _ => return None,
    }
    Some(())
}

fn shifted(wide: bool, value: u64, kind: u32, by: u32) -> Option<u64> {
    if wide {
        Some(match kind {
            0 => value << by,
            1 => value >> by,
            2 => (value as i64 >> by) as u64,
            _ => value.rotate_right(by),
        })
    } else if by < 32 {
        let value = value as u32;
        Some(u64::from(match kind {
            0 => value << by,
            1 => value >> by,
            2 => (value as i32 >> by) as u32,
            _ => value.rotate_right(by),
        }))
    } else {
        None
    }
}

fn extended(value: u64, kind: u32, shift: u32) -> u64 {
    let value = match kind {
        0 => u64::from(value as u8),
        1 => u64::from(value as u16),
        2 => u64::from(value as u32),
        4 => i64::from(value as i8) as u64,
        5 => i64::from(value as i16) as u64,
        6 => i64::from(value as i32) as u64,
        _ => value,
    };
    value << shift
}

fn two_sources(wide: bool, one: u64, two: u64, what: u32) -> Option<u64> {
    let levels = if wide { 63 } else { 31 };
    Some(match what {
        0b00_0010 => narrow(wide, one).checked_div(narrow(wide, two)).unwrap_or(0),
        0b00_0011 if wide => {
            (one as i64).checked_div(two as i64).unwrap_or(if two == 0 { 0 } else { one as i64 }) as u64
        }
        0b00_0011 => {
            let (one, two) = (one as i32, two as i32);
            u64::from(one.checked_div(two).unwrap_or(if two == 0 { 0 } else { one }) as u32)
        }
        0b00_1000..=0b00_1011 => shifted(wide, one, what & 3, (two & levels) as u32)?,
        _ => return None,
    })
}

fn one_source(wide: bool, value: u64, what: u32) -> Option<u64> {
    let short = value as u32;
    Some(match (what, wide) {
        (0, true) => value.reverse_bits(),
        (0, false) => u64::from(short.reverse_bits()),
        (1, _) => narrow(wide, (value & 0xff00_ff00_ff00_ff00) >> 8 | (value & 0x00ff_00ff_00ff_00ff) << 8),
        (2, true) => value.swap_bytes().rotate_left(32),
        (2, false) => u64::from(short.swap_bytes()),
        (3, true) => value.swap_bytes(),
        (4, true) => u64::from(value.leading_zeros()),
        (4, false) => u64::from(short.leading_zeros()),
        (5, true) => u64::from((value ^ (value as i64 >> 1) as u64).leading_zeros().min(64) - 1),
        (5, false) => u64::from((short ^ (short as i32 >> 1) as u32).leading_zeros().min(32) - 1),
        _ => return None,
    })
}

fn three_sources(r: &Registers, word: u32) -> Option<u64> {
    let wide = word >> 31 != 0;
    let [one, two, three] = [5, 16, 10].map(|from| r.get(bits(word, from, 5)));
    let subtract = word >> 15 & 1 != 0;
    let product = match bits(word, 21, 3) {
        0 => one.wrapping_mul(two),
        1 if wide => (i64::from(one as i32) * i64::from(two as i32)) as u64,
        5 if wide => u64::from(one as u32) * u64::from(two as u32),
        2 if wide && !subtract => return Some(((i128::from(one as i64) * i128::from(two as i64)) >> 64) as u64),
        6 if wide && !subtract => return Some(((u128::from(one) * u128::from(two)) >> 64) as u64),
        _ => return None,
    };
    Some(narrow(wide, if subtract { three.wrapping_sub(product) } else { three.wrapping_add(product) }))
}

/// Loads and stores of the general registers.
fn memory(r: &mut Registers, outside: &mut impl Outside, word: u32) -> Result<(), Stop> {
    let undefined = || Stop::Undefined(word);
    if word >> 26 & 1 != 0 {
        return Err(undefined());
    }
    let (size, opc, t, n) = (bits(word, 30, 2), bits(word, 22, 2), bits(word, 0, 5), bits(word, 5, 5));
    match bits(word, 27, 3) {
        0b011 if word >> 24 & 1 == 0 => {
            let at = r.pc.wrapping_add((signed(word, 5, 19) << 2) as u64);
            match size {
                0 => r.set(t, outside.load(r, at, 4)?),
                1 => r.set(t, outside.load(r, at, 8)?),
                2 => r.set(t, outside.load(r, at, 4)? as u32 as i32 as i64 as u64),
                _ => {}
            }
            Ok(())
        }
        0b101 => pair(r, outside, word),
        0b111 => {
            let offset = signed(word, 12, 9) as u64;
            let base = r.or_sp(n);
            let (at, after) = match (bits(word, 24, 1), bits(word, 21, 1), bits(word, 10, 2)) {
                (1, ..) => (base.wrapping_add(u64::from(bits(word, 10, 12)) << size), None),
                (0, 0, 0) => (base.wrapping_add(offset), None),
                (0, 0, 1) => (base, Some(base.wrapping_add(offset))),
                (0, 0, 3) => (base.wrapping_add(offset), Some(base.wrapping_add(offset))),
                (0, 1, 2) if bits(word, 14, 1) == 1 => {
                    let shift = if word >> 12 & 1 != 0 { size } else { 0 };
                    let index = extended(r.get(bits(word, 16, 5)), bits(word, 13, 3), shift);
                    (base.wrapping_add(index), None)
                }
                _ => return Err(undefined()),
            };
            if after.is_some() && n == t && n != 31 {
                return Err(undefined());
            }
            single(r, outside, (size, opc, t), at).ok_or_else(undefined)??;
            if let Some(after) = after {
                r.set_or_sp(n, after);
            }
            Ok(())
        }
        _ => Err(undefined()),
    }
}

/// `None` when there is no such access.
fn single(
    r: &mut Registers,
    outside: &mut impl Outside,
    (size, opc, t): (u32, u32, u32),
    at: u64,
) -> Option<Result<(), Stop>> {
    let bytes = 1 << size;
    let bit = 64 - 8 * bytes as u32;
    let done = match (opc, size) {
        (0, _) => outside.store(r, at, bytes, r.get(t)),
        (1, _) => outside.load(r, at, bytes).map(|value| r.set(t, value)),
        (2, 3) => Ok(()),
        (2, _) => outside.load(r, at, bytes).map(|value| r.set(t, ((value << bit) as i64 >> bit) as u64)),
        (3, 0 | 1) => {
            let sign = |value: u64| narrow(false, ((value << bit) as i64 >> bit) as u64);
            outside.load(r, at, bytes).map(|value| r.set(t, sign(value)))
        }
        _ => return None,
    };
    Some(done)
}

fn pair(r: &mut Registers, outside: &mut impl Outside, word: u32) -> Result<(), Stop> {
    let (kind, load) = (bits(word, 30, 2), word >> 22 & 1 != 0);
    let (one, two, n) = (bits(word, 0, 5), bits(word, 10, 5), bits(word, 5, 5));
    let size = match kind {
        0 => 4,
        2 => 8,
        1 if load => 4,
        _ => return Err(Stop::Undefined(word)),
    };
    let base = r.or_sp(n);
    let moved = base.wrapping_add((signed(word, 15, 7) * size as i64) as u64);
    let (at, after) = match bits(word, 23, 2) {
        1 => (base, Some(moved)),
        3 => (moved, Some(moved)),
        _ => (moved, None),
    };
    let second = at.wrapping_add(size as u64);
    if load {
        let values = [outside.load(r, at, size)?, outside.load(r, second, size)?];
        let [first, last] = values.map(|value| if kind == 1 { value as u32 as i32 as i64 as u64 } else { value });
        r.set(one, first);
        r.set(two, last);
    } else {
        outside.store(r, at, size, r.get(one))?;
        outside.store(r, second, size, r.get(two))?;
    }
    if let Some(after) = after {
        r.set_or_sp(n, after);
    }
    Ok(())
}
