//! Boards on a desk, in a rack or in QEMU: consoles, network boot, flashing and power.
//!
//! The library has no terminal of its own: what happens is told to the caller as events and values.
#![forbid(unsafe_code)]

pub mod bootloader;
pub mod connection;
pub mod error;
pub mod explain;
pub mod flash;
pub mod monitor;
pub mod netboot;
pub mod notes;
pub mod oops;
pub mod place;
pub mod power;
pub mod qemu;
pub mod terminal;
pub mod text;
pub mod tftp;

pub use error::{Error, Explained, Result};
