//! A labgrid on loopback: its coordinator, exporters, and places for boards. What ends is started again, as a service manager
//! does it in a real lab, so that tests can kill what they like.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use shared_child::SharedChild;
use stoop_ci::labgrid::Tools;
use stoop_ci::{Failure, Result};
use stoop_samples::machine::Port;
use tempfile::TempDir;

use super::Board;

/// How labgrid's exporter offers a console.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Offer {
    /// The board's own TCP port, bytes as they are.
    Raw,
    /// The board's serial port by ser2net: RFC 2217, only while the place is acquired.
    Rfc2217,
}

/// A place of the lab.
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its tags, as filters and tests see them.
    pub tags: Vec<(String, String)>,
    /// What is there.
    pub board: Arc<Board>,
    /// How its console is offered.
    pub offer: Offer,
    /// The folder from which it can fetch files by TFTP, and the server's address as it sees it.
    pub tftp: Option<(PathBuf, String)>,
}

/// The lab. Dropping it ends its processes; the boards stay as they are.
pub struct Lab {
    /// Its coordinator, `HOST:PORT`: what `LG_COORDINATOR` wants.
    pub address: String,
    coordinator: Kept,
    exporters: Vec<Kept>,
    work: TempDir,
    /// The coordinator's, which is not another program's while it is started again.
    _port: Port,
}

/// For a Python program to start on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(120);

impl Lab {
    /// Starts it: an exporter for each list of places.
    ///
    /// # Errors
    /// One of its programs does not come up.
    pub fn start(tools: &Tools, exporters: &[Vec<Place>]) -> Result<Lab> {
        let work = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let places = exporters.iter().flatten().map(|place| (place.name.clone(), as_place(place)));
        write(&work.path().join("places.yaml"), &places.collect())?;
        let port = Port::new().map_err(|error| Failure::new(format!("no free TCP port: {error}")))?;
        let address = port.address().to_string();
        let command = {
            let (tools, folder, address) = (tools.clone(), work.path().to_owned(), address.clone());
            move || {
                let mut command = tools.command("labgrid-coordinator");
                command.current_dir(&folder).args(["-l", &address]);
                command
            }
        };
        let coordinator = Kept::start(command, "Coordinator ready", &work.path().join("coordinator.log"))?;
        let mut lab = Lab { address, coordinator, exporters: Vec::new(), work, _port: port };
        for (number, places) in exporters.iter().enumerate() {
            lab.add_exporter(tools, number, places)?;
        }
        Ok(lab)
    }

    fn add_exporter(&mut self, tools: &Tools, number: usize, places: &[Place]) -> Result<()> {
        let folder = self.work.path();
        let (name, config) = (format!("stand{number}"), folder.join(format!("exporter{number}.yaml")));
        let resources = places.iter().map(|place| Ok((place.name.clone(), as_resources(place)?)));
        write(&config, &resources.collect::<Result<_>>()?)?;
        let log = folder.join(format!("{name}.log"));
        let (tools, address) = (tools.clone(), self.address.clone());
        let command = move || {
            let mut command = tools.command("labgrid-exporter");
            command.args(["-c", &address, "-n", &name, "--hostname", "127.0.0.1"]).arg(&config);
            command
        };
        self.exporters.push(Kept::start(command, "connected to coordinator", &log)?);
        Ok(())
    }

    /// Kills the coordinator, as a crash would; it comes again, and has forgotten who had which place.
    pub fn kill_coordinator(&self) {
        self.coordinator.program.kill();
    }

    /// Waits until the coordinator can be asked, which takes seconds after it was killed.
    ///
    /// # Errors
    /// It does not come up.
    pub fn wait_until_up(&self) -> Result<()> {
        self.coordinator.program.wait_until_ready()
    }

    /// Kills the exporter of that number; it comes again.
    pub fn kill_exporter(&self, number: usize) {
        if let Some(exporter) = self.exporters.get(number) {
            exporter.program.kill();
        }
    }

    /// Where the programs' logs are until it is dropped.
    pub fn logs(&self) -> &Path {
        self.work.path()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The coordinator last: an exporter that loses it complains.
        self.exporters.clear();
    }
}

/// As the coordinator keeps it (labgrid 26.0.1, `labgrid/remote/common.py`, class Place).
fn as_place(place: &Place) -> Value {
    let tags: serde_json::Map<_, _> = place.tags.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
    let matches = json!([{"exporter": "*", "group": place.name, "cls": "*", "name": null, "rename": null}]);
    json!({"aliases": [], "comment": "", "tags": tags, "matches": matches})
}

/// As an exporter's configuration file has it.
fn as_resources(place: &Place) -> Result<Value> {
    let mut resources = serde_json::Map::new();
    let address = place.board.console.strip_prefix("tcp://").and_then(|address| address.rsplit_once(':'));
    let (class, console) = match (place.offer, address) {
        (Offer::Raw, Some((host, port))) => {
            let port: u16 = port.parse().map_err(|_| Failure::new(format!("{port} is no port")))?;
            let fields = json!({"host": host, "port": port, "speed": 115_200, "protocol": "raw"});
            ("NetworkSerialPort", fields)
        }
        (Offer::Rfc2217, None) => ("RawSerialPort", json!({"port": place.board.console, "speed": 115_200})),
        _ => {
            return Err(Failure::new(format!("{}: a TCP console is raw, a serial port RFC 2217", place.name)));
        }
    };
    resources.insert(class.into(), console);
    let relay = json!({"model": "rest", "host": place.board.relay_url(), "index": 1});
    resources.insert("NetworkPowerPort".into(), relay);
    if let Some((folder, server)) = &place.tftp {
        let external = format!("tftp://{server}/");
        let internal = format!("{}/", folder.display());
        resources.insert("TFTPProvider".into(), json!({"internal": internal, "external": external}));
    }
    Ok(resources.into())
}

/// JSON, which is YAML.
fn write(path: &Path, values: &serde_json::Map<String, Value>) -> Result<()> {
    let text = serde_json::to_string_pretty(values).map_err(|error| Failure::new(error.to_string()))?;
    std::fs::write(path, text).map_err(|error| Failure::io(path, &error))
}

/// A program that is started again when it ends.
struct Kept {
    program: Arc<Program>,
    keeper: Option<JoinHandle<()>>,
}

/// Between two starts of a program that ends at once.
const PAUSE: Duration = Duration::from_millis(500);

impl Kept {
    /// Starts it, and returns when it has printed `ready`.
    fn start(command: impl Fn() -> Command + Send + 'static, ready: &'static str, log: &Path) -> Result<Kept> {
        let log = File::create(log).map_err(|error| Failure::io(log, &error))?;
        let program = Arc::new(Program { ready, log, run: Mutex::default(), changed: Condvar::new() });
        let runs = Arc::clone(&program);
        let keeper = std::thread::spawn(move || {
            loop {
                runs.run(&command());
                if runs.is_over_after(PAUSE) {
                    return;
                }
            }
        });
        let kept = Kept { program, keeper: Some(keeper) };
        kept.program.wait_until_ready()?;
        Ok(kept)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.program.change(|run| run.over = true);
        self.program.kill();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

/// What the keeping thread, the readers of the program's output and the tests share.
struct Program {
    /// What it prints when it can be used.
    ready: &'static str,
    log: File,
    run: Mutex<Run>,
    changed: Condvar,
}

/// The present run of a program.
#[derive(Default)]
struct Run {
    /// `None`: it has not been started again yet.
    child: Option<Arc<SharedChild>>,
    ready: bool,
    /// Why it could not be started.
    failure: Option<Failure>,
    /// It is not to be started again.
    over: bool,
}

impl Program {
    /// Runs it once.
    fn run(self: &Arc<Program>, command: &Command) {
        match self.spawn(command) {
            // It fails only when it has been waited for already.
            Ok(child) => drop(child.wait()),
            Err(failure) => self.change(|run| run.failure = Some(failure)),
        }
        self.change(|run| {
            run.child = None;
            run.ready = false;
        });
    }

    fn spawn(self: &Arc<Program>, command: &Command) -> Result<Arc<SharedChild>> {
        let io = |error: std::io::Error| Failure::new(format!("cannot start a program of the lab: {error}"));
        let (from, to) = std::io::pipe().map_err(io)?;
        // It ends with this thread, which stays as long as the lab does.
        let mut command = stoop_ci::run::bound(command);
        command.stdin(std::process::Stdio::null()).stdout(to.try_clone().map_err(io)?).stderr(to);
        let child = Arc::new(SharedChild::spawn(&mut command).map_err(io)?);
        drop(command);
        self.change(|run| {
            run.child = Some(Arc::clone(&child));
            if run.over {
                // It fails only when it has already ended.
                let _ = child.kill();
            }
        });
        let (program, own) = (Arc::clone(self), Arc::clone(&child));
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(std::result::Result::ok) {
                let _ = writeln!(&program.log, "{line}");
                if line.contains(program.ready) {
                    // Not when it was killed meanwhile.
                    program.change(|run| run.ready |= run.child.as_ref().is_some_and(|child| Arc::ptr_eq(child, &own)));
                }
            }
        });
        Ok(child)
    }

    /// Kills it, if it runs. From here on it is not ready, even before its end is seen.
    fn kill(&self) {
        self.change(|run| {
            // It fails only when it has already ended.
            let _ = run.child.take().map(|child| child.kill());
            run.ready = false;
        });
    }

    fn wait_until_ready(&self) -> Result<()> {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = |run: &mut Run| !run.ready && run.failure.is_none();
        let waited = self.changed.wait_timeout_while(run, PATIENCE, waiting);
        let (mut run, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match run.failure.take() {
            Some(failure) => Err(failure),
            None if run.ready => Ok(()),
            None => Err(Failure::no_answer(format!("a program of the lab did not say `{}`", self.ready))),
        }
    }

    /// Whether it is not to be started again, waiting so long for that.
    fn is_over_after(&self, pause: Duration) -> bool {
        let run = self.run.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(run, pause, |run| !run.over);
        waited.unwrap_or_else(PoisonError::into_inner).0.over
    }

    fn change(&self, change: impl FnOnce(&mut Run)) {
        change(&mut self.run.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}
