//! Freestanding programs that the repository carries, so that a user needs neither nightly nor a cross compiler, with the
//! provenance by which anybody with the same toolchain makes the same bytes.

use std::path::{Path, PathBuf};
use std::process::Command;
use stoop_image::machine::Machine;

use serde::{Deserialize, Serialize};
use stoop_image::shim_image::{self, Variant};
use stoop_samples::failure::{Failure, Result};

use crate::squeeze::squeeze;
use crate::toolchain::{self, Nightly};
use crate::{cache, elf, repository, run};

/// One of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Program {
    /// The shim in all its variants, squeezed.
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
            Program::Shim => "host-tool/image/prebuilt",
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

    /// What it is built for.
    fn machines(self) -> impl Iterator<Item = Machine> {
        Machine::ALL.into_iter().filter(move |machine| match self {
            Build::Shim(variant) => variant.exists(*machine),
            Build::Init => true,
        })
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
            Build::Shim(Variant::Trace) => &["--features", "trace"],
        }
    }

    fn file_name(self, machine: Machine) -> String {
        let name = machine.name();
        match self {
            Build::Shim(Variant::Full) => format!("shim-{name}.elf"),
            Build::Shim(Variant::Store) => format!("shim-{name}-store.elf"),
            Build::Shim(Variant::Trace) => format!("shim-{name}-trace.elf"),
            Build::Init => format!("init-{name}.elf"),
        }
    }

    fn path(self, machine: Machine) -> PathBuf {
        repository().join(self.program().folder()).join(self.file_name(machine))
    }
}

/// Rust's name for a machine without an operating system: MIPS32 release 2, AArch64 without floating point.
fn target(machine: Machine) -> &'static str {
    match machine {
        Machine::MipsLe => "mipsel-unknown-none",
        Machine::MipsBe => "mips-mti-none-elf",
        Machine::Arm64 => "aarch64-unknown-none-softfloat",
    }
}

/// The file of a shim for one machine.
pub fn shim(variant: Variant, machine: impl Into<Machine>) -> PathBuf {
    Build::Shim(variant).path(machine.into())
}

/// The file of the lab's PID 1 for one machine.
pub fn init(machine: impl Into<Machine>) -> PathBuf {
    Build::Init.path(machine.into())
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
fn cargo(verb: &str, build: Build, machine: Machine) -> Command {
    let mut cargo = toolchain::command("cargo");
    cargo.current_dir(repository()).args([verb, "--locked", "-Zbuild-std=core", "-Ztrim-paths", "--profile", "shim"]);
    cargo.args(["--config", "profile.shim.trim-paths='all'", "--config", "profile.shim.debug=false"]);
    cargo.arg("-Zprofile-rustflags");
    // Fewer copies would make the decoder of LZMA slower.
    let decodes = build == Build::Shim(Variant::Full);
    for package in ["stoop-shim", "stoop-core"] {
        let mut flags = vec![NO_HOISTING, SOURCE_ORDER];
        flags.extend((build == Build::Shim(Variant::Store)).then_some(NO_REDUCTION));
        flags.extend((!decodes || package == "stoop-shim").then_some(FEWER_COPIES));
        if machine.is_mips() {
            flags.extend(MIPS_FLAGS);
            flags.extend((build == Build::Shim(Variant::Store)).then_some(MIPS_SHARED).into_iter().flatten());
        }
        let flags: Vec<_> = flags.iter().map(|flag| format!("'{flag}'")).collect();
        cargo.arg("--config").arg(format!("profile.shim.package.{package}.rustflags=[{}]", flags.join(", ")));
    }
    if machine == Machine::Arm64 {
        // Everything is within 1 MiB: adr in place of adrp and add. Not a flag of a package, for build scripts get those too.
        cargo.arg("--config").arg(format!("target.{}.rustflags=['-Ccode-model=tiny']", target(machine)));
    }
    cargo.arg("--target-dir").arg(folder());
    cargo.args(["-p", build.program().package()]).args(build.features());
    // The trace's own code leaves no room for the faster decoder in what gp reaches.
    let loops =
        build == Build::Shim(Variant::Trace) || machine == Machine::Arm64 && build == Build::Shim(Variant::Full);
    if loops {
        cargo.args(["--features", "loops"]);
    }
    cargo.args(["--target", target(machine)]);
    cargo
}

// What the shim's own crates win by. Not `-enable-ipra`: with it LLVM makes a shim that links and hangs.

/// No constants kept in stack slots.
const NO_HOISTING: &str = "-Cllvm-args=-disable-machine-licm";
/// Fewer copies of values, by inlining before LLVM.
const FEWER_COPIES: &str = "-Zmir-opt-level=3";
/// Blocks in the order of the source.
const SOURCE_ORDER: &str = "-Cllvm-args=-disable-block-placement";
/// No pointers and counters of their own in place of indices: they are more registers, and so more stores in front of a loop. LZMA
/// would be slower by it.
const NO_REDUCTION: &str = "-Cllvm-args=-disable-lsr";
const MIPS_FLAGS: [&str; 6] = [
    // An instruction of the next block in a branch's delay slot, in place of a nop.
    "-Cllvm-args=-disable-mips-df-succbb-search=false",
    "-Cllvm-args=-mips-tail-calls=1",
    // Instructions in an order that takes few registers.
    "-Cllvm-args=-pre-RA-sched=list-burr",
    // All data by gp, and no tables of addresses: the shim runs anywhere.
    "-Cllvm-args=-mgpopt",
    "-Cllvm-args=-mips-ssection-threshold=65535",
    "-Cjump-tables=no",
];

/// Equal ends of blocks once, and what functions do first in front of calls of the rest. LZMA would be slower by it.
const MIPS_SHARED: [&str; 2] = ["-Cllvm-args=-enable-tail-merge=true", "-Cllvm-args=-enable-partial-inlining"];

fn folder() -> PathBuf {
    repository().join("target/freestanding")
}

/// Clippy over the freestanding programs, on the terminal.
///
/// # Errors
/// When it has something to say.
pub fn clippy() -> Result<()> {
    for build in Build::all(&Program::ALL) {
        for machine in build.machines() {
            run::shown(cargo("clippy", build, machine).args(["--", "-D", "warnings"]))?;
        }
    }
    Ok(())
}

/// Builds the programs and returns their files' names and bytes.
fn build(programs: &[Program]) -> Result<Vec<(Build, Machine, Vec<u8>)>> {
    let folder = folder();
    let mut built = Vec::new();
    for build in Build::all(programs) {
        let package = build.program().package();
        for machine in build.machines() {
            let mut cargo = cargo("build", build, machine);
            let title = format!("shim: building {package} for {} {}", machine.name(), build.features().join(" "));
            run::step(title.trim(), || run::logged(&mut cargo, &folder.join("build.log")))?;
            let bytes = cache::read(&folder.join(target(machine)).join("shim").join(package))?;
            let bytes = match (build, machine) {
                (Build::Shim(_), _) => shim_image::squeezed(&bytes, squeeze)?,
                (Build::Init, _) => elf::loadable(&bytes)?,
            };
            built.push((build, machine, bytes));
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
        for (build, machine, bytes) in built.iter().filter(|(build, ..)| build.program() == program) {
            let path = build.path(*machine);
            cache::write(&path, bytes)?;
            provenance.sha256.insert(build.file_name(*machine), sha256(bytes));
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
        for (build, machine) in
            Build::all(&[program]).flat_map(|build| build.machines().map(move |machine| (build, machine)))
        {
            let path = build.path(machine);
            let bytes = cache::read(&path)?;
            if provenance.sha256.get(&build.file_name(machine)) != Some(&sha256(&bytes)) {
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
    for (build, machine, bytes) in build(&rebuildable)? {
        let (stored, name) = (build.path(machine), build.file_name(machine));
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
