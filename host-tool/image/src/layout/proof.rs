//! The proof: every region inside RAM, and no two alive at the same time share a byte.

use super::region::{NamedRegion, RegionKind};
use stoop_core::Region;

use super::error::Error;
use crate::Result;

/// Checks every region against `ram` and every other region.
///
/// # Errors
/// The first region outside RAM, or the first two that overlap, with all numbers.
pub fn prove(regions: &[NamedRegion], ram: Region) -> Result<()> {
    for named in regions {
        // A device tree may reserve what is no RAM.
        if named.what == RegionKind::Reserved || named.region.is_empty() {
            continue;
        }
        if !ram.contains(&named.region) {
            return Err(Error::NotInRam { region: *named, ram }.into());
        }
    }
    for (index, first) in regions.iter().enumerate() {
        if let Some(second) = regions[index + 1..].iter().find(|second| first.collides(second)) {
            return Err(Error::Overlap { first: *first, second: *second }.into());
        }
    }
    Ok(())
}
