//! Which modules a name needs, in the order in which they must be loaded: the order of `modprobe --show-depends`.
//!
//! The order is observable behaviour of kmod: for each thing to load, first what it needs (deepest first), then itself,
//! each one between its own soft dependencies; a module comes once, where it is met first.

use std::collections::HashSet;

use super::name;
use super::tree::{SoftDependencies, Tree};
use crate::Result;
use crate::modules::Error;

/// What to load, and what needs no loading.
#[derive(Default, Debug)]
pub struct Resolution {
    /// The modules in load order.
    pub order: Vec<u32>,
    /// The index of the request that brought each module of `order` in.
    pub wanted_by: Vec<usize>,
    /// Names that the kernel contains.
    pub builtin: Vec<String>,
    /// What the user should know: soft dependencies that were not followed.
    pub notes: Vec<String>,
}

/// Resolves names and aliases, in the order given.
///
/// # Errors
/// A name that neither the tree nor the kernel has, a cycle, a module that cannot be read, a `modules.dep` that names a
/// file that is not there.
pub fn resolve<S: AsRef<str>>(tree: &Tree, names: &[S]) -> Result<Resolution> {
    let mut walk = Walk { tree, request: 0, visited: HashSet::new(), met: HashSet::new(), out: Resolution::default() };
    for (request, wanted) in names.iter().enumerate() {
        walk.request = request;
        let wanted = wanted.as_ref();
        match lookup(tree, wanted)? {
            Found::Modules(modules, alias) => {
                for module in modules {
                    walk.load(module, &alias)?;
                }
            }
            Found::Builtin(name) => walk.builtin(name),
            Found::Nothing => return Err(unknown(tree, wanted).into()),
        }
    }
    for module in &walk.out.order {
        tree.file(*module)?;
    }
    Ok(walk.out)
}

fn unknown(tree: &Tree, wanted: &str) -> Error {
    let near = tree.nearest(wanted).map(|near| near.to_string());
    Error::NoSuchModule { wanted: wanted.to_owned(), version: tree.version().to_owned(), near }
}

enum Found {
    /// The modules, and the alias that they were found by; empty for a module's own name.
    Modules(Vec<u32>, String),
    Builtin(String),
    Nothing,
}

/// What a name stands for: a module, else an alias of modules, else something built in.
fn lookup(tree: &Tree, wanted: &str) -> Result<Found> {
    // A path is one of the tree's; the name at its end alone would also be found in anybody else's.
    if wanted.contains('/') {
        let module = tree.by_path(wanted);
        return Ok(module.map_or(Found::Nothing, |module| Found::Modules(vec![module], String::new())));
    }
    if let Some(symbol) = wanted.strip_prefix("symbol:") {
        let modules = tree.by_symbol(symbol)?;
        return Ok(match modules.is_empty() {
            true => Found::Nothing,
            false => Found::Modules(modules, wanted.to_owned()),
        });
    }
    let module = if wanted.contains(".ko") { name::of_path(wanted) } else { wanted.to_owned() };
    if let Some(module) = tree.by_name(&module) {
        return Ok(Found::Modules(vec![module], String::new()));
    }
    let modules = tree.by_alias(wanted)?;
    if !modules.is_empty() {
        return Ok(Found::Modules(modules, name::normalize_alias(wanted)));
    }
    if tree.is_builtin(&module) {
        return Ok(Found::Builtin(name::normalize(&module)));
    }
    Ok(match tree.builtin_by_alias(wanted)? {
        Some(name) => Found::Builtin(name.to_owned()),
        None => Found::Nothing,
    })
}

struct Walk<'a> {
    tree: &'a Tree,
    request: usize,
    /// Modules that were asked for, by the user or by a soft dependency, and under which alias: to kmod, a module under
    /// an alias is another thing than under its name, which shows when soft dependencies go round in circles.
    visited: HashSet<(u32, String)>,
    /// Modules in the order already.
    met: HashSet<u32>,
    out: Resolution,
}

impl Walk<'_> {
    fn load(&mut self, module: u32, alias: &str) -> Result<()> {
        if !self.visited.insert((module, alias.to_owned())) {
            return Ok(());
        }
        let tree = self.tree;
        for needed in tree.needs(module)?.iter().rev() {
            self.with_soft_dependencies(*needed)?;
        }
        self.with_soft_dependencies(module)
    }

    fn with_soft_dependencies(&mut self, module: u32) -> Result<()> {
        let tree = self.tree;
        let lines = tree.softdeps(module)?;
        let soft = lines.first().map(|line| SoftDependencies::parse(line)).unwrap_or_default();
        for ignored in lines.iter().skip(1) {
            self.note(format!(
                "{}: softdep \"{ignored}\" is not the module's first, so it is not followed",
                self.tree.name(module)
            ));
        }
        for wanted in &soft.before {
            self.soft(module, wanted)?;
        }
        if self.met.insert(module) {
            for weak in tree.weakdeps(module)? {
                self.note(format!(
                    "{}: may ask for {weak} when it runs, a weak dependency, which is not loaded: name it too if it is needed",
                    tree.name(module)
                ));
            }
            self.out.order.push(module);
            self.out.wanted_by.push(self.request);
        }
        for wanted in &soft.after {
            self.soft(module, wanted)?;
        }
        Ok(())
    }

    fn soft(&mut self, by: u32, wanted: &str) -> Result<()> {
        match lookup(self.tree, wanted)? {
            Found::Modules(modules, alias) => {
                for module in modules {
                    self.load(module, &alias)?;
                }
            }
            Found::Builtin(name) => self.builtin(name),
            Found::Nothing => {
                self.note(format!("{}: its soft dependency {wanted} does not exist here", self.tree.name(by)));
            }
        }
        Ok(())
    }

    fn builtin(&mut self, name: String) {
        if !self.out.builtin.contains(&name) {
            self.out.builtin.push(name);
        }
    }

    fn note(&mut self, note: String) {
        if !self.out.notes.contains(&note) {
            self.out.notes.push(note);
        }
    }
}
