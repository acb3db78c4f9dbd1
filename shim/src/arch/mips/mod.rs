//! MIPS32: the start code, the counter, pointers, and the jump to the kernel.
//!
//! What start.S guarantees when it calls `main`:
//! 1. kernel mode, interrupts off; KSEG0 is write-back, or uncached if the bootloader left it so;
//! 2. code, data, params and stack are at the run address, to which gp belongs; what is stored and what was unpacked were found
//!    whole; .bss is zero; the stack is ours;
//! 3. caches hold nothing that differs from memory, apart from what was written since;
//! 4. [`Frame`] holds a0..a3 as they came, CP0 Count at entry, and where the image was loaded.
//!
//! Unknown: what those registers mean, what the exception vectors hold, whether a watchdog runs.

use core::arch::{asm, global_asm};

use stoop_core::codec::Tables;
use stoop_core::params::MAX_SIZE;
use stoop_core::{Code, Region, mips};

global_asm!(
    include_str!("start.S"),
    include_str!("cache.S"),
    include_str!("unpack.S"),
    include_str!("mem.S"),
    DAMAGED = const Code::Shim as u8,
    PARAMS = const MAX_SIZE,
    TABLES = const size_of::<Tables>(),
);

/// The kernel's and bootloader's conventions for this endianness.
pub type Abi = mips::Mips<{ cfg!(target_endian = "big") }>;

/// No board has one.
pub const PL011: bool = false;

/// What start.S saved, in its order.
#[repr(C)]
pub struct Frame {
    /// a0..a3.
    pub registers: [usize; 4],
    /// CP0 Count at entry.
    pub count: u32,
    image: u32,
}

impl Frame {
    /// Physical address of the image's first byte.
    pub fn image(&self) -> usize {
        mips::unmapped(self.image)
    }
}

unsafe extern "C" {
    fn leave(registers: &[usize; 4], entry_point: usize) -> !;
}

/// CP0 Count: half the CPU's clock on most cores.
pub fn count() -> u32 {
    let count;
    // SAFETY: reading CP0 Count has no effect; kernel mode is guaranteed by start.S.
    unsafe { asm!("mfc0 $2, $9", out("$2") count, options(nomem, nostack, preserves_flags)) };
    count
}

/// The cached pointer to a physical address below 512 MiB.
pub fn pointer(physical: usize) -> *mut u8 {
    mips::kseg0(physical) as *mut u8
}

/// The physical address behind one of our own pointers.
pub fn physical(pointer: usize) -> usize {
    mips::unmapped(pointer as u32)
}

/// The uncached pointer to a device's register.
pub fn mmio(physical: usize) -> *mut u8 {
    mips::kseg1(physical) as *mut u8
}

/// Says what `sync_caches` (cache.S) will find in Config1 and Config2 (MIPS32 PRA volume III).
#[cfg(feature = "trace")]
pub fn trace_caches() {
    let (config1, mut config2): (u32, u32);
    // SAFETY: reading CP0 Config1 has no effect; kernel mode is guaranteed by start.S.
    unsafe { asm!("mfc0 $2, $16, 1", out("$2") config1, options(nomem, nostack, preserves_flags)) };
    config2 = 0;
    if config1 >> 31 != 0 {
        // SAFETY: as above, and the highest bit of Config1 says that there is Config2.
        unsafe { asm!("mfc0 $2, $16, 2", out("$2") config2, options(nomem, nostack, preserves_flags)) };
    }
    // Ways, then the line's code, then the sets' from the low end.
    for (name, word) in [("instruction", config1 >> 16), ("data", config1 >> 7)] {
        let (sets, line) = (32u32 << ((word >> 6).wrapping_add(1) & 7), word >> 3 & 7);
        say_cache(name, sets, (word & 7).wrapping_add(1), line);
    }
    say_cache("L2", 64u32 << (config2 >> 8 & 7), (config2 & 15).wrapping_add(1), config2 >> 4 & 15);
}

/// `line` is its code: 0 when there is no such cache.
#[cfg(feature = "trace")]
fn say_cache(name: &str, sets: u32, ways: u32, line: u32) {
    match line {
        0 => defmt::println!("{=str} cache: none", name),
        _ => defmt::println!(
            "{=str} cache: {=u32} sets of {=u32} lines of {=u32} bytes",
            name,
            sets,
            ways,
            2u32 << (line & 15)
        ),
    }
}

/// The pointer to a word of RAM past the caches.
pub fn uncached(physical: usize) -> *mut u32 {
    mips::kseg1(physical) as *mut u32
}

/// Waits until what was written there is in RAM.
pub fn settle(_word: *mut u32) {
    // SAFETY: waits, and changes nothing.
    unsafe { asm!("sync", options(nostack, preserves_flags)) };
}

/// KSEG0 and KSEG1 need no map, and KSEG0 is cached from the first instruction on. Every device tree that can be read is in RAM.
pub fn map(_ram: Region, _run: Region, _registers: &[usize; 4]) -> Region {
    Region::EMPTY
}

/// Cleans the caches and calls the kernel.
pub fn hand_off(entry_point: usize, registers: &[usize; 4]) -> ! {
    // SAFETY: `leave` reads the four words, cleans the caches without touching memory, and jumps to the kernel that
    // core has put at `entry_point`; nothing of Rust's world is used again.
    unsafe { leave(registers, mips::kseg0(entry_point)) }
}
