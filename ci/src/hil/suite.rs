//! The test program of `hil-tests`: built once, listed, and run one test at a time, so that a test which hangs or crashes is a
//! result and no end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared_child::SharedChild;
use stoop_samples::failure::{Failure, Result};

use super::stop::Stop;
use crate::{cache, repository, run};

/// A test, and the program that has it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Test {
    /// The built program.
    pub program: PathBuf,
    /// As the test harness lists it: `MODULE::NAME`.
    pub name: String,
}

impl Test {
    /// The name of its source in `hil-tests/tests`, without its ending.
    pub fn module(&self) -> &str {
        self.name.split("::").next().unwrap_or_default()
    }

    /// Its name as the names of its files begin.
    pub fn file_stem(&self) -> String {
        self.name.replace("::", ".")
    }
}

/// How a test ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// It could not do anything here.
    Skipped,
    /// Not as it should be, or not within its time.
    Failed,
    /// Somebody ended the run.
    Stopped,
}

/// What came of a test.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Which one.
    pub test: Test,
    /// How it ended.
    pub verdict: Verdict,
    /// In seconds.
    pub seconds: f64,
    /// What it printed, both streams.
    pub output: String,
}

impl Outcome {
    /// The logs of the consoles that it opened, `TEST.BOARD.log` beside `log`.
    pub fn consoles(&self, log: &Path) -> Vec<PathBuf> {
        let start = format!("{}.", self.test.file_stem());
        let folder = log.parent().unwrap_or(log);
        let mut all = crate::apt::files(folder, ".log").unwrap_or_default();
        all.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start)));
        all
    }

    /// Why it, or a part of it, did nothing.
    pub fn skips(&self) -> impl Iterator<Item = &str> {
        self.told(SKIP)
    }

    /// That its console or its power switch did not answer: no failure of what it tests.
    pub fn losses(&self) -> impl Iterator<Item = &str> {
        self.told(LOST)
    }

    fn told(&self, mark: &'static str) -> impl Iterator<Item = &str> {
        self.output.lines().filter_map(move |line| line.trim_start().strip_prefix(mark))
    }
}

/// What a test prints in front of a reason to do nothing.
const SKIP: &str = "HIL-SKIP: ";
/// What a rig prints in front of what it could not reach.
const LOST: &str = "HIL-LOST: ";

/// Which modules need a board; the others test nothing that a place could change.
#[derive(Deserialize)]
struct Manifest {
    package: Package,
}

#[derive(Deserialize)]
struct Package {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    hil: Hil,
}

#[derive(Deserialize)]
struct Hil {
    boards: Vec<String>,
}

fn folder() -> PathBuf {
    repository().join("hil-tests")
}

/// Builds the program and lists those of its tests that need a board and whose `MODULE::NAME` holds one of `wanted`; all of those when
/// nothing is wanted.
///
/// # Errors
/// They do not build.
pub fn build(wanted: &[String]) -> Result<Vec<Test>> {
    let path = folder().join("Cargo.toml");
    let manifest: Manifest = toml::from_str(&String::from_utf8_lossy(&cache::read(&path)?))
        .map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    let mut cargo = run::command("cargo");
    cargo.current_dir(repository()).args(["test", "--no-run", "--package", "stoop-hil-tests", "--test", "lab"]);
    cargo.arg("--message-format=json-render-diagnostics").stderr(Stdio::inherit());
    let output = cargo.output().map_err(|error| Failure::new(format!("cannot start cargo: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new("the tests do not build"));
    }
    let program = program(&String::from_utf8_lossy(&output.stdout))
        .ok_or_else(|| Failure::new("cargo names no program of the tests"))?;
    let listed = run::output(run::command(&program).args(["--list", "--format", "terse"]))?;
    let tests = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    let mut tests: Vec<Test> = tests.map(|name| Test { program: program.clone(), name: name.to_owned() }).collect();
    tests.retain(|test| {
        let is_wanted = wanted.is_empty() || wanted.iter().any(|wanted| test.name.contains(wanted));
        is_wanted && manifest.package.metadata.hil.boards.iter().any(|module| module == test.module())
    });
    Ok(tests)
}

/// The path of the test program that cargo says it has.
fn program(messages: &str) -> Option<PathBuf> {
    let values = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let program = |value: Value| {
        let is_test = value["target"]["kind"][0] == "test" && value["profile"]["test"] == true;
        value["executable"].as_str().filter(|_| is_test).map(PathBuf::from)
    };
    values.filter_map(program).next()
}

/// Runs one with these variables, for at most `limit`, with its output in `log` as well.
///
/// # Errors
/// It cannot be started.
pub fn run(test: &Test, variables: &[(String, String)], limit: Duration, log: &Path, stop: &Stop) -> Result<Outcome> {
    let io = |error| Failure::io(log, &error);
    if let Some(folder) = log.parent() {
        cache::create_dir(folder)?;
    }
    let file = File::create(log).map_err(io)?;
    let mut plain = Command::new(&test.program);
    plain.args(["--exact", &test.name, "--nocapture"]);
    plain.envs(variables.iter().cloned()).current_dir(folder());
    // A test must not outlive a job that is killed: it would go on switching power.
    let mut command = run::bound(&plain);
    command.stdin(Stdio::null()).stdout(file.try_clone().map_err(io)?).stderr(file);
    let start = Instant::now();
    let child = SharedChild::spawn(&mut command)
        .map_err(|error| Failure::new(format!("cannot start {}: {error}", test.program.display())))?;
    let child = Arc::new(child);
    let ended = stop.watch(&child, || child.wait_timeout(limit));
    let status = match ended.map_err(|error| Failure::new(format!("{}: {error}", test.name)))? {
        Some(status) => Some(status),
        None => {
            // It fails only when it has already ended.
            let _ = child.kill();
            let _ = child.wait();
            None
        }
    };
    let seconds = start.elapsed().as_secs_f64();
    let mut output = String::from_utf8_lossy(&cache::read(log)?).into_owned();
    if status.is_none() {
        output += &format!("\nhil: ended after {} s\n", limit.as_secs());
    }
    let passed = status.is_some_and(|status| status.success());
    let verdict = match passed {
        _ if stop.is_now() => Verdict::Stopped,
        false => Verdict::Failed,
        true => Verdict::Passed,
    };
    let mut outcome = Outcome { test: test.clone(), verdict, seconds, output };
    // A test may leave out a part, and do the rest.
    if verdict == Verdict::Passed && outcome.skips().next().is_some() && outcome.consoles(log).is_empty() {
        outcome.verdict = Verdict::Skipped;
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(script: &str) -> (tempfile::TempDir, Test) {
        let place = tempfile::tempdir().unwrap();
        let (text, path) = (place.path().join("script"), place.path().join("program"));
        cache::write(&text, format!("#!/bin/sh\n{script}\n").as_bytes()).unwrap();
        // By another process: if this one opened it to write, what another test starts in that moment would hold it open, and Linux starts no
        // program that somebody may write (ETXTBSY).
        run::output(run::command("install").arg("-m755").args([&text, &path])).unwrap();
        (place, Test { program: path, name: "a_test".into() })
    }

    fn outcome(script: &str, limit: Duration, stop: &Stop) -> Outcome {
        let (place, test) = test(script);
        run(&test, &[("SAY".into(), "hello".into())], limit, &place.path().join("log"), stop).unwrap()
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_a_test_prints_and_how_it_ends_is_its_outcome() {
        let stop = Stop::default();
        let passed = outcome("echo $SAY; echo there >&2", HOUR, &stop);
        assert_eq!((passed.verdict, passed.output.as_str()), (Verdict::Passed, "hello\nthere\n"));
        assert_eq!(outcome("exit 101", HOUR, &stop).verdict, Verdict::Failed);
        let skipped = outcome("echo 'HIL-SKIP: no board'", HOUR, &stop);
        assert_eq!((skipped.verdict, skipped.skips().collect::<Vec<_>>()), (Verdict::Skipped, vec!["no board"]));
    }

    #[test]
    fn a_test_that_hangs_fails_and_says_so() {
        let hung = outcome("exec sleep 3600", Duration::from_millis(200), &Stop::default());
        assert_eq!(hung.verdict, Verdict::Failed);
        assert!(hung.output.contains("hil: ended after 0 s"), "{}", hung.output);
    }

    #[test]
    fn a_stop_ends_the_test_that_runs() {
        let stop = Stop::default();
        stop.now();
        assert_eq!(outcome("exec sleep 3600", HOUR, &stop).verdict, Verdict::Stopped);
    }
}
