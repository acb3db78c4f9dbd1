//! labgrid's own programs, from PyPI in a virtual environment that is made once and kept in the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use stoop_samples::failure::{Failure, Result};

use crate::{cache, repository, run};

/// Raised when the way of installing changes what comes out.
const RECIPE: &[u8] = b"1";

/// Where the programs are: `labgrid-client`, `labgrid-coordinator`, `labgrid-exporter`, and what checks our package.
#[derive(Clone, Debug)]
pub struct Tools {
    folder: Option<PathBuf>,
}

impl Tools {
    /// Those that are installed (`labgrid-client` in `PATH`), else those of the cache.
    ///
    /// # Errors
    /// There are none.
    pub fn find() -> Result<Tools> {
        if is_in_path("labgrid-client") { Ok(Tools { folder: None }) } else { Tools::cached() }
    }

    /// Those of the cache, whose versions are known.
    ///
    /// # Errors
    /// They were not installed.
    pub fn cached() -> Result<Tools> {
        let place = environment()?;
        if is_complete(&place) {
            return Ok(Tools { folder: Some(place.join("bin")) });
        }
        Err(Failure::new("labgrid is not installed").next("run `cargo ci labgrid`, or put labgrid-client into PATH"))
    }

    /// The command that runs one of them.
    pub fn command(&self, program: &str) -> Command {
        let path = self.folder.as_ref().map_or_else(|| program.into(), |folder| folder.join(program));
        let mut command = run::command(path);
        command.env("PYTHONUNBUFFERED", "1");
        command
    }
}

/// Installs them unless the cache has them.
///
/// # Errors
/// Python cannot make a virtual environment, or pip finds no packages.
pub fn build() -> Result<Tools> {
    let place = environment()?;
    let root = place.parent().map(Path::to_owned).unwrap_or_default();
    let _lock = cache::Lock::take(&root, || eprintln!("labgrid: waiting for another installation"))?;
    if !is_complete(&place) {
        run::step("labgrid: installing it into the cache", || install(&place, &root.join("log")))?;
    }
    Tools::cached()
}

/// In its final place, since its programs hold that path; the mark comes last.
fn install(place: &Path, log: &Path) -> Result<()> {
    if place.exists() {
        std::fs::remove_dir_all(place).map_err(|error| Failure::io(place, &error))?;
    }
    run::logged(run::command("python3").args(["-m", "venv"]).arg(place), log)?;
    let mut pip = run::command(place.join("bin/pip"));
    pip.args(["install", "--disable-pip-version-check", "--requirement"]).arg(requirements());
    run::logged(&mut pip, log)?;
    cache::write(&mark(place), b"")
}

fn mark(place: &Path) -> PathBuf {
    place.join("complete")
}

fn is_complete(place: &Path) -> bool {
    mark(place).exists()
}

/// The folder by what is asked for and by the Python that runs it.
fn environment() -> Result<PathBuf> {
    let python = run::output(run::command("python3").arg("--version"))?;
    let key = cache::key(&[RECIPE, &cache::read(&requirements())?, python.as_bytes()]);
    Ok(cache::root()?.join("labgrid").join(format!("venv-{key}")))
}

/// The folder of our own package.
pub fn package() -> PathBuf {
    repository().join("hil-tests/labgrid")
}

fn requirements() -> PathBuf {
    package().join("requirements.txt")
}

/// Checks our own package: its style, its tests that need no lab, and that what PyPI would get can be built.
///
/// # Errors
/// What is not as it should be.
pub fn check() -> Result<()> {
    let tools = build()?;
    let run = |program: &str, words: &[&str]| run::shown(tools.command(program).current_dir(package()).args(words));
    run("ruff", &["check", "."])?;
    run("ruff", &["format", "--check", "."])?;
    run("pytest", &["-q", "tests/test_netboot.py"])?;
    let built = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let folder = built.path().to_string_lossy();
    run("python", &["-m", "build", "--no-isolation", "--outdir", &folder])
}

fn is_in_path(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).exists()))
}
