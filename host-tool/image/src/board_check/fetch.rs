//! Where a board fetches a file to: the one answer for what pack says, check judges, and netboot and flash type.

use stoop_core::Region;

use super::facts::{self, Facts};
use super::finding::span;
use crate::Result;
use crate::board::Board;
use crate::bootloader::image::{Image, download};
use crate::format::arm64::ALIGNMENT;

/// Addresses that somebody has to type are round: multiples of this.
const ROUND: usize = 0x10_0000;

/// Where an image is fetched to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetch {
    /// Physical.
    pub at: usize,
    /// Why not to the board's usual address, as the end of a sentence about that address; `None` when it is the usual one.
    pub moved: Option<String>,
}

/// Where `board` fetches the image to: where pack found room for it, if it was packed for this board; else to the board's usual
/// address, or behind what starting it overwrites.
///
/// # Errors
/// The file is no image, the board's data name no address, or there is no room.
pub fn fetched(board: &Board, file: &[u8]) -> Result<Fetch> {
    of(&facts::of(file)?, board)
}

/// Where `board` fetches `size` bytes to that are copied to flash from there: to its usual address, or to the lowest round one with
/// room. Physical; `None` when RAM has no room for them.
pub fn room(board: &Board, size: usize) -> Option<usize> {
    let free = board.free_ram();
    let usual = board.bootloader.tftp_address.map_or(free.start() + 0x100_0000, |at| board.physical(at));
    let lowest = (free.start() + ROUND).next_multiple_of(ROUND);
    let fits = |at: &usize| Region::new(*at, size).is_some_and(|file| free.contains(&file));
    [usual, lowest].into_iter().find(fits)
}

pub(super) fn of(facts: &Facts<'_>, board: &Board) -> Result<Fetch> {
    let usual = board.bootloader.tftp_address.map(|at| board.physical(at));
    let at = match (packed(facts, board), usual) {
        (Some(at), _) => at,
        (None, Some(usual)) => elsewhere(facts, board, usual)?,
        (None, None) => return Err(crate::bootloader::Error::NoAddress { board: board.name.clone() }.into()),
    };
    let moved = usual.filter(|usual| at != wanted(facts, *usual)).map(|usual| reason(facts, board, usual));
    Ok(Fetch { at, moved })
}

/// Where pack found room for it, as long as that still holds.
fn packed(facts: &Facts<'_>, board: &Board) -> Option<usize> {
    let opened = facts.stoop.as_ref()?;
    if matches!(facts.image, Image::Raw) {
        // It runs where it was laid out for and nowhere else.
        return Some(opened.load);
    }
    let at = opened.download().filter(|_| opened.board() == Some(&board.name))?;
    fits(facts, board, at).then_some(at)
}

fn elsewhere(facts: &Facts<'_>, board: &Board, usual: usize) -> Result<usize> {
    let load = is_moved(facts).then(|| facts.load.start() as u64..facts.load.end() as u64);
    let limit = board.free_ram().end() as u64;
    download(&facts.image, facts.file.len(), usual as u64, load, limit).map(|at| at as usize)
}

/// The usual address, as what starts the image wants it: booti does not move an Image that lies right.
fn wanted(facts: &Facts<'_>, usual: usize) -> usize {
    match facts.image {
        Image::Arm64 { text_offset } => {
            let offset = text_offset as usize;
            usual.saturating_sub(offset).next_multiple_of(ALIGNMENT as usize) + offset
        }
        _ => usual,
    }
}

/// What starts the image writes it to another place first.
fn is_moved(facts: &Facts<'_>) -> bool {
    !facts.load.is_empty() && !matches!(facts.image, Image::Arm64 { .. } | Image::Raw)
}

/// It has room there, and is not overwritten while it is read.
fn fits(facts: &Facts<'_>, board: &Board, at: usize) -> bool {
    let file = Region::new(at, facts.file.len()).filter(|file| board.free_ram().contains(file));
    file.is_some_and(|file| !is_moved(facts) || !facts.load.overlaps(&file))
}

fn reason(facts: &Facts<'_>, board: &Board, usual: usize) -> String {
    let free = board.free_ram();
    match Region::new(usual, facts.file.len()).filter(|file| free.contains(file)) {
        None => format!("there it does not fit RAM below 0x{:08x}", board.typed(free.end())),
        Some(file) if is_moved(facts) && facts.load.overlaps(&file) => {
            format!("there it is overwritten while it is loaded to {}", span(facts.load))
        }
        Some(_) if matches!(facts.image, Image::Raw) => "it runs where it was laid out for".into(),
        Some(_) => "there it lies on memory that pack needs for something else".into(),
    }
}
