//! `stoop flash`: writes an image to a board's flash by its bootloader, or reads a partition back.

use std::io::{self, BufRead, IsTerminal};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::command::Error;
use stoop_image::board::{self, Board};
use stoop_image::bootloader::image::Image;
use stoop_image::image;
use stoop_image::input::read_file;
use stoop_image::output::Output;
use stoop_image::shell;
use stoop_lab::bootloader::Patience;
use stoop_lab::flash::ssh::Host;
use stoop_lab::flash::{self, Job, Reach, Unfinished};
use stoop_lab::place::Place;
use stoop_lab::power::Power;
use stoop_lab::qemu::{Console, Log};

use super::check_image::would_boot;
use super::netboot::{STALL, board_for, show::Show};
use super::place::PlaceArgs;
use super::stop::Stop;
use crate::{ending, json, ui};

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example:\n  stoop flash image.bin --serial /dev/ttyUSB0 --power http:tasmota:plug-3\n  stoop flash --board gl-ar750 --read firmware -o firmware.bin --serial /dev/ttyUSB0\n  stoop flash image.bin --ssh root@192.168.1.1"
)]
pub struct Args {
    /// The image: one for flash, or what the bootloader starts from its firmware partition
    #[arg(required_unless_present = "read")]
    image: Option<PathBuf>,
    /// The board that should be there; without it, the one that the image was packed for
    #[arg(long, value_name = "NAME|FILE", value_parser = super::suggest::boards(), hide_possible_values = true, required_unless_present = "image")]
    board: Option<String>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Write from the Linux that runs on the board, by ssh, instead of by its bootloader; its power stays as it is
    #[arg(long, value_name = "HOST", requires = "image", conflicts_with_all = ["read", "backup", "log"])]
    ssh: Option<String>,
    /// ssh's configuration, instead of your own
    #[arg(long, value_name = "FILE", requires = "ssh")]
    ssh_config: Option<PathBuf>,
    /// Read this partition through the console, and write nothing
    #[arg(long, value_name = "PARTITION", requires = "output", conflicts_with = "image")]
    read: Option<String>,
    /// The file to write what was read to
    #[arg(short, long, value_name = "FILE", requires = "read")]
    output: Option<PathBuf>,
    /// Read what will be overwritten into this file first, through the console
    #[arg(long, value_name = "FILE", requires = "image")]
    backup: Option<PathBuf>,
    /// At the end erase the first block of each slot before this one, so that this one boots
    #[arg(long, requires = "image")]
    switch: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the commands and do nothing
    #[arg(long, requires = "image")]
    dry_run: bool,
    /// Write although `stoop check` says that it would not boot
    #[arg(long, requires = "image")]
    unchecked: bool,
    /// Write although the bootloader does not say how large its flash is
    #[arg(long)]
    trust_board: bool,
    /// How long to wait for the bootloader's prompt
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    prompt_timeout: u64,
    /// Also write the console to this file, each line with the time
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Print each step as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Does it.
///
/// # Errors
/// Failed: the image would not boot on this board. Usage: it does not go into this board's flash, or nobody said yes. Device (3), place (75): as for `netboot`, and each byte that
/// is not as it should be.
pub fn run(args: &Args) -> Result<()> {
    let image = args.image.as_deref().map(read_file).transpose()?;
    let board = match &image {
        Some(image) => board_for(args.board.as_deref(), image)?,
        None => board::load(args.board.as_deref().unwrap_or_default())?,
    };
    if let (Some(image), false) = (&image, args.unchecked) {
        would_boot(image, &board, "or write it all the same with --unchecked")?;
        plain_container(image, &board)?;
    }
    let job_of = if args.ssh.is_some() { Job::for_linux } else { Job::of };
    let job = image.as_deref().map(|image| job_of(&board, image, args.switch)).transpose();
    let job = job.map_err(stoop_lab::Error::from)?;
    let name = args.image.as_deref().map_or_else(|| "image".into(), shell::served_name);
    if let (true, Some(job)) = (args.dry_run, &job) {
        let lines = match args.ssh {
            Some(_) => flash::ssh::lines(job),
            None => job.lines(&board, &name).map_err(stoop_lab::Error::from)?,
        };
        if args.json {
            lines.into_iter().for_each(|line| json::put_line(&json::Event::Typed { line }));
            return Ok(());
        }
        return ui::put(&lines.iter().map(|line| format!("{line}\n")).collect::<String>());
    }
    if let Some(job) = &job {
        ask(args, &board, job)?;
    }
    if let (Some(name), Some(job)) = (&args.ssh, &job) {
        let show = Show::new(args.json);
        let (unfinished, tell) = Unfinished::watch(job, show.tell_flash());
        // ssh is waited for without an ear for signals.
        ending::instead(move || unfinished.interrupted().map(|left| stoop_lab::Error::from(left).into()));
        let host = Host { name: name.clone(), config: args.ssh_config.clone(), asks: io::stdin().is_terminal() };
        let done = flash::ssh::write(&host, &board, job, &tell);
        return super::netboot::finish(false, &mut None, done.map_err(crate::Error::from), &show);
    }
    // The run before may have stopped in the middle: what is read now is not what was there.
    if let Some(path) = args.backup.as_ref().filter(|path| path.is_file()) {
        return Err(Error::BackupExists { path: path.clone() }.into());
    }
    let place = args.place.place()?;
    let inputs: Vec<&Path> = args.image.as_deref().into_iter().collect();
    let outputs = [&args.log, &args.output, &args.backup];
    for output in outputs.into_iter().flatten() {
        Output::new(output, inputs.iter().copied())?;
    }
    let log = args.log.as_deref().map(Log::create).transpose()?;
    let show = Show::new(args.json);
    let stop = Stop::on_signals()?;
    let mut power = place.power()?;
    let watched = job.as_ref().map(|job| Unfinished::watch(job, show.tell_flash()));
    let (unfinished, tell) =
        watched.map_or_else(|| (None, show.tell_flash()), |(unfinished, tell)| (Some(unfinished), tell));
    let done = on_board(args, &board, &place, job.as_ref(), &name, &mut power, log, &tell, &stop);
    let done = super::netboot::finish(args.place.power_off, &mut power, done, &show);
    if !stop.is_asked() {
        return done;
    }
    match unfinished.and_then(|unfinished| unfinished.interrupted()) {
        Some(left) => Err(stoop_lab::Error::from(left).into()),
        None => Err(Error::Interrupted.into()),
    }
}

#[expect(clippy::too_many_arguments, reason = "each is used once, and none belongs to another")]
fn on_board(
    args: &Args,
    board: &Board,
    place: &Place,
    job: Option<&Job>,
    name: &str,
    power: &mut Option<Box<dyn Power>>,
    log: Option<Log>,
    tell: &flash::Tell,
    stop: &Stop,
) -> Result<()> {
    let mut console = place.console(None, log).map_err(stoop_lab::Error::from)?;
    stop.reach(&console);
    let way = Reach {
        board,
        place,
        patience: Patience { attention: Duration::from_secs(args.prompt_timeout), ..Patience::default() },
        stall: STALL,
        trust: args.trust_board,
    };
    if let (Some(partition), Some(output)) = (&args.read, &args.output) {
        let at = flash::partition(board, partition).map_err(stoop_lab::Error::from)?;
        return save(&mut console, switch(power), &way, &[at], output, tell);
    }
    let Some(job) = job else { return Ok(()) };
    if let Some(backup) = &args.backup {
        let areas: Vec<_> = areas(job).map(|area| flash::area(board, area)).collect();
        save(&mut console, switch(power), &way, &areas, backup, tell)?;
    }
    // After a backup it is at its prompt already.
    let power = if args.backup.is_some() { None } else { switch(power) };
    Ok(flash::write(&mut console, power, &way, job, name, tell)?)
}

/// Makes sure that the bootloader is not known to want its vendor's own container, where this is a plain one.
///
/// # Errors
/// [`Error::VendorContainer`]; what is in a vendor's container is not read here, and goes.
fn plain_container(image: &[u8], board: &Board) -> Result<()> {
    let is_plain = image::open(image).is_ok() || !matches!(Image::of(image)?, Image::Raw);
    match board.bootloader.vendor_container.clone().filter(|_| is_plain) {
        Some(vendor) => Err(Error::VendorContainer { board: board.name.clone(), vendor }.into()),
        None => Ok(()),
    }
}

fn switch(power: &mut Option<Box<dyn Power>>) -> Option<&mut dyn Power> {
    match power {
        Some(power) => Some(power.as_mut()),
        None => None,
    }
}

fn areas(job: &Job) -> impl Iterator<Item = &stoop_image::image::flash::Area> {
    job.writes.iter().map(|write| &write.area).chain(&job.switch)
}

/// Reads areas into one file, one behind the other.
fn save(
    console: &mut Console,
    power: Option<&mut dyn Power>,
    way: &Reach<'_>,
    areas: &[(usize, usize)],
    to: &Path,
    tell: &flash::Tell,
) -> Result<()> {
    let pieces = flash::read(console, power, way, areas, tell)?;
    Ok(Output::new(to, [])?.write(&pieces.concat())?)
}

/// Shows the exact ranges, and asks once.
fn ask(args: &Args, board: &Board, job: &Job) -> Result<()> {
    let mut text = format!("in the flash of {}:\n", board.name);
    for write in &job.writes {
        let (area, what) = (&write.area, write.what);
        let (start, end) = (area.offset(), area.offset() + area.size());
        text += &format!("  write {what:<7} [0x{start:x}, 0x{end:x}) of {}\n", area.partition());
    }
    for area in &job.switch {
        let (start, end) = (area.offset(), area.offset() + area.size());
        text += &format!("  erase         [0x{start:x}, 0x{end:x}) of {}\n", area.partition());
    }
    ui::put_beside(&text);
    if args.yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Error::NobodyToAsk.into());
    }
    ui::put_beside("write it? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    match read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(Error::Declined.into()),
    }
}
