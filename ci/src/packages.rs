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
    let profile = folder.join("profile.toml");
    cache::write(&profile, profile_of(&cache::read(&top.join("Cargo.toml"))?)?.as_bytes())?;
    run::shown(&mut build(&folder, &profile))?;
    let board = run::output(run::command(top.join("target/debug/stoop")).args(["boards", "show", "gl-ar750"]))?;
    if board.starts_with("board              gl-ar750\n") {
        return Ok(());
    }
    Err(Failure::new(format!("the command from the archives says of gl-ar750: {board}")))
}

/// A crate with its version, as archives and what is in them are called.
fn versioned(name: &str) -> String {
    format!("{name}-{}", env!("CARGO_PKG_VERSION"))
}

/// How this workspace's manifest has other crates compiled, as a configuration of cargo's.
fn profile_of(manifest: &[u8]) -> Result<String> {
    let broken = |error: &dyn std::fmt::Display| Failure::new(format!("Cargo.toml: {error}"));
    let manifest: toml::Table = String::from_utf8_lossy(manifest).parse().map_err(|error| broken(&error))?;
    let dev = manifest.get("profile").and_then(|profiles| profiles.get("dev")).and_then(toml::Value::as_table);
    let mut dev = dev.ok_or_else(|| broken(&"it has no [profile.dev]"))?.clone();
    if let Some(packages) = dev.get_mut("package").and_then(toml::Value::as_table_mut) {
        packages.retain(|name, _| name == "*");
    }
    let within = |name: &str, table| toml::Table::from_iter([(name.to_owned(), toml::Value::Table(table))]);
    toml::to_string(&within("profile", within("dev", dev))).map_err(|error| broken(&error))
}

/// The command's build. Its siblings come from the archives too; other crates are compiled as the workspace compiles them, so that
/// what is there already is used: with another profile all of them would be compiled once more.
fn build(folder: &Path, profile: &Path) -> Command {
    let mut cargo = run::command("cargo");
    cargo.current_dir(folder.join(versioned("stoop"))).args(["build", "--quiet", "--offline", "--target-dir"]);
    cargo.arg(repository().join("target")).arg("--config").arg(profile);
    for name in &CRATES[..CRATES.len() - 1] {
        let path = folder.join(versioned(name));
        cargo.arg("--config").arg(format!("patch.crates-io.{name}.path={:?}", path.display().to_string()));
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::profile_of;

    #[test]
    fn other_crates_are_compiled_as_in_the_workspace_and_its_own_are_not_named() {
        let manifest = b"[package]\n[profile.dev]\ndebug = false\n[profile.dev.package.\"*\"]\nopt-level = 1\n\
            [profile.dev.package.ours]\nopt-level = 3\n[profile.test]\nopt-level = 1\n";
        let profile = profile_of(manifest).unwrap();
        let wanted = "[profile.dev]\ndebug = false\n\n[profile.dev.package.\"*\"]\nopt-level = 1\n";
        assert_eq!(profile, wanted);
    }
}
