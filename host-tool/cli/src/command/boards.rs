//! `stoop boards`: which boards are known, what is known about one, and whether a board file is right.

mod check;
mod new;
mod page;
mod picture;
mod show;

use std::io::{self, IsTerminal, Write};

use clap::Subcommand;
use comfy_table::{Table, presets};
use stoop_core::Region;

use crate::ui;
use stoop_image::board::{self, Board, Flash};
use stoop_image::{ErrorCode, Failure, Result};

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop boards list --arch arm64")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand, Debug)]
enum Action {
    /// List the boards that come with stoop
    #[command(after_help = "Example:\n  stoop boards list --arch mips-le --soc mt7621 --flash nand")]
    List {
        /// Only of this architecture: mips (both), mips-be, mips-le, arm64
        #[arg(long, value_name = "ARCH", value_parser = ["mips", "mips-be", "mips-le", "arm64"])]
        arch: Option<String>,
        /// Only with a SoC or SoC family of this name, or a part of it
        #[arg(long, value_name = "NAME")]
        soc: Option<String>,
        /// Only with this flash
        #[arg(long, value_name = "KIND", value_parser = ["nor", "nand"])]
        flash: Option<String>,
        /// Print JSON, with everything known about each board
        #[arg(long)]
        json: bool,
    },
    /// Show everything known about a board
    #[command(after_help = "Examples:\n  stoop boards show gl-ar750\n  stoop boards show gl-ar750 --svg > map.svg")]
    Show(show::Args),
    /// Find what is wrong with a board file of your own, or in what flash maps differ from device trees
    #[command(
        after_help = "Examples:\n  stoop boards check my.toml\n  stoop boards check --dts openwrt/target/linux/ramips/dts"
    )]
    Check(check::Args),
    /// Write a board file from a device tree and the log of a boot
    #[command(after_help = "Example:\n  stoop boards new --dtb my.dtb --log boot.log -o my.toml")]
    New(new::Args),
}

/// Does it.
///
/// # Errors
/// An unknown board, an unreadable file, or a board file with problems.
pub fn run(args: Args) -> Result<()> {
    let mut out = Vec::new();
    let done = run_to(args, &mut out);
    ui::put(&String::from_utf8_lossy(&out))?;
    done
}

fn run_to(args: Args, out: &mut impl Write) -> Result<()> {
    match args.action {
        Action::List { arch, soc, flash, json: as_json } => {
            let mut boards = board::all()?;
            boards.retain(|board| {
                let is_arch = |arch: &String| board.arch.to_string().starts_with(arch.as_str());
                let is_soc = |soc: &String| {
                    let soc = soc.to_lowercase();
                    [&board.soc, &board.chip].iter().any(|name| name.to_lowercase().contains(&soc))
                };
                let is_flash = |wanted: &String| {
                    board.flash.as_ref().is_some_and(|flash| kind(flash).eq_ignore_ascii_case(wanted))
                };
                arch.as_ref().is_none_or(is_arch)
                    && soc.as_ref().is_none_or(is_soc)
                    && flash.as_ref().is_none_or(is_flash)
            });
            if as_json { json(&boards, out) } else { print(list(&boards, out)) }
        }
        Action::Show(args) => show::run(&args, out),
        Action::Check(args) => check::run(&args, out),
        Action::New(args) => new::run(&args, out),
    }
}

fn list(boards: &[Board], out: &mut impl Write) -> io::Result<()> {
    let mut table = plain(&["board", "title", "SoC", "arch", "RAM", "flash", "OpenWrt"]);
    for board in boards {
        table.add_row([
            board.name.clone(),
            board.title.clone(),
            board.chip.clone(),
            board.arch.to_string(),
            mebibytes(board.ram.size()),
            board.flash.as_ref().map_or("-".into(), |flash| format!("{} {}", mebibytes(flash.size), kind(flash))),
            board.aliases.first().cloned().unwrap_or_else(|| "-".into()),
        ]);
    }
    if io::stdout().is_terminal() {
        ui::fit(&mut table);
    }
    lines(&table, out)
}

fn kind(flash: &Flash) -> &'static str {
    match flash.kind {
        board::FlashKind::Nor => "NOR",
        board::FlashKind::Nand => "NAND",
    }
}

fn mebibytes(bytes: usize) -> String {
    format!("{} MiB", bytes >> 20)
}

fn span(region: Region) -> String {
    format!("{:#x}..{:#x} ({:#x} bytes)", region.start(), region.end(), region.size())
}

fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    table
}

/// A table without blanks at the ends of its lines.
fn lines(table: &Table, out: &mut impl Write) -> io::Result<()> {
    table.lines().try_for_each(|line| writeln!(out, "{}", line.trim()))
}

fn json(value: &impl serde::Serialize, out: &mut impl Write) -> Result<()> {
    print(out.write_all(crate::json::result(value)?.as_bytes()))
}

fn print(written: io::Result<()>) -> Result<()> {
    written.map_err(|error| Failure::new(ErrorCode::Output, format!("stdout: {error}")))
}

#[cfg(test)]
mod tests;
