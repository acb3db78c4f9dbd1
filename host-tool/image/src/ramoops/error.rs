//! Why there is no memory for the kernel's log over a reset.

crate::explained! {
    /// Why no memory keeps the kernel's log over a reset.
    pub enum Error {
        #[error("{text:?} is no size for --ramoops")]
        Size { text: String }
            => Ramoops USAGE, "give a multiple of 64K from 64K to 16M, for example `--ramoops 128K`";
        /// At this physical address.
        #[error("the device tree has a ramoops of its own, {node} at 0x{at:x}, and kernels take one")]
        Taken { node: String, at: u64 } => Ramoops USAGE, "omit --ramoops, or take the node out of the device tree";
        #[error("there is no room for 0x{size:x} bytes of ramoops below what the bootloader keeps")]
        NoRoom { size: usize } => Ramoops, "give a smaller --ramoops";
    }
}
