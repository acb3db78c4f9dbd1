//! What bootloaders do with the files and arguments they get.

pub mod flash;
pub mod image;
pub mod uboot;
