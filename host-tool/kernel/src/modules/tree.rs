//! One `lib/modules/VERSION`: which modules it has, what each needs, and the other names they go by.

mod lists;
mod read;
mod release;

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::{file, name, scan};
use crate::Result;
use crate::modules::Error;
use stoop_image::board::nearest;
use stoop_image::kconfig::Kconfig;

/// Where the dependencies come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// `modules.dep` if the tree has one, the module files otherwise.
    Auto,
    /// Always the module files.
    Files,
}

/// A module's soft dependencies: what it works better with.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SoftDependencies {
    /// Names to load before it.
    pub before: Vec<String>,
    /// Names to load after it.
    pub after: Vec<String>,
}

impl SoftDependencies {
    /// Reads the value of `softdep=`: `pre: a b post: c`. Names before the first of the two words count for nothing,
    /// as in kmod.
    pub fn parse(text: &str) -> Self {
        let mut soft = SoftDependencies::default();
        let mut list = None;
        for word in text.split_whitespace() {
            match word {
                "pre:" => list = Some(&mut soft.before),
                "post:" => list = Some(&mut soft.after),
                _ => {
                    if let Some(list) = &mut list {
                        list.push(word.to_owned());
                    }
                }
            }
        }
        soft
    }
}

/// The modules of one kernel.
#[derive(Debug)]
pub struct Tree {
    directory: PathBuf,
    version: String,
    paths: Vec<String>,
    by_name: HashMap<String, u32>,
    needs: Vec<Vec<u32>>,
    cycles: HashMap<u32, Vec<u32>>,
    twice: Vec<(String, u32, u32)>,
    scanned: Option<Vec<scan::Scanned>>,
    builtin: HashSet<String>,
    softdeps: OnceCell<HashMap<String, Vec<String>>>,
    weakdeps: OnceCell<HashMap<String, Vec<String>>>,
    aliases: OnceCell<Vec<(String, u32)>>,
    builtin_aliases: OnceCell<Vec<(String, String)>>,
}

impl Tree {
    /// Opens a `lib/modules/VERSION`.
    ///
    /// # Errors
    /// The directory has no modules or is none of a kernel's release, or its `modules.dep` cannot be understood. With [`Source::Files`], a module that
    /// cannot be read is an error only for those who need it.
    pub fn open(directory: &Path, source: Source) -> Result<Self> {
        let given = directory;
        let directory = given.canonicalize().map_err(|e| Error::NoDirectory { path: given.into(), source: e })?;
        let version = release::name(given, &directory);
        let mut tree = Tree {
            version,
            paths: Vec::new(),
            by_name: HashMap::new(),
            needs: Vec::new(),
            cycles: HashMap::new(),
            twice: Vec::new(),
            scanned: None,
            builtin: HashSet::new(),
            softdeps: OnceCell::new(),
            weakdeps: OnceCell::new(),
            aliases: OnceCell::new(),
            builtin_aliases: OnceCell::new(),
            directory,
        };
        let dep_file = match source {
            Source::Auto => tree.read_list("modules.dep")?,
            Source::Files => None,
        };
        match dep_file {
            Some(text) => tree.take_dep_file(&text)?,
            None => tree.take_files()?,
        }
        tree.builtin = tree.read_list("modules.builtin")?.unwrap_or_default().lines().map(name::of_path).collect();
        // Since Linux 5.2; it names the built-in modules as well.
        let modinfo = tree.read_list("modules.builtin.modinfo")?.unwrap_or_default();
        tree.builtin.extend(modinfo.split('\0').filter_map(|entry| Some(name::normalize(entry.split_once('.')?.0))));
        if tree.paths.is_empty() {
            return Err(Error::NoModule { path: tree.directory.clone() }.into());
        }
        release::check(&tree.directory, &tree.version, tree.first().as_deref())?;
        Ok(tree)
    }

    /// The kernel's configuration, where builds and packages put it beside the modules; nothing when it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn config_beside(&self) -> Result<Option<Kconfig>> {
        let places = ["build/.config", "../../../config", &format!("../../../boot/config-{}", self.version)];
        Ok(self.beside(&places).map(|path| Kconfig::read(&path)).transpose()?)
    }

    /// The kernel's `Module.symvers`, where builds and packages put it beside the modules, if it is there.
    pub fn symvers_beside(&self) -> Option<PathBuf> {
        self.beside(&["build/Module.symvers", "../../../Module.symvers"])
    }

    fn beside(&self, places: &[&str]) -> Option<PathBuf> {
        places.iter().map(|place| self.directory.join(place)).find(|path| path.is_file())
    }

    /// The path of the first module.
    fn first(&self) -> Option<PathBuf> {
        Some(self.directory.join(self.paths.first()?))
    }

    /// What to know when the modules are built for another release than the directory is named after.
    pub fn doubt(&self) -> Option<String> {
        release::doubt(&self.version, &self.first()?)
    }

    /// The kernel's release, which the directory is named after.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The paths of all modules, relative to the directory, in the order of `modules.order`.
    pub fn paths(&self) -> &[String] {
        &self.paths
    }

    /// A module's path, relative to the directory.
    pub fn path(&self, module: u32) -> &str {
        &self.paths[module as usize]
    }

    /// A module's name.
    pub fn name(&self, module: u32) -> String {
        name::of_path(self.path(module))
    }

    /// The module of this name, spelled with `-` or `_`.
    pub fn by_name(&self, module: &str) -> Option<u32> {
        self.by_name.get(&name::normalize(module)).copied()
    }

    /// The module in this file, whatever it is compressed with: a path in the tree, or one that ends with the tree's own
    /// `lib/modules/VERSION/` and such a path.
    pub fn by_path(&self, path: &str) -> Option<u32> {
        let mark = format!("lib/modules/{}/", self.version);
        let own = path.rfind(&mark).map_or(path, |at| &path[at + mark.len()..]);
        let own = file::plain_path(own.strip_prefix("./").unwrap_or(own));
        let at = self.paths.iter().position(|known| file::plain_path(known) == own)?;
        u32::try_from(at).ok()
    }

    /// Whether the kernel itself contains the module of this name.
    pub fn is_builtin(&self, module: &str) -> bool {
        self.builtin.contains(&name::normalize(module))
    }

    /// Names the user may have meant.
    pub fn nearest(&self, wrong: &str) -> Option<&str> {
        let wrong = name::normalize(wrong);
        nearest(&wrong, self.by_name.keys().chain(&self.builtin).map(String::as_str))
    }

    /// Symbols that two modules export, with both; known only when the module files were read.
    pub fn exported_twice(&self) -> &[(String, u32, u32)] {
        &self.twice
    }

    /// All a module needs, users before what they use: load it from the end.
    ///
    /// # Errors
    /// The module or one it needs is in a cycle, or could not be read.
    pub fn needs(&self, module: u32) -> Result<&[u32]> {
        let needs = &self.needs[module as usize];
        for member in std::iter::once(&module).chain(needs) {
            if let Some(cycle) = self.cycles.get(member) {
                let names: Vec<String> = cycle.iter().chain(cycle.first()).map(|m| self.name(*m)).collect();
                return Err(Error::Circle { names }.into());
            }
            let scanned = self.scanned.as_ref().and_then(|all| all.get(*member as usize));
            if let Some(problem) = scanned.and_then(|one| one.problem.as_ref()) {
                return Err(Error::Unreadable { problem: problem.clone() }.into());
            }
        }
        Ok(needs)
    }

    /// Where a module's file lies, if it is really there.
    ///
    /// # Errors
    /// `modules.dep` names a file that the tree does not have.
    pub fn file(&self, module: u32) -> Result<PathBuf> {
        let path = self.path(module);
        let full = self.directory.join(path);
        if full.is_file() {
            return Ok(full);
        }
        let plain = file::plain_path(path);
        let other = ["", ".xz", ".zst", ".gz"]
            .iter()
            .map(|ending| format!("{plain}{ending}"))
            .find(|other| self.directory.join(other).is_file());
        Err(Error::NotThere { tree: self.directory.clone(), path: path.to_owned(), other }.into())
    }
}
