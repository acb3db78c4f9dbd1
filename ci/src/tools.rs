//! Programs from the crate registry that Debian lacks, built once into the cache. A version is known to work here; another may not.

use std::path::PathBuf;

use stoop_samples::failure::Result;

use crate::{cache, run};

/// A crate with a program, and how to build it.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    /// The crate, and the program in it.
    pub name: &'static str,
    /// The version.
    pub version: &'static str,
    /// More words for `cargo install`.
    pub options: &'static [&'static str],
    /// How long the build takes on two cores, for whoever waits.
    pub minutes: u32,
}

impl Tool {
    /// Where it is when it is built.
    ///
    /// # Errors
    /// There is no place for a cache.
    pub fn path(&self) -> Result<PathBuf> {
        Ok(self.place()?.join("bin").join(self.name))
    }

    /// Builds it unless it is there.
    ///
    /// # Errors
    /// It cannot be fetched or built.
    pub fn install(&self) -> Result<PathBuf> {
        let (place, program) = (self.place()?, self.path()?);
        let _lock = cache::Lock::take(&place, || eprintln!("{}: waiting for another build of it", self.name))?;
        if !program.exists() {
            let mut cargo = run::command("nice");
            cargo.args(["-n", "10", "cargo", "install", self.name, "--version", self.version, "--locked"]);
            cargo.args(self.options).arg("--root").arg(&place);
            // It is at work for seconds, so optimisation would cost more than it gives; and nobody debugs it.
            cargo.arg("--debug");
            cargo.env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_INCREMENTAL", "0");
            run::step(&format!("{}: building it ({} minutes on two cores)", self.name, self.minutes), || {
                run::logged(&mut cargo, &place.join("build.log"))
            })?;
        }
        Ok(program)
    }

    fn place(&self) -> Result<PathBuf> {
        Ok(cache::root()?.join(format!("tools/{}-{}", self.name, self.version)))
    }
}
