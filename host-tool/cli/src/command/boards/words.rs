//! How figures, tables and JSON of boards are written.

use std::io::{self, Write};

use crate::Result;
use comfy_table::{Table, presets};
use stoop_core::Region;
use stoop_image::board::{self, Flash};

pub(super) fn kind(flash: &Flash) -> &'static str {
    match flash.kind {
        board::FlashKind::Nor => "NOR",
        board::FlashKind::Nand => "NAND",
    }
}

pub(super) fn mebibytes(bytes: usize) -> String {
    format!("{} MiB", bytes >> 20)
}

pub(super) fn span(region: Region) -> String {
    format!("{:#x}..{:#x} ({:#x} bytes)", region.start(), region.end(), region.size())
}

pub(super) fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    table
}

/// A table without blanks at the ends of its lines.
pub(super) fn lines(table: &Table, out: &mut impl Write) -> io::Result<()> {
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim()))
}

pub(super) fn json(value: &impl serde::Serialize, out: &mut impl Write) -> Result<()> {
    print(out.write_all(crate::json::result(value)?.as_bytes()))
}

pub(super) fn print(written: io::Result<()>) -> Result<()> {
    written.map_err(crate::Error::stdout)
}
