//! Modules: resolving, checking, bundling, and building the kernel they belong to. Small module files are made here, for
//! both byte orders; kmod's own tools are the oracle where they are installed, Debian's kernels where they were fetched.

mod bad_input;
#[path = "../pack/bench.rs"]
#[allow(dead_code, reason = "not all of the other test's workbench is needed here")]
mod bench;
mod bundle;
mod check;
mod debian;
mod interrupted;
mod kernel;
mod make_ko;
mod pack;
mod release;
mod requirement;
mod resolve;
#[path = "../pack/schema.rs"]
mod schema;
mod vmlinux;

/// The `stoop` command.
fn stoop(arguments: &[&str]) -> std::process::Output {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_stoop"));
    // Not the user's own cache of compressed kernels.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.args(arguments).output().expect("stoop runs")
}

/// Its standard output, when it succeeds.
fn stdout_of(arguments: &[&str]) -> String {
    let output = stoop(arguments);
    assert!(output.status.success(), "stoop {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Nothing, or with `--json` the failure alone.
fn is_no_result(stdout: &[u8]) -> bool {
    let value: Option<serde_json::Value> = serde_json::from_slice(stdout).ok();
    let is_failure =
        |value: &serde_json::Value| value.as_object().is_some_and(|all| all.len() == 1 && all.contains_key("error"));
    stdout.is_empty() || value.as_ref().is_some_and(is_failure)
}

/// Its standard error, when it fails with exit code 1.
fn stderr_of(arguments: &[&str]) -> String {
    let output = stoop(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "stoop {arguments:?}: {text}");
    assert!(is_no_result(&output.stdout), "a failure printed a result");
    assert!(text.contains("next:"), "no next step: {text}");
    text
}

/// Whether a program can be run.
fn is_installed(program: &str) -> bool {
    let found =
        std::process::Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        stoop_samples::machine::skipped(&format!("{program} is not installed"));
    }
    found
}
