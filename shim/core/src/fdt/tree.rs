//! The checked reader: a header, and one tag after the other. Places are offsets from the blob's first byte.

use super::{BEGIN_NODE, END_NODE, HEADER, MAGIC, NOP, PROPERTY};
use crate::bytes::{be32, find};
use crate::{Code, Error, Result, Subject};

// Fields of the header (Devicetree Specification 5.2), in words.
pub(super) const TOTAL: usize = 1;
pub(super) const STRUCTURE: usize = 2;
pub(super) const STRINGS: usize = 3;
const RESERVATIONS: usize = 4;
const VERSION: usize = 5;
const COMPATIBLE: usize = 6;
pub(super) const STRINGS_SIZE: usize = 8;
pub(super) const STRUCTURE_SIZE: usize = 9;

/// A tree, and a tag of it.
#[derive(Clone, Debug)]
pub struct Tree<'a> {
    bytes: &'a [u8],
    pub(super) header: [usize; HEADER / 4],
    /// Of the tag that was read last: where it is, and what comes next.
    pub(super) start: usize,
    pub(super) at: usize,
    /// The tag; 0, which is none, when what is there makes no sense.
    tag: usize,
    /// Of the property read last: bytes of its value, and where its name is in the strings block.
    pub(super) length: usize,
    pub(super) name_at: usize,
    /// Nodes that are not to be found any more, by [`Tree::bit`].
    pub(super) seen: u32,
}

impl<'a> Tree<'a> {
    /// The tree at the front of `bytes`, which may be longer; not read yet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Tree { bytes, header: [0; HEADER / 4], start: 0, at: 0, tag: 0, length: 0, name_at: 0, seen: 0 }
    }

    /// Reads the header.
    ///
    /// # Errors
    /// [`Code::TreeHeader`] (value: the first word) unless magic and version are right and the blocks lie inside the total
    /// size in the specification's order, the reservations with their end.
    #[inline(never)]
    pub fn read(&mut self) -> Result<()> {
        for (word, field) in self.header.iter_mut().zip(self.bytes.as_chunks().0) {
            *word = u32::from_be_bytes(*field) as usize;
        }
        let header = &self.header;
        let reservations = self.bytes.get(header[RESERVATIONS]..header[STRUCTURE]).unwrap_or(&[]);
        // The entry with size 0 is the last one (drivers/of/fdt.c, early_init_fdt_scan_reserved_mem).
        let end = reservations.as_chunks::<16>().0.iter().any(|entry| entry.last_chunk() == Some(&[0; 8]));
        let strings_end = header[STRINGS].saturating_add(header[STRINGS_SIZE]);
        let sound = header[0] == MAGIC
            && header[VERSION] >= 17
            && header[COMPATIBLE] <= 17
            && header[TOTAL] <= self.bytes.len()
            && strings_end <= header[TOTAL]
            && header[STRUCTURE].saturating_add(header[STRUCTURE_SIZE]) <= header[STRINGS]
            && header[STRUCTURE] & 3 == 0
            && header[RESERVATIONS] >= HEADER
            && end
            // So that every offset inside the block is the start of a name that ends.
            && (header[STRINGS_SIZE] == 0 || self.bytes.get(strings_end.wrapping_sub(1)) == Some(&0));
        self.at = header[STRUCTURE];
        if sound { Ok(()) } else { Err(Error::new(Code::TreeHeader, Subject::Dtb, header[0])) }
    }

    /// Bytes of the whole blob.
    pub fn size(&self) -> usize {
        self.header[TOTAL]
    }

    /// The command line in the node that the kernel takes for /chosen: the root's first child named `chosen` or
    /// `chosen@0` (arch/mips/kernel/setup.c, bootcmdline_scan_chosen). Empty when there is none, or the structure is damaged
    /// in front of it.
    #[inline(never)]
    pub fn bootargs(&mut self) -> &'a [u8] {
        let found = self.find(self.header[STRUCTURE], BEGIN_NODE, &[])
            && self.find(self.at, BEGIN_NODE, b"chosen@0\0")
            && self.find(self.at, PROPERTY, b"bootargs\0");
        bootargs(if found { self.value() } else { &[] })
    }

    /// Goes to the first child or property, as `tag` says, that `name` means (see [`same`]), in the node whose content
    /// begins at `content`. An empty name means any.
    #[inline(never)]
    pub(super) fn find(&mut self, content: usize, tag: usize, name: &[u8]) -> bool {
        self.at = content;
        let mut inside = 0usize;
        loop {
            let found = self.next();
            if inside == 0
                && found == tag
                && (tag == PROPERTY || self.seen & self.bit() == 0)
                && same(self.name(), name)
            {
                return true;
            }
            if found == BEGIN_NODE {
                // A node's properties come before its children (Devicetree Specification 5.4.2).
                if tag == PROPERTY {
                    return false;
                }
                inside = inside.wrapping_add(1);
            } else if found != PROPERTY && found != NOP {
                if inside == 0 {
                    return false;
                }
                inside = inside.wrapping_sub(1);
            }
        }
    }

    /// The next tag; 0, which is none, when what is there makes no sense.
    #[inline(never)]
    pub(super) fn next(&mut self) -> usize {
        self.start = self.at;
        let end = self.end();
        let size = self.bytes.get(self.start..end).and_then(|rest| self.measure(rest));
        match size {
            Some(size) => self.at = self.start.wrapping_add(size),
            None => (self.at, self.tag) = (end, 0),
        }
        self.tag
    }

    /// Takes the tag at the front of `rest` and what is known of it. Gives the bytes of all that belongs to it.
    #[inline(always)]
    fn measure(&mut self, rest: &[u8]) -> Option<usize> {
        let (tag, rest) = rest.split_first_chunk()?;
        self.tag = u32::from_be_bytes(*tag) as usize;
        // Names and values are padded to a multiple of 4.
        Some(match self.tag {
            PROPERTY => {
                let (length, rest) = rest.split_first_chunk()?;
                let (name, value) = rest.split_first_chunk()?;
                self.length = u32::from_be_bytes(*length) as usize;
                self.name_at = u32::from_be_bytes(*name) as usize;
                let padded = self.length.wrapping_add(3) & !3;
                if self.length > value.len() || padded > value.len() {
                    return None;
                }
                padded.wrapping_add(12)
            }
            BEGIN_NODE => {
                let mut size = 4usize;
                let mut words = rest.as_chunks::<4>().0.iter();
                loop {
                    size = size.wrapping_add(4);
                    if has_nul(*words.next()?) {
                        break size;
                    }
                }
            }
            _ => 4,
        })
    }

    /// The names of all nodes but the root, as far as [`initials`] tells them apart. Reads the tree from its front to its end.
    pub(super) fn names(&mut self) -> u32 {
        let mut names = 0;
        self.at = self.header[STRUCTURE];
        loop {
            match self.next() {
                BEGIN_NODE => names |= initials(self.name()),
                PROPERTY | END_NODE | NOP => {}
                _ => return names,
            }
        }
    }

    /// The property read last is the one by which a node says that it is RAM (drivers/of/fdt.c, early_init_dt_scan_memory).
    #[inline(never)]
    pub(super) fn says_ram(&self) -> bool {
        // The value first, of which one word tells it from nearly all others.
        const MEMO: usize = u32::from_be_bytes(*b"memo") as usize;
        self.count() == MEMO && same(b"memory\0", self.value()) && same(b"device_type\0", self.name())
    }

    /// Where the structure block ends.
    fn end(&self) -> usize {
        self.header[STRUCTURE].wrapping_add(self.header[STRUCTURE_SIZE])
    }

    /// The word at that place; 0 behind the end.
    #[inline(never)]
    pub(super) fn word_at(&self, at: usize) -> usize {
        be32(self.bytes, at).unwrap_or(0) as usize
    }

    /// The bytes there, none if not all of them are.
    #[inline(never)]
    pub(super) fn part(&self, at: usize, end: usize) -> &'a [u8] {
        self.bytes.get(at..end).unwrap_or(&[])
    }

    /// The bytes of the tag read last, with what belongs to it.
    pub(super) fn raw(&self) -> &'a [u8] {
        self.part(self.start, self.at)
    }

    /// The name of the node or property read last, and what is behind it; empty for a property without one.
    #[inline(never)]
    pub(super) fn name(&self) -> &'a [u8] {
        match self.tag {
            BEGIN_NODE => self.part(self.start.wrapping_add(4), self.end()),
            _ => self.strings().get(self.name_at..).unwrap_or(&[]),
        }
    }

    /// The value of the property read last.
    pub(super) fn value(&self) -> &'a [u8] {
        let at = self.start.wrapping_add(12);
        self.part(at, at.wrapping_add(self.length))
    }

    /// The value of the property read last as a number.
    #[inline(never)]
    pub(super) fn count(&self) -> usize {
        self.word_at(self.start.wrapping_add(12))
    }

    /// The strings block.
    pub(super) fn strings(&self) -> &'a [u8] {
        self.part(self.header[STRINGS], self.strings_end())
    }

    fn strings_end(&self) -> usize {
        self.header[STRINGS].wrapping_add(self.header[STRINGS_SIZE])
    }

    /// The bit of the node read last in [`Tree::seen`].
    pub(super) fn bit(&self) -> u32 {
        1u32.wrapping_shl((self.start >> 2) as u32)
    }
}

/// One of the word's bytes is 0.
fn has_nul(word: [u8; 4]) -> bool {
    // A byte borrows from its highest bit only when it was 0, or when the byte below it did (Hacker's Delight, 6-1).
    let word = u32::from_ne_bytes(word);
    word.wrapping_sub(0x0101_0101) & !word & 0x8080_8080 != 0
}

/// A bit by the first two bytes of a node's name: names that a node is not to be found under seldom have it.
#[inline(never)]
pub(super) fn initials(name: &[u8]) -> u32 {
    match name {
        [first, second, ..] => 1u32.wrapping_shl(u32::from(*first ^ second << 2)),
        _ => 0,
    }
}

/// `text` is `name`, or `name` with a unit address: so libfdt finds nodes (fdt_nodename_eq_). Both end with NUL; an empty
/// slice is any text.
#[inline(never)]
pub(super) fn same(name: &[u8], text: &[u8]) -> bool {
    for (a, b) in name.iter().zip(text) {
        if *a == 0 {
            return *b == 0 || *b == b'@';
        }
        if a != b {
            return false;
        }
    }
    text.is_empty()
}

/// The bootargs that the kernel would take from a property's value: the bytes before the first NUL, and without a NUL all
/// but the last byte, since arch/mips/kernel/setup.c (bootcmdline_append) copies as into a buffer of the value's length.
pub fn bootargs(property: &[u8]) -> &[u8] {
    let end = find(property, 0).min(property.len().saturating_sub(1));
    property.get(..end).unwrap_or(&[])
}
