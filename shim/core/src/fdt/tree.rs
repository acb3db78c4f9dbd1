//! The checked reader: a header, and one tag after the other. Places are offsets from the blob's first byte.

use super::{BEGIN_NODE, HEADER, MAGIC, NOP, PROPERTY};
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
    /// Nodes that are not to be found any more, by [`Tree::bit`].
    pub(super) seen: u32,
}

impl<'a> Tree<'a> {
    /// The tree at the front of `bytes`, which may be longer; not read yet.
    pub fn new(bytes: &'a [u8]) -> Self {
        Tree { bytes, header: [0; HEADER / 4], start: 0, at: 0, seen: 0 }
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
        let mut tag = self.word_at(self.at);
        let (mut size, mut head) = (0, 4usize);
        if tag == PROPERTY {
            (size, head) = (self.length(), 12);
        }
        if tag == BEGIN_NODE {
            size = find(self.name(), 0).wrapping_add(1);
        }
        let end = self.end();
        // Before anything is added to it: where usize has 32 bits, a size can be as large as that.
        let fits = size <= end.wrapping_sub(self.at);
        // Names and values are padded to a multiple of 4.
        self.at = self.at.wrapping_add(head).wrapping_add(size).wrapping_add(3) & !3;
        if !fits || self.at > end {
            self.at = end;
            tag = 0;
        }
        tag
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
        let (at, end) = match self.word_at(self.start) {
            BEGIN_NODE => (self.start.wrapping_add(4), self.end()),
            // Behind the strings there is no name; nor is there one that wraps around to somewhere else.
            _ => (self.name_at().min(self.header[STRINGS_SIZE]).wrapping_add(self.header[STRINGS]), self.strings_end()),
        };
        self.part(at, end)
    }

    /// Of the property read last: where its name is in the strings block.
    pub(super) fn name_at(&self) -> usize {
        self.word_at(self.start.wrapping_add(8))
    }

    /// Bytes of the value of the property read last.
    pub(super) fn length(&self) -> usize {
        self.word_at(self.start.wrapping_add(4))
    }

    /// The value of the property read last.
    pub(super) fn value(&self) -> &'a [u8] {
        let at = self.start.wrapping_add(12);
        self.part(at, at.wrapping_add(self.length()))
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
