//! A serial console: every byte kept, every line logged with its time, and bounded waits for what should appear.
//!
//! It runs over any pair of byte streams, so that an emulator, a serial port and a lab's socket are the same to a test.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use regex::bytes::{Regex, RegexBuilder};

use super::error::Error;
use crate::Result;
use crate::monitor::Monitor;
use crate::notes::Annotator;

/// Lines that end a wait early, since what was waited for cannot come any more. Each matches a whole line.
/// The shim's own errors are not among them: another slot may follow.
pub const FATAL: &[&str] = &[
    r"Kernel panic - [^\n]*\n",
    r"### ERROR ### Please RESET the board[^\n]*\n",
    r"TFTP error: [^\n]*\n",
    r"Retry count exceeded[^\n]*\n",
    r"Wrong Image Format[^\n]*\n",
    r"Bad (?:Magic Number|Header Checksum|Data CRC)[^\n]*\n",
    r"Unknown command '[^\n]*\n",
];

/// How many bytes of a match may have come before the newest: longer matches can be missed.
const LONGEST_MATCH: usize = 16 * 1024;

/// How much of the console's end goes into an error message, in lines.
const TAIL_LINES: usize = 16;

/// A console's log file: `[ssss.mmm] line`, the time that of the line's first byte since the log began.
#[derive(Clone)]
pub struct Log(Arc<Mutex<LogFile>>);

struct LogFile {
    file: File,
    began: Instant,
    line: Vec<u8>,
    line_began: Duration,
    annotator: Option<Box<dyn Annotator>>,
}

impl Log {
    /// Begins a log in a new, empty file.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(path: &Path) -> Result<Log> {
        let file = File::create(path).map_err(|error| stoop_image::Error::file(path, error))?;
        let began = Instant::now();
        let (line, line_began) = (Vec::new(), Duration::ZERO);
        Ok(Log(Arc::new(Mutex::new(LogFile { file, began, line, line_began, annotator: None }))))
    }

    /// The same log, in which the annotator sees every line of the board's and has its own below it, marked `--`.
    pub fn annotated(self, annotator: impl Annotator + 'static) -> Log {
        held(&self.0).annotator = Some(Box::new(annotator));
        self
    }

    /// Adds a line of our own, marked `--`: power switched, a command line.
    pub fn note(&self, text: &str) {
        let mut log = held(&self.0);
        log.end_line();
        let now = log.began.elapsed();
        log.write(now, format!("-- {text}").as_bytes());
    }

    fn add(&self, bytes: &[u8]) {
        held(&self.0).add(bytes);
    }

    fn end_line(&self) {
        held(&self.0).end_line();
    }
}

impl LogFile {
    fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.line.is_empty() {
                self.line_began = self.began.elapsed();
            }
            match byte {
                b'\n' => self.write_line(),
                b'\r' => {}
                _ => self.line.push(byte),
            }
        }
    }

    /// Ends a line that was begun, as when power goes.
    fn end_line(&mut self) {
        if !self.line.is_empty() {
            self.write_line();
        }
    }

    fn write_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        self.write(self.line_began, &line);
        let Some(annotator) = &mut self.annotator else { return };
        for text in annotator.line(&String::from_utf8_lossy(&line)).below {
            self.write(self.line_began, format!("-- {text}").as_bytes());
        }
    }

    fn write(&mut self, when: Duration, text: &[u8]) {
        let millis = when.as_millis();
        let mut line = format!("[{:04}.{:03}] ", millis / 1000, millis % 1000).into_bytes();
        line.extend_from_slice(text);
        line.push(b'\n');
        // A full disk must not end the boot that is being watched.
        let _ = self.file.write_all(&line);
    }
}

/// What an expectation found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen {
    /// Which of the patterns it was, counted from 0.
    pub which: usize,
    /// What came before it and after the match before.
    pub before: String,
    /// The matched text and its groups; a group that took no part is empty.
    pub groups: Vec<String>,
}

/// What the reading thread shares with the waiting one.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// As it came.
    bytes: Vec<u8>,
    text: Vec<u8>,
    /// The stream ended: nothing more can come.
    closed: bool,
    /// Nobody wants to wait any longer.
    interrupted: bool,
}

/// Ends a console's waits from another thread.
#[derive(Clone)]
pub struct Interrupter(Arc<Shared>);

impl Interrupter {
    /// Ends the wait that is going on and each one to come, as a failure.
    pub fn interrupt(&self) {
        held(&self.0.state).interrupted = true;
        self.0.changed.notify_all();
    }
}

/// A console being read. What a traced shim says comes as lines ([`crate::monitor`]). Carriage returns are left out, so that a line
/// ends the same way everywhere. What was matched is consumed: the next wait begins behind it.
pub struct Console {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
    writer: Box<dyn Write + Send>,
    consumed: usize,
    fatal: Vec<Regex>,
}

/// A lock that outlives a panic elsewhere: the text is append-only, so it is never half changed.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Console {
    /// Reads `from` in a thread of its own until it ends; what is sent goes `to`. Each byte is also written to `echo`, as it
    /// came, and to `log`.
    pub fn new(
        from: impl Read + Send + 'static,
        to: impl Write + Send + 'static,
        echo: Option<Box<dyn Write + Send>>,
        log: Option<Log>,
    ) -> Console {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let reader = std::thread::spawn(move || read(from, echo, log.as_ref(), &theirs));
        let fatal = FATAL.iter().map(|pattern| compile(pattern).expect("a constant pattern")).collect();
        Console { shared, reader: Some(reader), writer: Box::new(to), consumed: 0, fatal }
    }

    /// Replaces [`FATAL`]: the patterns that end every wait early. A wanted match that begins no later wins over them.
    ///
    /// # Errors
    /// A pattern is no regular expression.
    pub fn set_fatal(&mut self, patterns: &[&str]) -> Result<()> {
        self.fatal = patterns.iter().map(|pattern| compile(pattern)).collect::<Result<_>>()?;
        Ok(())
    }

    /// Leaves out [`FATAL`]: no line ends a wait early.
    pub fn clear_fatal(&mut self) {
        self.fatal.clear();
    }

    /// How many bytes have come.
    pub fn received(&self) -> usize {
        held(&self.shared.state).bytes.len()
    }

    /// Types these bytes.
    ///
    /// # Errors
    /// The other side is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer
            .write_all(bytes)
            .and_then(|()| self.writer.flush())
            .map_err(|source| Error::ConsoleWrite { source, tail: self.tail() }.into())
    }

    /// Waits for one pattern: see [`Console::expect_any`].
    ///
    /// # Errors
    /// As for [`Console::expect_any`].
    pub fn expect(&mut self, pattern: &str, timeout: Duration) -> Result<Seen> {
        self.expect_any(&[pattern], timeout)
    }

    /// Waits until one of the patterns (regular expressions; `^` and `$` are the ends of lines, which are `\n` alone) appears
    /// in what has not been consumed, and consumes up to its end. The earliest match wins.
    ///
    /// A match can end in the middle of a line that is still coming: let the pattern hold the line's end where that matters.
    ///
    /// # Errors
    /// No answer: `timeout` passed. Failed: a fatal line came first, or the console ended. Usage: a pattern is no regular
    /// expression. The message shows the console's last lines.
    pub fn expect_any(&mut self, patterns: &[&str], timeout: Duration) -> Result<Seen> {
        let wanted = patterns.iter().map(|pattern| compile(pattern)).collect::<Result<Vec<_>>>()?;
        let deadline = Instant::now() + timeout;
        let mut searched = self.consumed;
        let shared = Arc::clone(&self.shared);
        let mut state = held(&shared.state);
        loop {
            let from = searched.saturating_sub(LONGEST_MATCH).max(self.consumed);
            let found = earliest(&wanted, &state.text, from);
            let bad = earliest(&self.fatal, &state.text, from);
            if let Some((which, start, end)) = found
                && bad.is_none_or(|(_, bad_start, _)| start <= bad_start)
            {
                let groups = wanted[which].captures_at(&state.text, from).map_or_else(Vec::new, |captures| {
                    captures
                        .iter()
                        .map(|group| group.map_or_else(String::new, |group| text(group.as_bytes())))
                        .collect()
                });
                let before = text(&state.text[self.consumed..start]);
                self.consumed = end;
                return Ok(Seen { which, before, groups });
            }
            if let Some((_, start, end)) = bad {
                let line = text(&state.text[start..end]);
                let tail = tail(&state.text);
                self.consumed = end;
                return Err(Error::Fatal { line: line.trim().to_owned(), tail }.into());
            }
            searched = state.text.len();
            check_interrupted(&state)?;
            if state.closed {
                return Err(Error::ConsoleEnded { wanted: named(patterns), tail: tail(&state.text) }.into());
            }
            let now = Instant::now();
            if now >= deadline {
                let seconds = seconds(timeout);
                return Err(Error::TimedOut { seconds, wanted: named(patterns), tail: tail(&state.text) }.into());
            }
            state = shared.changed.wait_timeout(state, deadline - now).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// As [`Console::expect_any`], and consumes nothing.
    ///
    /// # Errors
    /// As for [`Console::expect_any`].
    pub fn peek_any(&mut self, patterns: &[&str], timeout: Duration) -> Result<Seen> {
        let consumed = self.consumed;
        let seen = self.expect_any(patterns, timeout);
        self.consumed = consumed;
        seen
    }

    /// What has come and was not consumed.
    pub fn pending(&self) -> String {
        text(&held(&self.shared.state).text[self.consumed..])
    }

    /// Waits until the other side closes the console (an emulator exits) and returns what had not been consumed.
    ///
    /// # Errors
    /// No answer: it is still open when `timeout` has passed.
    pub fn expect_end(&mut self, timeout: Duration) -> Result<String> {
        let deadline = Instant::now() + timeout;
        let shared = Arc::clone(&self.shared);
        let mut state = held(&shared.state);
        while !state.closed {
            check_interrupted(&state)?;
            let now = Instant::now();
            if now >= deadline {
                let seconds = seconds(timeout);
                return Err(Error::StillRunning { seconds, tail: tail(&state.text) }.into());
            }
            state = shared.changed.wait_timeout(state, deadline - now).unwrap_or_else(PoisonError::into_inner).0;
        }
        let rest = text(&state.text[self.consumed..]);
        self.consumed = state.text.len();
        Ok(rest)
    }

    /// Everything that has come so far, consumed or not, without carriage returns and with invalid UTF-8 replaced.
    pub fn transcript(&self) -> String {
        text(&held(&self.shared.state).text)
    }

    /// The bytes as they came, frames of a traced shim among them.
    pub fn bytes(&self) -> Vec<u8> {
        held(&self.shared.state).bytes.clone()
    }

    /// What ends the waits from another thread, as Ctrl-C does.
    pub fn interrupter(&self) -> Interrupter {
        Interrupter(Arc::clone(&self.shared))
    }

    /// Whether the other side has closed the console.
    pub fn is_closed(&self) -> bool {
        held(&self.shared.state).closed
    }

    /// Whether nothing can be typed: it is closed, or its port is gone and waited for.
    pub fn is_away(&mut self) -> bool {
        self.is_closed() || self.writer.flush().is_err()
    }

    /// The console's last lines as the end of an error message.
    pub fn tail(&self) -> String {
        tail(&held(&self.shared.state).text)
    }

    /// Waits for the reading thread, which ends with its stream: afterwards the log is complete.
    pub(super) fn join(&mut self) {
        if let Some(reader) = self.reader.take() {
            // A panic in it has already been printed; the text that came before is still good.
            let _ = reader.join();
        }
    }
}

/// As it was asked for: whole seconds, or milliseconds behind a point.
fn seconds(timeout: Duration) -> f64 {
    timeout.as_millis() as f64 / 1000.0
}

fn check_interrupted(state: &State) -> Result<()> {
    if state.interrupted { Err(Error::Interrupted.into()) } else { Ok(()) }
}

/// The reading thread.
fn read(mut from: impl Read, mut echo: Option<Box<dyn Write + Send>>, log: Option<&Log>, shared: &Shared) {
    let mut buffer = [0; 4096];
    let mut monitor = Monitor::default();
    let mut hear = |bytes: &[u8]| {
        // Who listens may go away (`stoop run … | head`); the wait goes on.
        if let Some(out) = &mut echo
            && out.write_all(bytes).and_then(|()| out.flush()).is_err()
        {
            echo = None;
        }
        if let Some(log) = log {
            log.add(bytes);
        }
        held(&shared.state).text.extend(bytes.iter().filter(|&&byte| byte != b'\r'));
        shared.changed.notify_all();
    };
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => {
                held(&shared.state).bytes.extend(&buffer[..count]);
                hear(&monitor.feed(&buffer[..count]));
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        }
    }
    hear(&monitor.end());
    if let Some(log) = log {
        log.end_line();
    }
    held(&shared.state).closed = true;
    shared.changed.notify_all();
}

fn compile(pattern: &str) -> Result<Regex> {
    RegexBuilder::new(pattern)
        .multi_line(true)
        .build()
        .map_err(|reason| Error::Pattern { pattern: pattern.to_owned(), reason }.into())
}

/// Which pattern matches first at or behind `from`, and where.
fn earliest(patterns: &[Regex], text: &[u8], from: usize) -> Option<(usize, usize, usize)> {
    let matches = patterns
        .iter()
        .enumerate()
        .filter_map(|(which, pattern)| pattern.find_at(text, from).map(|found| (which, found.start(), found.end())));
    matches.min_by_key(|&(_, start, _)| start)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn named(patterns: &[&str]) -> String {
    patterns.iter().map(|pattern| format!("`{pattern}`")).collect::<Vec<_>>().join(" or ")
}

fn tail(all: &[u8]) -> String {
    let all = text(&all[all.len().saturating_sub(LONGEST_MATCH)..]);
    let lines: Vec<&str> = all.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return "; the console was silent".to_owned();
    }
    let last = lines[lines.len().saturating_sub(TAIL_LINES)..].iter().map(|line| format!("\n  | {}", line.trim_end()));
    format!("; the console's last lines:{}", last.collect::<String>())
}

#[cfg(test)]
mod tests;
