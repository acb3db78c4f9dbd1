//! One error type for the crate: each failure has a stable code, the fact with addresses in hex, what to do next, and an exit code.
//!
//! Each room has its own enum beside its code; [`Error`] is any of them.

mod code;
mod file;

use std::path::PathBuf;

pub use code::ErrorCode;
pub use file::FileError;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

crate::any_error! {
    /// Why an image, or what goes into it, is not as it should be. [`std::fmt::Display`] gives the fact in one sentence without a full
    /// stop; [`Explained`](crate::Explained) has the rest.
    pub enum Error {
        /// A file could not be read or written.
        File(FileError),
        /// A file is no input.
        Input(crate::input::FileError),
        /// A kernel.
        Kernel(crate::input::kernel::Error),
        /// A kernel that is an ELF file.
        Elf(crate::input::ElfError),
        /// A kernel's configuration.
        Kconfig(crate::kconfig::Error),
        /// A file that should be a device tree.
        Dtb(crate::input::dtb::Error),
        /// A device tree, its source or an overlay.
        DeviceTree(crate::format::device_tree::Error),
        /// An initial ramdisk.
        Initrd(crate::input::initrd::Error),
        /// A root filesystem.
        Rootfs(crate::input::rootfs::Error),
        /// A container or compressed data.
        Format(crate::format::Error),
        /// A board's data.
        Board(crate::board::Error),
        /// A kernel lacks something.
        Preflight(crate::preflight::Error),
        /// What was asked for.
        Plan(crate::plan::Error),
        /// The watchdog.
        Watchdog(crate::watchdog::Error),
        /// Memory for the kernel's log over a reset.
        Ramoops(crate::ramoops::Error),
        /// Places in RAM.
        Layout(crate::layout::Error),
        /// The shim.
        ShimImage(crate::shim_image::Error),
        /// An image that is made or read.
        Image(crate::image::Error),
        /// The file of a result.
        Output(crate::output::Error),
        /// What a bootloader starts.
        Bootloader(crate::bootloader::Error),
        /// What is typed at a bootloader.
        Commands(crate::commands::Error),
        /// A boot that cannot be simulated.
        Simulate(crate::simulate::Error),
        /// An image that kexec cannot start.
        Kexec(crate::kexec::Error),
        /// A code that is to be explained.
        Explain(crate::explain::Error),
    }
}

impl Error {
    /// A file could not be read or written.
    pub fn file(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        FileError::Failed { path: path.into(), source }.into()
    }
}
