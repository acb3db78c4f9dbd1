//! What of an image lies where: its own regions, what others on the board use, and the flash that it takes.

use stoop_core::Region;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{Kind, Manifest, Payload};
use stoop_image::board::{self, Board};
use stoop_image::image::Opened;
use stoop_image::layout::{Phases, RegionKind};
use stoop_image::plan::Format;
use stoop_image::svg::Picture;

use crate::command::picture::{self, Extent, MapRegion};

/// Payloads that are there.
pub(super) fn payloads(manifest: &Manifest) -> impl Iterator<Item = (&'static str, Payload)> {
    let all = Kind::ALL.map(|kind| (kind.subject().text(), manifest.payload(kind)));
    all.into_iter().filter(|(_, payload)| !payload.source.is_empty())
}

/// Its own, by address.
pub(super) fn own(opened: &Opened<'_>, manifest: Option<&Manifest>) -> Vec<MapRegion> {
    let run = opened.note.run;
    // An image whose shim runs where it was loaded, as on arm64, brings it along.
    let shim = if run.start() == opened.load { Phases::LOADED } else { Phases::SHIM };
    let mut all = vec![named("shim", run, shim)];
    let mut head = opened.image.len();
    if let Some(manifest) = manifest {
        all.push(named("dtb", manifest.tree(), Phases::KEPT));
        all.push(named("copies of flash", manifest.copies(), Phases::SHIM));
        for (name, payload) in payloads(manifest) {
            let stays = is_used_where_it_lies(&payload);
            let when = match stays {
                true => Phases::ALL,
                // The final tree has what it adds.
                _ if name == Kind::Overlay.subject().text() => Phases::SHIM,
                false => Phases::KEPT,
            };
            all.push(named(name, payload.place, when));
            // What is used where it lies is no part of the image's own region.
            if stays && payload.source.start() > opened.load {
                head = head.min(payload.source.start() - opened.load);
            }
        }
    }
    all.extend(opened.kept_free().into_iter().map(|(what, region)| {
        let when = match what {
            RegionKind::Decompressed | RegionKind::Relocation => Phases::KERNEL,
            RegionKind::Ramoops => Phases::ALL,
            RegionKind::Download => Phases::DOWNLOAD,
            _ => Phases::KEPT,
        };
        named(what.name(), region, when)
    }));
    all.extend(Region::new(opened.load, head).map(|region| named("image", region, Phases::LOADED)));
    all.retain(|named| !named.region.is_empty());
    all.sort_by_key(|named| named.region.start());
    all
}

/// What of the board's RAM others than the image use, as pack's map has it.
pub(super) fn of_the_board(opened: &Opened<'_>, file: usize) -> Vec<MapRegion> {
    let Ok(board) = board::of_image(opened.board()) else { return Vec::new() };
    let bootloader = Region::between(board.free_ram().end(), board.ram.end());
    // What is copied from where it is fetched to has noted the place.
    let download = Region::new(opened.load, file).filter(|_| matches!(opened.format, Format::Raw | Format::Image));
    let all = [
        (RegionKind::Bootloader, bootloader, Phases::LOADED),
        (RegionKind::Staging, board.bootloader.staging, Phases::DOWNLOAD),
        (RegionKind::Download, download, Phases::DOWNLOAD),
    ];
    let all = all.into_iter().filter_map(|(what, region, when)| Some(named(what.name(), region?, when)));
    all.filter(|named| !named.region.is_empty()).collect()
}

/// Memory in each phase of a boot and, of an image for flash, the chip with what the image takes.
pub(super) fn svg(opened: &Opened<'_>, file: usize) -> String {
    let manifest = opened.manifest(&Crc32::new()).ok();
    let mut regions = own(opened, manifest.as_ref());
    regions.extend(of_the_board(opened, file));
    let whose = opened.board().unwrap_or("a board of its own");
    let title = format!("Memory of {whose} while an image of {file} bytes boots; not to scale");
    let mut picture = Picture::default();
    let below = picture::memory(&mut picture, 10, &title, &regions);
    if let Ok(board) = board::of_image(opened.board())
        && let (Some(flash), taken @ [_, ..]) = (&board.flash, &taken(opened, &board)[..])
    {
        picture::flash(
            &mut picture,
            below + 20,
            &format!("Flash of {whose}, and what this image takes of it"),
            flash,
            taken,
        );
    }
    picture.finish(&title)
}

/// By offsets in flash; nothing of an image that is not for flash.
fn taken(opened: &Opened<'_>, board: &Board) -> Vec<Extent> {
    let Some(note) = opened.flash else { return Vec::new() };
    let window = board.flash_window().start();
    let slot = char::from(note.slot);
    let mut taken = vec![
        ("the shim".to_owned(), opened.load, opened.load.saturating_add(opened.shim)),
        (format!("slot {slot}"), note.at, note.at.saturating_add(note.size)),
    ];
    if !note.rootfs.is_empty() {
        taken.push((format!("slot {slot}, root filesystem"), note.rootfs.start(), note.rootfs.end()));
    }
    let offset = |at: usize| at.checked_sub(window);
    taken.into_iter().filter_map(|(what, start, end)| Some((what, offset(start)?, offset(end)?))).collect()
}

/// Not copied or decoded: the kernel gets the stored bytes.
fn is_used_where_it_lies(payload: &Payload) -> bool {
    payload.source.start() == payload.place.start()
}

fn named(name: &'static str, region: Region, when: Phases) -> MapRegion {
    MapRegion { name, region, when }
}
