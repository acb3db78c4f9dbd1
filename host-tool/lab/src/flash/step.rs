//! How a board's flash is reached, and what is told of the work on it.

use std::time::Duration;

use stoop_core::crc32::Crc32;
use stoop_image::board::Board;
use stoop_image::image::flash::Area;

use crate::bootloader::Patience;
use crate::netboot::Step as Boot;
use crate::place::Place;

/// How far it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// On the way to the prompt and the image in RAM.
    Boot(Boot),
    /// An extent holds its bytes already.
    Kept {
        /// `boot`, `slot`, `rootfs` or `image`.
        what: &'static str,
    },
    /// So many bytes of an extent are to be written.
    Writing {
        /// As for [`Step::Kept`].
        what: &'static str,
        /// Bytes in blocks that differ.
        bytes: usize,
        /// Bytes of the extent.
        size: usize,
    },
    /// A command was typed.
    Typed(String),
    /// An extent was read back and is right.
    Verified {
        /// As for [`Step::Kept`].
        what: &'static str,
    },
    /// The fronts of the slots that come before were erased: this one boots.
    Switched,
    /// So many bytes were read.
    Read {
        /// Bytes that were read.
        bytes: usize,
        /// All that are to be read.
        size: usize,
    },
}

/// Whom steps are told to; from two threads.
pub type Tell = std::sync::Arc<dyn Fn(Step) + Send + Sync>;

/// How the board is reached.
pub struct Reach<'a> {
    /// The board that should be there.
    pub board: &'a Board,
    /// Where it is.
    pub place: &'a Place,
    /// How long steps may take.
    pub patience: Patience,
    /// How long a transfer may stand still.
    pub stall: Duration,
    /// Write although the bootloader does not say how large its flash is.
    pub trust: bool,
}

/// Where an area is read, as typed.
pub fn area(board: &Board, area: &Area) -> (usize, usize) {
    (stoop_image::bootloader::flash::typed(board, area), area.size())
}

/// The CRC-32 that U-Boot prints.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    Crc32::new().of(bytes)
}
