//! Why a result cannot be written.

use std::io;
use std::path::PathBuf;

crate::explained! {
    /// Why a result cannot be written where it was asked for.
    pub enum Error {
        #[error("{path}: is a directory")]
        Directory { path: PathBuf } => Output, "name a file in it";
        #[error("the output {path} is the input {input}")]
        IsInput { path: PathBuf, input: PathBuf } => OutputIsInput USAGE, "write to another file";
        #[error("{path}: {source}")]
        NoFolder { path: PathBuf, source: io::Error } => Output, "make the folder first, or name a file elsewhere";
        #[error("{path}: {source}")]
        Unreachable { path: PathBuf, source: io::Error } => Output, (match source.kind() {
            io::ErrorKind::InvalidFilename => "give it a shorter name",
            _ => "name a file that you may write",
        });
        #[error("stdout: {source}")]
        Stdout { source: io::Error } => Output;
        #[error("{path}: {source}")]
        Full { path: PathBuf, source: io::Error, size: usize }
            => Output, "make room for 0x{size:x} bytes there, or name a file elsewhere";
        #[error("{path}: {source}")]
        ReaderGone { path: PathBuf, source: io::Error } => Output, "see why its reader went away";
        #[error("{path}: {source}")]
        Unwritable { path: PathBuf, source: io::Error }
            => Output, "name a file in a folder that exists and that you may write";
    }
}
