//! The `stoop` command as a library: [`command::Cli`] is what was typed. Only the files under [`command`] and [`ui`] talk to a
//! terminal; what they show comes from `stoop-image`, `stoop-kernel` and `stoop-lab`.
#![forbid(unsafe_code)]

pub mod command;
pub mod json;
pub mod project;
pub mod ui;
