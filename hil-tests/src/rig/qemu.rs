//! The rig that needs no hardware: QEMU plays the board.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stoop_ci::lab::{Endian, Lab};
use stoop_ci::{Failure, Result};
use stoop_image::board::Board;
use stoop_lab::qemu::{Console, Emulator, Log, Options, Target, uboot};

use super::contract::{BootRequest, Cap, Rig};

/// For one bootloader command or the way to its prompt. Emulated boards answer within a second; machines that run tests
/// can be busy.
const PATIENCE: Duration = Duration::from_secs(120);

struct Qemu {
    board: Board,
    emulator: Emulator,
    caps: Vec<Cap>,
}

/// The rig, or why there is none.
pub(super) fn open(
    board: Board,
    log: Log,
    asked: &BootRequest<'_>,
) -> Result<std::result::Result<Box<dyn Rig>, String>> {
    let mut target = Target::of(&board, PATIENCE)?;
    if !in_path(&target.machine.binary) {
        return Ok(Err(format!("{} is not installed", target.machine.binary)));
    }
    let mut caps = vec![Cap::NorWrite, Cap::PowerLoss, Cap::Direct];
    let flashing = asked.caps.contains(&Cap::UbootNorWrite);
    match bootloader(&board, &target, flashing) {
        Ok(path) => {
            target.machine.uboot = Some(path);
            caps.push(Cap::Uboot);
            caps.extend(flashing.then_some(Cap::UbootNorWrite));
        }
        Err(failure) if asked.caps.contains(&Cap::Uboot) => return Ok(Err(failure.to_string())),
        Err(_) => target.machine.uboot = None,
    }
    let mut extra: Vec<String> = asked.emulator.iter().map(|&word| word.to_owned()).collect();
    if asked.caps.contains(&Cap::Resets) {
        // Without it a reset ends the emulator, which other tests wait for.
        extra.extend(["-action", "reboot=reset"].map(str::to_owned));
        caps.push(Cap::Resets);
    }
    let emulator = Emulator::new(target, Options { echo: None, log: Some(log), extra })?;
    Ok(Ok(Box::new(Qemu { board, emulator, caps })))
}

/// The board's own bootloader, which a package installs, or the lab's where there is none; to write flash, the lab's for that.
fn bootloader(board: &Board, target: &Target, flashing: bool) -> Result<PathBuf> {
    match &target.machine.uboot {
        Some(path) if !flashing && path.exists() => Ok(path.clone()),
        Some(path) if !flashing => Err(Failure::new(format!("{} is not installed", path.display()))),
        _ => {
            let endian = if board.arch.is_big_endian() { Endian::Big } else { Endian::Little };
            let lab = Lab::open()?;
            Ok(if flashing { lab.flashing_uboot(endian) } else { lab.uboot(endian) })
        }
    }
}

fn in_path(binary: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(binary).exists()))
}

impl Rig for Qemu {
    fn board(&self) -> &Board {
        &self.board
    }

    fn bootloader(&self) -> &uboot::Facts {
        &self.emulator.target().uboot
    }

    fn caps(&self) -> &[Cap] {
        &self.caps
    }

    fn power_on(&mut self) -> Result<()> {
        Ok(self.emulator.power_on()?)
    }

    fn power_off(&mut self) -> Result<String> {
        Ok(self.emulator.power_off()?)
    }

    fn power_off_at(&mut self, pattern: &str, timeout: Duration) -> Result<String> {
        Ok(self.emulator.power_off_at(pattern, timeout)?)
    }

    fn power_on_with(&mut self, elf: &Path, args: Option<&str>) -> Result<()> {
        Ok(self.emulator.power_on_with(elf, args)?)
    }

    fn console(&mut self) -> Result<&mut Console> {
        Ok(self.emulator.console()?)
    }

    fn stage(&mut self, name: &str, bytes: &[u8]) -> Result<String> {
        Ok(self.emulator.stage(name, bytes)?)
    }

    fn wait_end(&mut self, timeout: Duration) -> Result<()> {
        Ok(self.emulator.wait(timeout)?)
    }

    fn write_nor(&mut self, offset: usize, bytes: &[u8]) -> Result<()> {
        Ok(self.emulator.flash_mut()?.put(offset, bytes)?)
    }

    fn read_nor(&mut self) -> Result<Vec<u8>> {
        Ok(self.emulator.flash_mut()?.bytes().to_vec())
    }

    fn explain(&mut self, failure: Failure) -> Failure {
        self.emulator.complaint().map_or(failure, Into::into)
    }
}
