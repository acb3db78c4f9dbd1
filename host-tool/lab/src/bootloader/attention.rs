//! From power on to the prompt.

use std::time::{Duration, Instant};
use stoop_image::Explained as _;

use super::conversation::prompt_pattern;
use super::{Bootloader, Error};

/// Discards what is typed and gives a new prompt (U-Boot `common/cli_readline.c`: Ctrl-C).
pub(super) const CTRL_C: &[u8] = b"\x03";

/// How long to wait for the prompt before the key is sent again: some bootloaders print their invitation before they listen.
const AGAIN: Duration = Duration::from_millis(700);

/// Below this share of printable bytes a text is no text: the speed is wrong.
const STRANGE_PERCENT: usize = 30;

impl Bootloader<'_> {
    /// Waits for the prompt of a board that was just switched on, and stops it from booting where it would. What it said is kept:
    /// [`super::Identity`]. `heard` is [`Console::received`](crate::qemu::Console::received) before power came on: what came since decides which error it is.
    ///
    /// # Errors
    /// [`Error::Silent`], [`Error::Garbage`], [`Error::NoPrompt`]: each has another thing to look at. [`Error::WrongBoard`]: another
    /// board's prompt came.
    pub fn catch(&mut self, heard: usize) -> Result<(), Error> {
        let deadline = Instant::now() + self.patience.attention;
        let on = self.facts.interrupt.as_ref().and_then(|interrupt| interrupt.on.clone()).map(|on| regex::escape(&on));
        // Without an invitation the first line is one: keys that come before the bootloader listens are lost.
        let on = on.unwrap_or_else(|| r"[^\n]+\n".into());
        let mut key = None;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = if key.is_some() { AGAIN.min(left) } else { left };
            let mut patterns = self.prompts();
            if key.is_none() && self.facts.interrupt.is_some() {
                patterns.push(on.clone());
            }
            let words: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let others = self.facts.others.len();
            match self.console.expect_any(&words, wait) {
                Ok(seen) if seen.which == 0 => return self.settle(),
                Ok(seen) if seen.which <= others => return Err(self.wrong(seen.which - 1)),
                Ok(_) => key = self.facts.interrupt.as_ref().map(|interrupt| interrupt.send.clone()),
                Err(_) if self.console.is_closed() => return Err(self.lost()),
                Err(failure) if failure.exit_code() == 130 => return Err(Error::Interrupted),
                Err(_) if left.is_zero() => return Err(self.missed(heard)),
                Err(_) => {}
            }
            if let Some(key) = &key {
                self.console.send(key.as_bytes()).map_err(|_| self.lost())?;
            }
        }
    }

    /// Whether it is at its prompt already: for a board without a power switch. Ctrl-C is typed, which no boot takes for its key
    /// except one that takes any.
    ///
    /// # Errors
    /// [`Error::WrongBoard`]: another board's prompt came. [`Error::Lost`].
    pub fn is_ready(&mut self) -> Result<bool, Error> {
        self.console.send(CTRL_C).map_err(|_| self.lost())?;
        let patterns = self.prompts();
        let words: Vec<&str> = patterns.iter().map(String::as_str).collect();
        match self.console.expect_any(&words, self.patience.echo) {
            Ok(seen) if seen.which == 0 => Ok(true),
            Ok(seen) => Err(self.wrong(seen.which - 1)),
            Err(_) if self.console.is_closed() => Err(self.lost()),
            Err(failure) if failure.exit_code() == 130 => Err(Error::Interrupted),
            Err(_) => Ok(false),
        }
    }

    /// Ours first, then those of other boards.
    fn prompts(&self) -> Vec<String> {
        let others = self.facts.others.iter().map(|(prompt, _)| prompt_pattern(prompt));
        [self.prompt()].into_iter().chain(others).collect()
    }

    /// Clears what keys sent too often have left on the line.
    fn settle(&mut self) -> Result<(), Error> {
        match self.is_ready()? {
            true => Ok(()),
            // Some bootloaders take Ctrl-C for nothing; the prompt was there.
            false => Ok(()),
        }
    }

    fn wrong(&self, other: usize) -> Error {
        let (prompt, boards) = &self.facts.others[other];
        let difference = format!("its prompt is `{prompt}`, as of {boards}, and not `{}`", self.facts.prompt);
        Error::WrongBoard { board: self.facts.board.clone(), difference }
    }

    /// Why the prompt did not come, by what came since `heard`.
    fn missed(&self, heard: usize) -> Error {
        let (board, seconds) = (self.facts.board.clone(), self.patience.attention.as_secs());
        let bytes = self.console.bytes();
        let came = bytes.get(heard..).unwrap_or_default();
        let is_strange = |byte: &u8| !matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0x1b | 0x08);
        let strange = came.iter().filter(|byte| is_strange(byte)).count();
        match came.len() {
            0 => Error::Silent { board, seconds },
            bytes if strange * 100 > bytes * STRANGE_PERCENT => Error::Garbage { board, bytes, strange },
            _ => Error::NoPrompt { board, prompt: self.facts.prompt.clone(), seconds, tail: self.console.tail() },
        }
    }

    pub(super) fn lost(&self) -> Error {
        Error::Lost { tail: self.console.tail() }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write, pipe};
    use std::thread::{JoinHandle, spawn};

    use stoop_image::board::{self, Board};

    use super::super::{Bootloader, Facts, Patience};
    use crate::qemu::Console;

    /// A bootloader that boots unless it gets the board's keys, and then gives its prompt after whatever else is typed. The thread's value
    /// is what was typed up to the keys.
    fn autobooting(board: &Board, keys: String) -> (Console, JoinHandle<Vec<u8>>) {
        let ((mut typed, to), (from, mut says)) = (pipe().unwrap(), pipe().unwrap());
        let prompt = format!("\r\n{} ", board.bootloader.prompt.as_deref().unwrap());
        let invitation =
            board.bootloader.interrupt.as_ref().and_then(|interrupt| interrupt.on.clone()).unwrap_or_default();
        let played = spawn(move || {
            write!(says, "\r\nU-Boot 1.1.4 (played)\r\n\r\n{invitation}").unwrap();
            let (mut heard, mut byte) = (Vec::new(), [0]);
            while !heard.ends_with(keys.as_bytes()) && typed.read_exact(&mut byte).is_ok() {
                heard.push(byte[0]);
            }
            while says.write_all(prompt.as_bytes()).is_ok() && typed.read_exact(&mut byte).is_ok() {}
            heard
        });
        (Console::new(from, to, None, None), played)
    }

    #[test]
    fn each_boards_keys_words_or_menu_entry_stop_it_from_booting() {
        let boards = board::all().unwrap();
        let mut rules = 0;
        for board in &boards {
            let (Some(interrupt), Some(_)) = (&board.bootloader.interrupt, &board.bootloader.prompt) else { continue };
            let facts = Facts::of(board, &boards).unwrap();
            let (mut console, played) = autobooting(board, interrupt.send.clone());
            Bootloader::new(&mut console, &facts, Patience::default()).catch(0).unwrap();
            drop(console);
            assert_eq!(String::from_utf8(played.join().unwrap()).unwrap(), interrupt.send, "{}", board.name);
            rules += 1;
        }
        assert!(rules > 20, "{rules} boards have a rule");
    }

    #[test]
    fn other_keys_than_the_boards_do_not_stop_it() {
        let board = board::load("gl-ar750").unwrap();
        let facts = Facts::of(&board, &[]).unwrap();
        let (mut console, played) = autobooting(&board, "tpl".into());
        console.peek_any(&["played"], Patience::default().attention).unwrap();
        let patience = Patience { attention: super::AGAIN * 2, ..Patience::default() };
        let error = Bootloader::new(&mut console, &facts, patience).catch(0).unwrap_err();
        assert!(matches!(error, super::Error::NoPrompt { .. }), "{error}");
        drop(console);
        let typed = String::from_utf8(played.join().unwrap()).unwrap();
        assert!(
            !typed.is_empty() && typed.replace("gl", "").is_empty(),
            "the board's keys and nothing else: {typed:?}"
        );
    }
}
