//! What a test can ask of a board, whatever the board is.

use std::path::Path;
use std::time::Duration;

use stoop_ci::{Failure, Result};
use stoop_image::board::Board;
use stoop_lab::qemu::{Console, uboot};

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
    /// After a reset by the kernel the board starts again, with its RAM as it was. Every board does; an emulator has to be told.
    Resets,
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
pub struct BootRequest<'a> {
    /// What the test cannot do without.
    pub caps: &'a [Cap],
    /// More options for an emulator, for example `-icount shift=0`; such a test runs on an emulator only.
    pub emulator: &'a [&'a str],
}
