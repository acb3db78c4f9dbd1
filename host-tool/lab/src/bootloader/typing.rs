//! Lines that arrive as they were typed, and what they print.

use std::time::{Duration, Instant};
use stoop_image::Explained as _;

use super::attention::CTRL_C;
use super::{Bootloader, Error};

/// How often a line is typed before it is given up.
const TRIES: u32 = 4;

/// What a board says when it starts anew, at the start of a line. `U-Boot 2023.01` alone is also what `version` prints.
const RESTARTED: &str = r"^(?:resetting \.\.\.|U-Boot SPL |DRAM: )";

impl Bootloader<'_> {
    /// Types a command at the prompt and gives what it printed, when the prompt is back.
    ///
    /// # Errors
    /// [`Error::Garbled`]: it could not be typed. [`Error::Stuck`], [`Error::Restarted`], [`Error::Lost`]: the prompt did not come back.
    pub fn command(&mut self, line: &str) -> Result<String, Error> {
        self.enter(line)?;
        self.finish(line, self.patience.command)
    }

    /// As [`Bootloader::command`], for what a bootloader may not have.
    ///
    /// # Errors
    /// [`Error::NoCommand`] too.
    pub fn needed(&mut self, line: &str) -> Result<String, Error> {
        let printed = self.command(line)?;
        match is_unknown(&printed) {
            true => Err(Error::NoCommand { command: line.split(' ').next().unwrap_or(line).to_owned() }),
            false => Ok(printed),
        }
    }

    /// Types a command and lets it run.
    ///
    /// Nothing is run that did not come back letter by letter: a dropped or doubled digit in an address would erase something
    /// else. The blank behind the line shows that its last character came once; the bootloader's parser drops it.
    ///
    /// # Errors
    /// [`Error::Garbled`], [`Error::Lost`].
    pub fn enter(&mut self, line: &str) -> Result<(), Error> {
        let (typed, heard, began) = (format!("{line} "), self.console.received(), Instant::now());
        for _ in 0..TRIES {
            if self.echoed(&typed)? {
                return self.send(b"\n");
            }
            self.is_slow = true;
            self.discard()?;
        }
        // Not a single character: it is not the line that is bad.
        if self.console.received() == heard {
            let tail = self.console.tail();
            return Err(Error::Stuck { line: line.to_owned(), seconds: began.elapsed().as_secs(), tail });
        }
        Err(Error::Garbled { line: line.to_owned(), tries: TRIES, tail: self.console.tail() })
    }

    /// Waits for the prompt behind a command that was entered; gives what it printed.
    ///
    /// # Errors
    /// As for [`Bootloader::command`]. A console whose port is gone when the time is up is [`Error::Lost`]: it is not the board that
    /// is silent.
    pub fn finish(&mut self, line: &str, patience: Duration) -> Result<String, Error> {
        match self.back(line, patience) {
            Err(Error::Stuck { .. }) if self.console.is_away() => Err(self.lost()),
            other => other,
        }
    }

    /// As [`Bootloader::finish`] for those who ask again: a port that is gone may be back by then.
    pub(crate) fn back(&mut self, line: &str, patience: Duration) -> Result<String, Error> {
        let prompt = self.prompt();
        match self.console.expect_any(&[&prompt, RESTARTED], patience) {
            Ok(seen) if seen.which == 0 => Ok(seen.before.trim_start_matches([' ', '\n']).to_owned()),
            Ok(_) => Err(Error::Restarted { line: line.to_owned(), tail: self.console.tail() }),
            Err(_) if self.console.is_closed() => Err(self.lost()),
            Err(failure) if failure.exit_code() == 130 => Err(Error::Interrupted),
            Err(_) => {
                let (line, tail) = (line.to_owned(), self.console.tail());
                Err(Error::Stuck { line, seconds: patience.as_secs(), tail })
            }
        }
    }

    /// Stops what runs, with Ctrl-C, and waits for the prompt.
    ///
    /// # Errors
    /// As for [`Bootloader::finish`].
    pub fn stop(&mut self, line: &str) -> Result<String, Error> {
        self.send(CTRL_C)?;
        self.finish(line, self.patience.command)
    }

    /// Types without the end of the line; whether it came back as it was.
    fn echoed(&mut self, typed: &str) -> Result<bool, Error> {
        // The prompt is taken for one before its blank has come: a line brings one character after the other.
        let mut late = " ?";
        if !self.is_slow {
            self.send(typed.as_bytes())?;
            return self.comes_back(late, typed);
        }
        for character in typed.chars() {
            let mut buffer = [0; 4];
            let character: &str = character.encode_utf8(&mut buffer);
            self.send(character.as_bytes())?;
            if !self.comes_back(late, character)? {
                return Ok(false);
            }
            late = "";
        }
        Ok(true)
    }

    /// Whether the next that comes is what was typed, behind what this pattern takes.
    fn comes_back(&mut self, before: &str, typed: &str) -> Result<bool, Error> {
        match self.console.expect(&format!("{before}{}", regex::escape(typed)), self.patience.echo) {
            Ok(seen) => Ok(seen.before.is_empty()),
            Err(_) if self.console.is_closed() => Err(self.lost()),
            Err(failure) if failure.exit_code() == 130 => Err(Error::Interrupted),
            Err(_) => Ok(false),
        }
    }

    /// Drops a half-typed line.
    fn discard(&mut self) -> Result<(), Error> {
        self.send(CTRL_C)?;
        let prompt = self.prompt();
        match self.console.expect(&prompt, self.patience.echo) {
            Err(_) if self.console.is_closed() => Err(self.lost()),
            // The next try shows it.
            _ => Ok(()),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.console.send(bytes).map_err(|_| self.lost())
    }
}

/// U-Boot (`common/command.c`) and vendors' versions of it.
pub(super) fn is_unknown(printed: &str) -> bool {
    printed.contains("Unknown command '") || printed.contains("- try 'help'")
}
