//! The rules for the flash map.

use stoop_core::Region;

use super::super::raw;
use super::super::source::join;
use super::super::types::{Flash, FlashKind, Partition, Role};
use super::{Rules, span};

/// 2 Gbit, the largest chips that are made.
const LARGEST_NOR: usize = 0x1000_0000;

impl Rules<'_> {
    pub(super) fn flash(&mut self) -> Option<Flash> {
        let form = self.file.form.flash.as_ref()?;
        let (size, erase_size) = (form.size, form.erase_size);
        if erase_size == 0 || size == 0 || size % erase_size != 0 {
            let fact = format!("{size:#x} bytes in blocks of {erase_size:#x}");
            self.problem("flash.erase-size", fact, "the flash is a whole number of erase blocks");
            return None;
        }
        if form.kind == FlashKind::Nor && size > LARGEST_NOR {
            let fact = format!("{size:#x} bytes, more than any NOR chip, {LARGEST_NOR:#x}");
            self.problem("flash.size", fact, "give the chip's size in bytes, or `kind = \"nand\"`");
        }
        let window = self.window(form.kind, size);
        let mut partitions = Vec::new();
        for (index, partition) in form.partitions.iter().enumerate() {
            let key = format!("flash.partitions[{index}]");
            self.partition_fits(&key, partition, size, erase_size);
            self.partition_is_protected(&key, partition);
            self.partition_name_is_plain(&key, &partition.name);
            partitions.push(Partition {
                name: partition.name.clone(),
                offset: partition.offset,
                size: partition.size,
                role: partition.role,
                slot: partition.slot,
                protected: partition.protected.unwrap_or(partition.role.is_protected()),
            });
        }
        self.partitions_are_apart(&partitions);
        self.partition_names_differ(&partitions);
        self.bootloader_is_protected(&partitions);
        self.roles_are_clear(&partitions);
        partitions.sort_by_key(|partition| partition.offset);
        Some(Flash { kind: form.kind, size, erase_size, read_speed: form.read_speed, window, partitions })
    }

    fn window(&mut self, kind: FlashKind, size: usize) -> Region {
        match (kind, self.soc.form.flash_window) {
            (FlashKind::Nor, Some(window)) => {
                let whole = self.region("flash-window", window);
                Region::new(whole.start(), size.min(whole.size())).unwrap_or(Region::EMPTY)
            }
            _ => Region::EMPTY,
        }
    }

    fn partition_fits(&mut self, key: &str, partition: &raw::Partition, flash: usize, erase: usize) {
        let raw::Partition { name, offset, size, .. } = partition;
        if *size == 0 || offset.checked_add(*size).is_none_or(|end| end > flash) {
            let fact = format!("{name} ({offset:#x}, {size:#x} bytes) is not inside the flash of {flash:#x} bytes");
            self.problem(key, fact, "correct offset or size");
        } else if offset % erase != 0 || size % erase != 0 {
            let fact =
                format!("{name} ({offset:#x}, {size:#x} bytes) does not fall on erase blocks of {erase:#x} bytes");
            self.problem(key, fact, "erasing it would take a neighbour's bytes: correct offset, size or erase-size");
        }
    }

    fn partition_is_protected(&mut self, key: &str, partition: &raw::Partition) {
        if partition.role.is_protected() && partition.protected == Some(false) {
            let fact = format!("{} has the role {} and is not protected", partition.name, partition.role);
            self.problem(&format!("{key}.protected"), fact, "leave `protected` out: nothing may write it");
        }
        if partition.slot.is_some_and(|slot| !slot.is_ascii_lowercase()) {
            self.problem(&format!("{key}.slot"), "a slot is one lower-case letter", "use \"a\" or \"b\"");
        }
    }

    fn partitions_are_apart(&mut self, partitions: &[Partition]) {
        for (index, one) in partitions.iter().enumerate() {
            for other in partitions.iter().take(index).filter(|other| other.range().overlaps(&one.range())) {
                let fact =
                    format!("{} {} overlaps {} {}", one.name, span(one.range()), other.name, span(other.range()));
                self.problem(&format!("flash.partitions[{index}]"), fact, "list the parts, not what they are parts of");
            }
        }
    }

    fn partition_names_differ(&mut self, partitions: &[Partition]) {
        for (index, one) in partitions.iter().enumerate() {
            if partitions.iter().take(index).any(|other| other.name == one.name) {
                let key = format!("flash.partitions[{index}].name");
                self.problem(&key, format!("{:?} is there twice", one.name), "give each partition its own name");
            }
        }
    }

    /// Where the shim is and what it starts must not be a matter of choice.
    fn roles_are_clear(&mut self, partitions: &[Partition]) {
        if !partitions.iter().any(|partition| partition.role == Role::Boot) {
            return;
        }
        for (index, one) in partitions.iter().enumerate() {
            let slotted = matches!(one.role, Role::Firmware | Role::Kernel | Role::Rootfs);
            let same = |other: &&Partition| other.role == one.role && other.slot == one.slot;
            let twice = (one.role == Role::Boot || slotted) && partitions.iter().take(index).any(|it| same(&it));
            let key = format!("flash.partitions[{index}]");
            if twice {
                let fact = format!("a second partition with the role {} in one slot", one.role);
                self.problem(&key, fact, "give each slot one, and the board one with the role boot");
            } else if slotted && one.slot.is_none() {
                let fact = format!("{} is in no slot, and there is a partition with the role boot", one.name);
                self.problem(&key, fact, "add `slot = \"a\"`");
            }
        }
    }

    fn bootloader_is_protected(&mut self, partitions: &[Partition]) {
        if !partitions.iter().any(|partition| partition.role == Role::Bootloader) {
            let roles = join(partitions.iter().map(|partition| partition.name.as_str()));
            let fact = format!("none of the partitions ({roles}) has the role bootloader");
            self.problem("flash.partitions", fact, "name the range of the bootloader, so that nothing writes it");
        }
    }
}
