//! What is asked for, and what is told of its course.

use std::net::SocketAddr;
use std::time::Duration;

use stoop_image::board::Board;

use crate::bootloader::{Identity, Patience};
use crate::place::Place;

/// What is to be booted where.
pub struct Netboot<'a> {
    /// The board that should be there.
    pub board: &'a Board,
    /// The image, for RAM.
    pub image: &'a [u8],
    /// The name by which the board fetches it: letters, digits, `.`, `-`, `_`.
    pub name: String,
    /// Where it is.
    pub place: &'a Place,
    /// How long the steps may take.
    pub patience: Patience,
    /// How long a transfer may stand still.
    pub stall: Duration,
}

/// How far it is. Texts of the board's come as they are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// The TFTP server listens. Who has a power switch of his own may use it now.
    Listening(SocketAddr),
    /// The power was switched off and on.
    PowerCycled,
    /// Nothing can be switched: the board is to be restarted by hand, unless it is at its prompt.
    RestartIt,
    /// The bootloader is at its prompt.
    Prompt,
    /// What it says about itself, and what it does not say and is therefore not proven.
    Board(Identity, Vec<&'static str>),
    /// A line was typed.
    Typed(String),
    /// The board has so many bytes of the image.
    Acknowledged {
        /// Bytes that arrived.
        bytes: u64,
        /// Bytes of the image.
        size: u64,
    },
    /// The image is in the board's RAM.
    Fetched {
        /// Bytes of the image.
        size: u64,
        /// Since the board asked for it.
        time: Duration,
    },
    /// The last command was typed: what comes next is the image's.
    Started,
}

/// Whom steps are told to; from two threads.
pub type Tell = std::sync::Arc<dyn Fn(Step) + Send + Sync>;
