//! A recording of a console that <https://asciinema.org>'s player plays: asciicast version 2.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Error;
use crate::Result;

/// A recording that is being made: a line of JSON that says what it is, then one for each piece of what was shown
/// (<https://docs.asciinema.org/manual/asciicast/v2/>).
pub struct Recording {
    path: PathBuf,
    file: BufWriter<File>,
    /// The beginning of a character whose other bytes have not come.
    held: Vec<u8>,
    last: Duration,
}

impl Recording {
    /// Begins one in a new file: what was in it is lost. `size` is the terminal's, in columns and rows.
    ///
    /// # Errors
    /// It is there and no regular file, or cannot be written.
    pub fn begin(path: &Path, size: (u16, u16), title: &str) -> Result<Recording> {
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(Error::NotAFile { path: path.to_owned() }.into());
        }
        let file = BufWriter::new(File::create(path).map_err(|error| crate::Error::file(path, error))?);
        let mut recording = Recording { path: path.to_owned(), file, held: Vec::new(), last: Duration::ZERO };
        let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let (width, height) = size;
        let header = serde_json::json!({
            "version": 2, "width": width, "height": height, "timestamp": began, "title": title,
        });
        recording.line(&header)?;
        Ok(recording)
    }

    /// Adds what was written to the terminal, `at` this time since the recording began.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn shown(&mut self, bytes: &[u8], at: Duration) -> Result<()> {
        self.held.extend(bytes);
        let whole = self.held.len() - unfinished(&self.held);
        let text: Vec<u8> = self.held.drain(..whole).collect();
        self.piece(&text, at)
    }

    /// Writes what is left; without this the last second may be missing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn end(mut self) -> Result<()> {
        let (text, at) = (std::mem::take(&mut self.held), self.last);
        self.piece(&text, at)?;
        self.file.flush().map_err(|error| crate::Error::file(&self.path, error))
    }

    fn piece(&mut self, text: &[u8], at: Duration) -> Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.last = at;
        self.line(&serde_json::json!([at.as_secs_f64(), "o", String::from_utf8_lossy(text)]))
    }

    fn line(&mut self, json: &serde_json::Value) -> Result<()> {
        writeln!(self.file, "{json}").map_err(|error| crate::Error::file(&self.path, error))
    }
}

/// How many bytes at the end are a character's beginning.
fn unfinished(bytes: &[u8]) -> usize {
    let first = bytes.iter().rev().take(3).position(|byte| byte & 0xc0 != 0x80);
    let Some(behind) = first else { return 0 };
    let length = match bytes[bytes.len() - 1 - behind] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    if behind + 1 < length { behind + 1 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<serde_json::Value> {
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn each_line_is_json_and_no_character_is_torn() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("boot.cast");
        let all = "\x1b[1mGröße 𝄞\r\n".as_bytes();
        for at in 0..all.len() {
            let mut recording = Recording::begin(&path, (80, 24), "boot").unwrap();
            recording.shown(&all[..at], Duration::from_millis(1_500)).unwrap();
            recording.shown(&all[at..], Duration::from_secs(2)).unwrap();
            recording.end().unwrap();
            let lines = pieces(&std::fs::read_to_string(&path).unwrap());
            assert_eq!(
                (&lines[0]["version"], &lines[0]["width"], &lines[0]["title"]),
                (&2.into(), &80.into(), &"boot".into())
            );
            let shown: String = lines[1..].iter().map(|line| line[2].as_str().unwrap()).collect();
            assert_eq!(shown.as_bytes(), all, "cut at {at}");
            assert!(lines[1..].iter().all(|line| line[1] == "o" && line[0].as_f64().is_some()));
        }
    }

    #[test]
    fn noise_is_recorded_as_replacements_and_ends() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("boot.cast");
        let mut recording = Recording::begin(&path, (80, 24), "noise").unwrap();
        recording.shown(b"\xff\x80a\xf0\x9d", Duration::ZERO).unwrap();
        recording.end().unwrap();
        let lines = pieces(&std::fs::read_to_string(&path).unwrap());
        assert_eq!((&lines[1][2], &lines[2][2]), (&"\u{fffd}\u{fffd}a".into(), &"\u{fffd}".into()));
    }
}
