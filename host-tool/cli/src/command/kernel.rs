//! `stoop kernel`: a kernel and the modules that match it, built in one tree.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use crate::Result;
use crate::command::Error;
use crate::json;
use crate::ui::{self, Stderr};
use stoop_image::progress::Progress;
use stoop_kernel::kernel_build::build::{Outcome, Request, build};

/// What to do with kernels.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Build a kernel, its device trees and its modules in one tree, in place
    Build(BuildArgs),
}

/// Architectures, as the kernel names them.
#[derive(ValueEnum, Clone, Copy, Debug)]
pub enum Architecture {
    /// MIPS, 32 and 64 bit
    Mips,
    /// 64-bit ARM
    Arm64,
}

/// Byte orders.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Endian {
    /// Most significant byte first
    Big,
    /// Least significant byte first
    Little,
}

/// `stoop kernel build`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Example:\n  stoop kernel build --source linux.tar.xz --arch mips --endian big --config base.config --modules --out out"
)]
pub struct BuildArgs {
    /// The kernel's source: an archive, unpacked once to OUT/tree, or a tree, used where it lies
    #[arg(long, value_name = "TAR|TREE")]
    source: PathBuf,
    /// The architecture
    #[arg(long)]
    arch: Architecture,
    /// The byte order
    #[arg(long)]
    endian: Endian,
    /// Configuration fragments; a later one wins
    #[arg(long, value_name = "FRAGMENT", required = true, num_args = 1..)]
    config: Vec<PathBuf>,
    /// What the fragments are merged into: defaults (olddefconfig), allnoconfig, or a defconfig's name
    #[arg(long, value_name = "BASE", default_value = "defaults")]
    base: String,
    /// Patches, applied once, in this order
    #[arg(long, value_name = "FILE", num_args = 1..)]
    patch: Vec<PathBuf>,
    /// Build the modules too
    #[arg(long)]
    modules: bool,
    /// The compiler's prefix [default: found from --arch and --endian]
    #[arg(long, value_name = "PREFIX")]
    cross_compile: Option<String>,
    /// Jobs at once [default: the number of processors]
    #[arg(short, long, value_name = "N")]
    jobs: Option<usize>,
    /// Where the results go: vmlinux, System.map, Module.symvers, config, dtbs/, lib/modules/
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Verb {
    /// Does it.
    ///
    /// # Errors
    /// The build cannot be done as asked for.
    pub fn run(self) -> Result<()> {
        match self {
            Verb::Build(args) => args.run(),
        }
    }
}

impl BuildArgs {
    fn run(self) -> Result<()> {
        let is_base = self.base == "defaults" || self.base == "allnoconfig" || self.base.ends_with("defconfig");
        if !is_base {
            return Err(Error::Base { base: self.base }.into());
        }
        let request = Request {
            source: self.source,
            architecture: match self.arch {
                Architecture::Mips => "mips".to_owned(),
                Architecture::Arm64 => "arm64".to_owned(),
            },
            is_big: self.endian == Endian::Big,
            fragments: self.config,
            base: self.base,
            patches: self.patch,
            modules: self.modules,
            cross_compile: self.cross_compile,
            jobs: self.jobs.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)),
            out: self.out,
        };
        let outcome = match self.json {
            true => build(&request, &mut Lines(Stderr::default()))?,
            false => build(&request, &mut Stderr::default())?,
        };
        for overridden in &outcome.overridden {
            ui::tell(overridden);
        }
        match self.json {
            true => json::put_line(&json::Event::Built(value(&request, outcome))),
            false => print_text(&request, &outcome)?,
        }
        Ok(())
    }
}

/// Tells of each step on stdout, too.
struct Lines(Stderr);

impl Progress for Lines {
    fn step(&mut self, name: &str, total: Option<u64>) {
        json::put_line(&json::Event::Step { name: name.to_owned() });
        self.0.step(name, total);
    }

    fn at(&mut self, done: u64) {
        self.0.at(done);
    }

    fn now(&mut self, what: &str) {
        self.0.now(what);
    }
}

/// The stable form.
fn value(request: &Request, outcome: Outcome) -> json::Built {
    let collected = outcome.collected;
    json::Built {
        release: outcome.release,
        out: request.out.clone(),
        tree: outcome.tree,
        cross_compile: outcome.cross_compile,
        files: collected.files,
        modules: collected.modules,
        module_count: collected.module_count,
        patches: json::Patches {
            applied: outcome.patches.applied,
            reverted: outcome.patches.reverted,
            kept: outcome.patches.kept,
        },
        configured: outcome.configured,
        files_built: outcome.done.built,
        bytes_written: outcome.bytes_written,
        bytes_copied: collected.copied,
        seconds: outcome.seconds,
    }
}

fn print_text(request: &Request, outcome: &Outcome) -> Result<()> {
    let collected = &outcome.collected;
    let written = match outcome.bytes_written {
        Some(bytes) => format!("{} KiB written", bytes / 1024),
        None => "bytes written are not counted here".to_owned(),
    };
    ui::put(&format!(
        "{}: Linux {}, {} modules, {} files built in {:.1} s, {written}\n",
        request.out.display(),
        outcome.release,
        collected.module_count,
        outcome.done.built,
        outcome.seconds,
    ))
}
