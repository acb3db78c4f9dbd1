//! Freestanding programs that the repository carries, so that a user needs neither nightly nor a cross compiler, with the
//! provenance by which anybody with the same toolchain makes the same bytes.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};
use stoop::shim_image::Variant;
use stoop::{Failure, Result};

use crate::lab::Endian;
use crate::toolchain::{self, Nightly};
use crate::{cache, elf, repository, run};

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Program {
    /// The shim in all its variants, with relocations, for the host tool to move.
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

/// What is built in one go: a program with one choice of features.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Build {
    Shim(Variant),
    Init,
}

impl Build {
    fn all(programs: &[Program]) -> impl Iterator<Item = Build> {
        let shims = Variant::ALL.map(Build::Shim).into_iter();
        shims.chain([Build::Init]).filter(|build| programs.contains(&build.program()))
    }

    fn program(self) -> Program {
        match self {
            Build::Shim(_) => Program::Shim,
            Build::Init => Program::Init,
        }
    }

    /// Arguments for cargo.
    fn features(self) -> &'static [&'static str] {
        match self {
            Build::Shim(Variant::Store) => &["--no-default-features"],
            Build::Shim(Variant::Full) | Build::Init => &[],
        }
    }

    fn file_name(self, endian: Endian) -> String {
        match self {
            Build::Shim(Variant::Full) => format!("shim-mips-{}.elf", endian.tag()),
            Build::Shim(Variant::Store) => format!("shim-mips-{}-store.elf", endian.tag()),
            Build::Init => format!("init-mips-{}.elf", endian.tag()),
        }
    }

    fn path(self, endian: Endian) -> PathBuf {
        repository().join(self.program().folder()).join(self.file_name(endian))
    }
}

/// The file of a shim for one byte order.
pub fn shim(variant: Variant, endian: Endian) -> PathBuf {
    Build::Shim(variant).path(endian)
}

/// The file of the lab's PID 1 for one byte order.
pub fn init(endian: Endian) -> PathBuf {
    Build::Init.path(endian)
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
fn cargo(verb: &str, build: Build) -> Command {
    let mut cargo = toolchain::command("cargo");
    cargo.current_dir(repository()).args([verb, "--locked", "-Zbuild-std=core", "-Ztrim-paths", "--profile", "shim"]);
    cargo.args(["--config", "profile.shim.trim-paths='all'", "--config", "profile.shim.debug=false"]);
    cargo.arg("-Zprofile-rustflags");
    let flags = SHIM_FLAGS.map(|flag| format!("'{flag}'")).join(", ");
    for package in ["stoop-shim", "stoop-core"] {
        cargo.arg("--config").arg(format!("profile.shim.package.{package}.rustflags=[{flags}]"));
    }
    cargo.arg("--target-dir").arg(folder());
    cargo.args(["-p", build.program().package()]).args(build.features());
    for endian in Endian::ALL {
        cargo.args(["--target", target(endian)]);
    }
    cargo
}

/// What the shim's own crates win by. Not `-enable-ipra`: with it LLVM makes a shim that links and hangs.
const SHIM_FLAGS: [&str; 5] = [
    // Fewer copies.
    "-Zmir-opt-level=3",
    // No constants kept in stack slots.
    "-Cllvm-args=-disable-machine-licm",
    // An instruction of the next block in a branch's delay slot, in place of a nop.
    "-Cllvm-args=-disable-mips-df-succbb-search=false",
    "-Cllvm-args=-mips-tail-calls=1",
    // Blocks in the order of the source.
    "-Cllvm-args=-disable-block-placement",
];

fn folder() -> PathBuf {
    repository().join("target/freestanding")
}

/// Clippy over the freestanding programs, on the terminal.
///
/// # Errors
/// When it has something to say.
pub fn clippy() -> Result<()> {
    for build in Build::all(&Program::ALL) {
        run::shown(cargo("clippy", build).args(["--", "-D", "warnings"]))?;
    }
    Ok(())
}

/// Builds the programs and returns their files' names and bytes.
fn build(programs: &[Program]) -> Result<Vec<(Build, Endian, Vec<u8>)>> {
    let folder = folder();
    let mut built = Vec::new();
    for build in Build::all(programs) {
        let package = build.program().package();
        let mut cargo = cargo("build", build);
        let title = format!("shim: building {package} {}", build.features().join(" "));
        run::step(title.trim(), || run::logged(&mut cargo, &folder.join("build.log")))?;
        for endian in Endian::ALL {
            let bytes = cache::read(&folder.join(target(endian)).join("shim").join(package))?;
            let bytes = match build {
                Build::Shim(_) => bytes,
                Build::Init => elf::loadable(&bytes)?,
            };
            built.push((build, endian, bytes));
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
        for (build, endian, bytes) in built.iter().filter(|(build, ..)| build.program() == program) {
            let path = build.path(*endian);
            cache::write(&path, bytes)?;
            provenance.sha256.insert(build.file_name(*endian), sha256(bytes));
            eprintln!("shim: {} {} bytes", path.display(), bytes.len());
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
        for (build, endian) in Build::all(&[program]).flat_map(|build| Endian::ALL.map(|endian| (build, endian))) {
            let path = build.path(endian);
            let bytes = cache::read(&path)?;
            if provenance.sha256.get(&build.file_name(endian)) != Some(&sha256(&bytes)) {
                return Err(stale(&path, "is not the file that provenance.toml names"));
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
    for (build, endian, bytes) in build(&rebuildable)? {
        let (stored, name) = (build.path(endian), build.file_name(endian));
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
