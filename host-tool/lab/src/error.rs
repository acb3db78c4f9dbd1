//! One error type for the crate: each failure has a stable code, the fact, what to do next, and an exit code.
//!
//! Each room has its own enum beside its code; [`Error`] is any of them.

use std::path::PathBuf;

use stoop_image::Failure;
use stoop_image::error::Kind;

use crate::{bootloader, connection, flash, netboot, power, terminal, tftp};

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
    Connection(#[from] connection::Error),
    /// The conversation with the bootloader.
    #[error(transparent)]
    Bootloader(#[from] bootloader::Error),
    /// Writing and reading flash.
    #[error(transparent)]
    Flash(#[from] flash::Error),
    /// Getting an image into RAM and starting it.
    #[error(transparent)]
    Netboot(#[from] netboot::Error),
    /// The power switch.
    #[error(transparent)]
    Power(#[from] power::Error),
    /// The TFTP server.
    #[error(transparent)]
    Tftp(#[from] tftp::Error),
    /// What is shown and kept of a console.
    #[error(transparent)]
    Terminal(#[from] terminal::Error),
}

/// What every failure can say besides the fact.
pub trait Explained {
    /// The stable code: `L` and three digits, for `stoop explain` and for scripts.
    fn code(&self) -> &'static str;

    /// What to do about it: an imperative sentence without a full stop.
    fn next_step(&self) -> Option<String>;

    /// The process's exit code.
    fn exit_code(&self) -> u8;
}

/// Exit code: the work could not be done.
pub const FAILED: u8 = 1;
/// Exit code: the command line or a file that the user wrote asks for something impossible.
pub const USAGE: u8 = 2;
/// Exit code: a device did not answer, or not as a board does.
pub const NO_ANSWER: u8 = 3;
/// Exit code: the way to the board is broken, not the board: a busy or missing port, a power switch that does not switch, another
/// board. Trying again later or elsewhere may help (`EX_TEMPFAIL` of sysexits.h).
pub const NO_PLACE: u8 = 75;

/// Exit code: the user ended it, as of a shell's command that Ctrl-C ends.
pub const INTERRUPTED: u8 = 130;

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

/// For the verbs, which print one kind of failure.
impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let kind = match error.exit_code() {
            USAGE => Kind::Usage,
            NO_ANSWER => Kind::NoAnswer,
            NO_PLACE => Kind::NoPlace,
            INTERRUPTED => Kind::Interrupted,
            _ => Kind::Failed,
        };
        let failure = Failure::of(kind, error.code(), error.to_string());
        match error.next_step() {
            Some(next) => failure.next(next),
            None => failure,
        }
    }
}
