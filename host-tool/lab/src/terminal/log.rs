//! A console's log file: both directions, each line with its time.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{Error, Lines};
use crate::Result;
use crate::text::shown;

/// A log. Its lines are `[ssss.mmm] ` and the time since the log began, then `< ` and a line of the board's, `> ` and what was
/// sent to it, or `-- ` and what the tool did. A board's line has the time of its first byte and stands where it ended.
///
/// Several runs add to one file, each with its date in front: a log is evidence, and none is lost to the next run.
pub struct Log {
    path: PathBuf,
    file: File,
    received: Half,
    sent: Half,
}

/// One direction.
#[derive(Default)]
struct Half {
    lines: Lines,
    /// When the first byte of the line came that has not ended.
    begun: Option<Duration>,
}

impl Log {
    /// Begins a run in `path`, which is made if it is not there; `of` says what is logged.
    ///
    /// # Errors
    /// It is there and no regular file, or cannot be written.
    pub fn begin(path: &Path, of: &str) -> Result<Log> {
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(Error::NotAFile { path: path.to_owned() }.into());
        }
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|error| crate::Error::file(path, error))?;
        let mut log = Log { path: path.to_owned(), file, received: Half::default(), sent: Half::default() };
        log.put(Duration::ZERO, "--", &format!("{} {of}", humantime::format_rfc3339_seconds(SystemTime::now())))?;
        Ok(log)
    }

    /// Adds what came from the board, `at` this time since the log began.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn received(&mut self, bytes: &[u8], at: Duration) -> Result<()> {
        let lines = self.received.feed(bytes, at);
        lines.into_iter().try_for_each(|(begun, line)| self.put(begun, "<", &line))
    }

    /// Adds what was sent to the board. A carriage return ends its line, as at a terminal.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn sent(&mut self, bytes: &[u8], at: Duration) -> Result<()> {
        let shown: String = bytes.iter().map(|&byte| typed(byte)).collect();
        let lines = self.sent.feed(shown.as_bytes(), at);
        lines.into_iter().try_for_each(|(begun, line)| self.put(begun, ">", &line))
    }

    /// Adds a line of the tool's own: power switched, a port that went away.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&mut self, text: &str, at: Duration) -> Result<()> {
        self.end_lines(at)?;
        self.put(at, "--", text)
    }

    /// Adds the lines that have not ended.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn end(mut self, at: Duration) -> Result<()> {
        self.end_lines(at)
    }

    fn end_lines(&mut self, at: Duration) -> Result<()> {
        for (half, mark) in [(&mut self.sent, ">"), (&mut self.received, "<")] {
            let lines = if half.lines.begun().is_empty() { Vec::new() } else { half.feed(b"\n", at) };
            for (begun, line) in lines {
                put(&mut self.file, &self.path, begun, mark, &line)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, at: Duration, mark: &str, text: &str) -> Result<()> {
        put(&mut self.file, &self.path, at, mark, text)
    }
}

fn put(file: &mut File, path: &Path, at: Duration, mark: &str, text: &str) -> Result<()> {
    // A tab moves nothing that matters, and kernels print them.
    let text: Vec<String> = text.split('\t').map(shown).collect();
    let line = format!("[{:04}.{:03}] {mark} {}\n", at.as_secs(), at.subsec_millis(), text.join("\t"));
    file.write_all(line.as_bytes()).map_err(|error| crate::Error::file(path, error))
}

impl Half {
    /// The lines that end in these bytes, with the times at which they began.
    fn feed(&mut self, bytes: &[u8], at: Duration) -> Vec<(Duration, String)> {
        let mut done = Vec::new();
        for line in self.lines.feed(bytes) {
            done.push((self.begun.take().unwrap_or(at), line));
        }
        if !self.lines.begun().is_empty() {
            self.begun.get_or_insert(at);
        }
        done
    }
}

/// A byte as it was typed: Enter ends a line, other control characters are shown (`^C`).
fn typed(byte: u8) -> String {
    match byte {
        b'\r' | b'\n' => "\n".to_owned(),
        0x7f => "^?".to_owned(),
        0..0x20 => format!("^{}", char::from(byte + 0x40)),
        _ => String::from_utf8_lossy(&[byte]).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn both_directions_and_the_tools_own_lines_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("console.log");
        let mut log = Log::begin(&path, "/dev/ttyUSB0").unwrap();
        log.received(b"U-Boot\r\n=> ", seconds(1)).unwrap();
        log.sent(b"re", seconds(2)).unwrap();
        log.received(b"re", seconds(2)).unwrap();
        log.sent(b"\x03\x1bset\r", seconds(3)).unwrap();
        log.received(b"set\r\n\x1b[1mresetting\x07 ...", seconds(4)).unwrap();
        log.note("power off", seconds(5)).unwrap();
        log.received(b"x", seconds(6)).unwrap();
        log.end(seconds(7)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let (first, rest) = text.split_once('\n').unwrap();
        assert!(first.starts_with("[0000.000] -- 20") && first.ends_with("Z /dev/ttyUSB0"), "{first}");
        assert_eq!(
            rest,
            "[0001.000] < U-Boot\n[0002.000] > re^C^[set\n[0001.000] < => reset\n[0004.000] < resetting ...\n\
             [0005.000] -- power off\n[0006.000] < x\n"
        );
    }

    #[test]
    fn a_second_run_is_added_behind_the_first() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("console.log");
        for _ in 0..2 {
            let mut log = Log::begin(&path, "tcp://rack:4001").unwrap();
            log.received(b"again\r\n", seconds(1)).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.matches("again").count(), 2);
        assert_eq!(text.matches("tcp://rack:4001").count(), 2);
    }

    #[test]
    fn what_is_no_regular_file_is_not_written_to() {
        let place = tempfile::tempdir().unwrap();
        let error = Log::begin(place.path(), "x").err().unwrap();
        assert_eq!(error.code(), "L052");
        assert!(Log::begin(&place.path().join("no/such"), "x").is_err());
    }
}
