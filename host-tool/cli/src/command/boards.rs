//! `stoop boards`: which boards are known, what is known about one, and whether a board file is right.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use clap::Subcommand;
use comfy_table::{Table, presets};
use stoop_core::Region;
use stoop_core::params::UartKind;

use crate::ui;
use stoop_image::board::{self, Board, Bootloader, Flash};
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
    #[command(after_help = "Example:\n  stoop boards show gl-ar750")]
    Show {
        /// A name from `stoop boards list`, an OpenWrt profile name, or the path of a board file
        #[arg(value_parser = super::suggest::boards(), hide_possible_values = true)]
        board: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Find what is wrong with a board file of your own
    #[command(after_help = "Example:\n  stoop boards check my.toml")]
    Check {
        /// The board file; its SoC may be in `soc/` beside it
        file: PathBuf,
        /// Print JSON: the list of problems
        #[arg(long)]
        json: bool,
    },
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
        Action::Show { board, json: false } => print(show(&board::load(&board)?, out)),
        Action::Show { board, json: true } => json(&board::load(&board)?, out),
        Action::Check { file, json: as_json } => {
            let problems = board::check(&file)?;
            if as_json {
                json(&problems.iter().map(Into::into).collect::<Vec<crate::json::BoardProblem>>(), out)?;
            } else {
                print(explain(&problems, out))?;
            }
            match problems.len() {
                0 => Ok(()),
                1 => Err(Failure::new(ErrorCode::BoardFile, format!("{}: 1 problem", file.display()))),
                n => Err(Failure::new(ErrorCode::BoardFile, format!("{}: {n} problems", file.display()))),
            }
        }
    }
}

fn explain(problems: &[board::Problem], out: &mut impl Write) -> io::Result<()> {
    if problems.is_empty() {
        writeln!(out, "no problems")?;
    }
    for problem in problems {
        writeln!(out, "{problem}\n  next: {}", problem.next)?;
    }
    Ok(())
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

fn show(board: &Board, out: &mut impl Write) -> io::Result<()> {
    let mut rows = Rows::default();
    rows.add("board", &board.name);
    rows.add("title", &board.title);
    rows.add_all("alias", &board.aliases);
    let clock = board.cpu_clock.map_or(String::new(), |clock| format!(" at {} MHz", clock / 1_000_000));
    rows.add("SoC", format!("{}{clock}, {}, family {}", board.chip, board.arch, board.soc));
    rows.add("RAM", span(board.ram));
    for part in &board.firmware {
        rows.add("firmware's", format!("{}, never touched", span(*part)));
    }
    for (family, address) in &board.load_addresses {
        rows.add("kernel", format!("{family} linked at {address:#x}"));
    }
    rows.add(
        "UART",
        match board.uart.kind {
            UartKind::None => "none".into(),
            kind => {
                let uart = &board.uart;
                format!("{} at {:#x}, shift {}, width {}", board::uart_kind(kind), uart.address, uart.shift, uart.width)
            }
        },
    );
    if let Some(reset) = board.reset {
        rows.add("reset", format!("write {:#x} to {:#x}", reset.value, reset.address));
    }
    if let Some(led) = board.led {
        rows.add("LED", format!("mask {:#x}, on at {:#x}, off at {:#x}", led.mask, led.set, led.clear));
    }
    if let Some(dog) = &board.watchdog {
        let longest = dog.longest.map_or(String::new(), |longest| format!(", {longest} s at most"));
        rows.add("watchdog", format!("{}{longest}", dog.title));
        for (name, writes) in [("  fed by", &dog.feed), ("  stopped by", &dog.stop), ("  started by", &dog.start)] {
            rows.add_all(name, &writes.iter().map(register).collect::<Vec<_>>());
        }
    }
    rows.add("on failure", board::policy_name(board.defaults.policy));
    bootloader(board, &mut rows);
    if let Some(flash) = &board.flash {
        let window = match flash.window.is_empty() {
            true => "not readable as memory".into(),
            false => format!("readable at {}", span(flash.window)),
        };
        let erase = format!("{:#x}-byte erase blocks", flash.erase_size);
        let speed = flash.read_speed.map_or(String::new(), |speed| format!(", read at {:.1} MB/s", speed as f64 / 1e6));
        rows.add("flash", format!("{} {}, {erase}, {window}{speed}", mebibytes(flash.size), kind(flash)));
    }
    if !board.compatible.is_empty() {
        rows.add("compatible", board.compatible.join(", "));
    }
    if let Some(dtb) = &board.dtb {
        rows.add("device tree", format!("{}, {} bytes", dtb.name, dtb.bytes.len()));
    }
    if let Some(qemu) = &board.qemu {
        rows.add("QEMU", format!("{} -M {} -cpu {} -m {}", qemu.binary, qemu.machine, qemu.cpu, qemu.memory));
    }
    rows.print(out)?;
    if let Some(flash) = &board.flash {
        writeln!(out)?;
        partitions(flash, out)?;
    }
    for (heading, texts) in [
        ("quirks", board.quirks.iter().map(|quirk| format!("{} ({})", quirk.text, quirk.source)).collect()),
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

fn bootloader(board: &Board, rows: &mut Rows) {
    let Bootloader { name, prompt, interrupt, containers, .. } = &board.bootloader;
    let it = &board.bootloader;
    rows.add("bootloader", name);
    if let Some(prompt) = prompt {
        rows.add("prompt", prompt);
    }
    if let Some(interrupt) = interrupt {
        let on = interrupt.on.as_ref().map(|on| format!(" at {on:?}")).unwrap_or_default();
        rows.add("interrupt", format!("send {:?}{on}", interrupt.send));
    }
    let words: Vec<String> = containers
        .iter()
        .filter_map(|container| Some(serde_json::to_value(container).ok()?.as_str()?.to_owned()))
        .collect();
    rows.add("starts", words.join(", "));
    rows.add_all("vendor format", &it.vendor_container);
    rows.add_all("from flash", &it.flash_command);
    rows.add("bootm IMAGE - DTB", if it.bootm_dtb { "yes" } else { "no" });
    if let Some(address) = it.tftp_address {
        rows.add("tftpboot", format!("{address:#x}"));
    }
    if let Some(staging) = it.staging {
        rows.add("staging", span(staging));
    }
    rows.add("top of RAM", format!("{:#x} bytes are the bootloader's", it.reserved_top));
    match it.watchdog {
        Some(0) => rows.add("watchdog left", "none runs when the image starts"),
        Some(seconds) => {
            rows.add("watchdog left", format!("one runs when the image starts, and fires after {seconds} s"))
        }
        None => {}
    }
    for (name, limit) in [
        ("decoder's limit", it.decompression_limit),
        ("its dictionary", it.dictionary_limit),
        ("image limit", it.image_limit),
    ] {
        if let Some(limit) = limit {
            rows.add(name, format!("{limit:#x} ({limit} bytes)"));
        }
    }
}

/// A write, as `0x1e000120: 0x3e80000 + 1000 for each second`.
fn register(register: &board::Register) -> String {
    let mut text = format!("{:#010x}: {:#x}", register.address, register.value);
    match register.keep {
        0 => {}
        u32::MAX => text += " inverted",
        keep => text += &format!(" in the bits {:#x}", !keep),
    }
    if register.per_second != 0 {
        text += &format!(" + {} for each second", register.per_second);
    }
    text
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

/// Words and values below each other.
#[derive(Default)]
struct Rows(Vec<(&'static str, String)>);

impl Rows {
    fn add(&mut self, word: &'static str, value: impl Into<String>) {
        self.0.push((word, value.into()));
    }

    fn add_all<'a>(&mut self, word: &'static str, values: impl IntoIterator<Item = &'a String>) {
        self.0.extend(values.into_iter().map(|value| (word, value.clone())));
    }

    fn print(&self, out: &mut impl Write) -> io::Result<()> {
        self.0.iter().try_for_each(|(word, value)| writeln!(out, "{word:<18} {value}"))
    }
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
