//! The lines of verbs that go on for a while: one object each, told apart by `event`.

use schemars::JsonSchema;
use serde::Serialize;
use stoop_lab::flash;
use stoop_lab::netboot::Step;

use super::Built;

/// A step of `stoop netboot`, `stoop flash` or `stoop kernel build`, or a line of a console. A failure is the last line, as of every verb.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The TFTP server waits.
    Listening {
        /// Its address and port.
        address: String,
    },
    /// The power was switched off and on.
    PowerCycled,
    /// Nobody but the user can restart the board.
    RestartIt,
    /// The bootloader is at its prompt.
    Prompt,
    /// What the bootloader says of the board.
    Board {
        /// Its version.
        version: Option<String>,
        /// Bytes of RAM.
        ram: Option<u64>,
        /// Bytes of flash.
        flash: Option<u64>,
        /// What it does not say, so that it was not compared with the board file.
        unproven: Vec<String>,
    },
    /// A command was sent.
    Typed {
        /// The command.
        line: String,
    },
    /// The board has acknowledged bytes of the image.
    Transfer {
        /// So many.
        bytes: u64,
        /// Of so many.
        size: u64,
    },
    /// The board has the whole image.
    Fetched {
        /// Its bytes.
        size: u64,
        /// How long that took.
        milliseconds: u64,
    },
    /// The image was started.
    Booted,
    /// An extent of flash holds its bytes already.
    Kept {
        /// `boot`, `slot`, `rootfs` or `image`.
        what: String,
    },
    /// An extent of flash is to be written.
    Writing {
        /// As for `kept`.
        what: String,
        /// Bytes in blocks that differ.
        bytes: usize,
        /// Bytes of the extent.
        size: usize,
    },
    /// An extent of flash was read back and is right.
    Verified {
        /// As for `kept`.
        what: String,
    },
    /// The slots that come before this one do not boot any more.
    Switched,
    /// A line of the console: all of `stoop run` and `stoop monitor`.
    Console {
        /// Without its end; bytes that are no UTF-8 are replaced by U+FFFD.
        line: String,
    },
    /// Bytes of flash were read.
    Read {
        /// So many.
        bytes: usize,
        /// Of so many.
        size: usize,
    },
    /// `stoop kernel build` begins a step.
    Step {
        /// In a few words.
        name: String,
    },
    /// `stoop kernel build` is done.
    Built(Built),
}

impl From<&Step> for Event {
    fn from(step: &Step) -> Self {
        match step {
            Step::Listening(address) => Event::Listening { address: address.to_string() },
            Step::PowerCycled => Event::PowerCycled,
            Step::RestartIt => Event::RestartIt,
            Step::Prompt => Event::Prompt,
            Step::Board(identity, unproven) => Event::Board {
                version: identity.version.clone(),
                ram: identity.ram,
                flash: identity.flash,
                unproven: unproven.iter().map(ToString::to_string).collect(),
            },
            Step::Typed(line) => Event::Typed { line: line.clone() },
            Step::Acknowledged { bytes, size } => Event::Transfer { bytes: *bytes, size: *size },
            Step::Fetched { size, time } => Event::Fetched { size: *size, milliseconds: time.as_millis() as u64 },
            Step::Started => Event::Booted,
        }
    }
}

impl From<&flash::Step> for Event {
    fn from(step: &flash::Step) -> Self {
        match step {
            flash::Step::Boot(step) => step.into(),
            flash::Step::Kept { what } => Event::Kept { what: (*what).to_owned() },
            flash::Step::Writing { what, bytes, size } => {
                Event::Writing { what: (*what).to_owned(), bytes: *bytes, size: *size }
            }
            flash::Step::Typed(line) => Event::Typed { line: line.clone() },
            flash::Step::Verified { what } => Event::Verified { what: (*what).to_owned() },
            flash::Step::Switched => Event::Switched,
            flash::Step::Read { bytes, size } => Event::Read { bytes: *bytes, size: *size },
        }
    }
}
