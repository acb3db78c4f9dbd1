//! Boards as pages of a book.

use std::fmt::Write;

use stoop_image::board::{Board, Flash};

use super::facts::facts;
use super::words::{kind, mebibytes};

/// The page, in Markdown with tables. Its picture is the one that `stoop boards show --svg` draws.
pub fn page(board: &Board) -> String {
    let mut page = String::new();
    put(&mut page, "#", board);
    page
}

/// A page of all these boards: a table that leads to a section for each.
pub fn all(boards: &[Board]) -> String {
    let mut page = String::from(
        "# Boards\n\nMade by `cargo ci book` from the files of `boards/` with `stoop boards list --markdown`. Nobody has run stoop on a board \
         of this list but QEMU's: each section says how it was tested, where its figures come from, and which of them nobody has checked.\n\n\
         | board | title | SoC | machine | RAM | flash |\n|---|---|---|---|---|---|\n",
    );
    for board in boards {
        let flash = board.flash.as_ref().map(|flash| format!("{} {}", mebibytes(flash.size), kind(flash)));
        let (name, ram) = (&board.name, mebibytes(board.ram.size()));
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| [{name}](#{name}) | {} | {} | {} | {ram} | {} |",
            cell(&board.title),
            cell(&board.chip),
            board.arch,
            flash.unwrap_or_default()
        );
    }
    for board in boards {
        page.push('\n');
        put(&mut page, "##", board);
    }
    page
}

/// A board below a heading with this mark. The heading is the name, which every renderer makes the same anchor of.
fn put(page: &mut String, mark: &str, board: &Board) {
    let _ = writeln!(page, "{mark} {}\n\n| | |\n|---|---|", board.name);
    for (word, value) in facts(board).iter().filter(|(word, _)| *word != "board") {
        let _ = writeln!(page, "| {} | {} |", word.trim(), cell(value));
    }
    if let Some(flash) = &board.flash {
        partitions(page, mark, flash);
    }
    let quirks: Vec<String> = board.quirks.iter().map(ToString::to_string).collect();
    list(page, mark, "What to know", &quirks);
    list(page, mark, "Sources", &board.sources);
    list(page, mark, "Doubts: nobody has checked these", &board.unverified);
    let _ = write!(page, "\n{mark}# How it was tested\n\n{}\n", tested(board));
}

fn partitions(page: &mut String, mark: &str, flash: &Flash) {
    let _ = write!(page, "\n{mark}# Flash map\n\n{} {}.\n\n", mebibytes(flash.size), kind(flash));
    *page += "| partition | offset | size | for | slot | stoop writes it |\n|---|---|---|---|---|---|\n";
    for part in &flash.partitions {
        let slot = part.slot.map(String::from).unwrap_or_default();
        let writes = if part.protected { "never" } else { "yes" };
        let (name, role) = (cell(&part.name), part.role);
        let _ = writeln!(page, "| {name} | 0x{:08x} | 0x{:08x} | {role} | {slot} | {writes} |", part.offset, part.size);
    }
}

fn list(page: &mut String, mark: &str, heading: &str, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    let _ = write!(page, "\n{mark}# {heading}\n\n");
    for text in texts {
        let _ = writeln!(page, "- {}", plain(text));
    }
}

/// What runs in `cargo ci test` for every board, and no more than that.
fn tested(board: &Board) -> &'static str {
    match board.qemu {
        Some(_) => {
            "In QEMU, behind Debian's U-Boot, and in the model of a board that is made from this page's figures."
        }
        None => {
            "In a model of the board that is made from this page's figures: every container that its bootloader takes, every \
             codec, and damaged images. That proves the image against the figures, not the figures against the board."
        }
    }
}

/// Text whose signs mean nothing to Markdown.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '<' => plain += "&lt;",
            '&' => plain += "&amp;",
            '*' | '_' | '[' | ']' | '#' => plain.extend(['\\', c]),
            c if c.is_control() => plain.extend(c.escape_default()),
            c => plain.push(c),
        }
    }
    plain
}

fn cell(text: &str) -> String {
    plain(text).replace('|', "\\|")
}
