//! An image from its bytes: which container, where its pieces go, the shim with its params, the manifest, and whether every
//! checksum holds.

use crate::machine::Machine;
use stoop_core::Region;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{self, Kind, Manifest};
use stoop_core::params::Params;

use super::error::Error;
use super::{FlashNote, Note, kept, note};
use crate::Result;
use crate::format::checksum::checksum;
use crate::format::elf::{Piece, segments};
use crate::format::fit;
use crate::format::uimage;
use crate::layout::RegionKind;
use crate::plan::Format;
use crate::shim_image::{self, Parts};

/// One checksum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// What it is over.
    pub of: String,
    /// Empty when it holds; else what is wrong.
    pub wrong: Option<String>,
}

/// An image, taken apart.
#[derive(Clone, Debug)]
pub struct Opened<'a> {
    /// What it is for.
    pub machine: Machine,
    /// Its container.
    pub format: Format,
    /// Where the first byte of `image` goes, physical.
    pub load: usize,
    /// From the shim's first byte on.
    pub image: &'a [u8],
    /// All bytes with their physical addresses.
    pub pieces: Vec<Piece<'a>>,
    /// What the packer noted.
    pub note: Note,
    /// Bytes that the shim's front takes in the image, at most.
    pub shim: usize,
    /// Its front's own words.
    pub front: Parts<'a>,
    /// The container's checksums.
    pub container: Vec<Check>,
    /// Of an image for flash: what lies where there.
    pub flash: Option<FlashNote>,
}

/// Takes an image apart. Damaged payloads are no error here, see [`Opened::checks`].
///
/// # Errors
/// No stoop image, or one so damaged that nothing can be said.
pub fn open(file: &[u8]) -> Result<Opened<'_>> {
    let mut opened = open_container(file)?;
    if opened.is_in_flash() {
        let note = opened.note;
        let damaged = |what| Error::Damaged { what };
        let slot = file.get(note.manifest..).unwrap_or(&[]);
        let behind = slot.get(manifest::SIZE..).unwrap_or(&[]);
        let flash = FlashNote::decode(behind, note.big_endian, &Crc32::new())
            .ok_or_else(|| damaged("the note behind its slot's manifest is gone"))?;
        let cut = || damaged("an extent of it is missing");
        let (slot, rootfs) = slot.split_at_checked(flash.size).ok_or_else(cut)?;
        opened.pieces.push((flash.at, slot));
        if !flash.rootfs.is_empty() {
            opened.pieces.push((flash.rootfs.start(), rootfs.get(..flash.rootfs.size()).ok_or_else(cut)?));
        }
        (opened.format, opened.flash, opened.shim) = (Format::Nor, Some(flash), opened.image.len());
    }
    Ok(opened)
}

/// Whether no shim is in a uImage or FIT: it is somebody else's, and not a damaged one of stoop's.
pub fn is_foreign(file: &[u8]) -> bool {
    !(0..file.len().min(LARGEST_FRONT)).step_by(4).any(|at| shim_image::machine(&file[at..]).is_some())
}

/// Only the front of an image for flash: what the bootloader copies to RAM, whatever lies behind it.
///
/// # Errors
/// As for [`open`].
pub fn open_container(file: &[u8]) -> Result<Opened<'_>> {
    if file.is_empty() {
        return Err(Error::Empty.into());
    }
    let mut container = Vec::new();
    let (format, load, pieces) = if let Some(header) = uimage::header(file) {
        let data = &file[uimage::HEADER..];
        if data.len() < header.size {
            return Err(Error::Cut { size: header.size, have: data.len() }.into());
        }
        let data = &data[..header.size];
        container.push(Check::new("uImage header", header.header_good, || "its CRC-32 does not match".into()));
        let computed = checksum(data);
        let wrong = || format!("CRC-32 0x{computed:08x}, the header says 0x{:08x}", header.data_crc);
        container.push(Check::new("uImage data", computed == header.data_crc, wrong));
        let load = header.load.ok_or(Error::NoLoadAddress { container: "uImage" })?;
        (Format::Uimage, Some(load), vec![(load, data)])
    } else if crate::format::device_tree::is_fit(file) {
        let fit = fit::read(file)?;
        let kernel = fit.kernel;
        container.push(Check::new("FIT kernel", kernel.wrong.is_empty(), || kernel.wrong.join("; ")));
        let load = kernel.load.and_then(|load| match shim_image::machine(kernel.data) {
            Some(Machine::Arm64) => usize::try_from(load).ok(),
            _ => stoop_core::mips::physical(u32::try_from(load).ok()?),
        });
        let load = load.ok_or(Error::NoLoadAddress { container: "FIT's kernel" })?;
        (Format::Fit, Some(load), vec![(load, kernel.data)])
    } else if file.starts_with(b"\x7fELF") {
        let (entry, segments) = segments(file)?;
        (Format::Elf, Some(entry), segments)
    } else {
        (Format::Raw, None, vec![(0, file)])
    };
    let first = match load {
        Some(load) => pieces.iter().find(|(at, _)| *at == load).map(|(_, bytes)| *bytes),
        None => Some(file),
    };
    let image = first.unwrap_or_default();
    let Some(machine) = shim_image::machine(image) else {
        return Err(Error::Foreign { likeness: crate::input::looks_like(file) }.into());
    };
    let damaged = |what| Error::Damaged { what };
    let note = Note::find(image, machine == Machine::MipsBe, &Crc32::new())
        .ok_or_else(|| damaged("the note behind its manifest is gone"))?;
    if note.run.size() > LARGEST_SHIM {
        return Err(damaged("it says that its shim needs more RAM than any does").into());
    }
    let front = shim_image::parts(image).ok_or_else(|| damaged("its shim is cut"))?;
    let format = if format == Format::Raw && machine == Machine::Arm64 { Format::Image } else { format };
    let load = load.unwrap_or(note.load);
    let pieces = if matches!(format, Format::Raw | Format::Image) { vec![(load, file)] } else { pieces };
    Ok(Opened { machine, format, load, image, pieces, note, shim: note.manifest, front, container, flash: None })
}

/// A shim begins within this of its container's first byte.
const LARGEST_FRONT: usize = 0x1000;
/// Bytes of RAM that no shim needs.
const LARGEST_SHIM: usize = 0x10_0000;

impl Check {
    fn new(of: impl Into<String>, holds: bool, wrong: impl FnOnce() -> String) -> Check {
        Check { of: of.into(), wrong: (!holds).then(wrong) }
    }
}

impl Opened<'_> {
    /// The slots lie in flash, and not behind the shim.
    fn is_in_flash(&self) -> bool {
        self.params(&Crc32::new()).is_ok_and(|params| params.slot(0).is_some_and(|slot| !slot.relative))
    }

    /// Physical address of the manifest.
    pub fn manifest_at(&self) -> usize {
        self.flash.map_or(self.load + self.note.manifest, |flash| flash.at)
    }

    /// The machine.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// The name of the board that it was packed for.
    pub fn board(&self) -> Option<&str> {
        note::find_board(self.image, &Crc32::new())
    }

    /// How people type a physical address.
    pub fn typed(&self, address: usize) -> usize {
        match self.machine {
            Machine::Arm64 => address,
            _ => stoop_core::mips::kseg0(address),
        }
    }

    /// The params block, checked.
    ///
    /// # Errors
    /// As the shim would find it.
    pub fn params(&self, crc: &Crc32) -> stoop_core::Result<Params<'_>> {
        Params::check(self.front.params, self.note.big_endian, crc)
    }

    /// The manifest, checked, its addresses as if the image were where it was laid out for.
    ///
    /// # Errors
    /// As the shim would find it.
    pub fn manifest(&self, crc: &Crc32) -> stoop_core::Result<Manifest> {
        Manifest::check(self.behind_shim(), self.manifest_at(), self.load, self.machine(), crc)
    }

    /// The manifest and what lies behind it.
    fn behind_shim(&self) -> &[u8] {
        match self.flash {
            Some(flash) => self.pieces.iter().find(|(at, _)| *at == flash.at).map_or(&[][..], |(_, bytes)| bytes),
            None => self.image.get(self.note.manifest..).unwrap_or(&[]),
        }
    }

    /// Physical memory that pack kept free though no payload goes there: what the device tree reserves, where a vmlinuz unpacks its
    /// kernel, where the kernel may move itself, its log, and where the file is fetched to. Nothing when the list is damaged.
    pub fn kept_free(&self) -> Vec<(RegionKind, Region)> {
        let at = self.flash.map_or(note::KEPT_AT, |_| note::KEPT_IN_SLOT);
        let list = self.behind_shim().get(at..).unwrap_or_default();
        kept::decode(list, self.note.big_endian, &Crc32::new()).unwrap_or_default()
    }

    /// Where pack found room for the file on its way, physical; `None` for one that goes to flash.
    pub fn download(&self) -> Option<usize> {
        match self.format {
            Format::Nor => None,
            Format::Raw | Format::Image => Some(self.load),
            Format::Uimage | Format::Fit | Format::Elf => {
                let kept = self.kept_free().into_iter();
                kept.filter(|(what, _)| *what == RegionKind::Download).map(|(_, region)| region.start()).next()
            }
        }
    }

    /// The bytes at a physical range, when one piece has them all.
    pub fn bytes(&self, at: Region) -> Option<&[u8]> {
        let (start, piece) = self.pieces.iter().find(|(start, piece)| {
            Region::new(*start, piece.len()).is_some_and(|region| !at.is_empty() && region.contains(&at))
        })?;
        piece.get(at.start() - start..at.end() - start)
    }

    /// Every checksum, in the order of the file.
    pub fn checks(&self) -> Vec<Check> {
        let crc = Crc32::new();
        let mut checks = self.container.clone();
        checks.push(Check::new("shim", self.front.whole, || "the sum over it and its params is wrong".into()));
        let params = self.params(&crc);
        checks.push(Check { of: "params".into(), wrong: params.err().map(|error| error.to_string()) });
        let found = self.manifest(&crc);
        checks.push(Check { of: "manifest".into(), wrong: found.as_ref().err().map(ToString::to_string) });
        let Ok(found) = found else { return checks };
        for kind in Kind::ALL {
            let payload = found.payload(kind);
            if payload.source.is_empty() {
                continue;
            }
            let wrong = match self.bytes(payload.source) {
                None => Some(format!("0x{:x} bytes are not in the file", payload.source.size())),
                Some(bytes) => {
                    let computed = checksum(bytes);
                    let stored = payload.crc;
                    (computed != stored).then(|| format!("CRC-32 0x{computed:08x}, the manifest says 0x{stored:08x}"))
                }
            };
            checks.push(Check { of: kind.subject().text().into(), wrong });
        }
        checks
    }
}
