//! The boot path: from registers, params and memory to a kernel in place, its final device tree, and the registers to call
//! it with. The board and `stoop simulate` run these very functions.

use crate::abi::Abi;
use crate::bootargs::{Entry, EntryKind, Line};
use crate::codec::{Codec, Tables};
use crate::cookie::{Verdict, judge};
use crate::crc32::Crc32;
use crate::deliver::deliver;
use crate::fdt::{COUNT_ENTRY, COUNT_HANDOFF, Merge};
use crate::manifest::{Kind, Manifest};
use crate::memory::Memory;
use crate::params::{Params, SlotAt};
use crate::{Code, Error, Region, Result, Subject};

/// phram's region is a multiple of this many bytes (Linux: PAGE_SIZE, 4 KiB at least).
pub const PAGE: usize = 4096;

/// Facts about the running loader.
#[derive(Clone, Copy, Debug)]
pub struct Loader {
    /// Physical address of the image's first byte.
    pub image: usize,
    /// Where the loader's code, data and stack are; nothing may be delivered there.
    pub run: Region,
}

/// What is too large for a stack, or for copies.
pub struct Buffers {
    /// Its table, empty until [`Crc32::fill`].
    pub crc: Crc32,
    /// The bootloader's line; once judged, the part of it that is kept.
    pub line: Line,
    /// The decoders' memory.
    pub tables: Tables,
}

impl Buffers {
    /// All zero, so that a static costs no bytes in the image.
    #[allow(clippy::new_without_default, reason = "34 KiB by value: the caller chooses where it lives")]
    pub const fn new() -> Self {
        Buffers { crc: Crc32::BLANK, line: Line::new(), tables: Tables::new() }
    }
}

/// A machine with a loader in it.
pub struct Board<'b, M, F> {
    /// RAM and flash.
    pub memory: M,
    /// Where the loader is.
    pub loader: Loader,
    /// The loader's.
    pub buffers: &'b mut Buffers,
    /// Called while something takes long, often: cheap. No `dyn`: a table of its functions would be an address in the shim.
    pub feed: F,
}

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// What became of the bootargs.
    pub verdict: Verdict,
    /// How the bootloader called us.
    pub entry: EntryKind,
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
    /// Physical address of the report's `slot` in the final tree, by which [`stamp`] finds the counts.
    pub slot_at: usize,
    /// The final tree.
    pub tree: Region,
}

impl<M: Memory, F: Fn()> Board<'_, M, F> {
    /// Judges the bootargs and tries the slots in their order; `failed` hears of each one that cannot boot.
    ///
    /// # Errors
    /// The last slot's. Memory may have been written by then, but never the loader's own.
    pub fn boot<A: Abi>(
        &mut self,
        params: &Params,
        registers: [usize; 4],
        failed: &mut dyn FnMut(u8, &Error),
    ) -> Result<(Handoff, Report)> {
        let (entry, verdict) = self.enter::<A>(params, registers);
        let mut last = Error::new(Code::NoManifest, Subject::Manifest, 0);
        for slot in params.slots() {
            let mut report = Report { verdict, entry: entry.kind, slot: slot.name };
            match self.boot_slot::<A>(&slot, &entry, registers, &mut report) {
                Ok(handoff) => return Ok((handoff, report)),
                Err(error) => {
                    trace!("slot {=char} does not boot: {}", slot.name as char, error);
                    failed(slot.name, &error);
                    last = error;
                }
            }
        }
        Err(last)
    }

    /// How the bootloader called us, and what becomes of its line.
    fn enter<A: Abi>(&mut self, params: &Params, registers: [usize; 4]) -> (Entry, Verdict) {
        let line = &mut self.buffers.line;
        let entry = A::enter(registers, &self.memory, line);
        trace!("entry {}: {=u32} bytes of bootargs, device tree {}", entry.kind, line.len() as u32, entry.tree);
        let verdict = if entry.too_long { Verdict::Refused } else { judge(line, params) };
        trace!(
            "bootargs {}: cookie {=str}, rule {=str}, a line of {=u32} bytes",
            verdict,
            core::str::from_utf8(params.cookie()).unwrap_or(""),
            params.cookie_rule().name(),
            line.len() as u32
        );
        (entry, verdict)
    }

    /// Manifest, payloads, device tree, registers.
    fn boot_slot<A: Abi>(
        &mut self,
        slot: &SlotAt,
        entry: &Entry,
        registers: [usize; 4],
        report: &mut Report,
    ) -> Result<Handoff> {
        let Board { memory, loader, buffers, feed } = self;
        let at = slot.address.wrapping_add(if slot.relative { loader.image } else { 0 });
        trace!("slot {=char}: manifest at {=u64:#010x}", slot.name as char, at as u64);
        let mut manifest = Manifest::BLANK;
        manifest.read(memory.from(at).unwrap_or(&[]), at, loader.image, A::MACHINE, &buffers.crc)?;
        check_payloads(&manifest, memory, &buffers.crc, feed)?;
        deliver_payloads(&manifest, memory, &mut buffers.tables, feed)?;
        let (tree, line, slot_at) = write_tree::<A, M>(&manifest, memory, entry, &buffers.line, report)?;
        let registers = A::leave(&manifest, tree, line, &registers, memory)?;
        let handoff = Handoff { entry_point: manifest.entry_point(), registers, slot_at, tree };
        trace!("slot {=char} boots: handoff {=str}, {}", slot.name as char, manifest.handoff().name(), handoff);
        Ok(handoff)
    }

    /// Writes the CPU's counter at entry and now into the report, as the last thing before caches and the jump. The
    /// additions of every image have the report.
    #[inline(always)] // One caller, and so 40 bytes smaller.
    pub fn stamp(&mut self, handoff: &Handoff, counts: [u32; 2]) {
        const SIZE: usize = COUNT_HANDOFF + 4;
        if let Some(report) = self.memory.write(Region::stated(handoff.slot_at, SIZE))
            && let Some(report) = report.first_chunk_mut::<SIZE>()
        {
            report[COUNT_ENTRY..COUNT_ENTRY + 4].copy_from_slice(&counts[0].to_be_bytes());
            report[COUNT_HANDOFF..].copy_from_slice(&counts[1].to_be_bytes());
        }
    }
}

/// Every stored byte is there and has the CRC-32 of the manifest, and there is a kernel.
fn check_payloads<M: Memory>(manifest: &Manifest, memory: &M, crc: &Crc32, feed: &impl Fn()) -> Result<()> {
    for kind in Kind::ALL.iter().copied() {
        let payload = manifest.payload(kind);
        let (subject, source) = (kind.subject(), payload.source);
        if source.is_empty() {
            if subject == Subject::Kernel {
                return Err(Error::new(Code::NoKernel, subject, 0));
            }
            continue;
        }
        let stored = memory.read(source).ok_or(Error::new(Code::Unreadable, subject, source.start()))?;
        let computed = crc.of_fed(stored, feed);
        trace!(
            "{} stored at {}: crc {=u32:#010x}, {=u32:#010x} in the manifest",
            subject, source, computed, payload.crc
        );
        if computed != payload.crc {
            return Err(Error::new(Code::Crc, subject, computed as usize));
        }
    }
    Ok(())
}

/// Puts every payload in its place, if that overlaps no other payload's and no bytes that are still to be read.
///
/// Pack has proven it for the place it chose; the bootloader may have put the image elsewhere. What cannot move with it,
/// the room for the final tree and the loader's own memory, is proven by pack alone; nobody writes to the latter.
fn deliver_payloads<M: Memory>(
    manifest: &Manifest,
    memory: &mut M,
    tables: &mut Tables,
    feed: &impl Fn(),
) -> Result<()> {
    for kind in Kind::ALL.iter().copied() {
        let payload = manifest.payload(kind);
        for later in Kind::ALL.into_iter().skip(kind as usize) {
            let other = manifest.payload(later);
            let same = later == kind;
            // A payload may move over its own source, but not be decoded there.
            let moves = same && payload.codec == Codec::Store;
            // An appended tree and the additions behind it are inside the kernel.
            let inside = same || later == Kind::Additions;
            if !inside && payload.place.overlaps(&other.place) || !moves && payload.place.overlaps(&other.source) {
                let (part, other) = (kind.subject(), later.subject());
                return Err(Error::between(Code::Overlap, part, other, payload.place.start()));
            }
        }
        if !payload.place.is_empty() {
            deliver(kind.subject(), &payload, memory, tables, feed)?;
        }
    }
    Ok(())
}

/// Writes the final tree, with the command line in it. Gives the region of both, and where the report's slot is.
fn write_tree<A: Abi, M: Memory>(
    manifest: &Manifest,
    memory: &mut M,
    entry: &Entry,
    line: &[u8],
    report: &mut Report,
) -> Result<(Region, usize, usize)> {
    let mut base = manifest.payload(Kind::Dtb).source;
    if base.is_empty() {
        base = entry.tree;
    }
    if base.is_empty() {
        return Err(Error::new(Code::NoTree, Subject::Dtb, 0));
    }
    trace!("dtb made from {}, room {}", base, manifest.tree());
    // The additions have been delivered to the end of the room.
    let place = manifest.payload(Kind::Additions).place;
    let room = manifest.tree();
    let whole = Region::stated(room.start(), room.size().wrapping_add(place.size()));
    let Some((base, bytes)) = memory.pair(base, whole) else {
        return Err(Error::new(Code::NotRam, Subject::Dtb, room.start()));
    };
    let (out, additions) = bytes.split_at_mut_checked(room.size()).unwrap_or((&mut [], &mut []));
    if A::RELATIVE {
        manifest.relocate(additions);
    }
    let mut merge = Merge::new(base, additions, out);
    merge.additions.read()?;
    let own = merge.additions.bootargs().len();
    let mut passed = if report.verdict.passes() { line } else { &[] };
    let mut joint: &[u8] = if own == 0 || passed.is_empty() { b"" } else { b" " };
    if own.wrapping_add(joint.len()).wrapping_add(passed.len()) >= A::COMMAND_LINE_SIZE {
        report.verdict = Verdict::Refused;
        (passed, joint) = (&[], &[]);
    }
    let texts = [joint, passed, report.verdict.bytes(), report.entry.bytes(), &[report.slot]];
    merge.write(&texts)?;
    let at = |offset: usize| room.start().wrapping_add(offset);
    trace!(
        "dtb is {=u32} bytes, command line: {=u32} of its own, {=u32} passed, bootargs {}",
        merge.size() as u32,
        own as u32,
        passed.len() as u32,
        report.verdict
    );
    Ok((Region::stated(room.start(), merge.size()), at(merge.line), at(merge.slot)))
}
