//! What stoop knows of images: the kernels, device trees and root filesystems that people have, the boards they are for, and the
//! image that boots them. [`plan::Plan::resolve`] and [`image::build`] make one, [`image::open()`] reads one,
//! [`simulate::run`] says what the shim will do with it.
//!
//! The library never prints: results are values, and long work reports to a [`progress::Progress`].
//!
//! ```
//! use stoop_image::{image, plan::Plan, plan::Request, progress::Quiet, simulate};
//!
//! # fn main() -> stoop_image::Result<()> {
//! # let folder = tempfile::tempdir().expect("a folder");
//! # let file = folder.path().join("Image");
//! # // An arm64 Image of nothing but its header (Documentation/arch/arm64/booting.rst).
//! # let mut kernel = vec![0; 0x1000];
//! # kernel[16..24].copy_from_slice(&0x1_0000u64.to_le_bytes());
//! # kernel[24] = 0xa;
//! # kernel[56..60].copy_from_slice(b"ARM\x64");
//! # std::fs::write(&file, kernel).expect("a file");
//! let request = Request { board: "qemu-virt-arm64".into(), kernel: file, ..Request::default() };
//! let plan = Plan::resolve(&request, &mut Quiet)?;
//! let packed = image::build(&plan, &mut Quiet)?;
//!
//! // What the bootloader would pass: without the cookie it does not count.
//! let entry = simulate::Entry::Argv(b"root=31:03".to_vec());
//! let outcome = simulate::run(&packed.file, &simulate::Input { entry, load: None })?;
//! let booted = outcome.result.expect("the shim boots it");
//! assert_eq!(booted.verdict.text(), "ignored");
//! assert_eq!(booted.handoff.entry_point, packed.entry_point);
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod board;
pub mod board_check;
pub mod bootloader;
pub mod cache;
pub mod commands;
pub mod error;
pub mod explain;
pub mod explained;
pub mod format;
pub mod halves;
pub mod image;
pub mod input;
pub mod kconfig;
pub mod kexec;
pub mod layout;
pub mod machine;
pub mod output;
pub mod plan;
pub mod platform;
pub mod preflight;
pub mod progress;
pub mod ramoops;
pub mod shell;
pub mod shim_image;
pub mod simulate;
pub mod svg;
pub mod unfinished;
pub mod watchdog;

pub use error::{Error, ErrorCode, Result};
pub use explained::Explained;
