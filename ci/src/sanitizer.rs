//! `cargo ci sanitizer`: core's tests, and the shim's memory module over pieces of this machine's memory, under AddressSanitizer.
//!
//! It sees a byte too many, and what the C libraries that core is compared with do; with the tests' debug assertions the standard library
//! checks what its unsafe functions ask for. It does not see references that alias, as Miri does.

use stoop_samples::failure::Result;

use crate::{repository, run, toolchain};

/// The sanitizer's runtime comes with the nightly for it.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// Hundreds of thousands of boots, which take minutes here and touch no memory that fewer do not.
const SKIPPED: &str = "any_registers_of";

/// Runs them.
///
/// # Errors
/// A test fails, or the sanitizer finds something.
pub fn run() -> Result<()> {
    let mut test = toolchain::command("cargo");
    test.current_dir(repository()).args(["test", "--locked", "--package", "stoop-core", "--target", HOST]);
    test.arg("--target-dir").arg(repository().join("target/sanitizer"));
    test.args(["--", "--skip", SKIPPED]);
    // With a target, programs that run during the build do not get these flags.
    test.env("RUSTFLAGS", "-Zsanitizer=address").env("CARGO_PROFILE_DEV_DEBUG", "0");
    run::shown(&mut test)
}
