//! What the rules of both machines need.

use stoop_core::Region;

use crate::image::Opened;

/// More than any device tree of a router, in whole pages of every size.
pub(super) const TREE_ROOM: usize = 0x2_0000;

/// A range for people.
pub(super) fn show(at: &Region) -> String {
    format!("[0x{:08x}, 0x{:08x})", at.start(), at.end())
}

/// What to do about an image that breaks a rule which pack keeps.
pub(super) fn again(opened: &Opened<'_>) -> String {
    format!("pack it again with --format {} by this version of stoop", opened.format.name())
}
