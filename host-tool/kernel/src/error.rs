//! One error type for the crate: [`Error`] is any of its rooms', or one of stoop-image's.

use std::path::PathBuf;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

stoop_image::any_error! {
    /// Why modules or a kernel's build are not as they should be. [`std::fmt::Display`] gives the fact in one sentence without a full
    /// stop; [`Explained`](stoop_image::Explained) has the rest.
    pub enum Error {
        /// Files, and what goes into an image.
        Image(stoop_image::Error),
        /// Modules.
        Modules(crate::modules::Error),
        /// Building a kernel.
        Build(crate::kernel_build::Error),
    }
}

impl Error {
    /// A file could not be read or written.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        stoop_image::Error::file(path, source).into()
    }
}
