//! `stoop boards show`: everything known about one board, as text, JSON, a picture of its flash, or a page for a book.

use std::io::{self, Write};

use crate::Result;
use crate::command::Error;
use stoop_image::board::{self, Board, Flash};
use stoop_image::svg::Picture;

use super::facts::facts;
use super::page;
use super::words::{json, kind, lines, mebibytes, plain, print};
use crate::command::picture;

/// What the user typed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// A name from `stoop boards list`, an OpenWrt profile name, or the path of a board file
    #[arg(value_parser = crate::command::suggest::boards(), hide_possible_values = true)]
    board: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print a picture of the flash map, as SVG
    #[arg(long, conflicts_with = "json")]
    svg: bool,
    /// Print a page in Markdown: facts, sources, doubts, how it was tested
    #[arg(long, conflicts_with_all = ["json", "svg"])]
    markdown: bool,
}

/// Does it.
///
/// # Errors
/// An unknown board, a broken board file, or no flash map to draw.
pub fn run(args: &Args, out: &mut impl Write) -> Result<()> {
    let board = board::load(&args.board)?;
    match args {
        Args { json: true, .. } => json(&board, out),
        Args { svg: true, .. } => print(out.write_all(flash_map(&board)?.as_bytes())),
        Args { markdown: true, .. } => print(out.write_all(page::page(&board).as_bytes())),
        _ => print(text(&board, out)),
    }
}

/// The flash map as SVG.
fn flash_map(board: &Board) -> Result<String> {
    let Some(flash) = &board.flash else {
        return Err(Error::NoFlashMap { board: board.name.clone() }.into());
    };
    let title = format!("{}: {} {}", board.title, mebibytes(flash.size), kind(flash));
    let mut picture = Picture::default();
    picture::flash(&mut picture, 10, &title, flash, &[]);
    Ok(picture.finish(&title))
}

fn text(board: &Board, out: &mut impl Write) -> io::Result<()> {
    for (word, value) in facts(board) {
        writeln!(out, "{word:<18} {value}")?;
    }
    if let Some(flash) = &board.flash {
        writeln!(out)?;
        partitions(flash, out)?;
    }
    for (heading, texts) in [
        ("quirks", board.quirks.iter().map(ToString::to_string).collect()),
        ("sources", board.sources.clone()),
        ("not verified", board.unverified.clone()),
    ] {
        let texts: Vec<String> = texts;
        if !texts.is_empty() {
            writeln!(out, "\n{heading}")?;
        }
        for text in texts {
            writeln!(out, "  - {text}")?;
        }
    }
    Ok(())
}

fn partitions(flash: &Flash, out: &mut impl Write) -> io::Result<()> {
    let mut table = plain(&["partition", "offset", "size", "role", "slot", "mapped at", "stoop writes it"]);
    for partition in &flash.partitions {
        table.add_row([
            partition.name.clone(),
            format!("{:#010x}", partition.offset),
            format!("{:#010x}", partition.size),
            partition.role.to_string(),
            partition.slot.map_or("-".into(), String::from),
            flash.mapped(partition).map_or("-".into(), |region| format!("{:#x}", region.start())),
            (if partition.protected { "never" } else { "yes" }).into(),
        ]);
    }
    lines(&table, out)
}
