//! Where people attach to a board's console: a TCP port for any number of them, or a pseudo-terminal. It stays while power goes
//! and comes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serialport::{SerialPort, TTYPort};
use stoop_ci::{Failure, Result};

use super::machine::Streams;

/// Who listens, and where what they type goes.
#[derive(Clone, Default)]
pub struct Console(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ends: Mutex<Ends>,
    attached: Condvar,
}

#[derive(Default)]
struct Ends {
    listeners: Vec<Box<dyn Write + Send>>,
    /// How many have attached by TCP so far, those that left included.
    attached: usize,
    /// The machine that is on.
    machine: Option<Box<dyn Write + Send>>,
    /// The end of the pseudo-terminal that others open. Kept open: with no other end open, reading would fail instead of wait.
    theirs: Option<TTYPort>,
}

/// How long somebody who attached and does not read may hold up the others.
const SLOW: Duration = Duration::from_secs(5);

impl Console {
    /// A machine was switched on: what it says goes to who listens, until it ends.
    pub fn connect(&self, streams: Streams) -> std::thread::JoinHandle<()> {
        let Streams { mut from, to } = streams;
        self.lock().machine = Some(to);
        let console = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                console.say(&buffer[..count]);
            }
        })
    }

    /// The machine was switched off.
    pub fn disconnect(&self) {
        self.lock().machine = None;
    }

    fn say(&self, bytes: &[u8]) {
        self.lock().listeners.retain_mut(|listener| listener.write_all(bytes).and_then(|()| listener.flush()).is_ok());
    }

    /// What somebody types; lost while power is off.
    fn hear(&self, bytes: &[u8]) {
        if let Some(machine) = &mut self.lock().machine {
            // A machine that has just ended hears nothing.
            let _ = machine.write_all(bytes).and_then(|()| machine.flush());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Ends> {
        self.0.ends.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How many have attached by TCP so far.
    pub fn attached(&self) -> usize {
        self.lock().attached
    }

    /// Waits until so many have attached by TCP: a connection that the system has accepted is not served yet, and what the machine
    /// says before is lost to it. `false` when they were fewer within `timeout`.
    pub fn wait_until_attached(&self, count: usize, timeout: Duration) -> bool {
        let waited = self.0.attached.wait_timeout_while(self.lock(), timeout, |ends| ends.attached < count);
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0.attached >= count
    }

    /// Listens on a free port of 127.0.0.1 as long as the process lives.
    ///
    /// # Errors
    /// No port is to be had.
    pub fn on_tcp(&self) -> Result<SocketAddr> {
        let io = |error: std::io::Error| Failure::new(format!("no TCP port for a console: {error}"));
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(io)?;
        let address = listener.local_addr().map_err(io)?;
        let console = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Without both it cannot be served: it is closed, which it sees.
                let _ = console.attach(stream);
            }
        });
        Ok(address)
    }

    fn attach(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(SLOW))?;
        let mut ends = self.lock();
        ends.listeners.push(Box::new(stream.try_clone()?));
        ends.attached += 1;
        drop(ends);
        self.0.attached.notify_all();
        let console = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                console.hear(&buffer[..count]);
            }
        });
        Ok(())
    }

    /// Makes a pseudo-terminal and returns its path.
    ///
    /// # Errors
    /// The system has none.
    pub fn on_pty(&self) -> Result<String> {
        let failed = |error: serialport::Error| Failure::new(format!("no pseudo-terminal for a console: {error}"));
        let (inherited, theirs) = TTYPort::pair().map_err(failed)?;
        // A clone is closed in the programs that are started meanwhile: one that had it would keep the line up when it is unplugged.
        let mut ours = inherited.try_clone_native().map_err(failed)?;
        drop(inherited);
        let name = theirs.name().ok_or_else(|| Failure::new("the pseudo-terminal has no name"))?;
        let mut line = ours.try_clone_native().map_err(failed)?;
        line.set_timeout(SLOW).map_err(failed)?;
        let mut ends = self.lock();
        ends.listeners.push(Box::new(Line(line)));
        ends.theirs = Some(theirs);
        drop(ends);
        ours.set_timeout(Duration::from_secs(3600)).map_err(failed)?;
        let console = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 1024];
            loop {
                match ours.read(&mut buffer) {
                    // Unplugged: its last end is closed here.
                    Ok(_) if console.lock().theirs.is_none() => break,
                    Ok(count @ 1..) => console.hear(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::TimedOut => {}
                    _ => break,
                }
            }
        });
        Ok(name)
    }

    /// Closes the pseudo-terminal, as if its adapter were unplugged: who has it open finds that it is gone.
    pub fn unplug(&self) {
        let mut ends = self.lock();
        ends.listeners.clear();
        let Some(mut theirs) = ends.theirs.take() else { return };
        drop(ends);
        // Wakes the thread that reads the other end.
        let _ = theirs.write_all(&[0]);
    }
}

/// A serial line: what nobody reads is lost, and the line stays.
struct Line(TTYPort);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == ErrorKind::TimedOut => Ok(bytes.len()),
            other => other,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        // A flush waits until all is read, which nobody may do.
        Ok(())
    }
}
