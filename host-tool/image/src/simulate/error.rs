//! Why a boot cannot be simulated.

use stoop_core::Region;

crate::explained! {
    /// Why a boot cannot be simulated. Addresses are physical. That the shim itself gives up is no error but an outcome.
    pub enum Error {
        #[error("the flash of its board cannot hold the image")]
        Flash => ImageDamaged, "pack it for the board again";
        #[error("0x{size:x} bytes at 0x{at:08x} are not in RAM [0x{:08x}, 0x{:08x})", ram.start(), ram.end())]
        NotInRam { size: usize, at: usize, ram: Region } => NoRoom, "load the image where it was packed for";
        #[error("its payloads take more than 0x{most:x} bytes of RAM, which is simulated for no image of this size")]
        TooLarge { most: usize }
            => ImageDamaged, "pack it again, and see what `stoop inspect` says about its payloads";
        #[error("no 0x{size:x} bytes of RAM are left for the bootloader's arguments")]
        NoRoomForArguments { size: usize } => NoRoom, "give less of them";
        #[error("the bootloader's arguments do not fit into RAM")]
        Arguments => NoRoom, "give less of them";
        #[error("the bootloader's device tree cannot be made")]
        Tree => Internal;
        #[error("the simulation lost what it has just written")]
        Lost => Internal, "report this";
        #[error("argv and the final device tree have different lines")]
        TwoLines => Internal, "report this";
    }
}
