//! One sitting at a board's console: what comes is shown, kept and watched, what is typed is sent.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::keys::{Answer, Asking, HELP, Key, Keys};
use super::{Error, Log, Recording, Screen, Verdict, Watch};
use crate::connection::{self, Event};
use crate::monitor::Monitor;
use crate::text::shown;
use crate::{Explained, Result};

/// What can happen.
#[derive(Debug)]
pub enum Happening {
    /// On the console.
    Console(Event),
    /// At the keyboard.
    Typed(Vec<u8>),
    /// The user or the system wants the process to end.
    Interrupted,
}

/// How a sitting ended.
#[derive(Debug)]
pub enum Ended {
    /// The user left, or whoever read the output did.
    Quit,
    /// Ctrl-C, or the system.
    Interrupted,
    /// A pattern was seen, or time was over.
    Watched(Verdict),
    /// The other end closed the console.
    Closed(Option<connection::Error>),
}

/// What a sitting does to the board.
pub trait Board {
    /// Sends all of it.
    ///
    /// # Errors
    /// The console takes nothing.
    fn send(&mut self, bytes: &[u8]) -> Result<()>;

    /// Sends a break.
    ///
    /// # Errors
    /// This kind of console has none.
    fn send_break(&mut self) -> Result<()>;

    /// Switches its power off and on.
    ///
    /// # Errors
    /// Nobody said how, or it does not work.
    fn reset(&mut self) -> Result<()>;
}

/// How long nothing comes before what is held is shown.
const MOMENT: Duration = Duration::from_millis(20);

/// Bytes of a file that are sent before the console is looked at again.
const PIECE: usize = 256;

/// A sitting.
pub struct Session<'a> {
    screen: Screen,
    watch: Watch,
    log: Option<Log>,
    recording: Option<Recording>,
    board: &'a mut dyn Board,
    out: &'a mut dyn Write,
    began: Instant,
    trace: Monitor,
    keys: Keys,
    asking: Option<Asking>,
    /// What is left of a file that is being sent, and its length.
    sending: Option<(Vec<u8>, usize)>,
}

/// Whoever reads the output has gone.
struct Gone;

impl<'a> Session<'a> {
    /// Shows the console on `out` by `screen` until `watch` ends it.
    pub fn new(screen: Screen, watch: Watch, board: &'a mut dyn Board, out: &'a mut dyn Write) -> Session<'a> {
        Session {
            screen,
            watch,
            log: None,
            recording: None,
            board,
            out,
            began: Instant::now(),
            trace: Monitor::default(),
            keys: Keys::default(),
            asking: None,
            sending: None,
        }
    }

    /// Keeps what happens in `log`.
    #[must_use]
    pub fn with_log(mut self, log: Log) -> Self {
        self.log = Some(log);
        self
    }

    /// Keeps what is shown in `recording`.
    #[must_use]
    pub fn with_recording(mut self, recording: Recording) -> Self {
        self.recording = Some(recording);
        self
    }

    /// Goes on until something ends it, and completes log and recording.
    ///
    /// # Errors
    /// Log or recording cannot be written, or the output cannot.
    pub fn run(mut self, happenings: &Receiver<Happening>) -> Result<Ended> {
        let ended = self.go(happenings);
        let rest = self.screen.end();
        let last = self.show(&rest);
        let at = self.began.elapsed();
        let log = self.log.take().map_or(Ok(()), |log| log.end(at));
        let recording = self.recording.take().map_or(Ok(()), Recording::end);
        let ended = ended?;
        // Whoever reads the output may have gone.
        let _ = last?;
        log.and(recording)?;
        Ok(ended)
    }

    fn go(&mut self, happenings: &Receiver<Happening>) -> Result<Ended> {
        loop {
            let ended = match self.next(happenings) {
                Some(Happening::Console(event)) => self.console(event)?,
                Some(Happening::Typed(bytes)) => self.typed(&bytes)?,
                Some(Happening::Interrupted) => Some(Ended::Interrupted),
                None => self.idle()?,
            };
            if let Some(ended) = ended {
                return Ok(ended);
            }
            self.send_piece()?;
            if let Some(verdict) = self.watch.timed_out(self.began.elapsed()) {
                return Ok(Ended::Watched(verdict));
            }
        }
    }

    /// The next thing that happens; nothing, if that takes longer than somebody can wait.
    fn next(&self, happenings: &Receiver<Happening>) -> Option<Happening> {
        let wait = match (&self.sending, self.screen.is_holding()) {
            (Some(_), _) => Some(Duration::ZERO),
            (None, true) => Some(MOMENT),
            (None, false) => None,
        };
        let wait = [wait, self.watch.left(self.began.elapsed())].into_iter().flatten().min();
        let closed = || Happening::Console(Event::Closed(None));
        match wait {
            None => Some(happenings.recv().unwrap_or_else(|_| closed())),
            Some(wait) => match happenings.recv_timeout(wait) {
                Ok(happening) => Some(happening),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(closed()),
            },
        }
    }

    fn console(&mut self, event: Event) -> Result<Option<Ended>> {
        match event {
            Event::Bytes(bytes) => {
                let bytes = self.trace.feed(&bytes);
                self.received(&bytes)
            }
            Event::Vanished(reason) => self.note(&format!("the console is gone ({}); waiting for it", shown(&reason))),
            Event::Back => self.note("the console is back; what the board said meanwhile is lost"),
            Event::Closed(error) => {
                let rest = self.trace.end();
                let ended = self.received(&rest)?;
                Ok(Some(ended.unwrap_or(Ended::Closed(error))))
            }
        }
    }

    fn received(&mut self, bytes: &[u8]) -> Result<Option<Ended>> {
        let at = self.began.elapsed();
        if let Some(log) = &mut self.log {
            log.received(bytes, at)?;
        }
        let out = self.screen.feed(bytes, at);
        if let Err(Gone) = self.show(&out)? {
            return Ok(Some(Ended::Quit));
        }
        Ok(self.watch.feed(bytes).map(Ended::Watched))
    }

    fn idle(&mut self) -> Result<Option<Ended>> {
        let out = self.screen.idle();
        self.shown(&out)
    }

    fn note(&mut self, text: &str) -> Result<Option<Ended>> {
        if let Some(log) = &mut self.log {
            log.note(text, self.began.elapsed())?;
        }
        let out = self.screen.note(text);
        self.shown(&out)
    }

    fn shown(&mut self, bytes: &[u8]) -> Result<Option<Ended>> {
        Ok(self.show(bytes)?.err().map(|Gone| Ended::Quit))
    }

    fn show(&mut self, bytes: &[u8]) -> Result<std::result::Result<(), Gone>> {
        if let Some(recording) = &mut self.recording {
            recording.shown(bytes, self.began.elapsed())?;
        }
        match self.out.write_all(bytes).and_then(|()| self.out.flush()) {
            Ok(()) => Ok(Ok(())),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Err(Gone)),
            Err(error) => Err(Error::Output(error).into()),
        }
    }

    fn typed(&mut self, bytes: &[u8]) -> Result<Option<Ended>> {
        let mut plain = Vec::new();
        for &byte in bytes {
            let ended = match &mut self.asking {
                Some(asking) => {
                    let answer = asking.feed(byte);
                    self.answered(answer)?
                }
                None => match self.keys.feed(byte) {
                    Some(Key::Byte(byte)) => {
                        plain.push(byte);
                        None
                    }
                    Some(key) => {
                        let ended = self.send(&std::mem::take(&mut plain))?;
                        ended.or(self.key(key)?)
                    }
                    None => None,
                },
            };
            if ended.is_some() {
                return Ok(ended);
            }
        }
        self.send(&plain)
    }

    fn answered(&mut self, answer: Answer) -> Result<Option<Ended>> {
        if !matches!(answer, Answer::More(_)) {
            self.asking = None;
        }
        match answer {
            Answer::More(echo) => self.shown(&echo),
            Answer::Line(name) => self.send_file(&name),
            Answer::None => self.note("nothing is sent"),
        }
    }

    fn key(&mut self, key: Key) -> Result<Option<Ended>> {
        match key {
            Key::Quit => Ok(Some(Ended::Quit)),
            Key::Byte(byte) => self.send(&[byte]),
            Key::Break => {
                let sent = self.board.send_break();
                self.done(sent, "break sent")
            }
            Key::Reset => {
                let reset = self.board.reset();
                self.done(reset, "power was off and is on")
            }
            Key::SendFile => {
                self.asking = Some(Asking::default());
                let mut out = self.screen.note("send which file? (Enter alone: none)");
                out.extend(b"> ");
                self.shown(&out)
            }
            Key::Help => {
                let mut ended = None;
                for line in HELP {
                    ended = ended.or(self.note(line)?);
                }
                Ok(ended)
            }
            Key::Unknown(byte) => {
                let key = shown(&char::from(byte).to_string());
                self.note(&format!("Ctrl-] {key} means nothing; Ctrl-] ? shows the keys"))
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<Option<Ended>> {
        if bytes.is_empty() {
            return Ok(None);
        }
        match self.board.send(bytes) {
            Ok(()) => {
                if let Some(log) = &mut self.log {
                    log.sent(bytes, self.began.elapsed())?;
                }
                Ok(None)
            }
            // The console may come back.
            Err(error) => self.complain(&error),
        }
    }

    fn done(&mut self, outcome: Result<()>, said: &str) -> Result<Option<Ended>> {
        match outcome {
            Ok(()) => self.note(said),
            Err(error) => self.complain(&error),
        }
    }

    fn complain(&mut self, error: &crate::Error) -> Result<Option<Ended>> {
        match error.next_step() {
            Some(step) => self.note(&format!("{error}: {step}")),
            None => self.note(&error.to_string()),
        }
    }

    fn send_file(&mut self, name: &str) -> Result<Option<Ended>> {
        let read = std::fs::read(Path::new(name.trim())).map_err(|error| crate::Error::file(name.trim(), error));
        match read {
            Ok(bytes) => {
                let length = bytes.len();
                self.sending = Some((bytes, length));
                self.note(&format!("sending {length} bytes"))
            }
            Err(error) => self.complain(&error),
        }
    }

    /// Sends the next piece of a file. The board's answers are shown between the pieces.
    fn send_piece(&mut self) -> Result<()> {
        let Some((bytes, length)) = &mut self.sending else { return Ok(()) };
        let length = *length;
        let piece: Vec<u8> = bytes.drain(..bytes.len().min(PIECE)).collect();
        let is_last = bytes.is_empty();
        let sent = self.board.send(&piece);
        if is_last || sent.is_err() {
            self.sending = None;
            self.done(sent, &format!("{length} bytes sent"))?;
        }
        Ok(())
    }
}
