//! The library behind the `stoop` command. It never prints: results are values, progress goes through
//! [`ui::Progress`], and only the files under [`command`] talk to a terminal.
#![forbid(unsafe_code)]

pub mod board;
pub mod command;
pub mod commands;
pub mod device_tree;
pub mod error;
pub mod explain;
pub mod image;
pub mod input;
pub mod kconfig;
pub mod kernel_build;
pub mod kexec;
pub mod layout;
pub mod modules;
pub mod monitor;
pub mod on_board;
pub mod output;
pub mod plan;
pub mod preflight;
pub mod project;
pub mod qemu;
pub mod shell;
pub mod shim_image;
pub mod simulate;
pub mod ui;
pub mod watchdog;
pub mod zx0;

pub use error::{Failure, Result};
