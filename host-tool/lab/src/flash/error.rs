//! Why flash is not as it should be.

use crate::text::shown;
use stoop_image::explained::{Explained, FAILED, INTERRUPTED, NO_ANSWER, NO_PLACE, USAGE};

/// Why flash is not, or cannot be, as it should be. Addresses are as typed.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The image does not go there.
    #[error(transparent)]
    Image(stoop_image::Error),
    /// The bootloader does not read the flash as memory.
    #[error("the bootloader of {board} does not read its flash as memory")]
    NotMapped {
        /// The board.
        board: String,
    },
    /// There is no such partition.
    #[error("the flash map has no partition {}", shown(name))]
    NoPartition {
        /// Its name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// The file does not fit the board's free RAM.
    #[error("the board has no free RAM for 0x{size:x} bytes where it fetches files to")]
    NoRam {
        /// Bytes.
        size: usize,
    },
    /// It is not sure that this is the right board.
    #[error("the bootloader does not say how large its flash is, so that nothing shows that this is the board {board}")]
    NotProven {
        /// The board.
        board: String,
    },
    /// Erasing failed.
    #[error("`{line}` did not erase: {}", shown(said))]
    Erase {
        /// What was typed.
        line: String,
        /// The bootloader's words.
        said: String,
    },
    /// Writing failed.
    #[error("`{line}` did not write: {}{}", shown(said), first(*at))]
    Write {
        /// What was typed.
        line: String,
        /// The bootloader's words.
        said: String,
        /// The first address that is not as it should be, when it could be found.
        at: Option<usize>,
    },
    /// A byte is wrong.
    #[error("flash differs first at 0x{at:08x}: 0x{found:02x}, not 0x{wanted:02x}")]
    Differs {
        /// Where.
        at: usize,
        /// As in the file.
        wanted: u8,
        /// As in flash.
        found: u8,
    },
    /// Flash is as RAM, and both are not as the file.
    #[error("the CRC-32 of 0x{size:x} bytes of flash at 0x{at:08x} is not the file's, although they are as in RAM")]
    Sum {
        /// Where.
        at: usize,
        /// How many.
        size: usize,
    },
    /// It could not be compared.
    #[error("`{line}` did not compare: {}", shown(said))]
    Compare {
        /// What was typed.
        line: String,
        /// The bootloader's words.
        said: String,
    },
    /// What came through the console is not what the bootloader's sum is of.
    #[error("0x{size:x} bytes of flash at 0x{at:08x} do not come through the console whole")]
    ReadBack {
        /// Where.
        at: usize,
        /// How many.
        size: usize,
    },
    /// Somebody ended stoop in the middle. Distances from the start of flash.
    #[error("interrupted while the {what} was written: [0x{start:x}, 0x{end:x}) of {} is not whole", shown(partition))]
    HalfWritten {
        /// `boot`, `slot`, `rootfs` or `image`.
        what: &'static str,
        /// Where.
        partition: String,
        /// From here.
        start: usize,
        /// To before here.
        end: usize,
    },
    /// A Linux that runs on the board does not, or must not, write it.
    #[error(transparent)]
    Linux(#[from] super::ssh::Error),
}

fn first(at: Option<usize>) -> String {
    at.map_or(String::new(), |at| format!("; it differs first at 0x{at:08x}"))
}

impl Explained for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Image(failure) => failure.code(),
            Error::NotMapped { .. } => "L081",
            Error::NoPartition { .. } => "L082",
            Error::NoRam { .. } => "L083",
            Error::NotProven { .. } => "L084",
            Error::Erase { .. } => "L085",
            Error::Write { .. } => "L086",
            Error::Differs { .. } => "L087",
            Error::Sum { .. } => "L088",
            Error::Compare { .. } => "L089",
            Error::ReadBack { .. } => "L090",
            Error::HalfWritten { .. } => "L099",
            Error::Linux(error) => error.code(),
        }
    }

    fn next_step(&self) -> Option<String> {
        Some(match self {
            Error::Image(failure) => return failure.next_step(),
            Error::NotMapped { .. } => {
                "write it from a Linux that runs on the board: --ssh HOST (NOR flash), or that system's own updater, for example \
                 `sysupgrade`; or by the bootloader's own commands by hand"
                    .into()
            }
            Error::NoPartition { known, .. } => format!("name one of: {known}"),
            Error::NoRam { .. } => "write it from a running Linux".into(),
            Error::NotProven { .. } => "compare the board with your own eyes, then give --trust-board".into(),
            Error::Erase { .. } => {
                "see whether these sectors are locked by the chip; the slot is not marked good".into()
            }
            Error::Write { .. } | Error::Differs { .. } => {
                "flash it again, which goes on where it stopped; if it stops there again, the chip or its driver is bad"
                    .into()
            }
            Error::Sum { .. } => "the board's RAM changed the file: check its supply, and try again".into(),
            Error::Compare { .. } => "see `help cmp` at the bootloader's prompt".into(),
            Error::HalfWritten { .. } => {
                "run the same command again, which goes on where this one stopped; until then it does not boot".into()
            }
            Error::Linux(error) => return error.next_step(),
            Error::ReadBack { .. } => {
                "shorten the wires, check ground, and see that nobody else reads this console".into()
            }
        })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Image(failure) => failure.exit_code(),
            Error::NotMapped { .. } | Error::NoPartition { .. } | Error::NoRam { .. } => USAGE,
            Error::NotProven { .. } => NO_PLACE,
            Error::Compare { .. } => FAILED,
            Error::HalfWritten { .. } => INTERRUPTED,
            Error::Erase { .. }
            | Error::Write { .. }
            | Error::Differs { .. }
            | Error::Sum { .. }
            | Error::ReadBack { .. } => NO_ANSWER,
            Error::Linux(error) => error.exit_code(),
        }
    }
}
