//! What must be known before a conversation, and how long it may take.

use std::time::Duration;

use stoop_image::board::{Board, Interrupt};

use super::Error;

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
