//! Flattened device trees, version 17 (Devicetree Specification v0.4, chapter 5): a checked reader and a one-pass writer.
//!
//! ```text
//! Tree::new ---+                        +-- names      every name, by its offset in one pool
//!              +--> pass (one loop) ----+-- additions  what each edit adds and replaces, as a table
//! write -------+                        +-- output     a buffer that counts on past its end
//! ```
//!
//! Reading is a pass without edits whose output is dropped: a tree is refused before anything is written, and one
//! piece of code decides what is a sound structure.

mod additions;
mod names;
mod output;
mod pass;
mod read;
mod write;

pub use read::{Tree, bootargs};
pub use write::{Edits, Report, write};

/// First word of a blob.
const MAGIC: u32 = 0xd00d_feed;
/// Bytes of the header of version 17.
const HEADER: usize = 40;
/// A node begins; its name follows.
const BEGIN_NODE: u32 = 1;
/// The innermost node ends.
const END_NODE: u32 = 2;
/// A property; length, offset of its name and value follow.
const PROPERTY: u32 = 3;
/// Nothing.
const NOP: u32 = 4;
/// The structure block ends.
const END: u32 = 9;
