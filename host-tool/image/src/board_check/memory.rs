//! Whether the file has room in RAM on its way: where it is fetched to, copied to and loaded to.

use stoop_core::Region;

use super::facts::Facts;
use super::finding::{Finding, found, no, ok, span};
use crate::board::Board;
use crate::bootloader::image::staging;
use crate::preflight::Level;

pub(super) fn ram(facts: &Facts<'_>, board: &Board) -> Finding {
    let fix = "pack it for this board";
    if let Some((what, address)) = facts.unreachable {
        let says = format!("its {what} 0x{address:08x} is not in KSEG0 (0x80000000..0xa0000000) or KSEG1");
        return no("ram", says, "build it again with the addresses that its kernel is linked at");
    }
    if facts.load.is_empty() {
        return ok("ram", "it runs where it is fetched to");
    }
    let entry = Region::new(facts.entry.unwrap_or(0), 4).unwrap_or(Region::EMPTY);
    if !board.ram.contains(&facts.load) {
        let says = format!("it is loaded to {}, RAM is {}", span(facts.load), span(board.ram));
        return no("ram", says, fix);
    }
    if !facts.load.contains(&entry) {
        let says = format!("its entry point 0x{:08x} is not in {}", entry.start(), span(facts.load));
        return no("ram", says, "build or pack it again");
    }
    ok("ram", format!("it is loaded to {}", span(facts.load)))
}

pub(super) fn reserved_top(facts: &Facts<'_>, board: &Board) -> Finding {
    let free = board.free_ram();
    let top = Region::between(free.end(), board.ram.end()).unwrap_or(Region::EMPTY);
    match facts.load.overlaps(&top) {
        true => no(
            "reserved-top",
            format!("it is loaded to {}, where the bootloader itself runs: {}", span(facts.load), span(top)),
            "pack it for this board",
        ),
        false => ok("reserved-top", format!("the bootloader keeps {}", span(top))),
    }
}

pub(super) fn staging_buffer(facts: &Facts<'_>, board: &Board) -> Option<Finding> {
    let buffer = board.bootloader.staging?;
    let copied = Region::new(buffer.start(), facts.started()).unwrap_or(buffer);
    Some(if copied.end() > buffer.end() {
        let says = format!("0x{:x} bytes do not fit the staging buffer {}", facts.started(), span(buffer));
        no("staging", says, "pack it smaller: --codec lzma, or less in it")
    } else if facts.load.overlaps(&copied) {
        let says = format!("it is loaded to {}, over its own copy in {}", span(facts.load), span(copied));
        no("staging", says, "pack it for this board: stoop keeps off the staging buffer")
    } else {
        ok("staging", format!("its copy in {} is not overwritten", span(copied)))
    })
}

/// Fetching it: to the usual address, or to a better one.
pub(super) fn tftp(facts: &Facts<'_>, board: &Board) -> Finding {
    let Some(typed) = board.bootloader.tftp_address else {
        return found(Level::Unknown, "tftp-address", "where it fetches files to is not known".into(), "ask the board");
    };
    let (usual, size, free) = (board.physical(typed), facts.file.len(), board.free_ram());
    let load = (!facts.load.is_empty()).then(|| facts.load.start() as u64..facts.load.end() as u64);
    let fits = |at: usize| Region::new(at, size).is_some_and(|file| free.contains(&file));
    match staging(usual as u64, size as u64, load, free.end() as u64).map(|at| at as usize) {
        Ok(at) if at == usual && fits(at) => ok("tftp-address", format!("tftpboot 0x{typed:08x} overwrites nothing")),
        Ok(at) if fits(at) => found(
            Level::Warn,
            "tftp-address",
            format!("fetched to 0x{typed:08x}, it is overwritten while it is loaded to {}", span(facts.load)),
            &format!("fetch it to 0x{:08x}", board.typed(at)),
        ),
        _ => found(
            // What is written to flash can come from elsewhere.
            if facts.started() < size { Level::Warn } else { Level::No },
            "tftp-address",
            format!("0x{size:x} bytes fetched to 0x{typed:08x} do not fit RAM below 0x{:08x}", board.typed(free.end())),
            "pack it smaller, or start it from flash",
        ),
    }
}
