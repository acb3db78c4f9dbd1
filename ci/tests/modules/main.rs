//! Modules of a crate never import each other in a circle: neither two files nor a chain of them.

mod graph;
mod source;

use std::path::{Path, PathBuf};

use graph::{Graph, circles};
use source::Crate;

/// Every crate root of the workspace: `src/lib.rs` and `src/main.rs`.
fn roots(repository: &Path) -> Vec<PathBuf> {
    let folders = [
        "shim",
        "shim/core",
        "host-tool/image",
        "host-tool/kernel",
        "host-tool/lab",
        "host-tool/cli",
        "ci",
        "hil-tests",
        "hil-tests/init",
        "hil-tests/model",
        "hil-tests/fuzz",
        "hil-tests/unicorn",
    ];
    let files = folders
        .iter()
        .flat_map(|folder| ["lib.rs", "main.rs"].map(|file| repository.join(folder).join("src").join(file)));
    files.filter(|file| file.exists()).collect()
}

#[test]
fn no_modules_import_each_other_in_a_circle() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("ci is in the repository");
    let roots = roots(repository);
    assert!(roots.len() >= 13, "only {} crate roots were found", roots.len());
    let mut found = String::new();
    for root in roots {
        let graph = Graph::of(&Crate::read(&root).unwrap_or_else(|error| panic!("{error}")));
        assert!(graph.modules() > 0);
        for circle in circles(&graph) {
            found += &format!("{}: {}\n", root.strip_prefix(repository).unwrap_or(&root).display(), circle.len());
            for edge in graph.within(&circle) {
                found += &format!("    {edge}\n");
            }
        }
    }
    assert!(found.is_empty(), "modules that import each other:\n{found}");
}

/// A crate of these files, by their paths.
fn made_of(files: &[(&str, &str)]) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a new folder");
        std::fs::write(path, text).expect("a new file");
    }
    circles(&Graph::of(&Crate::read(&folder.path().join("lib.rs")).expect("sources that parse")))
}

#[test]
fn a_chain_is_no_circle_and_three_files_in_one_are_found() {
    let chain =
        [("lib.rs", "mod a; mod b; mod c;"), ("a.rs", "use crate::b::B;"), ("b.rs", "use crate::c::C; pub struct B;")];
    assert!(made_of(&[&chain[..], &[("c.rs", "pub struct C;")]].concat()).is_empty());
    let back =
        made_of(&[&chain[..], &[("c.rs", "pub struct C; fn f() { println!(\"{}\", crate::a::g()); }")]].concat());
    assert_eq!(back, [["a", "b", "c"]]);
}

#[test]
fn a_child_that_takes_from_its_parent_and_gives_to_it_is_a_circle() {
    let child = ("a/b.rs", "use super::Given; pub fn taken(_: Given) {}");
    let with = |parent: &str| made_of(&[("lib.rs", "mod a;"), ("a.rs", parent), child]);
    assert_eq!(with("mod b; pub struct Given; fn f() { b::taken(Given) }"), [["a", "a::b"]]);
    assert!(with("mod b; pub struct Given; pub use b::taken;").is_empty(), "a name handed on is no dependency");
    assert!(with("#[cfg(test)] mod b; pub struct Given;").is_empty());
}

#[test]
fn what_is_handed_on_belongs_to_where_it_is_defined() {
    let facade = ("a.rs", "mod b; mod c; pub use b::*; pub use c::C;");
    let found = made_of(&[
        ("lib.rs", "mod a;"),
        facade,
        ("a/b.rs", "use crate::a::C; pub struct B;"),
        ("a/c.rs", "use super::B; pub struct C;"),
    ]);
    assert_eq!(found, [["a::b", "a::c"]]);
}
