//! What developers and CI build beside the product: the lab (kernels, bootloader, root file systems), the prebuilt
//! freestanding binaries, and the order in which everything is checked. The tests use [`lab::Lab`].
#![forbid(unsafe_code)]

pub mod apt;
pub mod bench;
pub mod book;
pub mod cache;
pub mod elf;
pub mod emulator;
pub mod endian;
pub mod fuzz;
pub mod hil;
pub mod lab;
pub mod labgrid;
pub mod licences;
pub mod miri;
pub mod pack_bench;
pub mod packages;
pub mod prebuilt;
pub mod release;
pub mod run;
pub mod sanitizer;
pub mod sizes;
mod squeeze;
pub mod test;
pub mod toolchain;
pub mod tools;
pub mod transcript;

pub use stoop_samples::failure::{Failure, Result};

use std::path::PathBuf;

/// The repository's top folder, known from where this package was compiled.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(PathBuf::from).unwrap_or_default()
}
