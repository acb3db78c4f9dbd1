//! `stoop netboot`: boots an image on a real board and shows its console.

pub(super) mod show;

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::command::Error;
use stoop_image::board::{self, Board};
use stoop_image::image::{self, Opened};
use stoop_image::input::read_file;
use stoop_image::output::Output;
use stoop_image::shell;
use stoop_lab::bootloader::Patience;
use stoop_lab::netboot::{self, Netboot};
use stoop_lab::place::Place;
use stoop_lab::power::Power;
use stoop_lab::qemu::{Console, Log};

use super::place::PlaceArgs;
use super::stop::Stop;
use crate::ui;
use show::Show;

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
    /// End with exit code 0 as soon as the image's console shows this; without it, at Ctrl-C or when the console closes
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
    if let Some(log) = &args.log {
        Output::new(log, [args.image.as_path()])?;
    }
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
    let switch = power.as_mut().map(|power| power.as_mut() as &mut dyn Power);
    let done = boot_and_watch(args, &place, switch, &boot, log, &show, &stop);
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
    place: &Place,
    power: Option<&mut dyn Power>,
    boot: &Netboot<'_>,
    log: Option<Log>,
    show: &Show,
    stop: &Stop,
) -> Result<()> {
    let mut console = place.console(show.echo(), log).map_err(stoop_lab::Error::from)?;
    stop.reach(&console);
    netboot::run(&mut console, power, boot, &show.tell())?;
    watch(args, &mut console, stop)
}

/// Shows the console until the pattern comes, or until somebody has seen enough.
fn watch(args: &Args, console: &mut Console, stop: &Stop) -> Result<()> {
    let fatal: Vec<&str> = args.fail_on.iter().map(String::as_str).collect();
    console.set_fatal(&fatal)?;
    let until = args.until.as_deref();
    // Without a pattern nothing matches but the end; a day is as long as any watch.
    let (pattern, time) = match until {
        Some(pattern) => (pattern, Duration::from_secs(args.timeout)),
        None => (r"\z\A.", Duration::from_secs(24 * 3600)),
    };
    match console.expect(pattern, time) {
        Ok(_) => Ok(()),
        Err(_) if until.is_none() && (stop.is_asked() || console.is_closed()) => Ok(()),
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
