//! The one entry: from registers, params and memory to a kernel in place, its final device tree, and the registers to
//! call it with. The board and `stoop simulate` run this very function.

use crate::abi::Abi;
use crate::bootargs::{Entry, Line};
use crate::bytes::be32;
use crate::codec::{Codec, Tables};
use crate::cookie::judge;
use crate::crc32::Crc32;
use crate::deliver::deliver;
use crate::fdt::{self, Edits, Tree};
use crate::manifest::{HandoffKind, Kind, Manifest, PAYLOADS, Phram};
use crate::memory::Memory;
use crate::names::Name;
use crate::params::Params;
use crate::region::align_up;
use crate::{Code, Error, Region, Result, Subject};

/// phram's region is a multiple of this many bytes (Linux: PAGE_SIZE, 4 KiB at least).
pub const PAGE: usize = 4096;

/// Facts about the running loader.
#[derive(Clone, Copy, Debug)]
pub struct Loader<'a> {
    /// Physical address of the image's first byte.
    pub image: usize,
    /// Where the loader's code, data and stack are; nothing may be delivered there.
    pub run: Region,
    /// For the report.
    pub version: &'a str,
    /// The CPU's counter at entry.
    pub count: u32,
}

/// Buffers too large for a stack.
pub struct Scratch {
    /// The bootloader's line; once judged, the part of it that is kept.
    pub line: Line,
    /// The decoders' memory.
    pub tables: Tables,
}

impl Scratch {
    /// Empty buffers.
    pub const fn new() -> Self {
        Scratch { line: Line::new(), tables: Tables::new() }
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Scratch::new()
    }
}

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// What became of the bootargs.
    pub verdict: Name,
    /// How the bootloader called us.
    pub entry: Name,
    /// Name of the slot that boots.
    pub slot: u8,
}

/// Everything is in place; only caches and the jump are left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handoff {
    /// Physical address of the kernel's first instruction.
    pub entry_point: usize,
    /// Its argument registers.
    pub registers: [usize; 4],
    /// Physical address of the report's `count-handoff` in the final tree.
    pub count_at: usize,
    /// The final tree.
    pub tree: Region,
}

/// Tries the slots in their order; `failed` hears of each one that cannot boot.
///
/// # Errors
/// The last slot's. Memory may have been written by then, but never the loader's own.
pub fn prepare<A: Abi, M: Memory>(
    memory: &mut M,
    params: &Params,
    loader: &Loader,
    registers: [usize; 4],
    crc: &Crc32,
    scratch: &mut Scratch,
    failed: &mut dyn FnMut(u8, &Error),
) -> Result<(Handoff, Report)> {
    let entry = A::enter(registers, memory, &mut scratch.line);
    let verdict = if entry.too_long { Name::Refused } else { judge(&mut scratch.line, params) };
    let mut last = Error::new(Code::NoManifest, Subject::Manifest, 0);
    for slot in params.slots() {
        let at = slot.address.wrapping_add(if slot.relative { loader.image } else { 0 });
        let mut report = Report { verdict, entry: entry.kind, slot: slot.name };
        let booted =
            Manifest::check(memory.from(at).unwrap_or(&[]), at, loader.image, A::MACHINE, crc).and_then(|manifest| {
                check_payloads(&manifest, memory, crc)?;
                check_places(&manifest, loader)?;
                deliver_payloads(&manifest, memory, scratch)?;
                let tree =
                    write_tree::<A, M>(&manifest, memory, params.ram(), loader, &entry, &scratch.line, &mut report)?;
                Ok(Handoff {
                    entry_point: manifest.entry_point(),
                    registers: A::leave(&manifest, tree.0, memory)?,
                    tree: tree.0,
                    count_at: tree.1,
                })
            });
        match booted {
            Ok(handoff) => return Ok((handoff, report)),
            Err(error) => {
                failed(slot.name, &error);
                last = error;
            }
        }
    }
    Err(last)
}

/// Every stored byte is there and has the CRC-32 of the manifest, and there is a kernel.
fn check_payloads<M: Memory>(manifest: &Manifest, memory: &M, crc: &Crc32) -> Result<()> {
    for kind in Kind::ALL {
        let payload = manifest.payload(kind as usize);
        let (subject, source) = (kind.subject(), payload.source);
        if source.is_empty() {
            if subject == Subject::Kernel {
                return Err(Error::new(Code::NoKernel, subject, 0));
            }
            continue;
        }
        let stored = memory.read(source).ok_or(Error::new(Code::Unreadable, subject, source.start()))?;
        let computed = crc.of(stored);
        if computed != payload.crc {
            return Err(Error::new(Code::Crc, subject, computed as usize));
        }
    }
    Ok(())
}

/// Payloads and whatever else has a place, by what errors call them.
const PARTS: [Subject; PAYLOADS + 3] = [
    Subject::Kernel,
    Subject::Initrd,
    Subject::Rootfs,
    Subject::Env,
    Subject::Dtb,
    Subject::Dtb,
    Subject::Argv,
    Subject::Shim,
];

/// Proves that no destination overlaps another one, the loader, or bytes that are still to be read.
///
/// Pack has proven it for the place it chose; the bootloader may have put the image elsewhere.
fn check_places(manifest: &Manifest, loader: &Loader) -> Result<()> {
    let mut places = [Region::EMPTY; PARTS.len()];
    let mut sources = places;
    // An appended tree goes into the kernel's own slot.
    if manifest.handoff() != HandoffKind::Appended as u8 {
        places[PAYLOADS] = manifest.tree();
    }
    places[PAYLOADS + 1] = manifest.argv();
    places[PAYLOADS + 2] = loader.run;
    for index in 0..PAYLOADS {
        let payload = manifest.payload(index);
        (places[index], sources[index]) = (payload.place, payload.source);
        if payload.codec != Codec::Store as u8 {
            disjoint(index, &payload.place, index, &payload.source)?;
        }
    }
    for index in 0..PARTS.len() {
        for later in index.wrapping_add(1)..PARTS.len() {
            disjoint(index, &places[index], later, &places[later])?;
            disjoint(index, &places[index], later, &sources[later])?;
        }
    }
    Ok(())
}

#[inline(never)]
fn disjoint(part: usize, region: &Region, other: usize, with: &Region) -> Result<()> {
    if region.overlaps(with)
        && let (Some(part), Some(other)) = (PARTS.get(part), PARTS.get(other))
    {
        return Err(Error::between(Code::Overlap, *part, *other, region.start()));
    }
    Ok(())
}

fn deliver_payloads<M: Memory>(manifest: &Manifest, memory: &mut M, scratch: &mut Scratch) -> Result<()> {
    for kind in Kind::ALL {
        let payload = manifest.payload(kind as usize);
        if !payload.place.is_empty() {
            deliver(kind.subject(), &payload, memory, &mut scratch.tables)?;
        }
    }
    Ok(())
}

/// Writes the final tree, with the command line in it. Gives its region, and where `count-handoff` is.
fn write_tree<A: Abi, M: Memory>(
    manifest: &Manifest,
    memory: &mut M,
    ram: Region,
    loader: &Loader,
    entry: &Entry,
    line: &[u8],
    report: &mut Report,
) -> Result<(Region, usize)> {
    let payload = |kind: Kind| manifest.payload(kind as usize);
    let mut from = payload(Kind::Dtb).source;
    let packed = !from.is_empty();
    if !packed {
        from = bootloader_tree(memory, entry)?;
    }
    let room = manifest.tree();
    let (stored, out) = memory.pair(from, room).ok_or(Error::new(Code::NotRam, Subject::Dtb, room.start()))?;
    let source = Tree::new(stored)?;
    // Without a packed tree the bootloader's bootargs are its line, not the tree's own.
    let own = if packed { fdt::bootargs(source.chosen_bootargs().unwrap_or(&[])) } else { &[] };
    let passes = matches!(report.verdict, Name::Accepted | Name::Kept);
    let mut passed = if passes { line } else { &[] };
    let mut joint: &[u8] = if own.is_empty() || passed.is_empty() { b"" } else { b" " };
    if own.len().wrapping_add(joint.len()).wrapping_add(passed.len()) >= A::COMMAND_LINE_SIZE {
        report.verdict = Name::Refused;
        (passed, joint) = (&[], &[]);
    }
    let initrd = payload(Kind::Initrd).destination;
    let rootfs = payload(Kind::Rootfs).place;
    let phram = !rootfs.is_empty() && manifest.phram() == Phram::Tree as u8;
    let edits = Edits {
        bootargs: Some(&[own, joint, passed]),
        phram: phram.then_some((whole_pages(rootfs), manifest.alias())),
        initrd: (!initrd.is_empty()).then_some(initrd),
        memory: Some(ram),
        report: Some(fdt::Report {
            version: loader.version.as_bytes(),
            verdict: report.verdict.bytes(),
            entry: report.entry.bytes(),
            slot: report.slot,
            count_entry: loader.count,
        }),
    };
    let (size, count_offset) = fdt::write(&source, &edits, out)?;
    let tree = Region::stated(room.start(), size);
    Ok((tree, room.start().wrapping_add(count_offset)))
}

/// The tree that came with the entry, as the base of the final one.
fn bootloader_tree<M: Memory>(memory: &M, entry: &Entry) -> Result<Region> {
    let none = Error::new(Code::NoTree, Subject::Dtb, 0);
    let tree = memory.from(entry.tree).filter(|_| entry.tree != 0).ok_or(none)?;
    Region::new(entry.tree, be32(tree, TOTAL_SIZE).ok_or(none)? as usize).ok_or(none)
}

/// The field totalsize of a device tree's header (Devicetree Specification 5.2).
const TOTAL_SIZE: usize = 4;

fn whole_pages(region: Region) -> Region {
    let size = align_up(region.size(), PAGE).unwrap_or(0);
    Region::stated(region.start(), size)
}

/// Writes the CPU's counter into the report, as the last thing before caches and the jump.
pub fn stamp<M: Memory>(memory: &mut M, handoff: &Handoff, count: u32) {
    if let Some(field) = Region::new(handoff.count_at, 4).and_then(|at| memory.write(at)) {
        crate::bytes::put(field, count, true);
    }
}
