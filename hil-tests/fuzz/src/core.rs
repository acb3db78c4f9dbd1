//! Targets over the shim's core: what runs on the board, fed with bytes nobody vouches for.
//!
//! Blocks that end with a CRC-32 get the right one, and images are built from the input's bytes: damage that a CRC-32 stops would
//! keep the fuzzer out of everything behind it.

use std::io::Read;
use std::sync::LazyLock;

use stoop_core::abi::Abi;
use stoop_core::arm64::Arm64;
use stoop_core::boot::{Board, Buffers, Loader};
use stoop_core::bootargs::{LIMIT, Line, MAX_LINE, is_text, word};
use stoop_core::codec::{Codec, Tables};
use stoop_core::cookie::{Verdict, judge};
use stoop_core::crc32::Crc32;
use stoop_core::fdt::{self, Merge, Overlay, Ramoops, Tree};
use stoop_core::manifest::{self, Entry, HandoffKind, Kind, Listing, Machine, Manifest};
use stoop_core::memory::Memory;
use stoop_core::mips::Mips;
use stoop_core::params::{self, CookieRule, Led, Params, Policy, Settings, SlotAt, Uart, UartKind};
use stoop_core::{Region, codec};

static CRC: LazyLock<Crc32> = LazyLock::new(Crc32::new);

/// By name: those over the shim's core.
#[expect(clippy::type_complexity, reason = "a name would be imported from above")]
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("core-params", params),
    ("core-manifest", manifest),
    ("core-tree", tree),
    ("core-merge", merge),
    ("core-lzma", lzma),
    ("core-lz4", lz4),
    ("core-bootargs", bootargs),
    ("core-boot", boot),
];

/// Most bytes that a target decodes to.
const ROOM: usize = 0x1_0000;

/// A block of whole words with its magic, its second word and its CRC-32.
fn sealed(bytes: &[u8], magic: u32, second: impl FnOnce(usize) -> u32, big_endian: bool) -> Vec<u8> {
    let word = |word: u32| if big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
    let mut block = bytes[..bytes.len() & !3].to_vec();
    block[..4].copy_from_slice(&word(magic));
    let size = block.len() + 4;
    block[4..8].copy_from_slice(&word(second(size)));
    let sum = CRC.of(&block);
    block.extend(word(sum));
    block
}

/// A params block with any content and the right CRC-32: every field can be asked for.
pub fn params(bytes: &[u8]) {
    if bytes.len() < 8 {
        return;
    }
    for big_endian in [false, true] {
        let bytes = &bytes[..bytes.len().min(params::MAX_SIZE - 4)];
        let version = |size| u32::from(params::VERSION) << 16 | size as u32;
        let mut block = sealed(bytes, params::MAGIC, version, big_endian);
        block.resize(params::MAX_SIZE, 0);
        let Ok(params) = Params::check(&block, big_endian, &CRC) else { continue };
        assert!(params.cookie().len() <= params::MAX_SIZE && params.keep().len() <= params::MAX_SIZE);
        assert!(params.slots().count() <= params::MAX_SLOTS);
        let _ = (params.ram(), params.flash(), params.uart(), params.policy(), params.reset(), params.led());
        let _ = judge(&bytes[..bytes.len().min(64)], true, &params, &mut Line::new());
    }
}

/// A manifest with any content and the right CRC-32.
pub fn manifest(bytes: &[u8]) {
    let mut words = bytes.to_vec();
    words.resize(manifest::SIZE - 4, 0);
    let second = |size| u32::from(manifest::VERSION) << 16 | size as u32;
    let block = sealed(&words, manifest::MAGIC, second, false);
    for machine in [Machine::MipsLe, Machine::Arm64] {
        let Ok(manifest) = Manifest::check(&block, 0x1000, 0x8000, machine, &CRC) else { continue };
        for kind in Kind::ALL {
            let _ = manifest.payload(kind);
        }
        let _ = (manifest.handoff(), manifest.tree(), manifest.entry_point());
        let mut overlay = bytes.to_vec();
        manifest.relocate(&mut overlay);
    }
}

/// A device tree from nobody knows where: read, checked, and where it is sound, sound to the `fdt` crate as well.
pub fn tree(bytes: &[u8]) {
    let mut tree = Tree::new(bytes);
    if tree.read().is_ok() {
        let line = tree.bootargs();
        assert!(line.len() <= bytes.len());
    }
    if let Ok(size) = fdt::check(bytes) {
        assert!(size <= bytes.len());
        let peer = ::fdt::Fdt::new(&bytes[..size]).expect("the fdt crate takes the header as well");
        assert!(peer.total_size() == size);
    }
}

/// Any tree as the base, with an overlay as pack makes it: what comes out is a sound tree with the line in it.
pub fn merge(bytes: &[u8]) {
    let [cells, with, rest @ ..] = bytes else { return };
    let pages = |at: usize| Region::new(at, 0x2000).expect("a region");
    let overlay = Overlay {
        cells: [1 + usize::from(cells & 1), 1 + usize::from(cells >> 1 & 1)],
        line: (with & 1 != 0).then_some(b"console=ttyS0"),
        initrd: (with & 2 != 0).then(|| pages(0x10_0000)),
        phram: (with & 4 != 0).then(|| (pages(0x20_0000), 99)),
        memory: (with & 8 != 0).then(|| pages(0)),
        ramoops: (with & 32 != 0).then(|| Ramoops {
            region: pages(0x30_0000),
            record: 0x800,
            console: 0x1000,
            ecc: 16,
        }),
        report: (with & 16 != 0).then_some("0.1.0"),
        relative: false,
    };
    let mut encoded = vec![0; 0x1000];
    let size = overlay.encode(&mut encoded).expect("an overlay of small numbers fits");
    encoded.truncate(size);
    let mut out = vec![0; rest.len() + 0x1000];
    let mut merge = Merge::new(rest, &encoded, &mut out);
    merge.overlay.read().expect("pack's overlay has a header");
    let done = merge.write(&[b" ", b"liminix", b"accepted", b"argv", b"a"]);
    let size = merge.size();
    if done.is_err() {
        return;
    }
    let final_tree = &out[..size];
    assert_eq!(fdt::check(final_tree).expect("what was written is sound"), size);
    // libfdt takes a node chosen@5 for /chosen, and so does the merge; MIPS's setup.c, and so the reader of bootargs, does not.
    let odd = |name: &[u8]| name.starts_with(b"chosen@") && name[7..] != *b"0\0";
    if with & 1 != 0 && !rest.windows(9).any(odd) {
        let mut tree = Tree::new(final_tree);
        tree.read().expect("what was written has a header");
        assert_eq!(tree.bootargs(), b"console=ttyS0 liminix");
    }
}

/// LZMA beside liblzma: what both take is the same.
pub fn lzma(bytes: &[u8]) {
    let mut out = vec![0; ROOM];
    let mut tables = Tables::new();
    let Some(Ok(size)) = tables.decode(Codec::Lzma, bytes, &mut out, &|| ()) else { return };
    let Ok(stream) = liblzma::stream::Stream::new_lzma_decoder(64 << 20) else { return };
    let mut peer = Vec::new();
    let read = liblzma::bufread::XzDecoder::new_stream(bytes, stream).take(ROOM as u64 + 1).read_to_end(&mut peer);
    if read.is_ok() {
        assert!(peer == out[..size], "liblzma makes other bytes of it");
    }
}

/// LZ4 beside lz4_flex: what both take is the same.
pub fn lz4(bytes: &[u8]) {
    let mut out = vec![0; ROOM];
    let Ok(size) = codec::lz4::decode(bytes, &mut out) else { return };
    if let Ok(peer) = lz4_flex::block::decompress(bytes, ROOM) {
        assert!(peer == out[..size], "lz4_flex makes other bytes of it");
    }
}

/// The cookie and the kept keys beside the simplest words for them.
pub fn bootargs(bytes: &[u8]) {
    let [choice, length, rest @ ..] = bytes else { return };
    let (cookie, rest) = rest.split_at(usize::from(length % 16).min(rest.len()));
    let line = &rest[..rest.len().min(MAX_LINE)];
    if cookie.is_empty() || cookie.contains(&0) || line.contains(&0) {
        return;
    }
    let rule = if choice & 1 == 0 { CookieRule::Contains } else { CookieRule::Word };
    let keep: &[u8] = if choice & 2 == 0 { b"" } else { b"bootImage\0mac\0" };
    let mut block = [0; params::MAX_SIZE];
    if settings(rule, cookie, keep, &[]).encode(&mut block, false, &CRC).is_none() {
        return;
    }
    let params = Params::check(&block, false, &CRC).expect("what was encoded can be read");
    assert_eq!((params.cookie(), params.keep()), (cookie, keep));
    let mut judged = Line::new();
    let verdict = judge(line, true, &params, &mut judged).verdict;
    let mut rest = line;
    let words: Vec<&[u8]> = std::iter::from_fn(|| word(&mut rest)).collect();
    let counts = match rule {
        CookieRule::Word => words.contains(&cookie),
        _ => line.windows(cookie.len()).any(|window| window == cookie),
    };
    if line.is_empty() {
        assert_eq!(verdict, Verdict::None);
    } else if !is_text(line) || line.len() > LIMIT || counts && line.len() > MAX_LINE {
        assert_eq!(verdict, Verdict::Refused);
    } else if counts {
        assert_eq!(verdict, Verdict::Accepted);
        assert_eq!(&judged[..], line);
    } else {
        assert_ne!(verdict, Verdict::Accepted);
    }
}

fn settings<'a>(rule: CookieRule, cookie: &'a [u8], keep: &'a [u8], slots: &'a [SlotAt]) -> Settings<'a> {
    Settings {
        ram: Region::new(0, Ram::SIZE).expect("a region"),
        flash: Region::EMPTY,
        uart: Uart { kind: UartKind::None, address: 0, shift: 0, width: 1 },
        cookie_rule: rule,
        cookie,
        keep,
        policy: Policy::Halt,
        reset: (0, 0),
        led: Led::default(),
        slots,
        care: stoop_core::watchdog::Care::Leave,
        watchdog: [&[]; 3],
    }
}

/// RAM from 0 with the loader at its end.
struct Ram {
    bytes: Vec<u8>,
    run: Region,
}

impl Ram {
    const SIZE: usize = 0x8000;

    fn readable(&self) -> usize {
        self.run.start()
    }
}

impl Memory for Ram {
    fn from(&self, start: usize) -> Option<&[u8]> {
        self.bytes.get(start..self.readable()).filter(|bytes| !bytes.is_empty())
    }

    fn write(&mut self, at: Region) -> Option<&mut [u8]> {
        let whole = Region::new(0, self.readable())?;
        whole.contains(&at).then(|| &mut self.bytes[at.start()..at.end()])
    }

    fn pair(&mut self, from: Region, to: Region) -> Option<(&[u8], &mut [u8])> {
        self.read(from)?;
        let whole = Region::new(0, self.readable())?;
        if !whole.contains(&to) || from.overlaps(&to) {
            return None;
        }
        // No bytes overlap nothing, wherever they begin.
        if from.is_empty() {
            return Some((&[], &mut self.bytes[to.start()..to.end()]));
        }
        if to.is_empty() {
            return Some((&self.bytes[from.start()..from.end()], &mut []));
        }
        let (low, high) = self.bytes.split_at_mut(from.start().max(to.start()));
        Some(match from.start() < to.start() {
            true => (&low[from.start()..from.end()], &mut high[..to.size()]),
            false => (&high[..from.size()], &mut low[to.start()..to.end()]),
        })
    }

    fn copy(&mut self, from: Region, to: usize) -> Option<()> {
        self.read(from)?;
        let to = Region::new(to, from.size())?;
        self.write(to)?;
        self.bytes.copy_within(from.start()..from.end(), to.start());
        Some(())
    }
}

/// Numbers from the front of the input; zeros when it ends.
struct Numbers<'a>(&'a [u8]);

impl Numbers<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Inside RAM, mostly, in steps of 16 bytes.
    fn address(&mut self) -> usize {
        usize::from(u16::from_le_bytes([self.byte(), self.byte()]) & 0xfff) * 16
    }

    fn region(&mut self) -> Region {
        Region::new(self.address(), usize::from(self.byte()) * 32).unwrap_or(Region::EMPTY)
    }
}

/// Whole boots from made-up registers, params, manifest, payloads and memory.
pub fn boot(bytes: &[u8]) {
    let mut numbers = Numbers(bytes);
    let choice = numbers.byte();
    let entry = [0; 4].map(|_| match numbers.byte() {
        number @ 0..=3 => usize::from(number),
        4 => -2i32 as u32 as usize,
        5 => numbers.address(),
        _ => 0x8000_0000 | numbers.address(),
    });
    match choice % 3 {
        0 => boot_on::<Mips<true>>(numbers, choice, entry),
        1 => boot_on::<Mips<false>>(numbers, choice, entry),
        _ => boot_on::<Arm64>(numbers, choice, entry),
    }
}

fn boot_on<A: Abi>(mut numbers: Numbers<'_>, choice: u8, registers: [usize; 4]) {
    let run = Region::new(Ram::SIZE - 0x400, 0x400).expect("a region");
    let mut ram = Ram { bytes: vec![0; Ram::SIZE], run };
    let image = numbers.address();
    let manifest_at = image.wrapping_add(0x100);
    let mut listing = Listing {
        machine: A::MACHINE,
        handoff: [HandoffKind::Uhi, HandoffKind::Argv, HandoffKind::Appended, HandoffKind::Arm64]
            [usize::from(choice >> 6)],
        tree: numbers.region(),
        entry_point: numbers.address(),
        relative: [u16::from(numbers.byte()), 0, 0],
        copies: Region::EMPTY,
        payloads: [None; manifest::PAYLOADS],
    };
    for payload in &mut listing.payloads {
        let flags = numbers.byte();
        if flags & 1 != 0 {
            let (source, destination) = (numbers.region(), numbers.region());
            let codec = [Codec::Store, Codec::Lz4, Codec::Lzma, Codec::Store][usize::from(flags >> 1 & 3)];
            let destination = if flags & 8 != 0 {
                Region::new(destination.start(), source.size()).unwrap_or(destination)
            } else {
                destination
            };
            let memory_size = destination.size() + usize::from(flags >> 4) * 16;
            *payload = Some(Entry {
                codec,
                source_relative: false,
                destination_relative: false,
                crc: 0,
                source,
                destination,
                memory_size,
            });
        }
    }
    // What is left of the input is what RAM holds, again and again.
    if !numbers.0.is_empty() {
        ram.bytes.iter_mut().zip(numbers.0.iter().cycle()).for_each(|(to, byte)| *to = *byte);
    }
    for payload in listing.payloads.iter_mut().flatten() {
        payload.crc = ram.read(payload.source).map_or(0, |bytes| CRC.of(bytes));
    }
    let block = listing.encode(&CRC);
    if let Some(room) = Region::new(manifest_at, block.len()).and_then(|at| ram.write(at)) {
        room.copy_from_slice(&block);
    }
    let slots = [SlotAt { name: b'-', relative: true, address: 0x100 }];
    let mut block = [0; params::MAX_SIZE];
    let settings = settings(CookieRule::Contains, b"liminix", b"", &slots);
    settings.encode(&mut block, A::BIG_ENDIAN, &CRC).expect("these params fit");
    let params = Params::check(&block, A::BIG_ENDIAN, &CRC).expect("what was encoded can be read");
    ram.bytes[run.start()..].fill(0x5a);
    let mut buffers = Box::new(Buffers::new());
    buffers.crc.fill();
    let mut board = Board {
        memory: ram,
        loader: Loader { image, run },
        buffers: &mut buffers,
        tables: &mut Box::new(Tables::new()),
        feed: &|| (),
    };
    let booted = board.boot::<A>(&params, registers, &mut |_, _| ());
    if let Ok((handoff, _)) = booted {
        board.stamp(&handoff, [1, 2]);
        let tree = board.memory.read(handoff.tree).expect("the final tree is in RAM");
        assert_eq!(fdt::check(tree).expect("the final tree is sound"), tree.len());
    }
    assert!(board.memory.bytes[run.start()..].iter().all(|byte| *byte == 0x5a), "the loader's own memory was written");
}
