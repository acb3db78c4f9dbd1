//! What pack knows of the final tree: a small tree of its own, made by the host tool, merged by the board.

use core::fmt::{self, Write};

use super::merge::MEMORY;
use super::output::Output;
use super::{BEGIN_NODE, END, END_NODE, HEADER, MAGIC, NOP, PROPERTY, SPOKEN};
use crate::Region;

/// The names of properties, the spoken ones first. A name for the alias follows.
const NAMES: &[u8] = b"bootargs\0verdict\0entry\0slot\0version\0count-entry\0count-handoff\0\
linux,initrd-start\0linux,initrd-end\0#address-cells\0#size-cells\0ranges\0compatible\0label\0reg\0device_type\0";
const _: () = {
    let mut at = 0;
    while at < SPOKEN.len() {
        assert!(NAMES[at] == SPOKEN[at]);
        at += 1;
    }
};

/// The names of what only [`Ramoops`] has; in the tree only if that is.
const RAMOOPS_NAMES: &[u8] = b"record-size\0console-size\0ecc-size\0";

/// Memory in which Linux keeps its last log over a reset, in bytes
/// (Documentation/devicetree/bindings/reserved-memory/ramoops.yaml of Linux).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ramoops {
    /// All of it, physical.
    pub region: Region,
    /// For one oops or panic.
    pub record: u32,
    /// For the console; 0 for none.
    pub console: u32,
    /// Of Reed-Solomon code for each block of memory, against bits that a reset changes; 0 for none.
    pub ecc: u32,
}

/// Everything the final tree has that the base tree has not.
///
/// Encoded it is a device tree that dtc reads, with three rules of its own that keep the board's part small:
///
/// 1. Its strings block begins with `bootargs`, `verdict`, `entry` and `slot`. The board writes the values of these four: its
///    text behind theirs. They come in this order.
/// 2. Nodes begin at words (from the blob's first byte) whose numbers differ modulo 32, since the board remembers in one
///    word which it has met. The node for RAM has the number 0, so that it is met when the base tree has RAM.
/// 3. `count-entry` and `count-handoff` follow `slot`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overlay<'a> {
    /// #address-cells and #size-cells of the base tree's root, 1 or 2 each. They matter for `phram` and `memory`.
    pub cells: [usize; 2],
    /// The command line in front of bootargs, without NUL; `None` keeps what the base tree has.
    pub line: Option<&'a [u8]>,
    /// The initial ramdisk; `None` keeps what the base tree has.
    pub initrd: Option<Region>,
    /// The root filesystem in RAM, in whole pages, and N of its `mtdN` alias.
    pub phram: Option<(Region, u8)>,
    /// RAM, written only when the base tree has no memory node.
    pub memory: Option<Region>,
    /// Where the kernel keeps its log. Its address never counts from the image.
    pub ramoops: Option<Ramoops>,
    /// The node /chosen/stoop, with this version.
    pub report: Option<&'a str>,
    /// The addresses of `initrd` and `phram` count from the image, whose place the board knows: they take two cells, and
    /// the node has no address in its name.
    pub relative: bool,
}

impl Overlay<'_> {
    /// Writes the tree to the front of `out`, and gives its size in bytes, a multiple of 8. `None` when `out` is too small,
    /// cells are not 1 or 2, or an address needs two cells and has one.
    pub fn encode(&self, out: &mut [u8]) -> Option<usize> {
        self.encode_relative(out).map(|(size, _)| size)
    }

    /// As [`Overlay::encode`], and the numbers of the words at which addresses count from the image, 0 for none.
    pub fn encode_relative(&self, out: &mut [u8]) -> Option<(usize, [u16; 3])> {
        let room = out.len();
        let alias = NAMES.len() + if self.ramoops.is_some() { RAMOOPS_NAMES.len() } else { 0 };
        let mut encoder = Encoder { out: Output::new(out), taken: MEMORY, fits: true, relative: [0; 3], alias };
        encoder.fits = !self.relative || self.phram.is_none() || self.cells[0] == 2;
        encoder.blob(self);
        (encoder.fits && encoder.out.len <= room).then_some((encoder.out.len, encoder.relative))
    }
}

struct Encoder<'o> {
    out: Output<'o>,
    /// Words modulo 32 at which no other node may begin.
    taken: u32,
    fits: bool,
    relative: [u16; 3],
    /// Where the alias's name is in the strings.
    alias: usize,
}

impl Write for Encoder<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.out.bytes(text.as_bytes());
        Ok(())
    }
}

/// The number of the word at that offset, modulo 32, as a bit.
fn bit(at: usize) -> u32 {
    1u32.wrapping_shl((at >> 2) as u32)
}

impl Encoder<'_> {
    fn blob(&mut self, what: &Overlay<'_>) {
        // The header is written last; the reservations are only their end.
        self.out.bytes(&[0; HEADER + 16]);
        let structure = self.out.len;
        let cells = what.cells;
        self.begin(format_args!(""));
        if what.phram.is_some() || what.memory.is_some() || what.ramoops.is_some() {
            self.counts(cells);
        }
        if what.line.is_some() || what.initrd.is_some() || what.report.is_some() {
            self.chosen(what);
        }
        if let Some((phram, _)) = what.phram {
            self.begin(format_args!("aliases"));
            self.property(b"", |encoder| match what.relative {
                true => encoder.print(format_args!("/reserved-memory/phram\0")),
                false => encoder.print(format_args!("/reserved-memory/phram@{:x}\0", phram.start())),
            });
            self.end();
        }
        if what.phram.is_some() || what.ramoops.is_some() {
            self.reserved(what);
        }
        if let Some(memory) = what.memory {
            while bit(self.out.len) != MEMORY {
                self.out.be32(NOP);
            }
            self.taken = 0;
            self.begin(format_args!("memory@{:x}", memory.start()));
            self.property(b"device_type\0", |encoder| encoder.out.bytes(b"memory\0"));
            self.region(memory, cells);
            self.end();
        }
        self.end();
        self.out.be32(END);
        let strings = self.out.len;
        self.out.bytes(NAMES);
        if what.ramoops.is_some() {
            self.out.bytes(RAMOOPS_NAMES);
        }
        if let Some((_, alias)) = what.phram {
            self.print(format_args!("mtd{alias}\0"));
        }
        let end = self.out.len;
        self.out.align(8);
        let size = self.out.len;
        let header =
            [MAGIC, size, structure, strings, HEADER, 17, 16, 0, end.wrapping_sub(strings), strings - structure];
        for (word, value) in header.into_iter().enumerate() {
            self.out.patch(word * 4, value);
        }
    }

    fn reserved(&mut self, what: &Overlay<'_>) {
        self.begin(format_args!("reserved-memory"));
        self.counts(what.cells);
        self.property(b"ranges\0", |_| {});
        if let Some((phram, _)) = what.phram {
            match what.relative {
                true => self.begin(format_args!("phram")),
                false => self.begin(format_args!("phram@{:x}", phram.start())),
            }
            self.property(b"compatible\0", |encoder| encoder.out.bytes(b"phram\0"));
            self.property(b"label\0", |encoder| encoder.out.bytes(b"rootfs\0"));
            self.counts_from_image(what.relative);
            self.region(phram, what.cells);
            self.end();
        }
        if let Some(Ramoops { region, record, console, ecc }) = what.ramoops {
            self.begin(format_args!("ramoops@{:x}", region.start()));
            self.property(b"compatible\0", |encoder| encoder.out.bytes(b"ramoops\0"));
            self.region(region, what.cells);
            self.property(b"record-size\0", |encoder| encoder.out.be32(record as usize));
            self.property(b"console-size\0", |encoder| encoder.out.be32(console as usize));
            self.property(b"ecc-size\0", |encoder| encoder.out.be32(ecc as usize));
            self.end();
        }
        self.end();
    }

    fn chosen(&mut self, what: &Overlay<'_>) {
        self.begin(format_args!("chosen"));
        if let Some(line) = what.line {
            self.property(b"bootargs\0", |encoder| {
                encoder.out.bytes(line);
                encoder.out.bytes(&[0]);
            });
        }
        if let Some(initrd) = what.initrd {
            // Linux takes as many cells as the property has (drivers/of/fdt.c, early_init_dt_check_for_initrd).
            let cells = if initrd.end() >> 16 >> 16 == 0 && !what.relative { 1 } else { 2 };
            self.counts_from_image(what.relative);
            self.property(b"linux,initrd-start\0", |encoder| encoder.number(initrd.start(), cells));
            self.counts_from_image(what.relative);
            self.property(b"linux,initrd-end\0", |encoder| encoder.number(initrd.end(), cells));
        }
        if let Some(version) = what.report {
            self.begin(format_args!("stoop"));
            self.property(b"version\0", |encoder| encoder.print(format_args!("{version}\0")));
            for name in [&b"verdict\0"[..], b"entry\0", b"slot\0"] {
                self.property(name, |encoder| encoder.out.bytes(&[0]));
            }
            for name in [&b"count-entry\0"[..], b"count-handoff\0"] {
                self.property(name, |encoder| encoder.out.be32(0));
            }
            self.end();
        }
        self.end();
    }

    /// The next property begins with an address that counts from the image: behind tag, length and name.
    fn counts_from_image(&mut self, relative: bool) {
        if relative && let Some(free) = self.relative.iter_mut().find(|word| **word == 0) {
            *free = u16::try_from(self.out.len / 4 + 3).unwrap_or(0);
            self.fits &= *free != 0;
        }
    }

    fn counts(&mut self, [address, size]: [usize; 2]) {
        self.fits &= matches!((address, size), (1..=2, 1..=2));
        self.property(b"#address-cells\0", |encoder| encoder.out.be32(address));
        self.property(b"#size-cells\0", |encoder| encoder.out.be32(size));
    }

    fn region(&mut self, region: Region, cells: [usize; 2]) {
        self.property(b"reg\0", |encoder| {
            encoder.number(region.start(), cells[0]);
            encoder.number(region.size(), cells[1]);
        });
    }

    fn number(&mut self, number: usize, cells: usize) {
        let high = (number as u64 >> 32) as u32;
        if cells == 2 {
            self.out.be32(high as usize);
        } else {
            self.fits &= high == 0;
        }
        self.out.be32(number);
    }

    fn begin(&mut self, name: fmt::Arguments<'_>) {
        while self.taken & bit(self.out.len) != 0 {
            self.out.be32(NOP);
        }
        self.taken |= bit(self.out.len);
        self.out.be32(BEGIN_NODE);
        self.print(name);
        self.out.bytes(&[0]);
        self.out.align(4);
    }

    fn end(&mut self) {
        self.out.be32(END_NODE);
    }

    /// A property by its name; the empty name is the alias's, behind all others.
    fn property(&mut self, name: &[u8], value: impl FnOnce(&mut Self)) {
        let place = |names: &[u8]| names.windows(name.len().max(1)).position(|part| part == name);
        let own = || place(RAMOOPS_NAMES).map(|at| NAMES.len() + at);
        self.out.be32(PROPERTY);
        let start = self.out.len;
        self.out.be32(0);
        self.out.be32(place(NAMES).or_else(own).unwrap_or(self.alias));
        value(self);
        self.out.patch(start, self.out.len.wrapping_sub(start).wrapping_sub(8));
        self.out.align(4);
    }

    fn print(&mut self, text: fmt::Arguments<'_>) {
        // Writing into a buffer that counts on cannot fail.
        let _ = self.write_fmt(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_as_a_whole() {
        for names in [NAMES, RAMOOPS_NAMES] {
            for name in names.split_inclusive(|byte| *byte == 0) {
                let at = names.windows(name.len()).position(|part| part == name).expect("a name");
                assert!(at == 0 || names[at - 1] == 0, "{name:?} is the end of another name");
            }
        }
        let all = NAMES.split_inclusive(|byte| *byte == 0);
        assert!(all.into_iter().all(|name| !RAMOOPS_NAMES.windows(name.len()).any(|part| part == name)));
    }
}
