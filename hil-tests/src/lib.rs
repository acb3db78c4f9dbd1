//! The lab suite: boots packed images on a rig and looks at what the kernel saw. The tests are in `tests/`; they do not
//! know which rig they run on.
//!
//! [`rig`] is the board (QEMU unless `STOOP_RIG` says otherwise), [`boot`] gets an image running on it.
#![forbid(unsafe_code)]

pub mod bench;
pub mod boot;
pub mod oracle;
pub mod program;
pub mod rig;
pub mod seen;

pub use boot::{Boot, Via, boot, see};
pub use rig::{Cap, Rig};
