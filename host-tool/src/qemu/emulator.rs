//! A board on the desk, played by QEMU: power, console, NOR flash and TFTP directory over any number of runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::flash::Flash;
use super::uboot::{self, Boot};
use super::vm::Watch;
use super::{Console, Log, Machine, Start, Vm};
use crate::{Failure, Result};

/// What QEMU and the conversation with the bootloader need to know of a board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The machine.
    pub machine: Machine,
    /// Its bootloader.
    pub uboot: uboot::Facts,
}

/// How to watch the board and what to add to QEMU's command line.
#[derive(Default)]
pub struct Options {
    /// Where each run's console is copied to as it comes.
    pub echo: Option<fn() -> Box<dyn Write + Send>>,
    /// The log of all runs.
    pub log: Option<Log>,
    /// More words for QEMU, for example `-icount shift=0`.
    pub extra: Vec<String>,
}

/// The board. Dropping it pulls the plug and removes its files.
pub struct Emulator {
    target: Target,
    options: Options,
    flash: Flash,
    /// Declared before `work`: the machine goes before its files do.
    vm: Option<Vm>,
    nor_file: PathBuf,
    tftp: PathBuf,
    _work: TempDir,
}

impl Emulator {
    /// A board that is switched off, with its bootloader (if it has one) at the start of an otherwise erased flash.
    ///
    /// # Errors
    /// No temporary directory, or no such bootloader file.
    pub fn new(target: Target, options: Options) -> Result<Emulator> {
        let work = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let tftp = work.path().join("tftp");
        std::fs::create_dir(&tftp).map_err(|error| Failure::io(&tftp, &error))?;
        let nor_file = work.path().join("nor.img");
        let mut flash = Flash::erased(target.machine.flash_size, target.machine.word_swap);
        if let Some(path) = &target.machine.uboot {
            let bytes = std::fs::read(path).map_err(|error| {
                Failure::io(path, &error)
                    .next("install the bootloader (Debian: apt-get install u-boot-qemu) or name another file")
            })?;
            flash.put(0, &bytes).map_err(|failure| failure.within(path.display()))?;
        }
        Ok(Emulator { target, options, flash, vm: None, nor_file, tftp, _work: work })
    }

    /// What the board is.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Switches power on: the CPU starts from flash.
    ///
    /// # Errors
    /// It is on already, or QEMU cannot be started.
    pub fn power_on(&mut self) -> Result<()> {
        self.flash_mut()?;
        self.flash.write_file(&self.nor_file)?;
        let nor_file = self.nor_file.clone();
        self.start(Start::Flash(&nor_file))
    }

    /// Switches power on with an ELF file in RAM, past any bootloader. The flash is blank to it.
    ///
    /// # Errors
    /// It is on already, QEMU cannot be started, or the arguments are too long ([`super::DIRECT_ARGS_LIMIT`]).
    pub fn power_on_with(&mut self, elf: &Path, args: Option<&str>) -> Result<()> {
        self.flash_mut()?;
        self.start(Start::Kernel { elf, args })
    }

    fn start(&mut self, start: Start<'_>) -> Result<()> {
        let watch = Watch { echo: self.options.echo.map(|echo| echo()), log: self.options.log.clone() };
        let vm = Vm::power_on(&self.target.machine, start, Some(&self.tftp), &self.options.extra, watch)?;
        self.vm = Some(vm);
        Ok(())
    }

    /// Pulls the plug, keeps what the guest wrote to flash, and returns the run's console. Off already: an empty text.
    ///
    /// # Errors
    /// The flash file cannot be read back.
    pub fn power_off(&mut self) -> Result<String> {
        let Some(mut vm) = self.vm.take() else { return Ok(String::new()) };
        let said = vm.power_off();
        if let Some(log) = &self.options.log {
            log.note("power off");
        }
        // A run that began with an ELF file has no flash file.
        if self.nor_file.exists() {
            self.flash.read_file(&self.nor_file)?;
            std::fs::remove_file(&self.nor_file).map_err(|error| Failure::io(&self.nor_file, &error))?;
        }
        Ok(said)
    }

    /// Pulls the plug as soon as the console shows `pattern`: a power loss in the middle of something.
    ///
    /// # Errors
    /// As for [`Console::expect`]; power is off then too.
    pub fn power_off_at(&mut self, pattern: &str, timeout: Duration) -> Result<String> {
        let seen = self.console()?.expect(pattern, timeout).map_err(|failure| self.explain(failure));
        let said = self.power_off()?;
        seen.map(|_| said)
    }

    /// The console of the present run.
    ///
    /// # Errors
    /// Power is off.
    pub fn console(&mut self) -> Result<&mut Console> {
        match &mut self.vm {
            Some(vm) => Ok(vm.console()),
            None => Err(Failure::new("the board is off").next("switch it on first")),
        }
    }

    /// Waits until the guest resets or switches off.
    ///
    /// # Errors
    /// As for [`Vm::wait`], or power is off.
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        self.console()?;
        self.vm.as_mut().map_or(Ok(()), |vm| vm.wait(timeout))
    }

    /// The flash as the CPU reads it.
    ///
    /// # Errors
    /// Power is on: QEMU reads the file once, when it starts.
    pub fn flash_mut(&mut self) -> Result<&mut Flash> {
        match self.vm {
            Some(_) => Err(Failure::new("the board is on").next("switch it off first")),
            None => Ok(&mut self.flash),
        }
    }

    /// Puts a file where the board's TFTP finds it, now or while it runs.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn stage(&mut self, name: &str, bytes: &[u8]) -> Result<String> {
        put(&self.tftp, name, bytes)
    }

    /// Waits for the bootloader of a board just switched on and lets it start an image: [`uboot::start`].
    ///
    /// # Errors
    /// As for [`uboot::attach`], [`uboot::stage`] and [`uboot::start`].
    pub fn boot(&mut self, boot: &Boot<'_>) -> Result<()> {
        let plan = uboot::stage(boot, &mut |name, bytes| put(&self.tftp, name, bytes))?;
        let facts = self.target.uboot.clone();
        let console = self.console()?;
        let started = uboot::attach(console, &facts).and_then(|_| uboot::start(console, &facts, &plan));
        started.map_err(|failure| self.explain(failure))
    }

    /// Prefers what QEMU itself says about having ended to what its silence looks like.
    pub fn explain(&mut self, failure: Failure) -> Failure {
        match &mut self.vm {
            Some(vm) => vm.explain(failure),
            None => failure,
        }
    }
}

fn put(directory: &Path, name: &str, bytes: &[u8]) -> Result<String> {
    let path = directory.join(name);
    std::fs::write(&path, bytes).map_err(|error| Failure::io(&path, &error))?;
    Ok(name.to_owned())
}
