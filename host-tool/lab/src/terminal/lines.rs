//! The lines of a console, as text.

use anstream::adapter::StripBytes;

/// A line that is longer than this many bytes is cut: a board that sends noise sends no ends of lines.
const LONGEST: usize = 16 * 1024;

/// Cuts bytes into lines. Carriage returns and what moves a cursor or colours text are left out; what is not UTF-8 is replaced.
#[derive(Default)]
pub struct Lines {
    strip: StripBytes,
    line: Vec<u8>,
}

impl Lines {
    /// Takes bytes as they come; gives the lines that end in them, without their ends.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut done = Vec::new();
        for part in self.strip.strip_next(bytes) {
            for &byte in part {
                match byte {
                    b'\n' => done.push(text(&std::mem::take(&mut self.line))),
                    b'\r' => {}
                    _ => self.line.push(byte),
                }
                if self.line.len() >= LONGEST {
                    done.push(text(&std::mem::take(&mut self.line)));
                }
            }
        }
        done
    }

    /// The beginning of the line that has not ended.
    pub fn begun(&self) -> String {
        text(&self.line)
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONSOLE: &[u8] = "\x1b[2J\x1b[1;31mU-Boot 2023.01\x1b[0m\r\n\r\nGröße\tx\r\nmaltael # ".as_bytes();

    #[test]
    fn lines_are_the_same_wherever_the_bytes_are_cut() {
        for at in 0..CONSOLE.len() {
            let mut lines = Lines::default();
            let mut seen = lines.feed(&CONSOLE[..at]);
            seen.extend(lines.feed(&CONSOLE[at..]));
            assert_eq!(seen, ["U-Boot 2023.01", "", "Größe\tx"], "cut at {at}");
            assert_eq!(lines.begun(), "maltael # ");
        }
    }

    #[test]
    fn noise_without_an_end_of_line_is_cut() {
        let mut lines = Lines::default();
        let seen = lines.feed(&[b'x'; 3 * LONGEST + 1]);
        assert_eq!(seen.iter().map(String::len).collect::<Vec<_>>(), [LONGEST; 3]);
        assert_eq!(lines.begun(), "x");
    }
}
