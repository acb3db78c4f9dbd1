//! The suite on every kind of rig in one run, without hardware: on a desk (a pseudo-terminal and a power relay), in a labgrid lab
//! (its console by TCP and by RFC 2217), and in QEMU. `hil-tests/src/stand` plays desk and lab.

use std::path::{Path, PathBuf};
use std::process::Command;

use stoop_samples::failure::{Failure, Result};

use crate::lab::{Endian, Flavour, Lab};
use crate::{labgrid, repository, run};

/// What runs everywhere: little enough for a desk and a lab within five minutes on two cores. Every other test runs in QEMU alone.
const TESTS: [&str; 6] = [
    "place::",
    "uboot::",
    "crash::",
    "damage::a_damaged_image_halts",
    "matrix::debians_generic",
    "arm64::the_root_filesystem_in_ram",
];

/// The places of the lab: both byte orders and arm64, and both kinds of console.
const PLACES: [&str; 3] = ["rack-le=qemu-malta-le", "rack-be=qemu-malta-be:serial", "rack-arm64=qemu-virt-arm64"];

/// Runs it; the results go to `target/hil/everywhere`.
///
/// # Errors
/// A test failed somewhere.
pub fn run() -> Result<()> {
    on_desk_and_in_lab()?;
    run::shown(hil(&["--here"], &out())?.env("STOOP_RIG", "qemu"))
}

/// The same without QEMU's own rig, which the tests of the lab are for.
///
/// # Errors
/// A test failed somewhere.
pub fn on_desk_and_in_lab() -> Result<()> {
    labgrid::build()?;
    build("stand")?;
    let out = out();
    if out.exists() {
        std::fs::remove_dir_all(&out).map_err(|error| Failure::io(&out, &error))?;
    }
    run::shown(&mut under(&["desk", "qemu-malta-le", "--"], &hil(&["--here"], &out.join("desk"))?)?)?;
    let mut lab = vec!["lab"];
    lab.extend(PLACES.iter().flat_map(|place| ["--place", place]));
    lab.push("--");
    run::shown(&mut under(&lab, &hil(&["--all"], &out.join("lab"))?)?)?;
    python(&out)
}

fn out() -> PathBuf {
    repository().join("target/hil/everywhere")
}

/// labgrid's own tests start a board through `stoop netboot`.
fn python(out: &Path) -> Result<()> {
    let stoop = build("stoop")?;
    let (lab, image) = (Lab::open()?, out.join("image"));
    let mut pack = run::command(&stoop);
    pack.args(["pack", "--board", "qemu-malta-le", "--kernel"]).arg(lab.vmlinux(Endian::Little, Flavour::Lab));
    pack.arg("--rootfs").arg(lab.squashfs(Endian::Little)).arg("-o").arg(&image);
    run::shown(&mut pack)?;
    let mut pytest = labgrid::Tools::cached()?.command("pytest");
    pytest.args(["-q", "-rs", "tests/test_lab.py"]);
    let mut tests = under(&["lab", "--place", "rack-le=qemu-malta-le", "--"], &pytest)?;
    tests.current_dir(labgrid::package());
    run::shown(tests.env("LG_PLACE", "rack-le").env("LG_IMAGE", &image).env("STOOP", &stoop))
}

/// Builds a program and says where it is.
fn build(name: &str) -> Result<PathBuf> {
    let mut build = run::command("cargo");
    build.current_dir(repository()).args(["build", "--quiet", "--bin", name]);
    run::shown(&mut build)?;
    Ok(program()?.with_file_name(name))
}

/// A command under `stand`, which gives it a desk or a lab.
fn under(stand: &[&str], inner: &Command) -> Result<Command> {
    let mut command = run::command(program()?.with_file_name("stand"));
    command.current_dir(repository()).args(stand).arg(inner.get_program()).args(inner.get_args());
    command.env("STOOP_LAB", "required");
    Ok(command)
}

/// `cargo ci hil` with these options.
fn hil(options: &[&str], out: &Path) -> Result<Command> {
    let mut command = run::command(program()?);
    command.arg("hil").args(options).arg("--out").arg(out).args(TESTS);
    Ok(command)
}

/// This program; the others are built beside it.
fn program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| Failure::new(format!("our own program: {error}")))
}
