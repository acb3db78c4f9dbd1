//! `stoop flash --ssh` against a Linux that runs: a slot that is written so boots from flash, and what goes wrong ends with its code, its
//! exit code, and no slot that looks good. The table of `docs/desk.md` has the same faults.

mod faults;
mod lost;
mod writes;

use std::path::Path;

use clap::Parser;
use stoop::command::Cli;
use stoop_ci::Result;
use stoop_ci::lab::{Endian, Lab};
use stoop_hil_tests::fault::assert_documented;
use stoop_hil_tests::linux::{BOARD, HOST, Linux};
use stoop_hil_tests::packed::lab;
use stoop_hil_tests::slots::{self, flashing, small_root, system};
use stoop_hil_tests::{Boot, Packed, Via, see};
use stoop_image::board::{self, Board};
use stoop_image::image::flash::Write;
use tempfile::NamedTempFile;

/// A Linux that runs, and what to make images of.
struct Bench {
    linux: Linux,
    board: Board,
    lab: Lab,
    root: NamedTempFile,
}

impl Bench {
    fn start() -> Result<Option<Bench>> {
        Bench::with(|partitions| partitions)
    }

    /// With these partitions instead of the board file's, in the words of `mtdparts=`.
    fn with(change: impl Fn(String) -> String) -> Result<Option<Bench>> {
        let (Some(linux), Some(lab)) = (Linux::start(change)?, lab()?) else { return Ok(None) };
        let root = small_root(&lab, Endian::Little)?;
        Ok(Some(Bench { linux, board: board::load(BOARD)?, lab, root }))
    }

    fn packed(&self, slot: char, name: &str) -> Result<Packed> {
        slots::packed(&self.lab, Endian::Little, self.root.path(), slot, name)
    }

    /// Runs `stoop flash --ssh` as people do.
    fn flash(&self, packed: &Packed) -> Result<()> {
        self.flash_with(packed, &self.linux.config(), &[])
    }

    /// The same with another configuration of ssh's, and more flags.
    fn flash_with(&self, packed: &Packed, config: &Path, more: &[&str]) -> Result<()> {
        let image = packed.path().to_string_lossy();
        let config = config.to_string_lossy();
        let line = ["stoop", "flash", &image, "--ssh", HOST, "--ssh-config", &config, "--yes"];
        Cli::try_parse_from(line.iter().chain(more)).expect("a command line").run()?;
        Ok(())
    }

    /// Switches it off; gives its flash.
    fn flash_when_off(&mut self) -> Result<Vec<u8>> {
        self.linux.off()?.read_nor()
    }

    /// Switches it off, starts what is in flash, and gives the name of the system that runs and its slot.
    fn boot_from_flash(&mut self) -> Result<(String, String)> {
        let command = self.board.bootloader.flash_command.clone().expect("Malta starts from flash");
        let what = Boot { image: Path::new(""), bootargs: None, files: &[], via: Via::Command(command) };
        let rig = self.linux.off()?;
        let seen = see(rig, &what, stoop_hil_tests::linux::PATIENCE)?;
        rig.power_off()?;
        Ok((system(&seen), seen.text("chosen/stoop/slot")))
    }
}

/// How it fails, which a person can read as well.
fn fault(done: Result<()>) -> (&'static str, u8, String) {
    let failure = done.expect_err("something is wrong there");
    println!("{}: {}\n  next: {}", failure.code(), failure.fact(), failure.next_step().unwrap_or_default());
    let text = format!("{}\n{}", failure.fact(), failure.next_step().unwrap_or_default());
    assert_documented(failure.code(), failure.exit_code(), &text);
    (failure.code(), failure.exit_code(), text)
}

/// Where an image's pieces are in flash, and their bytes.
fn pieces(packed: &Packed) -> impl Iterator<Item = (&Write, &[u8])> {
    let flashing = flashing(packed);
    let writes = std::iter::once(&flashing.boot).chain(&flashing.update);
    writes.map(|write| (write, &packed.built.file[write.from..][..write.area.size()]))
}

/// Asserts that flash has all of an image.
fn assert_holds(flash: &[u8], packed: &Packed) {
    for (write, bytes) in pieces(packed) {
        assert!(&flash[write.area.offset()..][..bytes.len()] == bytes, "{} is not in flash", write.what);
    }
}
