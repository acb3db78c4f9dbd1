//! A device tree taken apart into nodes, for the changes that pack makes before the board's one-pass merge, and put together
//! again as version 17. It reads what libfdt reads, versions 2 to 17 (scripts/dtc/libfdt/fdt.c: `fdt_check_header`,
//! `fdt_next_tag`; fdt_ro.c: `fdt_get_name`, `fdt_get_property_by_offset_`).

use std::collections::HashMap;

use super::blob::{BEGIN_NODE, DEEPEST, END, END_NODE, NOP, PROPERTY, property_name};
use super::error::Error;
use crate::Result;
use crate::format::bytes::be32;

/// Bytes of a node's name; the specification allows 31 and a unit address.
const LONGEST_NODE: usize = 255;

/// One node with all below it.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Node {
    /// With its unit address; empty for the root.
    pub name: String,
    /// Names and values, in their order.
    pub properties: Vec<(String, Vec<u8>)>,
    /// In their order.
    pub children: Vec<Node>,
}

impl Node {
    /// A node with nothing in it.
    pub fn new(name: &str) -> Node {
        Node { name: name.to_owned(), ..Node::default() }
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.properties.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..])
    }

    /// A property that is one cell.
    pub fn cell(&self, name: &str) -> Option<u32> {
        be32(self.get(name)?, 0)
    }

    /// The entries of a property that is a list of texts, without NUL; empty ones do not count.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.get(name).unwrap_or_default().split(|byte| *byte == 0).filter(|text| !text.is_empty())
    }

    /// `#address-cells` and `#size-cells`, by which a `reg` of its children is read: 1 each where it has none, as Linux takes it
    /// (drivers/of/fdt.c: early_init_dt_scan_root). Any number may stand there.
    pub fn cells(&self) -> [usize; 2] {
        ["#address-cells", "#size-cells"].map(|name| self.cell(name).map_or(1, |count| count as usize))
    }

    /// Adds a property, or changes its value.
    pub fn set(&mut self, name: &str, value: &[u8]) {
        match self.properties.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value.to_vec(),
            None => self.properties.push((name.to_owned(), value.to_vec())),
        }
    }

    /// Takes a property away; whether there was one.
    pub fn remove(&mut self, name: &str) -> bool {
        let before = self.properties.len();
        self.properties.retain(|(known, _)| known != name);
        self.properties.len() != before
    }

    /// The child of exactly this name.
    pub fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|child| child.name == name)
    }

    /// As [`Node::child`].
    pub fn child_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.children.iter_mut().find(|child| child.name == name)
    }

    /// As [`Node::child_mut`], made when there is none.
    pub fn child_or_new(&mut self, name: &str) -> &mut Node {
        let at = self.children.iter().position(|child| child.name == name);
        let at = at.unwrap_or_else(|| {
            self.children.push(Node::new(name));
            self.children.len() - 1
        });
        &mut self.children[at]
    }

    /// The first child whose name is this one, or this one with a unit address: so libfdt finds nodes.
    pub fn named(&self, name: &str) -> Option<&Node> {
        let at = self.position(name)?;
        self.children.get(at)
    }

    /// As [`Node::named`].
    pub fn named_mut(&mut self, name: &str) -> Option<&mut Node> {
        let at = self.position(name)?;
        self.children.get_mut(at)
    }

    fn position(&self, name: &str) -> Option<usize> {
        let same = |child: &Node| {
            child.name == name
                || !name.contains('@') && child.name.split_once('@').is_some_and(|(stem, _)| stem == name)
        };
        self.children.iter().position(same)
    }

    /// The node is in use (drivers/of/fdt.c: `of_fdt_device_is_available`).
    pub fn is_available(&self) -> bool {
        self.get("status").is_none_or(|status| matches!(super::blob::text(status), Some("ok" | "okay")))
    }

    /// Calls `look` on this node and every one below it.
    pub fn each(&self, look: &mut dyn FnMut(&Node)) {
        look(self);
        self.children.iter().for_each(|child| child.each(look));
    }
}

/// A whole tree.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tree {
    /// /memreserve/: address and size in bytes.
    pub reservations: Vec<(u64, u64)>,
    /// The physical number of the CPU that starts.
    pub boot_cpu: u32,
    /// The root node.
    pub root: Node,
}

impl Tree {
    /// Reads a blob of any version that libfdt takes.
    ///
    /// # Errors
    /// Damage, with its place; a version that nobody reads; nodes nested deeper than Linux looks.
    pub fn parse(blob: &[u8]) -> Result<Tree> {
        Reader::new(blob)?.tree()
    }

    /// The blob, of version 17.
    pub fn write(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.node(&self.root);
        writer.word(END);
        let mut reservations = Vec::new();
        for (start, size) in self.reservations.iter().chain([&(0, 0)]) {
            reservations.extend_from_slice(&start.to_be_bytes());
            reservations.extend_from_slice(&size.to_be_bytes());
        }
        let Writer { structure, strings, .. } = writer;
        let structure_at = 40 + reservations.len();
        let strings_at = structure_at + structure.len();
        let total = strings_at + strings.len();
        let numbers =
            [total, structure_at, strings_at, 40, 17, 16, self.boot_cpu as usize, strings.len(), structure.len()];
        let head = [0xd00d_feed].into_iter().chain(numbers.map(|number| number as u32));
        let head: Vec<u8> = head.flat_map(u32::to_be_bytes).collect();
        [head, reservations, structure, strings].concat()
    }
}

#[derive(Default)]
struct Writer {
    structure: Vec<u8>,
    strings: Vec<u8>,
    known: HashMap<String, u32>,
}

impl Writer {
    fn word(&mut self, word: u32) {
        self.structure.extend_from_slice(&word.to_be_bytes());
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.structure.extend_from_slice(bytes);
        self.structure.resize(self.structure.len().next_multiple_of(4), 0);
    }

    fn node(&mut self, node: &Node) {
        self.word(BEGIN_NODE);
        self.padded(format!("{}\0", node.name).as_bytes());
        for (name, value) in &node.properties {
            let strings = &mut self.strings;
            let name = *self.known.entry(name.clone()).or_insert_with(|| {
                let at = strings.len() as u32;
                strings.extend_from_slice(name.as_bytes());
                strings.push(0);
                at
            });
            [PROPERTY, value.len() as u32, name].into_iter().for_each(|word| self.word(word));
            self.padded(value);
        }
        node.children.iter().for_each(|child| self.node(child));
        self.word(END_NODE);
    }
}

struct Reader<'a> {
    blob: &'a [u8],
    version: u32,
    /// Offsets in the blob.
    structure: std::ops::Range<usize>,
    strings: std::ops::Range<usize>,
    reservations: usize,
    at: usize,
}

impl<'a> Reader<'a> {
    fn new(blob: &'a [u8]) -> Result<Self> {
        let word = |number: usize| be32(blob, number * 4).map(|word| word as usize);
        let cut = || Error::Damaged { what: "it ends inside its header" };
        let (version, compatible) = (word(5).ok_or_else(cut)?, word(6).ok_or_else(cut)?);
        if version < 2 || compatible > 17 || compatible > version {
            return Err(Error::Version { version }.into());
        }
        let total = word(1).filter(|total| *total <= blob.len()).ok_or_else(cut)?;
        let blob = &blob[..total];
        let block = |at: usize, size: Option<usize>| {
            let end = size.map_or(Some(total), |size| at.checked_add(size));
            end.filter(|end| at <= *end && *end <= total).map(|end| at..end)
        };
        // Sizes came with versions 3 and 17.
        let strings = block(word(3).ok_or_else(cut)?, word(8).filter(|_| version >= 3));
        let structure = block(word(2).ok_or_else(cut)?, word(9).filter(|_| version >= 17));
        let outside = |block| Error::BlockOutside { block, total };
        let structure = structure.filter(|block| block.start.is_multiple_of(4));
        let structure = structure.ok_or_else(|| outside("structure block"))?;
        Ok(Reader {
            blob,
            version: version as u32,
            at: structure.start,
            structure,
            strings: strings.ok_or_else(|| outside("strings block"))?,
            reservations: word(4).ok_or_else(cut)?,
        })
    }

    fn broken(&self, what: &'static str) -> Error {
        Error::Structure { what, at: self.at }
    }

    fn word(&mut self) -> Result<u32> {
        let bytes = &self.blob[..self.structure.end];
        let word = be32(bytes, self.at).ok_or_else(|| self.broken("its structure ends"))?;
        self.at += 4;
        Ok(word)
    }

    fn bytes(&mut self, size: usize) -> Result<&'a [u8]> {
        let end = self.at.checked_add(size).filter(|end| *end <= self.structure.end);
        let end = end.ok_or_else(|| self.broken("a value goes beyond the structure block"))?;
        let bytes = &self.blob[self.at..end];
        self.at = end.next_multiple_of(4);
        Ok(bytes)
    }

    fn tree(mut self) -> Result<Tree> {
        let boot_cpu = be32(self.blob, 28).unwrap_or_default();
        let reservations = self.reservations()?;
        let mut open: Vec<Node> = Vec::new();
        let root = loop {
            match self.word()? {
                BEGIN_NODE => {
                    let node = Node::new(self.node_name(open.is_empty())?);
                    if open.len() == DEEPEST {
                        return Err(Error::TooDeep { deepest: DEEPEST }.into());
                    }
                    open.push(node);
                }
                END_NODE => {
                    let node = open.pop().ok_or_else(|| self.broken("a node ends that never began"))?;
                    match open.last_mut() {
                        Some(parent) => parent.children.push(node),
                        None => break node,
                    }
                }
                PROPERTY => {
                    let property = self.property()?;
                    let misplaced = self.broken("a property behind a child node, or in none");
                    let node = open.last_mut().filter(|node| node.children.is_empty()).ok_or(misplaced)?;
                    node.properties.push(property);
                }
                NOP => {}
                _ => return Err(self.broken("a tag that is none").into()),
            }
        };
        loop {
            match self.word()? {
                NOP => {}
                END => return Ok(Tree { reservations, boot_cpu, root }),
                _ => return Err(self.broken("something behind the root node").into()),
            }
        }
    }

    fn reservations(&self) -> Result<Vec<(u64, u64)>> {
        let mut found = Vec::new();
        for entry in self.blob.get(self.reservations..).unwrap_or_default().chunks_exact(16) {
            let (start, size) = entry.split_at(8);
            // The entry with size 0 is the last one (drivers/of/fdt.c, early_init_fdt_scan_reserved_mem).
            match (super::blob::number(start), super::blob::number(size)) {
                (_, 0) => return Ok(found),
                (start, size) => found.push((start, size)),
            }
        }
        Err(Error::Damaged { what: "its memory reservations have no end" }.into())
    }

    /// Up to version 15 a name is the whole path.
    fn node_name(&mut self, is_root: bool) -> Result<&'a str> {
        let rest = &self.blob[self.at..self.structure.end];
        let length = rest.iter().position(|byte| *byte == 0).ok_or_else(|| self.broken("a name without end"))?;
        let name = std::str::from_utf8(self.bytes(length + 1)?).map_err(|_| self.broken("a name that is no text"))?;
        let name = name.trim_end_matches('\0');
        // Names are printed, and no tree has such ones.
        if name.contains(char::is_control) {
            return Err(self.broken("a name with control characters").into());
        }
        let name = match name.rsplit_once('/') {
            _ if is_root => "",
            Some((_, last)) if self.version < 16 => last,
            _ => name,
        };
        // Every node below it has it in its path.
        match name.len() > LONGEST_NODE {
            true => Err(self.broken("a node's name of more than 255 bytes").into()),
            false => Ok(name),
        }
    }

    /// Up to version 15 a value of 8 bytes or more begins at a multiple of 8 in the structure block.
    fn property(&mut self) -> Result<(String, Vec<u8>)> {
        let (size, name) = (self.word()? as usize, self.word()? as usize);
        if self.version < 16 && size >= 8 && !(self.at - self.structure.start).is_multiple_of(8) {
            self.at += 4;
        }
        let value = self.bytes(size)?.to_vec();
        let strings = &self.blob[self.strings.clone()];
        let name = strings.get(name..).and_then(property_name).filter(|name| !name.is_empty());
        let name =
            name.ok_or_else(|| self.broken("a property whose name is missing, no text, or longer than 127 bytes"))?;
        Ok((name.to_owned(), value))
    }
}

#[cfg(test)]
mod tests {
    use super::super::blob::LONGEST_NAME;
    use super::*;

    fn malta() -> Tree {
        Tree::parse(include_bytes!("../../../boards/dts/qemu-malta.dtb")).unwrap()
    }

    #[test]
    fn what_is_written_reads_back_and_core_takes_it() {
        let mut tree = malta();
        tree.reservations.push((0x10_0000, 0x1000));
        let blob = tree.write();
        assert_eq!(Tree::parse(&blob).unwrap(), tree);
        assert_eq!(stoop_core::fdt::check(&blob).unwrap(), blob.len());
    }

    /// What dtc -V 2 writes, by libfdt's rules for reading it: whole paths as names, long values at multiples of 8, no sizes.
    fn old(version: u32, size: Option<u32>) -> Vec<u8> {
        let mut structure = [BEGIN_NODE, u32::from_be_bytes(*b"/\0\0\0")].map(u32::to_be_bytes).concat();
        structure.extend([PROPERTY, 4, 0, 7, BEGIN_NODE].map(u32::to_be_bytes).concat());
        structure.extend_from_slice(b"/chosen\0");
        let unaligned = !(structure.len() + 12).is_multiple_of(8);
        structure.extend([PROPERTY, 9, 2].map(u32::to_be_bytes).concat());
        structure.extend(if unaligned { vec![0; 4] } else { Vec::new() });
        structure.extend_from_slice(b"quiet xy\0\0\0\0");
        structure.extend([END_NODE, END_NODE, END].map(u32::to_be_bytes).concat());
        let strings = b"a\0bootargs\0";
        let (head, at) = (if size.is_some() { 36 } else { 32 }, if size.is_some() { 40 } else { 32 });
        let total = at + 16 + structure.len() + strings.len();
        let fields =
            [0xd00d_feed, total as u32, at as u32 + 16, (at + 16 + structure.len()) as u32, at as u32, version, 1, 3];
        let mut blob = fields.into_iter().chain(size).flat_map(u32::to_be_bytes).collect::<Vec<_>>();
        assert_eq!(blob.len(), head);
        blob.resize(at + 16, 0);
        [&blob[..], &structure, strings].concat()
    }

    #[test]
    fn versions_2_and_3_have_whole_paths_and_aligned_values() {
        for blob in [old(2, None), old(3, Some(11))] {
            let tree = Tree::parse(&blob).unwrap();
            assert_eq!((tree.root.cell("a"), tree.boot_cpu), (Some(7), 3));
            let chosen = tree.root.child("chosen").unwrap();
            assert_eq!(chosen.get("bootargs"), Some(&b"quiet xy\0"[..]));
            assert!(stoop_core::fdt::check(&tree.write()).is_ok());
        }
        assert!(Tree::parse(&old(1, None)).unwrap_err().to_string().contains("version 1, Linux reads 2 to 17"));
    }

    #[test]
    fn names_longer_than_any_are_refused() {
        let tree = |node: usize, property: usize| {
            let mut tree = malta();
            tree.root.children.push(Node::new(&"n".repeat(node)));
            tree.root.set(&"p".repeat(property), b"x");
            Tree::parse(&tree.write())
        };
        assert!(tree(LONGEST_NODE, LONGEST_NAME).is_ok());
        assert!(tree(LONGEST_NODE + 1, 1).unwrap_err().to_string().contains("name of more than 255 bytes"));
        assert!(tree(1, LONGEST_NAME + 1).unwrap_err().to_string().contains("longer than 127 bytes"));
    }

    #[test]
    fn nodes_that_linux_does_not_see_for_depth_are_an_error() {
        let nested = |depth: usize| {
            let mut node = Node::default();
            for _ in 1..depth {
                node = Node { children: vec![node], name: "n".into(), ..Node::default() };
            }
            node.name.clear();
            Tree { root: node, ..Tree::default() }.write()
        };
        assert!(Tree::parse(&nested(DEEPEST)).is_ok());
        assert!(Tree::parse(&nested(DEEPEST + 1)).unwrap_err().to_string().contains("deeper than 64"));
    }

    #[test]
    fn a_tree_cut_or_flipped_anywhere_is_refused_or_reads_without_panic() {
        let whole = malta().write();
        for length in 0..whole.len() {
            assert!(Tree::parse(&whole[..length]).is_err());
        }
        for bit in 0..8 * whole.len() {
            let mut bad = whole.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            let _ = Tree::parse(&bad);
        }
    }
}
