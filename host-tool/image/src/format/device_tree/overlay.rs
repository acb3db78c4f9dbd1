//! Overlays: told from trees, and applied to one by libfdt's rules (scripts/dtc/libfdt/fdt_overlay.c of Linux 6.12).

use std::collections::HashMap;

use super::blob::{number, text};
use super::error::Error;
use super::tree::{Node, Tree};
use crate::Result;

const CONTENT: &str = "__overlay__";
const SYMBOLS: &str = "__symbols__";
const FIXUPS: &str = "__fixups__";
const LOCAL_FIXUPS: &str = "__local_fixups__";
const PHANDLES: [&str; 2] = ["phandle", "linux,phandle"];

/// What `/plugin/` makes: fragments instead of a machine.
pub fn is_overlay(tree: &Tree) -> bool {
    let fragment = |child: &Node| child.child(CONTENT).is_some();
    tree.root.children.iter().any(|child| fragment(child) || child.name == FIXUPS)
}

/// Names from the root down, with unit addresses.
type Path = Vec<String>;

/// Merges `overlay` into `base`, which after an error is half changed.
///
/// # Errors
/// It is no overlay, names a label or node that the base has not, or is damaged.
pub fn apply(base: &mut Tree, mut overlay: Tree) -> Result<()> {
    if !is_overlay(&overlay) {
        return Err(Error::NoOverlay.into());
    }
    let mut delta = 0;
    base.root.each(&mut |node| delta = delta.max(phandle(node).unwrap_or(0)));
    raise(&mut overlay.root, delta)?;
    if let Some(fixups) = overlay.root.child(LOCAL_FIXUPS).cloned() {
        local(&fixups, &mut overlay.root, &|old| old.checked_add(delta))?;
    }
    if let Some(fixups) = overlay.root.child(FIXUPS).cloned() {
        for (label, places) in &fixups.properties {
            let phandle = labelled(&base.root, label)?;
            for place in places.split(|byte| *byte == 0).filter(|place| !place.is_empty()) {
                external(&mut overlay.root, place, phandle)?;
            }
        }
    }
    let fragments: Vec<Node> = overlay.root.children.clone();
    let fragments: Vec<&Node> = fragments.iter().filter(|child| child.child(CONTENT).is_some()).collect();
    let targets = fragments.iter().map(|fragment| target(&base.root, fragment)).collect::<Result<Vec<Path>>>()?;
    keep_phandles(base, &mut overlay, &fragments, &targets)?;
    for (fragment, path) in fragments.iter().zip(&targets) {
        let content = overlay.root.child(&fragment.name).and_then(|fragment| fragment.child(CONTENT));
        if let (Some(content), Some(node)) = (content, at_mut(&mut base.root, path)) {
            merge(node, content);
        }
    }
    symbols(base, &overlay, &fragments, &targets)
}

fn phandle(node: &Node) -> Option<u32> {
    PHANDLES.iter().find_map(|name| node.cell(name))
}

/// Makes the overlay's own phandles differ from all of the base's.
fn raise(node: &mut Node, delta: u32) -> Result<()> {
    for name in PHANDLES {
        if let Some(old) = node.cell(name) {
            let new = old.checked_add(delta).filter(|new| *new != u32::MAX);
            node.set(name, &new.ok_or(Error::Phandles)?.to_be_bytes());
        }
    }
    node.children.iter_mut().try_for_each(|child| raise(child, delta))
}

/// Changes the cells that `fixups`, a tree beside the overlay's own, lists.
fn local(fixups: &Node, node: &mut Node, change: &dyn Fn(u32) -> Option<u32>) -> Result<()> {
    for (name, offsets) in &fixups.properties {
        let no_cell = || Error::Fixup { table: LOCAL_FIXUPS, place: format!("a cell of {name}") };
        let (_, value) = node.properties.iter_mut().find(|(known, _)| known == name).ok_or_else(no_cell)?;
        for offset in offsets.chunks(4) {
            let at = number(offset) as usize;
            let cell = at.checked_add(4).and_then(|end| value.get_mut(at..end)).ok_or_else(no_cell)?;
            let new = change(number(cell) as u32).ok_or(Error::Phandles)?;
            cell.copy_from_slice(&new.to_be_bytes());
        }
    }
    for child in &fixups.children {
        let no_node = || Error::Fixup { table: LOCAL_FIXUPS, place: format!("a node {}", child.name) };
        local(child, node.child_mut(&child.name).ok_or_else(no_node)?, change)?;
    }
    Ok(())
}

/// The phandle of a label of the base.
fn labelled(base: &Node, label: &str) -> Result<u32> {
    let Some(symbols) = base.child(SYMBOLS) else {
        return Err(Error::NoLabels { label: label.to_owned() }.into());
    };
    let path = symbols.get(label).and_then(text);
    let Some(path) = path else {
        return Err(Error::NoLabel { label: label.to_owned() }.into());
    };
    let node = find(base, path).and_then(|path| at(base, &path));
    node.and_then(phandle).ok_or_else(|| Error::NoPhandle { label: label.to_owned(), path: path.to_owned() }.into())
}

/// Writes a phandle to `path:property:offset`.
fn external(overlay: &mut Node, place: &[u8], phandle: u32) -> Result<()> {
    let shown = String::from_utf8_lossy(place).escape_default().to_string();
    let wrong = || Error::Fixup { table: FIXUPS, place: shown.clone() };
    let place = std::str::from_utf8(place).map_err(|_| wrong())?;
    let mut parts = place.split(':');
    let (Some(path), Some(name), Some(offset), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(wrong().into());
    };
    let path = find(overlay, path).ok_or_else(wrong)?;
    let node = at_mut(overlay, &path).ok_or_else(wrong)?;
    let value = node.properties.iter_mut().find(|(known, _)| known == name).map(|(_, value)| value);
    let offset: usize = offset.parse().map_err(|_| wrong())?;
    let cell = value.and_then(|value| value.get_mut(offset..offset.checked_add(4)?)).ok_or_else(wrong)?;
    cell.copy_from_slice(&phandle.to_be_bytes());
    Ok(())
}

/// Where a fragment belongs.
fn target(base: &Node, fragment: &Node) -> Result<Path> {
    let name = &fragment.name;
    if let Some(phandle) = fragment.cell("target").filter(|phandle| *phandle != 0) {
        return by_phandle(base, phandle)
            .ok_or_else(|| Error::TargetPhandle { fragment: name.clone(), phandle }.into());
    }
    let path = fragment.get("target-path").and_then(text);
    let path = path.ok_or_else(|| Error::NoTarget { fragment: name.clone() })?;
    find(base, path).ok_or_else(|| Error::TargetPath { fragment: name.clone(), path: path.to_owned() }.into())
}

/// Nodes that both have keep the base's phandle: others in the base may refer to it.
fn keep_phandles(base: &Tree, overlay: &mut Tree, fragments: &[&Node], targets: &[Path]) -> Result<()> {
    fn kept(base: &Node, content: &mut Node, map: &mut HashMap<u32, u32>) {
        if let (Some(old), Some(new)) = (phandle(base), phandle(content)) {
            map.insert(new, old);
            PHANDLES.iter().for_each(|name| {
                content.get(name).is_some().then(|| content.set(name, &old.to_be_bytes()));
            });
        }
        for child in &mut content.children {
            if let Some(base) = base.child(&child.name) {
                kept(base, child, map);
            }
        }
    }
    let mut map = HashMap::new();
    for (fragment, path) in fragments.iter().zip(targets) {
        let content = overlay.root.child_mut(&fragment.name).and_then(|fragment| fragment.child_mut(CONTENT));
        if let (Some(content), Some(node)) = (content, at(&base.root, path)) {
            kept(node, content, &mut map);
        }
    }
    match overlay.root.child(LOCAL_FIXUPS).cloned() {
        Some(fixups) => local(&fixups, &mut overlay.root, &|old| Some(map.get(&old).copied().unwrap_or(old))),
        None => Ok(()),
    }
}

fn merge(node: &mut Node, content: &Node) {
    for (name, value) in &content.properties {
        node.set(name, value);
    }
    for child in &content.children {
        merge(node.child_or_new(&child.name), child);
    }
}

/// The overlay's labels become the base's, for the next overlay.
fn symbols(base: &mut Tree, overlay: &Tree, fragments: &[&Node], targets: &[Path]) -> Result<()> {
    let Some(ours) = overlay.root.child(SYMBOLS) else { return Ok(()) };
    for (label, path) in &ours.properties {
        let path = text(path).ok_or_else(|| Error::LabelNoText { label: label.clone() })?;
        let mut parts = path.split('/').skip(1);
        let (name, content) = (parts.next().unwrap_or_default(), parts.next());
        if content != Some(CONTENT) {
            continue;
        }
        let number = fragments.iter().position(|fragment| fragment.name == name);
        let above = number.and_then(|number| targets.get(number));
        let above = above.ok_or_else(|| Error::LabelOutside { label: label.clone(), node: name.into() })?;
        let whole: String = above.iter().map(String::as_str).chain(parts).map(|part| format!("/{part}")).collect();
        let whole = if whole.is_empty() { "/" } else { &whole };
        base.root.child_or_new(SYMBOLS).set(label, format!("{whole}\0").as_bytes());
    }
    Ok(())
}

/// A path, or an alias with what is below it, as libfdt finds it (fdt_path_offset).
fn find(root: &Node, path: &str) -> Option<Path> {
    if !path.starts_with('/') {
        let (alias, rest) = path.split_once('/').unwrap_or((path, ""));
        let whole = text(root.child("aliases")?.get(alias)?).filter(|whole| whole.starts_with('/'))?;
        return find(root, &format!("{whole}/{rest}"));
    }
    let (mut node, mut names) = (root, Vec::new());
    for part in path.split('/').filter(|part| !part.is_empty()) {
        node = node.named(part)?;
        names.push(node.name.clone());
    }
    Some(names)
}

fn by_phandle(node: &Node, wanted: u32) -> Option<Path> {
    if phandle(node) == Some(wanted) {
        return Some(Vec::new());
    }
    node.children.iter().find_map(|child| {
        let below = by_phandle(child, wanted)?;
        Some([child.name.clone()].into_iter().chain(below).collect())
    })
}

fn at<'t>(root: &'t Node, path: &[String]) -> Option<&'t Node> {
    path.iter().try_fold(root, |node, name| node.child(name))
}

fn at_mut<'t>(root: &'t mut Node, path: &[String]) -> Option<&'t mut Node> {
    path.iter().try_fold(root, |node, name| node.child_mut(name))
}
