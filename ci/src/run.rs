//! Runs programs, and says on stderr what takes its time: one line a step, and what a long one is at.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use stoop_samples::failure::{Failure, Result};

/// How often a long step says what it is at.
const BEAT: Duration = Duration::from_secs(10);

/// Does `work`, with a line before it and, when it took more than two seconds, one behind it.
///
/// # Errors
/// Those of `work`.
pub fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("{name}");
    let start = Instant::now();
    let result = work();
    let seconds = start.elapsed().as_secs_f32();
    if result.is_ok() && seconds > 2.0 {
        eprintln!("{name}: done in {seconds:.0} s");
    }
    result
}

/// A command without a word of the caller's own settings that would change what compilers make.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in
        ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CFLAGS", "MAKEFLAGS", "RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"]
    {
        command.env_remove(name);
    }
    // Set by the cargo that runs this program; a nightly's cargo would take it for itself.
    command.env_remove("CARGO");
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command
}

/// The command itself, built from this tree.
pub fn stoop() -> Command {
    let mut cargo = command("cargo");
    cargo.current_dir(crate::repository()).args(["run", "--quiet", "--bin", "stoop", "--"]);
    cargo
}

/// The same command, killed when the thread that starts it ends: what it does must not outlive who wanted it.
pub fn bound(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bound.current_dir(folder);
    }
    bound
}

/// Runs to the end with its output in `log`, and says now and then what the last line there is.
///
/// # Errors
/// When it cannot start or fails, with the end of its output.
pub fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let io = |error| Failure::io(log, &error);
    if let Some(folder) = log.parent() {
        crate::cache::create_dir(folder)?;
    }
    let file = File::create(log).map_err(io)?;
    command.stdout(file.try_clone().map_err(io)?).stderr(file);
    let name = name_of(command);
    let mut child = command.spawn().map_err(|error| cannot_start(&name, &error))?;
    let start = Instant::now();
    let (send, ended) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait()));
    let status = loop {
        match ended.recv_timeout(BEAT) {
            Ok(status) => break status.map_err(io)?,
            Err(_) => eprintln!("  {:4} s  {}", start.elapsed().as_secs(), last_lines(log, 1).trim()),
        }
    };
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("{name} failed ({status}); its last words:\n{}", last_lines(log, 25)))
        .next(format!("read {}", log.display())))
}

/// Runs to the end with its output on the terminal.
///
/// # Errors
/// When it cannot start or fails.
pub fn shown(command: &mut Command) -> Result<()> {
    let name = name_of(command);
    let status = command.status().map_err(|error| cannot_start(&name, &error))?;
    if status.success() { Ok(()) } else { Err(Failure::new(format!("{name} failed ({status})"))) }
}

/// Runs to the end; what it wrote to stdout.
///
/// # Errors
/// When it cannot start or fails, with what it wrote to stderr.
pub fn output(command: &mut Command) -> Result<String> {
    let name = name_of(command);
    let output = command.output().map_err(|error| cannot_start(&name, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::new(format!("{name} failed ({}): {}", output.status, said.trim())))
}

/// The program and its first arguments, as one would type them.
fn name_of(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args().take(4));
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn cannot_start(name: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("{name} cannot be started: {error}")).next("run ./ci/test, which installs what is missing")
}

/// The last lines of a file, short ones.
fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[text.len().saturating_sub(8192)..]).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let lines = lines[lines.len().saturating_sub(count)..].iter();
    lines.map(|line| line.chars().take(160).collect::<String>()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_program_is_named_with_its_last_words() {
        let place = tempfile::tempdir().unwrap();
        let log = place.path().join("log");
        let failure = logged(command("sh").args(["-c", "echo first; echo the reason >&2; exit 3"]), &log).unwrap_err();
        assert!(failure.fact().contains("sh -c"), "{failure}");
        assert!(failure.fact().contains("first\nthe reason"), "{failure}");
    }

    #[test]
    fn a_missing_program_says_how_to_get_it() {
        let failure = output(&mut command("stoop-no-such-program")).unwrap_err();
        assert!(failure.next_step().unwrap().contains("./ci/test"));
    }
}
