//! docs/format.md read as a program: its tables take apart what pack makes, and say what stoop's own readers say.

use std::collections::BTreeMap;
use std::ops::Range;
use stoop_image::machine::Machine;

use crc::{CRC_32_ISO_HDLC, Crc};
use stoop_core::crc32::Crc32;
use stoop_core::manifest::Kind;
use stoop_image::image::{Opened, open};
use stoop_image::layout::RegionKind;
use stoop_image::plan::{CodecChoice, Format, Request, RootfsIn};

use crate::bench::{Bench, Kernel, packed};

const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format.md"));
const PAYLOADS: [(&str, Kind); 6] = [
    ("kernel", Kind::Kernel),
    ("initrd", Kind::Initrd),
    ("rootfs", Kind::Rootfs),
    ("env", Kind::Env),
    ("dtb", Kind::Dtb),
    ("overlay", Kind::Overlay),
];

/// A row of a table.
#[derive(Clone, Debug)]
struct Field {
    offset: usize,
    shape: Shape,
    name: String,
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Half,
    /// The highest and the lowest bit.
    Word(u32, u32),
    Wide,
    Bytes(usize),
}

impl Shape {
    fn parse(text: &str) -> Shape {
        let words: Vec<&str> = text.split(' ').collect();
        match words[..] {
            ["half"] => Shape::Half,
            ["word"] => Shape::Word(31, 0),
            ["word", bits] => {
                let (high, low) = bits.split_once(':').unwrap();
                Shape::Word(high.parse().unwrap(), low.parse().unwrap())
            }
            ["wide"] => Shape::Wide,
            ["bytes", count] => Shape::Bytes(count.parse().unwrap()),
            _ => panic!("no type: {text}"),
        }
    }

    fn size(self) -> usize {
        match self {
            Shape::Half => 2,
            Shape::Word(..) => 4,
            Shape::Wide => 8,
            Shape::Bytes(count) => count,
        }
    }
}

/// The table below a heading. Rows without an offset and a type are prose.
fn table(heading: &str) -> Vec<Field> {
    let section = PAGE.split("\n#").find(|section| section.trim_start_matches('#').trim_start().starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("the page has no section {heading}"));
    let rows = section.lines().filter(|line| line.starts_with("| 0x"));
    let cells = rows.map(|row| row.split('|').map(str::trim).collect::<Vec<_>>());
    let fields = cells.filter(|cells| !cells[2].is_empty()).map(|cells| Field {
        offset: usize::from_str_radix(&cells[1][2..], 16).unwrap(),
        shape: Shape::parse(cells[2]),
        name: cells[3].to_owned(),
    });
    fields.collect()
}

/// Every bit of `range` is in exactly one row.
fn assert_complete(fields: &[Field], range: Range<usize>) {
    let mut bits = vec![0; range.end * 8];
    for field in fields {
        // A word's bit 31 is its first here, whatever the byte order: only the count matters.
        let (from, count) = match field.shape {
            Shape::Word(high, low) => (31 - high as usize, (high - low + 1) as usize),
            shape => (0, shape.size() * 8),
        };
        bits[field.offset * 8 + from..][..count].iter_mut().for_each(|bit| *bit += 1);
    }
    let odd = range.clone().find(|at| bits[at * 8..at * 8 + 8] != [1; 8]);
    assert_eq!(odd, None, "a byte that no row has, or two, in {range:?} of {:?}", fields[0]);
}

/// A block's bytes, and the page's words about them.
struct Block<'a> {
    fields: Vec<Field>,
    bytes: &'a [u8],
    big_endian: bool,
}

impl<'a> Block<'a> {
    fn new(heading: &str, bytes: &'a [u8], big_endian: bool) -> Block<'a> {
        Block { fields: table(heading), bytes, big_endian }
    }

    fn word(&self, at: usize) -> u32 {
        let bytes = self.bytes[at..at + 4].try_into().unwrap();
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn field(&self, name: &str) -> &Field {
        let found = self.fields.iter().find(|field| field.name == name);
        found.unwrap_or_else(|| panic!("the page has no field {name}"))
    }

    fn number(&self, name: &str) -> u64 {
        let Field { offset, shape, .. } = *self.field(name);
        match shape {
            Shape::Half => {
                let word = self.word(offset & !3);
                u64::from(if (offset & 2 == 0) == self.big_endian { word >> 16 } else { word & 0xffff })
            }
            Shape::Word(high, low) => u64::from(self.word(offset)) << (63 - high) >> (63 - high + low),
            Shape::Wide => u64::from(self.word(offset)) << 32 | u64::from(self.word(offset + 4)),
            Shape::Bytes(_) => panic!("{name} is no number"),
        }
    }

    fn size(&self, name: &str) -> usize {
        self.number(name) as usize
    }

    fn bytes(&self, name: &str) -> &'a [u8] {
        let Field { offset, shape, .. } = *self.field(name);
        &self.bytes[offset..offset + shape.size()]
    }

    /// Magic, length and CRC-32 as the conventions have them; the block without the rest.
    fn checked(self, version: u64) -> Block<'a> {
        let magic = self.fields[0].name.clone();
        assert_eq!((magic.as_str(), self.number("version")), ("magic", version));
        let block = &self.bytes[..self.size("length")];
        let sum = self.word(block.len() - 4);
        assert_eq!(crc(&block[..block.len() - 4]), sum);
        Block { bytes: block, ..self }
    }
}

fn crc(bytes: &[u8]) -> u32 {
    Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(bytes)
}

/// As section "The sum" has it.
fn sum(block: &Block, range: Range<usize>) -> u32 {
    range.step_by(4).fold(0u32, |sum, at| sum.rotate_right(13).wrapping_mul(5).wrapping_add(block.word(at)))
}

fn magic(block: &Block, letters: &[u8; 4]) {
    assert_eq!(block.number("magic"), u64::from(u32::from_be_bytes(*letters)));
}

/// The header, and params where it says.
fn assert_shim<'a>(image: &'a [u8], opened: &Opened) -> Block<'a> {
    let (arm64, big_endian) = (opened.machine == Machine::Arm64, opened.machine == Machine::MipsBe);
    let header = Block::new(if arm64 { "STPS on arm64" } else { "STPS on MIPS" }, image, big_endian);
    magic(&header, b"STPS");
    let summed = if arm64 { "code" } else { "stored" };
    assert_complete(&header.fields, 0..if arm64 { 0x44 } else { 0x1c });
    let (from, stored) = (header.field(summed).offset, header.size("stored"));
    assert_eq!(sum(&header, from..stored), 0, "the sum");
    let mut before = sum(&header, from..stored - 4);
    before = before.rotate_right(13).wrapping_mul(5).wrapping_neg();
    assert_eq!(before, header.word(stored - 4), "the word that makes it 0");
    if arm64 {
        assert_eq!(header.bytes("image-magic"), b"ARM\x64");
    } else {
        assert_eq!(header.size("run-address"), opened.note.run.start() | 0x8000_0000);
    }
    Block::new("STPP", &image[header.size("params")..stored], big_endian).checked(3)
}

fn assert_params(block: &Block, opened: &Opened) {
    magic(block, b"STPP");
    assert_complete(&block.fields, 0..0x90);
    let known = Crc32::new();
    let params = opened.params(&known).unwrap();
    let [ram, flash] = ["ram", "flash"].map(|name| {
        let [start, size] = ["start", "size"].map(|end| block.size(&format!("{name}-{end}")));
        (start, size)
    });
    assert_eq!(ram, (params.ram().start(), params.ram().size()));
    assert_eq!(flash, (params.flash().start(), params.flash().size()));
    let uart = params.uart();
    let said = ["uart-address", "uart-kind", "uart-shift", "uart-width"].map(|name| block.size(name));
    assert_eq!(said, [uart.address, uart.kind as usize, uart.shift.into(), uart.width.into()]);
    assert_eq!(block.size("cookie-rule"), params.cookie_rule() as usize);
    assert_eq!([block.size("policy"), block.size("watchdog")], [params.policy() as usize, params.care() as usize]);
    assert_eq!((block.size("reset-address"), block.number("reset-value") as u32), params.reset());
    let led = params.led();
    assert_eq!(
        ["led-mask", "led-set", "led-clear"].map(|name| block.size(name)),
        [led.mask as usize, led.set, led.clear]
    );
    let slots: Vec<_> = params.slots().collect();
    assert_eq!(block.size("slots"), slots.len());
    let first = ["slot0-name", "slot0-relative", "slot0-address"].map(|name| block.size(name));
    assert_eq!(first, [slots[0].name.into(), slots[0].relative.into(), slots[0].address]);
    assert!(block.number("writes-begin") <= block.number("writes-feed"));
    assert!(block.number("writes-feed") <= block.number("writes"));
    let cookie = 0x90 + 12 * block.size("writes");
    assert_eq!(&block.bytes[cookie..block.size("cookie-end")], params.cookie());
    assert_eq!(params.cookie(), b"liminix");
    assert_eq!(&block.bytes[block.size("cookie-end")..block.size("keep-end")], b"bootImage\0");
    assert_eq!(block.size("length"), block.size("keep-end").next_multiple_of(4) + 4);
    assert_eq!(block.number("reserved"), 0);
}

fn assert_manifest(bytes: &[u8], opened: &Opened) {
    let block = Block::new("STPM", bytes, opened.machine == Machine::MipsBe).checked(2);
    magic(&block, b"STPM");
    assert_complete(&block.fields, 0..block.size("length"));
    let manifest = opened.manifest(&Crc32::new()).unwrap();
    assert_eq!(block.size("machine"), opened.machine as usize);
    assert_eq!(block.size("handoff"), manifest.handoff() as usize);
    assert_eq!(["copies-start", "copies-size"].map(|name| block.size(name)), {
        let copies = manifest.copies();
        [copies.start(), copies.size()]
    });
    let payload = |name: &str| Block::new("STPM payload", block.bytes(name), block.big_endian);
    let base = if payload("kernel").number("destination-relative") == 1 { opened.load } else { 0 };
    assert_eq!(block.size("tree-start") + base, manifest.tree().start());
    assert_eq!(block.size("tree-size"), manifest.tree().size());
    assert_eq!(block.size("entry-point") + base, manifest.entry_point());
    for (name, kind) in PAYLOADS {
        let (said, known) = (payload(name), manifest.payload(kind));
        assert_complete(&said.fields, 0..48);
        assert_eq!(said.size("stored-size"), known.source.size(), "{name}");
        if known.source.is_empty() {
            assert!(said.bytes.iter().all(|byte| *byte == 0), "{name}");
            continue;
        }
        let source = said.size("source") + said.size("source-relative") * opened.manifest_at();
        let destination = said.size("destination") + said.size("destination-relative") * opened.load;
        assert_eq!((source, destination), (known.source.start(), known.destination.start()), "{name}");
        assert_eq!(said.size("decoded-size"), known.destination.size(), "{name}");
        assert_eq!(said.size("memory-size"), known.place.size(), "{name}");
        assert_eq!(said.size("codec"), known.codec as usize, "{name}");
        assert_eq!(said.number("crc"), u64::from(crc(opened.bytes(known.source).unwrap())), "{name}");
    }
    assert_fixups(&block, opened);
}

/// What counts from the image in the overlay: 64-bit big-endian numbers, below the image's own size in RAM.
fn assert_fixups(block: &Block, opened: &Opened) {
    let manifest = opened.manifest(&Crc32::new()).unwrap();
    let overlay = opened.bytes(manifest.payload(Kind::Overlay).source).unwrap();
    let fixups = ["fixup0", "fixup1", "fixup2"].map(|name| block.size(name));
    let rootfs = manifest.payload(Kind::Rootfs).place.start();
    let numbers = fixups
        .iter()
        .filter(|word| **word != 0)
        .map(|word| u64::from_be_bytes(*overlay[word * 4..].first_chunk().unwrap()) as usize + opened.load);
    let numbers: Vec<usize> = numbers.collect();
    assert_eq!(numbers.contains(&rootfs), opened.machine == Machine::Arm64, "{numbers:x?}");
}

/// Finds the trailer as the page says, and what lies around it.
fn assert_tail(image: &[u8], opened: &Opened, board: &str) -> usize {
    let big_endian = opened.machine == Machine::MipsBe;
    let letters = if big_endian { *b"STPN" } else { *b"NPTS" };
    let at = (0..image.len()).step_by(4).find(|at| image[*at..].starts_with(&letters)).unwrap();
    assert!(at < 128 << 10);
    let trailer = Block::new("STPN", &image[at..], big_endian).checked(3);
    magic(&trailer, b"STPN");
    assert_complete(&trailer.fields, 0..trailer.size("length"));
    let note = &opened.note;
    let said = ["run-start", "run-size", "load", "manifest", "variant"].map(|name| trailer.size(name));
    assert_eq!(said, [note.run.start(), note.run.size(), note.load, note.manifest, note.variant as usize]);
    let name = Block::new("STPB", &image[at + trailer.bytes.len()..], true);
    assert_complete(&name.fields, 0..40);
    assert_eq!((name.bytes("magic"), name.bytes("name")[..board.len()].eq(board.as_bytes())), (&b"STPB"[..], true));
    assert_eq!(name.bytes("crc"), crc(&name.bytes[..36]).to_be_bytes());
    if opened.flash.is_none() {
        assert_kept(&image[at + trailer.bytes.len() + 40..], opened);
    }
    at
}

/// The list of memory that was kept free.
fn assert_kept(bytes: &[u8], opened: &Opened) {
    let list = Block::new("STPR", bytes, opened.machine == Machine::MipsBe).checked(1);
    magic(&list, b"STPR");
    assert_complete(&list.fields, 0..8);
    let entries = list.bytes[8..list.size("length") - 4].chunks(12);
    let entries: Vec<[usize; 3]> = entries
        .map(|entry| Block::new("STPR entry", entry, list.big_endian))
        .inspect(|entry| assert_complete(&entry.fields, 0..12))
        .map(|entry| ["kind", "start", "size"].map(|name| entry.size(name)))
        .filter(|[kind, ..]| *kind != 0)
        .collect();
    let kinds = [
        RegionKind::Reserved,
        RegionKind::Decompressed,
        RegionKind::Relocation,
        RegionKind::Ramoops,
        RegionKind::Download,
    ];
    let known = opened.kept_free().into_iter().map(|(what, region)| {
        [kinds.iter().position(|kind| *kind == what).unwrap() + 1, region.start(), region.size()]
    });
    assert_eq!(entries, known.collect::<Vec<_>>());
    assert!(entries.iter().any(|[kind, ..]| *kind == 4), "{entries:?}");
}

fn assert_page(request: &Request) {
    let keep = vec!["bootImage".to_owned()];
    let (_, built) = packed(&Request { keep, ramoops: Some(0x1_0000), ..request.clone() });
    let opened = open(&built.file).unwrap();
    let params = assert_shim(opened.image, &opened);
    assert_params(&params, &opened);
    let trailer = assert_tail(opened.image, &opened, &request.board);
    let Some(flash) = opened.flash else {
        let manifest = &opened.image[opened.note.manifest..];
        assert_eq!((params.number("slot0-relative"), params.size("slot0-address")), (1, opened.note.manifest));
        assert_eq!(trailer, opened.note.manifest + Block::new("STPM", manifest, params.big_endian).size("length"));
        return assert_manifest(manifest, &opened);
    };
    let slot = &built.file[opened.note.manifest..];
    assert_manifest(slot, &opened);
    let behind = Block::new("STPM", slot, params.big_endian).size("length");
    let trailer = Block::new("STPF", &slot[behind..], params.big_endian).checked(3);
    magic(&trailer, b"STPF");
    assert_complete(&trailer.fields, 0..trailer.size("length"));
    assert_kept(&slot[behind + trailer.bytes.len()..], &opened);
    let said = ["slot", "slot-start", "slot-size", "rootfs-start", "rootfs-size"].map(|name| trailer.size(name));
    assert_eq!(said, [usize::from(flash.slot), flash.at, flash.size, flash.rootfs.start(), flash.rootfs.size()]);
    assert_eq!(slot.len(), flash.size + flash.rootfs.size(), "the extents follow one another in the file");
}

#[test]
fn an_image_of_either_byte_order_in_every_container_is_what_the_page_says() {
    let bench = Bench::new();
    let big =
        Request { board: "qemu-malta-be".into(), kernel: bench.put("big", &Kernel::new(true).elf()), ..bench.full() };
    for request in [bench.full(), big] {
        for format in [Format::Uimage, Format::Fit, Format::Raw, Format::Elf] {
            for codec in [CodecChoice::Store, CodecChoice::Lzma] {
                assert_page(&Request { format: Some(format), codec, ..request.clone() });
            }
        }
    }
}

#[test]
fn an_arm64_image_is_what_the_page_says() {
    let bench = Bench::new();
    assert_page(&bench.arm64());
}

#[test]
fn an_image_for_flash_is_what_the_page_says() {
    let bench = Bench::new();
    for rootfs_in in [RootfsIn::Ram, RootfsIn::Flash] {
        let request = Request { initrd: None, format: Some(Format::Nor), slot: Some('b'), ..bench.full() };
        assert_page(&Request { rootfs_in, ..request });
    }
}

#[test]
fn every_block_of_the_page_has_its_own_table_and_no_name_twice() {
    for heading in
        ["STPS on MIPS", "STPS on arm64", "STPP", "STPM", "STPM payload", "STPN", "STPB", "STPF", "STPR", "STPR entry"]
    {
        let mut names = BTreeMap::new();
        for field in table(heading).into_iter().filter(|field| field.name != "reserved") {
            assert!(names.insert(field.name.clone(), field).is_none(), "{heading}");
        }
        assert!(names.len() >= 3, "{heading}");
    }
}
