//! Where stoop's pieces go in a board's flash. Each goes to an [`Area`], and nothing else is ever named in a command.

use stoop_core::Region;
use stoop_core::params::{Policy, SlotAt};

use super::error::Error;
use crate::Result;
use crate::board::{Board, Container, Flash, FlashKind, Partition, Role};

/// An extent of flash that stoop may write: whole erase blocks inside one partition that nothing protects.
///
/// [`Area::within`] and [`Area::behind_driver`] are the only ways to get one, and every command that erases or writes is made from one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Area {
    partition: String,
    /// From the start of the flash.
    pub(super) range: Region,
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
        let area = Area::behind_driver(flash, partition, range)?;
        let mapped = Region::new(flash.window.start() + range.start(), range.size());
        if !mapped.is_some_and(|mapped| flash.window.contains(&mapped)) {
            return Err(Error::NotMapped { range, mapped: flash.window.size() }.into());
        }
        Ok(area)
    }

    /// The same for what a driver writes, by partition: the CPU need not read it, and its [`Area::address`] says nothing.
    ///
    /// # Errors
    /// The partition or any byte is protected, the range leaves the partition, or it cuts an erase block.
    pub fn behind_driver(flash: &Flash, partition: &Partition, range: Region) -> Result<Area> {
        let name = &partition.name;
        let written = matches!(partition.role, Role::Boot | Role::Firmware | Role::Kernel | Role::Rootfs);
        if partition.protected || !written {
            return Err(Error::Protected { partition: name.clone() }.into());
        }
        if let Some(other) = flash.partitions.iter().find(|other| other.protected && other.range().overlaps(&range)) {
            return Err(Error::InProtected { range, partition: other.name.clone() }.into());
        }
        if range.is_empty() || !partition.range().contains(&range) {
            return Err(Error::Outside { range, partition: name.clone(), whole: partition.range() }.into());
        }
        let erase = flash.erase_size;
        if !range.start().is_multiple_of(erase) || !range.size().is_multiple_of(erase) {
            return Err(Error::CutsBlock { range, erase }.into());
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

    /// What the CPU reads of a partition, in whole erase blocks from its start, counted from the start of the flash. All of one that
    /// begins behind the window, so that [`Area::within`] can say so.
    pub fn mapped(flash: &Flash, partition: &Partition) -> Region {
        let mapped = flash.window.size().saturating_sub(partition.offset).min(partition.size);
        let size = mapped / flash.erase_size * flash.erase_size;
        Region::new(partition.offset, size).filter(|range| !range.is_empty()).unwrap_or(partition.range())
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
            return Err(Error::PartitionFull {
                size,
                partition: self.partition.clone(),
                room: self.size(),
                at: self.offset(),
            }
            .into());
        }
        let range = Region::new(self.offset(), blocks).unwrap_or(self.range);
        Ok(Area { range, whole: self.whole && range == self.range, ..self.clone() })
    }
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
pub(super) const BOOT_SIZE: usize = 0x8000;

impl Map {
    /// By the board's data: the partition with the role boot and the slots beside it; else the partition that the bootloader
    /// starts, its first erase blocks for the container and the rest in halves.
    ///
    /// # Errors
    /// A flash that the CPU does not read as memory, a bootloader that starts neither uImage nor FIT or does so elsewhere, and a
    /// policy that would halt.
    pub fn of(board: &Board) -> Result<Map> {
        let flash = board.flash.as_ref().filter(|flash| flash.kind == FlashKind::Nor && !flash.window.is_empty());
        let flash = flash.ok_or_else(|| Error::FlashNotMemory { board: board.name.clone() })?;
        if board.defaults.policy == Policy::Halt {
            return Err(Error::Halts { board: board.name.clone() }.into());
        }
        let starts = board.bootloader.containers.iter().copied();
        let container = starts.into_iter().find(|it| matches!(it, Container::UimageNone | Container::Fit));
        let container = container.ok_or_else(|| Error::NoContainer { bootloader: board.bootloader.name.clone() })?;
        let map = match flash.partitions.iter().find(|partition| partition.role == Role::Boot) {
            Some(boot) => Map { container, boot: Area::within(flash, boot, boot.range())?, slots: named(flash)? },
            None => divided(flash, container)?,
        };
        if map.slots.is_empty() {
            return Err(Error::NoSlot { board: board.name.clone() }.into());
        }
        let starts = board.bootloader.started_from();
        if let Some(address) = starts.filter(|address| board.physical(*address) != map.boot.address()) {
            return Err(Error::StartsElsewhere {
                bootloader: board.bootloader.name.clone(),
                started: address,
                container: board.typed(map.boot.address()),
            }
            .into());
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
            let known = self.slots.iter().map(|slot| slot.name.to_string()).collect();
            Error::NoSuchSlot { name, known }.into()
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
    let partition = flash.image(None).ok_or(Error::NoImagePartition)?;
    let boot = BOOT_SIZE.next_multiple_of(flash.erase_size);
    let half = Area::mapped(flash, partition).size().saturating_sub(boot) / 2 / flash.erase_size * flash.erase_size;
    if half == 0 {
        return Err(Error::NoRoomForSlot { partition: partition.name.clone(), size: partition.size, boot }.into());
    }
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
