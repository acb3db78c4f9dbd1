//! The crates as a registry would hand them out, and the command built from these archives and nothing else of this tree.

use std::path::Path;
use std::process::Command;

use stoop_samples::failure::{Failure, Result};

use crate::{cache, repository, run};

/// In the order in which they go to a registry: each after what it needs.
const CRATES: [&str; 5] = ["stoop-core", "stoop-image", "stoop-kernel", "stoop-lab", "stoop"];

/// Packs every crate, builds the command from the archives without network, and asks it for a board.
///
/// # Errors
/// A crate names a file or crate that is not in its archive, or what was built from them does not know its boards.
pub fn check() -> Result<()> {
    let top = repository();
    let mut pack = run::command("cargo");
    pack.current_dir(&top).args(["package", "--quiet", "--offline", "--no-verify", "--allow-dirty"]);
    run::shown(pack.args(CRATES.iter().flat_map(|name| ["--package", name])))?;
    let archives = top.join("target/package");
    let folder = archives.join("unpacked");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|error| Failure::io(&folder, &error))?;
    }
    cache::create_dir(&folder)?;
    for name in CRATES {
        let archive = archives.join(format!("{}.crate", versioned(name)));
        run::output(run::command("tar").arg("-xzf").arg(archive).arg("-C").arg(&folder))?;
    }
    run::shown(&mut build(&folder))?;
    let board = run::output(run::command(top.join("target/release/stoop")).args(["boards", "show", "gl-ar750"]))?;
    if board.starts_with("board              gl-ar750\n") {
        return Ok(());
    }
    Err(Failure::new(format!("the command from the archives says of gl-ar750: {board}")))
}

/// A crate with its version, as archives and what is in them are called.
fn versioned(name: &str) -> String {
    format!("{name}-{}", env!("CARGO_PKG_VERSION"))
}

/// In the environment of a build as for a release: it takes half as long as with all optimisation. Such builds are of the command
/// alone, which asks for other features of crates than the whole workspace does; with the same setting they share those crates.
pub const QUICK: (&str, &str) = ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");

/// The command's build. Its siblings come from the archives too.
fn build(folder: &Path) -> Command {
    let mut cargo = run::command("cargo");
    cargo.current_dir(folder.join(versioned("stoop"))).args([
        "build",
        "--quiet",
        "--release",
        "--offline",
        "--target-dir",
    ]);
    cargo.arg(repository().join("target")).env(QUICK.0, QUICK.1);
    for name in &CRATES[..CRATES.len() - 1] {
        let path = folder.join(versioned(name));
        cargo.arg("--config").arg(format!("patch.crates-io.{name}.path={:?}", path.display().to_string()));
    }
    cargo
}
