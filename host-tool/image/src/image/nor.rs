//! The image as a board's flash has it: the shim in the container that the bootloader starts, written once, and slots with a
//! manifest and payloads each, which the shim reads where they lie.
//!
//! The file has the three kinds of stretches one behind the other, each in whole erase blocks: the container, the slot, and the
//! root filesystem when that has a partition of its own. Each goes to an [`Area`], and nothing else is ever named in a command.

use std::borrow::Cow;

use stoop_core::Region;
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{self, Kind, Listing};
use stoop_core::params::{Policy, SlotAt};

use super::{Built, FlashNote, Note, Part, argv, codec, container, note};
use crate::board::{Board, Container, Flash, FlashKind, Partition, Role};
use crate::layout::{self, GRAIN, KSEG_SIZE, PAGE, Places, Shape};
use crate::plan::{Plan, RootfsIn};
use crate::shim_image::{self, Header};
use crate::{ErrorCode, Failure, Result};

/// A stretch of flash that stoop may write: whole erase blocks inside one partition that nothing protects.
///
/// [`Area::within`] is the only way to get one, and every command that erases or writes is made from one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Area {
    partition: String,
    /// From the start of the flash.
    range: Region,
    /// From the start of the partition.
    inside: usize,
    /// Whole: its bytes are the partition's.
    whole: bool,
    erase: usize,
    window: usize,
}

impl Area {
    /// The bytes `range`, counted from the start of the flash, of `partition`.
    ///
    /// # Errors
    /// The partition or any byte is protected, the range leaves the partition or the memory-mapped window, or it cuts an erase
    /// block.
    pub fn within(flash: &Flash, partition: &Partition, range: Region) -> Result<Area> {
        let name = &partition.name;
        let refused = |fact: String| {
            Failure::new(ErrorCode::BoardLacks, fact).next("correct the board's flash map: see boards/README.md")
        };
        let written = matches!(partition.role, Role::Boot | Role::Firmware | Role::Kernel | Role::Rootfs);
        if partition.protected || !written {
            return Err(refused(format!("the flash partition {name} is protected: nothing may write it")));
        }
        if let Some(other) = flash.partitions.iter().find(|other| other.protected && other.range().overlaps(&range)) {
            return Err(refused(format!("{} is in the protected flash partition {}", span(range), other.name)));
        }
        if range.is_empty() || !partition.range().contains(&range) {
            let fact = format!("{} is not inside the flash partition {name}, {}", span(range), span(partition.range()));
            return Err(refused(fact));
        }
        let erase = flash.erase_size;
        if !range.start().is_multiple_of(erase) || !range.size().is_multiple_of(erase) {
            return Err(refused(format!("{} cuts an erase block of 0x{erase:x} bytes", span(range))));
        }
        let mapped = Region::new(flash.window.start() + range.start(), range.size());
        if !mapped.is_some_and(|mapped| flash.window.contains(&mapped)) {
            let fact = format!("{} lies behind what the CPU reads of the flash, {}", span(range), span(flash.window));
            return Err(refused(fact));
        }
        Ok(Area {
            partition: name.clone(),
            range,
            inside: range.start() - partition.offset,
            whole: range == partition.range(),
            erase,
            window: flash.window.start(),
        })
    }

    /// Its name in the flash map.
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// Its first byte, from the start of the flash.
    pub fn offset(&self) -> usize {
        self.range.start()
    }

    /// Its first byte, from the start of the partition.
    pub fn inside(&self) -> usize {
        self.inside
    }

    /// It begins and ends with its partition.
    pub fn is_whole(&self) -> bool {
        self.whole
    }

    /// In bytes.
    pub fn size(&self) -> usize {
        self.range.size()
    }

    /// Bytes that are erased together.
    pub fn erase_size(&self) -> usize {
        self.erase
    }

    /// Its first byte in memory, physical.
    pub fn address(&self) -> usize {
        self.window + self.range.start()
    }

    /// So many bytes at its front, rounded up to whole erase blocks.
    ///
    /// # Errors
    /// It has fewer.
    pub fn front(&self, size: usize) -> Result<Area> {
        let blocks = size.next_multiple_of(self.erase);
        if size == 0 || blocks > self.size() {
            return Err(Failure::new(
                ErrorCode::Partition,
                format!(
                    "0x{size:x} bytes do not fit the flash partition {}, 0x{:x} bytes at 0x{:x} of the flash",
                    self.partition,
                    self.size(),
                    self.offset()
                ),
            )
            .next("pack it smaller: --codec lzma, less in it, or a flash map with larger slots"));
        }
        let range = Region::new(self.offset(), blocks).unwrap_or(self.range);
        Ok(Area { range, whole: self.whole && range == self.range, ..self.clone() })
    }
}

fn span(region: Region) -> String {
    format!("[0x{:x}, 0x{:x})", region.start(), region.end())
}

/// One bootable copy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Slot {
    /// `a`, `b`, …
    pub name: char,
    /// For manifest and payloads.
    pub area: Area,
    /// For a root filesystem of its own.
    pub rootfs: Option<Area>,
}

/// Where everything of stoop is in a board's flash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Map {
    /// What the bootloader starts.
    pub container: Container,
    /// For that container.
    pub boot: Area,
    /// In the order in which the shim tries them.
    pub slots: Vec<Slot>,
}

/// Room for the container where the board's map does not say: the shim's 8 KiB and headers, with as much again.
const BOOT_SIZE: usize = 0x8000;

impl Map {
    /// By the board's data: the partition with the role boot and the slots beside it; else the partition that the bootloader
    /// starts, its first erase blocks for the container and the rest in halves.
    ///
    /// # Errors
    /// A flash that the CPU does not read as memory, a bootloader that starts neither uImage nor FIT or does so elsewhere, and a
    /// policy that would halt.
    pub fn of(board: &Board) -> Result<Map> {
        let whole = "pack with --format uimage or fit, and let the bootloader copy the whole image to RAM";
        let flash = board.flash.as_ref().filter(|flash| flash.kind == FlashKind::Nor && !flash.window.is_empty());
        let flash = flash.ok_or_else(|| {
            Failure::usage(
                ErrorCode::BoardLacks,
                format!("{}'s CPU does not read its flash as memory, the shim cannot", board.name),
            )
            .next(whole)
        })?;
        if board.defaults.policy == Policy::Halt {
            return Err(Failure::usage(
                ErrorCode::BoardLacks,
                format!("{} halts when nothing boots, which hides its failsafe", board.name),
            )
            .next("set `defaults.policy` to reset or return in the board file"));
        }
        let starts = board.bootloader.containers.iter().copied();
        let container = starts.into_iter().find(|it| matches!(it, Container::UimageNone | Container::Fit));
        let container = container.ok_or_else(|| {
            let fact = format!("{} starts neither a uImage that is not compressed nor a FIT", board.bootloader.name);
            Failure::usage(ErrorCode::BoardLacks, fact).next("if it does, add it to `containers` in the board file")
        })?;
        let map = match flash.partitions.iter().find(|partition| partition.role == Role::Boot) {
            Some(boot) => Map { container, boot: Area::within(flash, boot, boot.range())?, slots: named(flash)? },
            None => divided(flash, container)?,
        };
        if map.slots.is_empty() {
            return Err(Failure::usage(
                ErrorCode::BoardLacks,
                format!("{}'s flash map has no slot beside the partition boot", board.name),
            )
            .next("add a partition with the role firmware and `slot = \"a\"`"));
        }
        let starts = board.bootloader.started_from();
        if let Some(address) = starts.filter(|address| board.physical(*address) != map.boot.address()) {
            return Err(Failure::usage(
                ErrorCode::BoardLacks,
                format!(
                    "{} starts what is at 0x{address:08x}, the map's container is at 0x{:08x}",
                    board.bootloader.name,
                    board.typed(map.boot.address())
                ),
            )
            .next("correct `flash-command` or the flash map in the board file"));
        }
        Ok(map)
    }

    /// The slot of that name, or the first.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn slot(&self, name: Option<char>) -> Result<&Slot> {
        let found = self.slots.iter().find(|slot| name.is_none_or(|name| name == slot.name));
        found.ok_or_else(|| {
            let names: Vec<_> = self.slots.iter().map(|slot| slot.name.to_string()).collect();
            Failure::usage(ErrorCode::NoSuchSlot, format!("there is no slot {}", name.unwrap_or('-')))
                .next(format!("name one of: {}", names.join(", ")))
        })
    }

    /// As the shim's params have them.
    pub fn listed(&self) -> Vec<SlotAt> {
        let at = |slot: &Slot| SlotAt { name: slot.name as u8, relative: false, address: slot.area.address() };
        self.slots.iter().map(at).collect()
    }
}

/// The partitions with a slot, in the order of the alphabet.
fn named(flash: &Flash) -> Result<Vec<Slot>> {
    let of = |role: fn(Role) -> bool| flash.partitions.iter().filter(move |it| !it.protected && role(it.role));
    let mut slots = Vec::new();
    for partition in of(|role| matches!(role, Role::Firmware | Role::Kernel)) {
        let Some(name) = partition.slot else { continue };
        let rootfs = of(|role| role == Role::Rootfs).find(|it| it.slot == Some(name));
        let rootfs = rootfs.map(|it| Area::within(flash, it, it.range())).transpose()?;
        slots.push(Slot { name, area: Area::within(flash, partition, partition.range())?, rootfs });
    }
    slots.sort_by_key(|slot| slot.name);
    slots.truncate(stoop_core::params::MAX_SLOTS);
    Ok(slots)
}

/// The shim in front, and the rest of the partition in halves.
fn divided(flash: &Flash, container: Container) -> Result<Map> {
    let partition = flash.image(None).ok_or_else(|| {
        Failure::usage(ErrorCode::BoardLacks, "the flash map has no partition for an image")
            .next("add one with the role firmware")
    })?;
    let boot = BOOT_SIZE.next_multiple_of(flash.erase_size);
    let half = partition.size.saturating_sub(boot) / 2 / flash.erase_size * flash.erase_size;
    let at = |offset: usize, size: usize| {
        let range = Region::new(partition.offset + offset, size).unwrap_or(Region::EMPTY);
        Area::within(flash, partition, range)
    };
    let slots = [('a', boot), ('b', boot + half)];
    let slots = slots.into_iter().map(|(name, offset)| Ok(Slot { name, area: at(offset, half)?, rootfs: None }));
    Ok(Map { container, boot: at(0, boot)?, slots: slots.collect::<Result<_>>()? })
}

/// Bytes of the file and where they go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Write {
    /// `boot`, `slot` or `rootfs`.
    pub what: &'static str,
    /// Exactly the erase blocks that are written.
    pub area: Area,
    /// Where they begin in the file; as many as the area has.
    pub from: usize,
}

/// What to do with the file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flashing {
    /// Around the shim.
    pub container: Container,
    /// Which slot it is for.
    pub slot: char,
    /// At installation, and never again with an update.
    pub boot: Write,
    /// With every update, in the order to be written: the manifest comes last.
    pub update: Vec<Write>,
    /// The first erase blocks of the slots that come before this one: erased at last, so that this one boots.
    pub before: Vec<Area>,
}

/// Where the shim and its container go in RAM: fixed by the board, so that a container which is in flash already starts every
/// later slot. High, since kernels grow upwards.
fn fixed(board: &Board, run: usize, container: usize) -> Result<(Region, Region)> {
    let mut end = board.free_ram().end().min(KSEG_SIZE);
    let mut take = |size: usize| {
        let place = |end: usize| Region::new(end.checked_sub(size)? / GRAIN * GRAIN, size);
        let mut region = place(end)?;
        if let Some(staging) = board.bootloader.staging.filter(|staging| staging.overlaps(&region)) {
            region = place(staging.start())?;
        }
        end = region.start();
        board.ram.contains(&region).then_some(region)
    };
    let places = take(run).and_then(|run| Some((run, take(container)?)));
    places.ok_or_else(|| {
        Failure::new(ErrorCode::NoRoom, "too little RAM for the shim").next("correct `ram` in the board file")
    })
}

/// The container: the same bytes for every slot and every kernel, as long as the board's data, the cookie and the shim are.
struct Boot {
    file: Vec<u8>,
    run: Region,
    load: Region,
    /// Bytes of the shim in it.
    shim: usize,
    area: Area,
}

fn boot(plan: &Plan, map: &Map, crc: &Crc32) -> Result<Boot> {
    // A later slot may have its kernel in any form.
    let variant = plan.shim([Codec::Lzma]);
    let shim = shim_image::prebuilt(plan.arch(), variant)?;
    let (run, load) = fixed(&plan.board, shim_image::run_size(shim)?, BOOT_SIZE)?;
    let params = super::params(plan, &map.listed(), crc)?;
    let header = Header::Mips { run_address: stoop_core::mips::kseg0(run.start()) };
    let front = shim_image::front(shim, header, &params, plan.shim_form())?;
    let mut data = front.bytes.clone();
    // Its manifest is the one at the next stretch of the file.
    let area = map.boot.front(data.len() + note::SIZE + note::BOARD_SIZE + container::ROOM)?;
    let big_endian = plan.arch().big_endian();
    let note = Note { big_endian, run, load: load.start(), manifest: area.size(), variant };
    data.extend_from_slice(&note.encode(crc));
    data.extend_from_slice(&note::board(&plan.board.name, crc));
    let load = Region::new(load.start(), data.len()).filter(|data| load.contains(data)).ok_or_else(|| {
        Failure::new(
            ErrorCode::Params,
            format!("the shim takes 0x{:x} bytes, there is room for 0x{BOOT_SIZE:x}", data.len()),
        )
        .next("give a shorter cookie or fewer kept keys")
    })?;
    let mut file = container::of_boot(map.container, load.start(), &data)?;
    // As erased flash is: nothing to program.
    file.resize(area.size(), 0xff);
    Ok(Boot { file, run, load, shim: front.bytes.len(), area })
}

/// Lays out one slot and what starts it.
///
/// # Errors
/// As for [`super::build`] and [`Map::of`], and a slot or partition that is too small.
pub(super) fn build(plan: &Plan, kernel: codec::Stored<'_>) -> Result<Built> {
    let crc = Crc32::new();
    let map = Map::of(&plan.board)?;
    let slot = map.slot(plan.slot)?;
    let boot = boot(plan, &map, &crc)?;

    let source = super::own_tree(plan, rootfs_partition(plan, slot))?;
    let mut line = super::command_line(plan, &Places::default())?;
    let additions_size = super::additions(plan, &line, &Places::default())?.len() + super::ADDITIONS_SLACK;
    let mut need = super::need(plan, boot.load.size(), boot.run.size(), additions_size)?;
    need.shape = Shape::Flash { load: boot.load, run: boot.run };
    if plan.rootfs_in == RootfsIn::Flash {
        need.rootfs = 0;
    }
    if need.tree != 0 {
        let given = plan.dtb.as_ref().map_or(0, |dtb| dtb.value.len());
        let alias = source.as_ref().map_or(0, |tree| tree.len()).saturating_sub(given);
        need.tree = (need.tree + alias).next_multiple_of(PAGE);
    }
    // Everything else goes straight to its place.
    let decoded = if kernel.codec == Codec::Store { 0 } else { kernel.bytes.len() };
    let read_where_they_are = [decoded, source.as_ref().map_or(0, |dtb| dtb.len()), additions_size];
    need.copies = read_where_they_are.map(|size| size.next_multiple_of(manifest::COPY_ALIGN)).iter().sum();
    let places = layout::place(&need)?;
    let reads_twice = places.copies.is_empty();
    line = super::command_line(plan, &places)?;
    let additions = super::additions(plan, &line, &places)?;
    let (tree, additions_place) = super::tree_room(plan, &places, additions.len())?;

    let start = slot.area.address();
    let mut at = (manifest::SIZE + note::FLASH_SIZE).next_multiple_of(16);
    let mut next = |size: usize, align: usize| {
        let from = at.next_multiple_of(align);
        at = from + size;
        start + from
    };
    let mut parts = Vec::new();
    let rootfs = plan.rootfs.as_ref().map(|rootfs| Cow::Borrowed(&rootfs.bytes[..]));
    if let Some(dtb) = source {
        let stored = codec::stored(dtb);
        let source = next(stored.bytes.len(), 16);
        parts.push(Part::new(Kind::Dtb, stored, source, Region::EMPTY, 0));
    }
    let stored = codec::stored(Cow::Borrowed(&additions));
    let source = next(additions.len(), 16);
    parts.push(Part::new(Kind::Additions, stored, source, additions_place, additions.len()));
    if let Some((bytes, place)) = argv::tables(plan, &places, places.tree.start())? {
        let source = next(bytes.len(), 16);
        parts.push(Part::new(Kind::Env, codec::stored(Cow::Owned(bytes)), source, place, place.size()));
    }
    let place = Region::new(plan.kernel.load_address as usize, plan.kernel.image.len()).unwrap_or(Region::EMPTY);
    let source = next(kernel.bytes.len(), 16);
    parts.push(Part::new(Kind::Kernel, kernel, source, place, plan.kernel.memory_size as usize));
    if let Some(initrd) = &plan.initrd {
        let mut part = Part::in_place(Kind::Initrd, Cow::Borrowed(initrd), places.initrd);
        part.source = next(initrd.len(), 16);
        part.stored.why = COPIED.into();
        parts.push(part);
    }
    let mut apart = None;
    match (rootfs, plan.rootfs_in) {
        (Some(rootfs), RootfsIn::Ram) => {
            let source = next(rootfs.len(), 16);
            let mut part = Part::in_place(Kind::Rootfs, rootfs, places.rootfs);
            part.source = source;
            part.stored.why = COPIED.into();
            parts.push(part);
        }
        (Some(rootfs), RootfsIn::Flash) => {
            let area = slot.rootfs.as_ref().ok_or_else(|| no_partition(slot.name))?.front(rootfs.len())?;
            let mut part = Part::new(Kind::Rootfs, codec::stored(rootfs), area.address(), Region::EMPTY, 0);
            (part.stored.why, part.absolute) = ("left in flash".into(), true);
            apart = Some((area, part.stored.bytes.to_vec()));
            parts.push(part);
        }
        (None, _) => {}
    }
    // In the order of their kinds, as every other image has them.
    parts.sort_by_key(|part| part.kind as u8);

    let mut bytes = vec![0; at];
    let listing = Listing { copies: places.copies, ..super::listing(plan, tree, &parts, start) };
    bytes[..manifest::SIZE].copy_from_slice(&listing.encode(&crc));
    let own = parts.iter().filter(|part| !part.absolute);
    own.for_each(|part| bytes[part.source - start..][..part.stored.bytes.len()].copy_from_slice(&part.stored.bytes));
    let area = slot.area.front(bytes.len())?;
    let rootfs = apart
        .as_ref()
        .map_or(Region::EMPTY, |(area, _)| Region::new(area.address(), area.size()).unwrap_or(Region::EMPTY));
    let note = FlashNote { slot: slot.name as u8, at: start, size: area.size(), rootfs };
    bytes[manifest::SIZE..][..note::FLASH_SIZE].copy_from_slice(&note.encode(plan.arch().big_endian(), &crc));

    let mut file = boot.file;
    let append = |what: &'static str, area: Area, bytes: &[u8], file: &mut Vec<u8>| {
        let from = file.len();
        file.extend_from_slice(bytes);
        file.resize(from + area.size(), 0xff);
        Write { what, area, from }
    };
    let slot_write = append("slot", area, &bytes, &mut file);
    let mut update: Vec<Write> =
        apart.into_iter().map(|(area, bytes)| append("rootfs", area, &bytes, &mut file)).collect();
    update.push(slot_write);
    let before = map.slots.iter().take_while(|other| other.name < slot.name);
    let flashing = Flashing {
        container: map.container,
        slot: slot.name,
        boot: Write { what: "boot", area: boot.area, from: 0 },
        update,
        before: before.map(|other| other.area.front(1)).collect::<Result<_>>()?,
    };
    Ok(Built {
        file,
        shim: boot.shim,
        image: boot.load.size(),
        payloads: parts.iter().map(Part::packed).collect(),
        line,
        entry_point: plan.kernel.entry_point as usize,
        places,
        flash: Some(flashing),
        reads_twice,
    })
}

const COPIED: &str = "copied from flash to RAM";

fn no_partition(slot: char) -> Failure {
    Failure::usage(
        ErrorCode::BoardLacks,
        format!("the flash map has no partition for the root filesystem of slot {slot}"),
    )
    .next("add one with the role rootfs and the slot to the board file, or leave --rootfs-in away")
}

/// The bytes of flash that the kernel mounts, when it does.
fn rootfs_partition(plan: &Plan, slot: &Slot) -> Option<Region> {
    let area = slot.rootfs.as_ref().filter(|_| plan.rootfs_in == RootfsIn::Flash && plan.rootfs.is_some())?;
    Some(area.range)
}

const _: () = assert!(GRAIN.is_multiple_of(PAGE));
