//! Why nothing can be typed at a bootloader to start an image.

crate::explained! {
    /// Why an image is not started by commands at a bootloader's prompt.
    pub enum Error {
        #[error("the image is for flash, not for RAM")]
        ForFlash => Internal USAGE, "write it with `stoop flash`, or pack it with another --format";
    }
}
