//! A connection as the two byte streams that a console reads and writes.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::{Connection, Event, Sender};

/// How long one wait for an event lasts; there is another behind it.
const TURN: Duration = Duration::from_secs(3600);

/// The receiving half; it ends when the connection does, and ends the connection when it is dropped.
pub struct Receiver<N> {
    connection: Connection,
    note: N,
    /// Bytes that came and were not read yet.
    left: Vec<u8>,
}

impl Connection {
    /// Both halves as streams. What happens besides bytes is told to `note`, in the thread that reads.
    pub fn into_streams<N: FnMut(&Event)>(self, note: N) -> (Receiver<N>, StreamSender) {
        let sender = self.stream_sender();
        (Receiver { connection: self, note, left: Vec::new() }, sender)
    }

    /// The sending half alone, for those who read the events themselves.
    pub fn stream_sender(&self) -> StreamSender {
        StreamSender(self.sender())
    }
}

impl<N: FnMut(&Event)> Read for Receiver<N> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left.is_empty() {
            match self.connection.next(TURN) {
                None => {}
                Some(Event::Bytes(bytes)) => self.left = bytes,
                Some(event @ Event::Closed(_)) => {
                    (self.note)(&event);
                    return Ok(0);
                }
                Some(event) => (self.note)(&event),
            }
        }
        let count = self.left.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.left[..count]);
        self.left.drain(..count);
        Ok(count)
    }
}

/// The sending half. Dropping it ends the connection: the port is closed then, and the receiving half ends.
pub struct StreamSender(Sender);

impl Drop for StreamSender {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Write for StreamSender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    /// Nothing is held back; fails while the port is gone.
    fn flush(&mut self) -> io::Result<()> {
        if self.0.is_there() { Ok(()) } else { Err(io::ErrorKind::NotConnected.into()) }
    }
}
