//! Why a file is no device tree that the board can read.

crate::explained! {
    /// What a file is that should be a device tree blob, or what is wrong with the blob. `likeness` is what the file looks like.
    pub enum Error {
        #[error("this is an overlay, a change to a device tree and none itself")]
        Overlay => NotATree, "give it with --overlay, and the device tree that it changes with --dtb";
        #[error("this is the source of a device tree")]
        Source => NotATree, "compile it with dtc -I dts -O dtb -o FILE.dtb FILE.dts";
        #[error("not a device tree blob but {likeness}")]
        NotATree { likeness: &'static str } => NotATree, "give a .dtb; its first bytes are d0 0d fe ed";
        #[error("this is a FIT image, not a plain device tree")]
        Fit => NotATree, "take the device tree out of it with dumpimage, or give the FIT's own .dtb";
        #[error("the device tree ends after 0x{size:x} bytes, inside its header")]
        HeaderCut { size: usize } => TreeDamaged, "compile it again with dtc -I dts -O dtb";
        #[error("the device tree is truncated: its header says 0x{total:x} bytes, the file has 0x{have:x}")]
        Cut { total: usize, have: usize } => TreeDamaged, "compile it again with dtc -I dts -O dtb";
        /// The shim would refuse it.
        #[error("the device tree is damaged ({reason})")]
        Refused { reason: stoop_core::Error } => TreeDamaged, "compile it again with dtc -I dts -O dtb";
        #[error("the device tree's bootargs are no text: {reason}")]
        Bootargs { reason: std::string::FromUtf8Error } => TreeDamaged, "correct /chosen/bootargs";
    }
}
