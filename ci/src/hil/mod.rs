//! `cargo ci hil`: the suite on the boards of a labgrid lab, a job for each place.

pub mod boots;
pub mod client;
pub mod everywhere;
pub mod hold;
pub mod job;
pub mod report;
mod result;
pub mod stop;
pub mod suite;
pub mod waterfall;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use shared_child::SharedChild;
use stoop_samples::failure::{Failure, Result};

use crate::labgrid::Tools;
use crate::{cache, repository};
use client::{Client, Place};
use hold::Claim;
use job::{Order, PlaceResult};
use stop::Stop;

/// What to run where.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// Only on places with these tags: KEY=VALUE,KEY=VALUE
    #[arg(long, default_value = "", value_name = "TAGS")]
    pub place_filter: Filter,
    /// On every place that has them, not on any one
    #[arg(long)]
    pub all: bool,
    /// On the rig that STOOP_RIG names, without labgrid
    #[arg(long, conflicts_with_all = ["all", "place_filter"])]
    pub here: bool,
    /// How long to wait for a place
    #[arg(long, default_value = "20m", value_name = "TIME")]
    pub max_wait: humantime::Duration,
    /// How long one test may take
    #[arg(long, default_value = "15m", value_name = "TIME")]
    pub test_timeout: humantime::Duration,
    /// On at most so many places at once
    #[arg(long, default_value_t = 16, value_name = "NUMBER")]
    pub jobs: usize,
    /// For `git bisect run`: no place gives 125, as what does not build does
    #[arg(long)]
    pub bisect: bool,
    /// Where the results go; a new folder under target/hil otherwise
    #[arg(long, value_name = "FOLDER")]
    pub out: Option<PathBuf>,
    /// Draws the boots beside those of an earlier run; with two runs nothing else is done
    #[arg(long, value_name = "RUN", num_args = 1..=2)]
    pub compare: Vec<PathBuf>,
    /// Only tests whose MODULE::NAME holds one of these
    pub tests: Vec<String>,
}

/// Tags that a place must have.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter(BTreeMap<String, String>);

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Filter, String> {
        let tags = text.split(',').filter(|tag| !tag.is_empty());
        let pairs = tags.map(|tag| match tag.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
            _ => Err(format!("`{tag}` is no KEY=VALUE")),
        });
        pairs.collect::<std::result::Result<_, _>>().map(Filter)
    }
}

impl Filter {
    /// The same, and one tag more.
    #[must_use]
    pub fn and(mut self, key: &str, value: &str) -> Filter {
        self.0.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Whether a place has all of them.
    pub fn fits(&self, place: &Place) -> bool {
        self.0.iter().all(|(key, value)| place.tags.get(key) == Some(value) || (key == "name" && *value == place.name))
    }

    /// As labgrid-client takes them.
    pub fn tags(&self) -> Vec<String> {
        self.0.iter().map(|(key, value)| format!("{key}={value}")).collect()
    }
}

/// The exit code: everything passed.
pub const PASSED: u8 = 0;
/// A test failed.
pub const FAILED: u8 = 1;
/// No test failed, but a place could not be had or was lost (`EX_TEMPFAIL` of sysexits.h).
pub const NO_PLACE: u8 = 75;
/// This commit says nothing (`git bisect run`).
pub const SKIP_COMMIT: u8 = 125;
/// Somebody ended it.
pub const INTERRUPTED: u8 = 130;

/// Does all that, and gives the exit code.
///
/// # Errors
/// labgrid is not installed, the coordinator does not answer, or the results cannot be written.
pub fn run(options: &Options) -> Result<u8> {
    if let [new, old] = &options.compare[..] {
        return draw(new, Some(old)).map(|()| PASSED);
    }
    let stop = Stop::on_signals()?;
    let tests = match suite::build(&options.tests) {
        Ok(tests) => tests,
        Err(failure) => {
            eprintln!("hil: {failure}");
            return Ok(SKIP_COMMIT);
        }
    };
    if tests.is_empty() {
        return Err(Failure::usage("no test has such a name").next("`cargo ci hil --help` says how to name them"));
    }
    let out = options.out.clone().unwrap_or_else(new_folder);
    if options.here {
        let result = job::here(&tests, options.test_timeout.into(), &out, &stop)?;
        return finish(options, &out, &[result], &stop);
    }
    let tools = Tools::find()?;
    let own = Client::new(&tools, &job::user(std::process::id()));
    let jobs = match jobs(options, &own) {
        Ok(jobs) if jobs.is_empty() => return no_place(options, "no place has these tags"),
        Ok(jobs) => jobs,
        Err(failure) => return no_place(options, &failure.to_string()),
    };
    let results = fan_out(options, jobs, &tests, &out, &tools, &stop)?;
    finish(options, &out, &results, &stop)
}

fn finish(options: &Options, out: &Path, results: &[PlaceResult], stop: &Stop) -> Result<u8> {
    draw(out, options.compare.first().map(PathBuf::as_path))?;
    for result in results {
        eprint!("{}", report::text(result));
    }
    eprintln!("hil: results in {}", out.display());
    Ok(exit_code(results, options.bisect, stop.is_now()))
}

fn no_place(options: &Options, reason: &str) -> Result<u8> {
    eprintln!("hil: {reason}");
    Ok(exit_code(&[], options.bisect, false))
}

fn exit_code(results: &[PlaceResult], bisect: bool, stopped: bool) -> u8 {
    let failed = results.iter().any(|result| report::Counts::of(&result.outcomes).failed > 0);
    let lost = results.is_empty() || results.iter().any(|result| result.no_place.is_some());
    match (stopped, failed, lost) {
        (true, ..) => INTERRUPTED,
        (_, true, _) => FAILED,
        (_, _, true) => {
            if bisect {
                SKIP_COMMIT
            } else {
                NO_PLACE
            }
        }
        _ => PASSED,
    }
}

/// A job's name and the tags of the place that it is to take. What jobs of earlier runs left behind is cleaned up first.
fn jobs(options: &Options, own: &Client) -> Result<Vec<(String, Vec<String>)>> {
    let places = own.places()?;
    for place in &places {
        let Some((host, user)) = place.acquired.as_deref().and_then(|owner| owner.split_once('/')) else { continue };
        if host == Client::host() && job::is_gone(user) {
            eprintln!("hil: {}: giving back what {user} left behind", place.name);
            let claim = Claim { place: place.name.clone(), token: String::new() };
            hold::give_back(&own.acting_as(user), &claim)?;
        }
    }
    let fitting = places.iter().filter(|place| options.place_filter.fits(place));
    let all = fitting.map(|place| (place.name.clone(), vec![format!("name={}", place.name)]));
    if options.all {
        return Ok(all.collect());
    }
    let any = all.take(1).next().map(|_| ("any".to_owned(), options.place_filter.tags()));
    Ok(any.into_iter().collect())
}

fn new_folder() -> PathBuf {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    repository().join("target/hil").join(now.replace(':', "-"))
}

/// Runs a job for each, `options.jobs` at once, and collects their results in their order.
fn fan_out(
    options: &Options,
    jobs: Vec<(String, Vec<String>)>,
    tests: &[suite::Test],
    out: &Path,
    tools: &Tools,
    stop: &Stop,
) -> Result<Vec<PlaceResult>> {
    let names: Vec<String> = jobs.iter().map(|job| job.0.clone()).collect();
    let queue = Mutex::new(jobs.into_iter());
    let results = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, names.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some((name, tags)) = next.filter(|_| !stop.is_now()) else { return };
                    let order = Order {
                        tags,
                        max_wait: options.max_wait.as_secs(),
                        test_timeout: options.test_timeout.as_secs(),
                        tests: tests.to_vec(),
                    };
                    let result = one(&order, &out.join(&name), tools, stop)
                        .unwrap_or_else(|failure| PlaceResult::without(&name, failure.to_string()));
                    results.lock().unwrap_or_else(PoisonError::into_inner).insert(name, result);
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(names.iter().filter_map(|name| results.remove(name)).collect())
}

/// Runs one job to its end, and cleans up behind it when it was killed.
fn one(order: &Order, folder: &Path, tools: &Tools, stop: &Stop) -> Result<PlaceResult> {
    cache::write(&folder.join("job.json"), &serde_json::to_vec_pretty(order).unwrap_or_default())?;
    let program = std::env::current_exe().map_err(|error| Failure::new(format!("our own program: {error}")))?;
    let mut command = Command::new(program);
    command.arg("hil-job").arg(folder).stdin(Stdio::piped());
    let failed = |error: std::io::Error| Failure::new(format!("cannot start a job: {error}"));
    let child = SharedChild::spawn(&mut command).map_err(failed)?;
    let user = job::user(child.id());
    // The job ends when its standard input does, so also when we are killed.
    let parent = child.take_stdin();
    let status = stop.during(move || drop(parent), || child.wait()).map_err(failed)?;
    let result = folder.join("result.json");
    if status.success() && result.exists() {
        return serde_json::from_slice(&cache::read(&result)?)
            .map_err(|error| Failure::new(format!("{}: {error}", result.display())));
    }
    let mut place = String::new();
    if let Ok(claim) = cache::read(&folder.join(job::CLAIM)) {
        let claim: Claim = serde_json::from_slice(&claim).map_err(|error| Failure::new(error.to_string()))?;
        hold::give_back(&Client::new(tools, &user), &claim)?;
        place = claim.place;
    }
    Ok(PlaceResult::without(&place, format!("its job ended without a result ({status})")))
}

/// Draws the boots of each place of a run.
fn draw(run: &Path, earlier: Option<&Path>) -> Result<()> {
    let entries = std::fs::read_dir(run).map_err(|error| Failure::io(run, &error))?;
    for folder in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()) {
        let name = folder.file_name().map(PathBuf::from).unwrap_or_default();
        let other = earlier.map(|run| run.join(&name)).filter(|folder| folder.is_dir());
        waterfall::draw_run(&folder, other.as_deref())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::suite::{Outcome, Test, Verdict};
    use super::*;

    /// A place whose tests ended so.
    fn place(verdicts: &[Verdict]) -> PlaceResult {
        let outcome = |verdict: &Verdict| Outcome {
            test: Test { program: "lab".into(), name: "boot::boots".into() },
            verdict: *verdict,
            seconds: 1.0,
            output: String::new(),
        };
        PlaceResult {
            place: "rack-1".into(),
            tags: BTreeMap::new(),
            no_place: None,
            outcomes: verdicts.iter().map(outcome).collect(),
        }
    }

    fn lost(verdicts: &[Verdict]) -> PlaceResult {
        PlaceResult { no_place: Some("the place was lost".into()), ..place(verdicts) }
    }

    #[test]
    fn a_run_passes_if_no_test_failed_and_every_place_was_there() {
        for bisect in [false, true] {
            assert_eq!(exit_code(&[place(&[Verdict::Passed])], bisect, false), PASSED);
            assert_eq!(exit_code(&[place(&[Verdict::Passed, Verdict::Skipped]), place(&[])], bisect, false), PASSED);
        }
    }

    #[test]
    fn a_failed_test_counts_more_than_a_place_that_was_lost_and_makes_a_commit_bad() {
        let failed = place(&[Verdict::Passed, Verdict::Failed]);
        for bisect in [false, true] {
            assert_eq!(exit_code(std::slice::from_ref(&failed), bisect, false), FAILED);
            assert_eq!(exit_code(&[lost(&[]), failed.clone(), place(&[Verdict::Passed])], bisect, false), FAILED);
            assert_eq!(exit_code(&[lost(&[Verdict::Failed])], bisect, false), FAILED);
        }
    }

    #[test]
    fn a_place_that_is_missing_or_lost_is_told_apart_from_a_failure_and_skips_a_commit() {
        let passed = place(&[Verdict::Passed]);
        let without = PlaceResult::without("", "waiting for a place: no answer".into());
        for results in [vec![], vec![without], vec![passed, lost(&[Verdict::Passed, Verdict::Stopped])]] {
            assert_eq!(exit_code(&results, false, false), NO_PLACE, "{results:?}");
            assert_eq!(exit_code(&results, true, false), SKIP_COMMIT, "{results:?}");
        }
    }

    #[test]
    fn a_run_that_somebody_ended_says_nothing_else() {
        for results in [vec![], vec![place(&[Verdict::Failed])], vec![lost(&[])], vec![place(&[Verdict::Passed])]] {
            for bisect in [false, true] {
                assert_eq!(exit_code(&results, bisect, true), INTERRUPTED, "{results:?}");
            }
        }
    }

    #[test]
    fn the_exit_codes_are_those_that_scripts_and_git_bisect_know() {
        assert_eq!([PASSED, FAILED, NO_PLACE, SKIP_COMMIT, INTERRUPTED], [0, 1, 75, 125, 130]);
    }
}
