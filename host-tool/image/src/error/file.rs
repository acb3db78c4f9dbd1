//! What the operating system says about a file.

use std::path::PathBuf;

crate::explained! {
    /// Why a file could not be read or written.
    pub enum FileError {
        /// In the operating system's words.
        #[error("{path}: {source}")]
        Failed { path: PathBuf, source: std::io::Error } => File;
    }
}
