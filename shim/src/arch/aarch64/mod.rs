//! AArch64: the start code, the counter, the caches, and the jump to the kernel.
//!
//! What start.S guarantees when it calls `main`:
//! 1. EL1 or EL2, every interrupt masked, MMU and caches off;
//! 2. code and data are unpacked, and what is stored and what was unpacked were found whole; they, params and stack lie as linked from the image's first byte, a multiple of 4 KiB; .bss is zero;
//! 3. no cache holds anything of the image that differs from memory;
//! 4. [`Frame`] holds x0..x3 as they came, the counter at entry, and where the image is.
//!
//! Unknown: what those registers mean, what the exception vectors hold, whether a watchdog runs, and whether floating point
//! is allowed: nothing here uses it (target `aarch64-unknown-none-softfloat`).

mod map;

use core::arch::{asm, global_asm};

use stoop_core::Region;
use stoop_core::arm64;
use stoop_core::codec::Tables;
use stoop_core::fdt;
use stoop_core::params::MAX_SIZE;

global_asm!(
    include_str!("start.S"),
    include_str!("unpack.S"),
    include_str!("cache.S"),
    include_str!("mem.S"),
    PARAMS = const MAX_SIZE,
    TABLES = const size_of::<Tables>(),
);

/// The kernel's and bootloader's conventions.
pub type Abi = arm64::Arm64;

/// Boards have one as their console.
pub const PL011: bool = true;

/// What start.S saved, in its order.
#[repr(C)]
pub struct Frame {
    /// x0..x3.
    pub registers: [usize; 4],
    /// The counter at entry.
    pub count: u32,
    image: usize,
}

impl Frame {
    /// Physical address of the image's first byte.
    pub fn image(&self) -> usize {
        self.image
    }
}

unsafe extern "C" {
    fn leave(registers: &[usize; 4], entry_point: usize) -> !;
    fn caches_on(table: *const u64);
    fn peek(at: usize, page: *mut u64) -> u64;
}

/// The generic timer's virtual counter, its low half.
pub fn count() -> u32 {
    let count: u64;
    // SAFETY: reading it has no effect, and EL1 and EL2 may.
    unsafe { asm!("mrs {}, cntvct_el0", out(reg) count, options(nomem, nostack, preserves_flags)) };
    count as u32
}

/// The pointer to a physical address: the same number, with or without the map.
pub fn pointer(physical: usize) -> *mut u8 {
    physical as *mut u8
}

/// The physical address behind one of our own pointers.
pub fn physical(pointer: usize) -> usize {
    pointer
}

/// The pointer to a device's register.
pub fn mmio(physical: usize) -> *mut u8 {
    physical as *mut u8
}

/// The pointer to a word of RAM, which goes past the caches with [`settle`] behind every access.
pub fn uncached(physical: usize) -> *mut u32 {
    physical as *mut u32
}

/// Writes the cache's line of that word back to RAM if it was changed, and drops it.
pub fn settle(word: *mut u32) {
    // SAFETY: what memory holds stays the same.
    unsafe { asm!("dc civac, {}", "dsb sy", in(reg) word, options(nostack, preserves_flags)) };
}

/// Turns the caches on for RAM; without them a CRC over a kernel takes seconds, since every byte comes from the RAM chip.
/// Gives the bootloader's device tree where x0 leads to one behind the end of RAM as the params have it: the same board is sold
/// with more.
///
/// Left alone when `run`, where we are, is not in RAM as the params have it: then nothing will boot, but it can be said.
pub fn map(ram: Region, run: Region, registers: &[usize; 4]) -> Region {
    let mut tree = Region::EMPTY;
    if ram.contains(&run) {
        tree = behind(ram, registers[0]);
        let table = map::fill(ram, tree);
        // SAFETY: the table maps every address to itself, RAM and with it our code and data as normal memory, the rest as
        // devices; it lies in our .bss and stays.
        unsafe { caches_on(table) };
    }
    tree
}

/// The device tree that begins there, if that is behind `ram`, and where the map reaches. Its size is bounded, and its first words are
/// read so that an address without memory is no fault; to the word aligned to 8 bytes that the protocol asks for.
fn behind(ram: Region, at: usize) -> Region {
    if at < ram.end() || at & 7 != 0 || !map::reaches(&Region::new(at, 8).unwrap_or(Region::EMPTY)) {
        return Region::EMPTY;
    }
    // SAFETY: the MMU and the caches are off, the page is nobody's yet, and the vectors are what they were when it returns.
    let words = unsafe { peek(at, map::page()) };
    // Little-endian as it was read: the first word is the lower half.
    let size = fdt::stated_size((words as u32).swap_bytes(), ((words >> 32) as u32).swap_bytes());
    size.and_then(|size| Region::new(at, size)).filter(map::reaches).unwrap_or(Region::EMPTY)
}

/// Cleans the caches, turns them off and calls the kernel.
pub fn hand_off(entry_point: usize, registers: &[usize; 4]) -> ! {
    // SAFETY: `leave` reads the four words, cleans and turns off the caches without touching memory, and jumps to the kernel
    // that core has put at `entry_point`; nothing of Rust's world is used again.
    unsafe { leave(registers, entry_point) }
}
