//! `stoop monitor`: a board's console, from a serial port, a console server, a file or a pipe. What is known of its lines is said
//! beside them: what a traced shim says, what a code means, what the addresses of an oops are.

mod crash;
pub(super) mod desk;
pub(super) mod keyboard;
pub(super) mod screen;

use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::Result;
use crate::command::Error;
use signal_hook::iterator::Signals;
use stoop_image::output::Output;
use stoop_lab::connection::{self, Address, Connection, Event, Options};
use stoop_lab::power::{self, OFF_TIME, Supply};
use stoop_lab::terminal::{self, Ended, Happening, Log, Recording, Session, Verdict, Watch};

use desk::Desk;

use super::stdin::stdin_once;
use crate::{ending, json, ui};

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop monitor --serial /dev/ttyUSB0 --vmlinux vmlinux --log console.log")]
pub struct Args {
    /// A console's bytes as they came; - for stdin
    #[arg(required_unless_present = "serial")]
    file: Option<PathBuf>,
    /// The console: a device, tcp://HOST:PORT, rfc2217://HOST:PORT or exec:COMMAND. What is typed goes to it; Ctrl-] q leaves
    #[arg(long, visible_alias = "port", value_name = "ADDRESS", conflicts_with = "file")]
    serial: Option<String>,
    /// The port's speed
    #[arg(long, value_name = "BAUD", default_value_t = 115_200, requires = "serial")]
    speed: u32,
    /// How to switch the board's power, for Ctrl-] r: see `stoop power --help`
    #[arg(long, value_name = "SUPPLY", requires = "serial")]
    power: Option<Supply>,
    /// The kernel's ELF or its System.map (- for stdin, with --serial): addresses of an oops become functions, with debug information files and lines
    #[arg(long, value_name = "FILE")]
    vmlinux: Option<PathBuf>,
    /// Put the time since the start in front of each line
    #[arg(short, long)]
    times: bool,
    /// Add both directions to this file, each line with its time
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Record what is shown for asciinema (asciicast version 2)
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Keep the logs of a crash (pstore) that a boot prints between marks, as files in this folder: see docs/console.md
    #[arg(long, value_name = "FOLDER")]
    crash_log: Option<PathBuf>,
    /// End with exit code 0 when this regular expression matches
    #[arg(long, value_name = "REGEX")]
    until: Vec<String>,
    /// End with exit code 1 when this regular expression matches
    #[arg(long, value_name = "REGEX")]
    fail_on: Vec<String>,
    /// End after this many seconds, with exit code 3 if --until has not matched
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Print each line as JSON
    #[arg(long, conflicts_with = "record")]
    json: bool,
}

/// How long a reading thread may take to notice that nobody wants more.
const NOTICE: Duration = Duration::from_millis(100);

/// Shows it.
///
/// # Errors
/// The console cannot be read, what was waited for does not come, or what must not come does.
pub fn run(args: &Args) -> Result<()> {
    stdin_once(args.file.iter().chain(&args.vmlinux))?;
    keep_apart(args)?;
    let watch = Watch::new(&args.until, &args.fail_on, args.timeout.map(Duration::from_secs))?;
    let wanted = (!args.until.is_empty()).then(|| watch.wanted());
    let mut screen = screen::explained(args.times, !args.json, args.vmlinux.as_deref())?;
    if let Some(folder) = &args.crash_log {
        screen.annotate(crash::logs(folder)?);
    }
    let (sender, happenings) = mpsc::channel();
    on_signals(sender.clone())?;
    let source = Source::open(args, &sender)?;
    let reset = || Ok(power::open(args.power.as_ref().ok_or(terminal::Error::NoPower)?)?.cycle(OFF_TIME)?);
    let mut board = Desk { sender: source.sender.clone(), reset };
    let name = source.name.clone();
    let log = args.log.as_deref().map(|path| Log::begin(path, &name)).transpose()?;
    let size = crossterm::terminal::size().unwrap_or((80, 24));
    let recording = args.record.as_deref().map(|path| Recording::begin(path, size, &name)).transpose()?;
    let raw = if source.sender.is_some() { greet(&name, args.speed, sender)? } else { None };

    let mut out: Box<dyn Write> =
        if args.json { Box::new(json::ConsoleLines::default()) } else { Box::new(io::stdout().lock()) };
    let mut session = Session::new(screen, watch, &mut board, &mut *out);
    if let Some(log) = log {
        session = session.with_log(log);
    }
    if let Some(recording) = recording {
        session = session.with_recording(recording);
    }
    let ended = session.run(&happenings);
    // A line without an end is shown too.
    drop(out);
    // The terminal is the shell's again before anything is said on it.
    drop(raw);
    source.close();
    outcome(ended?, wanted.as_deref())
}

/// What is written is neither what is read nor the other thing that is written.
fn keep_apart(args: &Args) -> Result<()> {
    let inputs = || args.file.iter().chain(&args.vmlinux).map(PathBuf::as_path);
    for output in args.log.iter().chain(&args.record) {
        Output::new(output, inputs())?;
    }
    match (&args.log, &args.record) {
        (Some(log), Some(record)) if log == record => Err(Error::OneFile { path: log.clone() }.into()),
        _ => Ok(()),
    }
}

/// Says how to leave; with a terminal the keyboard goes to the board from now on.
fn greet(name: &str, speed: u32, sender: Sender<Happening>) -> Result<Option<keyboard::Raw>> {
    if !io::stdin().is_terminal() {
        ui::tell(format_args!("reading {name} at {speed} baud; Ctrl-C ends it"));
        return Ok(None);
    }
    keyboard::attach(name, speed, sender).map(Some)
}

/// What comes from the console, in a thread of its own.
struct Source {
    name: String,
    /// Of a console that takes what is typed.
    sender: Option<connection::Sender>,
    /// To end the thread; one that reads a file or a pipe ends with the process.
    reader: Option<(JoinHandle<()>, Arc<AtomicBool>)>,
}

impl Source {
    fn open(args: &Args, to: &Sender<Happening>) -> Result<Source> {
        if let Some(address) = &args.serial {
            let address: Address = address.parse().map_err(stoop_lab::Error::Connection)?;
            let options = Options { speed: args.speed, reopen: Some(Duration::MAX) };
            let connection = Connection::open(&address, options).map_err(stoop_lab::Error::Connection)?;
            return Ok(Source::of(connection, address.to_string(), to.clone()));
        }
        let path = args.file.as_deref().unwrap_or(Path::new("-"));
        let (from, name): (Box<dyn Read + Send>, _) = match path.to_str() {
            Some("-") => (Box::new(io::stdin()), "stdin".to_owned()),
            _ => {
                let file = File::open(path).map_err(|error| crate::Error::file(path, error))?;
                // A folder opens, and fails to be read.
                if file.metadata().is_ok_and(|there| there.is_dir()) {
                    return Err(crate::Error::file(path, ErrorKind::IsADirectory.into()));
                }
                (Box::new(file), path.display().to_string())
            }
        };
        let to = to.clone();
        thread::spawn(move || read(from, &to));
        Ok(Source { name, sender: None, reader: None })
    }

    fn of(connection: Connection, name: String, to: Sender<Happening>) -> Source {
        let sender = Some(connection.sender());
        let is_over = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&is_over);
        let reader = thread::spawn(move || {
            while !theirs.load(Ordering::Relaxed) {
                let Some(event) = connection.next(NOTICE) else { continue };
                let is_last = matches!(event, Event::Closed(_));
                if to.send(Happening::Console(event)).is_err() || is_last {
                    return;
                }
            }
        });
        Source { name, sender, reader: Some((reader, is_over)) }
    }

    /// Gives the port back.
    fn close(self) {
        if let Some((reader, is_over)) = self.reader {
            is_over.store(true, Ordering::Relaxed);
            // A panic in it was printed already.
            let _ = reader.join();
        }
    }
}

fn read(mut from: impl Read, to: &Sender<Happening>) {
    let mut buffer = [0; 4096];
    loop {
        let event = match from.read(&mut buffer) {
            Ok(0) => Event::Closed(None),
            Ok(count) => Event::Bytes(buffer[..count].to_vec()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => Event::Closed(None),
        };
        let is_last = matches!(event, Event::Closed(_));
        if to.send(Happening::Console(event)).is_err() || is_last {
            return;
        }
    }
}

fn on_signals(sender: Sender<Happening>) -> Result<()> {
    ending::hand_over();
    let mut signals = Signals::new(ending::signals()).map_err(|error| Error::NoSignals { source: error })?;
    thread::spawn(move || {
        for _ in signals.forever() {
            let _ = sender.send(Happening::Interrupted);
        }
    });
    Ok(())
}

/// What the way it ended means for who called.
fn outcome(ended: Ended, wanted: Option<&str>) -> Result<()> {
    match (ended, wanted) {
        (Ended::Watched(Verdict::Failed(text)), _) => Err(Error::ConsoleSays { line: text.trim().to_owned() }.into()),
        (Ended::Watched(Verdict::TimedOut(patience)), Some(wanted)) => {
            Err(Error::TimedOut { seconds: patience.as_secs(), missed: format!(" without {wanted}") }.into())
        }
        (Ended::Closed(Some(error)), _) => Err(stoop_lab::Error::Connection(error).into()),
        (Ended::Closed(None), Some(wanted)) => Err(Error::ConsoleEnded { wanted: wanted.to_owned() }.into()),
        (Ended::Interrupted, Some(_)) => Err(Error::Interrupted.into()),
        (Ended::Quit | Ended::Interrupted | Ended::Watched(_) | Ended::Closed(None), _) => Ok(()),
    }
}
