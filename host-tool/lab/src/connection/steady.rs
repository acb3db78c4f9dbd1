//! A console that is read all the time, and opened again when it vanishes.

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::port::PATIENCE;
use super::{Address, Error, Port, open, serial};

/// How a console is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Options {
    /// Bits a second, where that can be set.
    pub speed: u32,
    /// How long to wait for a port that vanished; `None` ends the connection at once. A command is never started again.
    pub reopen: Option<Duration>,
}

impl Default for Options {
    /// 115,200 bits a second; a vanished port is waited for for a minute.
    fn default() -> Self {
        Options { speed: 115_200, reopen: Some(Duration::from_secs(60)) }
    }
}

/// What happens on a console.
#[derive(Debug)]
pub enum Event {
    /// Bytes came; never none.
    Bytes(Vec<u8>),
    /// The port vanished and is being waited for; the reason is what the operating system says.
    Vanished(String),
    /// It is back. What the board said meanwhile is lost.
    Back,
    /// Nothing more will come. `None`: the other end closed it in order, and nobody asked to wait.
    Closed(Option<Error>),
}

/// A console being read by a thread of its own. Dropping it closes the port.
pub struct Connection {
    shared: Arc<Shared>,
    events: Receiver<Event>,
    reader: Option<JoinHandle<()>>,
}

/// The sending half; clones send to the same console.
#[derive(Clone)]
pub struct Sender(Arc<Shared>);

struct Shared {
    address: Address,
    /// The speed to open it with, again.
    speed: Mutex<u32>,
    /// `None` while the port is gone.
    port: Mutex<Option<Arc<dyn Port>>>,
    stop: AtomicBool,
    /// The reading thread has ended, and with it the port is closed.
    is_closed: Mutex<bool>,
    closed: Condvar,
}

impl Connection {
    /// Opens a console; its events are kept until somebody takes them.
    ///
    /// # Errors
    /// As for [`open`].
    pub fn open(address: &Address, options: Options) -> Result<Connection, Error> {
        let port = open(address, options.speed)?;
        let shared = Arc::new(Shared {
            address: stable(address),
            speed: Mutex::new(options.speed),
            port: Mutex::new(Some(port.clone())),
            stop: AtomicBool::new(false),
            is_closed: Mutex::new(false),
            closed: Condvar::new(),
        });
        let (sender, events) = mpsc::channel();
        let reader = Reader { shared: shared.clone(), reopen: options.reopen, events: sender };
        let ending = shared.clone();
        let reader = Some(thread::spawn(move || {
            reader.run(port);
            *held(&ending.port) = None;
            *held(&ending.is_closed) = true;
            ending.closed.notify_all();
        }));
        Ok(Connection { shared, events, reader })
    }

    /// The next event; `None` when there was none in this time. After [`Event::Closed`] there is nothing but a `Closed(None)` each time.
    pub fn next(&self, timeout: Duration) -> Option<Event> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Event::Closed(None)),
        }
    }

    /// A sending half, for this thread or another.
    pub fn sender(&self) -> Sender {
        Sender(self.shared.clone())
    }

    /// The console's name; for a serial port the one that stays when it is plugged in again.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn stable(address: &Address) -> Address {
    match address {
        Address::Device(path) => Address::Device(serial::stable(path)),
        other => other.clone(),
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sender {
    /// Sends all of it.
    ///
    /// # Errors
    /// [`Error::Lost`]: the port is gone, or takes nothing.
    pub fn send(&self, bytes: &[u8]) -> Result<(), Error> {
        self.with("send", |port| port.send(bytes))
    }

    /// Whether the port is there: not while it is being waited for, nor when it is closed.
    pub(super) fn is_there(&self) -> bool {
        held(&self.0.port).is_some()
    }

    /// Sends a break.
    ///
    /// # Errors
    /// [`Error::Unsupported`] where this kind of console has none; otherwise as for [`Sender::send`].
    pub fn send_break(&self) -> Result<(), Error> {
        self.with("send a break", |port| port.send_break())
    }

    /// Changes the speed, in bits a second, now and for each time that the port is opened again.
    ///
    /// # Errors
    /// As for [`Sender::send_break`].
    pub fn set_speed(&self, speed: u32) -> Result<(), Error> {
        self.with("change its speed", |port| port.set_speed(speed))?;
        *held(&self.0.speed) = speed;
        Ok(())
    }

    /// Ends the connection from this side, and waits until the port is closed, so that it can be opened again.
    pub(super) fn close(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
        let waited = self.0.closed.wait_timeout_while(held(&self.0.is_closed), CLOSE, |is_closed| !*is_closed);
        // A port that does not close in this time is left to its thread.
        drop(waited);
    }

    fn with(&self, action: &'static str, act: impl FnOnce(&dyn Port) -> io::Result<()>) -> Result<(), Error> {
        let address = || self.0.address.clone();
        let port = held(&self.0.port).clone();
        let Some(port) = port else {
            return Err(Error::Lost { address: address(), reason: "it is being waited for".into() });
        };
        act(&*port).map_err(|error| match error.kind() {
            io::ErrorKind::Unsupported => Error::Unsupported { address: address(), action },
            _ => Error::Lost { address: address(), reason: error.to_string() },
        })
    }
}

/// How long a port may take to close: much longer than its thread's patience.
const CLOSE: Duration = Duration::from_secs(5);

/// What the reading thread has.
struct Reader {
    shared: Arc<Shared>,
    reopen: Option<Duration>,
    events: mpsc::Sender<Event>,
}

/// Ended by its owner, or after [`Event::Closed`] was told.
type Going<T> = ControlFlow<(), T>;

impl Reader {
    fn run(self, mut port: Arc<dyn Port>) {
        loop {
            let Going::Continue(error) = self.read(&*port) else { return };
            // Both hands off the port, so that its name is free for the one that comes back.
            drop(port);
            *held(&self.shared.port) = None;
            let Going::Continue(again) = self.wait(&error) else { return };
            port = again;
        }
    }

    /// Reads until the port is gone.
    fn read(&self, port: &dyn Port) -> Going<io::Error> {
        let mut buffer = [0; 4096];
        loop {
            self.is_wanted()?;
            match port.receive(&mut buffer) {
                Ok(0) => {}
                Ok(count) => self.tell(Event::Bytes(buffer[..count].to_vec()))?,
                Err(error) => return Going::Continue(error),
            }
        }
    }

    /// Waits for the port to come back.
    fn wait(&self, reason: &io::Error) -> Going<Arc<dyn Port>> {
        let Some(longest) = self.reopen.filter(|_| !matches!(self.shared.address, Address::Exec(_))) else {
            let in_order = reason.kind() == io::ErrorKind::UnexpectedEof;
            return self.end((!in_order).then(|| self.lost(reason.to_string())));
        };
        self.tell(Event::Vanished(reason.to_string()))?;
        // `Duration::MAX` is longer than a clock can tell.
        let deadline = Instant::now().checked_add(longest);
        loop {
            // Also before the first try: udev needs a moment for names and rights.
            thread::sleep(PATIENCE);
            self.is_wanted()?;
            let speed = *held(&self.shared.speed);
            match open(&self.shared.address, speed) {
                Ok(port) => {
                    *held(&self.shared.port) = Some(port.clone());
                    self.tell(Event::Back)?;
                    return Going::Continue(port);
                }
                Err(error) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                    return self.end(Some(self.lost(error.to_string())));
                }
                Err(_) => {}
            }
        }
    }

    fn lost(&self, reason: String) -> Error {
        Error::Lost { address: self.shared.address.clone(), reason }
    }

    fn end<T>(&self, error: Option<Error>) -> Going<T> {
        let _ = self.events.send(Event::Closed(error));
        Going::Break(())
    }

    fn tell(&self, event: Event) -> Going<()> {
        match self.events.send(event) {
            Ok(()) => Going::Continue(()),
            Err(_) => Going::Break(()),
        }
    }

    fn is_wanted(&self) -> Going<()> {
        if self.shared.stop.load(Ordering::Relaxed) { Going::Break(()) } else { Going::Continue(()) }
    }
}
