//! What can be wrong with what is asked of a console.

use std::path::PathBuf;

use crate::text::shown;
use stoop_image::explained::{Explained, FAILED, USAGE};

/// What is wrong with what is asked of a console.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// A file that should name a kernel's functions does not.
    #[error("{}: {fact}", shown(&path.to_string_lossy()))]
    NoSymbols {
        /// The file.
        path: PathBuf,
        /// What is the matter with it.
        fact: String,
    },
    /// What was typed as a pattern is no regular expression.
    #[error("`{}` is no regular expression: {fact}", shown(pattern))]
    Pattern {
        /// What was typed.
        pattern: String,
        /// What is the matter with it.
        fact: String,
    },
    /// A log or a recording would be written into a device, a folder or the like.
    #[error("{} is no regular file", shown(&path.to_string_lossy()))]
    NotAFile {
        /// What is there.
        path: PathBuf,
    },
    /// Nobody said how to switch the board's power.
    #[error("how to switch this board's power is not known")]
    NoPower,
    /// A console that was recorded takes nothing.
    #[error("a file takes no keys")]
    NotABoard,
    /// The terminal, file or pipe that the console is shown on.
    #[error("stdout: {0}")]
    Output(std::io::Error),
}

impl Explained for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::NoSymbols { .. } => "L050",
            Error::Pattern { .. } => "L051",
            Error::NotAFile { .. } => "L052",
            Error::Output(_) => "L053",
            Error::NoPower => "L054",
            Error::NotABoard => "L055",
        }
    }

    fn next_step(&self) -> Option<String> {
        let step = match self {
            Error::NoSymbols { .. } => {
                "give the vmlinux of the kernel's build folder, which has its symbol table, or the System.map beside it"
            }
            Error::Pattern { .. } => {
                "put a backslash before characters that are meant as themselves: . * + ? ( ) [ ] { } | ^ $"
            }
            Error::NotAFile { .. } => "name a new file, or one from before",
            Error::NoPower => "name the switch with --power, for example `--power 'cmd:usbrelay A={0|1}'`",
            Error::Output(_) | Error::NotABoard => return None,
        };
        Some(step.to_owned())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::NoSymbols { .. } | Error::NotAFile { .. } | Error::Output(_) => FAILED,
            Error::Pattern { .. } | Error::NoPower | Error::NotABoard => USAGE,
        }
    }
}
