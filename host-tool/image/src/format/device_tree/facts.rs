//! Questions that pack asks a device tree (Devicetree Specification v0.4, chapter 5): RAM, reserved memory, aliases,
//! bootargs; and the few changes that pack makes itself. Core makes those that depend on the board's boot.

use std::ops::Range;

use super::blob::number;
use super::error::Error;
use super::tree::{Node, Tree};
use crate::Result;
use crate::format::bytes::be32;

/// What a tree says about memory and boot arguments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Bytes of the blob.
    pub size: usize,
    /// What the kernel takes from /chosen, without NUL; `None` when there is no such property.
    pub bootargs: Option<Vec<u8>>,
    /// The usable RAM of every memory node at the root that is in use; without ranges of size 0, as Linux.
    pub memory: Vec<Range<u64>>,
    /// There is a memory node, usable or not.
    pub has_memory_node: bool,
    /// /memreserve/ entries and the fixed children of /reserved-memory, by name.
    pub reserved: Vec<(String, Range<u64>)>,
    /// Children of /reserved-memory for which Linux looks for a place itself.
    pub dynamic: Vec<Dynamic>,
    /// Names under /aliases, with what they point to.
    pub aliases: Vec<(String, String)>,
    /// The root's #address-cells and #size-cells.
    pub cells: [usize; 2],
    /// Children of `fixed-partitions` nodes: path, and bytes from the start of their flash.
    pub partitions: Vec<(String, Range<u64>)>,
    /// The root's `compatible`, the most exact first.
    pub compatible: Vec<String>,
}

/// Memory that Linux reserves where it finds room (drivers/of/of_reserved_mem.c: `__reserved_mem_alloc_size`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dynamic {
    /// Its node.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// A power of two.
    pub align: u64,
    /// It has to lie in one of these; empty for anywhere in RAM.
    pub within: Vec<Range<u64>>,
}

impl Default for Facts {
    /// Of a tree with nothing in it: Linux then takes one cell for each (drivers/of/fdt.c, early_init_dt_scan_root).
    fn default() -> Self {
        Facts {
            size: 0,
            bootargs: None,
            memory: Vec::new(),
            has_memory_node: false,
            reserved: Vec::new(),
            dynamic: Vec::new(),
            aliases: Vec::new(),
            cells: [1, 1],
            partitions: Vec::new(),
            compatible: Vec::new(),
        }
    }
}

impl Facts {
    /// Reads a blob that core's reader has accepted.
    ///
    /// # Errors
    /// The structure makes no sense.
    pub fn of(blob: &[u8]) -> Result<Facts> {
        let tree = Tree::parse(blob)?;
        let size = be32(blob, 4).unwrap_or_default() as usize;
        let mut facts = read(&tree, size).ok_or(Error::RootCells)?;
        let found = partitions(&tree.root, &mut Vec::new(), &mut facts.partitions);
        found.ok_or(Error::Damaged { what: "it has more flash partitions than any flash" })?;
        Ok(facts)
    }
}

/// `None` when the root's cells are none that Linux takes.
fn read(tree: &Tree, size: usize) -> Option<Facts> {
    let root = &tree.root;
    let cells = root.cells();
    if cells.iter().any(|count| !(1..=2).contains(count)) {
        return None;
    }
    let mut facts = Facts { size, cells, ..Facts::default() };
    let fixed = tree.reservations.iter().map(|(start, size)| *start..start.saturating_add(*size));
    facts.reserved.extend(fixed.map(|range| ("memreserve".to_owned(), range)));
    for child in &root.children {
        match child.name.as_str() {
            "chosen" | "chosen@0" if facts.bootargs.is_none() => facts.bootargs = bootargs(child),
            "aliases" => {
                facts.aliases.extend(child.properties.iter().map(|(name, value)| {
                    (name.clone(), String::from_utf8_lossy(value).trim_end_matches('\0').to_owned())
                }))
            }
            "reserved-memory" => reserved(child, &mut facts),
            _ if is_memory(child) => {
                facts.has_memory_node = true;
                let reg = child.get("linux,usable-memory").or_else(|| child.get("reg")).unwrap_or_default();
                if child.is_available() {
                    facts.memory.extend(ranges(reg, cells).into_iter().filter(|range| !range.is_empty()));
                }
            }
            _ => {}
        }
    }
    facts.compatible = root.list("compatible").map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    Some(facts)
}

/// What the kernel takes: without NUL.
fn bootargs(chosen: &Node) -> Option<Vec<u8>> {
    let text = chosen.get("bootargs").filter(|value| !value.is_empty())?;
    Some(stoop_core::fdt::bootargs(text).to_vec())
}

/// RAM is what says so (drivers/of/fdt.c, early_init_dt_scan_memory).
pub fn is_memory(node: &Node) -> bool {
    node.get("device_type") == Some(b"memory\0")
}

/// The entries of a `reg`; what is left behind the last whole one does not count.
fn ranges(reg: &[u8], [address, size]: [usize; 2]) -> Vec<Range<u64>> {
    let entries = reg.chunks_exact((address + size) * 4).map(|entry| entry.split_at(address * 4));
    entries.map(|(start, size)| number(start)..number(start).saturating_add(number(size))).collect()
}

/// Linux skips a child of /reserved-memory else (drivers/of/of_reserved_mem.c: `__reserved_mem_reserve_reg`).
pub(crate) fn has_whole_entries(reg: &[u8], [address, size]: [usize; 2]) -> bool {
    reg.len().is_multiple_of(4 * (address + size))
}

fn reserved(node: &Node, facts: &mut Facts) {
    for child in node.children.iter().filter(|child| child.is_available()) {
        match (child.get("reg"), child.get("size")) {
            (Some(reg), _) if !has_whole_entries(reg, facts.cells) => {}
            (Some(reg), _) => {
                let named = ranges(reg, facts.cells).into_iter().map(|range| (child.name.clone(), range));
                facts.reserved.extend(named);
            }
            (None, Some(size)) => facts.dynamic.push(Dynamic {
                name: child.name.clone(),
                size: number(size),
                align: child.get("alignment").map_or(1, number).checked_next_power_of_two().unwrap_or(1 << 63),
                within: child.get("alloc-ranges").map_or(Vec::new(), |value| ranges(value, facts.cells)),
            }),
            (None, None) => {}
        }
    }
}

/// More partitions than any flash has: each is noted with its path, which all nodes above it are a part of.
const MOST_PARTITIONS: usize = 4096;

/// `None` for more than [`MOST_PARTITIONS`].
fn partitions<'a>(node: &'a Node, above: &mut Vec<&'a str>, found: &mut Vec<(String, Range<u64>)>) -> Option<()> {
    let is_table = node.get("compatible") == Some(b"fixed-partitions\0");
    let [address, size] = node.cells();
    for child in &node.children {
        above.push(&child.name);
        if let Some(reg) = child.get("reg").filter(|_| is_table)
            && (1..=2).contains(&address)
            && (1..=2).contains(&size)
            && reg.len() == 4 * (address + size)
        {
            let path: String = above.iter().flat_map(|name| ["/", *name]).collect();
            found.extend(ranges(reg, [address, size]).into_iter().map(|range| (path.clone(), range)));
        }
        if found.len() > MOST_PARTITIONS {
            return None;
        }
        partitions(child, above, found)?;
        above.pop();
    }
    Some(())
}

/// The tree with one more property under /aliases, which is added when there is none; `None` when the tree makes no sense.
pub fn with_alias(blob: &[u8], name: &str, path: &str) -> Option<Vec<u8>> {
    let mut tree = Tree::parse(blob).ok()?;
    tree.root.child_or_new("aliases").set(name, format!("{path}\0").as_bytes());
    Some(tree.write())
}

#[cfg(test)]
mod tests {
    use super::super::blob::{empty, listed, printed};
    use super::*;

    #[test]
    fn the_board_tree_tells_its_memory_bootargs_and_aliases() {
        let facts = Facts::of(include_bytes!("../../../boards/dts/qemu-malta.dtb")).unwrap();
        assert_eq!((facts.memory.len(), &facts.memory[0]), (1, &(0..0x1000_0000)));
        assert!(facts.bootargs.unwrap().starts_with(b"console=ttyS0,115200"));
        assert_eq!(facts.aliases.len(), 1);
        assert_eq!(facts.aliases[0].0, "serial0");
        assert!(facts.reserved.is_empty());
    }

    #[test]
    fn properties_are_listed_as_dtc_prints_them() {
        let listed = listed(include_bytes!("../../../boards/dts/qemu-malta.dtb")).unwrap();
        let value = |path: &str| listed.iter().find(|(known, _)| known == path).unwrap().1.clone();
        assert!(value("/chosen/bootargs").starts_with("\"console=ttyS0,115200"));
        assert_eq!(value("/memory@0/reg"), "<0x0 0x10000000>");
        assert_eq!((printed(b""), printed(b"\0"), printed(&[0; 4])), ("<>".into(), "\"\"".into(), "<0x0>".into()));
    }

    #[test]
    fn the_board_tree_tells_its_flash_partitions() {
        let facts = Facts::of(include_bytes!("../../../boards/dts/qemu-malta.dtb")).unwrap();
        let path = "/soc/flash@1e000000/partitions/partition@210000";
        assert!(facts.partitions.contains(&(path.into(), 0x21_0000..0x23_0000)), "{:?}", facts.partitions);
        assert_eq!(facts.partitions.len(), 8);
    }

    #[test]
    fn an_alias_is_added_and_nothing_else_changes() {
        let malta = include_bytes!("../../../boards/dts/qemu-malta.dtb");
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
    fn more_partitions_than_any_flash_has_are_refused() {
        let with = |count: usize| {
            let mut tree = Tree::parse(&empty()).unwrap();
            let table = tree.root.child_or_new("flash").child_or_new("partitions");
            table.set("compatible", b"fixed-partitions\0");
            for number in 0..count {
                let mut partition = Node::new(&format!("partition@{number}"));
                partition.set("reg", &[0; 8]);
                table.children.push(partition);
            }
            Facts::of(&tree.write()).map(|facts| facts.partitions)
        };
        let found = with(MOST_PARTITIONS).unwrap();
        assert_eq!((found.len(), &*found[9].0), (MOST_PARTITIONS, "/flash/partitions/partition@9"));
        assert!(with(MOST_PARTITIONS + 1).unwrap_err().to_string().contains("more flash partitions than any"));
    }

    #[test]
    fn the_empty_tree_has_nothing() {
        assert_eq!(Facts::of(&empty()).unwrap(), Facts { size: 72, ..Facts::default() });
    }

    #[test]
    fn a_tree_cut_anywhere_is_refused_or_reads_without_panic() {
        let whole = include_bytes!("../../../boards/dts/qemu-malta.dtb");
        for length in 0..whole.len() {
            let _ = Facts::of(&whole[..length]);
        }
        assert!(Facts::of(&whole[..100]).is_err());
    }
}
