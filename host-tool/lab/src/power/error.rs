//! Why the power could not be switched.

use std::io;

use super::word::word;
use crate::text::shown;
use stoop_image::explained::{Explained, FAILED, NO_PLACE, USAGE};

/// Why the power could not be switched.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// What was typed behind `--power` names no switch.
    #[error("{:?} is no power switch: {reason}", supply)]
    Supply {
        /// What was typed.
        supply: String,
        /// Why not.
        reason: &'static str,
    },
    /// The command for it failed.
    #[error("`{}` failed ({status}){}", shown(command), said(output))]
    Command {
        /// As the shell got it.
        command: String,
        /// Its exit status in words.
        status: String,
        /// What it printed on stderr, or else on stdout.
        output: String,
    },
    /// The command for it does not end.
    #[error("`{}` did not end within {seconds} seconds and was ended{}", shown(command), said(output))]
    Hangs {
        /// As the shell got it.
        command: String,
        /// How long it was waited for.
        seconds: u64,
        /// What it had printed on stderr, or else on stdout.
        output: String,
    },
    /// The switch could not be reached.
    #[error("the power switch at {} cannot be reached: {source}", shown(server))]
    Unreachable {
        /// Host and port.
        server: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The switch refuses.
    #[error("the power switch at {} refuses: {}", shown(server), shown(answer))]
    Refused {
        /// Host and port.
        server: String,
        /// Its status line and the beginning of its answer.
        answer: String,
    },
    /// The switch says that it is not as it was told to be.
    #[error("{} was told to switch {} and says that it is {}", shown(what), word(*wanted), word(!wanted))]
    Disobeyed {
        /// The switch.
        what: String,
        /// What it was told.
        wanted: bool,
    },
    /// The GPIO line cannot be had.
    #[error("GPIO line {line} of {}: {}", shown(chip), shown(reason))]
    Gpio {
        /// The chip's device.
        chip: String,
        /// The line's number on it.
        line: u32,
        /// What the operating system says.
        reason: String,
    },
}

fn said(output: &str) -> String {
    match output.trim() {
        "" => String::new(),
        output => format!(": {}", shown(output)),
    }
}

impl Explained for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Supply { .. } => "L030",
            Error::Command { .. } => "L031",
            Error::Unreachable { .. } => "L032",
            Error::Refused { .. } => "L033",
            Error::Disobeyed { .. } => "L034",
            Error::Gpio { .. } => "L035",
            Error::Hangs { .. } => "L036",
        }
    }

    fn next_step(&self) -> Option<String> {
        Some(
            match self {
                Error::Supply { .. } => {
                    "give cmd:COMMAND, http:tasmota:HOST, http:shelly:HOST, http:rest:HOST:PORT/PATH, \
                     pdudaemon:HOST/PDU/OUTLET or gpio:CHIP:LINE"
                }
                Error::Command { .. } | Error::Hangs { .. } => "see what the command needs by running it by hand",
                Error::Unreachable { .. } => {
                    "see that the switch has power and this address, and that nothing is between"
                }
                Error::Refused { .. } => "compare the address, outlet and password with the switch's own page",
                Error::Disobeyed { .. } => "look at the switch itself: it may be locked, worn, or another program's",
                Error::Gpio { .. } => "see `gpioinfo` for the lines that are free, and who may open the chip",
            }
            .into(),
        )
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Supply { .. } => USAGE,
            Error::Command { .. } | Error::Gpio { .. } => FAILED,
            // The place cannot be worked at, whatever the image is.
            Error::Unreachable { .. } | Error::Refused { .. } | Error::Disobeyed { .. } | Error::Hangs { .. } => {
                NO_PLACE
            }
        }
    }
}
