//! Physical addresses to slices: the only place that makes references out of numbers.

use core::slice;

use stoop_core::Region;
use stoop_core::boot::{Board, Buffers, Loader};
use stoop_core::codec::Tables;
use stoop_core::memory::Memory;
use stoop_core::params::Params;

use crate::arch;

/// The board's memory as the params describe it.
pub struct BoardMemory {
    ram: Region,
    flash: Region,
    run: Region,
    /// The bootloader's device tree where that is outside of the RAM that the params know: only read.
    tree: Region,
}

/// The board as the params describe it, with a bootloader's device tree outside of its RAM, if `tree` is not empty. The loader's
/// own region is never given out.
pub fn board<'b, F>(
    params: &Params,
    loader: Loader,
    tree: Region,
    (buffers, tables): (&'b mut Buffers, &'b mut Tables),
    feed: F,
) -> Board<'b, BoardMemory, F> {
    let memory = BoardMemory { ram: params.ram(), flash: params.flash(), run: loader.run, tree };
    Board { memory, loader, buffers, tables, feed }
}

impl BoardMemory {
    /// End of the flash or the part of RAM without the loader that holds `start`; `start` itself when nothing does.
    fn readable_end(&self, start: usize) -> usize {
        let inside = |region: &Region| start.wrapping_sub(region.start()) < region.size();
        let mut end = start;
        if inside(&self.ram) && !inside(&self.run) {
            end = self.ram.end();
            if self.run.start().wrapping_sub(start) < end.wrapping_sub(start) {
                end = self.run.start();
            }
        }
        for region in [&self.flash, &self.tree] {
            if inside(region) {
                end = region.end();
            }
        }
        end
    }
}

impl Memory for BoardMemory {
    #[inline(never)]
    fn from(&self, start: usize) -> Option<&[u8]> {
        let size = self.readable_end(start).wrapping_sub(start);
        if size == 0 {
            return None;
        }
        // SAFETY: `readable_end` keeps it inside RAM or flash and off our own code, data and stack; the borrow of
        // `self` keeps writers away.
        Some(unsafe { slice::from_raw_parts(arch::pointer(start), size) })
    }

    #[inline(never)]
    fn write(&mut self, at: Region) -> Option<&mut [u8]> {
        if !self.ram.contains(&at) || at.overlaps(&self.run) {
            return None;
        }
        // SAFETY: RAM, not ours, and the exclusive borrow of `self` keeps every other slice away.
        Some(unsafe { slice::from_raw_parts_mut(arch::pointer(at.start()), at.size()) })
    }

    fn pair(&mut self, from: Region, to: Region) -> Option<(&[u8], &mut [u8])> {
        let source: *const [u8] = self.read(from)?;
        if from.overlaps(&to) {
            return None;
        }
        // SAFETY: valid as `read` gave it, the exclusive borrow of `self` goes on, and the two do not overlap.
        Some((unsafe { source.as_ref_unchecked() }, self.write(to)?))
    }

    fn copy(&mut self, from: Region, to: usize) -> Option<()> {
        let source: *const [u8] = self.read(from)?;
        let out = self.write(Region::new(to, from.size())?)?;
        // SAFETY: both are valid for as many bytes, as `read` and `write` gave them; `copy` is right where they overlap.
        unsafe { core::ptr::copy(source.cast(), out.as_mut_ptr(), out.len()) };
        Some(())
    }

    fn is_one_word(&mut self, one: usize, other: usize) -> bool {
        let region = |at: usize| Region::new(at, 4).unwrap_or(Region::EMPTY);
        if !(one | other).is_multiple_of(4) || self.write(region(one)).is_none() || self.write(region(other)).is_none()
        {
            return false;
        }
        let (one, other) = (arch::uncached(one), arch::uncached(other));
        // SAFETY: two aligned words of RAM that are not ours, as `write` says, and no slice of them is alive. Whatever cache
        // holds them agrees with RAM before and after: `settle` and the pointers go past it, and the one that is written gets its
        // value back.
        unsafe {
            let saved = other.read_volatile();
            // What is not there by chance.
            let inverse = !one.read_volatile();
            arch::settle(one);
            other.write_volatile(inverse);
            arch::settle(other);
            let same = one.read_volatile() == inverse;
            arch::settle(one);
            other.write_volatile(saved);
            arch::settle(other);
            same
        }
    }
}
