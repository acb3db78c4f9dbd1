//! Why no image begins with this shim.

use stoop_core::params::MAX_SIZE;

crate::explained! {
    /// Why a shim cannot be put in front of an image.
    pub enum Error {
        #[error("there is no traced shim for arm64")]
        NoTrace => Options USAGE, "pack without `--trace`";
        #[error("the params take 0x{size:x} bytes, the shim has room for 0x{MAX_SIZE:x}")]
        Params { size: usize } => Params USAGE, "give a shorter cookie or fewer kept keys";
        /// A mistake of this tool: `why` is what is wrong with the shim that comes with it.
        #[error("the shim is broken: {why}")]
        Broken { why: String } => Internal, "report this: this copy of stoop is broken";
    }
}
