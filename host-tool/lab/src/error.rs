//! One error type for the crate: a stable code, the fact, what to do next, and the exit code.

use std::path::PathBuf;

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong with a board or on the way to it. [`std::fmt::Display`] gives the fact in one sentence without a full stop.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
}

impl Error {
    /// A file could not be read or written.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Error::File { path: path.into(), source }
    }

    /// The stable code: `L` and three digits, for `stoop explain` and for scripts.
    pub fn code(&self) -> &'static str {
        match self {
            Error::File { .. } => "L001",
        }
    }

    /// What to do about it: an imperative sentence without a full stop.
    pub fn next_step(&self) -> Option<String> {
        match self {
            Error::File { .. } => None,
        }
    }

    /// The process's exit code: 1 (failed), 2 (usage), 3 (a device did not answer) or 75 (no place to work on).
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::File { .. } => 1,
        }
    }
}
