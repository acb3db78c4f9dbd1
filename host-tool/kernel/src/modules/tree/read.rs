//! Which modules a tree has, and what each needs: by its `modules.dep`, or by its files.

use std::collections::{HashMap, HashSet};
use std::path::{Component, Path};

use super::Tree;
use crate::Result;
use crate::modules::Error;
use crate::modules::{file, name, scan};

impl Tree {
    /// By `modules.dep`.
    pub(super) fn take_dep_file(&mut self, text: &str) -> Result<()> {
        let bad = |number: usize, what: String| Error::DepFile { tree: self.directory.clone(), line: number + 1, what };
        let mut lines = Vec::new();
        let mut by_path = HashMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let (path, needs) =
                line.split_once(':').ok_or_else(|| bad(number, "no colon after the first path".to_owned()))?;
            if by_path.insert(path, lines.len() as u32).is_some() {
                return Err(bad(number, format!("{path} was there already")).into());
            }
            lines.push((number, path, needs));
        }
        let mut needs = Vec::with_capacity(lines.len());
        for (number, path, list) in &lines {
            let mut indices = Vec::new();
            for needed in list.split_whitespace() {
                let index =
                    *by_path.get(needed).ok_or_else(|| bad(*number, format!("{needed} has no line of its own")))?;
                if needed == *path {
                    return Err(bad(*number, format!("{path} needs itself")).into());
                }
                indices.push(index);
            }
            needs.push(indices);
        }
        self.needs = needs;
        let next = "run depmod again, or remove modules.dep so that the module files decide";
        self.set_paths(lines.iter().map(|(_, path, _)| (*path).to_owned()).collect(), next)
    }

    /// By the module files themselves.
    pub(super) fn take_files(&mut self) -> Result<()> {
        let mut found = Vec::new();
        walk(&self.directory, "", &mut found)?;
        let order: HashMap<String, usize> = self
            .read_list("modules.order")?
            .unwrap_or_default()
            .lines()
            .enumerate()
            .map(|(at, path)| (file::plain_path(path).to_owned(), at))
            .collect();
        found.sort_by_cached_key(|path| {
            (order.get(file::plain_path(path)).copied().unwrap_or(usize::MAX), path.clone())
        });
        // Of two modules of one name, that under updates/ is the one that modprobe loads.
        let mut chosen: HashMap<String, usize> = HashMap::new();
        let mut dropped = HashSet::new();
        for (at, path) in found.iter().enumerate() {
            let module = name::of_path(path);
            match chosen.get(&module) {
                Some(_) if !path.starts_with("updates/") => {
                    dropped.insert(at);
                }
                earlier => {
                    dropped.extend(earlier);
                    chosen.insert(module, at);
                }
            }
        }
        let paths: Vec<String> =
            found.into_iter().enumerate().filter(|(at, _)| !dropped.contains(at)).map(|(_, path)| path).collect();
        let scanned = scan::read_all(&self.directory, &paths);
        let linked = scan::link(&scanned);
        (self.needs, self.cycles, self.twice) = (linked.needs, linked.cycles, linked.twice);
        self.scanned = Some(scanned);
        self.set_paths(paths, "rename the file")
    }

    /// # Errors
    /// A path that leads out of the tree, or that no list of files can hold.
    fn set_paths(&mut self, paths: Vec<String>, next: &'static str) -> Result<()> {
        let is_inside = |path: &&String| {
            let normal = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            normal && !path.contains(char::is_control)
        };
        if let Some(path) = paths.iter().find(|path| !is_inside(path)) {
            return Err(Error::PathOutside { tree: self.directory.clone(), path: path.to_string(), next }.into());
        }
        self.by_name = (0..).zip(&paths).map(|(index, path)| (name::of_path(path), index)).collect();
        self.paths = paths;
        Ok(())
    }
}

/// Collects the module files below `relative`, which is empty or ends in `/`. Links to directories are not followed:
/// `build` and `source` lead to the whole kernel tree.
fn walk(directory: &Path, relative: &str, found: &mut Vec<String>) -> Result<()> {
    let here = directory.join(relative);
    let entries = std::fs::read_dir(&here).map_err(|e| crate::Error::file(&here, e))?;
    for entry in entries {
        let entry = entry.map_err(|e| crate::Error::file(&here, e))?;
        let Ok(file_name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type().map_err(|e| crate::Error::file(entry.path(), e))?;
        if kind.is_dir() {
            if !(relative.is_empty() && (file_name == "build" || file_name == "source")) {
                walk(directory, &format!("{relative}{file_name}/"), found)?;
            }
        } else if file::is_module(&file_name) && (kind.is_file() || entry.path().is_file()) {
            found.push(format!("{relative}{file_name}"));
        }
    }
    Ok(())
}
