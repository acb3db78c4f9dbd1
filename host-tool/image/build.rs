//! Embeds the board data: makes a table of every file under `boards`, by name.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let root = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("boards");
    let mut code = String::new();
    for (table, folder, extension, include, kind) in [
        ("BOARDS", "", "toml", "include_str", "str"),
        ("SOCS", "soc", "toml", "include_str", "str"),
        ("TREES", "dts", "dtb", "include_bytes", "[u8]"),
    ] {
        let folder = root.join(folder);
        println!("cargo::rerun-if-changed={}", folder.display());
        writeln!(code, "static {table}: &[(&str, &{kind})] = &[").expect("a string takes all");
        for path in files(&folder, extension) {
            println!("cargo::rerun-if-changed={}", path.display());
            let name = path.file_stem().and_then(|name| name.to_str()).expect("board files have plain names");
            let path = path.canonicalize().expect("it was just listed");
            writeln!(code, "    ({name:?}, {include}!({path:?})),").expect("a string takes all");
        }
        code.push_str("];\n");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("boards.rs");
    fs::write(out, code).expect("cargo's output folder is writable");
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    paths
}
