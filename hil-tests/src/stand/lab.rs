//! A labgrid on loopback: its coordinator, exporters, and places for boards. What ends is started again, as a service manager
//! does it in a real lab, so that tests can kill what they like.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};
use shared_child::SharedChild;
use stoop_ci::labgrid::Tools;
use stoop_ci::{Failure, Result};
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
        let address = format!("127.0.0.1:{}", free_port()?);
        let command = {
            let (tools, folder, address) = (tools.clone(), work.path().to_owned(), address.clone());
            move || {
                let mut command = tools.command("labgrid-coordinator");
                command.current_dir(&folder).args(["-l", &address]);
                command
            }
        };
        let coordinator = Kept::start(command, "Coordinator ready", &work.path().join("coordinator.log"))?;
        let mut lab = Lab { address, coordinator, exporters: Vec::new(), work };
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
        self.coordinator.kill();
    }

    /// Kills the exporter of that number; it comes again.
    pub fn kill_exporter(&self, number: usize) {
        if let Some(exporter) = self.exporters.get(number) {
            exporter.kill();
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

/// One that was free a moment ago: labgrid's coordinator cannot tell which one it took.
fn free_port() -> Result<u16> {
    let io = |error: std::io::Error| Failure::new(format!("no free TCP port: {error}"));
    Ok(TcpListener::bind(("127.0.0.1", 0)).map_err(io)?.local_addr().map_err(io)?.port())
}

/// A program that is started again when it ends.
struct Kept {
    child: Arc<Mutex<Arc<SharedChild>>>,
    /// Dropped: it stays ended.
    stop: Option<Sender<()>>,
    keeper: Option<JoinHandle<()>>,
}

/// Between two starts of a program that ends at once.
const PAUSE: Duration = Duration::from_millis(500);

impl Kept {
    /// Starts it, and returns when it has printed `ready`.
    fn start(command: impl Fn() -> Command + Send + 'static, ready: &'static str, log: &Path) -> Result<Kept> {
        let log = File::create(log).map_err(|error| Failure::io(log, &error))?;
        let (stop, stopped) = channel();
        let (started, first) = channel();
        let keeper = std::thread::spawn(move || keep(&command, ready, &log, &started, &stopped));
        let child = first.recv().map_err(|_| Failure::new("a program of the lab cannot be kept"))??;
        let kept = Kept { child, stop: Some(stop), keeper: Some(keeper) };
        match first.recv_timeout(PATIENCE) {
            Ok(_) => Ok(kept),
            Err(_) => Err(Failure::no_answer(format!("a program of the lab did not say `{ready}`"))),
        }
    }

    fn kill(&self) {
        // It fails only when it has already ended.
        let _ = held(&self.child).kill();
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stop = None;
        self.kill();
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}

type Running = Arc<Mutex<Arc<SharedChild>>>;

/// The keeping thread: sends the first child, or why there is none, and the same again when it is ready.
fn keep(
    command: &dyn Fn() -> Command,
    ready: &'static str,
    log: &File,
    started: &Sender<Result<Running>>,
    stopped: &Receiver<()>,
) {
    let mut running: Option<Running> = None;
    loop {
        match spawn(command(), ready, log, started, running.as_ref()) {
            Ok((child, now)) => {
                if running.is_none() {
                    let _ = started.send(Ok(Arc::clone(&now)));
                }
                running = Some(now);
                let _ = child.wait();
            }
            Err(failure) if running.is_none() => return drop(started.send(Err(failure))),
            Err(_) => {}
        }
        if stopped.recv_timeout(PAUSE) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

fn spawn(
    command: Command,
    ready: &'static str,
    log: &File,
    started: &Sender<Result<Running>>,
    running: Option<&Running>,
) -> Result<(Arc<SharedChild>, Running)> {
    let io = |error: std::io::Error| Failure::new(format!("cannot start a program of the lab: {error}"));
    let (from, to) = std::io::pipe().map_err(io)?;
    // It ends with this thread, which stays as long as the lab does.
    let mut whole = stoop_ci::run::bound(&command);
    whole.stdin(std::process::Stdio::null()).stdout(to.try_clone().map_err(io)?).stderr(to);
    let child = Arc::new(SharedChild::spawn(&mut whole).map_err(io)?);
    drop(whole);
    let running = match running {
        Some(running) => {
            *held(running) = Arc::clone(&child);
            Arc::clone(running)
        }
        None => Arc::new(Mutex::new(Arc::clone(&child))),
    };
    let (mut log, started, told) = (log.try_clone().map_err(io)?, started.clone(), Arc::clone(&running));
    std::thread::spawn(move || {
        use std::io::{BufRead, BufReader, Write};
        for line in BufReader::new(from).lines().map_while(std::result::Result::ok) {
            let _ = writeln!(log, "{line}");
            if line.contains(ready) {
                let _ = started.send(Ok(Arc::clone(&told)));
            }
        }
    });
    Ok((child, running))
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
