//! What can be switched on and off: a machine that QEMU plays, with flash that keeps what it writes.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stoop_ci::lab::{Endian, Lab};
use stoop_ci::{Failure, Result};
use stoop_image::board;
use stoop_lab::qemu::flash::Flash;
use stoop_lab::qemu::{Start, Target, arguments};

/// Both directions of a console: what the machine says, and what it hears.
pub struct Streams {
    /// Ends when the machine is switched off.
    pub from: Box<dyn Read + Send>,
    /// Typed bytes.
    pub to: Box<dyn Write + Send>,
}

/// A machine behind a power switch.
pub trait Machine: Send {
    /// Switches it on; it is off.
    ///
    /// # Errors
    /// It does not start.
    fn start(&mut self) -> Result<Streams>;

    /// Switches it off at once, as pulling the plug does; off already: nothing.
    fn stop(&mut self);
}

/// A board that QEMU plays. Its flash keeps what was written; a reset of the guest restarts it as on a board.
pub struct Emulated {
    target: Target,
    flash: Flash,
    /// The pflash file of the run.
    file: PathBuf,
    tftp: PathBuf,
    child: Option<Child>,
}

impl Emulated {
    /// The board of that name with its bootloader at the start of its flash. `work` is a folder for its files; it fetches files
    /// from `tftp`, by the server at [`stoop_lab::qemu::TFTP_SERVER`].
    ///
    /// # Errors
    /// QEMU does not play this board, or there is no bootloader for it.
    pub fn new(name: &str, work: &Path, tftp: &Path) -> Result<Emulated> {
        let board = board::load(name)?;
        let target = Target::of(&board, Duration::from_secs(120))?;
        let bootloader = match &target.machine.uboot {
            Some(path) => path.clone(),
            None => Lab::open()?.uboot(endian(&board)),
        };
        Emulated::with(target, &bootloader, work, tftp)
    }

    /// The same with the lab's bootloader that can write flash in QEMU; MIPS only.
    ///
    /// # Errors
    /// As for [`Emulated::new`].
    pub fn flashing(name: &str, work: &Path, tftp: &Path) -> Result<Emulated> {
        let board = board::load(name)?;
        let target = Target::of(&board, Duration::from_secs(120))?;
        Emulated::with(target, &Lab::open()?.flashing_uboot(endian(&board)), work, tftp)
    }

    fn with(target: Target, bootloader: &Path, work: &Path, tftp: &Path) -> Result<Emulated> {
        let mut flash = Flash::erased(target.machine.flash_size, target.machine.word_swap);
        flash.put(0, &std::fs::read(bootloader).map_err(|error| Failure::io(bootloader, &error))?)?;
        Ok(Emulated { target, flash, file: work.join("nor.img"), tftp: tftp.to_owned(), child: None })
    }
}

fn endian(board: &board::Board) -> Endian {
    if board.arch.is_big_endian() { Endian::Big } else { Endian::Little }
}

impl Machine for Emulated {
    fn start(&mut self) -> Result<Streams> {
        self.stop();
        self.flash.write_file(&self.file)?;
        let machine = &self.target.machine;
        // A guest's reset is a reset, as on a board; the default of `arguments` is to end.
        let extra = ["-action".to_owned(), "reboot=reset".to_owned()];
        let mut qemu = Command::new(&machine.binary);
        qemu.args(arguments(machine, Start::Flash(&self.file), Some(&self.tftp), &extra));
        // QEMU goes with us, however we end: nobody else would switch it off.
        let mut child = stoop_ci::run::bound(&qemu)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start {}: {error}", machine.binary)))?;
        let (Some(from), Some(to)) = (child.stdout.take(), child.stdin.take()) else {
            unreachable!("both were asked for as pipes");
        };
        self.child = Some(child);
        Ok(Streams { from: Box::new(from), to: Box::new(to) })
    }

    fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        // Both fail only when it has already ended.
        let _ = child.kill();
        let _ = child.wait();
        if let Err(failure) = self.flash.read_file(&self.file) {
            eprintln!("stand: what {} wrote to flash is lost: {failure}", self.target.machine.binary);
        }
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        self.stop();
    }
}
