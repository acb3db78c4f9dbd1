//! One command from an image to its first words: serves it by TFTP, gets the bootloader's attention, makes sure that it is the right
//! board, and types what `pack` prints.

mod error;
mod network;
mod step;
mod transfer;

use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use stoop_image::board::{self, Board};
use stoop_image::commands;

pub use error::Error;
pub use step::{Netboot, Step, Tell};
use transfer::Watched;

use crate::bootloader::{Bootloader, Facts};
use crate::place::Place;
use crate::power::Power;
use crate::qemu::Console;
use crate::tftp::{self, File, Server};
use crate::{Error as AnyError, Result};

/// Boots it. What comes on the console afterwards is the image's; the last command's own words are not consumed.
///
/// # Errors
/// Each way to fail names the thing to look at: [`Error`], [`crate::bootloader::Error`], [`tftp::Error`],
/// [`crate::power::Error`]. The board is left at its prompt where that can be reached.
pub fn run(console: &mut Console, power: Option<&mut dyn Power>, boot: &Netboot<'_>, tell: &Tell) -> Result<()> {
    let facts = Facts::of(boot.board, &board::all().unwrap_or_default())?;
    let lines = commands::of_image(boot.board, boot.image, &boot.name).map_err(Error::Image)?;
    let [fetch, before @ .., last] = &lines[..] else { return Ok(()) };
    let mut bootloader = Bootloader::new(console, &facts, boot.patience);
    fetched(&mut bootloader, power, boot, fetch, false, tell)?;
    start(&mut bootloader, before, last, tell)
}

/// Only to the prompt of the right board. `proven`: it must say how large its flash is.
pub(crate) fn to_prompt(
    bootloader: &mut Bootloader<'_>,
    power: Option<&mut dyn Power>,
    board: &Board,
    place: &Place,
    proven: bool,
    tell: &Tell,
) -> Result<()> {
    attention(bootloader, power, place.off_time, tell)?;
    let identity = bootloader.identify()?;
    let unproven = identity.check(board)?;
    if proven && identity.flash.is_none() {
        return Err(crate::flash::Error::NotProven { board: board.name.clone() }.into());
    }
    tell(Step::Board(identity, unproven));
    Ok(())
}

/// Only into the board's RAM, to the address `at` as typed.
pub(crate) fn to_ram(
    bootloader: &mut Bootloader<'_>,
    power: Option<&mut dyn Power>,
    boot: &Netboot<'_>,
    at: u64,
    proven: bool,
    tell: &Tell,
) -> Result<()> {
    fetched(bootloader, power, boot, &commands::fetch(at, None, &boot.name), proven, tell)
}

fn fetched(
    bootloader: &mut Bootloader<'_>,
    power: Option<&mut dyn Power>,
    boot: &Netboot<'_>,
    fetch: &str,
    proven: bool,
    tell: &Tell,
) -> Result<()> {
    // What cannot work is told before a board is switched.
    let watched = Watched::new(boot.image.len() as u64, tell.clone());
    let served = boot.place.server.map(|ip| serve(ip, boot, &watched, tell)).transpose()?;
    to_prompt(bootloader, power, boot.board, boot.place, proven, tell)?;
    let ip = network::set_up(bootloader, boot, tell)?;
    let _served = match served {
        Some(served) => served,
        None => serve(ip, boot, &watched, tell)?,
    };
    transfer::fetch(bootloader, fetch, ip, boot, &watched, tell)
}

/// Whoever serves the image, as long as this lives.
enum Served {
    Here {
        _server: Server,
    },
    /// The file in another server's folder, if it is to go again.
    There(Option<PathBuf>),
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Served::There(Some(file)) = self {
            let _ = std::fs::remove_file(file);
        }
    }
}

fn serve(ip: IpAddr, boot: &Netboot<'_>, watched: &Watched, tell: &Tell) -> Result<Served, AnyError> {
    if let Some(folder) = &boot.place.tftp_folder {
        let file = folder.join(&boot.name);
        let is_ours = put(folder, &file, boot.image)?;
        watched.is_blind();
        return Ok(Served::There(is_ours.then_some(file)));
    }
    let file = File { name: boot.name.clone(), bytes: boot.image.into() };
    let watched = watched.clone();
    let server = Server::start((ip, tftp::PORT).into(), file, move |event| watched.hear(event))?;
    tell(Step::Listening(server.address()));
    Ok(Served::Here { _server: server })
}

/// A file that appears complete, and never over somebody else's. Says whether it is new: one with the same bytes, such as the image itself,
/// is left as it is.
fn put(folder: &Path, file: &Path, bytes: &[u8]) -> Result<bool> {
    match publish(folder, file, bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => match std::fs::read(file) {
            Ok(there) if there == bytes => Ok(false),
            Ok(_) => Err(Error::InFolder { file: file.to_owned() }.into()),
            Err(source) => Err(AnyError::file(file, source)),
        },
        Err(source) => Err(AnyError::file(file, source)),
    }
}

fn publish(folder: &Path, file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut new = tempfile::NamedTempFile::new_in(folder)?;
    // Not by the wrapper, whose errors name a file that nobody will find.
    new.as_file_mut().write_all(bytes)?;
    // The server is another user.
    new.as_file().set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    new.persist_noclobber(file).map_err(|error| error.error)?;
    Ok(())
}

/// From whatever state to the prompt.
pub(crate) fn attention(
    bootloader: &mut Bootloader<'_>,
    power: Option<&mut dyn Power>,
    off_time: Duration,
    tell: &Tell,
) -> Result<()> {
    // Before power comes on: what the board says at once is there before anybody waits for it.
    let heard = bootloader.console().received();
    match power {
        Some(power) => {
            power.cycle(off_time)?;
            tell(Step::PowerCycled);
            bootloader.catch(heard)?;
        }
        None => {
            if !bootloader.is_ready()? {
                tell(Step::RestartIt);
                bootloader.catch(heard)?;
            }
        }
    }
    tell(Step::Prompt);
    Ok(())
}

/// What a bootloader says that starts nothing.
const REFUSALS: &str = r"(?:Wrong Image Format|Bad (?:Magic Number|Header Checksum|Data CRC|Linux ARM64 Image magic)|Unknown command '|ERROR: can't get kernel image|Overwriting|resetting \.\.\.|### ERROR ###)[^\n]*";

/// How long a bootloader may take to check and move an image before its silence counts as its start.
const BEGIN: Duration = Duration::from_secs(5);

fn start(bootloader: &mut Bootloader<'_>, before: &[String], last: &str, tell: &Tell) -> Result<()> {
    for line in before {
        tell(Step::Typed(line.clone()));
        bootloader.command(line)?;
    }
    tell(Step::Typed(last.to_owned()));
    bootloader.enter(last)?;
    let prompt = regex::escape(&bootloader.facts().prompt);
    // The shim's own first word, or the bootloader's last ones.
    let began = r"^(?:stoop\b|Starting kernel|## Starting application|## Transferring control)";
    let seen = bootloader.console().peek_any(&[began, &format!("^{prompt}"), REFUSALS], BEGIN);
    match seen {
        Ok(seen) if seen.which > 0 => {
            let tail = bootloader.console().tail();
            Err(Error::NotStarted { line: last.to_owned(), tail }.into())
        }
        _ if bootloader.console().is_closed() => {
            Err(crate::bootloader::Error::Lost { tail: bootloader.console().tail() }.into())
        }
        _ => {
            tell(Step::Started);
            Ok(())
        }
    }
}
