//! The proof: every region inside RAM, and no two alive at the same time share a byte.

use super::region::{NamedRegion, RegionKind};
use stoop_core::Region;

use crate::{ErrorCode, Failure, Result};

const STAY: &str = "keep the kernel in place with `--append nokaslr`, or give one that is not relocatable";

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
            return Err(Failure::new(
                ErrorCode::NotInRam,
                format!("{named} is not in RAM [0x{:08x}, 0x{:08x})", ram.start(), ram.end()),
            )
            .next(match named.what {
                RegionKind::Relocation => STAY,
                RegionKind::Ramoops => "correct `ram` in the board file, or omit --ramoops",
                _ => "give a kernel that is linked inside the board's RAM, or correct `ram` in the board file",
            }));
        }
    }
    for (index, first) in regions.iter().enumerate() {
        if let Some(second) = regions[index + 1..].iter().find(|second| first.collides(second)) {
            return Err(overlap(first, second));
        }
    }
    Ok(())
}

fn overlap(first: &NamedRegion, second: &NamedRegion) -> Failure {
    let is = |what| first.what == what || second.what == what;
    let next = if is(RegionKind::Relocation) {
        STAY
    } else if (is(RegionKind::Shim) || is(RegionKind::Image))
        && (is(RegionKind::Kernel) || is(RegionKind::Decompressed))
    {
        // Only where a container in flash fixes them.
        "give a smaller kernel: the shim's place at the top of RAM is fixed"
    } else if is(RegionKind::Ramoops) {
        "give a smaller kernel, or a smaller --ramoops: its place depends on the board alone, so that the next boot finds it"
    } else if is(RegionKind::Staging) || is(RegionKind::Bootloader) {
        "give a smaller kernel or root filesystem: the bootloader leaves no more room"
    } else {
        "report this: the layout should have found another place"
    };
    Failure::new(ErrorCode::Overlap, format!("{first} overlaps {second}")).next(next)
}
