//! A person's terminal with a program on it: a pty.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::termios::{LocalModes, OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};
use serialport::{SerialPort, TTYPort};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Both ends of a pty, the second one by its name.
pub fn pty() -> (TTYPort, String) {
    let (mut mine, theirs) = TTYPort::pair().unwrap();
    mine.set_timeout(PATIENCE).unwrap();
    (mine, theirs.name().unwrap())
}

/// The person's end, and what runs at the other one.
pub struct Terminal {
    end: TTYPort,
    shell: File,
    pub child: Child,
    seen: String,
}

/// What a shell leaves: whole lines, Ctrl-C as a signal, ends of lines translated.
fn cooked(terminal: &File) -> Termios {
    let mut modes = tcgetattr(terminal).unwrap();
    modes.local_modes |= LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHO;
    modes.output_modes |= OutputModes::OPOST;
    tcsetattr(terminal, OptionalActions::Now, &modes).unwrap();
    tcgetattr(terminal).unwrap()
}

impl Terminal {
    /// Starts it.
    pub fn with(command: &mut Command) -> Terminal {
        let (end, name) = pty();
        let shell = File::options().read(true).write(true).open(name).unwrap();
        cooked(&shell);
        let stdio = || Stdio::from(shell.try_clone().unwrap());
        let child = command.env("TERM", "vt100").stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        Terminal { end, shell, child, seen: String::new() }
    }

    /// Waits until every key is the board's.
    pub fn gives_keys(&mut self) {
        self.sees("Ctrl-] q leaves");
        let began = Instant::now();
        // It says how to leave before it takes the keyboard.
        while tcgetattr(&self.shell).unwrap().local_modes.contains(LocalModes::ICANON) {
            assert!(began.elapsed() < PATIENCE, "the terminal stays as it was");
            std::thread::yield_now();
        }
    }

    pub fn types(&mut self, keys: &str) {
        self.end.write_all(keys.as_bytes()).unwrap();
    }

    /// Reads until it has shown this.
    pub fn sees(&mut self, text: &str) {
        let mut buffer = [0; 1024];
        while !self.seen.contains(text) {
            let count = self.end.read(&mut buffer).unwrap_or_else(|error| panic!("{error}: {:?}", self.seen));
            self.seen += &String::from_utf8_lossy(&buffer[..count]);
        }
    }

    /// Leaves by the escape key, and looks whether the terminal is the shell's again.
    pub fn leaves(mut self) -> String {
        self.types("\x1dq");
        let (status, seen) = self.ends();
        assert!(status.success(), "{status}: {seen}");
        seen
    }

    /// Waits for the end, and looks at the terminal.
    pub fn ends(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        let modes = tcgetattr(&self.shell).unwrap();
        assert!(modes.local_modes.contains(LocalModes::ICANON | LocalModes::ISIG | LocalModes::ECHO), "still raw");
        assert!(modes.output_modes.contains(OutputModes::OPOST), "still raw");
        (status, std::mem::take(&mut self.seen))
    }
}

impl Drop for Terminal {
    /// What a failed test has started must not outlive it: it may have the terminal's other end as well, and see no end of it.
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
