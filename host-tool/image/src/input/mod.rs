//! What people have, read and checked: kernels, device trees, root filesystems, initial ramdisks.

pub mod container;
pub mod cpio;
pub mod dtb;
pub mod firmware;
pub mod initrd;
pub mod kernel;
pub mod rootfs;

mod archive;
mod arm64;
mod beside;
mod deb;
mod efi;
mod elf;
mod file;
mod fit;
mod likeness;
mod mips;
mod raw;
mod read_kernel;
mod relocation;
mod uimage;
pub mod xz;
mod zboot;

#[cfg(test)]
pub(crate) mod testing;

pub use elf::Error as ElfError;
pub use file::{Error as FileError, read_file, read_text, read_whole};
pub use kernel::{Form, Inner, Kernel, Overrides};
pub use likeness::{looks_like, recognised};
pub use mips::big_endian as mips_byte_order;
pub use relocation::Relocation;
pub use rootfs::Rootfs;
