//! The manifest: the checked list of payloads in one image or slot.
//!
//! 32-bit words in the byte order of the machine; addresses and sizes take two, the high one first.
//!
//! | word | field |
//! |---|---|
//! | 0 | magic `STPM` |
//! | 1 | version (16 bits), length in bytes with its CRC (16 bits) |
//! | 2 | machine, handoff (a byte each, high one first); then 16 bits: |
//! | 2, 3 | three words of the overlay, 16 bits each, at which a 64-bit address counts from the image; 0 for none |
//! | 4, 6 | region for the final device tree: start, size |
//! | 8 | the kernel's entry point |
//! | 10… | payloads, twelve words each, in the order of [`Kind`]; stored size 0: not in this image |
//! | 82, 84 | room for copies of what is stored in flash: start, size (0: none, flash is read twice) |
//! | last | CRC-32 of all before it |
//!
//! A payload:
//!
//! | word | field |
//! |---|---|
//! | 0 | codec; bit 8: source counts from the manifest; bit 9: destination counts from the image (the kernel's bit is also that of words 4 and 12) |
//! | 1 | CRC-32 of the stored bytes |
//! | 2, 4 | source: address, stored size |
//! | 6, 8, 10 | destination: address, decoded size, size in memory (the rest is zeroed) |
//!
//! The device tree has no destination of its own: the tree that the kernel gets is written into the region at 4. The
//! overlay's destination begins where that region ends.

use crate::block;
use crate::bytes::{put, wide};
use crate::codec::Codec;
use crate::crc32::Crc32;
use crate::{Code, Error, Region, Result, Subject};

/// `STPM`.
pub const MAGIC: u32 = 0x5354_504d;
/// This layout.
pub const VERSION: u16 = 2;
/// Payloads of every manifest.
pub const PAYLOADS: usize = 6;
/// Bytes of every manifest.
pub const SIZE: usize = (WORDS + 1) * 4;
/// Where the word with the kernel's codec is, in bytes.
pub const CODEC: usize = HEAD * 4;

/// Copies of payloads in flash begin at multiples of this.
pub const COPY_ALIGN: usize = 16;

const HEAD: usize = 10;
const PAYLOAD: usize = 12;
const COPIES: usize = HEAD + PAYLOAD * PAYLOADS;
const WORDS: usize = COPIES + 4;

const SOURCE_RELATIVE: u32 = 1 << 8;
const DESTINATION_RELATIVE: u32 = 1 << 9;

/// Frames of a shim's trace build begin with 0 and, in one byte, this and its [`Machine`].
pub const TRACE_MARK: u8 = 0xf0;

/// What the image was made for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Machine {
    /// MIPS32, big-endian.
    MipsBe = 1,
    /// MIPS32, little-endian.
    MipsLe = 2,
    /// arm64, little-endian.
    Arm64 = 3,
}

impl Machine {
    /// Every one.
    pub const ALL: [Machine; 3] = [Machine::MipsBe, Machine::MipsLe, Machine::Arm64];

    /// As in board files and file names: `mips-be`, `mips-le`, `arm64`.
    pub fn name(self) -> &'static str {
        match self {
            Machine::MipsBe => "mips-be",
            Machine::MipsLe => "mips-le",
            Machine::Arm64 => "arm64",
        }
    }

    /// 32-bit MIPS of either byte order.
    pub fn is_mips(self) -> bool {
        self != Machine::Arm64
    }

    /// The byte order of code and kernel data: the most significant byte comes first.
    pub fn is_big_endian(self) -> bool {
        self == Machine::MipsBe
    }
}

/// How the kernel is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum HandoffKind {
    /// a0 = -2, a1 = device tree (MIPS Unified Hosting Interface).
    Uhi = 0,
    /// a0 = argc, a1 = argv, a2 = env.
    Argv = 1,
    /// The device tree at the kernel's `__appended_dtb`; registers as for argv when there are tables ([`argv`]), else as for UHI.
    Appended = 2,
    /// x0 = device tree.
    Arm64 = 3,
}

impl HandoffKind {
    /// `None` for a byte that no version of the manifest defines.
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => HandoffKind::Uhi,
            1 => HandoffKind::Argv,
            2 => HandoffKind::Appended,
            3 => HandoffKind::Arm64,
            _ => return None,
        })
    }
}

/// The payload [`Kind::Env`]: what argc, argv and env of the kernel point to (arch/mips/fw/lib/cmdline.c: fw_init_cmdline,
/// fw_getenv), as the kernel reads it. Only the pointer to the line is missing, which lies in the final device tree.
///
/// 32-bit words in the byte order of the machine: `argv[0]`, which points to an empty string, since some kernels skip it and
/// others do not; `argv[1]`, the line; NULL; env's pointers; NULL; then the strings.
pub mod argv {
    use crate::bytes::{Writer, put};

    /// Where the pointer to the line is, in bytes; the shim writes it.
    pub const LINE: usize = 4;
    /// Where env's pointers begin, in bytes.
    pub const ENV: usize = 12;
    /// Bytes of a block without an environment: five words, the last one the empty string. With a block of no more than this
    /// the bootloader's environment is passed on; a larger one stands for itself.
    pub const NO_ENV: usize = 20;

    /// Writes the block for virtual address `at` to the front of `out` and returns its length in bytes; `env` is `name=value`
    /// strings without NUL. `None` when it does not fit.
    pub fn encode(out: &mut [u8], at: u32, env: &[&[u8]], big_endian: bool) -> Option<usize> {
        let tables = ENV + (env.len() + 1) * 4;
        let (words, strings) = out.split_at_mut_checked(tables)?;
        let mut strings = Writer::new(strings);
        let empty = at + tables as u32;
        words.fill(0);
        strings.bytes(&[0])?;
        let mut words = words.chunks_exact_mut(4);
        for pointer in [empty, 0, 0] {
            put(words.next()?, pointer, big_endian);
        }
        for string in env {
            put(words.next()?, empty + strings.len() as u32, big_endian);
            strings.bytes(string)?;
            strings.bytes(&[0])?;
        }
        while !strings.len().is_multiple_of(4) {
            strings.bytes(&[0])?;
        }
        Some(tables + strings.len())
    }
}

/// What a payload is, in the order of delivery: what is needed last comes last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// The kernel.
    Kernel = 0,
    /// The initial ramdisk.
    Initrd = 1,
    /// The root filesystem, for phram.
    Rootfs = 2,
    /// The tables and strings of [`argv`], ready for the argv and appended handoffs.
    Env = 3,
    /// The device tree that the final one is made from; the bootloader's when there is none.
    Dtb = 4,
    /// What the final device tree has that this one has not: [`crate::fdt::Overlay`].
    Overlay = 5,
}

impl Kind {
    /// In the order of delivery.
    pub const ALL: [Kind; PAYLOADS] = [Kind::Kernel, Kind::Initrd, Kind::Rootfs, Kind::Env, Kind::Dtb, Kind::Overlay];

    /// The word for it in errors.
    pub fn subject(self) -> Subject {
        match self {
            Kind::Kernel => Subject::Kernel,
            Kind::Initrd => Subject::Initrd,
            Kind::Rootfs => Subject::Rootfs,
            Kind::Env => Subject::Env,
            Kind::Dtb => Subject::Dtb,
            Kind::Overlay => Subject::Overlay,
        }
    }
}

/// Bytes that the shim delivers, or reads where they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payload {
    /// How it is stored.
    pub codec: Codec,
    /// CRC-32 of the stored bytes.
    pub crc: u32,
    /// Stored bytes; empty when the image has no such payload.
    pub source: Region,
    /// Where it goes: address and size after decoding.
    pub destination: Region,
    /// Everything it occupies there; zeros behind the decoded bytes. Empty when it stays where it is.
    pub place: Region,
}

impl Payload {
    /// No payload.
    pub const NONE: Payload = Payload {
        codec: Codec::Store,
        crc: 0,
        source: Region::EMPTY,
        destination: Region::EMPTY,
        place: Region::EMPTY,
    };
}

/// The list, checked. Fields are read where they are used.
#[derive(Clone, Debug)]
pub struct Manifest {
    words: [u32; WORDS],
    at: usize,
    image: usize,
}

impl Manifest {
    /// Not read yet.
    pub const BLANK: Self = Manifest { words: [0; WORDS], at: 0, image: 0 };

    /// As [`Manifest::read`], by value.
    ///
    /// # Errors
    /// Those of [`Manifest::read`].
    pub fn check(bytes: &[u8], at: usize, image: usize, machine: Machine, crc: &Crc32) -> Result<Self> {
        let mut manifest = Self::BLANK;
        manifest.read(bytes, at, image, machine, crc)?;
        Ok(manifest)
    }

    /// Reads the manifest at the front of `bytes`, which lies at physical `at`, in an image at physical `image`.
    ///
    /// # Errors
    /// [`Code::NoManifest`], [`Code::ManifestShape`], [`Code::ManifestCrc`] or [`Code::Foreign`].
    pub fn read(&mut self, bytes: &[u8], at: usize, image: usize, machine: Machine, crc: &Crc32) -> Result<()> {
        (self.at, self.image) = (at, image);
        block::read(&mut self.words, bytes, at, MAGIC, machine == Machine::MipsBe, crc)?;
        let [_, version_length, kinds, ..] = self.words;
        if kinds >> 24 != machine as u32 {
            return Err(Error::new(Code::Foreign, Subject::Manifest, kinds as usize));
        }
        if version_length != u32::from(VERSION) << 16 | SIZE as u32 || !self.is_known() {
            return Err(Error::new(Code::ManifestShape, Subject::Manifest, at));
        }
        Ok(())
    }

    fn wide(&self, word: usize) -> usize {
        wide(self.words[word], self.words[word + 1])
    }

    /// How the kernel is called.
    pub fn handoff(&self) -> HandoffKind {
        HandoffKind::from_byte((self.words[2] >> 16) as u8).unwrap_or(HandoffKind::Uhi)
    }

    /// Every field that is one of a list is one of it.
    fn is_known(&self) -> bool {
        let mut codecs = self.words[HEAD..].as_chunks::<PAYLOAD>().0.iter().map(|words| words[0] as u8);
        codecs.all(|codec| Codec::from_byte(codec).is_some())
            && HandoffKind::from_byte((self.words[2] >> 16) as u8).is_some()
    }

    /// What counts from the image when the kernel's destination does.
    fn base(&self) -> usize {
        if self.words[HEAD] & DESTINATION_RELATIVE != 0 { self.image } else { 0 }
    }

    /// Adds the image's address to the addresses in the overlay that count from it.
    pub fn relocate(&self, overlay: &mut [u8]) {
        let [_, _, first, others, ..] = self.words;
        for word in [first & 0xffff, others >> 16, others & 0xffff] {
            let at = (word as usize).wrapping_mul(4);
            if at != 0
                && let Some(field) = overlay.get_mut(at..).and_then(<[u8]>::first_chunk_mut)
            {
                *field = u64::from_be_bytes(*field).wrapping_add(self.image as u64).to_be_bytes();
            }
        }
    }

    /// Room for the final device tree.
    pub fn tree(&self) -> Region {
        Region::stated(self.wide(4).wrapping_add(self.base()), self.wide(6))
    }

    /// Room in RAM for copies of what would be read twice from flash, one behind the other at multiples of [`COPY_ALIGN`];
    /// empty when pack found none.
    pub fn copies(&self) -> Region {
        Region::stated(self.wide(COPIES), self.wide(COPIES + 2))
    }

    /// Physical address of the kernel's first instruction.
    pub fn entry_point(&self) -> usize {
        self.wide(8).wrapping_add(self.base())
    }

    /// One payload, its addresses physical; [`Payload::NONE`] when the image has none of that kind.
    #[inline(never)]
    pub fn payload(&self, kind: Kind) -> Payload {
        let Some(words) = self.words[HEAD..].as_chunks::<PAYLOAD>().0.get(kind as usize) else {
            return Payload::NONE;
        };
        let source = if words[0] & SOURCE_RELATIVE != 0 { self.at } else { 0 };
        let destination = if words[0] & DESTINATION_RELATIVE != 0 { self.image } else { 0 };
        let wide = |at: usize| wide(words[at], words[at + 1]);
        let region =
            |base: usize, start: usize, size: usize| Region::stated(wide(start).wrapping_add(base), wide(size));
        Payload {
            // Every codec is known: `read` has looked.
            codec: Codec::from_byte(words[0] as u8).unwrap_or(Codec::Store),
            crc: words[1],
            source: region(source, 2, 4),
            destination: region(destination, 6, 8),
            place: region(destination, 6, 10),
        }
    }
}

/// One payload as the host tool writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// How it is stored.
    pub codec: Codec,
    /// `source` counts from the manifest's first byte.
    pub source_relative: bool,
    /// `destination` counts from the image's first byte. When it is the kernel's, so do its entry point and the room for the
    /// final device tree.
    pub destination_relative: bool,
    /// CRC-32 of the stored bytes.
    pub crc: u32,
    /// Stored bytes.
    pub source: Region,
    /// Address and size after decoding.
    pub destination: Region,
    /// Bytes it occupies there.
    pub memory_size: usize,
}

/// What the host tool writes into a manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// What it is made for.
    pub machine: Machine,
    /// How the kernel is called.
    pub handoff: HandoffKind,
    /// Room for the final device tree.
    pub tree: Region,
    /// The kernel's first instruction.
    pub entry_point: usize,
    /// Where the overlay has addresses that count from the image, in words; 0 for none.
    pub relative: [u16; 3],
    /// Room for copies of what would be read twice from flash; empty when there is none.
    pub copies: Region,
    /// By [`Kind`].
    pub payloads: [Option<Entry>; PAYLOADS],
}

impl Listing {
    /// The manifest's bytes.
    pub fn encode(&self, crc: &Crc32) -> [u8; SIZE] {
        let mut words = [0; WORDS];
        let mut set = |word: usize, value: usize| {
            words[word] = (value as u64 >> 32) as u32;
            words[word + 1] = value as u32;
        };
        set(4, self.tree.start());
        set(6, self.tree.size());
        set(8, self.entry_point);
        set(COPIES, self.copies.start());
        set(COPIES + 2, self.copies.size());
        for (index, entry) in self.payloads.iter().enumerate() {
            if let Some(entry) = entry {
                let word = HEAD + index * PAYLOAD;
                set(word + 2, entry.source.start());
                set(word + 4, entry.source.size());
                set(word + 6, entry.destination.start());
                set(word + 8, entry.destination.size());
                set(word + 10, entry.memory_size);
            }
        }
        for (index, entry) in self.payloads.iter().enumerate() {
            if let Some(entry) = entry {
                let word = HEAD + index * PAYLOAD;
                let flag = |set: bool, flag: u32| if set { flag } else { 0 };
                words[word] = entry.codec as u32
                    | flag(entry.source_relative, SOURCE_RELATIVE)
                    | flag(entry.destination_relative, DESTINATION_RELATIVE);
                words[word + 1] = entry.crc;
            }
        }
        words[0] = MAGIC;
        words[1] = u32::from(VERSION) << 16 | SIZE as u32;
        let [first, second, third] = self.relative.map(u32::from);
        words[2] = u32::from_be_bytes([self.machine as u8, self.handoff as u8, 0, 0]) | first;
        words[3] = second << 16 | third;
        let mut bytes = [0; SIZE];
        let big_endian = self.machine == Machine::MipsBe;
        for (field, word) in bytes.chunks_exact_mut(4).zip(words) {
            put(field, word, big_endian);
        }
        let (block, sum) = bytes.split_at_mut(WORDS * 4);
        put(sum, crc.of(block), big_endian);
        bytes
    }
}
