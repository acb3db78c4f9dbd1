//! Whether there is as much RAM as the params say. A chip that is too small for its bus answers at several addresses and never
//! faults: what is written behind its end appears at its start.

use crate::memory::Memory;
use crate::{Code, Error, Region, Result, Subject};

/// No RAM is smaller than this, so that this far apart nothing is the same word.
const LEAST: usize = 0x10_0000;
/// The first page has the bootloader's vectors.
const VECTORS: usize = 0x1000;

/// Looks whether a word appears again 1 MiB behind it, 2 MiB, 4 MiB and so on up to the end of `ram`. The first such distance is how
/// much there really is. All words get their values back, and none of them is in what would be `loader` in RAM of any size: half of the
/// least RAM lies between.
///
/// # Errors
/// [`Code::RamSize`] (value: how large it really is).
pub fn check<M: Memory>(memory: &mut M, ram: Region, loader: Region) -> Result<()> {
    let apart = loader.start().wrapping_add(LEAST / 2) & (LEAST - VECTORS) | VECTORS;
    let low = ram.start().wrapping_add(apart);
    let mut size = LEAST;
    while size < ram.size() {
        if memory.is_one_word(low, low.wrapping_add(size)) {
            return Err(Error::new(Code::RamSize, Subject::Ram, size));
        }
        size <<= 1;
    }
    Ok(())
}
