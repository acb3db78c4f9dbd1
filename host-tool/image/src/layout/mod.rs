//! Where everything of a boot lies: a pure function from sizes and board facts to named regions, and the proof that no
//! two of them that are alive at the same time overlap. Nothing is written before it holds.

mod arm64;
mod error;
mod first_fit;
mod place;
mod proof;
mod region;
#[cfg(test)]
mod tests;

pub use arm64::{Placed, Relative, place_relative};
pub use error::Error;
pub use first_fit::Room;
pub use place::{KernelNeed, Need, Places, Shape, place};
pub use proof::prove;
pub use region::{ARGV_SIZE, BEHIND_SHIM, GRAIN, NamedRegion, PAGE, Phases, RegionKind};
