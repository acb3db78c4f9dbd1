//! The manifest: the checked list of payloads in one image or slot.
//!
//! Big-endian, offsets in bytes:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `STPM` |
//! | 4 | 2 | version, 1 |
//! | 6 | 2 | length of the manifest with its CRC |
//! | 8 | 1 | machine: 1 MIPS big-endian, 2 MIPS little-endian, 3 arm64 |
//! | 9 | 1 | handoff |
//! | 10 | 1 | phram: 0 none, 1 device tree |
//! | 11 | 1 | number of the `mtdN` alias for phram |
//! | 12 | 4 | number of payloads |
//! | 16 | 8, 8 | region for the final device tree |
//! | 32 | 8, 8 | region for argc, argv and env |
//! | 48 | 56 each | payloads |
//! | last 4 | 4 | CRC-32 of all before it |
//!
//! A payload:
//!
//! | at | bytes | field |
//! |---|---|---|
//! | 0 | 1, 1 | kind, codec |
//! | 2 | 2 | flags: bit 0 source counts from the manifest, bit 1 destination counts from the image |
//! | 4 | 4 | CRC-32 of the stored bytes |
//! | 8 | 8, 8 | source: address, stored size |
//! | 24 | 8, 8, 8 | destination: address, decoded size, size in memory (the rest is zeroed) |
//! | 48 | 8 | entry point (kernel only) |
//!
//! The device tree has no destination of its own: the tree that the kernel gets is written into the region at 16.

use crate::bytes::{Writer, be_usize, be16, be32};
use crate::codec::Codec;
use crate::crc32::Crc32;
use crate::{Code, Error, Region, Result, Subject};

/// `STPM`.
pub const MAGIC: u32 = 0x5354_504d;
/// This layout.
pub const VERSION: u16 = 1;
/// Most payloads of one manifest.
pub const MAX_PAYLOADS: usize = 4;
/// The largest manifest in bytes.
pub const MAX_SIZE: usize = FIXED + PAYLOAD * MAX_PAYLOADS + CRC;

const FIXED: usize = 48;
const PAYLOAD: usize = 56;
const CRC: usize = 4;

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

/// How the kernel is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum HandoffKind {
    /// a0 = -2, a1 = device tree (MIPS Unified Hosting Interface).
    Uhi = 0,
    /// a0 = argc, a1 = argv, a2 = env.
    Argv = 1,
    /// The device tree at the kernel's `__appended_dtb`; registers as for argv.
    Appended = 2,
    /// x0 = device tree.
    Arm64 = 3,
}

/// How Linux learns of the root filesystem in RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Phram {
    /// Not at all, or by words that pack put into the command line.
    None = 0,
    /// A node under /reserved-memory, and an alias.
    Tree = 1,
}

/// What a payload is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum PayloadKind {
    /// The kernel.
    Kernel = 1,
    /// The device tree that the final one is made from.
    Dtb = 2,
    /// The initial ramdisk.
    Initrd = 3,
    /// The root filesystem, for phram.
    Rootfs = 4,
}

impl PayloadKind {
    /// The word for it in errors.
    pub fn subject(self) -> Subject {
        match self {
            PayloadKind::Kernel => Subject::Kernel,
            PayloadKind::Dtb => Subject::Dtb,
            PayloadKind::Initrd => Subject::Initrd,
            PayloadKind::Rootfs => Subject::Rootfs,
        }
    }
}

/// Bytes that the shim delivers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Payload {
    /// What it is.
    pub kind: PayloadKind,
    /// How it is stored.
    pub codec: Codec,
    /// `source` counts from the manifest's first byte.
    pub source_relative: bool,
    /// The destination counts from the image's first byte.
    pub destination_relative: bool,
    /// CRC-32 of the stored bytes.
    pub crc: u32,
    /// Stored bytes.
    pub source: Region,
    /// Where it goes: address and size after decoding.
    pub destination: Region,
    /// Bytes it occupies there; zeros behind the decoded ones.
    pub memory_size: usize,
    /// Where the CPU goes, as a physical address (kernel only).
    pub entry_point: usize,
}

/// The payloads of one slot.
pub type Payloads = heapless::Vec<Payload, MAX_PAYLOADS>;

/// The list, decoded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// What it was made for.
    pub machine: Machine,
    /// How the kernel is called.
    pub handoff: HandoffKind,
    /// How Linux learns of the rootfs.
    pub phram: Phram,
    /// N of the `mtdN` alias.
    pub alias: u8,
    /// Room for the final device tree.
    pub tree: Region,
    /// Room for argc, argv and env; empty unless the handoff needs it.
    pub argv: Region,
    /// What to deliver.
    pub payloads: Payloads,
}

impl Manifest {
    /// Reads the manifest at the front of `bytes`, which lies at physical `at` (for messages).
    pub fn decode(bytes: &[u8], at: usize, crc: &Crc32) -> Result<Self> {
        let fail = |code, a, b| Error::new(code, Subject::Manifest, a, b);
        let magic = be32(bytes, 0).unwrap_or(0);
        if magic != MAGIC {
            return Err(fail(Code::NoManifest, at, magic as usize));
        }
        let shape = fail(Code::ManifestShape, at, 0);
        let length = usize::from(be16(bytes, 6).ok_or(shape)?);
        if length > MAX_SIZE || be16(bytes, 4) != Some(VERSION) {
            return Err(shape);
        }
        let sum_at = length.checked_sub(CRC).ok_or(shape)?;
        let (block, _) = bytes.split_at_checked(sum_at).ok_or(shape)?;
        let (computed, stored) = (crc.of(block), be32(bytes, sum_at).ok_or(shape)?);
        if computed != stored {
            return Err(fail(Code::ManifestCrc, computed as usize, stored as usize));
        }
        Self::decode_fields(block).ok_or(shape)
    }

    fn decode_fields(block: &[u8]) -> Option<Self> {
        let (head, mut rest) = block.split_first_chunk::<FIXED>()?;
        let head = head.as_slice();
        let region = |bytes: &[u8], at: usize| Region::new(be_usize(bytes, at)?, be_usize(bytes, at.wrapping_add(8))?);
        let mut manifest = Manifest {
            machine: match head.get(8)? {
                1 => Machine::MipsBe,
                2 => Machine::MipsLe,
                3 => Machine::Arm64,
                _ => return None,
            },
            handoff: match head.get(9)? {
                0 => HandoffKind::Uhi,
                1 => HandoffKind::Argv,
                2 => HandoffKind::Appended,
                3 => HandoffKind::Arm64,
                _ => return None,
            },
            phram: match head.get(10)? {
                0 => Phram::None,
                1 => Phram::Tree,
                _ => return None,
            },
            alias: *head.get(11)?,
            tree: region(head, 16)?,
            argv: region(head, 32)?,
            payloads: Payloads::new(),
        };
        for _ in 0..be32(head, 12)? {
            let (entry, behind) = rest.split_first_chunk::<PAYLOAD>()?;
            let entry = entry.as_slice();
            let flags = be16(entry, 2)?;
            let payload = Payload {
                kind: match entry.first()? {
                    1 => PayloadKind::Kernel,
                    2 => PayloadKind::Dtb,
                    3 => PayloadKind::Initrd,
                    4 => PayloadKind::Rootfs,
                    _ => return None,
                },
                codec: Codec::from_byte(*entry.get(1)?)?,
                source_relative: flags & 1 != 0,
                destination_relative: flags & 2 != 0,
                crc: be32(entry, 4)?,
                source: region(entry, 8)?,
                destination: region(entry, 24)?,
                memory_size: be_usize(entry, 40)?,
                entry_point: be_usize(entry, 48)?,
            };
            manifest.payloads.push(payload).ok()?;
            rest = behind;
        }
        Some(manifest)
    }

    /// The payload of that kind, if there is one.
    pub fn payload(&self, kind: PayloadKind) -> Option<&Payload> {
        self.payloads.iter().find(|payload| payload.kind == kind)
    }

    /// Bytes that [`Manifest::encode`] writes for `payloads` payloads.
    pub const fn encoded_size(payloads: usize) -> usize {
        FIXED + PAYLOAD * payloads + CRC
    }

    /// Writes the manifest to the front of `out` and returns its length; `None` when it does not fit.
    pub fn encode(&self, out: &mut [u8], crc: &Crc32) -> Option<usize> {
        let length = Self::encoded_size(self.payloads.len());
        let mut w = Writer::new(out);
        w.be32(MAGIC)?;
        w.be16(VERSION)?;
        w.be16(u16::try_from(length).ok()?)?;
        w.bytes(&[self.machine as u8, self.handoff as u8, self.phram as u8, self.alias])?;
        w.be32(u32::try_from(self.payloads.len()).ok()?)?;
        for region in [self.tree, self.argv] {
            w.be64(region.start())?;
            w.be64(region.size())?;
        }
        for payload in &self.payloads {
            w.bytes(&[payload.kind as u8, payload.codec as u8])?;
            w.be16(u16::from(payload.source_relative) | u16::from(payload.destination_relative) << 1)?;
            w.be32(payload.crc)?;
            for region in [payload.source, payload.destination] {
                w.be64(region.start())?;
                w.be64(region.size())?;
            }
            w.be64(payload.memory_size)?;
            w.be64(payload.entry_point)?;
        }
        let sum = crc.of(w.written());
        w.be32(sum)?;
        Some(length)
    }
}
