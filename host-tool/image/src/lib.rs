//! What stoop knows of images: the kernels, device trees and root filesystems that people have, the boards they are for, and the
//! image that boots them. [`plan::Plan::resolve`] and [`image::build`] make one, [`image::open()`] reads one,
//! [`simulate::run`] says what the shim will do with it.
//!
//! The library never prints: results are values, and long work reports to a [`progress::Progress`].
#![forbid(unsafe_code)]

pub mod board;
pub mod board_check;
pub mod bootloader;
pub mod cache;
pub mod commands;
pub mod error;
pub mod explain;
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
pub mod shell;
pub mod shim_image;
pub mod simulate;
pub mod watchdog;

pub use error::{ErrorCode, Failure, Result};
