//! Selects the architecture. Every one offers the same names; nothing else in the shim asks which one it is.

#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
#[path = "mips/mod.rs"]
mod selected;

#[cfg(target_arch = "aarch64")]
#[path = "aarch64/mod.rs"]
mod selected;

pub use selected::{Abi, Frame, PL011, TICK, cache, count, hand_off, mmio, physical, pointer};
