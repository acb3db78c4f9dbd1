//! Whether what the shim in the image was told is true of the board, and what it would do there.

use stoop_core::crc32::Crc32;
use stoop_core::manifest::Kind;

use super::facts::Facts;
use super::finding::{Finding, found, no, ok, span};
use crate::board::{self, Board};
use crate::format::device_tree;
use crate::image::Opened;
use crate::preflight::Level;
use crate::simulate::{self, Entry, Input};

/// What the shim was told about its board, and what it would do.
pub(super) fn told(facts: &Facts<'_>, opened: &Opened<'_>, board: &Board) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (crc, again) = (Crc32::new(), "pack it for this board");
    // Damaged params are among the checksums.
    let Ok(params) = opened.params(&crc) else { return findings };
    if !board.ram.contains(&params.ram()) {
        let says = format!("the shim was told that RAM is {}, it is {}", span(params.ram()), span(board.ram));
        findings.push(no("ram", says, again));
    }
    if !params.flash().is_empty() && params.flash() != board.flash_window() {
        let says = format!("the shim reads flash at {}, it is at {}", span(params.flash()), span(board.flash_window()));
        findings.push(no("flash-window", says, again));
    }
    if params.uart() != board.uart {
        let (ours, theirs) = (params.uart(), board.uart);
        let kind = |uart: stoop_core::params::Uart| board::uart_kind(uart.kind);
        let says = format!(
            "the shim talks to {} at 0x{:08x}, the board has {} at 0x{:08x}",
            kind(ours),
            ours.address,
            kind(theirs),
            theirs.address
        );
        findings.push(found(Level::Warn, "uart", says, again));
    }
    let Ok(manifest) = opened.manifest(&crc) else { return findings };
    let places = Kind::ALL.map(|kind| (kind.subject().text(), manifest.payload(kind).place));
    let all = places.into_iter().chain([("shim", opened.note.run), ("dtb", manifest.tree())]);
    for (name, place) in all.filter(|(_, place)| !place.is_empty() && !board.ram.contains(place)) {
        let says = format!("the {name} goes to {}, RAM is {}", span(place), span(board.ram));
        findings.push(no("ram", says, again));
    }
    let free = board.free_ram();
    if opened.note.run.end() > free.end() {
        let says = format!("the shim runs at {}, in the bootloader's own RAM", span(opened.note.run));
        findings.push(no("reserved-top", says, again));
    }
    let packed = !manifest.payload(Kind::Dtb).source.is_empty();
    let entry = if packed { Entry::None } else { Entry::Uhi(device_tree::empty()) };
    let outcome = simulate::run(facts.file, &Input { entry, load: None });
    findings.push(match outcome.map(|outcome| outcome.result) {
        Ok(Ok(booted)) => ok("shim", format!("it boots slot {}", booted.slot)),
        Ok(Err(error)) => {
            no("shim", format!("it gives up: {error}"), &format!("see `stoop explain E{:02}`", error.number()))
        }
        Err(failure) => no("shim", failure.to_string(), again),
    });
    findings
}
