//! The modules of a crate as its sources have them: files, the names they import, and every path they write. Tests are left out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree};

/// A module's name from the crate's root on; the root's is empty.
pub type Name = Vec<String>;

/// One module with a file of its own.
#[derive(Default)]
pub struct Module {
    /// Names that a `use` brings into it, and the paths they stand for.
    pub imports: BTreeMap<String, Name>,
    /// Modules and items of which a `use …::*` brings all names into it.
    pub globs: Vec<Name>,
    /// Paths that it hands on and does not need itself are not among these; all others are.
    pub paths: Vec<Name>,
}

/// All of them.
#[derive(Default)]
pub struct Crate {
    /// By name.
    pub modules: BTreeMap<Name, Module>,
}

impl Crate {
    /// Reads the crate with this root file.
    ///
    /// # Errors
    /// A file that is missing or does not parse.
    pub fn read(root: &Path) -> Result<Crate, String> {
        let mut all = Crate::default();
        let folder = root.parent().unwrap_or(Path::new("."));
        all.add(root, folder, Vec::new())?;
        Ok(all)
    }

    fn add(&mut self, file: &Path, children: &Path, name: Name) -> Result<(), String> {
        let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let parsed = syn::parse_file(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        self.modules.entry(name.clone()).or_default();
        let beside = file.parent().unwrap_or(Path::new("."));
        self.items(parsed.items, [beside, children], &name, &name)
    }

    /// Items of `file`'s module, or of one written out in it, which counts as the same; the folders are the file's and the one of
    /// the modules in it.
    fn items(
        &mut self,
        items: Vec<Item>,
        [beside, folder]: [&Path; 2],
        file: &Name,
        name: &Name,
    ) -> Result<(), String> {
        for item in items.into_iter().filter(|item| !is_test(item)) {
            match item {
                Item::Mod(module) => {
                    let ident = module.ident.to_string();
                    let inner = [&name[..], std::slice::from_ref(&ident)].concat();
                    match module.content {
                        Some((_, items)) => self.items(items, [&folder.join(&ident); 2], file, &inner)?,
                        None => {
                            // A file that is named has its own modules beside it.
                            let named = named_files(&module.attrs).into_iter().map(|path| beside.join(path));
                            let named: Vec<_> =
                                named.map(|path| (path.parent().unwrap_or(folder).to_owned(), path)).collect();
                            let usual = || vec![(folder.join(&ident), file_of(folder, &ident))];
                            for (children, file) in if named.is_empty() { usual() } else { named } {
                                self.add(&file, &children, inner.clone())?;
                            }
                        }
                    }
                }
                Item::Use(import) => {
                    let is_handed_on = !matches!(import.vis, syn::Visibility::Inherited);
                    let mut leaves = Vec::new();
                    leaves_of(&import.tree, Vec::new(), &mut leaves);
                    let module = self.modules.entry(file.clone()).or_default();
                    for (path, known_as) in leaves {
                        let path = absolute(name, &path);
                        match known_as {
                            Some(known_as) => drop(module.imports.insert(known_as, path.clone())),
                            None => module.globs.push(path.clone()),
                        }
                        if !is_handed_on {
                            module.paths.push(path);
                        }
                    }
                }
                other => {
                    let mut paths = Vec::new();
                    paths_in(other.to_token_stream(), &mut paths);
                    let module = self.modules.entry(file.clone()).or_default();
                    module.paths.extend(paths.into_iter().map(|path| absolute(name, &path)));
                }
            }
        }
        Ok(())
    }
}

fn file_of(folder: &Path, name: &str) -> PathBuf {
    let plain = folder.join(format!("{name}.rs"));
    if plain.exists() { plain } else { folder.join(name).join("mod.rs") }
}

/// What `#[path = "…"]` says, one for each machine where it depends on that.
fn named_files(attributes: &[Attribute]) -> Vec<String> {
    let mut files = Vec::new();
    for attribute in attributes.iter().filter(|attribute| !attribute.path().is_ident("doc")) {
        let text = attribute.meta.to_token_stream().to_string();
        let named = text.split("path = \"").skip(1).filter_map(|rest| rest.split('"').next());
        files.extend(named.map(str::to_owned));
    }
    files
}

fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        _ => return false,
    };
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.meta.to_token_stream().to_string().replace(' ', "") == "cfg(test)"
    })
}

/// Every path of a `use`, and the name that it gets there; `None` for all names.
fn leaves_of(tree: &UseTree, before: Name, leaves: &mut Vec<(Name, Option<String>)>) {
    let with = |ident: &syn::Ident| [&before[..], &[ident.to_string()]].concat();
    match tree {
        UseTree::Path(path) => leaves_of(&path.tree, with(&path.ident), leaves),
        UseTree::Name(name) if name.ident == "self" => leaves.push((before.clone(), before.last().cloned())),
        UseTree::Name(name) => leaves.push((with(&name.ident), Some(name.ident.to_string()))),
        UseTree::Rename(name) => leaves.push((with(&name.ident), Some(name.rename.to_string()))),
        UseTree::Glob(_) => leaves.push((before, None)),
        UseTree::Group(group) => group.items.iter().for_each(|tree| leaves_of(tree, before.clone(), leaves)),
    }
}

/// Everything that looks like `a::b`, also in macros' arguments.
fn paths_in(tokens: TokenStream, paths: &mut Vec<Name>) {
    let (mut path, mut colons): (Name, usize) = (Vec::new(), 0);
    let mut end = |path: &mut Name| {
        if path.len() > 1 {
            paths.push(std::mem::take(path));
        }
        path.clear();
    };
    let mut inner = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if colons != 2 {
                    end(&mut path);
                }
                path.push(ident.to_string());
                colons = 0;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Group(group) => {
                end(&mut path);
                // `pub(in a::b)` needs nothing of it.
                if !group.stream().to_string().starts_with("in ") {
                    inner.push(group.stream());
                }
                colons = 0;
            }
            _ => {
                end(&mut path);
                colons = 0;
            }
        }
    }
    end(&mut path);
    inner.into_iter().for_each(|tokens| paths_in(tokens, paths));
}

/// A path as it is written in module `name`, from the crate's root on where it says so; else from that module on.
fn absolute(name: &Name, path: &[String]) -> Name {
    let mut base = name.clone();
    let mut rest = path;
    match rest.first().map(String::as_str) {
        Some("crate") => (base, rest) = (Vec::new(), &rest[1..]),
        Some("self") => rest = &rest[1..],
        _ => {}
    }
    while rest.first().is_some_and(|first| first == "super") {
        base.pop();
        rest = &rest[1..];
    }
    base.extend_from_slice(rest);
    base
}
