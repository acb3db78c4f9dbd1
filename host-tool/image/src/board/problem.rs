//! What is wrong with a board file.

use std::fmt;

/// One thing wrong with a board file.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub struct Problem {
    /// The board's file, or its SoC's.
    pub file: String,
    /// Where in it, counted from 1, when the key is there.
    pub line: Option<usize>,
    /// The key, as `flash.partitions[2]`; empty when the file is no TOML.
    pub key: String,
    /// What is wrong.
    pub fact: String,
    /// What to do about it.
    pub next: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if !self.key.is_empty() {
            write!(f, ": {}", self.key)?;
        }
        write!(f, ": {}", self.fact)
    }
}
