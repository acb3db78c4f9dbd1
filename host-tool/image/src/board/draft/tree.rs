//! What a device tree says of a board.

use super::super::maps::{self, Map, texts};
use super::super::types::{FlashKind, Role};
use super::facts::{By, Chip, Partition, Said};
use super::log;
use crate::format::device_tree::tree::{Node, Tree};
use crate::format::device_tree::{is_memory, number};

/// Labels of partitions by what they are for; the first that occurs in a label counts.
const ROLES: [(&[&str], Role); 7] = [
    (&["env", "nvram"], Role::Environment),
    (
        &["u-boot", "uboot", "bootloader", "boot loader", "bl2", "fip", "atf", "preloader", "redboot", "routerboot"],
        Role::Bootloader,
    ),
    (
        &["factory", "art", "caldata", "eeprom", "radio", "bdata", "bdinfo", "board", "info", "mac", "mrd"],
        Role::Calibration,
    ),
    (&["firmware", "linux", "fit"], Role::Firmware),
    (&["kernel"], Role::Kernel),
    (&["rootfs_data", "rootfs-data", "ubi", "overlay", "jffs2"], Role::Data),
    (&["rootfs"], Role::Rootfs),
];

/// Pieces of RAM, start and size in whole MiB, as the memory nodes have them, by address; what touches is one piece.
pub(super) fn memory(tree: &Tree) -> Vec<(usize, usize)> {
    let root = &tree.root;
    let [address, size] = root.cells().map(|count| count.min(2) * 4);
    let nodes = root.children.iter().filter(|node| is_memory(node) || node.name.split('@').next() == Some("memory"));
    let piece = |reg: &[u8]| {
        let start = usize::try_from(number(reg.get(..address)?)).ok()?;
        let size = usize::try_from(number(reg.get(address..address + size)?)).ok()?;
        Some((start, size))
    };
    let regs = nodes.filter_map(|node| node.get("reg"));
    let mut pieces: Vec<_> = regs.flat_map(|reg| reg.chunks((address + size).max(1))).filter_map(piece).collect();
    pieces.sort_unstable();
    let mut joined: Vec<(usize, usize)> = Vec::new();
    for (start, size) in pieces {
        match joined.last_mut() {
            Some(last) if last.0.checked_add(last.1) == Some(start) => last.1 = last.1.saturating_add(size),
            _ => joined.push((start, size)),
        }
    }
    joined.into_iter().map(|(start, size)| (start, size & !0xf_ffff)).filter(|(_, size)| *size != 0).collect()
}

/// The kind of the flash with the first map.
pub(super) fn flash_kind(tree: &Tree) -> Option<FlashKind> {
    maps::of(&tree.root).first().map(kind)
}

fn kind(map: &Map) -> FlashKind {
    let is_nand = map.chip.iter().any(|name| name.contains("nand") || name.contains("-nfc"));
    if is_nand || map.path.contains("nand") { FlashKind::Nand } else { FlashKind::Nor }
}

/// The flash with the first map of the tree.
pub(super) fn chip(tree: &Tree, said: &log::Said) -> Option<Chip> {
    let map = maps::of(&tree.root).into_iter().next()?;
    let kind = kind(&map);
    let fits =
        |part: &maps::Part| part.offset.checked_add(part.size).is_some_and(|end| end <= 1 << 32) && part.size > 0;
    let (good, bad): (Vec<_>, Vec<_>) = map.parts.iter().partition(|part| fits(part));
    let mut doubts: Vec<String> =
        bad.iter().map(|part| format!("{:?} is left out: it has no bytes, or ends above 4 GiB", part.label)).collect();
    let unnamed: Vec<_> =
        good.iter().filter(|part| role(part).is_none()).map(|part| format!("{:?}", part.label)).collect();
    if !unnamed.is_empty() {
        doubts.push(format!(
            "{}: the name does not say what for, taken for the vendor's and never written",
            unnamed.join(", ")
        ));
    }
    let mut parts: Vec<Partition> = good.into_iter().map(partition).collect();
    parts.sort_by_key(|part| part.offset);
    parts.dedup_by(|later, earlier| {
        let is_in = later.offset < earlier.offset + earlier.size;
        if is_in {
            doubts.push(format!("{:?} is left out: it overlaps {:?}", later.name, earlier.name));
        }
        is_in
    });
    let end = parts.iter().map(|part| part.offset + part.size).max()?;
    let usual = if kind == FlashKind::Nand { 0x2_0000 } else { 0x1_0000 };
    let guess = |why: &str| By::Guess(why.to_owned());
    let size = match said.flash.filter(|size| *size >= end) {
        Some(value) => Said { value, by: By::Log },
        None => Said { value: end.next_power_of_two(), by: guess("the next power of two above the end of the map") },
    };
    let erase = match said.erase {
        Some(value) => Said { value, by: By::Log },
        None => Said { value: usual, by: guess("usual for such a chip") },
    };
    Some(Chip { kind, size, erase, clock: map.clock.filter(|_| kind == FlashKind::Nor), parts, doubts })
}

/// What a partition is for, if its name says it.
fn role(part: &maps::Part) -> Option<Role> {
    let label = part.label.to_lowercase();
    ROLES.iter().find(|(words, _)| words.iter().any(|word| is_in(&label, word))).map(|(_, role)| *role)
}

fn partition(part: &maps::Part) -> Partition {
    let role = role(part).unwrap_or(Role::Vendor);
    Partition {
        name: part.label.clone(),
        offset: part.offset as usize,
        size: part.size as usize,
        role,
        protected: part.read_only && !role.is_protected(),
    }
}

/// A short word counts only as a whole one: `art` is no part of `partition-table`.
fn is_in(label: &str, word: &str) -> bool {
    match word.len() {
        ..=4 => label.split(|c: char| !c.is_ascii_alphabetic()).any(|part| part == word) || label == word,
        _ => label.contains(word),
    }
}

/// The GPIO number of the LED that shows a boot, and whether it is active low.
pub(super) fn led(tree: &Tree) -> Option<(u32, bool)> {
    let aliases = tree.root.child("aliases")?;
    let path = ["led-failsafe", "led-boot", "led-running"].iter().find_map(|name| texts(aliases, name).next())?;
    let node = path.split('/').filter(|part| !part.is_empty()).try_fold(&tree.root, |node, name| node.child(name))?;
    let cells: Vec<u32> = node.get("gpios")?.chunks_exact(4).map(|cell| number(cell) as u32).collect();
    let [controller, pin, flags] = cells[..] else { return None };
    let mut base = None;
    tree.root.each(&mut |node: &Node| {
        let is_it = node.cell("phandle") == Some(controller) && node.get("gpio-controller").is_some();
        // Controllers of Ralink's have a bank each, and say where it begins.
        if is_it {
            base = Some(node.cell("ralink,gpio-base").unwrap_or(0));
        }
    });
    Some((base? + pin, flags & 1 == 1))
}
