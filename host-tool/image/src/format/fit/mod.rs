//! Flattened image trees (U-Boot doc/usage/fit/source_file_format.rst): images with hashes, and configurations that name them.

mod read;
mod write;

pub use read::{Fit, Image, List, codec, extent, list, read};
pub use write::{ROOM, frame, seal};
