//! Which module needs which: an edge from the one that writes a path to the one that defines what it names.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Crate, Name};

/// The modules and their edges.
pub struct Graph {
    names: Vec<Name>,
    edges: Vec<BTreeMap<usize, String>>,
}

/// As many names handed on as are followed from one path.
const HANDED_ON: usize = 8;

impl Graph {
    /// Draws it.
    pub fn of(sources: &Crate) -> Graph {
        let names: Vec<Name> = sources.modules.keys().cloned().collect();
        let edges = sources.modules.iter().map(|(from, module)| {
            let ends =
                module.paths.iter().filter_map(|path| Some((definer(sources, path, HANDED_ON)?, path.join("::"))));
            let other = ends.filter(|(to, _)| to != from);
            other.filter_map(|(to, path)| Some((names.binary_search(&to).ok()?, path))).collect()
        });
        let edges = edges.collect();
        Graph { names, edges }
    }

    /// How many there are.
    pub fn modules(&self) -> usize {
        self.names.len()
    }

    /// The edges between these modules, as text.
    pub fn within(&self, modules: &[String]) -> Vec<String> {
        let shown: Vec<String> = self.names.iter().map(shown).collect();
        let mut lines = Vec::new();
        for (from, edges) in self.edges.iter().enumerate().filter(|(from, _)| modules.contains(&shown[*from])) {
            for (to, path) in edges.iter().filter(|(to, _)| modules.contains(&shown[**to])) {
                lines.push(format!("{} -> {} ({path})", shown[from], shown[*to]));
            }
        }
        lines
    }

    fn reached(&self, from: usize) -> BTreeSet<usize> {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(module) = next.pop() {
            next.extend(self.edges[module].keys().filter(|to| reached.insert(**to)));
        }
        reached
    }
}

/// The module that defines what a path names; `None` when that is not of this crate.
fn definer(sources: &Crate, path: &[String], more: usize) -> Option<Name> {
    let depth = (0..=path.len()).rev().find(|depth| sources.modules.contains_key(&path[..*depth]))?;
    let (name, rest) = path.split_at(depth);
    let module = &sources.modules[name];
    let Some(first) = rest.first() else { return Some(name.to_vec()) };
    if more > 0 {
        if let Some(target) = module.imports.get(first) {
            // The same path would be found again: a foreign crate's name, or one that is not resolved here.
            return (target[..] != path[..=depth]).then(|| definer(sources, target, more - 1)).flatten();
        }
        for glob in &module.globs {
            let target = [&glob[..], rest].concat();
            if let Some(found) = definer(sources, &target, more - 1).filter(|found| found.starts_with(glob)) {
                return Some(found);
            }
        }
    }
    Some(name.to_vec())
}

/// Groups of modules each of which reaches all others, by name.
pub fn circles(graph: &Graph) -> Vec<Vec<String>> {
    let reached: Vec<_> = (0..graph.modules()).map(|module| graph.reached(module)).collect();
    let mut circles = BTreeSet::new();
    for (module, reach) in reached.iter().enumerate() {
        let circle: Vec<String> = reach
            .iter()
            .filter(|other| reached[**other].contains(&module))
            .map(|other| shown(&graph.names[*other]))
            .collect();
        if circle.len() > 1 {
            circles.insert(circle);
        }
    }
    circles.into_iter().collect()
}

fn shown(name: &Name) -> String {
    if name.is_empty() { "the root".to_owned() } else { name.join("::") }
}
