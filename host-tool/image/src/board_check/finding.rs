//! What is found out about an image on a board.

use stoop_core::Region;

use crate::preflight::Level;

/// One thing found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How well it holds; [`Level::No`] means that the image does not boot.
    pub level: Level,
    /// The key of the board's data that it is about, or `checksums`, `arch`, `shim`.
    pub what: &'static str,
    /// The fact, with numbers.
    pub says: String,
    /// What to do, when it does not hold.
    pub fix: Option<String>,
}

pub(super) fn ok(what: &'static str, says: impl Into<String>) -> Finding {
    Finding { level: Level::Ok, what, says: says.into(), fix: None }
}

pub(super) fn found(level: Level, what: &'static str, says: String, fix: &str) -> Finding {
    Finding { level, what, says, fix: Some(fix.to_owned()) }
}

pub(super) fn no(what: &'static str, says: String, fix: &str) -> Finding {
    found(Level::No, what, says, fix)
}

pub(super) fn span(region: Region) -> String {
    format!("[0x{:08x}, 0x{:08x})", region.start(), region.end())
}
