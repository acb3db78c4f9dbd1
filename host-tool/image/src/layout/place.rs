//! What a boot needs, and where it goes.

use crate::machine::{KSEG_SIZE, LOW};
use stoop_core::Region;
use stoop_core::region::align_up;

use super::error::Error;
use super::first_fit::{Fit, Room};
use super::proof::prove;
use super::region::{ARGV_SIZE, GRAIN, NamedRegion, PAGE, Phases, RegionKind};
use crate::Result;

/// The kernel's ranges, physical.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KernelNeed {
    /// Image and bss; of a vmlinuz image, bss and heap.
    pub place: Region,
    /// What a vmlinuz writes.
    pub decompressed: Option<Region>,
    /// Where it may move itself.
    pub relocation: Option<Region>,
}

/// How the image gets into RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Fetched to one place with a header of so many bytes, then copied to its load address: uImage.
    Copied {
        /// Bytes in front of the image.
        header: usize,
    },
    /// Fetched to where it is entered.
    Direct,
    /// Fetched, then loaded segment by segment, kernel and root filesystem where they belong: ELF.
    Segments,
    /// Copied from flash to a place that a container in flash names, so that it cannot move; payloads come from flash.
    Flash {
        /// Where the container's bytes are copied to and entered.
        load: Region,
        /// Where the shim runs.
        run: Region,
    },
}

/// Sizes in bytes and ranges, all physical.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    /// Of the board.
    pub ram: Region,
    /// At the top of RAM, the bootloader's.
    pub bootloader: usize,
    /// Where the bootloader copies a flash image to first.
    pub staging: Option<Region>,
    /// Where the bootloader likes to fetch files to.
    pub download: Option<usize>,
    /// What the device tree reserves.
    pub reserved: Vec<Region>,
    /// Where the kernel keeps its log over a reset; empty for none. Nothing else may lie there at any time.
    pub ramoops: Region,
    /// What the kernel reserves by the device tree wherever it finds room.
    pub dynamic: Vec<Room>,
    /// The kernel.
    pub kernel: KernelNeed,
    /// For the running shim.
    pub run: usize,
    /// For the final device tree; 0 when it goes into a slot inside the kernel.
    pub tree: usize,
    /// The handoff passes argc and argv.
    pub argv: bool,
    /// Everything of the image in front of initrd and root filesystem. Of segments: without the kernel.
    pub head: usize,
    /// 0 for none.
    pub initrd: usize,
    /// 0 for none.
    pub rootfs: usize,
    /// For copies of what the shim would else read twice from flash; 0 for none.
    pub copies: usize,
    /// How the image gets into RAM.
    pub shape: Shape,
}

/// Where everything goes; empty regions for what is not there. Proven.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Places {
    /// Where the bootloader fetches the file to.
    pub download: usize,
    /// Where the shim runs.
    pub run: Region,
    /// The image without initrd and root filesystem; its start is the load address and the entry point.
    pub head: Region,
    /// Room for the final tree.
    pub tree: Region,
    /// Room for argv and env.
    pub argv: Region,
    /// In whole pages.
    pub initrd: Region,
    /// In whole pages.
    pub rootfs: Region,
    /// Empty when no room is left for them: then flash is read twice.
    pub copies: Region,
    /// Every region, by address.
    pub regions: Vec<NamedRegion>,
}

/// Finds a place for everything, and proves it.
///
/// # Errors
/// Too little RAM, or ranges that are not ours to choose and overlap; both name the regions with their numbers.
pub fn place(need: &Need) -> Result<Places> {
    // Where the bootloader likes its downloads, if that leaves room for the rest; else wherever there is room.
    let placed = match need.download {
        Some(at) => try_place(need, Some(at)).or_else(|_| try_place(need, None)),
        None => try_place(need, None),
    };
    let mut places = placed?;
    prove(&places.regions, reachable(need.ram)?)?;
    places.regions.sort_by_key(|named| (named.region.start(), named.region.end()));
    Ok(places)
}

/// One attempt, the download's place given or found last.
fn try_place(need: &Need, download: Option<usize>) -> Result<Places> {
    let mut fit = given(need)?;
    let floor = floor(need);
    let pages = |size: usize| align_up(size, PAGE).unwrap_or(usize::MAX);
    let (initrd, rootfs) = (pages(need.initrd), pages(need.rootfs));
    let segments = need.shape == Shape::Segments;
    let flash = match need.shape {
        Shape::Flash { load, run } => Some((load, run)),
        _ => None,
    };

    let mut group = Group::default();
    // What comes from flash is there only since the shim runs.
    let when = if flash.is_some() { Phases::KEPT } else { Phases::ALL };
    if flash.is_none() {
        group.push(RegionKind::Image, need.head, PAGE, Phases::LOADED);
    }
    group.push(RegionKind::Initrd, initrd, PAGE, when);
    if !segments {
        group.push(RegionKind::Rootfs, rootfs, GRAIN, when);
    }
    let file = match need.shape {
        Shape::Copied { header } => Some(group.size() + header),
        // Headers, and every segment at a multiple of the grain.
        Shape::Segments => Some(group.size() + rootfs + need.kernel.place.size() + 4 * GRAIN),
        Shape::Direct | Shape::Flash { .. } => None,
    };

    let fetched = |fit: &mut Fit, at: Option<usize>| -> Result<usize> {
        let Some(size) = file else { return Ok(0) };
        match at.and_then(|at| Region::new(at, size)) {
            Some(region) if fit.free(region, Phases::DOWNLOAD) => {
                fit.take(RegionKind::Download, region, Phases::DOWNLOAD);
                Ok(region.start())
            }
            Some(region) => Err(Error::Download { at: region.start() }.into()),
            None => Ok(fit.place(RegionKind::Download, size, GRAIN, Phases::DOWNLOAD, floor)?.start()),
        }
    };
    let mut at = 0;
    if download.is_some() {
        at = fetched(&mut fit, download)?;
    }
    let run = match flash {
        Some((_, run)) => run,
        None => fit.place(RegionKind::Shim, need.run, GRAIN, Phases::SHIM, floor)?,
    };
    let tree = match need.tree {
        0 => Region::EMPTY,
        size => fit.place(RegionKind::Tree, size, GRAIN, Phases::KEPT, floor)?,
    };
    let argv = match need.argv {
        true => high(&mut fit, RegionKind::Argv, ARGV_SIZE)?,
        false => Region::EMPTY,
    };
    let preferred = if need.shape == Shape::Direct { download } else { None };
    let placed = group.place(&mut fit, preferred, floor)?;
    let part = |what: RegionKind| {
        let found = placed.iter().find(|named| named.what == what);
        found.map_or(Region::EMPTY, |named| named.region)
    };
    let head = flash.map_or_else(|| part(RegionKind::Image), |(load, _)| load);
    let rootfs = match segments && rootfs != 0 {
        true => fit.place(RegionKind::Rootfs, rootfs, GRAIN, Phases::ALL, floor)?,
        false => part(RegionKind::Rootfs),
    };
    if download.is_none() {
        at = fetched(&mut fit, None)?;
    }
    let download = if file.is_some() { at } else { head.start() };
    // The last: it is a matter of time, not of need.
    let mut copies = Region::EMPTY;
    if need.copies != 0 {
        copies = fit.place(RegionKind::Copies, need.copies, GRAIN, Phases::SHIM, floor).unwrap_or(copies);
    }
    Ok(Places { download, run, head, tree, argv, initrd: part(RegionKind::Initrd), rootfs, copies, regions: fit.taken })
}

/// RAM that KSEG0 reaches.
fn reachable(ram: Region) -> Result<Region> {
    Region::between(ram.start(), ram.end().min(KSEG_SIZE)).ok_or_else(|| Error::NoRam.into())
}

/// What is not ours to choose.
fn given(need: &Need) -> Result<Fit> {
    let ram = reachable(need.ram)?;
    let fit_ram = Region::between(ram.start().max(LOW), ram.end()).unwrap_or(ram);
    let mut fit = Fit { ram: fit_ram, taken: Vec::new() };
    let kernel = need.kernel;
    let segments = need.shape == Shape::Segments;
    let mut when = Phases::SHIM.and(Phases::HANDOFF);
    if segments {
        when = when.and(Phases::DOWNLOAD);
    }
    if kernel.decompressed.is_none() {
        when = when.and(Phases::KERNEL);
    }
    fit.take(RegionKind::Kernel, kernel.place, when);
    // Its bss may begin inside the vmlinuz, which is done by then; its bytes do not, or it would not have been linked so.
    fit.take(RegionKind::Decompressed, kernel.decompressed.unwrap_or_default(), Phases::KERNEL);
    fit.take(RegionKind::Relocation, kernel.relocation.unwrap_or_default(), Phases::KERNEL);
    fit.take(RegionKind::Staging, need.staging.unwrap_or_default(), Phases::DOWNLOAD);
    if let Shape::Flash { load, run } = need.shape {
        fit.take(RegionKind::Image, load, Phases::LOADED);
        fit.take(RegionKind::Shim, run, Phases::SHIM);
    }
    for region in &need.reserved {
        fit.take(RegionKind::Reserved, *region, Phases::KEPT);
    }
    fit.take(RegionKind::Ramoops, need.ramoops, Phases::ALL);
    fit.keep_room(&need.dynamic)?;
    let top = ram.size().min(need.bootloader);
    fit.take(RegionKind::Bootloader, Region::new(ram.end() - top, top).unwrap_or(Region::EMPTY), Phases::LOADED);
    // Before anything is placed: what contradicts itself already.
    prove(&fit.taken, ram)?;
    Ok(fit)
}

/// Above the kernel, where nothing of the old system is that a kernel or bootloader could still use.
fn floor(need: &Need) -> usize {
    let decompressed = need.kernel.decompressed.map_or(0, |region| region.end());
    need.kernel.place.end().max(decompressed)
}

fn high(fit: &mut Fit, what: RegionKind, size: usize) -> Result<Region> {
    // Away from the bootloader also after its end: it may be asked to go on.
    let start = fit.highest(size, PAGE, Phases::KEPT).ok_or_else(|| fit.full(what, size, Phases::KEPT))?;
    let region = Region::new(start, size).unwrap_or(Region::EMPTY);
    fit.take(what, region, Phases::KEPT);
    Ok(region)
}

/// Regions one behind the other at fixed distances.
#[derive(Default)]
struct Group {
    parts: Vec<(RegionKind, usize, usize, Phases)>,
}

impl Group {
    fn push(&mut self, what: RegionKind, size: usize, align: usize, when: Phases) {
        if size != 0 {
            self.parts.push((what, self.size().next_multiple_of(align), size, when));
        }
    }

    fn size(&self) -> usize {
        self.parts.last().map_or(0, |(_, offset, size, _)| offset + size)
    }

    fn at(&self, start: usize) -> Option<Vec<NamedRegion>> {
        let part = |(what, offset, size, when): &(RegionKind, usize, usize, Phases)| {
            Some(NamedRegion::new(*what, Region::new(start.checked_add(*offset)?, *size)?, *when))
        };
        self.parts.iter().map(part).collect()
    }

    /// At `preferred` if that is free, else at the lowest address where all parts are.
    fn place(&self, fit: &mut Fit, preferred: Option<usize>, floor: usize) -> Result<Vec<NamedRegion>> {
        let free = |start: &usize| {
            let parts = self.at(*start);
            start.is_multiple_of(GRAIN)
                && parts.is_some_and(|parts| parts.iter().all(|part| fit.free(part.region, part.when)))
        };
        let behind = |taken: &NamedRegion| {
            let parts = self.parts.iter();
            parts.map(move |(_, offset, ..)| taken.region.end().saturating_sub(*offset)).collect::<Vec<_>>()
        };
        let starts = fit.taken.iter().flat_map(behind).chain([fit.ram.start()]);
        let mut candidates: Vec<usize> =
            starts.filter_map(|start| start.max(floor).checked_next_multiple_of(GRAIN)).collect();
        candidates.sort_unstable();
        if self.parts.is_empty() {
            return Ok(Vec::new());
        }
        let found = preferred.into_iter().chain(candidates).find(free);
        let largest = self.parts.iter().max_by_key(|part| part.2);
        let start = found.ok_or_else(|| {
            fit.full(
                largest.map_or(RegionKind::Image, |part| part.0),
                self.size(),
                largest.map_or(Phases::ALL, |part| part.3),
            )
        })?;
        let parts = self.at(start).unwrap_or_default();
        parts.iter().for_each(|part| fit.take(part.what, part.region, part.when));
        Ok(parts)
    }
}
