//! The lab suite: boots packed images on a rig and looks at what the kernel saw. The tests are in `tests/`; they do not
//! know which rig they run on.
//!
//! [`rig`] is the board (QEMU unless `STOOP_RIG` says otherwise), [`mod@boot`] gets an image running on it.
#![forbid(unsafe_code)]

pub mod boot;
pub mod cases;
pub mod desk;
pub mod fault;
pub mod linux;
pub mod oracle;
pub mod packed;
pub mod program;
pub mod rig;
pub mod router;
pub mod seen;
pub mod slots;
pub mod stand;

pub use boot::{Boot, Via, boot, boot_again, see};
pub use packed::Packed;
pub use rig::{Cap, Rig};

/// Says why a test does nothing: `HIL-SKIP: reason`.
///
/// # Errors
/// The reason, when `STOOP_LAB=required` says that the lab must be complete.
pub fn skip(reason: &str) -> stoop_ci::Result<()> {
    if std::env::var_os("STOOP_LAB").is_some_and(|value| value == "required") {
        return Err(stoop_ci::Failure::new(format!("the lab is required, and: {reason}")).next("run `cargo ci lab`"));
    }
    println!("HIL-SKIP: {reason}");
    Ok(())
}
