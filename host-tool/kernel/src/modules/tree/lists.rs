//! What the lists of a tree say (modules.alias, modules.softdep, …), or the module files where a list is missing.

use std::collections::HashMap;

use super::Tree;
use crate::Result;
use crate::modules::{file, ko, name, scan};

impl Tree {
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

    /// One of the lists that depmod and the build write; `None` when it is not there.
    pub(super) fn read_list(&self, file: &str) -> Result<Option<String>> {
        let path = self.directory.join(file);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(crate::Error::file(&path, error)),
        }
    }
}
