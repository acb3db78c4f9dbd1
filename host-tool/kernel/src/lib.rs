//! Kernels from source, and their modules: what has to be loaded for a purpose, whether the kernel takes it, and the bundle of it;
//! and the build of a kernel with its device trees and modules in one tree. Nothing here boots anything.
//!
//! ```
//! use stoop_image::kconfig::Value;
//! use stoop_kernel::modules::requirement::{Need, Requirement};
//!
//! # fn main() -> stoop_kernel::Result<()> {
//! let text = "description = \"USB sticks\"\nmodules = [\"usb-storage\"]\nsymbols.USB = \"either\"";
//! let requirement = Requirement::parse("sticks", text)?;
//! assert_eq!(requirement.symbols["USB"], Need::Either);
//! assert!(Need::Either.is_met_by(&Value::Module) && !Need::Y.is_met_by(&Value::Module));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod error;
pub mod kernel_build;
pub mod modules;

pub use error::{Error, Result};
