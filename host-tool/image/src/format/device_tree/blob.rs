//! A flattened device tree as bytes (Devicetree Specification v0.4, chapter 5): its tokens, and walks over them.

use crate::format::bytes::be32;

/// One property, by the path of its node and its name.
pub struct Property<'p, 'a> {
    /// The nodes from below the root on.
    pub path: &'p [&'a str],
    /// Its own.
    pub name: &'a str,
    /// Its bytes.
    pub value: &'a [u8],
}

/// In front of every blob (Devicetree Specification v0.4, section 5.2).
pub const MAGIC: u32 = 0xd00d_feed;

pub(super) const BEGIN_NODE: u32 = 1;
pub(super) const END_NODE: u32 = 2;
pub(super) const PROPERTY: u32 = 3;
pub(super) const NOP: u32 = 4;
pub(super) const END: u32 = 9;
/// Nodes inside one another; no tree of a board comes near.
pub const DEEPEST: usize = 64;

/// Bytes of a property's name; the specification allows 31, and no tree comes near this. Names may share their bytes: all of a file could be the
/// name of each of a million properties.
pub(super) const LONGEST_NAME: usize = 127;

/// A property's name at the front of a strings block.
pub(super) fn property_name(strings: &[u8]) -> Option<&str> {
    let end = strings.iter().take(LONGEST_NAME + 1).position(|byte| *byte == 0)?;
    std::str::from_utf8(&strings[..end]).ok()
}

/// A FIT image is a device tree too, with /images instead of a machine. A node of that name deeper inside makes none.
pub fn is_fit(bytes: &[u8]) -> bool {
    be32(bytes, 0) == Some(MAGIC) && has_root_child(bytes, "images")
}

/// The tree with only `/chosen/bootargs`, for kernels that know their hardware themselves: an empty root node.
pub fn empty() -> Vec<u8> {
    let words: [u32; 18] = [0xd00d_feed, 72, 56, 72, 40, 17, 16, 0, 0, 16, 0, 0, 0, 0, 1, 0, 2, 9];
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

/// Every property of a tree by its path, with its value as dtc would print it; `None` when the structure makes no sense.
pub fn listed(blob: &[u8]) -> Option<Vec<(String, String)>> {
    let header = |word: usize| be32(blob, word * 4).map(|value| value as usize);
    let mut listed = Vec::new();
    walk(blob, header(2)?, header(3)?, &mut |property| {
        let path = property.path.iter().chain([&property.name]).map(|part| format!("/{part}")).collect();
        listed.push((path, printed(property.value)));
        Some(())
    })?;
    Some(listed)
}

pub(super) fn printed(value: &[u8]) -> String {
    let text = value.strip_suffix(b"\0").and_then(|text| std::str::from_utf8(text).ok());
    match text.filter(|text| !text.contains(char::is_control) && (!text.is_empty() || value.len() == 1)) {
        Some(text) => format!("{text:?}"),
        None => {
            let cells: Vec<String> = value.chunks(4).map(|cell| format!("0x{:x}", number(cell))).collect();
            format!("<{}>", cells.join(" "))
        }
    }
}

/// Whether the root has a child of this name. What lies behind it may be damaged or missing.
pub fn has_root_child(blob: &[u8], name: &str) -> bool {
    let word = |at: usize| be32(blob, at);
    let mut at = word(8).unwrap_or_default() as usize;
    let mut depth = 0usize;
    while let Some(tag) = word(at) {
        at += 4;
        match tag {
            BEGIN_NODE => {
                let Some(node) = blob.get(at..).and_then(text) else { return false };
                // Up to version 15 a name is the whole path.
                if depth == 1 && node.trim_start_matches('/') == name {
                    return true;
                }
                at = (at + node.len() + 1).next_multiple_of(4);
                depth += 1;
            }
            END_NODE => depth = depth.saturating_sub(1),
            PROPERTY => {
                let Some(size) = word(at) else { return false };
                at = at.saturating_add(8).saturating_add(size as usize).next_multiple_of(4);
            }
            NOP => {}
            _ => return false,
        }
    }
    false
}

/// A big-endian number of any length up to eight bytes.
pub fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A string that ends with NUL or with its bytes.
pub fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()
}

/// Shows every property of a tree to `found`, in order; `None` when the structure makes no sense, nests too deep, or `found` gives that.
pub fn walk<'a>(
    blob: &'a [u8],
    structure: usize,
    strings: usize,
    found: &mut dyn FnMut(Property<'_, 'a>) -> Option<()>,
) -> Option<()> {
    let word = |at: usize| be32(blob, at);
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
                let name = property_name(blob.get(strings.checked_add(name)?..)?)?;
                found(Property { path: &path, name, value })?;
                at = (at + 8 + size).next_multiple_of(4);
            }
            NOP => {}
            END => return (depth == 0).then_some(()),
            _ => return None,
        }
    }
}
