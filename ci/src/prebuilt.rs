//! Freestanding programs that the repository carries, so that a user needs neither nightly nor a cross compiler, with the
//! provenance by which anybody with the same toolchain makes the same bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use stoop::{Failure, Result};

use crate::lab::Endian;
use crate::toolchain::{self, Nightly};
use crate::{cache, elf, repository, run};

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Program {
    /// The shim, with its relocations, for the host tool to move.
    Shim,
    /// The lab's PID 1.
    Init,
}

impl Program {
    /// Both.
    pub const ALL: [Program; 2] = [Program::Shim, Program::Init];

    fn package(self) -> &'static str {
        match self {
            Program::Shim => "stoop-shim",
            Program::Init => "stoop-lab-init",
        }
    }

    /// The folder of its files, from the repository's top.
    fn folder(self) -> &'static str {
        match self {
            Program::Shim => "host-tool/prebuilt",
            Program::Init => "hil-tests/init/prebuilt",
        }
    }
}

/// The file of a program for one byte order.
pub fn path(program: Program, endian: Endian) -> PathBuf {
    repository().join(program.folder()).join(file_name(program, endian))
}

fn file_name(program: Program, endian: Endian) -> String {
    match program {
        Program::Shim => format!("shim-mips-{}.elf", endian.tag()),
        Program::Init => format!("init-mips-{}.elf", endian.tag()),
    }
}

/// Rust's name for a freestanding MIPS32 release 2.
fn target(endian: Endian) -> &'static str {
    match endian {
        Endian::Little => "mipsel-unknown-none",
        Endian::Big => "mips-mti-none-elf",
    }
}

/// What made a folder's files; the format of `provenance.toml`.
#[derive(Serialize, Deserialize, PartialEq, Eq, Debug)]
struct Provenance {
    /// `rustc -vV`, release.
    rustc: String,
    /// `rustc -vV`, commit-hash.
    commit: String,
    /// The hash of the library's source that `toolchain` computes.
    library: String,
    /// SHA-256 of each file.
    #[serde(default)]
    sha256: std::collections::BTreeMap<String, String>,
}

/// A cargo command of the nightly for every freestanding target, in a folder of its own: its flags would throw away what
/// `cargo build` has in the usual one.
fn cargo(verb: &str, programs: &[Program]) -> Command {
    let mut cargo = toolchain::command("cargo");
    cargo.current_dir(repository()).args([verb, "--locked", "-Zbuild-std=core", "-Ztrim-paths", "--profile", "shim"]);
    cargo.args(["--config", "profile.shim.trim-paths='all'", "--config", "profile.shim.debug=false"]);
    // What the shim's own crates win by: fewer copies, and no constants kept in stack slots. Not `-enable-ipra`: with it
    // LLVM makes a shim that links and hangs.
    cargo.arg("-Zprofile-rustflags");
    for package in ["stoop-shim", "stoop-core"] {
        cargo.arg("--config").arg(format!(
            "profile.shim.package.{package}.rustflags=['-Zmir-opt-level=3', '-Cllvm-args=-disable-machine-licm']"
        ));
    }
    cargo.arg("--target-dir").arg(folder());
    for program in programs {
        cargo.args(["-p", program.package()]);
    }
    for endian in Endian::ALL {
        cargo.args(["--target", target(endian)]);
    }
    cargo
}

fn folder() -> PathBuf {
    repository().join("target/freestanding")
}

/// Clippy over the freestanding programs, on the terminal.
///
/// # Errors
/// When it has something to say.
pub fn clippy() -> Result<()> {
    run::shown(cargo("clippy", &Program::ALL).args(["--", "-D", "warnings"]))
}

/// Builds the programs and returns their files' names and bytes.
fn build(programs: &[Program]) -> Result<Vec<(Program, String, Vec<u8>)>> {
    let folder = folder();
    let mut cargo = cargo("build", programs);
    run::step("shim: building the freestanding programs", || run::logged(&mut cargo, &folder.join("build.log")))?;
    let mut built = Vec::new();
    for &program in programs {
        for endian in Endian::ALL {
            let bytes = cache::read(&folder.join(target(endian)).join("shim").join(program.package()))?;
            let bytes = match program {
                Program::Shim => bytes,
                Program::Init => elf::loadable(&bytes)?,
            };
            built.push((program, file_name(program, endian), bytes));
        }
    }
    Ok(built)
}

/// Builds and stores.
///
/// # Errors
/// When there is no nightly, a build fails, or a file cannot be written.
pub fn store(programs: &[Program]) -> Result<()> {
    let nightly = Nightly::find()?;
    let built = build(programs)?;
    for &program in programs {
        let mut provenance = made_by(&nightly);
        let folder = repository().join(program.folder());
        for (_, name, bytes) in built.iter().filter(|file| file.0 == program) {
            cache::write(&folder.join(name), bytes)?;
            provenance.sha256.insert(name.clone(), sha256(bytes));
            eprintln!("shim: {} {} bytes", folder.join(name).display(), bytes.len());
        }
        let text = toml::to_string(&provenance).map_err(|error| Failure::new(error.to_string()))?;
        let text = format!(
            "# Written by `cargo ci shim`; `cargo ci shim --check` makes the files again and compares them.\n{text}"
        );
        cache::write(&folder.join("provenance.toml"), text.as_bytes())?;
    }
    Ok(())
}

/// Builds and compares bit for bit; without the same toolchain only the stored hashes are compared, and it says so.
///
/// # Errors
/// When a file is not the one that its provenance or a new build says.
pub fn check(programs: &[Program]) -> Result<()> {
    let mut rebuildable = Vec::new();
    let nightly = Nightly::find();
    for &program in programs {
        let folder = repository().join(program.folder());
        let provenance = read(&folder)?;
        for endian in Endian::ALL {
            let name = file_name(program, endian);
            let bytes = cache::read(&folder.join(&name))?;
            if provenance.sha256.get(&name) != Some(&sha256(&bytes)) {
                return Err(stale(&folder.join(&name), "is not the file that provenance.toml names"));
            }
        }
        match &nightly {
            Ok(nightly) if nightly.commit == provenance.commit && nightly.library == provenance.library => {
                rebuildable.push(program);
            }
            Ok(nightly) => eprintln!(
                "shim: skipped comparing {} with a new build: made by rustc {} {} with library {}, here is {} {} with {}",
                program.package(),
                provenance.rustc,
                provenance.commit,
                provenance.library,
                nightly.release,
                nightly.commit,
                nightly.library
            ),
            Err(failure) => eprintln!("shim: skipped comparing {} with a new build: {failure}", program.package()),
        }
    }
    if rebuildable.is_empty() {
        return Ok(());
    }
    for (program, name, bytes) in build(&rebuildable)? {
        let stored = repository().join(program.folder()).join(&name);
        if cache::read(&stored)? != bytes {
            let made = folder().join(&name);
            cache::write(&made, &bytes)?;
            return Err(stale(&stored, &format!("is not what its source makes, which is {}", made.display())));
        }
        eprintln!("shim: {name} is what its source makes, {} bytes", bytes.len());
    }
    Ok(())
}

fn made_by(nightly: &Nightly) -> Provenance {
    Provenance {
        rustc: nightly.release.clone(),
        commit: nightly.commit.clone(),
        library: nightly.library.clone(),
        sha256: Default::default(),
    }
}

fn read(folder: &Path) -> Result<Provenance> {
    let path = folder.join("provenance.toml");
    let text = cache::read(&path)?;
    toml::from_slice(&text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

fn stale(path: &Path, fact: &str) -> Failure {
    Failure::new(format!("{} {fact}", path.display())).next("run `cargo ci shim` and commit what it writes")
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    cache::hex(&Sha256::digest(bytes))
}
