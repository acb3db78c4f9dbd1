//! What bootloaders do with the files and arguments they get.

mod error;
pub mod flash;
pub mod image;
pub mod uboot;

pub use error::Error;
