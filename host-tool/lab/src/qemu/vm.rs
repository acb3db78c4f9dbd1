//! One run of an emulator: started with its console attached, gone without a trace when dropped.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::error::Error;
use super::{Console, Log, Machine, Start, arguments};
use crate::Result;

/// Who watches a run besides the one who waits.
#[derive(Default)]
pub struct Watch {
    /// Gets the console's bytes as they come.
    pub echo: Option<Box<dyn Write + Send>>,
    /// Gets them by lines with times.
    pub log: Option<Log>,
}

/// A running machine. Dropping it is pulling the plug.
pub struct Vm {
    child: Child,
    console: Console,
    complaints: File,
    off: bool,
}

impl Vm {
    /// Switches power on. The emulator serves `tftp` itself: no port, no privilege.
    ///
    /// # Errors
    /// The emulator is not installed or cannot be started, or the arguments are longer than it delivers.
    pub fn power_on(
        machine: &Machine,
        start: Start<'_>,
        tftp: Option<&Path>,
        extra: &[String],
        watch: Watch,
    ) -> Result<Vm> {
        if let Start::Kernel { args: Some(args), .. } = start
            && machine.machine == "malta"
            && args.len() > super::DIRECT_ARGS_LIMIT
        {
            let (length, limit) = (args.len(), super::DIRECT_ARGS_LIMIT);
            return Err(Error::Arguments { length, limit }.into());
        }
        let line = arguments(machine, start, tftp, extra);
        if let Some(log) = &watch.log {
            let words = line.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
            log.note(&format!("power on: {} {words}", machine.binary));
        }
        let complaints = tempfile::tempfile().map_err(|error| stoop_image::Error::file(std::env::temp_dir(), error))?;
        let stderr = complaints.try_clone().map_err(|error| stoop_image::Error::file(std::env::temp_dir(), error))?;
        // It stays in our process group: whoever ends the group (Ctrl-C, a test runner) ends the emulator as well.
        let mut child = Command::new(&machine.binary)
            .args(line)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .map_err(|error| Error::NoEmulator { program: machine.binary.clone(), source: error })?;
        let (Some(from), Some(to)) = (child.stdout.take(), child.stdin.take()) else {
            unreachable!("both were asked for as pipes");
        };
        let console = Console::new(from, to, watch.echo, watch.log);
        Ok(Vm { child, console, complaints, off: false })
    }

    /// What it says and hears.
    pub fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    /// Pulls the plug and returns the console's whole text. Doing it twice is harmless.
    pub fn power_off(&mut self) -> String {
        if !self.off {
            self.off = true;
            // Both fail only when it has already ended.
            let _ = self.child.kill();
            let _ = self.child.wait();
            self.console.join();
        }
        self.console.transcript()
    }

    /// Pulls the plug as soon as the console shows `pattern`.
    ///
    /// # Errors
    /// As for [`Console::expect`]; the plug is pulled then too.
    pub fn power_off_at(&mut self, pattern: &str, timeout: Duration) -> Result<String> {
        let seen = self.console.expect(pattern, timeout);
        let all = self.power_off();
        seen.map(|_| all)
    }

    /// Waits until the guest resets or the emulator ends by itself.
    ///
    /// # Errors
    /// No answer: it still runs when `timeout` has passed. Failed: the emulator complained and gave up.
    pub fn wait(&mut self, timeout: Duration) -> Result<()> {
        self.console.expect_end(timeout)?;
        let status = self.child.wait().map_err(|error| Error::Wait { source: error })?;
        self.off = true;
        self.console.join();
        self.ended(status)
    }

    /// What the emulator itself has said about why it does not run (any more), if it has ended.
    ///
    /// A console that ends at once says nothing about a wrong option or a missing file: this does.
    pub fn complaint(&mut self) -> Option<crate::Error> {
        if !self.console.is_closed() {
            return None;
        }
        let status = self.child.wait().ok()?;
        self.ended(status).err()
    }

    fn ended(&mut self, status: ExitStatus) -> Result<()> {
        if status.success() {
            return Ok(());
        }
        let mut text = String::new();
        let read = self.complaints.rewind().and_then(|()| self.complaints.read_to_string(&mut text));
        let said = if read.is_ok() { text.trim() } else { "" };
        Err(Error::GaveUp { status, said: said.to_owned() }.into())
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.power_off();
    }
}
