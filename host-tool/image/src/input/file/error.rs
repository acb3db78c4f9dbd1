//! Why a file is no input.

use std::path::PathBuf;

crate::explained! {
    /// Why a file, or stdin, cannot be read whole.
    pub enum Error {
        #[error("{path}: {source}")]
        NotFound { path: PathBuf, source: std::io::Error }
            => File, "check the path; relative paths count from the current directory";
        #[error("{path}: is a directory")]
        Directory { path: PathBuf } => File, "name the file in it";
        #[error("{path}: is empty")]
        Empty { path: PathBuf } => File, "build or download it again";
        #[error("{path}: 0x{size:x} bytes, more than the 0x{most:x} of any input")]
        TooLarge { path: PathBuf, size: u64, most: u64 } => File, "check that this is the file you meant";
        #[error("{path}: more than the 0x{most:x} bytes of any input")]
        Endless { path: PathBuf, most: u64 } => File, "check that this is the file you meant";
        #[error("{path}: no text: byte {at} is no UTF-8")]
        NotText { path: PathBuf, at: usize } => File, "check that this is the file you meant";
        #[error("stdin: {reason}")]
        Stdin { reason: String } => File;
        #[error("stdin: is empty")]
        StdinEmpty => File, "pipe the file into it";
        #[error("stdin: more than the 0x{most:x} bytes of any input")]
        StdinTooLarge { most: u64 } => File, "check that this is the file you meant";
    }
}
