//! Physical addresses to slices: the only place that makes references out of numbers.

use core::slice;

use stoop_core::memory::Memory;
use stoop_core::params::{MAX_SIZE, Params};
use stoop_core::{Region, prepare::Scratch};

use crate::arch;

unsafe extern "C" {
    static __run_start: u8;
    static __run_end: u8;
    static __params: [u8; MAX_SIZE];
}

/// The board's memory as the params describe it.
pub struct BoardMemory {
    ram: Region,
    flash: Region,
    run: Region,
}

/// Where the loader's own code, data and stack are.
pub fn run_region() -> Region {
    let (start, end) = (&raw const __run_start as usize, &raw const __run_end as usize);
    Region::between(arch::physical(start), arch::physical(end)).unwrap_or(Region::EMPTY)
}

/// The params block behind the shim.
pub fn params() -> &'static [u8] {
    // SAFETY: the linker script keeps MAX_SIZE bytes there inside the run region, start.S has moved them with the
    // code, and nothing writes them.
    unsafe { &__params }
}

/// The large buffers, in .bss.
///
/// # Safety
/// Only one caller, once.
pub unsafe fn scratch() -> &'static mut Scratch {
    static mut SCRATCH: Scratch = Scratch::new();
    // SAFETY: the caller promises to be the only one.
    unsafe { (&raw mut SCRATCH).as_mut_unchecked() }
}

impl BoardMemory {
    /// RAM and flash from the params; the loader's own region is never given out.
    pub fn new(params: &Params) -> Self {
        BoardMemory { ram: params.ram(), flash: params.flash(), run: run_region() }
    }

    fn readable_end(&self, start: usize) -> Option<usize> {
        let inside = |region: &Region| region.start() <= start && start < region.end();
        if inside(&self.flash) {
            Some(self.flash.end())
        } else if !inside(&self.ram) || inside(&self.run) {
            None
        } else if start < self.run.start() && self.ram.contains(&self.run) {
            Some(self.run.start())
        } else {
            Some(self.ram.end())
        }
    }

    fn readable(&self, at: Region) -> bool {
        self.readable_end(at.start()).is_some_and(|end| at.end() <= end)
    }

    fn writable(&self, at: Region) -> bool {
        self.ram.contains(&at) && !at.overlaps(&self.run)
    }
}

impl Memory for BoardMemory {
    fn from(&self, start: usize) -> Option<&[u8]> {
        let size = self.readable_end(start)?.wrapping_sub(start);
        // SAFETY: `readable_end` keeps it inside RAM or flash and off our own code, data and stack; the borrow of
        // `self` keeps writers away.
        Some(unsafe { slice::from_raw_parts(arch::pointer(start), size) })
    }

    fn write(&mut self, at: Region) -> Option<&mut [u8]> {
        if !self.writable(at) {
            return None;
        }
        // SAFETY: RAM, not ours, and the exclusive borrow of `self` keeps every other slice away.
        Some(unsafe { slice::from_raw_parts_mut(arch::pointer(at.start()), at.size()) })
    }

    fn pair(&mut self, from: Region, to: Region) -> Option<(&[u8], &mut [u8])> {
        if !self.readable(from) || !self.writable(to) || from.overlaps(&to) {
            return None;
        }
        // SAFETY: as `from` and `write`, and the two do not overlap.
        unsafe {
            let source = slice::from_raw_parts(arch::pointer(from.start()), from.size());
            Some((source, slice::from_raw_parts_mut(arch::pointer(to.start()), to.size())))
        }
    }

    fn copy(&mut self, from: Region, to: usize) -> Option<()> {
        if !self.readable(from) || !self.writable(Region::new(to, from.size())?) {
            return None;
        }
        // SAFETY: source readable, destination RAM and not ours; `copy` is right for overlapping ranges.
        unsafe { core::ptr::copy(arch::pointer(from.start()), arch::pointer(to), from.size()) };
        Some(())
    }
}
