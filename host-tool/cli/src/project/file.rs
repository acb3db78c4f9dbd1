//! Names in the project file.

/// In the folder where `stoop` runs.
pub const FILE: &str = "stoop.toml";
/// Where the board is, for what works on a real one: a table of flags, or only its name in a lab.
pub(super) const PLACE: &str = "place";
