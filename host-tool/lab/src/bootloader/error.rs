//! What can go wrong in a conversation with a bootloader.

use crate::text::shown;
use stoop_image::explained::{Explained, FAILED, INTERRUPTED, NO_ANSWER, NO_PLACE, USAGE};

/// What can go wrong in a conversation with a bootloader. `tail` is the console's last lines as [`crate::qemu::Console::tail`] gives
/// them.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The board's data do not say what its prompt is.
    #[error("the prompt of the board {board} is not known")]
    Unknown {
        /// The board.
        board: String,
    },
    /// Not one character came.
    #[error("the board {board} said nothing for {seconds} s")]
    Silent {
        /// The board that should be there.
        board: String,
        /// How long.
        seconds: u64,
    },
    /// What came is no text.
    #[error("what comes from the board {board} is no text: {strange} of {bytes} bytes are not printable")]
    Garbage {
        /// The board that should be there.
        board: String,
        /// Bytes that came.
        bytes: usize,
        /// Those that no console sends.
        strange: usize,
    },
    /// Text came, but the prompt did not.
    #[error("the board {board} did not come to its prompt `{prompt}` within {seconds} s{tail}")]
    NoPrompt {
        /// The board that should be there.
        board: String,
        /// What was waited for.
        prompt: String,
        /// How long.
        seconds: u64,
        /// The console's end.
        tail: String,
    },
    /// It is not the board that it should be.
    #[error("this is not the board {board}: {}", shown(difference))]
    WrongBoard {
        /// The board that should be there.
        board: String,
        /// What it says and what is expected.
        difference: String,
    },
    /// What was typed does not come back as it was.
    #[error("`{line}` arrives garbled, {tries} times{tail}")]
    Garbled {
        /// What was typed.
        line: String,
        /// How often.
        tries: u32,
        /// The console's end.
        tail: String,
    },
    /// A command did not come back to the prompt.
    #[error("`{line}` did not come back to the prompt within {seconds} s{tail}")]
    Stuck {
        /// What was typed.
        line: String,
        /// How long.
        seconds: u64,
        /// The console's end.
        tail: String,
    },
    /// The board started anew in the middle of a command.
    #[error("the board started anew during `{line}`{tail}")]
    Restarted {
        /// What was typed.
        line: String,
        /// The console's end.
        tail: String,
    },
    /// The console went away.
    #[error("the console went away{tail}")]
    Lost {
        /// The console's end.
        tail: String,
    },
    /// The bootloader has no such command.
    #[error("the bootloader has no command `{command}`")]
    NoCommand {
        /// Its name.
        command: String,
    },
    /// Somebody pressed Ctrl-C, or asked the process to end.
    #[error("interrupted")]
    Interrupted,
}

impl Explained for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Unknown { .. } => "L040",
            Error::Silent { .. } => "L041",
            Error::Garbage { .. } => "L042",
            Error::NoPrompt { .. } => "L043",
            Error::WrongBoard { .. } => "L044",
            Error::Garbled { .. } => "L045",
            Error::Stuck { .. } => "L046",
            Error::Restarted { .. } => "L047",
            Error::Lost { .. } => "L048",
            Error::NoCommand { .. } => "L049",
            Error::Interrupted => "L002",
        }
    }

    fn next_step(&self) -> Option<String> {
        Some(
            match self {
                Error::Unknown { .. } => "add `prompt` and `interrupt` to the bootloader table of its board file",
                Error::Silent { .. } => {
                    "see that it has power, that the adapter's receive pin is at the board's transmit pin and ground at \
                     ground, and that nothing else has the port open"
                }
                Error::Garbage { .. } => "try another --speed (57600, 38400, 9600), and check the levels: 3.3 V, not RS-232",
                Error::NoPrompt { .. } => {
                    "compare the lines above with `interrupt` and `prompt` of the board file; without a power switch, \
                     restart the board when asked"
                }
                Error::WrongBoard { .. } => "nothing was written; name the right board with --board, or connect the right one",
                Error::Garbled { .. } => "shorten the wires, check ground, and see that nobody else types at this console",
                Error::Stuck { .. } => "see what the board says, and restart it",
                Error::Restarted { .. } => "check its supply; a watchdog may also have fired",
                Error::Lost { .. } => "see that the adapter is plugged in and the console server runs",
                Error::NoCommand { .. } => "this bootloader cannot do it: see `help` at its prompt for what it has",
                Error::Interrupted => return None,
            }
            .into(),
        )
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Unknown { .. } => USAGE,
            Error::WrongBoard { .. } | Error::Lost { .. } => NO_PLACE,
            Error::NoCommand { .. } => FAILED,
            Error::Interrupted => INTERRUPTED,
            Error::Silent { .. }
            | Error::Garbage { .. }
            | Error::NoPrompt { .. }
            | Error::Garbled { .. }
            | Error::Stuck { .. }
            | Error::Restarted { .. } => NO_ANSWER,
        }
    }
}
