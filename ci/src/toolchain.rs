//! The nightly that builds freestanding programs, and the library source that `-Zbuild-std=core` needs.

use std::path::{Path, PathBuf};
use std::process::Command;

use stoop_samples::failure::{Failure, Result};

use crate::{cache, run};

/// A nightly with the library's source.
pub struct Nightly {
    /// For example `1.97.0-nightly`.
    pub release: String,
    /// The compiler's commit.
    pub commit: String,
    /// A hash of the library's source, as far as `core` needs it.
    pub library: String,
}

/// How rustup calls the toolchain: `$STOOP_NIGHTLY`, else `nightly`.
fn name() -> String {
    std::env::var("STOOP_NIGHTLY").unwrap_or_else(|_| "nightly".to_owned())
}

/// A command of that toolchain.
pub fn command(program: &str) -> Command {
    let mut command = run::command("rustup");
    command.args(["run", &name(), program]);
    command
}

/// Why something is skipped: the nightly has no such component, and what gets it.
pub fn lacks(component: &str) -> String {
    let name = name();
    format!("the toolchain {name} has no {component}; `rustup component add {component} --toolchain {name}` gets it")
}

/// Gets a component of the toolchain by rustup.
///
/// # Errors
/// rustup has none for this toolchain, or does not reach its server.
pub fn add(component: &str) -> Result<()> {
    run::step(&format!("{component}: asking rustup"), || {
        run::output(run::command("rustup").args(["component", "add", component, "--toolchain", &name()])).map(|_| ())
    })
}

impl Nightly {
    /// The installed one.
    ///
    /// # Errors
    /// When there is no nightly, or it has no library source.
    pub fn find() -> Result<Nightly> {
        let version = run::output(command("rustc").arg("-vV"))
            .map_err(|failure| failure.next("run `rustup toolchain install nightly --profile minimal`"))?;
        let field = |name: &str| {
            let line = version.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::trim).unwrap_or_default().to_owned()
        };
        let library = library()?;
        if !library.join("core/src/lib.rs").exists() {
            return Err(Failure::new(format!("the toolchain {} has no library source", name()))
                .next("run ./ci/test, which gets rust-src"));
        }
        Ok(Nightly { release: field("release:"), commit: field("commit-hash:"), library: hash(&library)? })
    }
}

/// Where the toolchain keeps the library's source, present or not.
fn library() -> Result<PathBuf> {
    let root = run::output(command("rustc").args(["--print", "sysroot"]))?;
    Ok(Path::new(root.trim()).join("lib/rustlib/src/rust/library"))
}

/// Of every source file of `core` and what it is built with, by path.
fn hash(library: &Path) -> Result<String> {
    let mut files = vec![library.join("Cargo.lock")];
    for folder in ["core", "compiler-builtins"] {
        list(&library.join(folder), &mut files)?;
    }
    files.sort();
    let mut parts = Vec::new();
    for file in &files {
        let name = file.strip_prefix(library).unwrap_or(file);
        parts.push(name.as_os_str().as_encoded_bytes().to_vec());
        parts.push(cache::read(file)?);
    }
    Ok(cache::key(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>()))
}

/// The Rust files below `folder`.
fn list(folder: &Path, to: &mut Vec<PathBuf>) -> Result<()> {
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::io(folder, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| Failure::io(folder, &error))?.path();
        if path.is_dir() {
            list(&path, to)?;
        } else if path.extension().is_some_and(|ending| ending == "rs" || ending == "toml") {
            to.push(path);
        }
    }
    Ok(())
}

/// Where Debian's package rust-src puts the library's source.
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust/library";

/// Gets the nightly when there is none, and the library's source when the toolchain lacks it: by rustup, from the archive
/// that `STOOP_RUST_SRC` names (its top folder is `library`; a relative name counts from the repository's top), or from
/// Debian's package rust-src when its minor version is the compiler's.
///
/// # Errors
/// When no way works.
pub fn ensure_rust_src() -> Result<()> {
    let version = || run::output(command("rustc").arg("--version"));
    let version = match version() {
        Ok(version) => version,
        Err(_) => {
            let install = ["toolchain", "install", &name(), "--profile", "minimal", "--component", "clippy"];
            run::step("rust-src: installing the nightly that builds the shim", || {
                run::shown(run::command("rustup").args(install))
            })?;
            version()?
        }
    };
    let library = library()?;
    let complete = || library.join("core/src/lib.rs").exists();
    if complete() {
        return Ok(());
    }
    if add("rust-src").is_ok() && complete() {
        return Ok(());
    }
    if let Some(archive) = std::env::var_os("STOOP_RUST_SRC") {
        let archive = crate::repository().join(archive);
        run::step(&format!("rust-src: unpacking {}", archive.display()), || {
            cache::folder(&library, |draft| {
                let mut tar = run::command("tar");
                tar.arg("-xf").arg(&archive).arg("-C").arg(draft).arg("--strip-components=1");
                run::output(&mut tar).map(|_| ())
            })
        })?;
        return if complete() { Ok(()) } else { Err(Failure::new(format!("{} holds no library", archive.display()))) };
    }
    // "rustc 1.97.0-nightly (…)" and "1.97.1+dfsg1-1" agree in "1.97".
    let minor = |text: &str| text.split('.').take(2).collect::<Vec<_>>().join(".");
    let wanted = minor(version.trim_start_matches("rustc "));
    let debian =
        run::output(run::command("dpkg-query").args(["-W", "-f", "${Version}", "rust-src"])).unwrap_or_default();
    if minor(&debian) == wanted && Path::new(DEBIAN_LIBRARY).exists() {
        return run::step(&format!("rust-src: copying Debian's {debian}"), || {
            cache::folder(&library, |draft| {
                let from = Path::new(DEBIAN_LIBRARY).join(".");
                run::output(run::command("cp").arg("-r").arg(from).arg(draft)).map(|_| ())
            })
        });
    }
    let fact = format!("{} has no library source, and neither rustup nor Debian's rust-src has it", version.trim());
    Err(Failure::new(fact).next(format!("name an archive of the {wanted} library in STOOP_RUST_SRC")))
}
