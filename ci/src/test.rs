//! Everything that is checked before a change lands, in the order in which it fails cheapest.

use std::process::Command;
use std::time::{Duration, Instant};

use stoop_samples::failure::{Failure, Result};

use crate::book::{self, Made};
use crate::prebuilt::{self, Program};
use crate::{
    bench, emulator, fuzz, hil, lab, labgrid, licences, miri, packages, repository, run, sanitizer, sizes, toolchain,
    transcript,
};

/// Runs all of it.
///
/// # Errors
/// The first failure.
pub fn everything() -> Result<()> {
    let start = Instant::now();
    let mut number = 0;
    let mut part = |name: &str, work: &mut dyn FnMut() -> Result<()>| {
        number += 1;
        let title = format!("[{number}/{PARTS}] {name}");
        eprintln!("\n{title} ({} s so far)", start.elapsed().as_secs());
        work().map_err(|failure| failure.within(title))
    };
    part("rust-src for the nightly", &mut toolchain::ensure_rust_src)?;
    part("formatting", &mut || {
        run::shown(cargo("fmt").args(["--all", "--check"])).and_then(|()| {
            run::shown(cargo("fmt").args(["--check", "--manifest-path", "hil-tests/unicorn/Cargo.toml"]))
        })
    })?;
    part("clippy, host", &mut || run::shown(cargo("clippy").args(["--all-targets", "--", "-D", "warnings"])))?;
    let mut skipped = Vec::new();
    part("clippy, freestanding programs", &mut || clippy_freestanding().map(|why| skipped.extend(why)))?;
    part("documentation", &mut || run::shown(cargo("doc").arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings")))?;
    part("book and links", &mut || book::build(Made::Compared))?;
    part("tests, host", &mut || {
        let packages = ["stoop-core", "stoop-image", "stoop-kernel", "stoop-lab", "stoop", "stoop-ci", "stoop-fuzz"];
        // What they want is installed (ci/packages). The lab is not built yet.
        let mut test = cargo("test");
        run::shown(test.args(packages.iter().flat_map(|name| ["--package", name])).env("STOOP_TOOLS", "required"))
    })?;
    part("packages", &mut packages::check)?;
    part("licences", &mut licences::check)?;
    part("tests, core without decoders", &mut || {
        run::shown(cargo("test").args(["--package", "stoop-core", "--no-default-features", "--test", "features"]))
    })?;
    part("fuzzing", &mut || fuzz::run("", FUZZING))?;
    part("tests, core where usize has 32 bits", &mut core_with_32_bits)?;
    part("tests, core and the shim's memory module under AddressSanitizer", &mut sanitizer::run)?;
    part("tests, core and the shim's memory module under Miri", &mut || miri::run().map(|why| skipped.extend(why)))?;
    part("prebuilt programs are what their source makes", &mut || prebuilt::check(&Program::ALL))?;
    part("sizes of the shim", &mut sizes::print)?;
    part("emulator library", &mut || emulator::build().map(|_| ()))?;
    part("tests, every board on a model of it", &mut || {
        run::shown(cargo("test").args(["--package", "stoop-model"]).env("STOOP_LAB", "required"))
    })?;
    part("lab", &mut || lab::build().map(|_| ()))?;
    part("tests, Debian's modules", &mut debians_modules)?;
    part("instruction counts", &mut || bench::run(None, None))?;
    // It installs labgrid, which tests of the lab start.
    part("labgrid's package", &mut labgrid::check)?;
    part("tests, lab", &mut || {
        let mut test = cargo("test");
        // QEMU and who talks to it wait for each other a good part of the time.
        let threads = 2 * std::thread::available_parallelism().map_or(2, usize::from);
        test.args(["--package", "stoop-hil-tests"]).env("RUST_TEST_THREADS", threads.to_string());
        run::shown(test.env("STOOP_LAB", "required"))
    })?;
    part("the suite on a desk and in a labgrid lab", &mut hil::everywhere::on_desk_and_in_lab)?;
    // For cargo its clone is the same workspace with other files: what comes after it compiles the crates anew.
    part("README and book, from a clean clone to a booted image", &mut transcript::run)?;
    for why in &skipped {
        eprintln!("skipped: {why}");
    }
    eprintln!("\nall passed in {} s, parts skipped: {}", start.elapsed().as_secs(), skipped.len());
    Ok(())
}

const PARTS: usize = 25;
/// For all targets together. `cargo ci fuzz` is for longer.
const FUZZING: Duration = Duration::from_secs(60);

fn cargo(verb: &str) -> Command {
    let mut cargo = run::command("cargo");
    cargo.current_dir(repository()).arg(verb);
    cargo
}

/// The tests over Debian's stock kernels, which the first run of the host's tests skips for want of a lab.
fn debians_modules() -> Result<()> {
    let lab = lab::Lab::open()?;
    let trees = lab::DEBIAN_KERNELS.iter().map(|name| lab.debian_tree(name)).collect::<Result<Vec<_>>>()?;
    let trees = std::env::join_paths(trees).map_err(|error| Failure::new(format!("the cache's path: {error}")))?;
    let mut test = cargo("test");
    // With stoop-ci cargo takes the crates that it has compiled already.
    test.args(["--package", "stoop", "--package", "stoop-ci", "--test", "modules", "debian::"]);
    run::shown(test.env("STOOP_MODULES_TREES", trees).env("STOOP_LAB", "required").env("STOOP_TOOLS", "required"))
}

/// Core's tests and its fuzzers' inputs as on MIPS, where sums of lengths and offsets can wrap around. The nightly has no library for
/// that target, so it is built from its source, in a folder of its own.
fn core_with_32_bits() -> Result<()> {
    let mut test = toolchain::command("cargo");
    test.current_dir(repository()).args(["test", "--locked", "-Zbuild-std", "--target", "i686-unknown-linux-gnu"]);
    test.arg("--target-dir").arg(repository().join("target/32-bit"));
    test.args(["--package", "stoop-core", "--package", "stoop-fuzz", "--no-default-features"]);
    run::shown(test.args(["--features", "stoop-core/default"]).env("STOOP_FUZZ_FOUND", fuzz::found()?))
}

/// Why it was skipped, if it was.
fn clippy_freestanding() -> Result<Option<String>> {
    if run::output(toolchain::command("cargo").args(["clippy", "--version"])).is_err() {
        return Ok(Some(toolchain::lacks("clippy")));
    }
    prebuilt::clippy().map(|()| None)
}
