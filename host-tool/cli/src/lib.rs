//! The `stoop` command as a library: [`command::Cli`] is what was typed. Only the files under [`command`] and [`ui`] talk to a
//! terminal; what they show comes from `stoop-image`, `stoop-kernel` and `stoop-lab`.
//!
//! ```
//! use stoop::command::{Cli, Verb};
//!
//! # fn main() -> stoop::Result<()> {
//! let words = ["stoop", "explain", "E12"].map(Into::into).to_vec();
//! let all = Cli::read(words)?;
//! assert!(matches!(all[..], [Cli { verb: Verb::Explain(_) }]));
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod command;
pub mod ending;
pub mod error;
pub mod json;
pub mod project;
pub mod ui;

pub use error::{Error, Result};
