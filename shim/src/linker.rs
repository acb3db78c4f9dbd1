//! What the linker script places: the loader's own region, the params and the buffers.

use stoop_core::Region;
use stoop_core::boot::Buffers;
use stoop_core::codec::Tables;
use stoop_core::params::MAX_SIZE;

use crate::arch;

unsafe extern "C" {
    static __run_start: u8;
    static __run_end: u8;
    static __params: [u8; MAX_SIZE];
    static mut __tables: u8;
}

/// Where the loader's own code, data and stack are.
pub fn run_region() -> Region {
    let (start, end) = (&raw const __run_start as usize, &raw const __run_end as usize);
    Region::new(arch::physical(start), end.wrapping_sub(start)).unwrap_or(Region::EMPTY)
}

/// The params block, with whatever came behind it in the image.
pub fn params() -> &'static [u8] {
    // SAFETY: the linker script keeps MAX_SIZE bytes there inside the run region, unpack.S has written all of them, and nothing
    // else does.
    unsafe { &__params }
}

/// The buffers, in .bss, and the decoders' memory, which the start code leaves as it finds it: clearing 28 KiB would take 9,000
/// instructions.
///
/// # Safety
/// Only one caller, once.
pub unsafe fn buffers() -> (&'static mut Buffers, &'static mut Tables) {
    static mut BUFFERS: Buffers = Buffers::new();
    // SAFETY: start.S keeps aligned room for the tables, which are numbers whatever they hold, and the caller promises to be the
    // only one.
    unsafe { ((&raw mut BUFFERS).as_mut_unchecked(), (&raw mut __tables).cast::<Tables>().as_mut_unchecked()) }
}
