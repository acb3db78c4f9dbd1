//! The suite on every kind of rig in one run, without hardware: on a desk (a pseudo-terminal and a power relay), in a labgrid lab
//! (its console by TCP and by RFC 2217), and in QEMU. `hil-tests/src/stand` plays desk and lab.

use std::path::{Path, PathBuf};
use std::process::Command;

use stoop_image::{ErrorCode, Failure, Result};

use crate::{labgrid, repository, run};

/// What runs everywhere: little enough for all rigs within four minutes on two cores. Every other test has run in QEMU alone.
const TESTS: [&str; 4] = ["place::", "uboot::", "damage::a_damaged_image_halts", "matrix::debians_generic"];

/// The places of the lab: both byte orders and arm64, and both kinds of console.
const PLACES: [&str; 3] = ["rack-le=qemu-malta-le", "rack-be=qemu-malta-be:serial", "rack-arm64=qemu-virt-arm64"];

/// Runs it; the results go to `target/hil/everywhere`.
///
/// # Errors
/// A test failed somewhere.
pub fn run() -> Result<()> {
    labgrid::build()?;
    let mut build = run::command("cargo");
    build.current_dir(repository()).args(["build", "--package", "stoop-hil-tests", "--bin", "stand"]);
    run::shown(&mut build)?;
    let out = repository().join("target/hil/everywhere");
    if out.exists() {
        std::fs::remove_dir_all(&out).map_err(|error| Failure::io(&out, &error))?;
    }
    let mut stand = vec!["desk", "qemu-malta-le", "--"];
    on(&stand, &["--here"], &out.join("desk"))?;
    stand = vec!["lab"];
    stand.extend(PLACES.iter().flat_map(|place| ["--place", place]));
    stand.push("--");
    on(&stand, &["--all"], &out.join("lab"))?;
    let mut own = hil(&["--here"], &out)?;
    run::shown(own.env("STOOP_RIG", "qemu"))
}

/// `cargo ci hil` under a `stand`.
fn on(stand: &[&str], options: &[&str], out: &Path) -> Result<()> {
    let hil = hil(options, out)?;
    let mut command = run::command(program()?.with_file_name("stand"));
    command.current_dir(repository()).args(stand).arg(hil.get_program()).args(hil.get_args());
    run::shown(command.env("STOOP_LAB", "required"))
}

fn hil(options: &[&str], out: &Path) -> Result<Command> {
    let mut command = run::command(program()?);
    command.arg("hil").args(options).arg("--out").arg(out).args(TESTS);
    Ok(command)
}

/// This program; `stand` is built beside it.
fn program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| Failure::new(ErrorCode::Repository, format!("our own program: {error}")))
}
