//! Flattened device trees, version 17 (Devicetree Specification v0.4, chapter 5): a checked reader and a one-pass writer.

mod read;
mod write;

pub use read::{Tree, bootargs};
pub use write::{Edits, Report, write};
