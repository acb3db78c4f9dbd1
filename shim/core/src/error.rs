//! What can go wrong on the board, with codes that never change their meaning.
//!
//! The shim prints `stoop: E12 kernel crc 0x…`; `stoop explain E12` says what to do.

use crate::names::Name;

/// What an error is about. The value is the number of its word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Subject {
    /// The kernel.
    Kernel = Name::Kernel as u8,
    /// The initial ramdisk.
    Initrd = Name::Initrd as u8,
    /// The root filesystem.
    Rootfs = Name::Rootfs as u8,
    /// The tables of argv and environment.
    Env = Name::Env as u8,
    /// The device tree.
    Dtb = Name::Dtb as u8,
    /// What is added to it.
    Overlay = Name::Overlay as u8,
    /// The params block.
    Params = Name::Params as u8,
    /// The manifest.
    Manifest = Name::Manifest as u8,
    /// argc and argv, for the kernel.
    Argv = Name::Argv as u8,
    /// The board's RAM.
    Ram = Name::Ram as u8,
}

worded!(Subject);

/// Stable numbers, grouped by tens: 0x params and manifest, 1x payloads, 2x device tree, 3x handoff.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Code {
    /// The params block behind the shim is damaged: magic, version, length or CRC-32.
    Params = 1,
    /// No manifest where the params say one is. Value: its address.
    NoManifest = 2,
    /// The manifest's version, length or a field in it is not one this shim knows. Value: its address.
    ManifestShape = 3,
    /// The manifest's CRC-32 does not match. Value: the computed one.
    ManifestCrc = 4,
    /// The manifest is for another architecture or endianness. Value: its second word.
    Foreign = 5,
    /// The shim itself is damaged: a sum over what is stored or what was unpacked is wrong. Only the number exists, which the
    /// start code gives to the bootloader.
    Shim = 6,
    /// The slot has no kernel.
    NoKernel = 10,
    /// Bytes of a payload lie outside the memory this board has. Value: their start.
    Unreadable = 11,
    /// A payload's CRC-32 does not match. Value: the computed one.
    Crc = 12,
    /// The payload's codec is not built into this shim. Value: the codec.
    Codec = 13,
    /// The compressed stream is damaged. Value: bytes produced.
    Decode = 14,
    /// The stream ended well but is not as long as the manifest says. Value: bytes produced.
    Length = 15,
    /// A destination is not RAM of this board. Value: its start.
    NotRam = 16,
    /// Two regions overlap. Value: start of the first.
    Overlap = 17,
    /// RAM is smaller than the params say: what is written behind its end appears at its start. Value: its size.
    RamSize = 18,
    /// No device tree at all: none packed and none from the bootloader.
    NoTree = 20,
    /// The device tree's header is damaged or not version 17. Value: its first word.
    TreeHeader = 21,
    /// The device tree's structure is damaged. Value: offset in the structure block.
    TreeStructure = 22,
    /// The new tree does not fit its region. Value: the region's size.
    TreeRoom = 23,
    /// The root or /reserved-memory of the base tree has cell counts unlike those that the image was packed for, so the
    /// kernel would ignore or misread what is added. Value: the count found.
    TreeCells = 24,
    /// The image has no tables for argc, argv and env, which this handoff passes. Value: their bytes.
    ArgvRoom = 30,
}

impl Code {
    /// Every code, for explanations and tests.
    pub const ALL: [Code; 21] = [
        Code::Params,
        Code::NoManifest,
        Code::ManifestShape,
        Code::ManifestCrc,
        Code::Foreign,
        Code::Shim,
        Code::NoKernel,
        Code::Unreadable,
        Code::Crc,
        Code::Codec,
        Code::Decode,
        Code::Length,
        Code::NotRam,
        Code::Overlap,
        Code::RamSize,
        Code::NoTree,
        Code::TreeHeader,
        Code::TreeStructure,
        Code::TreeRoom,
        Code::TreeCells,
        Code::ArgvRoom,
    ];

    /// The word behind the subject.
    pub fn name(self) -> Name {
        // A table: without jump tables a match is a comparison for each code.
        const NAMES: [Name; Code::ArgvRoom as usize + 1] = {
            let (mut names, mut at) = ([Name::None; Code::ArgvRoom as usize + 1], 0);
            while at < Code::ALL.len() {
                names[Code::ALL[at] as usize] = Code::ALL[at].spelled();
                at += 1;
            }
            names
        };
        NAMES.get(self as usize).copied().unwrap_or(Name::None)
    }

    const fn spelled(self) -> Name {
        match self {
            Code::Params | Code::Shim => Name::Damaged,
            Code::NoManifest | Code::NoKernel | Code::NoTree => Name::Missing,
            Code::ManifestShape => Name::Shape,
            Code::ManifestCrc | Code::Crc => Name::Crc,
            Code::Foreign => Name::Foreign,
            Code::Unreadable => Name::Unreadable,
            Code::Codec => Name::Codec,
            Code::Decode => Name::Stream,
            Code::Length => Name::Length,
            Code::NotRam => Name::NotRam,
            Code::Overlap => Name::Overlaps,
            Code::RamSize => Name::Smaller,
            Code::TreeHeader => Name::Header,
            Code::TreeStructure => Name::Structure,
            Code::TreeRoom | Code::ArgvRoom => Name::Room,
            Code::TreeCells => Name::Cells,
        }
    }
}

/// A failure on the board: two machine words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    code: Code,
    subject: Subject,
    other: Subject,
    /// Its meaning depends on the code.
    pub value: usize,
}

impl Error {
    /// An error about one part.
    pub const fn new(code: Code, subject: Subject, value: usize) -> Self {
        Self::between(code, subject, subject, value)
    }

    /// An error about two parts.
    pub const fn between(code: Code, subject: Subject, other: Subject, value: usize) -> Self {
        Error { code, subject, other, value }
    }

    /// What is the matter.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The number behind `E`.
    pub fn number(&self) -> u8 {
        self.code as u8
    }

    /// What it is about.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// The other part, when it is about two.
    pub fn other(&self) -> Option<Subject> {
        (self.other != self.subject).then_some(self.other)
    }
}

/// As the shim prints it, for the host; the shim itself has no `core::fmt`.
impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "E{:02} {} {}", self.number(), self.subject.text(), self.code.name().text())?;
        if let Some(other) = self.other() {
            write!(f, " {}", other.text())?;
        }
        write!(f, " {:#010x}", self.value)
    }
}

/// What core's functions return.
pub type Result<T> = core::result::Result<T, Error>;
