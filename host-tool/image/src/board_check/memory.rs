//! Whether the file has room in RAM on its way: where it is fetched to, copied to and loaded to.

use stoop_core::Region;

use super::facts::Facts;
use super::fetch::{self, Fetch, room};
use super::finding::{Finding, found, no, ok, span};
use crate::board::Board;
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
    const KEY: &str = "tftp-address";
    let size = facts.file.len();
    let usual = board.bootloader.tftp_address;
    let limit = board.typed(board.free_ram().end());
    if facts.stoop.as_ref().is_some_and(|opened| opened.flash.is_some()) {
        return match room(board, size) {
            Some(at) => ok(KEY, format!("tftpboot 0x{:08x} overwrites nothing", board.typed(at))),
            None => found(
                // What is written to flash can come from elsewhere.
                Level::Warn,
                KEY,
                format!("0x{size:x} bytes do not fit RAM below 0x{limit:08x}"),
                "write it from Linux, or pack it smaller",
            ),
        };
    }
    match (fetch::of(facts, board), usual) {
        (Ok(Fetch { at, moved: None }), _) => ok(KEY, format!("tftpboot 0x{:08x} overwrites nothing", board.typed(at))),
        (Ok(Fetch { at, moved: Some(why) }), usual) => {
            let (at, usual) = (board.typed(at), usual.unwrap_or_default());
            match facts.stoop.is_some() {
                true => ok(KEY, format!("tftpboot 0x{at:08x} overwrites nothing; not 0x{usual:08x}: {why}")),
                false => {
                    found(Level::Warn, KEY, format!("not to 0x{usual:08x}: {why}"), &format!("fetch it to 0x{at:08x}"))
                }
            }
        }
        (Err(_), None) => found(Level::Unknown, KEY, "where it fetches files to is not known".into(), "ask the board"),
        (Err(_), Some(usual)) => no(
            KEY,
            format!("0x{size:x} bytes fetched to 0x{usual:08x} do not fit RAM below 0x{limit:08x}"),
            "pack it smaller, or start it from flash",
        ),
    }
}
