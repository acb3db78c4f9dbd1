//! One error type for the crate: each failure has a stable code, the fact, what to do next, and an exit code.
//!
//! Each room has its own enum beside its code; [`Error`] is any of them.

use std::path::PathBuf;

use stoop_image::explained::{Explained, FAILED};

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

stoop_image::any_error! {
    /// What went wrong with a board or on the way to it. [`std::fmt::Display`] gives the fact in one sentence without a full stop.
    pub enum Error {
        /// A file could not be read or written.
        File(FileError),
        /// An image or a board's data.
        Image(stoop_image::Error),
        /// The way to a console.
        Connection(crate::connection::Error),
        /// The conversation with the bootloader.
        Bootloader(crate::bootloader::Error),
        /// Writing and reading flash.
        Flash(crate::flash::Error),
        /// Getting an image into RAM and starting it.
        Netboot(crate::netboot::Error),
        /// The power switch.
        Power(crate::power::Error),
        /// The TFTP server.
        Tftp(crate::tftp::Error),
        /// What is shown and kept of a console.
        Terminal(crate::terminal::Error),
        /// A board in QEMU.
        Qemu(crate::qemu::Error),
    }
}

impl From<crate::flash::ssh::Error> for Error {
    fn from(error: crate::flash::ssh::Error) -> Self {
        Error::Flash(error.into())
    }
}

impl Error {
    /// A file could not be read or written.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        FileError { path: path.into(), source }.into()
    }
}

/// A file could not be read or written.
#[derive(thiserror::Error, Debug)]
#[error("{}: {source}", crate::text::shown(&path.to_string_lossy()))]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system says.
    pub source: std::io::Error,
}

impl Explained for FileError {
    fn code(&self) -> &'static str {
        "L001"
    }

    fn next_step(&self) -> Option<String> {
        None
    }

    fn exit_code(&self) -> u8 {
        FAILED
    }
}
