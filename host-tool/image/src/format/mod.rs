//! File formats, reader beside writer: what bytes mean, and nothing of why they are wanted.

pub mod arm64;
pub mod bootm;
pub mod bytes;
pub mod checksum;
pub mod codec;
pub mod device_tree;
pub mod elf;
mod error;
pub mod fit;
pub(crate) mod lzop;
pub mod uimage;

pub use error::Error;
