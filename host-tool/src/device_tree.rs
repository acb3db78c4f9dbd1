//! Questions that pack asks a device tree (Devicetree Specification v0.4, chapter 5): RAM, reserved memory, aliases,
//! bootargs. Core does every change.

use std::ops::Range;

use crate::{Failure, Result};

/// One property, by the path of its node and its name.
pub(crate) struct Property<'p, 'a> {
    pub(crate) path: &'p [&'a str],
    pub(crate) name: &'a str,
    pub(crate) value: &'a [u8],
}

/// What a tree says about memory and boot arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Bytes of the blob.
    pub size: usize,
    /// What the kernel takes from /chosen, without NUL; `None` when there is no such property.
    pub bootargs: Option<Vec<u8>>,
    /// The `reg` of every memory node at the root.
    pub memory: Vec<Range<u64>>,
    /// /memreserve/ entries and the fixed children of /reserved-memory, by name.
    pub reserved: Vec<(String, Range<u64>)>,
    /// Names under /aliases, with what they point to.
    pub aliases: Vec<(String, String)>,
    /// The root's #address-cells and #size-cells.
    pub cells: [usize; 2],
    /// Children of `fixed-partitions` nodes: path, and bytes from the start of their flash.
    pub partitions: Vec<(String, Range<u64>)>,
}

impl Default for Facts {
    /// Of a tree with nothing in it: Linux then takes one cell for each (drivers/of/fdt.c, early_init_dt_scan_root).
    fn default() -> Self {
        let (memory, reserved, aliases) = (Vec::new(), Vec::new(), Vec::new());
        Facts { size: 0, bootargs: None, memory, reserved, aliases, cells: [1, 1], partitions: Vec::new() }
    }
}

impl Facts {
    /// Reads a blob that core's reader has accepted.
    ///
    /// # Errors
    /// The structure makes no sense.
    pub fn of(blob: &[u8]) -> Result<Facts> {
        read(blob).ok_or_else(|| {
            Failure::new("the device tree's structure is damaged").next("compile it again with dtc -I dts -O dtb")
        })
    }
}

/// The tree with only `/chosen/bootargs`, for kernels that know their hardware themselves: an empty root node.
pub fn empty() -> Vec<u8> {
    let words: [u32; 18] = [0xd00d_feed, 72, 56, 72, 40, 17, 16, 0, 0, 16, 0, 0, 0, 0, 1, 0, 2, 9];
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Every property of a tree by its path, with its value as dtc would print it; `None` when the structure makes no sense.
pub fn listed(blob: &[u8]) -> Option<Vec<(String, String)>> {
    let header = |word: usize| super::input::be32(blob, word * 4).map(|value| value as usize);
    let mut listed = Vec::new();
    walk(blob, header(2)?, header(3)?, &mut |property| {
        let path = property.path.iter().chain([&property.name]).map(|part| format!("/{part}")).collect();
        listed.push((path, printed(property.value)));
        Some(())
    })?;
    Some(listed)
}

fn printed(value: &[u8]) -> String {
    let text = value.strip_suffix(b"\0").and_then(|text| std::str::from_utf8(text).ok());
    match text.filter(|text| !text.contains(char::is_control) && (!text.is_empty() || value.len() == 1)) {
        Some(text) => format!("{text:?}"),
        None => {
            let cells: Vec<String> = value.chunks(4).map(|cell| format!("0x{:x}", number(cell))).collect();
            format!("<{}>", cells.join(" "))
        }
    }
}

/// Nodes in each other: Linux takes no more (drivers/of/fdt.c: FDT_MAX_DEPTH).
const DEEPEST: usize = 64;

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

fn read(blob: &[u8]) -> Option<Facts> {
    let header = |word: usize| super::input::be32(blob, word * 4).map(|value| value as usize);
    let mut facts = Facts { size: header(1)?, ..Facts::default() };
    let mut at = header(4)?;
    loop {
        let (start, size) = (number(blob.get(at..at + 8)?), number(blob.get(at + 8..at + 16)?));
        if (start, size) == (0, 0) {
            break;
        }
        facts.reserved.push(("memreserve".into(), start..start.checked_add(size)?));
        at += 16;
    }
    let (mut address_cells, mut size_cells) = (1, 1);
    let mut memories: Vec<(String, Vec<u8>)> = Vec::new();
    let mut is_memory = Vec::new();
    let mut reserved: Vec<(String, Vec<u8>)> = Vec::new();
    let mut tables: Vec<Table> = Vec::new();
    walk(blob, header(2)?, header(3)?, &mut |property| {
        let path = || format!("/{}", property.path.join("/"));
        // A node's properties come before its children.
        if property.name == "compatible" && property.value == b"fixed-partitions\0" {
            tables.push(Table { path: path(), address: 1, size: 1 });
        } else if let Some(table) = tables.last_mut().filter(|table| table.path == path()) {
            match property.name {
                "#address-cells" => table.address = number(property.value) as usize,
                "#size-cells" => table.size = number(property.value) as usize,
                _ => {}
            }
        }
        if let (Some(table), "reg", [above @ .., _]) = (tables.last(), property.name, property.path)
            && table.path == format!("/{}", above.join("/"))
            && property.value.len() == 4 * (table.address + table.size)
        {
            let (start, size) = property.value.split_at(4 * table.address);
            facts.partitions.push((path(), number(start)..number(start).saturating_add(number(size))));
        }
        match (property.path, property.name) {
            ([], "#address-cells") => address_cells = number(property.value) as usize,
            ([], "#size-cells") => size_cells = number(property.value) as usize,
            (["chosen" | "chosen@0"], "bootargs") if !property.value.is_empty() => {
                let text = &property.value[..property.value.len() - 1];
                let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
                facts.bootargs.get_or_insert(text[..end].to_vec());
            }
            (["aliases"], name) => {
                let value = String::from_utf8_lossy(property.value).trim_end_matches('\0').to_owned();
                facts.aliases.push((name.into(), value));
            }
            ([node], "device_type") if property.value == b"memory\0" => is_memory.push((*node).to_owned()),
            ([node], "reg") => memories.push(((*node).into(), property.value.to_vec())),
            (["reserved-memory", node], "reg") => reserved.push(((*node).into(), property.value.to_vec())),
            _ => {}
        }
        Some(())
    })?;
    if !(1..=2).contains(&address_cells) || !(1..=2).contains(&size_cells) {
        return None;
    }
    facts.cells = [address_cells, size_cells];
    let ranges = |value: &[u8]| -> Vec<Range<u64>> {
        let (first, all) = (address_cells * 4, (address_cells + size_cells) * 4);
        let entries = value.chunks_exact(all).map(|entry| (number(&entry[..first]), number(&entry[first..])));
        entries.map(|(start, size)| start..start.saturating_add(size)).collect()
    };
    for (node, value) in &memories {
        if is_memory.contains(node) {
            facts.memory.extend(ranges(value));
        }
    }
    for (node, value) in &reserved {
        facts.reserved.extend(ranges(value).into_iter().map(|range| (node.clone(), range)));
    }
    Some(facts)
}

/// A node of partitions, and the cells of its children's `reg`.
struct Table {
    path: String,
    address: usize,
    size: usize,
}

/// The tree with one more property under /aliases, which is added when there is none; `None` when the tree makes no sense.
pub fn with_alias(blob: &[u8], name: &str, path: &str) -> Option<Vec<u8>> {
    let header = |word: usize| super::input::be32(blob, word * 4).map(|value| value as usize);
    let (structure, strings) = (header(2)?, header(3)?);
    let (mut at, mut depth, mut place) = (structure, 0usize, None);
    // Behind the name of /aliases; else in front of the root's first child, or of its end.
    let exists = loop {
        let word = |at: usize| super::input::be32(blob, at);
        match word(at)? {
            BEGIN_NODE => {
                let node = text(blob.get(at + 4..)?)?;
                let behind = (at + 4 + node.len() + 1).next_multiple_of(4);
                if depth == 1 && node == "aliases" {
                    place = Some(behind);
                    break true;
                }
                if depth == 1 {
                    place = place.or(Some(at));
                }
                (at, depth) = (behind, depth + 1);
            }
            END_NODE => {
                if depth == 1 {
                    place = place.or(Some(at));
                }
                (at, depth) = (at + 4, depth.checked_sub(1)?);
            }
            PROPERTY => at = (at + 12).checked_add(word(at + 4)? as usize)?.next_multiple_of(4),
            NOP => at += 4,
            END => break false,
            _ => return None,
        }
    };
    let place = place?;
    let mut texts = blob.get(strings..strings.checked_add(header(8)?)?)?.to_vec();
    let mut added = Vec::new();
    let mut put = |value: u32| added.extend_from_slice(&value.to_be_bytes());
    if !exists {
        [BEGIN_NODE, u32::from_be_bytes(*b"alia"), u32::from_be_bytes(*b"ses\0")].into_iter().for_each(&mut put);
    }
    [PROPERTY, path.len() as u32 + 1, texts.len() as u32].into_iter().for_each(&mut put);
    added.extend_from_slice(path.as_bytes());
    added.resize((added.len() + 1).next_multiple_of(4), 0);
    if !exists {
        added.extend_from_slice(&END_NODE.to_be_bytes());
    }
    texts.extend_from_slice(name.as_bytes());
    texts.push(0);

    let nodes = [blob.get(structure..place)?, &added, blob.get(place..structure.checked_add(header(9)?)?)?].concat();
    let reservations = blob.get(header(4)?..)?;
    let entries = reservations.chunks_exact(16).position(|entry| entry.iter().all(|byte| *byte == 0))? + 1;
    let reservations = &reservations[..entries * 16];
    let (structure, strings) = (40 + reservations.len(), 40 + reservations.len() + nodes.len());
    let total = strings + texts.len();
    let numbers = [0xd00d_feed, total, structure, strings, 40, 17, 16, header(7)?, texts.len(), nodes.len()];
    let head: Vec<u8> = numbers.iter().flat_map(|word| (*word as u32).to_be_bytes()).collect();
    Some([&head, reservations, &nodes, &texts].concat())
}

/// A big-endian number of any length up to eight bytes.
pub(crate) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A string that ends with NUL or with its bytes.
pub(crate) fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()
}

/// Shows every property of a tree to `found`, in order; `None` when the structure makes no sense, nests too deep, or `found` gives that.
pub(crate) fn walk<'a>(
    blob: &'a [u8],
    structure: usize,
    strings: usize,
    found: &mut dyn FnMut(Property<'_, 'a>) -> Option<()>,
) -> Option<()> {
    let word = |at: usize| super::input::be32(blob, at);
    let (mut at, mut path, mut depth) = (structure, Vec::new(), 0usize);
    loop {
        let tag = word(at)?;
        at += 4;
        match tag {
            BEGIN_NODE => {
                let name = text(blob.get(at..)?)?;
                at = (at + name.len() + 1).next_multiple_of(4);
                if depth > 0 {
                    path.push(name);
                }
                depth += 1;
                // Names are printed, and no tree has such ones.
                if depth > DEEPEST || name.contains(char::is_control) {
                    return None;
                }
            }
            END_NODE => {
                depth = depth.checked_sub(1)?;
                path.pop();
            }
            PROPERTY => {
                let (size, name) = (word(at)? as usize, word(at + 4)? as usize);
                let value = blob.get(at + 8..(at + 8).checked_add(size)?)?;
                let name = text(blob.get(strings.checked_add(name)?..)?)?;
                found(Property { path: &path, name, value })?;
                at = (at + 8 + size).next_multiple_of(4);
            }
            NOP => {}
            END => return (depth == 0).then_some(()),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_board_tree_tells_its_memory_bootargs_and_aliases() {
        let facts = Facts::of(include_bytes!("../../boards/dts/qemu-malta.dtb")).unwrap();
        assert_eq!((facts.memory.len(), &facts.memory[0]), (1, &(0..0x1000_0000)));
        assert!(facts.bootargs.unwrap().starts_with(b"console=ttyS0,115200"));
        assert_eq!(facts.aliases.len(), 1);
        assert_eq!(facts.aliases[0].0, "serial0");
        assert!(facts.reserved.is_empty());
    }

    #[test]
    fn properties_are_listed_as_dtc_prints_them() {
        let listed = listed(include_bytes!("../../boards/dts/qemu-malta.dtb")).unwrap();
        let value = |path: &str| listed.iter().find(|(known, _)| known == path).unwrap().1.clone();
        assert!(value("/chosen/bootargs").starts_with("\"console=ttyS0,115200"));
        assert_eq!(value("/memory@0/reg"), "<0x0 0x10000000>");
        assert_eq!((printed(b""), printed(b"\0"), printed(&[0; 4])), ("<>".into(), "\"\"".into(), "<0x0>".into()));
    }

    #[test]
    fn the_board_tree_tells_its_flash_partitions() {
        let facts = Facts::of(include_bytes!("../../boards/dts/qemu-malta.dtb")).unwrap();
        let path = "/soc/flash@1e000000/partitions/partition@210000";
        assert!(facts.partitions.contains(&(path.into(), 0x21_0000..0x23_0000)), "{:?}", facts.partitions);
        assert_eq!(facts.partitions.len(), 8);
    }

    #[test]
    fn an_alias_is_added_and_nothing_else_changes() {
        let malta = include_bytes!("../../boards/dts/qemu-malta.dtb");
        for tree in [&malta[..], &empty()] {
            let before = Facts::of(tree).unwrap();
            let tree = with_alias(tree, "mtd99", "/soc/x").unwrap();
            let mut facts = Facts::of(&tree).unwrap();
            assert_eq!(facts.size, tree.len());
            let added = facts.aliases.iter().position(|alias| *alias == ("mtd99".into(), "/soc/x".into())).unwrap();
            facts.aliases.remove(added);
            assert_eq!(Facts { size: before.size, ..facts }, before);
            assert!(stoop_core::fdt::check(&tree).is_ok());
        }
    }

    #[test]
    fn the_empty_tree_has_nothing() {
        assert_eq!(Facts::of(&empty()).unwrap(), Facts { size: 72, ..Facts::default() });
    }

    #[test]
    fn a_tree_cut_anywhere_is_refused_or_reads_without_panic() {
        let whole = include_bytes!("../../boards/dts/qemu-malta.dtb");
        for length in 0..whole.len() {
            let _ = Facts::of(&whole[..length]);
        }
        assert!(Facts::of(&whole[..100]).is_err());
    }
}
