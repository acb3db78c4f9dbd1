//! What would go wrong with an image on a board: everything the board's data know of its bootloader, RAM and flash, asked of a
//! finished file. The file may be stoop's or anybody's.

mod container;
mod facts;
mod fetch;
mod finding;
mod flash;
mod memory;
mod ramdisk;
mod shim;

use crate::Result;
use crate::board::Board;

pub use fetch::{Fetch, fetched, room};
pub use finding::Finding;

/// Looks for everything that could go wrong.
///
/// # Errors
/// The file is empty, or ends within its own header.
pub fn examine(file: &[u8], board: &Board) -> Result<Vec<Finding>> {
    let facts = facts::of(file)?;
    let mut findings =
        vec![container::checksums(&facts), container::arch(&facts, board), container::containers(&facts, board)];
    findings.extend(container::image_limit(&facts, board));
    findings.extend(container::decoder(&facts, board));
    findings.push(memory::ram(&facts, board));
    findings.push(memory::reserved_top(&facts, board));
    findings.extend(memory::staging_buffer(&facts, board));
    findings.push(memory::tftp(&facts, board));
    findings.extend(flash::partition(&facts, board));
    if let Some(opened) = &facts.stoop {
        findings.extend(ramdisk::unpacked(opened, board));
        findings.extend(shim::told(&facts, opened, board));
    }
    Ok(findings)
}
