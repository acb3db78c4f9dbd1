//! Boards behind a console and a power switch: on a desk (`serial`) or in a lab (`labgrid`). What differs is who switches power
//! and where the console is.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use stoop_ci::{Failure, Result};
use stoop_image::board::Board;
use stoop_lab::connection::{Address, Connection, Options};
use stoop_lab::qemu::{Console, Log, uboot};

use super::failure::failure;
use super::staging::Staging;
use super::stream::Ears;
use super::{Cap, Rig};

/// For one bootloader command or the way to its prompt.
const PATIENCE: Duration = Duration::from_secs(120);

/// What switches the board.
pub(super) trait Power {
    /// Switches it.
    fn set(&mut self, on: bool) -> Result<()>;
}

/// What is known of the place.
pub(super) struct Setup {
    /// What to call it in logs and messages.
    pub(super) name: String,
    pub(super) board: Board,
    pub(super) console: Address,
    /// Bits a second.
    pub(super) speed: u32,
    pub(super) power: Box<dyn Power>,
    /// Where its bootloader can fetch files; a place without can start only what is in its flash.
    pub(super) staging: Option<Staging>,
    /// The place's owner allows writes to its flash.
    pub(super) nor_write: bool,
}

/// What a place of that kind can do.
pub(super) fn caps(setup: &Setup) -> Vec<Cap> {
    let mut caps = vec![Cap::PowerLoss, Cap::Resets];
    caps.extend(setup.staging.is_some().then_some(Cap::Uboot));
    caps.extend(setup.nor_write.then_some(Cap::UbootNorWrite));
    caps
}

pub(super) struct Remote {
    setup: Setup,
    facts: uboot::Facts,
    caps: Vec<Cap>,
    log: Log,
    run: Option<Run>,
    /// Tests of one place take turns, in this process and in others.
    _turn: File,
}

/// From power on to power off.
struct Run {
    console: Console,
    ears: Ears,
    /// Where in the console's text the board reset: what follows is another run.
    end: Option<usize>,
}

/// Tells who runs the tests that the place did not answer, so that it is not taken for the board's failure.
pub(super) fn lost(failure: Failure) -> Failure {
    println!("HIL-LOST: {}", failure.fact());
    failure
}

impl Remote {
    /// The place, switched off. Waits until no other test has it.
    pub(super) fn open(mut setup: Setup, log: Log) -> Result<Remote> {
        let server = setup.staging.as_ref().map(|staging| staging.server.as_str()).unwrap_or_default();
        let facts = uboot::Facts::of(&setup.board, server, PATIENCE)?;
        let turn = turn(&setup.console)?;
        setup.power.set(false).map_err(|failure| lost(failure.within(&setup.name)))?;
        let caps = caps(&setup);
        Ok(Remote { setup, facts, caps, log, run: None, _turn: turn })
    }

    fn run(&mut self) -> Result<&mut Run> {
        self.run.as_mut().ok_or_else(|| Failure::new("the board is off").next("switch it on first"))
    }
}

/// Waits until it is our turn with that console.
fn turn(console: &Address) -> Result<File> {
    let name: String = console.to_string().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = std::env::temp_dir().join(format!("stoop-place-{name}.lock"));
    let io = |error| Failure::io(&path, &error);
    let file = File::options().create(true).append(true).open(&path).map_err(io)?;
    file.lock().map_err(io)?;
    Ok(file)
}

impl Rig for Remote {
    fn board(&self) -> &Board {
        &self.setup.board
    }

    fn bootloader(&self) -> &uboot::Facts {
        &self.facts
    }

    fn caps(&self) -> &[Cap] {
        &self.caps
    }

    fn power_on(&mut self) -> Result<()> {
        if self.run.is_some() {
            return Err(Failure::new("the board is on").next("switch it off first"));
        }
        // The console first: no byte of the start is lost.
        let options = Options { speed: self.setup.speed, reopen: None };
        let connection = Connection::open(&self.setup.console, options).map_err(|error| lost(failure(&error)))?;
        let voice = connection.stream_sender();
        let ears = Ears::default();
        let console = Console::new(ears.listen(connection), voice, None, Some(self.log.clone()));
        self.log.note(&format!("power on: {}", self.setup.name));
        self.run = Some(Run { console, ears, end: None });
        self.setup.power.set(true).map_err(lost)
    }

    fn power_off(&mut self) -> Result<String> {
        let Some(mut run) = self.run.take() else { return Ok(String::new()) };
        let off = self.setup.power.set(false).map_err(lost);
        // What was under way still comes.
        run.ears.close();
        let rest = run.console.expect_end(PATIENCE);
        self.log.note("power off");
        off?;
        rest?;
        let mut said = run.console.transcript();
        said.truncate(run.end.unwrap_or(said.len()));
        Ok(said)
    }

    fn power_off_at(&mut self, pattern: &str, timeout: Duration) -> Result<String> {
        let seen = self.console()?.expect(pattern, timeout);
        let said = self.power_off()?;
        seen?;
        Ok(said)
    }

    fn power_on_with(&mut self, _elf: &Path, _args: Option<&str>) -> Result<()> {
        Err(Failure::new("only an emulator starts without a bootloader"))
    }

    fn console(&mut self) -> Result<&mut Console> {
        self.run().map(|run| &mut run.console)
    }

    fn stage(&mut self, name: &str, bytes: &[u8]) -> Result<String> {
        match &self.setup.staging {
            Some(staging) => staging.put(name, bytes),
            None => Err(Failure::new(format!("{} has no TFTP server", self.setup.name))),
        }
    }

    fn wait_end(&mut self, timeout: Duration) -> Result<()> {
        // A board does not end: its bootloader comes again.
        let again = format!(r"^(?:U-Boot [0-9]|{})", regex::escape(&self.facts.prompt));
        let run = self.run()?;
        let seen = run.console.expect(&again, timeout)?;
        let banner = seen.groups.first().cloned().unwrap_or_default();
        let said = run.console.transcript();
        run.end = said.rfind(&format!("\n{banner}")).map(|at| at + 1);
        Ok(())
    }

    fn write_nor(&mut self, _offset: usize, _bytes: &[u8]) -> Result<()> {
        Err(Failure::new("only an emulator's flash is written from outside"))
    }

    fn read_nor(&mut self) -> Result<Vec<u8>> {
        Err(Failure::new("only an emulator's flash is read from outside"))
    }
}

impl Drop for Remote {
    fn drop(&mut self) {
        if self.run.is_some()
            && let Err(failure) = self.power_off()
        {
            eprintln!("{}: it may still be on: {failure}", self.setup.name);
        }
    }
}
