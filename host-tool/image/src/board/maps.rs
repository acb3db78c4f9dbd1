//! Flash maps as device trees have them, and in what a board's own map differs from one.

use stoop_core::Region;

use super::types::{Flash, Partition};
use crate::format::device_tree::tree::Node;
use crate::format::device_tree::{number, text};

/// The partitions of one flash chip: the smallest, not what they are parts of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map {
    /// The node with the partitions.
    pub path: String,
    /// The `compatible` of the chip, empty when it has none.
    pub chip: Vec<String>,
    /// `spi-max-frequency` of the chip, in hertz.
    pub clock: Option<u32>,
    /// In the tree's order.
    pub parts: Vec<Part>,
}

/// A partition of a device tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its `label`, or the node's name without its address.
    pub label: String,
    /// Bytes from the start of the flash.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Linux does not write it.
    pub read_only: bool,
}

impl Part {
    fn range(&self) -> Region {
        let (offset, size) = (usize::try_from(self.offset).ok(), usize::try_from(self.size).ok());
        offset.zip(size).and_then(|(offset, size)| Region::new(offset, size)).unwrap_or(Region::EMPTY)
    }
}

/// Every flash map of a tree (Documentation/devicetree/bindings/mtd/partitions/fixed-partitions.yaml).
pub fn of(root: &Node) -> Vec<Map> {
    let mut maps = Vec::new();
    look(root, "", &mut maps);
    maps
}

fn look(node: &Node, path: &str, maps: &mut Vec<Map>) {
    for child in &node.children {
        let path = format!("{path}/{}", child.name);
        if !is_table(child) {
            look(child, &path, maps);
            continue;
        }
        // Several chips joined have no offsets of their own.
        if texts(node, "compatible").any(|name| name == "mtd-concat") {
            continue;
        }
        let mut parts = Vec::new();
        collect(child, 0, &mut parts);
        if !parts.is_empty() {
            let chip = texts(node, "compatible").map(str::to_owned).collect();
            maps.push(Map { path, chip, clock: node.cell("spi-max-frequency"), parts });
        }
    }
}

fn is_table(node: &Node) -> bool {
    texts(node, "compatible").any(|name| name == "fixed-partitions")
}

/// The texts of a property that is a list of them.
pub(super) fn texts<'a>(node: &'a Node, name: &str) -> impl Iterator<Item = &'a str> {
    node.list(name).filter_map(|text| std::str::from_utf8(text).ok())
}

/// The partitions of a table that begins `base` bytes behind the start of the flash.
fn collect(table: &Node, base: u64, parts: &mut Vec<Part>) {
    let cells = table.cells();
    if cells.iter().any(|count| !(1..=2).contains(count)) {
        return;
    }
    let [address, size] = cells.map(|count| count * 4);
    for child in &table.children {
        let Some(reg) = child.get("reg").filter(|reg| reg.len() == address + size) else { continue };
        let (offset, size) = (base.saturating_add(number(&reg[..address])), number(&reg[address..]));
        if is_table(child) {
            collect(child, offset, parts);
            continue;
        }
        let label = child.get("label").and_then(text).unwrap_or_else(|| child.name.split('@').next().unwrap_or(""));
        parts.push(Part { label: label.to_owned(), offset, size, read_only: child.get("read-only").is_some() });
    }
}

/// One thing in which a board's map is not a tree's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The partition, by its name in the map that has it.
    pub partition: String,
    /// What is different.
    pub fact: String,
}

impl Difference {
    fn new(partition: &str, fact: String) -> Difference {
        Difference { partition: partition.to_owned(), fact }
    }
}

/// In what the board's map differs from this one of a tree. Names alone make no difference.
pub fn compare(flash: &Flash, map: &Map) -> Vec<Difference> {
    let mut found = Vec::new();
    for part in &map.parts {
        found.extend(missing(flash, part));
    }
    for partition in &flash.partitions {
        let is_there = |part: &&Part| part.range() == partition.range() || is_name(&part.label, &partition.name);
        if map.parts.iter().find(is_there).is_none() {
            let fact = format!("{} on the board, not in the tree", span(partition.range()));
            found.push(Difference::new(&partition.name, fact));
        }
    }
    found
}

/// The map of a tree that agrees most with the board's; the first of them when none agrees.
pub fn nearest<'a>(flash: &Flash, maps: &'a [Map]) -> Option<&'a Map> {
    let same = |map: &&Map| map.parts.iter().filter(|part| find(flash, part).is_some()).count();
    maps.iter().rev().max_by_key(same)
}

/// The board's partition with exactly these bytes.
fn find<'a>(flash: &'a Flash, part: &Part) -> Option<&'a Partition> {
    flash.partitions.iter().find(|partition| partition.range() == part.range())
}

fn is_name(left: &str, right: &str) -> bool {
    left.eq_ignore_ascii_case(right)
}

fn missing(flash: &Flash, part: &Part) -> Option<Difference> {
    let range = part.range();
    if let Some(same) = find(flash, part) {
        let written = part.read_only && !same.protected;
        return written.then(|| Difference::new(&part.label, "read-only in the tree, but stoop may write it".into()));
    }
    let named = flash.partitions.iter().find(|partition| is_name(&part.label, &partition.name));
    let holder = flash.partitions.iter().find(|partition| partition.range().contains(&range) && !range.is_empty());
    let fact = match (named, holder) {
        (Some(named), _) => format!("{} in the tree, {} on the board", span(range), span(named.range())),
        (None, Some(holder)) => format!("{} in the tree, part of {} on the board", span(range), holder.name),
        (None, None) => format!("{} in the tree, not on the board", span(range)),
    };
    Some(Difference::new(&part.label, fact))
}

fn span(range: Region) -> String {
    format!("{:#x}..{:#x}", range.start(), range.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::board;
    use crate::format::device_tree::source;

    /// A tree with the map of the GL-AR750, changed as said.
    fn map(old: &str, new: &str) -> Map {
        let text = r#"/ { spi { flash@0 { compatible = "jedec,spi-nor"; spi-max-frequency = <25000000>; partitions {
            compatible = "fixed-partitions"; #address-cells = <1>; #size-cells = <1>;
            partition@0 { label = "u-boot"; reg = <0 0x40000>; read-only; };
            partition@40000 { label = "u-boot-env"; reg = <0x40000 0x10000>; };
            partition@50000 { label = "art"; reg = <0x50000 0x10000>; read-only; };
            partition@60000 { label = "firmware"; reg = <0x60000 0xfa0000>; };
        }; }; }; };"#;
        assert!(text.contains(old), "{old}");
        let root = source::parse("a.dts", &text.replace(old, new), &|_| None).unwrap().root;
        of(&root).remove(0)
    }

    fn differences(old: &str, new: &str) -> Vec<String> {
        let board = board::load("gl-ar750").unwrap();
        let found = compare(board.flash.as_ref().unwrap(), &map(old, new));
        found.into_iter().map(|it| format!("{}: {}", it.partition, it.fact)).collect()
    }

    #[test]
    fn the_same_map_has_no_difference_whatever_its_names() {
        assert_eq!(differences("art", "art"), [""; 0]);
        assert_eq!(differences("\"art\"", "\"ART\""), [""; 0]);
        assert_eq!(differences("\"art\"", "\"caldata\""), [""; 0]);
        let map = map("art", "art");
        assert_eq!((map.path.as_str(), map.clock), ("/spi/flash@0/partitions", Some(25_000_000)));
    }

    #[test]
    fn what_was_moved_added_left_out_or_made_read_only_is_told() {
        assert_eq!(
            differences("0x60000 0xfa0000", "0x60000 0xf90000"),
            ["firmware: 0x60000..0xff0000 in the tree, 0x60000..0x1000000 on the board"]
        );
        assert_eq!(
            differences("firmware\"; reg", "firmware\"; read-only; reg"),
            ["firmware: read-only in the tree, but stoop may write it"]
        );
        assert_eq!(
            differences("label = \"art\"; reg = <0x50000 0x10000>", "label = \"mac\"; reg = <0x50000 0x8000>"),
            [
                "mac: 0x50000..0x58000 in the tree, part of art on the board",
                "art: 0x50000..0x60000 on the board, not in the tree"
            ]
        );
        assert_eq!(
            differences(
                "};\n        }; }; }; };",
                "}; partition@1000000 { label = \"far\"; reg = <0x1000000 0x10000>; }; }; }; }; };"
            ),
            ["far: 0x1000000..0x1010000 in the tree, not on the board"]
        );
    }

    #[test]
    fn partitions_of_partitions_are_told_by_the_smallest() {
        let nested = r#"reg = <0x60000 0xfa0000>; compatible = "fixed-partitions"; #address-cells = <1>; #size-cells = <1>;
            partition@0 { label = "kernel"; reg = <0 0x200000>; }; partition@200000 { label = "rootfs"; reg = <0x200000 0xda0000>; };"#;
        let map = map("reg = <0x60000 0xfa0000>;", nested);
        let last = map.parts.last().unwrap();
        assert_eq!((last.label.as_str(), last.offset, last.size), ("rootfs", 0x26_0000, 0xda_0000));
        assert_eq!(map.parts.len(), 5);
    }
}
