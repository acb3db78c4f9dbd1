//! `cargo ci miri`: core's tests under Miri, the interpreter that ends a run at the first undefined behaviour.

use stoop_samples::failure::Result;

use crate::{repository, run, toolchain};

/// Core's tests that call no C library and no program, which Miri cannot, and do not run for minutes without it.
const TESTS: [&str; 6] = ["arm64", "blocks", "boot", "crc32", "features", "fdt_limits"];

/// Runs them; says why when it cannot.
///
/// # Errors
/// A test fails, or Miri finds something.
pub fn run() -> Result<Option<String>> {
    if run::output(toolchain::command("cargo").args(["miri", "--version"])).is_err() {
        return Ok(Some(toolchain::lacks("miri")));
    }
    let mut miri = toolchain::command("cargo");
    miri.current_dir(repository()).args(["miri", "test", "--locked", "--package", "stoop-core", "--lib"]);
    miri.args(TESTS.iter().flat_map(|test| ["--test", test]));
    miri.arg("--target-dir").arg(repository().join("target/miri"));
    // Tests read their samples.
    miri.env("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-strict-provenance");
    run::shown(&mut miri).map(|()| None)
}
