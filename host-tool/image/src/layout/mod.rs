//! Where everything of a boot lies: a pure function from sizes and board facts to named regions, and the proof that no
//! two of them that are alive at the same time overlap. Nothing is written before it holds.

mod fit;
mod place;
mod proof;
mod region;
mod relative;
#[cfg(test)]
mod tests;

pub use fit::Room;
pub use place::{KernelNeed, Need, Places, Shape, place};
pub use proof::prove;
pub use region::{ARGV_SIZE, BEHIND_SHIM, GRAIN, LOW, NamedRegion, PAGE, Phases, RegionKind};
pub use relative::{Placed, Relative, place_relative};
