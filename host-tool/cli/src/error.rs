//! One error type for the command: what the libraries say, and what is wrong with what was typed or with the project file.

use std::path::PathBuf;

/// What verbs return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

stoop_image::any_error! {
    /// Why a verb failed. [`std::fmt::Display`] gives the fact in one sentence without a full stop;
    /// [`Explained`](stoop_image::Explained) has the rest.
    pub enum Error {
        /// Images, and what goes into them.
        Image(stoop_image::Error),
        /// Modules and kernel builds.
        Kernel(stoop_kernel::Error),
        /// Boards, real or in QEMU.
        Lab(stoop_lab::Error),
        /// What was typed, or what came of it.
        Command(crate::command::Error),
        /// The project file.
        Project(crate::project::Error),
    }
}

impl Error {
    /// A file could not be read or written.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        stoop_image::Error::file(path, source).into()
    }

    /// A result could not be written to stdout.
    pub fn stdout(source: std::io::Error) -> Self {
        stoop_image::Error::from(stoop_image::output::Error::Stdout { source }).into()
    }
}
