//! `cargo ci fuzz`: every target of `hil-tests/fuzz` under libFuzzer, its seeds first, for a bounded time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use stoop_samples::failure::{Failure, Result};

use crate::tools::Tool;
use crate::{cache, repository, run, toolchain};

const CARGO_FUZZ: Tool = Tool { name: "cargo-fuzz", version: "0.13.2", options: &[], minutes: 1 };
/// The machine that the fuzzers run on; the sanitizers' runtime comes with the nightly for it.
const HOST: &str = "x86_64-unknown-linux-gnu";
/// No input of a user may take more memory than this, in MiB.
const MEMORY: u32 = 512;
/// No input may take longer, in seconds of the CPU; the sanitizer's share is in it.
const SECONDS: u32 = 20;

/// How the names of the targets over the shim's core begin.
const CORE: &str = "core-";

/// What one target did.
pub struct Run {
    /// Its name.
    pub target: &'static str,
    /// Inputs that it took.
    pub executions: u64,
    /// Where the input lies that broke it, if one did.
    pub crash: Option<PathBuf>,
}

/// Runs the targets whose names begin with `prefix` for `total` of time, all together, and prints a table.
///
/// # Errors
/// A target found an input that breaks it; the fuzzers cannot be built.
pub fn run(prefix: &str, total: Duration) -> Result<()> {
    let targets: Vec<&'static str> =
        stoop_fuzz::targets().map(|(name, _)| name).filter(|name| name.starts_with(prefix)).collect();
    if targets.is_empty() {
        return Err(Failure::usage(format!("no fuzz target begins with {prefix:?}"))
            .next("see the list in hil-tests/fuzz/src/lib.rs"));
    }
    let any = |cores: bool| targets.iter().any(|name| name.starts_with(CORE) == cores);
    let core = if any(true) { build(Program::Core)? } else { PathBuf::new() };
    let host = if any(false) { build(Program::Host)? } else { PathBuf::new() };
    let workers = std::thread::available_parallelism().map_or(1, usize::from).min(targets.len());
    let each = total * workers as u32 / targets.len() as u32;
    let queue = std::sync::Mutex::new(targets.into_iter());
    let done = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().map(|mut queue| queue.next());
                    let Ok(Some(target)) = next else { return };
                    let program = if target.starts_with(CORE) { &core } else { &host };
                    let result = one(program, target, each);
                    if let Ok(mut done) = done.lock() {
                        done.push(result);
                    }
                }
            });
        }
    });
    let runs = done.into_inner().unwrap_or_default().into_iter().collect::<Result<Vec<Run>>>()?;
    report(&runs)
}

/// Where what the fuzzers found by themselves is kept, a folder a target.
///
/// # Errors
/// There is no place for a cache.
pub fn found() -> Result<PathBuf> {
    Ok(cache::root()?.join("fuzz-found"))
}

fn report(runs: &[Run]) -> Result<()> {
    println!("{:<16}{:>14}", "target", "executions");
    for run in runs {
        let crash = run.crash.as_ref().map_or(String::new(), |path| format!("  BROKEN by {}", path.display()));
        println!("{:<16}{:>14}{crash}", run.target, run.executions);
    }
    let all: u64 = runs.iter().map(|run| run.executions).sum();
    println!("{:<16}{all:>14}", "all");
    let broken: Vec<&str> = runs.iter().filter(|run| run.crash.is_some()).map(|run| run.target).collect();
    match broken.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!("an input breaks {}", broken.join(", ")))
            .next("mend it, and keep the input: make it small and put it into hil-tests/fuzz/seeds/TARGET")),
    }
}

/// What the targets are built into: one program for each of them would take longer to link than a short run lasts.
#[derive(Clone, Copy)]
enum Program {
    /// Core's targets. Core has no unsafe code for AddressSanitizer to watch, and without it and the host tool's code they run
    /// several times as often.
    Core,
    /// All targets, watched by AddressSanitizer.
    Host,
}

/// A program of the fuzzers, built by cargo-fuzz in the cache.
fn build(program: Program) -> Result<PathBuf> {
    let (name, options): (_, &[&str]) = match program {
        Program::Core => ("core", &["--no-default-features", "--sanitizer", "none"]),
        Program::Host => ("host", &[]),
    };
    let target = cache::root()?.join("fuzz").join(name);
    let mut cargo = cargo_fuzz()?;
    cargo.args(["build", "--fuzz-dir", "hil-tests/fuzz", "--features", "libfuzzer", "--target", HOST]).args(options);
    cargo.arg("--target-dir").arg(&target).arg("fuzz").current_dir(repository());
    if let Program::Host = program {
        // Built in four fifths of the time.
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    }
    run::step(&format!("building the fuzzers, {name}"), || run::logged(&mut cargo, &target.join("build.log")))?;
    Ok(target.join(HOST).join("release/fuzz"))
}

/// cargo-fuzz on the nightly.
fn cargo_fuzz() -> Result<Command> {
    // As cargo would call it; `rustup run` makes the nightly's cargo the one that it calls.
    let mut command = toolchain::command(&CARGO_FUZZ.install()?.display().to_string());
    command.arg("fuzz");
    Ok(command)
}

fn one(program: &Path, target: &'static str, time: Duration) -> Result<Run> {
    let seeds = repository().join("hil-tests/fuzz/seeds").join(target);
    let found = found()?.join(target);
    let broken = cache::root()?.join("fuzz-broken").join(target);
    cache::create_dir(&found)?;
    cache::create_dir(&broken)?;
    let mut command = run::command(program);
    command.env("STOOP_FUZZ", target).args([&found, &seeds]).stdout(Stdio::null());
    command.arg(format!("-max_total_time={}", time.as_secs().max(1)));
    command.arg(format!("-artifact_prefix={}/", broken.display()));
    command.args([format!("-rss_limit_mb={MEMORY}"), format!("-timeout={SECONDS}"), "-print_final_stats=1".into()]);
    let output = command.output().map_err(|error| Failure::io(program, &error))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let executions = said
        .lines()
        .filter_map(|line| line.strip_prefix("stat::number_of_executed_units:"))
        .find_map(|number| number.trim().parse().ok())
        .unwrap_or(0);
    if output.status.success() {
        return Ok(Run { target, executions, crash: None });
    }
    let log = broken.join("log");
    cache::write(&log, &output.stderr)?;
    let crash = said.lines().find_map(|line| line.split_once("Test unit written to ")).map(|(_, path)| path.into());
    eprintln!("{target}: broken; what it said is in {}", log.display());
    Ok(Run { target, executions, crash: Some(crash.unwrap_or(log)) })
}
