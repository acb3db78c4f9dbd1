//! A console as JSON lines.

use std::io::{self, Write};

use super::{Event, put_line};

/// Prints an event `console` for each line that is written to it.
#[derive(Debug, Default)]
pub struct ConsoleLines {
    /// Of the line that has no end yet.
    begun: Vec<u8>,
}

/// A line longer than this is cut into several, so that a console without ends of lines is shown at all.
const LONGEST: usize = 0x1000;

impl ConsoleLines {
    fn put(&mut self) {
        let line = String::from_utf8_lossy(&self.begun);
        put_line(&Event::Console { line: line.trim_end_matches('\r').to_owned() });
        self.begun.clear();
    }
}

impl Write for ConsoleLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for byte in bytes {
            match byte {
                b'\n' => self.put(),
                byte => self.begun.push(*byte),
            }
            if self.begun.len() == LONGEST {
                self.put();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ConsoleLines {
    fn drop(&mut self) {
        if !self.begun.is_empty() {
            self.put();
        }
    }
}
