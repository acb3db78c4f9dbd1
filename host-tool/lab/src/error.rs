//! One error type for the crate: each failure has a stable code, the fact, what to do next, and an exit code.
//!
//! Each room has its own enum beside its code; [`Error`] is any of them.

use std::path::PathBuf;

use stoop_image::explained::{Explained, FAILED};

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong with a board or on the way to it. [`std::fmt::Display`] gives the fact in one sentence without a full stop.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", crate::text::shown(&path.to_string_lossy()))]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The way to a console.
    #[error(transparent)]
    Connection(#[from] crate::connection::Error),
    /// The conversation with the bootloader.
    #[error(transparent)]
    Bootloader(#[from] crate::bootloader::Error),
    /// Writing and reading flash.
    #[error(transparent)]
    Flash(#[from] crate::flash::Error),
    /// Getting an image into RAM and starting it.
    #[error(transparent)]
    Netboot(#[from] crate::netboot::Error),
    /// The power switch.
    #[error(transparent)]
    Power(#[from] crate::power::Error),
    /// The TFTP server.
    #[error(transparent)]
    Tftp(#[from] crate::tftp::Error),
    /// What is shown and kept of a console.
    #[error(transparent)]
    Terminal(#[from] crate::terminal::Error),
}

impl Error {
    /// A file could not be read or written.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::File { path: path.into(), source }
    }

    fn explained(&self) -> Option<&dyn Explained> {
        match self {
            Error::File { .. } => None,
            Error::Connection(error) => Some(error),
            Error::Bootloader(error) => Some(error),
            Error::Flash(error) => Some(error),
            Error::Netboot(error) => Some(error),
            Error::Power(error) => Some(error),
            Error::Tftp(error) => Some(error),
            Error::Terminal(error) => Some(error),
        }
    }
}

impl Explained for Error {
    fn code(&self) -> &'static str {
        self.explained().map_or("L001", Explained::code)
    }

    fn next_step(&self) -> Option<String> {
        self.explained().and_then(Explained::next_step)
    }

    fn exit_code(&self) -> u8 {
        self.explained().map_or(FAILED, Explained::exit_code)
    }
}
