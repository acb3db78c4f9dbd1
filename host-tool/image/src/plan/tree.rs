//! The packed device tree: the user's or the board's, with overlays applied and without what an earlier boot left in it;
//! and what the board's data say to it.

use crate::machine::KSEG_SIZE;
use stoop_core::manifest::HandoffKind;

use super::error::Error;
use super::request::{Chosen, Origin, Request};
use crate::Result;
use crate::board::Board;
use crate::format::device_tree;
use crate::format::device_tree::tree::{Node, Tree};
use crate::format::device_tree::{Facts, has_whole_entries, is_memory, overlay};
use crate::input::dtb;

/// Properties of /chosen that a bootloader, kexec or EFI writes for one boot only (drivers/of/fdt.c, early_init_dt_scan_chosen;
/// drivers/firmware/efi/fdtparams.c).
const STALE: &[&str] = &[
    "linux,initrd-start",
    "linux,initrd-end",
    "linux,elfcorehdr",
    "linux,usable-memory-range",
    "linux,uefi-system-table",
    "linux,uefi-mmap-start",
    "linux,uefi-mmap-size",
    "linux,uefi-mmap-desc-size",
    "linux,uefi-mmap-desc-ver",
];

/// The user's, the board's, or for a kernel that needs none an empty one to carry the command line. `None` when the
/// bootloader passes one.
///
/// # Errors
/// There is none, or it is none; an overlay does not fit; the board's RAM cannot be written into it.
pub(super) fn packed(
    request: &Request,
    board: &Board,
    handoff: HandoffKind,
    warnings: &mut Vec<String>,
) -> Result<Option<Chosen<Vec<u8>>>> {
    let Some(mut chosen) = given(request, board, handoff)? else {
        return match request.overlays.is_empty() {
            true => Ok(None),
            false => Err(Error::NoTreeForOverlay.into()),
        };
    };
    if chosen.origin == Origin::Default && request.overlays.is_empty() {
        return Ok(Some(chosen));
    }
    let mut tree = Tree::parse(&chosen.value)?;
    for path in &request.overlays {
        let overlay = dtb::read_overlay(path)?;
        overlay::apply(&mut tree, overlay).map_err(|failure| failure.within(path.display()))?;
    }
    let changed = remove_stale(&mut tree, warnings) | fill_memory(&mut tree, board, warnings)?;
    if changed || !request.overlays.is_empty() {
        chosen.value = tree.write();
    }
    warnings.extend(contradictions(&Facts::of(&chosen.value)?, board));
    warnings.extend(not_taken(&tree));
    Ok(Some(chosen))
}

fn given(request: &Request, board: &Board, handoff: HandoffKind) -> Result<Option<Chosen<Vec<u8>>>> {
    if request.bootloader_dtb {
        return match request.dtb {
            None => Ok(None),
            Some(_) => Err(Error::TwoTrees.into()),
        };
    }
    if let Some(path) = &request.dtb {
        return Ok(Some(Chosen { value: dtb::read(path)?, origin: Origin::Flag }));
    }
    if let Some(dtb) = &board.dtb {
        return Ok(Some(Chosen { value: dtb.bytes.to_vec(), origin: Origin::Board }));
    }
    if handoff == HandoffKind::Arm64 && board.qemu.is_some() {
        // The bootloader always passes one: booti starts nothing without. QEMU's describes the machine; on a router it may be
        // the bootloader's own, of no use to Linux.
        return Ok(None);
    }
    if handoff == HandoffKind::Argv {
        return Ok(Some(Chosen { value: device_tree::empty(), origin: Origin::Default }));
    }
    Err(Error::NoTree { board: board.name.clone() }.into())
}

/// A tree from a running board has what its bootloader wrote there.
fn remove_stale(tree: &mut Tree, warnings: &mut Vec<String>) -> bool {
    let Some(chosen) = tree.root.named_mut("chosen") else { return false };
    let removed: Vec<&str> = STALE.iter().copied().filter(|name| chosen.remove(name)).collect();
    if !removed.is_empty() {
        let names = removed.join(", ");
        warnings.push(format!("the device tree is one of an earlier boot: {names} in /chosen are left out"));
    }
    !removed.is_empty()
}

/// Linux takes RAM only from memory nodes of some size, and the board adds one only where there is none. A placeholder
/// that the bootloader is meant to fill gets the board's RAM.
fn fill_memory(tree: &mut Tree, board: &Board, warnings: &mut Vec<String>) -> Result<bool> {
    let facts = Facts::of(&tree.write())?;
    if !facts.has_memory_node || !facts.memory.is_empty() {
        return Ok(false);
    }
    let Some(node) = tree.root.children.iter_mut().find(|child| is_memory(child)) else { return Ok(false) };
    let (start, size) = (board.ram.start() as u64, board.ram.size() as u64);
    let mut reg = Vec::new();
    for (number, cells) in [start, size].into_iter().zip(facts.cells) {
        if cells == 1 && number > u64::from(u32::MAX) {
            return Err(Error::OneCell { number }.into());
        }
        reg.extend_from_slice(&number.to_be_bytes()[8 - 4 * cells..]);
    }
    warnings.push(format!(
        "the memory node {} of the device tree has no size: it gets the board's RAM, [0x{start:x}, 0x{:x})",
        node.name,
        start + size
    ));
    node.remove("status");
    node.remove("linux,usable-memory");
    node.set("reg", &reg);
    Ok(true)
}

/// What the tree and the board's data say differently.
fn contradictions(facts: &Facts, board: &Board) -> Vec<String> {
    let mut warnings = Vec::new();
    // What MIPS reaches without highmem; the board's data have no more.
    let reach = if board.arch.is_mips() { KSEG_SIZE as u64 } else { u64::MAX };
    let within = |range: &std::ops::Range<u64>| range.start.min(reach)..range.end.min(reach);
    let memory: Vec<_> = facts.memory.iter().map(within).filter(|range| !range.is_empty()).collect();
    let (ram, said) = (board.ram.start() as u64..board.ram.end() as u64, memory.iter());
    // Beyond reach is all of it, if anything.
    let beyond = memory.is_empty() && !facts.memory.is_empty();
    let outside = beyond || said.clone().any(|range| range.start < ram.start || range.end > ram.end);
    let total: u64 = said.map(|range| range.end - range.start).sum();
    if outside || !memory.is_empty() && total < ram.end - ram.start {
        let shown = if beyond { &facts.memory } else { &memory };
        let shown: Vec<_> = shown.iter().map(|range| format!("[0x{:x}, 0x{:x})", range.start, range.end)).collect();
        let why = if outside {
            "the kernel would use RAM that is not there"
        } else {
            "pack may use RAM that the kernel does not"
        };
        warnings.push(format!(
            "the memory of the device tree is {}, the board {} has [0x{:x}, 0x{:x}): {why}; correct one of them",
            shown.join(" and "),
            board.name,
            ram.start,
            ram.end
        ));
    }
    let fits = |name: &String| board.compatible.contains(name);
    if !board.compatible.is_empty() && !facts.compatible.is_empty() && !facts.compatible.iter().any(fits) {
        warnings.push(format!(
            "the device tree is for {}, the board {} is {}: make sure that it is this board's",
            shown(&facts.compatible),
            board.name,
            board.compatible.join(" or ")
        ));
    }
    warnings
}

/// Names from a file, safe to print.
fn shown(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| name.escape_default().to_string()).collect();
    names.join(", ")
}

/// What unpatched kernels leave aside, and what patched ones take instead.
fn not_taken(tree: &Tree) -> Vec<String> {
    let mut warnings = Vec::new();
    let chosen = tree.root.named("chosen");
    let has = |name: &str| chosen.is_some_and(|chosen| chosen.get(name).is_some());
    if has("bootargs-override") {
        warnings.push(
            "the device tree has /chosen/bootargs-override: a kernel with OpenWrt's patch takes it instead of bootargs, \
             and what pack and the bootloader say is lost; delete it with `fdtput -d FILE.dtb /chosen bootargs-override`"
                .into(),
        );
    }
    if has("bootargs-append") {
        warnings.push(
            "the device tree has /chosen/bootargs-append: a kernel with OpenWrt's patch puts it behind the command line, \
             others ignore it; say it with --append instead, and delete it with \
             `fdtput -d FILE.dtb /chosen bootargs-append`"
                .into(),
        );
    }
    if let Some(node) = tree.root.child("reserved-memory") {
        if let Some(why) = ignored(node, &tree.root) {
            warnings.push(format!("Linux ignores the device tree's /reserved-memory: {why}; correct it in the source"));
        }
        warnings.extend(node.children.iter().filter_map(|child| {
            let reg = child.get("reg").filter(|reg| !has_whole_entries(reg, tree.root.cells()))?;
            Some(format!(
                "Linux ignores the device tree's /reserved-memory/{}: its reg has {} bytes, which are no whole entries; \
                 correct it in the source",
                child.name.escape_default(),
                reg.len()
            ))
        }));
    }
    warnings
}

/// drivers/of/of_reserved_mem.c: `__reserved_mem_check_root`.
fn ignored(node: &Node, root: &Node) -> Option<String> {
    for name in ["#address-cells", "#size-cells"] {
        let (its, roots) = (node.cell(name), root.cell(name).unwrap_or(1));
        if its != Some(roots) {
            let its = its.map_or("no".to_owned(), |its| its.to_string());
            return Some(format!("it has {its} {name}, the root has {roots}"));
        }
    }
    node.get("ranges").is_none().then(|| "it has no ranges".to_owned())
}
