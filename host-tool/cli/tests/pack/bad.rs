//! Bad input to the shim: whatever is wrong in a slot is found before the kernel runs, has a code, and the next slot boots.

use stoop_core::crc32::Crc32;
use stoop_core::manifest::{self, Kind};
use stoop_core::{Code, Region};
use stoop_image::board;
use stoop_image::image::flash::Map;
use stoop_image::image::{Built, open};
use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_image::simulate::{Input, Outcome, run_from_flash};

use crate::bench::{Bench, Kernel, packed, squashfs, tree};

/// Slot a as packed, with slot b good and alike, in the flash of little-endian Malta.
struct Slots {
    flash: Vec<u8>,
    /// Of slot a, from the start of the flash.
    at: usize,
    /// Of slot a's payloads, from the start of the flash.
    parts: Vec<(Kind, Region)>,
}

impl Slots {
    fn new(codec: CodecChoice) -> Slots {
        let bench = Bench::new();
        let base = Request {
            // Small, so that every bit can be tried.
            kernel: bench.put("small", &Kernel { filler: 0x3000, ..Kernel::new(false) }.elf()),
            rootfs: Some(bench.put("small.squashfs", &squashfs(0x1800))),
            dtb: Some(bench.put("small.dtb", &tree(Some(b"console=ttyS0,115200 system=one")))),
            format: Some(Format::Nor),
            codec,
            ..bench.full()
        };
        let of = |slot| packed(&Request { slot: Some(slot), ..base.clone() }).1;
        let (a, b) = (of('a'), of('b'));
        let window = board::load("qemu-malta-le").unwrap().flash_window();
        let mut flash = vec![0xff; window.size()];
        let put = |flash: &mut Vec<u8>, built: &Built| {
            let flashing = built.flash.as_ref().unwrap();
            for write in [&flashing.boot].into_iter().chain(&flashing.update) {
                let bytes = &built.file[write.from..][..write.area.size()];
                flash[write.area.offset()..][..bytes.len()].copy_from_slice(bytes);
            }
        };
        put(&mut flash, &a);
        put(&mut flash, &b);
        let opened = open(&a.file).unwrap();
        let manifest = opened.manifest(&Crc32::new()).unwrap();
        let sources = Kind::ALL.map(|kind| (kind, manifest.payload(kind).source));
        let near = |source: Region| Region::new(source.start() - window.start(), source.size()).unwrap();
        let there = sources.into_iter().filter(|(_, source)| !source.is_empty());
        let parts = there.map(|(kind, source)| (kind, near(source))).collect();
        Slots { flash, at: opened.manifest_at() - window.start(), parts }
    }

    fn part(&self, kind: Kind) -> Region {
        self.parts.iter().find(|(other, _)| *other == kind).unwrap().1
    }

    fn start(&self) -> Outcome {
        let boot = Map::of(&board::load("qemu-malta-le").unwrap()).unwrap().boot.offset();
        run_from_flash(&self.flash[boot..], &Input::default(), &self.flash).unwrap()
    }

    /// Slot b boots, and this is what the shim says of a.
    fn why(&self) -> String {
        let outcome = self.start();
        let booted = outcome.result.unwrap_or_else(|error| panic!("nothing boots: {error}"));
        assert_eq!((booted.slot, outcome.failed.len(), outcome.failed[0].0), ('b', 1, 'a'));
        outcome.failed[0].1.to_string()
    }

    /// A flipped bit is found, with one of these codes; then it is flipped back.
    fn flip(&mut self, offset: usize, bit: u32, codes: &[Code]) {
        self.flash[offset] ^= 1 << bit;
        let outcome = self.start();
        let found = outcome.failed.first().map(|(slot, error)| (*slot, error.code()));
        assert!(found.is_some_and(|(slot, code)| slot == 'a' && codes.contains(&code)), "{offset:#x} {bit}: {found:?}");
        assert_eq!(outcome.result.unwrap().slot, 'b');
        self.flash[offset] ^= 1 << bit;
    }

    /// Changes a word of slot a's manifest, and makes its CRC-32 right again (core's manifest.rs has the layout).
    fn set(&mut self, word: usize, value: u32) {
        let crc = Crc32::new();
        let manifest = &mut self.flash[self.at..][..manifest::SIZE];
        manifest[word * 4..][..4].copy_from_slice(&value.to_le_bytes());
        let (block, sum) = manifest.split_at_mut(manifest::SIZE - 4);
        sum.copy_from_slice(&crc.of(block).to_le_bytes());
    }

    /// Stores other bytes for a payload, with the right CRC-32.
    fn store(&mut self, kind: Kind, bytes: &[u8]) {
        let at = self.part(kind);
        assert!(bytes.len() <= at.size());
        self.flash[at.start()..][..bytes.len()].copy_from_slice(bytes);
        self.set(payload(kind) + 1, Crc32::new().of(bytes));
        self.set(payload(kind) + 5, bytes.len() as u32);
    }
}

/// Its first word in the manifest.
fn payload(kind: Kind) -> usize {
    // Twelve words each, the kernel's first.
    manifest::CODEC / 4 + 12 * kind as usize
}

#[test]
fn every_flipped_bit_of_manifest_tree_and_overlay_is_found_before_the_kernel_runs() {
    let mut slots = Slots::new(CodecChoice::Store);
    assert_eq!(slots.start().result.unwrap().slot, 'a');
    let any = [Code::NoManifest, Code::ManifestShape, Code::ManifestCrc, Code::Foreign];
    for bit in 0..manifest::SIZE * 8 {
        slots.flip(slots.at + bit / 8, bit as u32 % 8, &any);
    }
    for kind in [Kind::Dtb, Kind::Overlay] {
        let part = slots.part(kind);
        for bit in 0..part.size() * 8 {
            slots.flip(part.start() + bit / 8, bit as u32 % 8, &[Code::Crc]);
        }
    }
}

#[test]
fn a_thousand_flipped_bits_of_the_other_payloads_are_found() {
    for codec in [CodecChoice::Store, CodecChoice::Lz4, CodecChoice::Lzma] {
        let mut slots = Slots::new(codec);
        let mut state = 0x5700_0b5eu32;
        for sample in 0..1000 {
            state = state.wrapping_mul(0x41c6_4e6d).wrapping_add(0x3039);
            let part = slots.part([Kind::Kernel, Kind::Initrd, Kind::Rootfs][sample % 3]);
            slots.flip(part.start() + (state >> 3) as usize % part.size(), state & 7, &[Code::Crc]);
        }
        assert_eq!(slots.start().result.unwrap().slot, 'a', "they were all flipped back");
    }
}

#[test]
fn streams_that_are_cut_or_lie_have_a_code_and_the_next_slot_boots() {
    for (codec, cut) in [(CodecChoice::Lzma, "E14 kernel stream"), (CodecChoice::Lz4, "E14 kernel stream")] {
        for lost in [1, 2, 100, 300] {
            let mut slots = Slots::new(codec);
            let at = slots.part(Kind::Kernel);
            let bytes = slots.flash[at.start()..at.end() - lost].to_vec();
            slots.store(Kind::Kernel, &bytes);
            let why = slots.why();
            // A block of LZ4 that ends early has no more to say: its length tells.
            assert!(why.starts_with(cut) || why.starts_with("E15 kernel length"), "{lost}: {why}");
        }
    }
    // LZMA "alone": properties, dictionary, size. A header that promises more, or less, or nothing that can be.
    let size = Kernel { filler: 0x3000, ..Kernel::new(false) }.bytes().len() as u64;
    let sizes = [0, size - 1, size + 1, 1 << 32 | size, 1 << 63].map(|size| (5, size.to_le_bytes().to_vec()));
    for (offset, lie) in sizes.into_iter().chain([(0, vec![225]), (0, vec![0xff])]) {
        let mut slots = Slots::new(CodecChoice::Lzma);
        let at = slots.part(Kind::Kernel);
        let mut bytes = slots.flash[at.start()..at.end()].to_vec();
        bytes[offset..][..lie.len()].copy_from_slice(&lie);
        slots.store(Kind::Kernel, &bytes);
        let why = slots.why();
        assert!(why.starts_with("E14 kernel stream") || why.starts_with("E15 kernel length"), "{lie:x?}: {why}");
    }
}

#[test]
fn a_dictionary_larger_than_ram_needs_none_and_an_absurd_one_is_refused() {
    let with = |dictionary: u32| {
        let mut slots = Slots::new(CodecChoice::Lzma);
        let at = slots.part(Kind::Kernel);
        let mut bytes = slots.flash[at.start()..at.end()].to_vec();
        bytes[1..5].copy_from_slice(&dictionary.to_le_bytes());
        slots.store(Kind::Kernel, &bytes);
        slots
    };
    // The destination is the dictionary: 512 MiB of it on a board with 256 MiB are no matter.
    let outcome = with(0x2000_0000).start();
    assert_eq!((outcome.result.unwrap().slot, outcome.failed.len()), ('a', 0));
    for absurd in [0x2000_0001, u32::MAX] {
        assert!(with(absurd).why().starts_with("E14 kernel stream"));
    }
}

#[test]
fn sizes_places_and_codecs_that_lie_have_a_code_and_the_next_slot_boots() {
    let kernel = payload(Kind::Kernel);
    for (word, value, why) in [
        (kernel + 5, 0u32, "E10 kernel missing"),
        (kernel + 5, 0x7fff_ffff, "E11 kernel unreadable"),
        (kernel + 4, 1, "E11 kernel unreadable"),
        (kernel + 5, 0x2000, "E12 kernel crc"),
        (kernel, 0x103, "E03 manifest shape"),
        (kernel, 0x1ff, "E03 manifest shape"),
        (kernel + 9, 0x100, "E15 kernel length"),
        (kernel + 9, 0x1000_0000, "E15 kernel length"),
        (kernel + 11, 0x1000_0000, "E17 kernel overlaps"),
        (kernel + 7, 0x1fff_0000, "E16 kernel not ram"),
        (kernel + 6, 1, "E16 kernel not ram"),
        (kernel + 7, 0x1e09_0000, "E1"),
        (5, 0x1000_0000, "E1"),
        (payload(Kind::Rootfs) + 7, 0x0fdf_0000, "E16 rootfs not ram"),
    ] {
        let mut slots = Slots::new(CodecChoice::Store);
        slots.set(word, value);
        let said = slots.why();
        assert!(said.starts_with(why), "word {word} = {value:#x}: {said}, not {why}");
    }
}

#[test]
fn manifests_of_other_machines_versions_and_lengths_are_named() {
    let with = |change: &dyn Fn(&mut [u8])| {
        let mut slots = Slots::new(CodecChoice::Store);
        let at = slots.at;
        change(&mut slots.flash[at..]);
        slots.why()
    };
    assert!(with(&|bytes| bytes[..4].reverse()).starts_with("E05 manifest foreign"));
    assert!(with(&|bytes| bytes[..4].fill(0xff)).starts_with("E02 manifest missing"));
    assert!(with(&|bytes| bytes[..0x1000].fill(0)).starts_with("E02 manifest missing"));
    let mut slots = Slots::new(CodecChoice::Store);
    slots.set(2, 1 << 24);
    assert!(slots.why().starts_with("E05 manifest foreign"), "big endian by its machine only");
    let mut slots = Slots::new(CodecChoice::Store);
    slots.set(1, 99 << 16 | manifest::SIZE as u32);
    assert!(slots.why().starts_with("E03 manifest shape"));
    assert!(with(&|bytes| bytes[4] ^= 4).starts_with("E0"));
}
