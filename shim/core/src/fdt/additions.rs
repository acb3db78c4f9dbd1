//! What each edit adds to the tree, what of the source it replaces, and what a pass wants to know: one table for all.

use super::names::{
    ADDRESS_CELLS, ALIAS, ALIASES, BOOTARGS, CHOSEN, CHOSEN_0, COMPATIBLE, COUNT_ENTRY, COUNT_HANDOFF, DEVICE_TYPE,
    ENTRY, INITRD_END, INITRD_START, LABEL, MEMORY, MEMORY_AT, Name, PATH, PHRAM, PHRAM_AT, RANGES, REG, RESERVED,
    ROOTFS, SIZE_CELLS, SLOT, STOOP, VERDICT, VERSION,
};
use super::pass::Pass;
use super::{BEGIN_NODE, END_NODE, PROPERTY};
use crate::Code;

// Where: a node of the source.
pub(super) const IN_CHOSEN: u8 = 0;
pub(super) const IN_ALIASES: u8 = 1;
pub(super) const IN_RESERVED: u8 = 2;
pub(super) const IN_ROOT: u8 = 3;
/// Another child of the root.
pub(super) const IN_CHILD: u8 = 4;
pub(super) const DEEPER: u8 = 5;
/// Added there: a child, not a property.
pub(super) const NODE: u8 = 8;
/// Belongs to the added child before it.
const INSIDE: u8 = 16;
/// Not added, only looked for.
const FACT: u8 = 32;

/// The nodes of the first three, in their order.
pub(super) const PLACES: [Name; 3] = [CHOSEN, ALIASES, RESERVED];

// When: an edit, or always.
const ALWAYS: u8 = 0;
pub(super) const LINE: u8 = 1;
pub(super) const INITRD: u8 = 2;
pub(super) const REPORT: u8 = 4;
pub(super) const PHRAM_: u8 = 8;
/// `ranges` of /reserved-memory: never replaced.
pub(super) const NO_RANGES: u8 = 16;
pub(super) const MEMORY_: u8 = 32;

// What: something to write,
const BEGIN: u8 = 1;
const END: u8 = 2;
const NOTHING: u8 = 3;
const PIECES: u8 = 4;
const TEXT: u8 = 8;
/// Texts of the pool for `TEXT`, `TEXT + 1`…
const TEXTS: [Name; 4] = [PATH, PHRAM, ROOTFS, MEMORY];
/// The report's texts.
const SAY: u8 = 12;
/// With an index below 16: a number in one cell,
const CELL: u8 = 16;
/// an address in the root's cells,
const ADDRESS: u8 = 32;
/// an address and the size behind it.
const REGION: u8 = 48;
// or a fact that was found.
pub(super) const PLACE: u8 = 64;
pub(super) const CELLS: u8 = 68;
pub(super) const CHECK: u8 = 70;
pub(super) const HAS_RANGES: u8 = 72;
pub(super) const HAS_LINE: u8 = 73;
pub(super) const HAS_TYPE: u8 = 74;

// The numbers of a pass.
pub(super) const ZERO: u8 = 0;
pub(super) const ROOT_CELLS: u8 = 1;
pub(super) const INITRD_FROM: u8 = 3;
pub(super) const PHRAM_FROM: u8 = 5;
pub(super) const MEMORY_FROM: u8 = 7;
pub(super) const COUNT: u8 = 9;

/// Where, when, under which name, what.
struct Entry(u8, u8, Name, u8);

const TABLE: [Entry; 35] = [
    Entry(IN_CHOSEN, LINE, BOOTARGS, PIECES),
    Entry(IN_CHOSEN, INITRD, INITRD_START, ADDRESS + INITRD_FROM),
    Entry(IN_CHOSEN, INITRD, INITRD_END, ADDRESS + INITRD_FROM + 1),
    Entry(IN_CHOSEN + NODE, REPORT, STOOP, BEGIN),
    Entry(IN_CHOSEN + INSIDE, REPORT, VERSION, SAY),
    Entry(IN_CHOSEN + INSIDE, REPORT, VERDICT, SAY + 1),
    Entry(IN_CHOSEN + INSIDE, REPORT, ENTRY, SAY + 2),
    Entry(IN_CHOSEN + INSIDE, REPORT, SLOT, SAY + 3),
    Entry(IN_CHOSEN + INSIDE, REPORT, COUNT_ENTRY, CELL + COUNT),
    Entry(IN_CHOSEN + INSIDE, REPORT, COUNT_HANDOFF, CELL + ZERO),
    Entry(IN_CHOSEN + INSIDE, REPORT, 0, END),
    Entry(IN_CHOSEN + FACT, ALWAYS, BOOTARGS, HAS_LINE),
    Entry(IN_ALIASES, PHRAM_, ALIAS, TEXT),
    Entry(IN_RESERVED + FACT, PHRAM_, ADDRESS_CELLS, CHECK),
    Entry(IN_RESERVED + FACT, PHRAM_, SIZE_CELLS, CHECK + 1),
    Entry(IN_RESERVED + FACT, PHRAM_, RANGES, HAS_RANGES),
    Entry(IN_RESERVED, PHRAM_, ADDRESS_CELLS, CELL + ROOT_CELLS),
    Entry(IN_RESERVED, PHRAM_, SIZE_CELLS, CELL + ROOT_CELLS + 1),
    Entry(IN_RESERVED, NO_RANGES, RANGES, NOTHING),
    Entry(IN_RESERVED + NODE, PHRAM_, PHRAM_AT, BEGIN),
    Entry(IN_RESERVED + INSIDE, PHRAM_, COMPATIBLE, TEXT + 1),
    Entry(IN_RESERVED + INSIDE, PHRAM_, LABEL, TEXT + 2),
    Entry(IN_RESERVED + INSIDE, PHRAM_, REG, REGION + PHRAM_FROM),
    Entry(IN_RESERVED + INSIDE, PHRAM_, 0, END),
    Entry(IN_ROOT + NODE, MEMORY_, MEMORY_AT, BEGIN),
    Entry(IN_ROOT + INSIDE, MEMORY_, DEVICE_TYPE, TEXT + 3),
    Entry(IN_ROOT + INSIDE, MEMORY_, REG, REGION + MEMORY_FROM),
    Entry(IN_ROOT + INSIDE, MEMORY_, 0, END),
    Entry(IN_ROOT + FACT, ALWAYS, ADDRESS_CELLS, CELLS),
    Entry(IN_ROOT + FACT, ALWAYS, SIZE_CELLS, CELLS + 1),
    Entry(IN_ROOT + NODE + FACT, ALWAYS, CHOSEN, PLACE + IN_CHOSEN),
    Entry(IN_ROOT + NODE + FACT, ALWAYS, CHOSEN_0, PLACE + IN_CHOSEN),
    Entry(IN_ROOT + NODE + FACT, ALWAYS, ALIASES, PLACE + IN_ALIASES),
    Entry(IN_ROOT + NODE + FACT, ALWAYS, RESERVED, PLACE + IN_RESERVED),
    Entry(IN_CHILD + FACT, ALWAYS, DEVICE_TYPE, HAS_TYPE),
];

impl Pass<'_, '_> {
    /// What the table says of the source's property or node `name` at that place; 0 if nothing.
    #[inline(never)]
    pub(super) fn find(&self, place: u8, name: &[u8]) -> u8 {
        // Most of a tree is there.
        if place & DEEPER == DEEPER {
            return 0;
        }
        for Entry(at, edit, own, what) in &TABLE {
            if *at & !FACT == place && self.edits_on & *edit == *edit && self.names.same(name, *own) {
                return *what;
            }
        }
        0
    }

    /// Writes what belongs into `place`, behind its own properties.
    #[inline(never)]
    pub(super) fn add(&mut self, place: u8) {
        for Entry(at, edit, name, what) in &TABLE {
            if *at & !(NODE | INSIDE) != place || self.edits_on & *edit == 0 {
                continue;
            }
            if *what == BEGIN {
                self.begin(*name);
                continue;
            }
            if *what == END {
                self.out.be32(END_NODE);
                continue;
            }
            self.out.be32(PROPERTY);
            let start = self.out.len;
            self.out.be32(0);
            self.out.be32((self.strings.len() as u32).wrapping_add(u32::from(*name)));
            self.value(*what);
            // The length is known now.
            let end = self.out.len;
            self.out.len = start;
            self.out.be32(end.wrapping_sub(start).wrapping_sub(8) as u32);
            self.out.len = end;
            self.out.align(4);
        }
    }

    fn value(&mut self, what: u8) {
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
            let text = self.report.get(usize::from(what - SAY)).copied().unwrap_or_default();
            self.pieces(&[text]);
        } else if what >= TEXT {
            self.text(TEXTS.get(usize::from(what - TEXT)).copied().unwrap_or(0));
        } else if what == PIECES {
            self.pieces(self.line);
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

    fn number_at(&self, index: u8) -> usize {
        self.numbers[usize::from(index & 15)]
    }

    #[inline(never)]
    fn number(&mut self, index: u8, cells: usize) {
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
