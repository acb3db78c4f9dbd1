//! Device trees (Devicetree Specification v0.4, chapter 5): `blob` walks over the bytes, `tree` is one that can be changed and
//! written, `overlay` applies changes, `source` reads what dtc compiles, `facts` are what pack asks of one. What depends on the board's boot core changes.

mod blob;
mod error;
mod facts;
pub mod overlay;
pub mod source;
pub mod tree;

pub use blob::{DEEPEST, MAGIC, Property, empty, has_root_child, is_fit, listed, number, text, walk};
pub use error::Error;
pub(crate) use facts::has_whole_entries;
pub use facts::{Dynamic, Facts, is_memory, with_alias};
