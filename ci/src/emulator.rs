//! The emulator library Unicorn in a program of its own (`hil-tests/unicorn`), built once and kept in the cache: it takes minutes,
//! and nothing of ours may link a library under the GPL.

use std::path::{Path, PathBuf};

use stoop_samples::failure::{Failure, Result};

use crate::apt::files;
use crate::{cache, repository, run};

/// Raised when the way of building changes what comes out.
const RECIPE: &[u8] = b"1";
const PROGRAM: &str = "stoop-unicorn";

/// Builds it unless the cache has it, and says where it is.
///
/// # Errors
/// cmake or libclang are missing, or the build fails.
pub fn build() -> Result<PathBuf> {
    let place = place()?;
    let _lock = cache::Lock::take(&place, || eprintln!("emulator: waiting for another build"))?;
    let program = program(&place)?;
    if program.exists() {
        return Ok(program);
    }
    // The library's own build stays there, so that a change of our program takes seconds.
    let built = place.join("build");
    let mut cargo = run::command("nice");
    cargo.args(["-n", "10", "cargo", "build", "--release", "--locked"]);
    cargo.arg("--manifest-path").arg(source().join("Cargo.toml")).arg("--target-dir").arg(&built);
    // The library is in C, and most of it is never run here; optimised for size it is built sooner.
    cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s");
    run::step("emulator: building Unicorn (2 minutes on two cores)", || {
        run::logged(&mut cargo, &place.join("build.log"))
    })?;
    cache::write(&program, &cache::read(&built.join("release").join(PROGRAM))?)?;
    Ok(program)
}

/// Where it is.
///
/// # Errors
/// It was not built from these sources.
pub fn open() -> Result<PathBuf> {
    let program = program(&place()?)?;
    if program.exists() {
        return Ok(program);
    }
    Err(Failure::new("the emulator library is not built").next("run `cargo ci emulator`"))
}

fn place() -> Result<PathBuf> {
    Ok(cache::root()?.join("emulator"))
}

fn source() -> PathBuf {
    repository().join("hil-tests/unicorn")
}

fn program(place: &Path) -> Result<PathBuf> {
    let source = source();
    let mut parts = vec![RECIPE.to_vec()];
    for file in
        [source.join("Cargo.toml"), source.join("Cargo.lock")].into_iter().chain(files(&source.join("src"), ".rs")?)
    {
        parts.push(cache::read(&file)?);
    }
    let key = cache::key(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    Ok(place.join(format!("{PROGRAM}-{key}")))
}
