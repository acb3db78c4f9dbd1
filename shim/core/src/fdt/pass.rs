//! One loop over a source tree: checks it, learns from it, and copies it with the edits applied.

use super::additions::*;
use super::names::{ALIAS, MEMORY, MEMORY_AT, Names, PHRAM_AT, text_len};
use super::output::Output;
use super::write::Edits;
use super::{BEGIN_NODE, END, END_NODE, HEADER, MAGIC, NOP, PROPERTY, Tree};
use crate::bytes::be32;
use crate::{Code, Error, Result, Subject};

/// Nodes inside one another, the root included.
const MAX_DEPTH: usize = 32;

/// The state of a pass, and what it learned.
pub(super) struct Pass<'a, 'o> {
    /// Which edits are to be made.
    pub(super) edits_on: usize,
    pub(super) edits: &'o Edits<'o>,
    pub(super) numbers: [usize; 16],
    pub(super) names: Names,
    pub(super) out: Output<'o>,
    /// The fields of the header.
    header: [usize; HEADER / 4],
    pub(super) blob: &'a [u8],
    structure: &'a [u8],
    pub(super) strings: &'a [u8],
    /// Offsets in the structure block: of the tag, and of what comes next.
    start: usize,
    at: usize,
    /// Nodes open, and which of them is dropped with all that it has (0: none).
    depth: usize,
    dropped: usize,
    /// The root's child that is open; a bit for each one met.
    place: usize,
    seen: usize,
    /// The innermost node may still have properties.
    properties: bool,
    /// The last number that could not be written.
    pub(super) fault: Option<(Code, usize)>,
    pub(super) count_handoff: usize,
    pub(super) bootargs: Option<&'a [u8]>,
    pub(super) has_memory: bool,
}

/// Reads the tree at the front of `bytes`, and writes it with `edits` to `out` as far as that has room.
///
/// `has_memory` is what an earlier pass learned; it decides on the edit that adds memory.
#[inline(never)]
pub(super) fn pass<'a>(bytes: &'a [u8], edits: &Edits, has_memory: bool, out: &mut [u8]) -> Result<Tree<'a>> {
    let mut pass = Pass {
        edits_on: 0,
        edits,
        numbers: [0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        names: Names::NEW,
        out: Output::new(out),
        header: [0; 10],
        blob: &[],
        structure: &[],
        strings: &[],
        start: 0,
        at: 0,
        depth: 0,
        dropped: 0,
        place: DEEPER,
        seen: 0,
        properties: false,
        fault: None,
        count_handoff: 0,
        bootargs: None,
        has_memory: false,
    };
    pass.edit(has_memory);
    pass.run(bytes)?;
    Ok(Tree {
        blob: pass.blob,
        bootargs: pass.bootargs,
        has_memory: pass.has_memory,
        cells: [pass.numbers[1], pass.numbers[2]],
        size: pass.out.len,
        count_handoff: pass.count_handoff,
    })
}

impl<'a, 'o> Pass<'a, 'o> {
    /// Asks for edits of a tree that has memory or has not.
    fn edit(&mut self, has_memory: bool) {
        let edits = self.edits;
        if edits.bootargs.is_some() {
            self.edits_on |= WITH_LINE;
        }
        if let Some(report) = &edits.report {
            self.edits_on |= WITH_REPORT;
            self.numbers[COUNT] = report.count_entry as usize;
        }
        if let Some(initrd) = edits.initrd {
            self.edits_on |= WITH_INITRD;
            self.numbers[INITRD] = initrd.start();
            self.numbers[INITRD + 1] = initrd.end();
        }
        if let Some((phram, alias)) = edits.phram {
            self.edits_on |= WITH_PHRAM | WITH_RANGES;
            self.numbers[PHRAM_RANGE] = phram.start();
            self.numbers[PHRAM_RANGE + 1] = phram.size();
            self.names.number(PHRAM_AT + 6, phram.start());
            // The hex digits of this number are the decimal digits of `alias`.
            let decimal = usize::from(alias) + 6 * usize::from(alias / 10) + 96 * usize::from(alias / 100);
            self.names.number(ALIAS + 3, decimal);
        }
        if let (Some(memory), false) = (edits.memory, has_memory) {
            self.edits_on |= WITH_MEMORY;
            self.numbers[MEMORY_RANGE] = memory.start();
            self.numbers[MEMORY_RANGE + 1] = memory.size();
            self.names.number(MEMORY_AT + 7, memory.start());
        }
    }

    /// Reads `bytes` and writes the new tree.
    fn run(&mut self, bytes: &'a [u8]) -> Result<()> {
        let done = self.blocks(bytes);
        let (mut code, mut value) = (Code::TreeHeader, self.header[0]);
        if done.is_some() {
            let done = self.walk();
            (code, value) = (Code::TreeStructure, self.start);
            if done.is_some() {
                match self.fault {
                    None => return Ok(()),
                    Some(fault) => (code, value) = fault,
                }
            }
        }
        Err(Error::new(code, Subject::Dtb, value))
    }

    /// Checks the header (Devicetree Specification 5.2), finds the blocks, and copies the memory reservations.
    fn blocks(&mut self, bytes: &'a [u8]) -> Option<()> {
        for (word, field) in self.header.iter_mut().zip(bytes.as_chunks().0) {
            *word = u32::from_be_bytes(*field) as usize;
        }
        let [
            magic,
            total,
            structure_at,
            strings_at,
            reservations_at,
            version,
            compatible,
            _,
            strings_size,
            structure_size,
        ] = self.header;
        self.blob = part(bytes, 0, total)?;
        self.strings = part(self.blob, strings_at, strings_size)?;
        let head = part(self.blob, 0, strings_at)?;
        self.structure = part(head, structure_at, structure_size)?;
        let mut reservations = part(head, reservations_at, structure_at.wrapping_sub(reservations_at))?;
        self.out.len = HEADER;
        loop {
            let (entry, rest) = reservations.split_first_chunk::<16>()?;
            self.out.bytes(entry);
            // The entry with size 0 is the last one (drivers/of/fdt.c, early_init_fdt_scan_reserved_mem).
            if entry.last_chunk() == Some(&[0; 8]) {
                break;
            }
            reservations = rest;
        }
        let sound = magic == MAGIC as usize
            && version >= 17
            && compatible <= 17
            && reservations_at >= HEADER
            && structure_at & 3 == 0
            // So that every offset inside the block is the start of a name that ends.
            && self.strings.last().is_none_or(|last| *last == 0);
        sound.then_some(())
    }

    /// Walks the structure block, then writes what is behind it and the header.
    fn walk(&mut self) -> Option<()> {
        let structure_at = self.out.len;
        loop {
            self.step()?;
            if self.depth == 0 {
                break;
            }
        }
        self.start = self.at;
        if self.word() != END {
            return None;
        }
        self.out.be32(END);
        let strings_at = self.out.len;
        self.out.bytes(self.strings);
        self.out.bytes(self.names.properties());
        let strings_end = self.out.len;
        self.out.align(8);
        let size = self.out.len;
        self.header[1] = size;
        self.header[2] = structure_at;
        self.header[3] = strings_at;
        self.header[4] = HEADER;
        self.header[5] = 17;
        self.header[6] = 16;
        self.header[8] = strings_end.wrapping_sub(strings_at);
        self.header[9] = strings_at.wrapping_sub(structure_at);
        self.out.len = 0;
        for word in &self.header {
            self.out.be32(*word as u32);
        }
        self.out.len = size;
        Some(())
    }

    /// One tag; `None` when it is not sound.
    #[inline(never)]
    fn step(&mut self) -> Option<()> {
        self.start = self.at;
        let tag = self.word();
        if self.depth == 0 && tag != BEGIN_NODE {
            return None;
        }
        let mut keep = self.dropped == 0;
        let mut here = DEEPER;
        if self.depth == 2 {
            here = self.place;
        }
        if self.depth == 1 {
            here = IN_ROOT;
        }
        if tag == BEGIN_NODE || tag == END_NODE {
            if self.properties && here < IN_ROOT {
                self.add(here);
            }
            self.properties = tag == BEGIN_NODE;
        }
        match tag {
            BEGIN_NODE => {
                let name = self.take(text_len(self.structure.get(self.at..)?))?;
                if self.depth >= MAX_DEPTH {
                    return None;
                }
                self.depth = self.depth.wrapping_add(1);
                let what = self.find(here | NODE, name);
                if here == IN_ROOT {
                    self.place = IN_CHILD;
                }
                if what >= PLACE {
                    let bit = 1 << (what & 7);
                    if self.seen & bit == 0 {
                        self.place = what - PLACE;
                        self.seen |= bit;
                    }
                } else if what != 0 {
                    self.dropped = self.depth;
                    keep = false;
                }
            }
            END_NODE => {
                if here == IN_ROOT {
                    self.finish();
                }
                if self.depth == self.dropped {
                    self.dropped = 0;
                }
                self.depth = self.depth.wrapping_sub(1);
            }
            PROPERTY if self.properties => {
                let length = self.word() as usize;
                let (_, name) = self.strings.split_at_checked(self.word() as usize)?;
                let value = self.take(length)?;
                if name.is_empty() {
                    return None;
                }
                let what = self.find(here, name);
                match what {
                    0 => {}
                    HAS_LINE => {
                        if self.bootargs.is_none() {
                            self.bootargs = Some(value);
                        }
                    }
                    HAS_TYPE => {
                        if self.names.same(value, MEMORY) {
                            self.has_memory = true;
                        }
                    }
                    HAS_RANGES => self.edits_on &= !WITH_RANGES,
                    COUNTS.. => {
                        let count = be32(value, 0).unwrap_or(0) as usize;
                        let cells = &mut self.numbers[(what & 1) + ROOT_CELLS];
                        if what < SAME_COUNTS {
                            *cells = count;
                        } else {
                            // It is written again, with the same value.
                            keep = false;
                            if *cells != count {
                                self.fault = Some((Code::TreeCells, count));
                            }
                        }
                    }
                    _ => keep = false,
                }
            }
            NOP => {}
            _ => return None,
        }
        let raw = part(self.structure, self.start, self.at.wrapping_sub(self.start))?;
        if keep {
            self.out.bytes(raw);
        }
        Some(())
    }

    /// The next word of the structure block; 0, which is no tag, behind its end.
    #[inline(never)]
    fn word(&mut self) -> u32 {
        let word = be32(self.structure, self.at);
        self.at = self.at.wrapping_add(4);
        word.unwrap_or(0)
    }

    /// The next bytes of the structure block; names and values are padded to a multiple of 4.
    #[inline(never)]
    fn take(&mut self, size: usize) -> Option<&'a [u8]> {
        let bytes = part(self.structure, self.at, size);
        self.at = self.at.wrapping_add(size).wrapping_add(3) & !3;
        bytes
    }

    /// What is to be added to the root, before its end.
    fn finish(&mut self) {
        for (place, name) in PLACES.iter().enumerate() {
            let before = self.out.len;
            self.begin(*name);
            let inside = self.out.len;
            if self.seen & 1 << place == 0 {
                self.add(place);
            }
            if self.out.len == inside {
                self.out.len = before;
            } else {
                self.out.be32(END_NODE);
            }
        }
        self.add(IN_ROOT);
    }
}

/// `size` bytes at `at`, if that many are there.
#[inline(never)]
fn part(bytes: &[u8], at: usize, size: usize) -> Option<&[u8]> {
    bytes.get(at..at.wrapping_add(size))
}
