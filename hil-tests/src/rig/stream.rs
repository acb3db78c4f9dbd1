//! What comes over a lab's connection, as the stream that a console reads: it ends when the board is off and silent.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use stoop_lab::connection::{Connection, Event};

/// How long nothing may come from a board that is off before its console counts as silent.
const SILENCE: Duration = Duration::from_millis(200);

/// Whether somebody still listens.
#[derive(Clone, Default)]
pub(super) struct Ears(Arc<AtomicBool>);

impl Ears {
    /// What comes, until [`Ears::close`] was called and nothing more comes.
    pub(super) fn listen(&self, connection: Connection) -> impl Read + Send + 'static {
        Heard { connection: Some(connection), closing: Arc::clone(&self.0), bytes: VecDeque::new() }
    }

    pub(super) fn close(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Heard {
    /// `None` at the end: whoever sees the end may open the port again at once.
    connection: Option<Connection>,
    closing: Arc<AtomicBool>,
    bytes: VecDeque<u8>,
}

impl Heard {
    /// Waits until there are bytes, or no more will come.
    fn fill(&mut self) -> io::Result<()> {
        while self.bytes.is_empty() {
            let Some(connection) = &self.connection else { break };
            match connection.next(SILENCE) {
                Some(Event::Bytes(bytes)) => self.bytes.extend(bytes),
                Some(Event::Closed(error)) => {
                    self.connection = None;
                    if let Some(error) = error {
                        println!("HIL-LOST: {error}");
                        return Err(io::Error::other(error));
                    }
                }
                None if self.closing.load(Ordering::SeqCst) => self.connection = None,
                None | Some(Event::Vanished(_) | Event::Back) => {}
            }
        }
        Ok(())
    }
}

impl Read for Heard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.fill()?;
        self.bytes.read(buffer)
    }
}
