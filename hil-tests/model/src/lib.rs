//! Boards made from their data files, and a MIPS core with real caches, so that a shim can be run on every board of
//! `boards/` and everything that it does is seen.
//!
//! [`machine`] is the board without its CPU: RAM, flash, UART, LED, reset register, watchdog. A CPU reaches it by [`Bus`]
//! only, so that another emulator than ours can drive the same board.
//!
//! `docs/proof.md` says what this proves and what only a board can.
#![forbid(unsafe_code)]

pub mod boot;
pub mod bus;
pub mod cache;
pub mod check;
pub mod core;
pub mod cpu;
pub mod kernel;
pub mod machine;
pub mod suite;

pub use bus::{Bus, Stray};
pub use core::{Core, Stop};
pub use machine::Machine;
