//! A board as a page of a book.

use std::fmt::Write;

use stoop_image::board::{Board, Flash};

use super::{kind, mebibytes, show};

/// The page, in Markdown with tables. Its picture is the one that `stoop boards show --svg` draws.
pub fn page(board: &Board) -> String {
    let mut page = format!("# {}\n\n", plain(&board.title));
    // Writing to a string cannot fail.
    let _ = writeln!(page, "`--board {}`. From `boards/{0}.toml`.\n", board.name);
    page += "| | |\n|---|---|\n";
    for (word, value) in show::facts(board).iter().filter(|(word, _)| !matches!(*word, "board" | "title")) {
        let _ = writeln!(page, "| {} | {} |", word.trim(), cell(value));
    }
    if let Some(flash) = &board.flash {
        partitions(&mut page, flash);
    }
    let quirks: Vec<String> = board.quirks.iter().map(|quirk| format!("{} ({})", quirk.text, quirk.source)).collect();
    list(&mut page, "What to know", &quirks);
    list(&mut page, "Sources", &board.sources);
    list(&mut page, "Doubts: nobody has checked these", &board.unverified);
    let _ = write!(page, "\n## How it was tested\n\n{}\n", tested(board));
    page
}

fn partitions(page: &mut String, flash: &Flash) {
    let _ = write!(page, "\n## Flash map\n\n{} {}.\n\n", mebibytes(flash.size), kind(flash));
    *page += "| partition | offset | size | for | slot | stoop writes it |\n|---|---|---|---|---|---|\n";
    for part in &flash.partitions {
        let slot = part.slot.map(String::from).unwrap_or_default();
        let writes = if part.protected { "never" } else { "yes" };
        let (name, role) = (cell(&part.name), part.role);
        let _ = writeln!(page, "| {name} | 0x{:08x} | 0x{:08x} | {role} | {slot} | {writes} |", part.offset, part.size);
    }
}

fn list(page: &mut String, heading: &str, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    let _ = write!(page, "\n## {heading}\n\n");
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
