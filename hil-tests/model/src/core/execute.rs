//! The instructions.

use super::{Core, Step, Stop};
use crate::check::Rule;

const fn sign(half: u32) -> u32 {
    half as u16 as i16 as i32 as u32
}

impl Core {
    #[inline]
    pub(super) fn execute(&mut self, word: u32, pc: u32, in_delay_slot: bool) -> Step {
        let (rs, rt, rd) = ((word >> 21 & 31) as usize, (word >> 16 & 31) as usize, (word >> 11 & 31) as usize);
        let (s, t) = (self.r[rs], self.r[rt]);
        let immediate = sign(word);
        let at = s.wrapping_add(immediate);
        match word >> 26 {
            0x00 => return self.special(word, pc, in_delay_slot),
            0x01 => return self.regimm(word, pc, in_delay_slot),
            0x02 => self.branch(jump_target(word, pc), pc, in_delay_slot),
            0x03 => {
                self.r[31] = pc.wrapping_add(8);
                self.branch(jump_target(word, pc), pc, in_delay_slot);
            }
            0x04 => self.branch_if(s == t, word, pc, in_delay_slot),
            0x05 => self.branch_if(s != t, word, pc, in_delay_slot),
            0x06 => self.branch_if(s as i32 <= 0, word, pc, in_delay_slot),
            0x07 => self.branch_if(s as i32 > 0, word, pc, in_delay_slot),
            0x08 => self.r[rt] = self.sum(s, immediate, pc)?,
            0x09 => self.r[rt] = at,
            0x0a => self.r[rt] = ((s as i32) < immediate as i32).into(),
            0x0b => self.r[rt] = (s < immediate).into(),
            0x0c => self.r[rt] = s & word & 0xffff,
            0x0d => self.r[rt] = s | word & 0xffff,
            0x0e => self.r[rt] = s ^ word & 0xffff,
            0x0f => self.r[rt] = word << 16,
            0x10 => return self.coprocessor(word, pc),
            0x14 => self.branch_likely(s == t, word, pc, in_delay_slot),
            0x15 => self.branch_likely(s != t, word, pc, in_delay_slot),
            0x16 => self.branch_likely(s as i32 <= 0, word, pc, in_delay_slot),
            0x17 => self.branch_likely(s as i32 > 0, word, pc, in_delay_slot),
            0x1c => return self.special2(word, pc),
            0x1f => return self.special3(word, pc),
            0x20 => self.r[rt] = self.load(at, 1, pc)? as u8 as i8 as u32,
            0x21 => self.r[rt] = sign(self.load(at, 2, pc)?),
            0x22 => {
                let (old, shift) = (self.load(at & !3, 4, pc)?, self.unaligned(at));
                self.r[rt] = old << (24 - shift) | t & low_mask(24 - shift);
            }
            0x23 => self.r[rt] = self.load(at, 4, pc)?,
            0x24 => self.r[rt] = self.load(at, 1, pc)?,
            0x25 => self.r[rt] = self.load(at, 2, pc)?,
            0x26 => {
                let (old, shift) = (self.load(at & !3, 4, pc)?, self.unaligned(at));
                self.r[rt] = old >> shift | t & !(u32::MAX >> shift);
            }
            0x28 => self.store(at, 1, t, pc)?,
            0x29 => self.store(at, 2, t, pc)?,
            0x2a => {
                let (old, shift) = (self.load(at & !3, 4, pc)?, self.unaligned(at));
                self.store(at & !3, 4, t >> (24 - shift) | old & !(u32::MAX >> (24 - shift)), pc)?;
            }
            0x2b => self.store(at, 4, t, pc)?,
            0x2e => {
                let (old, shift) = (self.load(at & !3, 4, pc)?, self.unaligned(at));
                self.store(at & !3, 4, t << shift | old & low_mask(shift), pc)?;
            }
            0x2f => self.cache(rt as u32, at, word, pc)?,
            0x30 => {
                self.r[rt] = self.load(at, 4, pc)?;
                self.linked = true;
            }
            // A hint.
            0x33 => {}
            0x38 => {
                let linked = self.linked;
                if linked {
                    self.store(at, 4, t, pc)?;
                }
                self.r[rt] = linked.into();
            }
            _ => return Err(Stop::Unknown { word, pc }),
        }
        let _ = rd;
        Ok(())
    }

    /// How far a byte is from the low end of its word, in bits.
    fn unaligned(&self, at: u32) -> u32 {
        let byte = if self.machine.big_endian { 3 - (at & 3) } else { at & 3 };
        byte * 8
    }

    fn sum(&self, a: u32, b: u32, pc: u32) -> Step<u32> {
        (a as i32).checked_add(b as i32).map(|sum| sum as u32).ok_or(Stop::Exception { code: 12, pc, at: a })
    }

    fn branch(&mut self, target: u32, pc: u32, in_delay_slot: bool) {
        if in_delay_slot {
            self.violate(Rule::BranchInDelaySlot, pc, pc);
        }
        self.in_delay_slot = true;
        self.next = target;
    }

    fn branch_if(&mut self, taken: bool, word: u32, pc: u32, in_delay_slot: bool) {
        let target = if taken { branch_target(word, pc) } else { self.next };
        self.branch(target, pc, in_delay_slot);
    }

    fn branch_likely(&mut self, taken: bool, word: u32, pc: u32, in_delay_slot: bool) {
        if taken {
            self.branch(branch_target(word, pc), pc, in_delay_slot);
        } else {
            // The delay slot is not executed.
            self.pc = self.next;
            self.next = self.pc.wrapping_add(4);
        }
    }

    fn special(&mut self, word: u32, pc: u32, in_delay_slot: bool) -> Step {
        let (rs, rt, rd) = ((word >> 21 & 31) as usize, (word >> 16 & 31) as usize, (word >> 11 & 31) as usize);
        let (s, t, amount) = (self.r[rs], self.r[rt], word >> 6 & 31);
        let unknown = Err(Stop::Unknown { word, pc });
        match word & 0x3f {
            0x00 => {
                self.r[rd] = t << amount;
                if word == 0xc0 {
                    self.execution_barrier();
                }
            }
            0x02 if word & 1 << 21 != 0 => self.r[rd] = t.rotate_right(amount),
            0x02 => self.r[rd] = t >> amount,
            0x03 => self.r[rd] = (t as i32 >> amount) as u32,
            0x04 => self.r[rd] = t << (s & 31),
            0x06 if word & 1 << 6 != 0 => self.r[rd] = t.rotate_right(s & 31),
            0x06 => self.r[rd] = t >> (s & 31),
            0x07 => self.r[rd] = (t as i32 >> (s & 31)) as u32,
            0x08 | 0x09 => {
                if word & 0x3f == 9 {
                    self.r[rd] = pc.wrapping_add(8);
                }
                self.branch(s, pc, in_delay_slot);
                if word & 1 << 10 != 0 {
                    self.instruction_barrier();
                }
            }
            0x0a => {
                if t == 0 {
                    self.r[rd] = s;
                }
            }
            0x0b => {
                if t != 0 {
                    self.r[rd] = s;
                }
            }
            0x0c => return Err(Stop::Exception { code: 8, pc, at: pc }),
            0x0d => return Err(Stop::Exception { code: 9, pc, at: pc }),
            0x0f => self.sync(),
            0x10 => self.r[rd] = self.hi,
            0x11 => self.hi = s,
            0x12 => self.r[rd] = self.lo,
            0x13 => self.lo = s,
            0x18 => self.product((i64::from(s as i32) * i64::from(t as i32)) as u64),
            0x19 => self.product(u64::from(s) * u64::from(t)),
            0x1a => {
                let (a, b) = (s as i32, t as i32);
                if b == 0 {
                    return unknown;
                }
                (self.lo, self.hi) = (a.wrapping_div(b) as u32, a.wrapping_rem(b) as u32);
            }
            0x1b => {
                let (Some(quotient), Some(rest)) = (s.checked_div(t), s.checked_rem(t)) else { return unknown };
                (self.lo, self.hi) = (quotient, rest);
            }
            0x20 => self.r[rd] = self.sum(s, t, pc)?,
            0x21 => self.r[rd] = s.wrapping_add(t),
            0x22 => {
                let difference = (s as i32).checked_sub(t as i32);
                self.r[rd] = difference.ok_or(Stop::Exception { code: 12, pc, at: s })? as u32;
            }
            0x23 => self.r[rd] = s.wrapping_sub(t),
            0x24 => self.r[rd] = s & t,
            0x25 => self.r[rd] = s | t,
            0x26 => self.r[rd] = s ^ t,
            0x27 => self.r[rd] = !(s | t),
            0x2a => self.r[rd] = ((s as i32) < t as i32).into(),
            0x2b => self.r[rd] = (s < t).into(),
            0x30 => self.trap_if(s as i32 >= t as i32, pc)?,
            0x31 => self.trap_if(s >= t, pc)?,
            0x32 => self.trap_if((s as i32) < t as i32, pc)?,
            0x33 => self.trap_if(s < t, pc)?,
            0x34 => self.trap_if(s == t, pc)?,
            0x36 => self.trap_if(s != t, pc)?,
            _ => return unknown,
        }
        Ok(())
    }

    fn trap_if(&self, trapped: bool, pc: u32) -> Step {
        if trapped { Err(Stop::Exception { code: 13, pc, at: pc }) } else { Ok(()) }
    }

    fn product(&mut self, product: u64) {
        (self.hi, self.lo) = ((product >> 32) as u32, product as u32);
    }

    fn regimm(&mut self, word: u32, pc: u32, in_delay_slot: bool) -> Step {
        let s = self.r[(word >> 21 & 31) as usize] as i32;
        let immediate = sign(word);
        match word >> 16 & 31 {
            0x00 => self.branch_if(s < 0, word, pc, in_delay_slot),
            0x01 => self.branch_if(s >= 0, word, pc, in_delay_slot),
            0x02 => self.branch_likely(s < 0, word, pc, in_delay_slot),
            0x03 => self.branch_likely(s >= 0, word, pc, in_delay_slot),
            0x08 => self.trap_if(s >= immediate as i32, pc)?,
            0x09 => self.trap_if(s as u32 >= immediate, pc)?,
            0x0a => self.trap_if(s < immediate as i32, pc)?,
            0x0b => self.trap_if((s as u32) < immediate, pc)?,
            0x0c => self.trap_if(s as u32 == immediate, pc)?,
            0x0e => self.trap_if(s as u32 != immediate, pc)?,
            number @ 0x10..=0x13 => {
                self.r[31] = pc.wrapping_add(8);
                match number {
                    0x10 => self.branch_if(s < 0, word, pc, in_delay_slot),
                    0x11 => self.branch_if(s >= 0, word, pc, in_delay_slot),
                    0x12 => self.branch_likely(s < 0, word, pc, in_delay_slot),
                    _ => self.branch_likely(s >= 0, word, pc, in_delay_slot),
                }
            }
            _ => return Err(Stop::Unknown { word, pc }),
        }
        Ok(())
    }

    fn special2(&mut self, word: u32, pc: u32) -> Step {
        let (rs, rt, rd) = ((word >> 21 & 31) as usize, (word >> 16 & 31) as usize, (word >> 11 & 31) as usize);
        let (s, t) = (self.r[rs], self.r[rt]);
        let signed = (i64::from(s as i32) * i64::from(t as i32)) as u64;
        let unsigned = u64::from(s) * u64::from(t);
        let sum = u64::from(self.hi) << 32 | u64::from(self.lo);
        match word & 0x3f {
            0x00 => self.product(sum.wrapping_add(signed)),
            0x01 => self.product(sum.wrapping_add(unsigned)),
            0x02 => self.r[rd] = s.wrapping_mul(t),
            0x04 => self.product(sum.wrapping_sub(signed)),
            0x05 => self.product(sum.wrapping_sub(unsigned)),
            0x20 => self.r[rd] = s.leading_zeros(),
            0x21 => self.r[rd] = s.leading_ones(),
            0x3f => return Err(Stop::Arrived { pc }),
            _ => return Err(Stop::Unknown { word, pc }),
        }
        Ok(())
    }

    fn special3(&mut self, word: u32, pc: u32) -> Step {
        let (rs, rt, rd) = ((word >> 21 & 31) as usize, (word >> 16 & 31) as usize, (word >> 11 & 31) as usize);
        let (s, t) = (self.r[rs], self.r[rt]);
        let (high, low) = (word >> 11 & 31, word >> 6 & 31);
        match word & 0x3f {
            0x00 => self.r[rt] = s >> low & low_mask(high + 1),
            0x04 if high >= low => {
                let mask = low_mask(high - low + 1) << low;
                self.r[rt] = t & !mask | s << low & mask;
            }
            0x20 => {
                self.r[rd] = match low {
                    0x02 => (t & 0x00ff_00ff) << 8 | t >> 8 & 0x00ff_00ff,
                    0x10 => t as u8 as i8 as u32,
                    0x18 => sign(t),
                    _ => return Err(Stop::Unknown { word, pc }),
                }
            }
            _ => return Err(Stop::Unknown { word, pc }),
        }
        Ok(())
    }

    fn coprocessor(&mut self, word: u32, pc: u32) -> Step {
        let (rt, rd) = ((word >> 16 & 31) as usize, (word >> 11 & 31) as usize);
        let number = rd * 8 + (word & 7) as usize;
        match word >> 21 & 31 {
            0x00 => self.r[rt] = self.mfc0(number, word, pc)?,
            0x04 => self.mtc0(number, self.r[rt], word, pc)?,
            _ => return Err(Stop::Unknown { word, pc }),
        }
        Ok(())
    }
}

fn low_mask(bits: u32) -> u32 {
    if bits >= 32 { u32::MAX } else { (1 << bits) - 1 }
}

fn branch_target(word: u32, pc: u32) -> u32 {
    pc.wrapping_add(4).wrapping_add(sign(word) << 2)
}

fn jump_target(word: u32, pc: u32) -> u32 {
    pc.wrapping_add(4) & 0xf000_0000 | word << 6 >> 4
}
