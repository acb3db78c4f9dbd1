//! Selects the architecture. Every one offers the same names; nothing else in the shim asks which one it is.

#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
#[path = "mips/mod.rs"]
mod selected;

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/mod.rs"]
mod selected;

// defmt's strings have the numbers of their symbols, which this code takes relative to itself: wrong by where the image is.
#[cfg(all(target_arch = "aarch64", feature = "trace"))]
compile_error!("there is no trace build for AArch64");

#[cfg(all(not(target_arch = "aarch64"), feature = "trace"))]
pub use selected::trace_caches;
pub use selected::{Abi, Frame, PL011, count, hand_off, map, mmio, physical, pointer, settle, uncached};
