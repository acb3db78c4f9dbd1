//! One place: held, its tests run, its results written, and given back. A process of its own (`cargo ci hil-job FOLDER`), so that
//! nothing that happens to one place touches another.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stoop_samples::failure::{Failure, Result};

use super::client::{Address, Client, Place};
use super::hold::{Claim, Hold};
pub use super::result::PlaceResult;
use super::stop::Stop;
use super::suite::{self, Test, Verdict};
use super::{report, waterfall};
use crate::cache;
use crate::labgrid::Tools;

/// What a job has to do; `job.json` in its folder.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The tags of the place: `KEY=VALUE`, or `name=PLACE`.
    pub tags: Vec<String>,
    /// How long to wait for it, in seconds.
    pub max_wait: u64,
    /// How long one test may take, in seconds.
    pub test_timeout: u64,
    /// The tests.
    pub tests: Vec<Test>,
}

/// In a job's folder: what it holds, or is about to.
pub const CLAIM: &str = "claim.json";

/// The name by which a job is known to labgrid: nobody else has it, and it tells whether the job is still there.
pub fn user(pid: u32) -> String {
    format!("stoop-{pid}-{}", started(pid).unwrap_or_default())
}

/// Whether the job of that name is gone from this host.
pub fn is_gone(user: &str) -> bool {
    let own = user.strip_prefix("stoop-").and_then(|rest| rest.split_once('-'));
    own.and_then(|(pid, when)| Some((pid.parse().ok()?, when.parse().ok()?)))
        .is_some_and(|(pid, when): (u32, u64)| started(pid) != Some(when))
}

/// When a process was started, in clock ticks since the kernel was (proc_pid_stat(5), field 22): with its number it is one
/// process. `None` when there is no such process, or only what is left of it.
fn started(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in brackets, may hold anything.
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace();
    let state = fields.next()?;
    if state == "Z" { None } else { fields.nth(18)?.parse().ok() }
}

/// Does what `job.json` in `folder` says, and writes `result.json`, `junit.xml` and `boots.svg` there.
///
/// # Errors
/// The folder cannot be used.
pub fn run(folder: &Path) -> Result<()> {
    let stop = Stop::on_signals()?.with_parent();
    let order = folder.join("job.json");
    let order: Order = serde_json::from_slice(&cache::read(&order)?)
        .map_err(|error| Failure::new(format!("{}: {error}", order.display())))?;
    let client = Client::new(&Tools::find()?, &user(std::process::id()));
    let result = on_a_place(&client, &order, folder, &stop)?;
    write(&result, folder)?;
    waterfall::draw_run(folder, None)
}

fn on_a_place(client: &Client, order: &Order, folder: &Path, stop: &Stop) -> Result<PlaceResult> {
    let mut claim = |claim: &Claim| cache::write(&folder.join(CLAIM), &serde_json::to_vec(claim).unwrap_or_default());
    let hold = match Hold::take(client, &order.tags, Duration::from_secs(order.max_wait), stop, &mut claim) {
        Ok(hold) => hold,
        Err(failure) => return Ok(PlaceResult::without("", failure.to_string())),
    };
    let place = hold.place();
    let mut result =
        PlaceResult { place: place.name.clone(), tags: place.tags.clone(), no_place: None, outcomes: Vec::new() };
    eprintln!("hil: {}: {} tests", place.name, order.tests.len());
    let export = match client.export(place, folder) {
        Ok(export) => export,
        Err(failure) => {
            result.no_place = Some(failure.to_string());
            return Ok(result);
        }
    };
    let variables = variables(place, client, &export.address, folder);
    let limit = Duration::from_secs(order.test_timeout);
    let mut is_lost = || client.is_on(&place.name).err();
    run_all(&mut result, &order.tests, &variables, limit, folder, stop, &mut is_lost)?;
    Ok(result)
}

/// The tests on the rig that the environment names, in a folder of its name under `out`.
///
/// # Errors
/// The folder cannot be used.
pub fn here(tests: &[Test], limit: Duration, out: &Path, stop: &Stop) -> Result<PlaceResult> {
    let rig = std::env::var("STOOP_RIG").unwrap_or_else(|_| "qemu".into());
    let folder = out.join(&rig);
    let variables = [("STOOP_HIL_OUT".to_owned(), absolute(&folder).display().to_string())];
    let mut result = PlaceResult { place: rig, tags: BTreeMap::new(), no_place: None, outcomes: Vec::new() };
    run_all(&mut result, tests, &variables, limit, &folder, stop, &mut || None)?;
    write(&result, &folder)?;
    Ok(result)
}

fn write(result: &PlaceResult, folder: &Path) -> Result<()> {
    cache::write(&folder.join("result.json"), &serde_json::to_vec_pretty(result).unwrap_or_default())?;
    report::junit(result, folder)
}

/// Runs tests until `stop` comes, or a test fails and the place `is_lost`.
fn run_all(
    result: &mut PlaceResult,
    tests: &[Test],
    variables: &[(String, String)],
    limit: Duration,
    folder: &Path,
    stop: &Stop,
    is_lost: &mut dyn FnMut() -> Option<Failure>,
) -> Result<()> {
    for test in tests {
        if stop.is_now() || result.no_place.is_some() {
            break;
        }
        let log = folder.join(format!("{}.out", test.file_stem()));
        let mut outcome = suite::run(test, variables, limit, &log, stop)?;
        // A lab that is gone fails every test; that is no result of theirs.
        if outcome.verdict == Verdict::Failed {
            let told = outcome.losses().next().map(str::to_owned);
            if let Some(reason) = told.or_else(|| is_lost().map(|failure| failure.to_string())) {
                outcome.verdict = Verdict::Stopped;
                result.no_place = Some(format!("the place was lost: {reason}"));
            }
        }
        eprintln!("hil: {}: {} {:?} in {:.1} s", result.place, test.name, outcome.verdict, outcome.seconds);
        result.outcomes.push(outcome);
    }
    Ok(())
}

/// What the tests are to know of a place: `hil-tests/README.md` has the variables.
pub fn variables(place: &Place, client: &Client, address: &Address, folder: &Path) -> Vec<(String, String)> {
    let tagged = place.tags.iter().filter(|(_, value)| *value == "yes").map(|(key, _)| key.as_str());
    let mut all = vec![
        ("STOOP_RIG", "labgrid".to_owned()),
        ("STOOP_HIL_OUT", absolute(folder).display().to_string()),
        ("STOOP_SERIAL", address.console.clone()),
        ("STOOP_PLACE_CAN", tagged.collect::<Vec<_>>().join(",")),
        ("LG_PLACE", place.name.clone()),
        ("LG_USERNAME", client.user().to_owned()),
        ("LG_HOSTNAME", Client::host()),
    ];
    all.extend(place.tags.get("board").map(|board| ("STOOP_BOARD", board.clone())));
    if let Some(tftp) = &address.tftp {
        let here = ["", "127.0.0.1", "localhost", &Client::host()].contains(&tftp.host.as_str());
        let there = || format!("{}:{}", tftp.host, tftp.internal);
        all.push(("STOOP_TFTP_DIR", if here { tftp.internal.clone() } else { there() }));
        all.push(("STOOP_TFTP_URL", tftp.external.clone()));
    }
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_name_tells_whether_it_is_still_there() {
        let own = user(std::process::id());
        assert!(!is_gone(&own), "{own}");
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let other = user(child.id());
        child.wait().unwrap();
        assert!(is_gone(&other), "{other}");
        assert!(is_gone(&format!("{own}0")), "the number was given to another process");
        assert!(!is_gone("anna"), "somebody who is no job of ours");
    }
}
