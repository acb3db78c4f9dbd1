//! Why a bootloader would not start an image.

use object::Architecture;

crate::explained! {
    /// Why a bootloader would not start an image. Addresses are physical.
    pub enum Error {
        #[error("the image is empty")]
        Empty => ImageDamaged, "pack it again";
        #[error("the FIT's kernel has no 32-bit load address")]
        FitLoad => ImageDamaged, "pack it again";
        #[error("the uImage ends within its header, at {size:#x}")]
        HeaderCut { size: usize } => ImageDamaged, "pack it again";
        #[error("the uImage promises {size:#x} bytes and has {have:#x}")]
        Cut { size: u32, have: usize } => ImageDamaged, "pack it again";
        #[error("the ELF file is broken: {reason}")]
        Elf { reason: object::Error } => ImageDamaged, "pack it again";
        #[error("the ELF file is for {machine:?}, not for 32-bit MIPS")]
        Machine { machine: Architecture } => ImageMachine, "give an image for a MIPS32 board";
        #[error("where the board {board} fetches files to is not known")]
        NoAddress { board: String } => BoardLacks USAGE, "add `tftp-address` to its bootloader table";
        #[error("{size:#x} bytes fetched to {at:#x} pass {limit:#x}, the end of free RAM")]
        NoRoom { size: u64, at: u64, limit: u64 }
            => NoRoom, "give the machine more memory (`--memory`) or pack a smaller image";
    }
}
