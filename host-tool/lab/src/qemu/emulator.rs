//! A board on the desk, played by QEMU: power, console, NOR flash and TFTP directory over any number of runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::error::Error;
use super::flash::Flash;
use super::uboot::{self, Boot};
use super::vm::Watch;
use super::{Console, Log, Machine, Start, Vm};
use crate::Result;
use stoop_image::board::{self, Board};

/// What QEMU and the conversation with the bootloader need to know of a board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// The machine.
    pub machine: Machine,
    /// Its bootloader.
    pub uboot: uboot::Facts,
}

impl Target {
    /// Takes the facts from the board's data. `patience` of the bootloader: [`uboot::Facts`].
    ///
    /// # Errors
    /// Usage: QEMU does not play this board.
    pub fn of(board: &Board, patience: Duration) -> Result<Target> {
        let (Some(qemu), Some(flash)) = (&board.qemu, &board.flash) else {
            let others = board::all()?.into_iter().filter(|board| board.qemu.is_some());
            let known = others.map(|board| board.name).collect();
            return Err(Error::NotPlayed { board: board.name.clone(), known }.into());
        };
        let narrow =
            |value: usize| u32::try_from(value).map_err(|_| Error::Memory { board: board.name.clone(), memory: value });
        let machine = Machine {
            binary: qemu.binary.clone(),
            machine: qemu.machine.clone(),
            cpu: Some(qemu.cpu.clone()),
            memory: narrow(qemu.memory)?,
            word_swap: qemu.word_swapped,
            flash_size: flash.size,
            uboot: qemu.u_boot.as_ref().map(PathBuf::from),
            network: qemu.network.clone(),
        };
        let uboot = uboot::Facts::of(board, super::TFTP_SERVER, patience)?;
        Ok(Target { machine, uboot })
    }

    /// Gives the machine another amount of RAM, in MiB.
    pub fn set_memory(&mut self, memory: u32) {
        let less = u64::from(self.machine.memory.saturating_sub(memory)) << 20;
        self.uboot.free_end = self.uboot.free_end.saturating_sub(less);
        self.machine.memory = memory;
    }
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
        let work = tempfile::Builder::new()
            .prefix("stoop-run-")
            .tempdir()
            .map_err(|error| stoop_image::Error::file(std::env::temp_dir(), error))?;
        let tftp = work.path().join("tftp");
        std::fs::create_dir(&tftp).map_err(|error| stoop_image::Error::file(&tftp, error))?;
        let nor_file = work.path().join("nor.img");
        let mut flash = Flash::erased(target.machine.flash_size, target.machine.word_swap);
        if let Some(path) = &target.machine.uboot {
            let bytes =
                std::fs::read(path).map_err(|error| Error::NoBootloader { path: path.clone(), source: error })?;
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
            std::fs::remove_file(&self.nor_file).map_err(|error| stoop_image::Error::file(&self.nor_file, error))?;
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
            None => Err(Error::Off.into()),
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
            Some(_) => Err(Error::On.into()),
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
        let plan = uboot::stage(&self.target.uboot, boot, &mut |name, bytes| put(&self.tftp, name, bytes))?;
        let facts = self.target.uboot.clone();
        let console = self.console()?;
        let started = uboot::attach(console, &facts).and_then(|_| uboot::start(console, &facts, &plan));
        started.map_err(|failure| self.explain(failure))
    }

    /// Prefers what QEMU itself says about having ended to what its silence looks like.
    pub fn explain(&mut self, failure: crate::Error) -> crate::Error {
        self.complaint().unwrap_or(failure)
    }

    /// What QEMU itself says about having ended, if it has.
    pub fn complaint(&mut self) -> Option<crate::Error> {
        self.vm.as_mut()?.complaint()
    }
}

fn put(directory: &Path, name: &str, bytes: &[u8]) -> Result<String> {
    let path = directory.join(name);
    std::fs::write(&path, bytes).map_err(|error| stoop_image::Error::file(&path, error))?;
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoop_image::Explained as _;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_board_data_become_the_machine_and_its_bootloader() {
        let target = Target::of(&board::load("qemu-malta-le").unwrap(), MINUTE).unwrap();
        assert_eq!(target.machine.binary, "qemu-system-mipsel");
        assert_eq!((target.machine.flash_size, target.machine.word_swap), (0x40_0000, true));
        assert_eq!(target.uboot.prompt, "maltael #");
        assert_eq!((target.uboot.tftp_address, target.uboot.free_end), (0x8100_0000, 0xfe0_0000));
    }

    #[test]
    fn less_memory_ends_earlier_and_more_does_not_move_the_end() {
        let mut target = Target::of(&board::load("qemu-malta-be").unwrap(), MINUTE).unwrap();
        target.set_memory(512);
        assert_eq!((target.machine.memory, target.uboot.free_end), (512, 0xfe0_0000));
        let mut target = Target::of(&board::load("qemu-malta-be").unwrap(), MINUTE).unwrap();
        target.set_memory(128);
        assert_eq!((target.machine.memory, target.uboot.free_end), (128, 0x7e0_0000));
    }

    #[test]
    fn a_board_that_qemu_does_not_play_is_refused_with_those_that_it_does() {
        let refused = Target::of(&board::load("gl-ar750").unwrap(), MINUTE).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(refused.next_step().unwrap().contains("qemu-malta-be, qemu-malta-le"), "{refused}");
    }
}
