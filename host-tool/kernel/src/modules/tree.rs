//! One `lib/modules/VERSION`: which modules it has, what each needs, and the other names they go by.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::{Component, Path, PathBuf};

use super::{file, ko, name, scan};
use stoop_image::board::nearest;
use stoop_image::kconfig::Kconfig;
use stoop_image::{ErrorCode, Failure, Result};

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
    /// The directory has no modules, or its `modules.dep` cannot be understood. With [`Source::Files`], a module that
    /// cannot be read is an error only for those who need it.
    pub fn open(directory: &Path, source: Source) -> Result<Self> {
        let directory = directory.canonicalize().map_err(|e| {
            Failure::io(directory, &e).next("give the directory lib/modules/VERSION of the kernel's modules")
        })?;
        let version = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
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
            return Err(Failure::new(
                ErrorCode::ModuleTree,
                format!("{}: there is no module in it", tree.directory.display()),
            )
            .next("give the directory lib/modules/VERSION itself"));
        }
        Ok(tree)
    }

    /// The kernel's configuration, where builds and packages put it beside the modules; nothing when it is not there.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn config_beside(&self) -> Result<Option<Kconfig>> {
        let places = ["build/.config", "../../../config", &format!("../../../boot/config-{}", self.version)];
        self.beside(&places).map(|path| Kconfig::read(&path)).transpose()
    }

    /// The kernel's `Module.symvers`, where builds and packages put it beside the modules, if it is there.
    pub fn symvers_beside(&self) -> Option<PathBuf> {
        self.beside(&["build/Module.symvers", "../../../Module.symvers"])
    }

    fn beside(&self, places: &[&str]) -> Option<PathBuf> {
        places.iter().map(|place| self.directory.join(place)).find(|path| path.is_file())
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

    /// The modules that export a symbol (`modules.symbols`), in the order of the tree.
    ///
    /// # Errors
    /// The tree has no `modules.symbols` and a module cannot be read.
    pub fn by_symbol(&self, symbol: &str) -> Result<Vec<u32>> {
        if self.scanned.is_none()
            && let Some(text) = self.read_list("modules.symbols")?
        {
            let entry = |line: &str| {
                let (known, module) = line.strip_prefix("alias symbol:")?.split_once(' ')?;
                (known == symbol).then(|| self.by_name(module))?
            };
            return Ok(text.lines().filter_map(entry).collect());
        }
        let read;
        let scanned = match &self.scanned {
            Some(scanned) => scanned,
            None => {
                read = scan::read_all(&self.directory, &self.paths);
                &read
            }
        };
        let exports = |module: &scan::Scanned| module.exports.iter().any(|export| export == symbol);
        Ok((0..).zip(scanned).filter(|(_, module)| exports(module)).map(|(index, _)| index).collect())
    }

    /// What a module may ask for when it runs: the names in its `weakdep=` lines (`modules.weakdep`).
    ///
    /// # Errors
    /// The tree has a `modules.weakdep` that cannot be read.
    pub fn weakdeps(&self, module: u32) -> Result<Vec<String>> {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        if let Some(scanned) = &self.scanned {
            return Ok(ko::info(&scanned[module as usize].modinfo, "weakdep").flat_map(words).collect());
        }
        if self.weakdeps.get().is_none() {
            let text = self.read_list("modules.weakdep")?.unwrap_or_default();
            let entry = |line: &str| {
                let (module, rest) = line.strip_prefix("weakdep ")?.split_once(' ')?;
                Some((name::normalize(module), words(rest)))
            };
            let mut weakdeps: HashMap<String, Vec<String>> = HashMap::new();
            for (module, names) in text.lines().filter_map(entry) {
                weakdeps.entry(module).or_default().extend(names);
            }
            let _ = self.weakdeps.set(weakdeps);
        }
        Ok(self.weakdeps.get().and_then(|all| all.get(&self.name(module)).cloned()).unwrap_or_default())
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
                return Err(Failure::new(
                    ErrorCode::ModuleTree,
                    format!("the modules need each other in a circle: {}", names.join(" -> ")),
                )
                .next("build one of them into the kernel, or move the shared symbols into a module of their own"));
            }
            let scanned = self.scanned.as_ref().and_then(|all| all.get(*member as usize));
            if let Some(problem) = scanned.and_then(|one| one.problem.as_ref()) {
                let failure = Failure::new(ErrorCode::ModuleTree, problem.fact());
                return Err(match problem.next_step() {
                    Some(next) => failure.next(next),
                    None => failure,
                });
            }
        }
        Ok(needs)
    }

    /// A module's `softdep=` lines. kmod heeds only the first.
    ///
    /// # Errors
    /// The tree has no `modules.softdep` and the module cannot be read.
    pub fn softdeps(&self, module: u32) -> Result<Vec<String>> {
        if let Some(scanned) = &self.scanned {
            let modinfo = &scanned[module as usize].modinfo;
            return Ok(ko::info(modinfo, "softdep").map(str::to_owned).collect());
        }
        if self.softdeps.get().is_none()
            && let Some(text) = self.read_list("modules.softdep")?
        {
            let mut lines: HashMap<String, Vec<String>> = HashMap::new();
            for line in text.lines() {
                let mut words = line.splitn(3, ' ');
                if let (Some("softdep"), Some(module), Some(rest)) = (words.next(), words.next(), words.next()) {
                    lines.entry(name::normalize(module)).or_default().push(rest.to_owned());
                }
            }
            let _ = self.softdeps.set(lines);
        }
        match self.softdeps.get() {
            Some(lines) => Ok(lines.get(&self.name(module)).cloned().unwrap_or_default()),
            None => {
                let bytes = file::read(&self.file(module)?)?;
                let parsed = ko::Module::parse(&bytes).map_err(|failure| failure.within(self.path(module)))?;
                Ok(parsed.info("softdep").map(str::to_owned).collect())
            }
        }
    }

    /// The modules that an alias stands for, in the order of the tree.
    ///
    /// # Errors
    /// The tree has no `modules.alias` and a module cannot be read.
    pub fn by_alias(&self, alias: &str) -> Result<Vec<u32>> {
        if self.aliases.get().is_none() {
            let _ = self.aliases.set(self.read_aliases()?);
        }
        let alias = name::normalize_alias(alias);
        let mut found: Vec<u32> = self
            .aliases
            .get()
            .into_iter()
            .flatten()
            .filter(|(pattern, _)| name::matches(pattern, &alias))
            .map(|(_, module)| *module)
            .collect();
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn read_aliases(&self) -> Result<Vec<(String, u32)>> {
        let read;
        let scanned = match &self.scanned {
            Some(scanned) => scanned,
            None => {
                if let Some(text) = self.read_list("modules.alias")? {
                    let entry = |line: &str| {
                        let (pattern, module) = line.strip_prefix("alias ")?.rsplit_once(' ')?;
                        Some((name::normalize_alias(pattern), self.by_name(module)?))
                    };
                    return Ok(text.lines().filter_map(entry).collect());
                }
                read = scan::read_all(&self.directory, &self.paths);
                &read
            }
        };
        Ok((0..)
            .zip(scanned)
            .flat_map(|(index, module)| {
                ko::info(&module.modinfo, "alias").map(move |alias| (name::normalize_alias(alias), index))
            })
            .collect())
    }

    /// The built-in module that an alias stands for (`modules.builtin.modinfo`).
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn builtin_by_alias(&self, alias: &str) -> Result<Option<&str>> {
        if self.builtin_aliases.get().is_none() {
            let text = self.read_list("modules.builtin.modinfo")?.unwrap_or_default();
            let entry = |entry: &str| {
                let (module, pair) = entry.split_once('.')?;
                Some((name::normalize_alias(pair.strip_prefix("alias=")?), module.to_owned()))
            };
            let _ = self.builtin_aliases.set(text.split('\0').filter_map(entry).collect());
        }
        let alias = name::normalize_alias(alias);
        let aliases = self.builtin_aliases.get().into_iter().flatten();
        Ok(aliases.filter(|(pattern, _)| name::matches(pattern, &alias)).map(|(_, module)| module.as_str()).next())
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
        let seen = other.map(|other| format!(", only {other} is")).unwrap_or_default();
        Err(Failure::new(
            ErrorCode::ModuleTree,
            format!("{}/modules.dep names {path}, which is not there{seen}", self.directory.display()),
        )
        .next("run depmod again, or remove modules.dep so that the module files decide"))
    }

    fn read_list(&self, file: &str) -> Result<Option<String>> {
        let path = self.directory.join(file);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io(&path, &error)),
        }
    }

    fn take_dep_file(&mut self, text: &str) -> Result<()> {
        let bad = |number: usize, what: String| {
            Failure::new(
                ErrorCode::ModuleTree,
                format!("{}/modules.dep line {}: {what}", self.directory.display(), number + 1),
            )
            .next("run depmod again, or remove modules.dep so that the module files decide")
        };
        let mut lines = Vec::new();
        let mut by_path = HashMap::new();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let (path, needs) =
                line.split_once(':').ok_or_else(|| bad(number, "no colon after the first path".to_owned()))?;
            if by_path.insert(path, lines.len() as u32).is_some() {
                return Err(bad(number, format!("{path} was there already")));
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
                    return Err(bad(*number, format!("{path} needs itself")));
                }
                indices.push(index);
            }
            needs.push(indices);
        }
        self.needs = needs;
        self.set_paths(lines.iter().map(|(_, path, _)| (*path).to_owned()).collect())
    }

    fn take_files(&mut self) -> Result<()> {
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
        self.set_paths(paths)
    }

    /// # Errors
    /// A path that leads out of the tree, or that no list of files can hold.
    fn set_paths(&mut self, paths: Vec<String>) -> Result<()> {
        let is_inside = |path: &&String| {
            let normal = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
            normal && !path.contains(char::is_control)
        };
        if let Some(path) = paths.iter().find(|path| !is_inside(path)) {
            return Err(Failure::new(
                ErrorCode::ModuleTree,
                format!("{}: {path:?} is no path of a module in it", self.directory.display()),
            )
            .next("run depmod again, or remove modules.dep so that the module files decide"));
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
    let entries = std::fs::read_dir(&here).map_err(|e| Failure::io(&here, &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Failure::io(&here, &e))?;
        let Ok(file_name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type().map_err(|e| Failure::io(&entry.path(), &e))?;
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
