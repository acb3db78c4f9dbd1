//! `cargo ci hil` on many places, and what it does when the lab falls apart or it is killed itself: no place stays locked, no
//! board stays on. The boards only have a prompt; coordinator, exporter and clients are labgrid's.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shared_child::SharedChild;
use stoop_ci::hil::client::Client;
use stoop_ci::labgrid::Tools;
use stoop_ci::{Failure, Result};
use stoop_hil_tests::stand::prompt::Prompt;
use stoop_hil_tests::stand::{Board, Lab, Offer, Place, Wiring};
use tempfile::TempDir;

/// For a run on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(1800);

/// A lab of boards that only have a prompt, and the program under test.
struct Bench {
    lab: Lab,
    boards: Vec<Arc<Board>>,
    out: TempDir,
    program: PathBuf,
    tools: Tools,
}

impl Bench {
    /// So many places, split among so many exporters; `None` where labgrid is not installed.
    fn new(places: usize, exporters: usize) -> Result<Option<Bench>> {
        let tools = match Tools::cached() {
            Ok(tools) => tools,
            Err(failure) => return stoop_hil_tests::skip(&failure.to_string()).map(|()| None),
        };
        let mut all: Vec<Vec<Place>> = (0..exporters).map(|_| Vec::new()).collect();
        let mut boards = Vec::new();
        for number in 0..places {
            let board = Arc::new(Board::new(Box::new(Prompt::new("maltael #")), Wiring::Tcp)?);
            boards.push(Arc::clone(&board));
            let tags = [("arch", "mips"), ("board", "qemu-malta-le")];
            let tags = tags.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
            let name = format!("rack-{number:02}");
            all[number % exporters].push(Place { name, tags, board, offer: Offer::Raw, tftp: None });
        }
        let lab = Lab::start(&tools, &all)?;
        let out = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        Ok(Some(Bench { lab, boards, out, program: program()?, tools }))
    }

    /// Starts the suite's one test that needs no more than a prompt on every place.
    fn start(&self) -> Result<SharedChild> {
        self.start_with(&["--max-wait", "10m"])
    }

    fn start_with(&self, options: &[&str]) -> Result<SharedChild> {
        let mut command = Command::new(&self.program);
        command.args(["hil", "--all", "--place-filter", "arch=mips", "--jobs", "6", "--out"]).arg(self.out.path());
        command.args(options).arg("place::").env("LG_COORDINATOR", &self.lab.address).stdin(Stdio::null());
        SharedChild::spawn(&mut command).map_err(|error| Failure::new(format!("cannot start cargo ci: {error}")))
    }

    /// Its exit code.
    fn run(&self) -> Result<Option<i32>> {
        Bench::exit_code(&self.start()?)
    }

    fn exit_code(child: &SharedChild) -> Result<Option<i32>> {
        let status = child.wait_timeout(PATIENCE).map_err(|error| Failure::new(error.to_string()))?;
        let _ = child.kill();
        Ok(status.and_then(|status| status.code()))
    }

    fn client(&self) -> Client {
        Client::new(&self.tools, "observer").at(&self.lab.address)
    }

    /// The places that somebody has, and who.
    fn locked(&self) -> Result<Vec<String>> {
        let places = self.client().places()?;
        Ok(places.into_iter().filter_map(|place| Some(format!("{}: {}", place.name, place.acquired?))).collect())
    }

    fn on(&self) -> usize {
        self.boards.iter().filter(|board| board.is_on()).count()
    }

    /// Nobody has a place, and every board is off.
    fn assert_free(&self) -> Result<()> {
        assert_eq!(self.locked()?, [""; 0]);
        assert_eq!(self.on(), 0, "boards that were left on");
        Ok(())
    }

    /// The processes of this run's jobs.
    fn jobs(&self) -> Vec<Pid> {
        let own = self.out.path().display().to_string();
        let pids = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let is_job = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("\0hil-job\0") && line.contains(&own)
        };
        pids.filter(is_job).filter_map(Pid::from_raw).collect()
    }

    /// Waits until the first board is on: a job holds its place and uses it.
    fn wait_until_busy(&self) {
        assert!(self.boards[0].wait_until_on(PATIENCE), "the first place's board was never switched on");
    }

    /// Waits until nobody has a place: those who clean up are no children of ours.
    fn wait_until_free(&self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while !self.locked()?.is_empty() || self.on() > 0 {
            assert!(Instant::now() < until, "still locked: {:?}", self.locked()?);
        }
        Ok(())
    }
}

/// The program `cargo ci`, as it is now.
fn program() -> Result<PathBuf> {
    let mut build = stoop_ci::run::command("cargo");
    build.current_dir(stoop_ci::repository()).args(["build", "--quiet", "--package", "stoop-ci"]);
    stoop_ci::run::shown(&mut build)?;
    let own = std::env::current_exe().map_err(|error| Failure::new(error.to_string()))?;
    let folder = own.parent().and_then(|folder| folder.parent()).map(PathBuf::from).unwrap_or_default();
    Ok(folder.join("stoop-ci"))
}

/// How many places the large lab has: 50 by hand, fewer where time is short.
fn many() -> usize {
    std::env::var("STOOP_FANOUT").ok().and_then(|number| number.parse().ok()).unwrap_or(6)
}

/// The next of some numbers that look random.
fn next(seed: &mut u64) -> u64 {
    // xorshift64 (Marsaglia, 2003).
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[test]
fn every_place_is_used_and_is_free_and_off_afterwards() -> Result<()> {
    let Some(bench) = Bench::new(3, 1)? else { return Ok(()) };
    assert_eq!(bench.run()?, Some(0));
    for number in 0..3 {
        let folder = bench.out.path().join(format!("rack-{number:02}"));
        let junit = std::fs::read_to_string(folder.join("junit.xml")).map_err(|error| Failure::io(&folder, &error))?;
        assert!(junit.contains(r#"tests="1" skipped="0" errors="0" failures="0""#), "{junit}");
        assert!(junit.contains("U-Boot") || folder.join("boots.svg").exists(), "{junit}");
    }
    bench.assert_free()
}

/// Kills jobs, exporters and the coordinator while a run goes on. Places that are hit may be lost to the run, but no test counts
/// as failed, and nothing stays locked or on.
#[test]
fn whatever_is_killed_no_place_stays_locked_and_no_board_stays_on() -> Result<()> {
    let Some(bench) = Bench::new(many(), 2)? else { return Ok(()) };
    let mut seed = 0x5eed_u64 ^ u64::from(std::process::id());
    println!("seed {seed:#x}");
    let (mut jobs, mut exporters, mut coordinators) = (0, 0, 0);
    let run = bench.start()?;
    bench.wait_until_busy();
    let until = Instant::now() + PATIENCE;
    let status = loop {
        let pause = Duration::from_millis(500 + next(&mut seed) % 4000);
        if let Some(status) = run.wait_timeout(pause).map_err(|error| Failure::new(error.to_string()))? {
            break status;
        }
        assert!(Instant::now() < until, "the run does not end");
        match next(&mut seed) % 8 {
            0 if coordinators < 2 => {
                bench.lab.kill_coordinator();
                coordinators += 1;
            }
            1 | 2 if exporters < 4 => {
                bench.lab.kill_exporter((next(&mut seed) % 2) as usize);
                exporters += 1;
            }
            _ if jobs < many() / 3 => {
                let running = bench.jobs();
                if let Some(pid) = running.get(next(&mut seed) as usize % running.len().max(1)) {
                    jobs += usize::from(kill_process(*pid, Signal::KILL).is_ok());
                }
            }
            _ => {}
        }
    };
    println!("{} places; killed {jobs} jobs, {exporters} exporters, {coordinators} coordinators", many());
    assert!(matches!(status.code(), Some(0 | 75)), "{status}");
    bench.lab.wait_until_up()?;
    bench.assert_free()
}

#[test]
fn a_place_that_somebody_else_holds_is_waited_for_and_left_alone() -> Result<()> {
    let Some(bench) = Bench::new(1, 1)? else { return Ok(()) };
    let holder = bench.client().acting_as("anna");
    holder.acquire("rack-00")?;
    holder.power("rack-00", true)?;
    let held = bench.locked()?;
    assert_eq!(held.len(), 1);
    for (options, code) in [(&["--max-wait", "1s"][..], 75), (&["--max-wait", "1s", "--bisect"], 125)] {
        assert_eq!(Bench::exit_code(&bench.start_with(options)?)?, Some(code), "{options:?}");
        assert_eq!(bench.locked()?, held, "{options:?}");
        assert_eq!(bench.on(), 1, "{options:?}: the board was switched off");
    }
    assert_eq!(bench.client().call(&["reservations"], PATIENCE)?, "", "a reservation is left in the queue");
    Ok(())
}

#[test]
fn a_run_that_is_told_to_end_gives_its_places_back() -> Result<()> {
    let Some(bench) = Bench::new(2, 1)? else { return Ok(()) };
    let run = bench.start()?;
    bench.wait_until_busy();
    let pid = Pid::from_raw(run.id() as i32).ok_or_else(|| Failure::new("no process"))?;
    kill_process(pid, Signal::TERM).map_err(|error| Failure::new(error.to_string()))?;
    let status = run.wait_timeout(PATIENCE).map_err(|error| Failure::new(error.to_string()))?;
    assert_eq!(status.and_then(|status| status.code()), Some(130));
    bench.assert_free()
}

#[test]
fn the_jobs_of_a_run_that_is_killed_give_their_places_back() -> Result<()> {
    let Some(bench) = Bench::new(2, 1)? else { return Ok(()) };
    let run = bench.start()?;
    bench.wait_until_busy();
    run.kill().and_then(|()| run.wait()).map_err(|error| Failure::new(error.to_string()))?;
    bench.wait_until_free()
}

#[test]
fn what_a_run_left_behind_that_was_killed_with_its_jobs_is_cleaned_up_by_the_next() -> Result<()> {
    let Some(bench) = Bench::new(2, 1)? else { return Ok(()) };
    let run = bench.start()?;
    bench.wait_until_busy();
    // The run first: it would clean up behind its jobs.
    run.kill().and_then(|()| run.wait()).map_err(|error| Failure::new(error.to_string()))?;
    for pid in bench.jobs() {
        // One may have ended already.
        let _ = kill_process(pid, Signal::KILL);
    }
    assert!(!bench.locked()?.is_empty(), "a place is locked by a job that is gone");
    assert_eq!(bench.run()?, Some(0));
    bench.assert_free()
}
