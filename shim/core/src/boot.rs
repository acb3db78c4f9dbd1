//! The boot path: from registers, params and memory to a kernel in place, its final device tree, and the registers to call
//! it with. The board and `stoop simulate` run these very functions.

use crate::abi::{Abi, Entry};
use crate::bootargs::{EntryKind, Line};
use crate::codec::{Codec, Tables};
use crate::cookie::{Judgement, Refusal};
use crate::crc32::Crc32;
use crate::deliver::deliver;
use crate::fdt::{COUNT_ENTRY, COUNT_HANDOFF, Merge};
use crate::manifest::{COPY_ALIGN, Kind, Manifest, PAYLOADS, Payload};
use crate::memory::Memory;
use crate::params::{Params, SlotAt};
use crate::ram;
use crate::watchdog::EVERY;
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
}

impl Buffers {
    /// All zero, so that a static costs no bytes in the image.
    #[allow(clippy::new_without_default, reason = "5 KiB by value: the caller chooses where it lives")]
    pub const fn new() -> Self {
        Buffers { crc: Crc32::BLANK, line: Line::new() }
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
    /// The decoders' memory, in which arguments are joined before anything is decoded. Whatever is in it at first.
    pub tables: &'b mut Tables,
    /// Called while something takes long, often: cheap. No `dyn`: a table of its functions would be an address in the shim.
    pub feed: F,
}

/// What was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    /// What became of the bootargs.
    pub bootargs: Judgement,
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
    /// Physical address of the report's `slot` in the final tree, by which [`Board::stamp`] finds the counts.
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
        let entry = self.enter::<A>(params, registers);
        let mut last = Error::new(Code::NoManifest, Subject::Manifest, 0);
        for slot in params.slots() {
            let mut report = Report { bootargs: entry.bootargs, entry: entry.kind, slot: slot.name };
            match self.boot_slot::<A>(params, &slot, &entry, registers, &mut report) {
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
    fn enter<A: Abi>(&mut self, params: &Params, registers: [usize; 4]) -> Entry {
        let line = &mut self.buffers.line;
        let entry = A::enter(registers, &self.memory, params, self.tables.joined(), line);
        trace!("entry {}: device tree {}", entry.kind, entry.tree);
        trace!(
            "bootargs {}: cookie {=str}, rule {=str}, a line of {=u32} bytes",
            entry.bootargs.verdict,
            core::str::from_utf8(params.cookie()).unwrap_or(""),
            params.cookie_rule().name(),
            line.len() as u32
        );
        entry
    }

    /// Manifest, payloads, device tree, registers.
    fn boot_slot<A: Abi>(
        &mut self,
        params: &Params,
        slot: &SlotAt,
        entry: &Entry,
        registers: [usize; 4],
        report: &mut Report,
    ) -> Result<Handoff> {
        let Board { memory, loader, buffers, tables, feed } = self;
        let at = slot.address.wrapping_add(if slot.relative { loader.image } else { 0 });
        trace!("slot {=char}: manifest at {=u64:#010x}", slot.name as char, at as u64);
        let mut manifest = Manifest::BLANK;
        manifest.read(memory.from(at).unwrap_or(&[]), at, loader.image, A::MACHINE, &buffers.crc)?;
        let stored = Stored::of(&manifest, params.flash(), entry.tree);
        ram::check(memory, params.ram(), loader.run)?;
        stored.overlaps(tree_room(&manifest))?;
        stored.check(memory, &buffers.crc, feed)?;
        stored.deliver(memory, tables, feed)?;
        let base = stored.tree();
        let (tree, line, slot_at) = write_tree::<A, M>(&manifest, memory, base, &buffers.line, report)?;
        let registers = A::leave(&manifest, tree, line, &registers, memory)?;
        let handoff = Handoff { entry_point: manifest.entry_point(), registers, slot_at, tree };
        trace!("slot {=char} boots: handoff {=str}, {}", slot.name as char, manifest.handoff().name(), handoff);
        Ok(handoff)
    }

    /// Writes the CPU's counter at entry and now into the report, as the last thing before caches and the jump. The
    /// overlay of every image have the report.
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

/// A payload, and where it is read once it is checked.
#[derive(Clone, Copy)]
struct Item {
    kind: Kind,
    payload: Payload,
    used: Region,
}

/// The payloads as they are stored, and where they are read once they are checked.
///
/// Flash is slow and may change, so that its bytes cross the bus once: what is stored as it is goes straight to its place, and
/// what has to be decoded or merged into the room for copies. What was checked is what is used.
struct Stored([Item; PAYLOADS]);

impl Stored {
    /// `tree` is the bootloader's device tree: the base of the final one when none is packed.
    #[inline(never)]
    fn of(manifest: &Manifest, flash: Region, tree: Region) -> Self {
        let mut stored = Stored([Item { kind: Kind::Kernel, payload: Payload::NONE, used: Region::EMPTY }; PAYLOADS]);
        // Whether the bootloader's tree is in the way is seen only here: then flash is read twice.
        let mut room = if tree.overlaps(&manifest.copies()) { Region::EMPTY } else { manifest.copies() };
        for (kind, item) in Kind::ALL.into_iter().zip(&mut stored.0) {
            let payload = manifest.payload(kind);
            *item = Item { kind, payload, used: payload.source };
            if payload.source.is_empty() {
                if kind == Kind::Dtb {
                    item.used = tree;
                }
                continue;
            }
            let stays = kind == Kind::Rootfs && payload.place.is_empty();
            if stays || !flash.contains(&payload.source) {
                continue;
            }
            let size = payload.source.size();
            // The overlay may lie where the kernel is decoded to, and then come after it.
            if payload.codec == Codec::Store && size == payload.destination.size() && kind != Kind::Overlay {
                item.used = payload.destination;
                continue;
            }
            let whole = size.wrapping_add(COPY_ALIGN - 1) & !(COPY_ALIGN - 1);
            if let Some(left) = room.size().checked_sub(whole) {
                item.used = Region::stated(room.start(), size);
                room = Region::stated(room.start().wrapping_add(whole), left);
            }
        }
        stored
    }

    /// Where the device tree is read that the final one is made from; empty when there is none.
    fn tree(&self) -> Region {
        self.0[Kind::Dtb as usize].used
    }

    /// Nothing is written over another payload's place, nor over bytes that are still to be read, nor over the bootloader's
    /// device tree when that is the base.
    ///
    /// Pack has proven it for the place it chose; the bootloader may have put the image, or its tree, elsewhere. What cannot move
    /// with them is proven by pack alone: the rooms for the final tree and for copies, and the loader's own memory, which
    /// nobody writes to.
    fn overlaps(&self, room: Region) -> Result<()> {
        let mut found = self.tree().overlaps(&room).then_some((Kind::Dtb, Kind::Dtb, room));
        let mut rest = &self.0[..];
        while let [Item { kind, payload, .. }, others @ ..] = rest {
            for later in rest {
                let same = later.kind == *kind;
                // A payload may move over its own source, but not be decoded there.
                let moves = same && payload.codec == Codec::Store;
                // An appended tree and the overlay behind it are inside the kernel.
                let inside = same || later.kind == Kind::Overlay;
                if !inside && payload.place.overlaps(&later.payload.place)
                    || !moves && payload.place.overlaps(&later.used)
                {
                    found = found.or(Some((*kind, later.kind, payload.place)));
                }
            }
            rest = others;
        }
        match found {
            None => Ok(()),
            Some((kind, later, at)) => Err(Error::between(Code::Overlap, kind.subject(), later.subject(), at.start())),
        }
    }

    /// Every stored byte is there, has been copied if it is to be, and has the CRC-32 of the manifest, and there is a kernel.
    fn check<M: Memory>(&self, memory: &mut M, crc: &Crc32, feed: &impl Fn()) -> Result<()> {
        for Item { kind, payload, used: copy } in &self.0 {
            let (subject, source, copy) = (kind.subject(), payload.source, *copy);
            if source.is_empty() {
                if subject == Subject::Kernel {
                    return Err(Error::new(Code::NoKernel, subject, 0));
                }
                continue;
            }
            let unreadable = Error::new(Code::Unreadable, subject, source.start());
            memory.read(source).ok_or(unreadable)?;
            if copy != source {
                let not_ram = Error::new(Code::NotRam, subject, copy.start());
                // In parts, since flash may take seconds for all of it.
                let mut done = 0;
                while done < source.size() {
                    feed();
                    let part =
                        Region::stated(source.start().wrapping_add(done), EVERY.min(source.size().wrapping_sub(done)));
                    memory.copy(part, copy.start().wrapping_add(done)).ok_or(not_ram)?;
                    done = done.wrapping_add(part.size());
                }
            }
            let computed = crc.of_fed(memory.read(copy).ok_or(unreadable)?, feed);
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

    /// Puts every payload in its place.
    fn deliver<M: Memory>(&self, memory: &mut M, tables: &mut Tables, feed: &impl Fn()) -> Result<()> {
        for Item { kind, payload, used } in &self.0 {
            if !payload.place.is_empty() {
                deliver(kind.subject(), payload, *used, memory, tables, feed)?;
            }
        }
        Ok(())
    }
}

/// The room for the final tree, with the overlay behind it.
fn tree_room(manifest: &Manifest) -> Region {
    let (tree, overlay) = (manifest.tree(), manifest.payload(Kind::Overlay).place);
    Region::stated(tree.start(), tree.size().wrapping_add(overlay.size()))
}

/// Writes the final tree, with the command line in it. Gives the region of both, and where the report's slot is.
fn write_tree<A: Abi, M: Memory>(
    manifest: &Manifest,
    memory: &mut M,
    base: Region,
    line: &[u8],
    report: &mut Report,
) -> Result<(Region, usize, usize)> {
    if base.is_empty() {
        return Err(Error::new(Code::NoTree, Subject::Dtb, 0));
    }
    trace!("dtb made from {}, room {}", base, manifest.tree());
    let room = manifest.tree();
    let Some((base, bytes)) = memory.pair(base, tree_room(manifest)) else {
        return Err(Error::new(Code::NotRam, Subject::Dtb, room.start()));
    };
    let (out, overlay) = bytes.split_at_mut_checked(room.size()).unwrap_or((&mut [], &mut []));
    if A::RELATIVE {
        manifest.relocate(overlay);
    }
    let mut merge = Merge::new(base, overlay, out);
    merge.overlay.read()?;
    let own = merge.overlay.bootargs().len();
    let mut passed = if report.bootargs.verdict.passes() { line } else { &[] };
    let mut joint: &[u8] = if own == 0 || passed.is_empty() { b"" } else { b" " };
    if own.wrapping_add(joint.len()).wrapping_add(passed.len()) >= A::COMMAND_LINE_SIZE {
        report.bootargs = Judgement::refused(Refusal::TooLong);
        (passed, joint) = (&[], &[]);
    }
    let texts = [joint, passed, report.bootargs.verdict.bytes(), report.entry.bytes(), &[report.slot]];
    merge.write(&texts)?;
    let at = |offset: usize| room.start().wrapping_add(offset);
    trace!(
        "dtb is {=u32} bytes, command line: {=u32} of its own, {=u32} passed, bootargs {}",
        merge.size() as u32,
        own as u32,
        passed.len() as u32,
        report.bootargs.verdict
    );
    Ok((Region::stated(room.start(), merge.size()), at(merge.line), at(merge.slot)))
}
