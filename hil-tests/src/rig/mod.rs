//! What a test can do with a board, whatever the board is.

mod labgrid;
mod qemu;
mod remote;
mod serial;
mod staging;
mod stream;

use std::path::{Path, PathBuf};
use std::time::Duration;

use stoop_image::board::{self, Board};
use stoop_image::{ErrorCode, Failure, Result};
use stoop_lab::qemu::{Console, Log, uboot};

/// What not every rig can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cap {
    /// A bootloader with a prompt and TFTP.
    Uboot,
    /// The flash may be written, past the bootloader.
    NorWrite,
    /// The bootloader itself erases and writes the flash.
    UbootNorWrite,
    /// Power can be cut at a line on the console.
    PowerLoss,
    /// An ELF file can be started without a bootloader.
    Direct,
}

/// A board with power, a console, flash and a TFTP server.
pub trait Rig {
    /// What the board is.
    fn board(&self) -> &Board;

    /// How to talk to its bootloader.
    fn bootloader(&self) -> &uboot::Facts;

    /// What it can do.
    fn caps(&self) -> &[Cap];

    /// Switches power on. The console of this run begins empty.
    ///
    /// # Errors
    /// It is on already, or does not switch on.
    fn power_on(&mut self) -> Result<()>;

    /// Switches power off and returns the run's console; empty when it was off.
    ///
    /// # Errors
    /// It does not switch off.
    fn power_off(&mut self) -> Result<String>;

    /// Off and on.
    ///
    /// # Errors
    /// As for the two.
    fn power_cycle(&mut self) -> Result<()> {
        self.power_off()?;
        self.power_on()
    }

    /// Cuts power as soon as the console shows `pattern`, and returns the run's console. Needs [`Cap::PowerLoss`].
    ///
    /// # Errors
    /// As for [`Console::expect`]; power is off then too.
    fn power_off_at(&mut self, pattern: &str, timeout: Duration) -> Result<String>;

    /// Switches power on with an ELF file in RAM in place of the bootloader. Needs [`Cap::Direct`].
    ///
    /// # Errors
    /// As for [`Rig::power_on`], or the arguments cannot be delivered whole.
    fn power_on_with(&mut self, elf: &Path, args: Option<&str>) -> Result<()>;

    /// The console of this run.
    ///
    /// # Errors
    /// Power is off.
    fn console(&mut self) -> Result<&mut Console>;

    /// Puts a file where the board's bootloader can fetch it and returns its name there.
    ///
    /// # Errors
    /// The file cannot be put there.
    fn stage(&mut self, name: &str, bytes: &[u8]) -> Result<String>;

    /// Waits until the board resets or switches itself off.
    ///
    /// # Errors
    /// No answer: it still runs when `timeout` has passed.
    fn wait_end(&mut self, timeout: Duration) -> Result<()>;

    /// Programs flash from outside while power is off. Needs [`Cap::NorWrite`].
    ///
    /// # Errors
    /// Power is on, or the bytes pass the flash's end.
    fn write_nor(&mut self, offset: usize, bytes: &[u8]) -> Result<()>;

    /// The flash as the CPU reads it. Needs [`Cap::NorWrite`].
    ///
    /// # Errors
    /// Power is on.
    fn read_nor(&mut self) -> Result<Vec<u8>>;

    /// A failure in the light of what the rig knows besides the console: an emulator that gave up, a lost exporter.
    fn explain(&mut self, failure: Failure) -> Failure {
        failure
    }
}

/// How to get a rig.
#[derive(Default)]
pub struct Wish<'a> {
    /// What the test cannot do without.
    pub caps: &'a [Cap],
    /// More options for an emulator, for example `-icount shift=0`; such a test runs on an emulator only.
    pub emulator: &'a [&'a str],
}

/// What names the rig.
const RIG: &str = "STOOP_RIG";

/// A rig, or why there is none for this test.
type Found = std::result::Result<Box<dyn Rig>, String>;

/// The rig that `STOOP_RIG` names (default: `qemu`) with that board, switched off; `None` when it cannot do what the test
/// needs, after a line `HIL-SKIP: reason`.
///
/// Its console goes to `target/hil/TEST.BOARD.log` (`STOOP_HIL_OUT` names another directory).
///
/// # Errors
/// An unknown rig or board, one that is known and cannot be reached, or as for [`crate::skip`].
pub fn open(board: &str, wish: &Wish<'_>) -> Result<Option<Box<dyn Rig>>> {
    let name = std::env::var(RIG).unwrap_or_else(|_| "qemu".into());
    let test = test_name();
    let path = log_path(&test, board);
    let rig: Found = match name.as_str() {
        "qemu" => qemu::open(board::load(board)?, log(&path)?, wish)?,
        "serial" => remote(Ok(serial::setup()?), board, wish, &path)?,
        "labgrid" => remote(labgrid::setup(board)?, board, wish, &path)?,
        other => {
            return Err(Failure::usage(ErrorCode::Repository, format!("{RIG}={other} is no known rig"))
                .next("use qemu, serial or labgrid; without it, it is qemu"));
        }
    };
    let missing = |rig: &dyn Rig| wish.caps.iter().copied().find(|cap| !rig.caps().contains(cap));
    let rig = match rig {
        Ok(rig) => rig,
        // The qemu rig lacks only what can be installed.
        Err(reason) if name == "qemu" => {
            return crate::skip(&format!("{test} on {board}: {reason}")).map(|()| None);
        }
        Err(reason) => {
            println!("HIL-SKIP: {test} on {board}: {reason}");
            return Ok(None);
        }
    };
    if let Some(cap) = missing(rig.as_ref()) {
        println!("HIL-SKIP: {test} on {board}: the rig {name} has no {cap:?}");
        return Ok(None);
    }
    Ok(Some(rig))
}

/// A board behind a console and a power switch, if it is the right one.
fn remote(
    setup: std::result::Result<remote::Setup, String>,
    board: &str,
    wish: &Wish<'_>,
    path: &Path,
) -> Result<Found> {
    let setup = match setup {
        Ok(setup) => setup,
        Err(reason) => return Ok(Err(reason)),
    };
    if setup.board.name != board::load(board)?.name {
        return Ok(Err(format!("{} is a {}", setup.name, setup.board.name)));
    }
    if !wish.emulator.is_empty() {
        return Ok(Err(format!("{} is no emulator: it cannot have {}", setup.name, wish.emulator.join(" "))));
    }
    // Before it is switched off, and before it is our turn.
    let caps = remote::caps(&setup);
    if let Some(cap) = wish.caps.iter().find(|cap| !caps.contains(cap)) {
        return Ok(Err(format!("{} has no {cap:?}", setup.name)));
    }
    Ok(Ok(Box::new(remote::Remote::open(setup, log(path)?)?)))
}

/// The boards that a test can have: all that QEMU plays with a bootloader, or the one of the place.
///
/// # Errors
/// As for [`open`].
pub fn boards() -> Result<Vec<String>> {
    if std::env::var(RIG).is_ok_and(|rig| rig != "qemu")
        && let Some(own) = serial::variable("STOOP_BOARD")
    {
        return Ok(vec![own]);
    }
    let played = board::all()?.into_iter().filter(|board| board.qemu.is_some());
    Ok(played.map(|board| board.name).collect())
}

fn log(path: &Path) -> Result<Log> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
    Log::create(path)
}

/// The test that runs in this thread, as libtest names it.
fn test_name() -> String {
    std::thread::current().name().unwrap_or("unnamed").replace("::", ".")
}

fn log_path(test: &str, board: &str) -> PathBuf {
    let out = std::env::var_os("STOOP_HIL_OUT").map(PathBuf::from);
    let out = out.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/hil"));
    let board = board.rsplit('/').next().unwrap_or(board);
    out.join(format!("{test}.{board}.log"))
}
