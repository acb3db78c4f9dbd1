//! The conversation with a bootloader at its prompt, over any console: how to get its attention, how to type so that what was
//! typed is what it got, and how to make sure that it is the right board's.

mod attention;
mod error;
pub mod identity;
mod typing;

use std::time::Duration;

use stoop_image::board::{Board, Interrupt};

pub use error::Error;
pub use identity::Identity;

use crate::qemu::Console;

/// What must be known of a bootloader to talk to it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The board's name, for messages.
    pub board: String,
    /// Its prompt without the blank at its end; literal text at the start of a line.
    pub prompt: String,
    /// How to stop it from booting by itself, where it does.
    pub interrupt: Option<Interrupt>,
    /// Prompts of other boards, by which a wrong one is known at once: prompt and the boards' names.
    pub others: Vec<(String, String)>,
}

impl Facts {
    /// Takes them from the board's data; `all` are the boards that could be taken for it.
    ///
    /// # Errors
    /// [`Error::Unknown`]: the data do not say what its prompt is.
    pub fn of(board: &Board, all: &[Board]) -> Result<Facts, Error> {
        let prompt = board.bootloader.prompt.clone().ok_or_else(|| Error::Unknown { board: board.name.clone() })?;
        let mut others: Vec<(String, String)> = Vec::new();
        for other in all {
            match &other.bootloader.prompt {
                // One that ends like ours could be ours with something in front.
                Some(theirs) if !theirs.ends_with(&prompt) && !prompt.ends_with(theirs.as_str()) => {
                    match others.iter_mut().find(|(known, _)| known == theirs) {
                        Some((_, names)) => *names += &format!(", {}", other.name),
                        None => others.push((theirs.clone(), other.name.clone())),
                    }
                }
                _ => {}
            }
        }
        Ok(Facts { board: board.name.clone(), prompt, interrupt: board.bootloader.interrupt.clone(), others })
    }
}

/// How long the steps of a conversation may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// From power on, or from the first try, to the prompt.
    pub attention: Duration,
    /// A command that has little to do.
    pub command: Duration,
    /// The echo of a character or a short line.
    pub echo: Duration,
    /// Bytes of flash that are surely erased, written or read in a second; more than this takes is too long.
    pub flash_rate: usize,
}

impl Default for Patience {
    /// A minute to the prompt, ten seconds for a command, two for an echo; 16 KiB of flash a second, a quarter of what slow SPI flash
    /// erases.
    fn default() -> Self {
        Patience {
            attention: Duration::from_secs(60),
            command: Duration::from_secs(10),
            echo: Duration::from_secs(2),
            flash_rate: 0x4000,
        }
    }
}

/// A bootloader at its prompt, or on the way there.
pub struct Bootloader<'a> {
    console: &'a mut Console,
    facts: &'a Facts,
    patience: Patience,
    /// Type one character after the other, each when the one before came back: a line was garbled before.
    is_slow: bool,
}

impl<'a> Bootloader<'a> {
    /// Says nothing yet. Waits are [`Console`]'s; its fatal patterns are replaced, since here words decide that stand beside their cause.
    pub fn new(console: &'a mut Console, facts: &'a Facts, patience: Patience) -> Bootloader<'a> {
        console.clear_fatal();
        Bootloader { console, facts, patience, is_slow: false }
    }

    /// The console, for waits of the caller's own.
    pub fn console(&mut self) -> &mut Console {
        self.console
    }

    /// How long steps may take.
    pub fn patience(&self) -> Patience {
        self.patience
    }

    /// What is known of it.
    pub fn facts(&self) -> &Facts {
        self.facts
    }

    /// The prompt as a pattern: at the start of a line, where the end of `==>` or an echo cannot be taken for it; a time that a
    /// console server puts in front and a menu's escapes do not count.
    fn prompt(&self) -> String {
        prompt_pattern(&self.facts.prompt)
    }
}

fn prompt_pattern(prompt: &str) -> String {
    format!(r"^(?:\[[^\]\n]*\] )?(?:\x1b\[[0-9;?]*[A-Za-z])*{} ?", regex::escape(prompt))
}
