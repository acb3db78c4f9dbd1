//! `stoop netboot`: boots an image on a real board, and goes on as `stoop monitor` on the same connection.

pub(super) mod show;
mod sitting;

use std::io::Write;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use crate::Result;
use crate::command::Error;
use stoop_image::board::{self, Board};
use stoop_image::explained::INTERRUPTED;
use stoop_image::image::{self, Opened};
use stoop_image::input::read_file;
use stoop_image::output::Output;
use stoop_image::shell;
use stoop_lab::Explained as _;
use stoop_lab::bootloader::Patience;
use stoop_lab::netboot::{self, Netboot};
use stoop_lab::power::Power;
use stoop_lab::qemu::{Console, Log};
use stoop_lab::terminal::{self, Screen};

use super::monitor::desk::Desk;
use super::monitor::screen;
use super::place::PlaceArgs;
use super::stdin::stdin_once;
use super::stop::Stop;
use crate::ui;
use show::Show;
use sitting::Sitting;

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  stoop netboot image.bin --serial /dev/ttyUSB0 --power http:tasmota:plug-3 --address 192.168.1.2 --board-address 192.168.1.1"
)]
pub struct Args {
    /// The image: uImage, FIT, ELF, raw or arm64 Image
    image: PathBuf,
    /// The board that should be there; without it, the one that the image was packed for
    #[arg(long, value_name = "NAME|FILE", value_parser = super::suggest::boards(), hide_possible_values = true)]
    board: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// End with exit code 0 as soon as the image's console shows this; without it, at Ctrl-] q (without a terminal at Ctrl-C), or when the console closes
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    until: Option<String>,
    /// End with exit code 1 as soon as the image's console shows this
    #[arg(long, value_name = "REGEX", allow_hyphen_values = true)]
    fail_on: Vec<String>,
    /// How long to wait for the bootloader's prompt
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    prompt_timeout: u64,
    /// How long --until may take after the image has started
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    timeout: u64,
    /// The kernel's ELF or its System.map: addresses of an oops become functions, with debug information files and lines
    #[arg(long, value_name = "FILE")]
    vmlinux: Option<PathBuf>,
    /// Also write the console to this file, each line with the time
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print each step as a line of JSON, instead of the console
    #[arg(long)]
    json: bool,
}

/// Boots it.
///
/// # Errors
/// Device (3): the board is silent, does not come to its prompt, or does not get the image. Place (75): its console or power switch
/// does not work, or it is another board. Failed: the image's console showed --fail-on.
pub fn run(args: &Args) -> Result<()> {
    let bytes = read_file(&args.image)?;
    let board = board_for(args.board.as_deref(), &bytes).map_err(|failure| failure.within(args.image.display()))?;
    let place = args.place.place()?;
    let inputs = || [Some(&args.image), args.vmlinux.as_ref()].into_iter().flatten().map(PathBuf::as_path);
    stdin_once(inputs())?;
    if let Some(log) = &args.log {
        Output::new(log, inputs())?;
    }
    // A kernel that cannot be read is told before a board is switched.
    let screen = screen::explained(false, !args.json, args.vmlinux.as_deref())?;
    let log = args.log.as_deref().map(Log::create).transpose()?;
    let show = Show::new(args.json);
    let stop = Stop::on_signals()?;
    let mut power = place.power()?;
    let boot = Netboot {
        board: &board,
        image: &bytes,
        name: shell::served_name(&args.image),
        place: &place,
        patience: Patience { attention: Duration::from_secs(args.prompt_timeout), ..Patience::default() },
        stall: STALL,
    };
    let done = boot_and_watch(args, &mut power, &boot, log, screen, &show, &stop);
    let done = finish(args.place.power_off, &mut power, done, &show);
    if stop.is_asked() && args.until.is_some() { Err(Error::Interrupted.into()) } else { done }
}

/// Switches the power off if that was asked for, however it ended, and tells what went wrong first.
pub(super) fn finish(power_off: bool, power: &mut Option<Box<dyn Power>>, done: Result<()>, show: &Show) -> Result<()> {
    let off = match power {
        Some(power) if power_off => power.set(false).map_err(|error| stoop_lab::Error::from(error).into()),
        _ => Ok(()),
    };
    let done = match (done, off) {
        (Err(failure), Err(second)) => {
            ui::tell(ui::in_full(&second));
            Err(failure)
        }
        (done, off) => done.and(off),
    };
    show.end();
    done
}

/// How long a transfer may stand still: longer than U-Boot waits before it asks again.
pub(super) const STALL: Duration = Duration::from_secs(30);

fn boot_and_watch(
    args: &Args,
    power: &mut Option<Box<dyn Power>>,
    boot: &Netboot<'_>,
    log: Option<Log>,
    screen: Screen,
    show: &Show,
    stop: &Stop,
) -> Result<()> {
    let (sender, happenings) = mpsc::channel();
    // For JSON the console is only waited on.
    let echo = (!args.json).then(|| Box::new(show.gate()) as Box<dyn Write + Send>);
    let gate = show.gate();
    let attended = boot.place.attended(echo, log, move |event| gate.pass(event));
    let (mut console, board) = attended.map_err(stoop_lab::Error::from)?;
    stop.reach(&console);
    let switch = power.as_mut().map(|power| power.as_mut() as &mut dyn Power);
    if args.json {
        netboot::run(&mut console, switch, boot, &show.tell())?;
        return wait(args, &mut console);
    }
    netboot::run(&mut console, switch, boot, &show.tell_and_open(sender.clone()))?;
    let off_time = boot.place.off_time;
    let reset = || Ok(power.as_mut().ok_or(terminal::Error::NoPower)?.cycle(off_time)?);
    let desk = Desk { sender: Some(board), reset };
    Sitting { screen, desk, sender, happenings }.run(boot.place, &mut console, |console| wait(args, console))
}

/// Until the pattern comes, or until somebody has seen enough.
fn wait(args: &Args, console: &mut Console) -> Result<()> {
    let fatal: Vec<&str> = args.fail_on.iter().map(String::as_str).collect();
    console.set_fatal(&fatal)?;
    let until = args.until.as_deref();
    // Without a pattern nothing matches but the end; nobody sits as long as a year.
    let (pattern, time) = match until {
        Some(pattern) => (pattern, Duration::from_secs(args.timeout)),
        None => (r"\z\A.", Duration::from_secs(365 * 24 * 3600)),
    };
    match console.expect(pattern, time) {
        Ok(_) => Ok(()),
        Err(failure) if until.is_none() && (failure.exit_code() == INTERRUPTED || console.is_closed()) => Ok(()),
        Err(failure) => Err(failure.into()),
    }
}

/// The board that was named, or the one that the image was packed for.
///
/// # Errors
/// There is none, or the image was packed for another one than that was named.
pub(super) fn board_for(named: Option<&str>, bytes: &[u8]) -> Result<Board> {
    let opened = image::open(bytes).ok();
    let packed_for = opened.as_ref().and_then(Opened::board);
    let Some(named) = named else { return Ok(board::of_image(packed_for)?) };
    let board = board::load(named)?;
    match packed_for {
        Some(other) if other != board.name => {
            Err(Error::OtherBoard { packed_for: other.to_owned(), board: board.name.clone() }.into())
        }
        _ => Ok(board),
    }
}
