//! The command line, the device tree as it is packed, and its overlay: what depends on where everything is.

use std::borrow::Cow;

use stoop_core::Region;
use stoop_core::abi::Abi;
use stoop_core::arm64::Arm64;
use stoop_core::boot;
use stoop_core::fdt::Overlay;
use stoop_core::manifest::HandoffKind;
use stoop_core::mips::Mips;

use super::error::Error;
use crate::Result;
use crate::format::device_tree;
use crate::layout::{Places, Room};
use crate::machine::Machine;
use crate::plan::{ALIAS, Phram, Plan, RootfsIn, add_words};

/// The final tree may be larger than its base and the overlay by accepted bootargs and padding.
pub(super) const TREE_GROWTH: usize = 4096 + 64;

/// The most that the overlay's size depends on the digits of addresses in it, and on what that moves.
pub(super) const OVERLAY_SLACK: usize = 256;

/// Room for the final tree when it is made from one that is not known yet.
pub(super) const UNKNOWN_TREE: usize = 0x2_0000;

/// The longest command line that a MIPS kernel takes, in bytes without NUL.
pub const LONGEST_LINE: usize = <Mips<true> as Abi>::COMMAND_LINE_SIZE - 1;

/// The longest command line that a kernel takes, in bytes without NUL (its uapi/asm/setup.h: COMMAND_LINE_SIZE).
pub fn longest_line(arch: Machine) -> usize {
    match arch {
        Machine::MipsBe | Machine::MipsLe => LONGEST_LINE,
        Machine::Arm64 => <Arm64 as Abi>::COMMAND_LINE_SIZE - 1,
    }
}

/// The base line with the words for what the device tree cannot tell. With `places` of nothing the addresses in it mean
/// nothing, but the length is right.
pub(super) fn command_line(plan: &Plan, places: &Places) -> Result<Vec<u8>> {
    let mut line = plan.line.clone();
    let (start, size) = (places.rootfs.start(), places.rootfs.size());
    let root =
        |name: String| if plan.line_takes_root { format!("root={name} rootfstype=squashfs") } else { String::new() };
    if plan.has_line() {
        let words = match plan.phram.value {
            Phram::Off if plan.rootfs_in == RootfsIn::Flash && plan.rootfs.is_some() => {
                root(format!("/dev/mtdblock{ALIAS}"))
            }
            Phram::Off => String::new(),
            Phram::Tree => root(format!("/dev/mtdblock{ALIAS}")),
            Phram::CommandLine => {
                let root = root("/dev/mtdblock0".into());
                let blank = if root.is_empty() { "" } else { " " };
                // Nobody else reserves its memory: memmap=SIZE$START adds the range and reserves it.
                format!("phram.phram=rootfs,0x{start:08x},0x{size:08x} memmap=0x{size:08x}$0x{start:08x}{blank}{root}")
            }
        };
        add_words(&mut line, words.as_bytes());
    }
    if let Some(initrd) = plan.initrd.as_ref().filter(|_| plan.dtb.is_some() && !plan.tree_is_seen()) {
        // A virtual address (arch/mips/kernel/setup.c: rd_start_early).
        let start = stoop_core::mips::kseg0(places.initrd.start()) as u32;
        add_words(&mut line, format!("rd_start=0x{start:08x} rd_size=0x{:08x}", initrd.len()).as_bytes());
    }
    let longest = longest_line(plan.arch());
    if line.len() > longest {
        return Err(Error::CommandLine { size: line.len(), longest }.into());
    }
    Ok(line)
}

/// The tree as given; with an alias for the partition that the kernel mounts, so that its number is known.
pub(super) fn own_tree(plan: &Plan, rootfs: Option<Region>) -> Result<Option<Cow<'_, [u8]>>> {
    let Some(dtb) = &plan.dtb else { return Ok(None) };
    let (Some(rootfs), true) = (rootfs, plan.line_takes_root) else { return Ok(Some(Cow::Borrowed(&dtb.value))) };
    if !plan.tree_is_seen() {
        return Err(Error::TreeUnseen.into());
    }
    let bytes = rootfs.start() as u64..rootfs.end() as u64;
    let path = plan.facts.partitions.iter().find(|(_, range)| *range == bytes).map(|(path, _)| path);
    let path = path.ok_or_else(|| Error::NoPartitionInTree { range: bytes.clone() })?;
    let alias = format!("mtd{ALIAS}");
    if let Some((_, other)) = plan.facts.aliases.iter().find(|(name, other)| *name == alias && other != path) {
        return Err(Error::Alias { alias, path: other.clone() }.into());
    }
    let tree = device_tree::with_alias(&dtb.value, &alias, path);
    let damaged = || Error::Tree;
    Ok(Some(Cow::Owned(tree.ok_or_else(damaged)?)))
}

/// What the final tree has that its base has not.
pub(super) fn overlay_bytes(plan: &Plan, line: &[u8], places: &Places) -> Result<Vec<u8>> {
    overlay_and_fixups(plan, line, places, false).map(|(bytes, _)| bytes)
}

/// The same, and where there are addresses that count from the image.
pub(super) fn overlay_and_fixups(
    plan: &Plan,
    line: &[u8],
    places: &Places,
    relative: bool,
) -> Result<(Vec<u8>, [u16; 3])> {
    let packed = plan.dtb.is_some();
    let (initrd, rootfs) = (places.initrd, places.rootfs);
    let pages = Region::new(rootfs.start(), rootfs.size().next_multiple_of(boot::PAGE)).unwrap_or(rootfs);
    let initrd = Region::new(initrd.start(), plan.initrd.as_ref().map_or(0, Vec::len)).unwrap_or(initrd);
    let what = Overlay {
        cells: plan.facts.cells,
        line: Some(line),
        initrd: plan.initrd.is_some().then_some(initrd),
        phram: (plan.phram.value == Phram::Tree).then_some((pages, ALIAS)),
        // Whether the bootloader's tree has RAM is seen on the board.
        memory: (!packed || plan.facts.memory.is_empty()).then_some(plan.board.ram),
        ramoops: plan.ramoops,
        report: Some(env!("CARGO_PKG_VERSION")),
        relative,
    };
    let mut bytes = vec![0; line.len() + 4096];
    let (size, relative) = what.encode_relative(&mut bytes).ok_or_else(|| {
        let [address, size] = plan.facts.cells;
        Error::Cells { address, size }
    })?;
    bytes.truncate(size);
    Ok((bytes, relative))
}

/// Room for the final tree, and behind it the place of the overlay.
pub(super) fn tree_room(plan: &Plan, places: &Places, overlay: usize) -> Result<(Region, Region)> {
    let slot = plan.kernel.appended_dtb.filter(|_| plan.handoff.value == HandoffKind::Appended);
    let slot = slot.and_then(|(at, room)| Region::new(at as usize, room as usize));
    let whole = slot.unwrap_or(places.tree);
    let split = whole.end().saturating_sub(overlay).max(whole.start()) & !7;
    let (tree, place) = (Region::between(whole.start(), split), Region::new(split, overlay));
    tree.zip(place).filter(|(tree, _)| !tree.is_empty()).ok_or_else(|| Error::TreeRoom { room: whole.size() }.into())
}

/// What the kernel looks for a place for.
pub(super) fn dynamic(plan: &Plan) -> Vec<Room> {
    let room = |dynamic: &device_tree::Dynamic| Room {
        name: dynamic.name.clone(),
        size: dynamic.size as usize,
        align: dynamic.align as usize,
        within: dynamic.within.iter().filter_map(|range| crate::plan::region(range).ok()).collect(),
    };
    plan.facts.dynamic.iter().map(room).collect()
}
