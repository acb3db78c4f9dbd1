//! What of a finished image goes where in flash.

use super::error::Error;
use super::flash::{Flashing, Map, Write};
use super::open::open;
use crate::Result;
use crate::board::Board;
use crate::plan::Format;

/// Of an image that was packed for flash ([`Format::Nor`]); `None` of one that is not.
///
/// # Errors
/// The image is damaged, or it was laid out for another flash map than the board's.
pub fn of_image(board: &Board, file: &[u8]) -> Result<Option<Flashing>> {
    let opened = open(file)?;
    let (Format::Nor, Some(note)) = (opened.format, opened.flash) else { return Ok(None) };
    let wrong: Vec<_> =
        opened.checks().into_iter().filter_map(|check| Some(format!("{}: {}", check.of, check.wrong?))).collect();
    if !wrong.is_empty() {
        return Err(Error::Checksums { wrong }.into());
    }
    let map = Map::of(board)?;
    let elsewhere = |part| Error::OtherMap { part, board: board.name.clone() };
    let slot = map.slot(Some(char::from(note.slot)))?;
    let boot = map.boot.front(opened.note.manifest)?;
    let area = slot.area.front(note.size)?;
    if (area.address(), area.size(), boot.size()) != (note.at, note.size, opened.note.manifest) {
        return Err(elsewhere("slot").into());
    }
    let mut update = Vec::new();
    if !note.rootfs.is_empty() {
        let rootfs = slot.rootfs.as_ref().ok_or_else(|| elsewhere("root filesystem"))?.front(note.rootfs.size())?;
        if (rootfs.address(), rootfs.size()) != (note.rootfs.start(), note.rootfs.size()) {
            return Err(elsewhere("root filesystem").into());
        }
        update.push(Write { what: "rootfs", area: rootfs, from: boot.size() + area.size() });
    }
    update.push(Write { what: "slot", from: boot.size(), area });
    let before = map.slots.iter().take_while(|other| other.name < slot.name);
    Ok(Some(Flashing {
        container: map.container,
        slot: slot.name,
        before: before.map(|other| other.area.front(1)).collect::<Result<_>>()?,
        boot: Write { what: "boot", area: boot, from: 0 },
        update,
    }))
}
