//! Whether the file fits the board's flash, and an image for flash its map.

use stoop_core::crc32::Crc32;

use super::facts::Facts;
use super::finding::{Finding, found, no, ok};
use crate::board::Board;
use crate::image::flash::{Area, Map};
use crate::image::{FlashNote, Opened};
use crate::preflight::Level;

pub(super) fn partition(facts: &Facts<'_>, board: &Board) -> Option<Finding> {
    if let Some(opened) = &facts.stoop
        && let Some(note) = opened.flash
    {
        return Some(flash_map(opened, note, board).unwrap_or_else(|says| no("flash", says, "pack it for this board")));
    }
    let flash = board.flash.as_ref()?;
    let partition = flash.image(None)?;
    let (size, room) = (facts.file.len(), Area::mapped(flash, partition).size());
    let part = match room < partition.size {
        true => format!("which the CPU reads of the partition {}", partition.name),
        false => format!("of the partition {}", partition.name),
    };
    Some(match size > room {
        true => found(
            Level::Warn,
            "flash",
            format!("0x{size:x} bytes do not fit the 0x{room:x} bytes {part}"),
            "start it over the network, or pack it smaller",
        ),
        false => {
            let vendor = board.bootloader.vendor_container.as_ref();
            let vendor = vendor.map_or(String::new(), |vendor| {
                format!("; the vendor's own images there are {vendor}, and whether this starts from flash is not known")
            });
            ok("flash", format!("0x{size:x} of the 0x{room:x} bytes {part}{vendor}"))
        }
    })
}

/// Whether every extent of an image for flash has its place in the board's map, and no other.
fn flash_map(opened: &Opened<'_>, note: FlashNote, board: &Board) -> std::result::Result<Finding, String> {
    let map = Map::of(board).map_err(|failure| failure.to_string())?;
    let slot = map.slot(Some(char::from(note.slot))).map_err(|failure| failure.to_string())?;
    let rootfs = slot.rootfs.as_ref();
    let rootfs = (!note.rootfs.is_empty()).then_some(("rootfs", note.rootfs.start(), note.rootfs.size(), rootfs));
    let boot = ("boot", map.boot.address(), opened.note.manifest, Some(&map.boot));
    for (what, at, size, area) in [boot, ("slot", note.at, note.size, Some(&slot.area))].into_iter().chain(rootfs) {
        let area = area.ok_or_else(|| format!("the map has no partition for the {what} of slot {}", slot.name))?;
        if at != area.address() {
            return Err(format!("its {what} belongs to 0x{at:08x}, the map has it at 0x{:08x}", area.address()));
        }
        if size > area.size() {
            let (name, room) = (area.partition(), area.size());
            return Err(format!("its {what} has 0x{size:x} bytes, the flash partition {name} 0x{room:x}"));
        }
    }
    let params = opened.params(&Crc32::new()).map_err(|error| error.to_string())?;
    if params.slots().ne(map.listed()) {
        return Err("its shim looks for other slots than the map has".into());
    }
    Ok(ok("flash", format!("slot {}, 0x{:x} of 0x{:x} bytes", slot.name, note.size, slot.area.size())))
}
