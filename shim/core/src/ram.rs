//! Whether there is as much RAM as the params say. A chip that is too small for its bus answers at several addresses and never
//! faults: what is written behind its end appears at its start.

use crate::memory::Memory;
use crate::{Code, Error, Region, Result, Subject};

/// No RAM is smaller than this: where bytes in use could appear is looked at modulo it.
const LEAST: usize = 0x10_0000;
/// The first words are the bootloader's vectors; places to look at are as far from one another.
const STEP: usize = 0x1_0000;
/// What is looked at, with as much around it as any cache line has.
const AROUND: usize = 0x100;

/// Writes two words half of RAM apart, and more only when these turn out to be one. Never where `loader` is or may appear, nor
/// where `is_used` says that there are bytes that are still needed.
///
/// # Errors
/// [`Code::RamSize`] (value: how large it really is).
pub fn check<M: Memory>(memory: &mut M, ram: Region, loader: Region, is_used: &impl Fn(&Region) -> bool) -> Result<()> {
    let mut size = ram.size().checked_next_power_of_two().unwrap_or(0);
    let mut low = ram.start();
    let end = low.wrapping_add(LEAST);
    // Modulo the least RAM, bytes of the loader are nowhere near.
    let is_apart = |at: usize| {
        let distance = at.wrapping_sub(loader.start()) & (LEAST - 1);
        distance >= loader.size() && distance <= LEAST - AROUND
    };
    loop {
        low = low.wrapping_add(STEP);
        if low == end {
            return Ok(());
        }
        if is_apart(low) && is_free(low, &ram, is_used) && is_free(low.wrapping_add(size >> 1), &ram, is_used) {
            break;
        }
    }
    let mut smaller = false;
    while size > LEAST {
        let high = low.wrapping_add(size >> 1);
        if !is_free(high, &ram, is_used) || !memory.is_one_word(low, high) {
            break;
        }
        smaller = true;
        size >>= 1;
    }
    if smaller { Err(Error::new(Code::RamSize, Subject::Ram, size)) } else { Ok(()) }
}

/// Nothing is lost that is there.
#[inline(never)]
fn is_free(at: usize, ram: &Region, is_used: &impl Fn(&Region) -> bool) -> bool {
    let around = Region::stated(at, AROUND);
    ram.contains(&around) && !is_used(&around)
}
