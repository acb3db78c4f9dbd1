//! The `cargo ci` command: parse, dispatch, exit code.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use stoop_image::machine::Machine;

use clap::{Parser, Subcommand};
use stoop_ci::book::{self, Made};
use stoop_ci::lab;
use stoop_ci::prebuilt::{self, Program};
use stoop_ci::release::{self, Target};
use stoop_ci::{
    bench, cache, emulator, fuzz, hil, labgrid, licences, miri, pack_bench, packages, sanitizer, sizes, test,
    transcript,
};
use stoop_samples::failure::Result;

/// What developers and CI call.
#[derive(Parser)]
#[command(name = "cargo ci", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Builds, once and outside git, the kernels, bootloaders and root file systems that the tests boot
    Lab,
    /// Builds, once and outside git, the emulator library that the board model is compared with
    Emulator,
    /// Installs labgrid's programs, once and outside git: the lab on loopback is made of them
    Labgrid {
        /// And checks the Python package that stoop has for labgrid
        #[arg(long)]
        check: bool,
    },
    /// Builds the freestanding programs with the nightly and stores them with their provenance
    Shim {
        /// Store nothing: compare the stored ones with new ones bit for bit
        #[arg(long)]
        check: bool,
        /// Which ones; all when none is named
        programs: Vec<Program>,
    },
    /// Prints the sizes of the stored shims, and fails when one is too large or could panic
    Sizes,
    /// Measures the time and memory of packing next to mkimage, by a release build
    PackBench,
    /// Counts the shim's instructions in QEMU, phase by phase, and prints them next to its size and the peers' figures
    Bench {
        /// Where to put the table as well
        #[arg(long)]
        table: Option<PathBuf>,
        /// Where to put the figures as JSON
        #[arg(long)]
        json: Option<PathBuf>,
    },
    /// Feeds every parser with made-up input by cargo-fuzz, and prints how many inputs each took
    Fuzz {
        /// How long, all targets together
        #[arg(long, default_value_t = 4)]
        minutes: u64,
        /// Only the targets whose names begin so, such as core
        #[arg(default_value = "")]
        prefix: String,
    },
    /// Runs the suite on the boards of a labgrid lab
    ///
    /// LG_COORDINATOR names the lab. Exit code 0: all passed; 1: a test failed; 75: no place; 125: what `git bisect run` skips.
    Hil(Box<hil::Options>),
    /// Runs a part of the suite on a desk, in a labgrid lab and in QEMU, all played on this machine
    HilEverywhere,
    /// One place of such a run
    #[command(hide = true)]
    HilJob {
        /// The job's folder
        folder: PathBuf,
    },
    /// Checks licences and sources of all crates by deny.toml, with cargo-deny, built once and outside git
    Licences,
    /// Runs core's tests and the shim's memory module under Miri, where rustup has it for the nightly
    Miri,
    /// Runs core's tests and the shim's memory module under AddressSanitizer
    Sanitizer,
    /// Makes the book's own pages, builds it with mdBook into target/book, and checks every link
    Book {
        /// Write no page or picture: those that are out of date are an error
        #[arg(long)]
        check: bool,
        /// Draw the pictures of a boot anew as well; needs the lab
        #[arg(long, conflicts_with = "check")]
        pictures: bool,
    },
    /// Makes static programs, archives, Debian packages, a bill of materials and checksums
    Release {
        /// Where they go
        #[arg(long, default_value = "target/dist")]
        folder: PathBuf,
        /// Make all of it twice, and compare
        #[arg(long)]
        twice: bool,
        /// For which machines; all when none is named
        targets: Vec<Target>,
    },
    /// Types what README and book say, from a clean clone to a booted image, and keeps what came of it; needs the lab
    Transcript,
    /// Packs the crates as a registry gets them, and builds the command from the archives
    Packages,
    /// Gives every crate this version, and puts it over what CHANGELOG has under "Unreleased"
    Version {
        /// Such as 0.2.0
        version: String,
    },
    /// Formatting, lints, documentation, every test
    Test,
    /// Puts what the demo packs into a folder: Debian's kernel package and an initramfs
    DemoParts {
        /// Of which architecture
        #[arg(long, value_enum, default_value_t)]
        arch: DemoArch,
        /// The folder, made when it is missing
        folder: PathBuf,
    },
}

/// What the demo shows.
#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum DemoArch {
    /// Debian's generic little-endian kernel
    #[default]
    Mips,
    /// Debian's newest arm64 kernel
    Arm64,
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Lab => lab::build().map(|lab| eprintln!("lab: complete in {}", lab.place().display())),
        Verb::Emulator => emulator::build().map(|program| eprintln!("emulator: {}", program.display())),
        Verb::Labgrid { check: false } => labgrid::build().map(|_| eprintln!("labgrid: installed")),
        Verb::Labgrid { check: true } => labgrid::check(),
        Verb::Shim { check, programs } => {
            let programs = if programs.is_empty() { Program::ALL.to_vec() } else { programs };
            if check { prebuilt::check(&programs) } else { prebuilt::store(&programs) }
        }
        Verb::Sizes => sizes::print(),
        Verb::PackBench => pack_bench::run(),
        Verb::Bench { table, json } => bench::run(table.as_deref(), json.as_deref()),
        Verb::Fuzz { minutes, prefix } => fuzz::run(&prefix, Duration::from_secs(60 * minutes)),
        Verb::HilEverywhere => hil::everywhere::run(),
        Verb::Hil(options) => match hil::run(&options) {
            Ok(code) => return ExitCode::from(code),
            Err(failure) => Err(failure),
        },
        Verb::HilJob { folder } => hil::job::run(&folder),
        Verb::Licences => licences::check(),
        Verb::Miri => miri::run().map(|skipped| skipped.iter().for_each(|why| eprintln!("skipped: {why}"))),
        Verb::Sanitizer => sanitizer::run(),
        Verb::Book { check, pictures } => book::build(match (check, pictures) {
            (true, _) => Made::Compared,
            (_, true) => Made::Drawn,
            _ => Made::Written,
        }),
        Verb::Release { folder, twice, targets } => {
            let targets = if targets.is_empty() { Target::ALL.to_vec() } else { targets };
            if twice { release::make_twice(&targets, &folder) } else { release::make(&targets, &folder) }
        }
        Verb::Transcript => transcript::run(),
        Verb::Packages => packages::check(),
        Verb::Version { version } => release::version(&version),
        Verb::Test => test::everything(),
        Verb::DemoParts { arch, folder } => demo_parts(arch, &folder),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("cargo ci: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}

fn demo_parts(arch: DemoArch, folder: &Path) -> Result<()> {
    let (kernel, machine) = match arch {
        DemoArch::Mips => (lab::debian()?, Machine::MipsLe),
        DemoArch::Arm64 => (lab::arm64::newest_debian()?, Machine::Arm64),
    };
    cache::write(&folder.join("kernel.deb"), &cache::read(&kernel)?)?;
    let init = cache::read(&prebuilt::init(machine))?;
    cache::write(&folder.join("initramfs.cpio.gz"), &lab::initramfs(&init)?)
}
