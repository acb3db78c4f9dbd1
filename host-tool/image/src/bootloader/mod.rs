//! What bootloaders do with the files and arguments they get.

pub mod image;
pub mod uboot;
