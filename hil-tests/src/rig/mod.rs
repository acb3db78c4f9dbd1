//! The rig that a run of the tests is on.

mod contract;
mod failure;
mod labgrid;
mod qemu;
mod remote;
mod serial;
mod staging;
mod stream;

use std::path::{Path, PathBuf};

use stoop_ci::{Failure, Result};
use stoop_image::board;
use stoop_lab::crash_log::{self, CrashLogs};
use stoop_lab::qemu::Log;

pub use contract::{BootRequest, Cap, Rig};

/// What names the rig.
const RIG: &str = "STOOP_RIG";

/// A rig, or why there is none for this test.
type Found = std::result::Result<Box<dyn Rig>, String>;

/// The rig that `STOOP_RIG` names (default: `qemu`) with that board, switched off; `None` when it cannot do what the test
/// needs, after a line `HIL-SKIP: reason`.
///
/// Its console goes to `target/hil/TEST.BOARD.log` (`STOOP_HIL_OUT` names another directory), what a crash left in pstore, if a boot
/// prints it between marks, to [`crash_folder`].
///
/// # Errors
/// An unknown rig or board, one that is known and cannot be reached, or as for [`crate::skip`].
pub fn open(board: &str, asked: &BootRequest<'_>) -> Result<Option<Box<dyn Rig>>> {
    let name = std::env::var(RIG).unwrap_or_else(|_| "qemu".into());
    let test = test_name();
    let path = log_path(&test, board);
    let rig: Found = match name.as_str() {
        "qemu" => qemu::open(board::load(board)?, log(&path)?, asked)?,
        "serial" => remote(Ok(serial::setup()?), board, asked, &path)?,
        "labgrid" => remote(labgrid::setup(board)?, board, asked, &path)?,
        other => {
            return Err(Failure::usage(format!("{RIG}={other} is no known rig"))
                .next("use qemu, serial or labgrid; without it, it is qemu"));
        }
    };
    let missing = |rig: &dyn Rig| asked.caps.iter().copied().find(|cap| !rig.caps().contains(cap));
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
    asked: &BootRequest<'_>,
    path: &Path,
) -> Result<Found> {
    let setup = match setup {
        Ok(setup) => setup,
        Err(reason) => return Ok(Err(reason)),
    };
    if setup.board.name != board::load(board)?.name {
        return Ok(Err(format!("{} is a {}", setup.name, setup.board.name)));
    }
    if !asked.emulator.is_empty() {
        return Ok(Err(format!("{} is no emulator: it cannot have {}", setup.name, asked.emulator.join(" "))));
    }
    // Before it is switched off, and before it is our turn.
    let caps = remote::caps(&setup);
    if let Some(cap) = asked.caps.iter().find(|cap| !caps.contains(cap)) {
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

/// Where the crash logs of this test's board are, by their names in pstore: `TEST.BOARD.crash` beside the console's log.
pub fn crash_folder(board: &str) -> PathBuf {
    log_path(&test_name(), board).with_extension("crash")
}

fn log(path: &Path) -> Result<Log> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
    let crashes = path.with_extension("crash");
    match std::fs::remove_dir_all(&crashes) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(Failure::io(&crashes, &error)),
        _ => {}
    }
    let keep = move |name: &str, text: &str| match crash_log::keep(&crashes, name, text) {
        Ok(path) => vec![format!("the crash log {name} is {}", path.display())],
        Err(error) => vec![format!("the crash log {name} is not kept: {error}")],
    };
    Ok(Log::create(path)?.annotated(CrashLogs::new(keep)))
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
