//! Every decision and every format of stoop, over slices: no_std, no alloc, no unsafe.
//!
//! The shim runs [`boot::Board::boot`] on the board; `stoop simulate` runs the same function on the host.
//!
//! ```text
//! registers --abi--> Entry --cookie--> Verdict --cmdline--> command line --fdt--> device tree
//! params, manifest --slot--> payloads --deliver--> RAM          => (Handoff, Report)
//! ```
//!
//! Dependencies point downwards in this list: `boot` uses everything below it, `bytes` uses nothing.
#![no_std]
#![forbid(unsafe_code)]

#[macro_use]
mod trace;
#[macro_use]
pub mod names;

pub mod abi;
pub mod arm64;
mod block;
pub mod boot;
pub mod bootargs;
pub mod bytes;
pub mod codec;
pub mod cookie;
pub mod crc32;
pub mod deliver;
pub mod error;
pub mod fdt;
pub mod manifest;
pub mod memory;
pub mod mips;
pub mod params;
mod ram;
pub mod region;
pub mod watchdog;
#[cfg(feature = "words")]
pub mod words;

pub use error::{Code, Error, Result, Subject};
pub use region::Region;
