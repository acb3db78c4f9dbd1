//! Kernel modules that match their kernel: which ones a name needs and in what order ([`resolve`]), whether they fit
//! the kernel ([`check`]), and the files that load them on a board ([`bundle`]), which `pack` puts into an image ([`initrd`]).
//!
//! ```text
//! tree ── scan (or modules.dep) ──> resolve ──> check ──> bundle ──> initrd
//!   └ ko, file                        requirement ┘   symbols ┘   cpio ┘
//! ```

pub mod bundle;
pub mod check;
mod error;
pub mod exports;
pub mod file;
pub mod flat;
pub mod initrd;
pub mod ko;
pub mod name;
pub mod requirement;
pub mod resolve;
pub mod scan;
pub mod symbols;
pub mod tree;
mod usual;

pub use error::Error;
pub use stoop_image::input::cpio;
