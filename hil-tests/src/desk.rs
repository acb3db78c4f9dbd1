//! A board on a desk, as `stoop netboot` and `stoop flash` find one: a console, a relay, a network. QEMU plays the board.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stoop_ci::{Failure, Result};
use stoop_image::board::{self, Board};
use stoop_lab::bootloader::Patience;
use stoop_lab::flash::{self, Job, Reach};
use stoop_lab::netboot::{self, Netboot, Step};
use stoop_lab::place::{BoardAddress, Place};
use stoop_lab::power;
use stoop_lab::qemu::{self, Console};
use tempfile::TempDir;

use crate::fault::{Fault, assert_documented};
use crate::stand::console;
use crate::stand::{self, Emulated, Machine, Wiring};

/// A board that is wired up, and how it is reached.
pub struct Desk {
    /// What it should be.
    pub board: Board,
    /// Where it is.
    pub place: Place,
    /// How long its steps may take: emulated boards are fast, machines that run tests are busy.
    pub patience: Patience,
    stand: stand::Board,
    work: TempDir,
}

/// Each desk has an address of this machine's own, so that several TFTP servers can listen on port 69.
fn address() -> std::net::IpAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let process = std::process::id().to_be_bytes();
    std::net::Ipv4Addr::new(127, process[3] | 1, process[2], NEXT.fetch_add(1, Ordering::Relaxed)).into()
}

impl Desk {
    /// The board of that name, played by QEMU. `flashing`: with a bootloader that writes flash in QEMU.
    ///
    /// # Errors
    /// QEMU does not play it, or there is no bootloader for it.
    pub fn emulated(name: &str, wiring: Wiring, flashing: bool) -> Result<Desk> {
        let work = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let machine = match flashing {
            true => Emulated::flashing(name, work.path(), work.path())?,
            false => Emulated::new(name, work.path(), work.path())?,
        };
        Desk::of(name, Box::new(machine), wiring, work)
    }

    /// Any machine that should be the board of that name, on a pseudo-terminal.
    ///
    /// # Errors
    /// No port or pseudo-terminal is to be had.
    pub fn played(name: &str, machine: Box<dyn Machine>) -> Result<Desk> {
        let work = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        Desk::of(name, machine, Wiring::Pty, work)
    }

    fn of(name: &str, machine: Box<dyn Machine>, wiring: Wiring, work: TempDir) -> Result<Desk> {
        let stand = stand::Board::new(machine, wiring)?;
        let wrong = |error: stoop_lab::Error| Failure::from(error);
        let console = named(&stand, work.path())?;
        let serial = console.parse().map_err(|error| wrong(stoop_lab::Error::from(error)))?;
        let supply = stand.switch().parse().map_err(|error| wrong(stoop_lab::Error::from(error)))?;
        let place = Place {
            power: Some(supply),
            off_time: Duration::ZERO,
            server: Some(address()),
            board_address: BoardAddress::Dhcp,
            ..Place::new(serial)
        };
        let patience = Patience {
            attention: Duration::from_secs(120),
            command: Duration::from_secs(60),
            echo: Duration::from_secs(10),
            ..Patience::default()
        };
        Ok(Desk { board: board::load(name)?, place, patience, stand, work })
    }

    /// Takes the images from a TFTP server that is there already: QEMU's own, which is another program than the tool and serves its
    /// emulated boards only. Gives the server's folder.
    ///
    /// # Errors
    /// Its address is none.
    pub fn served_by_qemu(&mut self) -> Result<PathBuf> {
        let address = qemu::TFTP_SERVER.parse();
        self.place.server = Some(address.map_err(|_| Failure::new("QEMU's TFTP server"))?);
        self.place.tftp_folder = Some(self.work.path().to_owned());
        Ok(self.work.path().to_owned())
    }

    /// Opens its console.
    ///
    /// # Errors
    /// As for [`Place::console`].
    pub fn console(&self) -> stoop_lab::Result<Console> {
        Ok(self.stand.attach(|| self.place.console(None, None))?)
    }

    /// Boots an image as `stoop netboot` does; the console is the image's then.
    ///
    /// # Errors
    /// As for [`netboot::run`].
    pub fn netboot(&self, console: &mut Console, image: &[u8], tell: &netboot::Tell) -> stoop_lab::Result<()> {
        let mut power = self.place.power()?;
        let boot = Netboot {
            board: &self.board,
            image,
            name: "image.bin".into(),
            place: &self.place,
            patience: self.patience,
            stall: Duration::from_secs(20),
        };
        netboot::run(console, power.as_mut().map(|power| power.as_mut() as &mut dyn power::Power), &boot, tell)
    }

    /// Writes flash as `stoop flash` does.
    ///
    /// # Errors
    /// As for [`flash::write`].
    pub fn flash(&self, job: &Job, tell: &flash::Tell) -> stoop_lab::Result<()> {
        let (mut console, mut power) = (self.console()?, self.place.power()?);
        let power = power.as_mut().map(|power| power.as_mut() as &mut dyn power::Power);
        flash::write(&mut console, power, &self.way(), job, "image.bin", tell)
    }

    /// Reads flash as `stoop flash --read` does.
    ///
    /// # Errors
    /// As for [`flash::read`].
    pub fn read(&self, areas: &[(usize, usize)]) -> stoop_lab::Result<Vec<Vec<u8>>> {
        let (mut console, mut power) = (self.console()?, self.place.power()?);
        let power = power.as_mut().map(|power| power.as_mut() as &mut dyn power::Power);
        flash::read(&mut console, power, &self.way(), areas, &collected().0)
    }

    /// Puts a file beside the board; gives its path.
    ///
    /// # Errors
    /// There is no room.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let folder = self.work.path().join("files");
        let path = folder.join(name);
        let written = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&path, bytes));
        written.map_err(|error| Failure::io(&path, &error))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// `stoop` with these words, of which the first is its verb, for this board at this place. It switches the power off at its end.
    pub fn stoop(&self, words: &[&str]) -> Command {
        let mut stoop = stoop_ci::run::stoop();
        stoop.args(words).args(["--board", &self.board.name, "--power-off"]).args(self.flags());
        let folder = self.place.tftp_folder.iter();
        stoop.args(folder.flat_map(|folder| [Path::new("--tftp-folder"), folder]));
        stoop
    }

    /// How that fails, which the table in `docs/desk.md` has.
    ///
    /// # Errors
    /// Nothing goes wrong.
    ///
    /// # Panics
    /// The table does not have it, or the board's power is still on.
    pub fn fault(&self, words: &[&str]) -> Result<Fault> {
        let output = self.stoop(words).output();
        self.judged(&output.map_err(|error| Failure::new(format!("cannot start cargo: {error}")))?)
    }

    /// The same of a command made by [`Desk::stoop`] that has ended.
    ///
    /// # Errors
    /// As for [`Desk::fault`].
    ///
    /// # Panics
    /// As for [`Desk::fault`].
    pub fn judged(&self, output: &Output) -> Result<Fault> {
        let fault = Fault::of(output)?;
        println!("{}, exit code {}: {}", fault.code, fault.exit, fault.said);
        assert_documented(&fault.code, fault.exit, &fault.said);
        assert!(!self.is_on(), "its power is still on");
        Ok(fault)
    }

    /// What unplugs its console's pseudo-terminal, whose name goes as well, as udev takes an adapter's.
    pub fn plug(&self) -> Plug {
        Plug { ends: self.stand.ends(), name: self.work.path().join(CONSOLE) }
    }

    /// Where it is, as flags of `stoop netboot` and `stoop flash`.
    pub fn flags(&self) -> Vec<String> {
        let place = &self.place;
        let server = place.server.map(|server| ["--address".to_owned(), server.to_string()]);
        let flags = [("--serial", place.serial.to_string()), ("--power", self.stand.switch())];
        let flags = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        let rest = ["--board-address", "dhcp", "--off-time", "0"].map(str::to_owned);
        flags.chain(server.into_iter().flatten()).chain(rest).collect()
    }

    fn way(&self) -> Reach<'_> {
        Reach {
            board: &self.board,
            place: &self.place,
            patience: self.patience,
            stall: Duration::from_secs(20),
            trust: false,
        }
    }

    /// Switches its relay.
    ///
    /// # Errors
    /// The relay does not switch.
    pub fn switch(&self, on: bool) -> stoop_lab::Result<()> {
        match &mut self.place.power()? {
            Some(power) => Ok(power.set(on)?),
            None => Ok(()),
        }
    }

    /// Whether its power is on.
    pub fn is_on(&self) -> bool {
        self.stand.is_on()
    }
}

/// The console of a desk as what unplugs it has it.
pub struct Plug {
    ends: console::Console,
    name: PathBuf,
}

impl Plug {
    /// Unplugs it.
    pub fn pull(&self) {
        // Before its number is given to another test's.
        let _ = std::fs::remove_file(&self.name);
        self.ends.unplug();
    }
}

/// The name of a console that is a pseudo-terminal.
const CONSOLE: &str = "console";

/// The console by a name of its own where it is a pseudo-terminal: the number of one that is closed is soon another's.
fn named(stand: &stand::Board, work: &Path) -> Result<String> {
    if !stand.console.starts_with('/') {
        return Ok(stand.console.clone());
    }
    let name = work.join(CONSOLE);
    std::os::unix::fs::symlink(&stand.console, &name).map_err(|error| Failure::io(&name, &error))?;
    Ok(name.to_string_lossy().into_owned())
}

impl Drop for Desk {
    /// Switches the board off: a kernel without a root spins in its panic, at the cost of whatever runs after it.
    fn drop(&mut self) {
        // A relay that does not switch has no power to give either.
        let _ = self.switch(false);
    }
}

/// Steps as they come.
pub fn collected<T: Send + 'static>() -> (Arc<dyn Fn(T) + Send + Sync>, Receiver<T>) {
    let (sender, steps) = channel();
    let sender = Mutex::new(sender);
    let tell = move |step| {
        let sender = sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Who stopped listening has seen enough.
        let _ = sender.send(step);
    };
    (Arc::new(tell), steps)
}

/// The lines that were typed.
pub fn typed(steps: &Receiver<Step>) -> Vec<String> {
    let line = |step| match step {
        Step::Typed(line) => Some(line),
        _ => None,
    };
    steps.try_iter().filter_map(line).collect()
}

/// Why TFTP cannot be served here; `None` when it can.
pub fn no_tftp() -> Option<String> {
    let socket = std::net::UdpSocket::bind(("127.0.0.1", stoop_lab::tftp::PORT));
    match socket {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Some(format!("UDP port {}: {error}", stoop_lab::tftp::PORT))
        }
        _ => None,
    }
}
