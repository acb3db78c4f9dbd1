//! One pass over the base tree: checks it and copies it, with the overlay in it.

use super::output::Output;
use super::tree::{STRINGS, STRINGS_SIZE, STRUCTURE, STRUCTURE_SIZE, TOTAL, initials};
use super::{BEGIN_NODE, END, END_NODE, NOP, PROPERTY, SPOKEN, Tree};
use crate::{Code, Error, Result, Subject};

/// As many nodes of the overlay inside one another, with one that is none.
const LEVELS: usize = 8;
/// In [`Tree::seen`]: the node of the overlay for RAM, which begins at the word of that number.
pub(super) const MEMORY: u32 = 1;

/// Where `count-entry` and `count-handoff` have their values, from the value of `slot` on: the overlay has these three
/// one behind the other.
pub const COUNT_ENTRY: usize = 16;
/// See [`COUNT_ENTRY`].
pub const COUNT_HANDOFF: usize = 32;

/// Two trees on their way to one.
pub struct Merge<'a, 'o> {
    /// Where most of it comes from.
    pub base: Tree<'a>,
    /// What is added.
    pub overlay: Tree<'o>,
    out: Output<'o>,
    /// Where in the base what is still to be copied begins.
    copied: usize,
    room: usize,
    texts: &'o [&'o [u8]],
    /// Nodes of the overlay that are open, the innermost at `level`: where their content begins.
    open: [usize; LEVELS],
    level: usize,
    /// Where in the final tree the value of `bootargs` is, from its first byte; 0 if the overlay has none.
    pub line: usize,
    /// Where the value of the last of the report's texts is, the slot; 0 if the overlay has no report.
    pub slot: usize,
}

impl<'a, 'o> Merge<'a, 'o> {
    /// Of `base` and `overlay`, to the front of `out`.
    pub fn new(base: &'a [u8], overlay: &'o [u8], out: &'o mut [u8]) -> Self {
        let (base, overlay) = (Tree::new(base), Tree::new(overlay));
        let room = out.len();
        Merge {
            base,
            overlay,
            out: Output::new(out),
            copied: 0,
            room,
            texts: &[],
            open: [0; LEVELS],
            level: 0,
            line: 0,
            slot: 0,
        }
    }

    /// Bytes of the final tree.
    pub fn size(&self) -> usize {
        self.out.len
    }

    /// Writes the final tree. After an error its bytes mean nothing.
    ///
    /// A node that both have has the properties of both, and where they have the same one, the overlay's. What only the
    /// overlay has is added. `texts` are, in this order: what is put behind the bootargs of the overlay (two pieces),
    /// verdict, entry and slot, each without NUL; they are used only as far as the overlay has such a property.
    ///
    /// # Errors
    /// [`Code::TreeHeader`]: see [`Tree::read`];
    /// [`Code::TreeStructure`] (value: offset in the structure block) for an unknown tag, a name without end, a property
    /// beyond the block, behind a child node or without a name, nodes that do not pair up, and a missing end;
    /// [`Code::TreeCells`] (value: the count found) where `base` has other #address-cells or #size-cells than the overlay;
    /// [`Code::TreeRoom`] (value: bytes of `out`).
    #[inline(always)] // One caller, and so 30 bytes smaller.
    pub fn write(&mut self, texts: &'o [&'o [u8]]) -> Result<()> {
        self.texts = texts;
        self.open[0] = self.overlay.header[STRUCTURE];
        self.base.read()?;
        let (code, value) = match self.walk() {
            Ok(()) if self.out.len <= self.room => return Ok(()),
            Ok(()) => (Code::TreeRoom, self.room),
            Err(Code::TreeCells) => (Code::TreeCells, self.base.count()),
            Err(code) => (code, self.base.start.wrapping_sub(self.base.header[STRUCTURE])),
        };
        Err(Error::new(code, Subject::Dtb, value))
    }

    /// Copies the base with the overlay in it; says what is the matter at the tag that was read last.
    fn walk(&mut self) -> core::result::Result<(), Code> {
        let names = self.overlay.names();
        let (mut depth, mut properties) = (0usize, false);
        loop {
            let tag = self.base.next();
            let both = self.level == depth;
            if tag == BEGIN_NODE {
                // The root is the root, whatever its name.
                let name = if depth == 0 { &[] } else { self.base.name() };
                if both
                    && (depth == 0 || names & initials(name) != 0)
                    && self.overlay.find(self.content(), BEGIN_NODE, name)
                {
                    let content = self.base.at;
                    let ram = self.overlay.bit() == MEMORY
                        && self.base.find(content, PROPERTY, b"device_type\0")
                        && self.base.says_ram();
                    self.base.at = content;
                    if !ram {
                        self.copy(content);
                        self.begin();
                    }
                }
                depth = depth.wrapping_add(1);
                properties = true;
                continue;
            }
            if depth == 0 {
                return Err(Code::TreeStructure);
            }
            if tag == PROPERTY && properties {
                if self.base.name_at >= self.base.header[STRINGS_SIZE] {
                    return Err(Code::TreeStructure);
                }
                if depth == 2 && self.base.says_ram() {
                    self.overlay.seen |= MEMORY;
                }
                if both {
                    let name = self.base.name();
                    if self.overlay.find(self.content(), PROPERTY, name) {
                        if name.first() == Some(&b'#') && self.base.count() != self.overlay.count() {
                            return Err(Code::TreeCells);
                        }
                        self.copy(self.base.start);
                        self.copied = self.base.at;
                    }
                }
            } else if tag == END_NODE {
                if both {
                    self.copy(self.base.start);
                    self.end();
                }
                depth = depth.wrapping_sub(1);
                properties = false;
                if depth == 0 {
                    break;
                }
            } else if tag != NOP {
                return Err(Code::TreeStructure);
            }
        }
        self.copy(self.base.at);
        if self.base.next() != END {
            return Err(Code::TreeStructure);
        }
        self.out.be32(END);
        let strings = self.out.len;
        self.out.bytes(self.base.strings());
        self.out.bytes(self.overlay.strings());
        self.out.patch(STRINGS_SIZE * 4, self.out.len.wrapping_sub(strings));
        self.out.align(8);
        self.out.patch(TOTAL * 4, self.out.len);
        self.out.patch(STRINGS * 4, strings);
        self.out.patch(STRUCTURE_SIZE * 4, strings.wrapping_sub(self.base.header[STRUCTURE]));
        Ok(())
    }

    /// Copies what the base has up to `end` and has not been copied: header and reservations as well, and most of the tree in one go.
    #[inline(never)]
    fn copy(&mut self, end: usize) {
        self.out.bytes(self.base.part(self.copied, end));
        self.copied = end;
    }

    fn content(&self) -> usize {
        self.open[self.level & (LEVELS - 1)]
    }

    /// Opens the node that was found in the overlay, and writes its properties.
    fn begin(&mut self) {
        self.overlay.seen |= self.overlay.bit();
        self.level = self.level.wrapping_add(1);
        self.open[self.level & (LEVELS - 1)] = self.overlay.at;
        self.properties();
    }

    /// Writes the properties of the node of the overlay that was read last. What comes next is the tag behind them.
    #[inline(never)]
    fn properties(&mut self) {
        while self.overlay.next() == PROPERTY {
            let name = self.overlay.name_at;
            let start = self.out.len;
            let value = start.wrapping_add(12);
            self.out.bytes(self.overlay.raw());
            // The overlay's strings come behind the base's.
            self.out.patch(start.wrapping_add(8), self.base.header[STRINGS_SIZE].wrapping_add(name));
            if name < SPOKEN.len() {
                // The end of a text comes behind what is added to it.
                self.out.len = value.wrapping_add(self.overlay.length).wrapping_sub(1);
                self.slot = value;
                if name == 0 {
                    self.line = value;
                    self.speak();
                }
                self.speak();
                self.out.bytes(&[0]);
                self.out.patch(start.wrapping_add(4), self.out.len.wrapping_sub(value));
                self.out.align(4);
            }
        }
        self.overlay.at = self.overlay.start;
    }

    /// Writes the next text.
    #[inline(never)]
    fn speak(&mut self) {
        if let Some((text, rest)) = self.texts.split_first() {
            self.texts = rest;
            self.out.bytes(text);
        }
    }

    /// Writes the open node's children that only the overlay has, with all that is in them, and closes it.
    #[inline(never)]
    fn end(&mut self) {
        self.overlay.at = self.content();
        // Nodes that are open in there: written, and left out since the base had them.
        let (mut written, mut left_out) = (0usize, 0usize);
        loop {
            match self.overlay.next() {
                BEGIN_NODE if left_out != 0 || written == 0 && self.overlay.seen & self.overlay.bit() != 0 => {
                    left_out = left_out.wrapping_add(1);
                }
                BEGIN_NODE => {
                    written = written.wrapping_add(1);
                    self.out.bytes(self.overlay.raw());
                    self.properties();
                }
                PROPERTY | NOP => {}
                _ if left_out != 0 => left_out = left_out.wrapping_sub(1),
                _ if written != 0 => {
                    written = written.wrapping_sub(1);
                    self.out.be32(END_NODE);
                }
                _ => break,
            }
        }
        self.level = self.level.wrapping_sub(1);
    }
}

/// Checks the tree at the front of `bytes` from its first byte to its last, and gives its size in bytes: for the host,
/// which wants to know before anything is merged.
///
/// # Errors
/// As [`Merge::write`], without those about cells and room.
pub fn check(bytes: &[u8]) -> Result<usize> {
    let mut merge = Merge::new(bytes, &[], &mut []);
    match merge.write(&[]) {
        Err(error) if error.code() != Code::TreeRoom => Err(error),
        _ => Ok(merge.base.size()),
    }
}
