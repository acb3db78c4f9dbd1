//! What each edit adds to the tree, what of the source it replaces, and what a pass wants to know: one table for all.

use super::names::{
    ADDRESS_CELLS, ALIAS, ALIASES, BOOTARGS, CHOSEN, CHOSEN_0, COMPATIBLE, COUNT_ENTRY, COUNT_HANDOFF, DEVICE_TYPE,
    ENTRY, INITRD_END, INITRD_START, LABEL, MEMORY, MEMORY_AT, Name, PATH, PHRAM, PHRAM_AT, RANGES, REG, RESERVED,
    ROOTFS, SIZE_CELLS, SLOT, STOOP, VERDICT, VERSION,
};
use super::pass::Pass;
use super::{BEGIN_NODE, END_NODE, PROPERTY};
use crate::Code;

// Where: a node of the source, the first three in the order of [`PLACES`],
pub(super) const IN_CHOSEN: usize = 0;
pub(super) const IN_ALIASES: usize = 1;
pub(super) const IN_RESERVED: usize = 2;
pub(super) const IN_ROOT: usize = 3;
/// or another child of the root,
pub(super) const IN_CHILD: usize = 4;
/// or anything below those, of which the table has nothing.
pub(super) const DEEPER: usize = 5;
/// Plus: about a child, not a property.
pub(super) const NODE: usize = 8;
/// Plus: belongs to the child that the last such line adds.
const INSIDE: usize = 16;
/// Plus: not added, only looked for.
const FACT: usize = 32;

/// The root's children that the writer makes when they are missing.
pub(super) const PLACES: [Name; 3] = [CHOSEN, ALIASES, RESERVED];

// When: always, or with an edit.
const ALWAYS: usize = 0;
pub(super) const WITH_LINE: usize = 1;
pub(super) const WITH_INITRD: usize = 2;
pub(super) const WITH_REPORT: usize = 4;
pub(super) const WITH_PHRAM: usize = 8;
/// `ranges` of /reserved-memory: as phram, until the source turns out to have it.
pub(super) const WITH_RANGES: usize = 16;
pub(super) const WITH_MEMORY: usize = 32;

// What: how to write it,
const OPEN: usize = 1;
const CLOSE: usize = 2;
const NOTHING: usize = 3;
/// the new bootargs,
const LINE: usize = 4;
/// plus an index: a text of the pool,
const TEXT: usize = 8;
const TEXTS: [Name; 4] = [PATH, PHRAM, ROOTFS, MEMORY];
/// plus an index: a text of the report,
const SAY: usize = 12;
/// plus the index of a number of the pass: that number in one cell,
const CELL: usize = 16;
/// an address in the root's cells,
const ADDRESS: usize = 32;
/// or an address and the size that follows it;
const REGION: usize = 48;
/// or what it means for a pass to find it: the place's own node,
pub(super) const PLACE: usize = 64;
/// a cell count of the root, or one that must be the same,
pub(super) const COUNTS: usize = 68;
pub(super) const SAME_COUNTS: usize = 70;
/// and the rest by their names.
pub(super) const HAS_RANGES: usize = 72;
pub(super) const HAS_LINE: usize = 73;
pub(super) const HAS_TYPE: usize = 74;

// The numbers of a pass.
pub(super) const ZERO: usize = 0;
pub(super) const ROOT_CELLS: usize = 1;
pub(super) const INITRD: usize = 3;
pub(super) const PHRAM_RANGE: usize = 5;
pub(super) const MEMORY_RANGE: usize = 7;
pub(super) const COUNT: usize = 9;

/// Where, when, under which name, what.
struct Entry(u8, u8, Name, u8);

const fn entry(place: usize, edit: usize, name: Name, what: usize) -> Entry {
    Entry(place as u8, edit as u8, name, what as u8)
}

/// The first line that fits what was found counts: what is replaced comes before what is only looked at.
const TABLE: [Entry; 35] = [
    entry(IN_CHOSEN, WITH_LINE, BOOTARGS, LINE),
    entry(IN_CHOSEN, WITH_INITRD, INITRD_START, ADDRESS + INITRD),
    entry(IN_CHOSEN, WITH_INITRD, INITRD_END, ADDRESS + INITRD + 1),
    entry(IN_CHOSEN + NODE, WITH_REPORT, STOOP, OPEN),
    entry(IN_CHOSEN + INSIDE, WITH_REPORT, VERSION, SAY),
    entry(IN_CHOSEN + INSIDE, WITH_REPORT, VERDICT, SAY + 1),
    entry(IN_CHOSEN + INSIDE, WITH_REPORT, ENTRY, SAY + 2),
    entry(IN_CHOSEN + INSIDE, WITH_REPORT, SLOT, SAY + 3),
    entry(IN_CHOSEN + INSIDE, WITH_REPORT, COUNT_ENTRY, CELL + COUNT),
    entry(IN_CHOSEN + INSIDE, WITH_REPORT, COUNT_HANDOFF, CELL + ZERO),
    entry(IN_CHOSEN + INSIDE, WITH_REPORT, 0, CLOSE),
    entry(IN_CHOSEN + FACT, ALWAYS, BOOTARGS, HAS_LINE),
    entry(IN_ALIASES, WITH_PHRAM, ALIAS, TEXT),
    entry(IN_RESERVED + FACT, WITH_PHRAM, ADDRESS_CELLS, SAME_COUNTS),
    entry(IN_RESERVED + FACT, WITH_PHRAM, SIZE_CELLS, SAME_COUNTS + 1),
    entry(IN_RESERVED + FACT, WITH_PHRAM, RANGES, HAS_RANGES),
    entry(IN_RESERVED, WITH_PHRAM, ADDRESS_CELLS, CELL + ROOT_CELLS),
    entry(IN_RESERVED, WITH_PHRAM, SIZE_CELLS, CELL + ROOT_CELLS + 1),
    entry(IN_RESERVED, WITH_RANGES, RANGES, NOTHING),
    entry(IN_RESERVED + NODE, WITH_PHRAM, PHRAM_AT, OPEN),
    entry(IN_RESERVED + INSIDE, WITH_PHRAM, COMPATIBLE, TEXT + 1),
    entry(IN_RESERVED + INSIDE, WITH_PHRAM, LABEL, TEXT + 2),
    entry(IN_RESERVED + INSIDE, WITH_PHRAM, REG, REGION + PHRAM_RANGE),
    entry(IN_RESERVED + INSIDE, WITH_PHRAM, 0, CLOSE),
    entry(IN_ROOT + NODE, WITH_MEMORY, MEMORY_AT, OPEN),
    entry(IN_ROOT + INSIDE, WITH_MEMORY, DEVICE_TYPE, TEXT + 3),
    entry(IN_ROOT + INSIDE, WITH_MEMORY, REG, REGION + MEMORY_RANGE),
    entry(IN_ROOT + INSIDE, WITH_MEMORY, 0, CLOSE),
    entry(IN_ROOT + FACT, ALWAYS, ADDRESS_CELLS, COUNTS),
    entry(IN_ROOT + FACT, ALWAYS, SIZE_CELLS, COUNTS + 1),
    entry(IN_ROOT + NODE + FACT, ALWAYS, CHOSEN, PLACE + IN_CHOSEN),
    entry(IN_ROOT + NODE + FACT, ALWAYS, CHOSEN_0, PLACE + IN_CHOSEN),
    entry(IN_ROOT + NODE + FACT, ALWAYS, ALIASES, PLACE + IN_ALIASES),
    entry(IN_ROOT + NODE + FACT, ALWAYS, RESERVED, PLACE + IN_RESERVED),
    entry(IN_CHILD + FACT, ALWAYS, DEVICE_TYPE, HAS_TYPE),
];

impl Pass<'_, '_> {
    /// What the table says of the source's property or node `name` at that place; 0 if nothing.
    #[inline(never)]
    pub(super) fn find(&self, place: usize, name: &[u8]) -> usize {
        // Most of a tree is there.
        if place & DEEPER == DEEPER {
            return 0;
        }
        for Entry(at, edit, own, what) in &TABLE {
            let (at, edit, what) = (usize::from(*at), usize::from(*edit), usize::from(*what));
            if at & !FACT == place && self.edits_on & edit == edit && self.names.same(name, *own) {
                return what;
            }
        }
        0
    }

    /// Writes what belongs into `place`, behind its own properties.
    #[inline(never)]
    pub(super) fn add(&mut self, place: usize) {
        for Entry(at, edit, name, what) in &TABLE {
            let (at, edit, what) = (usize::from(*at), usize::from(*edit), usize::from(*what));
            if at & !(NODE | INSIDE) != place || self.edits_on & edit == 0 {
                continue;
            }
            if what == OPEN {
                self.begin(*name);
                continue;
            }
            if what == CLOSE {
                self.out.be32(END_NODE);
                continue;
            }
            self.out.be32(PROPERTY);
            let start = self.out.len;
            self.out.be32(0);
            self.out.be32((self.strings.len() as u32).wrapping_add(u32::from(*name)));
            self.value(what);
            // The length is known now.
            let end = self.out.len;
            self.out.len = start;
            self.out.be32(end.wrapping_sub(start).wrapping_sub(8) as u32);
            self.out.len = end;
            self.out.align(4);
        }
    }

    fn value(&mut self, what: usize) {
        if what >= CELL {
            let number = what & 15;
            let address = self.number_at(ROOT_CELLS);
            if number == ZERO {
                self.count_handoff = self.out.len;
            }
            self.number(number, if what < ADDRESS { 1 } else { address });
            if what >= REGION {
                self.number(number + 1, self.number_at(ROOT_CELLS + 1));
            }
        } else if what >= SAY {
            let Some(report) = &self.edits.report else { return };
            let texts = [report.version, report.verdict, report.entry, core::slice::from_ref(&report.slot)];
            if let Some(text) = texts.get(what - SAY) {
                self.pieces(core::slice::from_ref(text));
            }
        } else if what >= TEXT {
            self.text(TEXTS.get(what - TEXT).copied().unwrap_or(0));
        } else if what == LINE {
            self.pieces(self.edits.bootargs.unwrap_or_default());
        }
    }

    /// Begins a node.
    #[inline(never)]
    pub(super) fn begin(&mut self, name: Name) {
        self.out.be32(BEGIN_NODE);
        self.text(name);
        self.out.align(4);
    }

    /// A text of the pool with its NUL.
    #[inline(never)]
    fn text(&mut self, name: Name) {
        for byte in self.names.get(name) {
            self.out.bytes(core::slice::from_ref(byte));
            if *byte == 0 {
                break;
            }
        }
    }

    /// The pieces, then NUL.
    #[inline(never)]
    fn pieces(&mut self, pieces: &[&[u8]]) {
        for piece in pieces {
            self.out.bytes(piece);
        }
        self.out.bytes(&[0]);
    }

    fn number_at(&self, index: usize) -> usize {
        self.numbers[index & 15]
    }

    #[inline(never)]
    fn number(&mut self, index: usize, cells: usize) {
        let number = self.number_at(index);
        let high = (number as u64 >> 32) as u32;
        if cells == 2 {
            self.out.be32(high);
        } else if cells != 1 {
            self.fault = Some((Code::TreeCells, cells));
        } else if high != 0 {
            self.fault = Some((Code::TreeAddress, number));
        }
        self.out.be32(number as u32);
    }
}
