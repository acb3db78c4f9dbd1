//! `stoop run`: boots an image in QEMU, behind a real U-Boot or directly, and shows the console.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use stoop_image::Explained as _;
use stoop_image::machine::Machine;

use clap::ValueEnum;
use regex::Regex;
use stoop_core::crc32::Crc32;

use crate::Result;
use crate::command::Error;
use stoop_image::board::{self, Board};
use stoop_image::bootloader::image::Image;
use stoop_image::image;
use stoop_image::image::Opened;
use stoop_image::image::flash::Map;
use stoop_image::input::read_file;
use stoop_image::output::Output;
use stoop_lab::qemu::uboot::{Boot, StartCommand};
use stoop_lab::qemu::{Emulator, Log, Options, Target};

use super::stop::Stop;
use crate::json;

/// How the image is started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Via {
    /// By U-Boot from the emulated flash, which fetches it over TFTP: bootm, booti, bootelf or go
    Uboot,
    /// By QEMU itself (-kernel): ELF with arguments up to 255 bytes, or arm64 Image
    Direct,
}

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop run image.bin --args liminix --until login:")]
pub struct Args {
    /// The image: uImage, FIT, ELF, raw or arm64 Image
    image: PathBuf,
    /// The board to play; without it, the one that the image was packed for
    #[arg(long, value_name = "NAME|FILE", value_parser = super::suggest::boards(), hide_possible_values = true)]
    board: Option<String>,
    /// The bootargs that the bootloader passes; without it, none
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    args: Option<String>,
    /// How to start it
    #[arg(long, value_enum, default_value_t = Via::Uboot)]
    via: Via,
    /// A bootloader image for the flash, instead of the board's
    #[arg(long, value_name = "FILE")]
    uboot: Option<PathBuf>,
    /// RAM, instead of the board's
    #[arg(long, value_name = "MIB")]
    memory: Option<u32>,
    /// End with exit code 0 as soon as the image's console shows this; without it, run until the machine stops
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    until: Option<String>,
    /// Give up after this time, with exit code 3
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// Also write the console to this file, each line with the time
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print each line of the console as JSON
    #[arg(long)]
    json: bool,
    /// More options for QEMU
    #[arg(last = true, value_name = "QEMU-OPTION")]
    qemu: Vec<String>,
}

/// Boots it.
///
/// # Errors
/// Usage: the image cannot be started that way on that board. No answer: the time is over. Failed: the bootloader or the
/// kernel gave up, or the machine stopped before the pattern came.
pub fn run(args: &Args) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    if let Some(pattern) = &args.until {
        Regex::new(pattern).map_err(|error| Error::Pattern { pattern: pattern.clone(), reason: error })?;
    }
    if let Some(log) = &args.log {
        Output::new(log, [args.image.as_path()])?;
    }
    let stop = Stop::on_signals()?;
    let done = boot(args, deadline, &stop);
    // Whatever went wrong because of it.
    if stop.is_asked() { Err(Error::Interrupted.into()) } else { done }
}

fn boot(args: &Args, deadline: Instant, stop: &Stop) -> Result<()> {
    let bytes = read_file(&args.image)?;
    let image = Image::of(&bytes).map_err(|failure| failure.within(args.image.display()))?;
    let board = match &args.board {
        Some(name) => board::load(name)?,
        None => board_of(&image, &bytes).map_err(|failure| failure.within(args.image.display()))?,
    };
    check_byte_order(&image, &board).map_err(|failure| failure.within(args.image.display()))?;
    let extents = extents(&bytes, &board)?;
    let mut target = Target::of(&board, Duration::from_secs(args.timeout))?;
    if let Some(memory) = args.memory {
        target.set_memory(memory);
    }
    if args.uboot.is_some() {
        target.machine.uboot.clone_from(&args.uboot);
    }
    if args.via == Via::Direct {
        target.machine.uboot = None;
    }
    let log = args.log.as_deref().map(Log::create).transpose()?;
    let options = Options { echo: Some(if args.json { json_lines } else { stdout }), log, extra: args.qemu.clone() };
    match args.via {
        Via::Uboot => {
            let command = board.bootloader.flash_command.clone();
            let how = match (&command, extents.is_empty()) {
                (_, true) => how(&image, bytes.len(), &target)?,
                (Some(line), false) => StartCommand::Command { line, at: target.uboot.tftp_address },
                (None, false) => {
                    return Err(Error::FlashCommand { board: board.name.clone() }.into());
                }
            };
            let mut board = Emulator::new(with_uboot(target)?, options)?;
            for (offset, bytes) in extents {
                board.flash_mut()?.put(offset, bytes)?;
            }
            board.power_on()?;
            stop.reach(board.console()?);
            board.boot(&Boot { image: &bytes, bootargs: args.args.as_deref().map(str::as_bytes), files: &[], how })?;
            watch(&mut board, args.until.as_deref(), deadline, args.timeout)
        }
        Via::Direct => {
            if !matches!(image, Image::Elf { .. } | Image::Arm64 { .. }) {
                return Err(Error::NotDirect.into());
            }
            if args.image.as_os_str() == "-" {
                return Err(Error::DirectStdin.into());
            }
            let mut board = Emulator::new(target, options)?;
            board.power_on_with(&args.image, args.args.as_deref())?;
            stop.reach(board.console()?);
            watch(&mut board, args.until.as_deref(), deadline, args.timeout)
        }
    }
}

/// What of an image for flash goes where, by offset; nothing of others.
fn extents<'a>(bytes: &'a [u8], board: &Board) -> Result<Vec<(usize, &'a [u8])>> {
    let Some(opened) = image::open(bytes).ok().filter(|opened| opened.flash.is_some()) else { return Ok(Vec::new()) };
    let (map, window) = (Map::of(board)?, board.flash_window());
    let mut extents = vec![(map.boot.offset(), bytes.get(..opened.note.manifest).unwrap_or(bytes))];
    let stays = opened.pieces.iter().filter(|(at, _)| *at != opened.load);
    extents.extend(stays.map(|(at, bytes)| (at.wrapping_sub(window.start()), *bytes)));
    Ok(extents)
}

/// Lets the image run until the pattern or the end.
fn watch(board: &mut Emulator, until: Option<&str>, deadline: Instant, timeout: u64) -> Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    let seen = match until {
        Some(pattern) => board.console()?.expect(pattern, left).map(drop),
        None => board.wait(left),
    };
    let seen = seen.map_err(|failure| match failure.exit_code() {
        // As long as was asked for, whatever of it the bootloader took.
        3 => {
            let what = until.map_or(String::new(), |pattern| format!(" without `{pattern}`"));
            let tail = board.console().map(|console| console.tail()).unwrap_or_default();
            Error::TimedOut { seconds: timeout, missed: what + &tail }.into()
        }
        _ => board.explain(failure).into(),
    });
    board.power_off()?;
    seen
}

/// The command that starts such an image, and where it is fetched to.
fn how(image: &Image, size: usize, target: &Target) -> Result<StartCommand<'static>> {
    let at = target.uboot.image_address(image, size)?;
    Ok(match image {
        Image::Uimage { .. } | Image::Fit { .. } => StartCommand::Bootm { at, tree: None },
        Image::Elf { .. } => StartCommand::Bootelf { at },
        Image::Arm64 { .. } => StartCommand::Booti { at, tree: None },
        Image::Raw => StartCommand::Go { at },
    })
}

/// The board that QEMU plays and the image is for: its params name the board's console. A kernel that nobody packed only has
/// a byte order.
fn board_of(image: &Image, bytes: &[u8]) -> Result<Board> {
    if let Some(name) = image::open(bytes).ok().as_ref().and_then(Opened::board) {
        return Ok(board::of_image(Some(name))?);
    }
    let packed =
        image::open(bytes).ok().and_then(|opened| Some((opened.machine, opened.params(&Crc32::new()).ok()?.uart())));
    let fits = |board: &Board| {
        let big_endian = board.arch.is_big_endian();
        let machine = board.arch;
        match (packed, image) {
            (Some(packed), _) => packed == (machine, board.uart),
            (None, Image::Elf { little_endian, .. }) => *little_endian != big_endian && board.arch.is_mips(),
            (None, Image::Arm64 { .. }) => machine == Machine::Arm64,
            _ => false,
        }
    };
    board::all()?.into_iter().filter(|board| board.qemu.is_some()).find(fits).ok_or_else(|| Error::NoQemuBoard.into())
}

fn check_byte_order(image: &Image, board: &Board) -> Result<()> {
    let little = !board.arch.is_big_endian();
    let arm64 = matches!(image, Image::Arm64 { .. });
    if arm64 == board.arch.is_mips() && (arm64 || matches!(image, Image::Elf { .. })) {
        let name = if arm64 { "an arm64 Image" } else { "a MIPS ELF file" };
        return Err(Error::OtherMachine { image: name, board: board.name.clone() }.into());
    }
    match image {
        Image::Elf { little_endian, .. } if *little_endian != little => {
            let name = |little| if little { "little" } else { "big" };
            Err(Error::ByteOrder { file: name(*little_endian), board: name(little) }.into())
        }
        _ => Ok(()),
    }
}

fn with_uboot(target: Target) -> Result<Target> {
    if target.machine.uboot.is_none() {
        return Err(Error::NoUboot.into());
    }
    Ok(target)
}

fn stdout() -> Box<dyn Write + Send> {
    Box::new(std::io::stdout())
}

fn json_lines() -> Box<dyn Write + Send> {
    Box::new(json::ConsoleLines::default())
}
