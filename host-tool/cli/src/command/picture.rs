//! Memory and flash as pictures: SVG for pages, boxes of characters for terminals.

use std::fmt::Write as _;

use stoop_core::Region;
use stoop_image::board::{Flash, Partition, Role};
use stoop_image::layout::Phases;
use stoop_image::svg::{LETTER, Picture};

use super::units::amount;

/// A part of memory, by physical addresses.
pub(super) struct MapRegion {
    /// What it is for.
    pub(super) name: &'static str,
    /// Where.
    pub(super) region: Region,
    /// While its bytes matter.
    pub(super) when: Phases,
}

/// An extent of flash that an image takes: what it is, and the offset of its first byte and of the one behind its last.
pub(super) type Extent = (String, usize, usize);

/// The left edge of what is drawn.
const LEFT: usize = 20;
/// Pixels from one line to the next.
const ROW: usize = 30;
/// Pixels that stand for a whole flash chip.
const BAR: usize = 760;
/// No partition is narrower than this, so that one can see it.
const LEAST: usize = 3;

/// The class of what has this name, for colours.
fn class(name: &str) -> &'static str {
    match name {
        "image" | "shim" => "stoop",
        "dtb" | "initrd" | "rootfs" => "data",
        "bootloader" => "kept",
        _ if name.contains("kernel") => "kernel",
        _ => "plain",
    }
}

/// A column for each phase of the boot, the highest address on top; a region stands in the columns in which its bytes matter. Begins
/// at `top`, and returns where there is room below. Not to scale.
pub(super) fn memory(picture: &mut Picture, top: usize, title: &str, regions: &[MapRegion]) -> usize {
    const ADDRESS: usize = 100;
    const COLUMN: usize = 165;
    picture.text("head", [LEFT, top + 15], title);
    let (left, head) = (LEFT + ADDRESS, top + 45);
    for (number, (_, phase)) in Phases::EACH.iter().enumerate() {
        picture.text("small", [left + number * COLUMN, head], phase);
    }
    let mut rows: Vec<&MapRegion> = regions.iter().collect();
    rows.sort_by_key(|named| std::cmp::Reverse((named.region.start(), named.region.end())));
    for (number, named) in rows.iter().enumerate() {
        let y = head + 10 + number * ROW;
        picture.text("small", [LEFT, y + 18], &format!("0x{:08x}", named.region.start()));
        for (column, _) in Phases::EACH.iter().enumerate().filter(|(_, (phase, _))| named.when.meets(*phase)) {
            let at = [left + column * COLUMN, y];
            picture.labelled(class(named.name), at, [COLUMN - 8, ROW - 4], named.name);
        }
        picture.text("small", [left + Phases::EACH.len() * COLUMN, y + 18], &amount(named.region.size()));
    }
    head + 10 + rows.len() * ROW
}

/// A bar of the chip by size, what an image takes of it above, and a line for each partition below. Begins at `top`.
pub(super) fn flash(picture: &mut Picture, top: usize, title: &str, flash: &Flash, taken: &[Extent]) {
    picture.text("head", [LEFT, top + 15], title);
    let scaled = |bytes: usize| (bytes as u128 * BAR as u128 / flash.size.max(1) as u128) as usize;
    let mut bar = |class: &str, y: usize, start: usize, end: usize| {
        let width = scaled(end.saturating_sub(start)).clamp(LEAST, BAR);
        picture.shape(class, [LEFT + scaled(start).min(BAR - width), y], [width, ROW - 4]);
    };
    let mut y = top + 30;
    if !taken.is_empty() {
        taken.iter().for_each(|(_, start, end)| bar("stoop", y, *start, *end));
        y += ROW;
    }
    bar("plain", y, 0, flash.size);
    for part in &flash.partitions {
        bar(role_class(part), y, part.offset, part.offset.saturating_add(part.size));
    }
    let mut line = |class: &str, text: &str| {
        y += ROW;
        picture.shape(class, [LEFT, y + 8], [12, 12]);
        picture.text("word", [LEFT + 12 + LETTER, y + 19], text);
    };
    for (what, start, end) in taken {
        line("stoop", &format!("0x{start:08x}..0x{end:08x}  {what}"));
    }
    for part in &flash.partitions {
        line(role_class(part), &partition(part));
    }
}

/// A partition in one line.
fn partition(part: &Partition) -> String {
    let slot = part.slot.map_or(String::new(), |slot| format!(", slot {slot}"));
    let never = if part.protected { ", never written" } else { "" };
    format!("0x{:08x}  {}: 0x{:x} bytes, {}{slot}{never}", part.offset, part.name, part.size, part.role)
}

fn role_class(part: &Partition) -> &'static str {
    match part.role {
        _ if part.protected => "kept",
        Role::Boot => "stoop",
        Role::Firmware | Role::Kernel => "kernel",
        Role::Rootfs | Role::Data => "data",
        _ => "plain",
    }
}

/// Boxes in the order of addresses, within 80 columns; their height grows slowly with their size. With colours for a terminal.
pub(super) fn boxes(regions: &[MapRegion], styled: bool) -> String {
    const WIDTH: usize = 22;
    let rule = "-".repeat(WIDTH);
    let mut text = String::new();
    let mut end = None;
    for MapRegion { name, region, .. } in regions {
        let (on, off) = if styled { (colour(name), "\u{1b}[0m") } else { ("", "") };
        // Writing to a string cannot fail.
        if let Some(end) = end.filter(|end| *end != region.start()) {
            let _ = writeln!(text, "0x{end:08x} +{rule}+\n           :{:WIDTH$}:", "");
        }
        let _ = writeln!(text, "0x{:08x} +{rule}+", region.start());
        let _ = writeln!(text, "           |{on} {name:<width$}{off}|  {}", amount(region.size()), width = WIDTH - 1);
        for _ in 0..(region.size() / 0x10_0000).checked_ilog2().map_or(0, |log| log / 2 + 1) {
            let _ = writeln!(text, "           |{on}{:WIDTH$}{off}|", "");
        }
        end = Some(region.end());
    }
    end.map_or(text.clone(), |end| format!("{text}0x{end:08x} +{rule}+\n"))
}

/// Black on the colour of the picture's class.
fn colour(name: &str) -> &'static str {
    match class(name) {
        "stoop" => "\u{1b}[30;43m",
        "kernel" => "\u{1b}[30;46m",
        "data" => "\u{1b}[30;42m",
        "kept" => "\u{1b}[30;41m",
        _ => "\u{1b}[30;47m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> [MapRegion; 3] {
        let named =
            |name, start, size, when| MapRegion { name, region: Region::new(start, size).expect("it fits"), when };
        [
            named("image", 0x1000, 0x1000, Phases::LOADED),
            named("dtb", 0x2000, 0x10, Phases::KEPT),
            named("kernel", 0x3000, 0x20_0000, Phases::KEPT),
        ]
    }

    #[test]
    fn the_boxes_show_gaps_and_neighbours() {
        let edge = "+----------------------+";
        let expected = [
            format!("0x00001000 {edge}"),
            "           | image                |  0x1000 bytes (4.0 KiB)".into(),
            format!("0x00002000 {edge}"),
            "           | dtb                  |  0x10 bytes (0.0 KiB)".into(),
            format!("0x00002010 {edge}"),
            "           :                      :".into(),
            format!("0x00003000 {edge}"),
            "           | kernel               |  0x200000 bytes (2.0 MiB)".into(),
            "           |                      |".into(),
            format!("0x00203000 {edge}"),
        ];
        assert_eq!(boxes(&three(), false).lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn colours_change_no_column_and_end_where_the_box_does() {
        let styled = boxes(&three(), true);
        let plain = styled
            .split('\u{1b}')
            .map(|part| part.strip_prefix('[').map_or(part, |rest| rest.split_once('m').unwrap().1));
        assert_eq!(plain.collect::<String>(), boxes(&three(), false));
        let row = styled.lines().find(|line| line.contains("kernel")).unwrap();
        assert!(row.contains("|\u{1b}[30;46m kernel               \u{1b}[0m|  0x"), "{row:?}");
    }

    #[test]
    fn a_region_stands_in_the_columns_of_its_phases() {
        let mut picture = Picture::default();
        let below = memory(&mut picture, 0, "t", &three());
        assert_eq!(below, 55 + 3 * ROW);
        let svg = picture.finish("t");
        let count = |class: &str| svg.matches(&format!("<rect class=\"{class}\"")).count();
        assert_eq!((count("stoop"), count("data"), count("kernel")), (2, 3, 3), "{svg}");
    }
}
