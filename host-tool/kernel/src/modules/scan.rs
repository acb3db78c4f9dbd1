//! Dependencies from the module files alone, as `depmod` finds them: who exports what others leave undefined.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{file, ko};
use std::sync::Arc;
use stoop_image::Explained;

/// What one module file says that others must know.
#[derive(Default, Debug)]
pub struct Scanned {
    /// The names it leaves undefined, each ended by a line feed, in the order of its symbol table.
    imports: String,
    /// The names it exports.
    pub exports: Vec<String>,
    /// Its `.modinfo` section.
    pub modinfo: Vec<u8>,
    /// Why it could not be read.
    pub problem: Option<Arc<dyn Explained + Send + Sync>>,
}

/// What the whole tree needs, by index into the list of paths.
#[derive(Debug)]
pub struct Dependencies {
    /// For each module, all it needs, users before what they use (the order of a line of `modules.dep`).
    pub needs: Vec<Vec<u32>>,
    /// For each module in a dependency cycle, the cycle's members in order; each uses the one after it.
    pub cycles: HashMap<u32, Vec<u32>>,
    /// Symbols that two modules export: the name, the one that loses, and the later one that is taken.
    pub twice: Vec<(String, u32, u32)>,
}

/// Reads all files, each by one of as many threads as there are processors.
pub fn read_all(directory: &Path, paths: &[String]) -> Vec<Scanned> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(paths.len().max(1));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::with_capacity(paths.len() / threads + 1);
        let mut bytes = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(index) else { return done };
            done.push((index, scan_one(&directory.join(path), &mut bytes)));
        }
    };
    let mut all: Vec<Scanned> = Vec::new();
    all.resize_with(paths.len(), Scanned::default);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for handle in handles {
            for (index, scanned) in handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
                all[index] = scanned;
            }
        }
    });
    all
}

fn scan_one(path: &Path, bytes: &mut Vec<u8>) -> Scanned {
    let parsed = file::read_into(path, bytes)
        .and_then(|()| ko::Module::parse(bytes).map_err(|error| error.within(path.display())));
    match parsed {
        Ok(module) => {
            let mut imports = String::with_capacity(module.imports.iter().map(|import| import.name.len() + 1).sum());
            for import in &module.imports {
                imports.push_str(import.name);
                imports.push('\n');
            }
            Scanned {
                imports,
                exports: module.exports.iter().map(|export| export.name.to_owned()).collect(),
                modinfo: module.modinfo.to_vec(),
                problem: None,
            }
        }
        Err(failure) => Scanned { problem: Some(Arc::new(failure)), ..Scanned::default() },
    }
}

/// Links every undefined name to the module that exports it. A name that no module exports is the kernel's own, or
/// `check`'s to complain about. When two export it the later one is taken, as `depmod` does.
pub fn link(modules: &[Scanned]) -> Dependencies {
    let mut owners: HashMap<&str, u32> = HashMap::with_capacity(modules.iter().map(|m| m.exports.len()).sum());
    let mut twice = Vec::new();
    for (index, module) in (0..).zip(modules) {
        for export in &module.exports {
            if let Some(earlier) = owners.insert(export, index)
                && earlier != index
            {
                twice.push((export.clone(), earlier, index));
            }
        }
    }
    let mut direct: Vec<Vec<u32>> = Vec::with_capacity(modules.len());
    for module in modules {
        let mut needs: Vec<u32> = Vec::new();
        for import in module.imports.lines() {
            if let Some(owner) = owners.get(import)
                && !needs.contains(owner)
            {
                needs.push(*owner);
            }
        }
        direct.push(needs);
    }
    let rank = topological_rank(&direct);
    let cycles = find_cycles(&direct, &rank);
    let needs = (0..direct.len()).map(|index| all_needs(index, &direct, &rank)).collect();
    Dependencies { needs, cycles, twice }
}

/// Each module's place in an order where users come before what they use; nothing for members of a cycle and for what
/// only they use. The order among equals is `depmod`'s: the module that became free last comes first.
fn topological_rank(direct: &[Vec<u32>]) -> Vec<Option<u32>> {
    let mut users = vec![0u32; direct.len()];
    for used in direct.iter().flatten() {
        users[*used as usize] += 1;
    }
    let mut free: Vec<usize> = (0..direct.len()).filter(|index| users[*index] == 0).collect();
    let mut rank = vec![None; direct.len()];
    let mut placed = 0;
    while let Some(index) = free.pop() {
        rank[index] = Some(placed);
        placed += 1;
        for used in &direct[index] {
            let used = *used as usize;
            users[used] -= 1;
            if users[used] == 0 {
                free.push(used);
            }
        }
    }
    rank
}

/// Everything a module needs, directly or not, in rank order.
fn all_needs(index: usize, direct: &[Vec<u32>], rank: &[Option<u32>]) -> Vec<u32> {
    let mut found: Vec<u32> = direct[index].clone();
    let mut at = 0;
    while let Some(&needed) = found.get(at) {
        for further in &direct[needed as usize] {
            if !found.contains(further) {
                found.push(*further);
            }
        }
        at += 1;
    }
    found.sort_by_key(|needed| rank[*needed as usize].unwrap_or(u32::MAX));
    found
}

/// The members of cycles. What has no rank is in a cycle or used by one; walking among those must come back somewhere
/// if it never leaves them.
fn find_cycles(direct: &[Vec<u32>], rank: &[Option<u32>]) -> HashMap<u32, Vec<u32>> {
    let mut cycles = HashMap::new();
    for start in (0..).zip(rank).filter(|(_, rank)| rank.is_none()).map(|(index, _)| index) {
        if cycles.contains_key(&start) {
            continue;
        }
        if let Some(cycle) = path_back(start, direct) {
            for (at, member) in cycle.iter().enumerate() {
                let mut turned = cycle.clone();
                turned.rotate_left(at);
                cycles.insert(*member, turned);
            }
        }
    }
    cycles
}

/// The shortest way from a module over what it uses back to itself.
fn path_back(start: u32, direct: &[Vec<u32>]) -> Option<Vec<u32>> {
    let mut came_from: HashMap<u32, u32> = HashMap::new();
    let mut queue = std::collections::VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for used in &direct[at as usize] {
            if *used == start {
                let mut way = vec![at];
                while let Some(before) = way.last().filter(|last| **last != start).and_then(|last| came_from.get(last))
                {
                    way.push(*before);
                }
                way.reverse();
                return Some(way);
            }
            came_from.entry(*used).or_insert_with(|| {
                queue.push_back(*used);
                at
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(imports: &str, exports: &[&str]) -> Scanned {
        Scanned {
            imports: imports.split_whitespace().map(|name| format!("{name}\n")).collect(),
            exports: exports.iter().map(|name| (*name).to_owned()).collect(),
            ..Scanned::default()
        }
    }

    #[test]
    fn what_is_used_by_many_comes_last_and_the_kernels_own_symbols_count_for_nothing() {
        let linked = link(&[module("b c printk", &[]), module("c", &["b"]), module("", &["c"])]);
        assert_eq!(linked.needs, [vec![1, 2], vec![2], vec![]]);
        assert!(linked.cycles.is_empty() && linked.twice.is_empty());
    }

    #[test]
    fn a_cycle_names_its_members_in_order_and_not_those_who_only_use_it() {
        let linked = link(&[
            module("a", &[]),
            module("b", &["a"]),
            module("c", &["b"]),
            module("a z", &["c"]),
            module("", &["z"]),
        ]);
        assert_eq!(linked.cycles.get(&2), Some(&vec![2, 3, 1]));
        assert!(!linked.cycles.contains_key(&0) && !linked.cycles.contains_key(&4));
    }

    #[test]
    fn of_two_exporters_the_later_is_taken_and_both_are_named() {
        let linked = link(&[module("", &["x"]), module("", &["x"]), module("x", &[])]);
        assert_eq!(linked.needs[2], [1]);
        assert_eq!(linked.twice, [("x".to_owned(), 0, 1)]);
    }
}
