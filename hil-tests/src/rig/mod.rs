//! The rig that a run of the tests is on.

mod contract;
mod qemu;

use std::path::{Path, PathBuf};

use stoop_image::board;
use stoop_image::{ErrorCode, Failure, Result};
use stoop_lab::qemu::Log;

pub use contract::{Cap, Rig, Wish};

/// The rig that `STOOP_RIG` names (default: `qemu`) with that board, switched off; `None` when it cannot do what the test
/// needs, after a line `HIL-SKIP: reason`.
///
/// Its console goes to `target/hil/TEST.BOARD.log` (`STOOP_HIL_OUT` names another directory).
///
/// # Errors
/// An unknown rig or board, one that is known and cannot be reached, or as for [`crate::skip`].
pub fn open(board: &str, wish: &Wish<'_>) -> Result<Option<Box<dyn Rig>>> {
    let name = std::env::var("STOOP_RIG").unwrap_or_else(|_| "qemu".into());
    let test = test_name();
    let rig: std::result::Result<Box<dyn Rig>, String> = match name.as_str() {
        "qemu" => {
            let log = log_path(&test, board);
            let folder = log.parent().unwrap_or(&log);
            std::fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
            qemu::open(board::load(board)?, Log::create(&log)?, wish)?
        }
        other => {
            return Err(Failure::usage(ErrorCode::Repository, format!("STOOP_RIG={other} is no known rig"))
                .next("use STOOP_RIG=qemu, or leave it out"));
        }
    };
    let missing = |rig: &dyn Rig| wish.caps.iter().copied().find(|cap| !rig.caps().contains(cap));
    let rig = match rig {
        Ok(rig) => rig,
        Err(reason) => return crate::skip(&format!("{test} on {board}: {reason}")).map(|()| None),
    };
    if let Some(cap) = missing(rig.as_ref()) {
        println!("HIL-SKIP: {test} on {board}: the rig {name} has no {cap:?}");
        return Ok(None);
    }
    Ok(Some(rig))
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
