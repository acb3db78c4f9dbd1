//! Selects the architecture. Every one offers the same names; nothing else in the shim asks which one it is.

#[cfg(any(target_arch = "mips", target_arch = "mips64"))]
#[path = "mips/mod.rs"]
mod selected;

pub use selected::{Abi, Frame, count, hand_off, mmio, physical, pointer};
