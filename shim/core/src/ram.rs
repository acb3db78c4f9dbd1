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
/// over one of `used`.
///
/// # Errors
/// [`Code::RamSize`] (value: how large it really is).
pub fn check<M: Memory>(memory: &mut M, ram: Region, loader: Region, used: [&[Region]; 2]) -> Result<()> {
    let half = ram.size().checked_next_power_of_two().unwrap_or(0) >> 1;
    let around = |at: usize| Region::stated(at, AROUND);
    let is_free = |at: usize| {
        ram.contains(&around(at)) && !used.iter().flat_map(|used| used.iter()).any(|used| used.overlaps(&around(at)))
    };
    // Modulo the least RAM, bytes of the loader are nowhere near.
    let is_apart = |at: usize| {
        let distance = at.wrapping_sub(loader.start()) & (LEAST - 1);
        distance >= loader.size() && distance <= LEAST - AROUND
    };
    let mut places = (1..LEAST / STEP).map(|step| ram.start().wrapping_add(step.wrapping_mul(STEP)));
    let Some(low) = places.find(|low| is_apart(*low) && is_free(*low) && is_free(low.wrapping_add(half))) else {
        return Ok(());
    };
    let mut size = half.wrapping_mul(2);
    while size > LEAST && is_free(low.wrapping_add(size >> 1)) && memory.is_one_word(low, low.wrapping_add(size >> 1)) {
        size >>= 1;
    }
    if size > half { Ok(()) } else { Err(Error::new(Code::RamSize, Subject::Ram, size)) }
}
