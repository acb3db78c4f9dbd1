//! `stoop boards`: which boards are known, what is known about one, and whether a board file is right.

mod check;
mod facts;
mod new;
mod page;
mod show;
mod words;

use std::io::{self, IsTerminal, Write};

use clap::Subcommand;

use self::words::{json, kind, lines, mebibytes, plain, print};
use crate::Result;
use crate::ui;
use stoop_image::board::{self, Board};

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
        /// Only with a SoC or SoC family whose name contains this
        #[arg(long, value_name = "NAME")]
        soc: Option<String>,
        /// Only with this flash
        #[arg(long, value_name = "KIND", value_parser = ["nor", "nand"])]
        flash: Option<String>,
        /// Print JSON, with everything known about each board
        #[arg(long)]
        json: bool,
        /// Print a page in Markdown, with a section for each board: facts, sources, doubts, how it was tested
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
    /// Show everything known about a board
    #[command(after_help = "Example:\n  stoop boards show gl-ar750 --svg")]
    Show(show::Args),
    /// Check a board file of your own, or compare flash maps with device trees
    #[command(
        after_help = "Example:\n  stoop boards check my.toml\n  stoop boards check --dts openwrt/target/linux/ramips/dts"
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
        Action::List { arch, soc, flash, json: as_json, markdown } => {
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
            match (as_json, markdown) {
                (true, _) => json(&boards, out),
                (_, true) => print(out.write_all(page::all(&boards).as_bytes())),
                _ => print(list(&boards, out)),
            }
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

#[cfg(test)]
mod tests;
