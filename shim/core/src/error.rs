//! What can go wrong on the board, with codes that never change their meaning.
//!
//! The shim prints `stoop: E12 kernel crc 0x… 0x…`; `stoop explain E12` says what to do.

/// Stable numbers, grouped by tens: 0x params and manifest, 1x payloads, 2x device tree, 3x command line and handoff.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Code {
    /// The params block behind the shim is damaged: magic, version, length or CRC-32.
    Params = 1,
    /// No manifest where the params say one is. Values: its address, the word found.
    NoManifest = 2,
    /// The manifest's version, length or a field in it is not one this shim knows. Values: its address, offset in it.
    ManifestShape = 3,
    /// The manifest's CRC-32 does not match. Values: computed, stored.
    ManifestCrc = 4,
    /// The manifest is for another architecture or endianness. Values: its machine byte, ours.
    Foreign = 5,
    /// The slot has no kernel.
    NoKernel = 10,
    /// Bytes of a payload lie outside the memory this board has. Values: start, size.
    Unreadable = 11,
    /// A payload's CRC-32 does not match. Values: computed, stored.
    Crc = 12,
    /// The payload's codec is not in this shim. Values: codec, 0.
    Codec = 13,
    /// The compressed stream is damaged. Values: bytes produced, bytes expected.
    Decode = 14,
    /// The stream ended well but is not as long as the manifest says. Values: bytes produced, bytes expected.
    Length = 15,
    /// A destination is not RAM of this board. Values: start, size.
    NotRam = 16,
    /// Two regions overlap. Values: their starts.
    Overlap = 17,
    /// No device tree at all: none packed and none from the bootloader.
    NoTree = 20,
    /// The device tree's header is damaged or not version 17. Values: first word, total size.
    TreeHeader = 21,
    /// The device tree's structure is damaged. Values: offset in the structure block, 0.
    TreeStructure = 22,
    /// The new tree does not fit its region. Values: region's size, 0.
    TreeRoom = 23,
    /// /reserved-memory has cell counts unlike the root's, so the kernel would ignore it.
    TreeCells = 24,
    /// An address does not fit the tree's cells.
    TreeAddress = 25,
    /// The block with argc, argv and env does not fit its region. Values: region's size, 0.
    ArgvRoom = 30,
}

/// What the error is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Subject {
    /// The loader itself.
    Shim,
    /// The params block.
    Params,
    /// The manifest of an image or slot.
    Manifest,
    /// The kernel.
    Kernel,
    /// The device tree.
    Dtb,
    /// The initial ramdisk.
    Initrd,
    /// The root filesystem.
    Rootfs,
    /// The block with argc, argv and env.
    Argv,
}

impl Subject {
    /// The word used in messages.
    pub fn name(self) -> &'static str {
        match self {
            Subject::Shim => "shim",
            Subject::Params => "params",
            Subject::Manifest => "manifest",
            Subject::Kernel => "kernel",
            Subject::Dtb => "dtb",
            Subject::Initrd => "initrd",
            Subject::Rootfs => "rootfs",
            Subject::Argv => "argv",
        }
    }
}

impl Code {
    /// One or two words behind the subject, as on the UART.
    pub fn name(self) -> &'static str {
        match self {
            Code::Params => "damaged",
            Code::NoManifest => "missing",
            Code::ManifestShape => "shape",
            Code::ManifestCrc | Code::Crc => "crc",
            Code::Foreign => "foreign",
            Code::NoKernel => "missing",
            Code::Unreadable => "unreadable",
            Code::Codec => "codec",
            Code::Decode => "stream",
            Code::Length => "length",
            Code::NotRam => "not ram",
            Code::Overlap => "overlaps",
            Code::NoTree => "missing",
            Code::TreeHeader => "header",
            Code::TreeStructure => "structure",
            Code::TreeRoom | Code::ArgvRoom => "room",
            Code::TreeCells => "cells",
            Code::TreeAddress => "address",
        }
    }

    /// The number behind `E`.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// A failure on the board: what, about which part, and two numbers whose meaning the code gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// The part it is about.
    pub subject: Subject,
    /// For [`Code::Overlap`]: the other part.
    pub other: Subject,
    /// First value.
    pub a: usize,
    /// Second value.
    pub b: usize,
}

impl Error {
    /// An error about one part.
    pub fn new(code: Code, subject: Subject, a: usize, b: usize) -> Self {
        Error { code, subject, other: subject, a, b }
    }
}

/// What core's functions return.
pub type Result<T> = core::result::Result<T, Error>;
