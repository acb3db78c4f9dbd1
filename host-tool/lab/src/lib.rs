//! Boards on a desk, in a rack or in QEMU: consoles, network boot, flashing and power.
//!
//! The library has no terminal of its own: what happens is told to the caller as events and values.
//!
//! ```
//! use stoop_lab::connection::Address;
//! use stoop_lab::notes::{Annotator, Codes};
//!
//! # fn main() -> Result<(), stoop_lab::connection::Error> {
//! let address: Address = "tcp://console-server:4001".parse()?;
//! assert!(matches!(address, Address::Tcp(end) if end.port == 4001));
//!
//! let mut codes = Codes::new(|code: &str| vec![format!("{code}: the kernel's sum is wrong")]);
//! assert_eq!(codes.line("stoop: E12 kernel crc").below.len(), 1);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod bootloader;
mod child;
pub mod connection;
pub mod crash_log;
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

pub use error::{Error, Result};
pub use stoop_image::Explained;
