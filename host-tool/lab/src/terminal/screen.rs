//! What a person sees of a console: its bytes as they come, with times in front of lines, stoop's own lines in colour, and notes
//! behind and below those that somebody knows something about.

use std::time::Duration;

use super::Lines;
use crate::notes::{Annotator, Notes};

/// How it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// Each line has the time of its first byte in front: `[ssss.mmm] `.
    pub times: bool,
    /// stoop's lines and notes are coloured by the sequences of ECMA-48.
    pub colours: bool,
}

const ERROR: &str = "\x1b[1;31m";
const OURS: &str = "\x1b[36m";
const NOTE: &str = "\x1b[33m";
const PLAIN: &str = "\x1b[0m";

/// What a line of the shim's begins with: `stoop 0.1.0: …`, `stoop: …`, `stoop trace …`.
const SAYS: &[u8] = b"stoop";

/// What one that says an error begins with.
const SAYS_ERROR: &[u8] = b"stoop: E";

/// Turns a console's bytes into what is to be written to a terminal, a file or a pipe. Notes apart, no byte is changed or lost.
pub struct Screen {
    style: Style,
    annotators: Vec<Box<dyn Annotator>>,
    lines: Lines,
    /// Bytes that wait for the next ones: the beginning of what may be a line of stoop's, or a carriage return.
    held: Vec<u8>,
    place: Place,
    coloured: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nothing of the line has come.
    Start,
    /// What has come may be the beginning of a line of stoop's.
    Beginning,
    Middle,
}

/// Whose line it is by its beginning.
enum Whose {
    Unknown,
    Theirs,
    Ours(&'static str),
}

impl Screen {
    /// An empty one.
    pub fn new(style: Style) -> Screen {
        Screen {
            style,
            annotators: Vec::new(),
            lines: Lines::default(),
            held: Vec::new(),
            place: Place::Start,
            coloured: false,
        }
    }

    /// Asks `annotator` about every line from now on.
    pub fn annotate(&mut self, annotator: impl Annotator + 'static) {
        self.annotators.push(Box::new(annotator));
    }

    /// Takes bytes that came `at` this time since the console was opened; gives what there is to show.
    pub fn feed(&mut self, bytes: &[u8], at: Duration) -> Vec<u8> {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        for &byte in bytes {
            self.take(byte, at, &mut out);
        }
        out
    }

    /// Nothing more has come for a moment: what is held may be all there is. A carriage return shows nothing; it stays.
    pub fn idle(&mut self) -> Vec<u8> {
        if !self.is_holding() {
            return Vec::new();
        }
        self.place = Place::Middle;
        std::mem::take(&mut self.held)
    }

    /// Something waits for [`Screen::idle`].
    pub fn is_holding(&self) -> bool {
        self.place == Place::Beginning && !self.held.is_empty() && self.held.first() != Some(&b'\r')
    }

    /// What is left when no more bytes come.
    pub fn end(&mut self) -> Vec<u8> {
        let mut out = std::mem::take(&mut self.held);
        if self.place == Place::Beginning {
            self.place = Place::Middle;
        }
        self.plain(&mut out);
        out
    }

    /// A line of the tool's own; it does not come into the middle of the board's.
    pub fn note(&mut self, text: &str) -> Vec<u8> {
        let mut out = self.end();
        if self.place != Place::Start {
            out.extend(b"\r\n");
            self.place = Place::Start;
        }
        self.put_note(&mut out, &format!("-- {text}"));
        out.extend(b"\r\n");
        out
    }

    fn take(&mut self, byte: u8, at: Duration, out: &mut Vec<u8>) {
        if byte == b'\n' {
            return self.end_line(out);
        }
        let ended = self.lines.feed(&[byte]);
        debug_assert!(ended.len() <= 1);
        if byte == b'\r' {
            out.append(&mut self.held);
            return self.held.push(byte);
        }
        if self.place == Place::Start {
            out.append(&mut self.held);
            if self.style.times {
                out.extend(format!("[{:04}.{:03}] ", at.as_secs(), at.subsec_millis()).bytes());
            }
            self.place = if self.style.colours { Place::Beginning } else { Place::Middle };
        }
        if self.held.first() == Some(&b'\r') {
            out.append(&mut self.held);
            self.place = Place::Middle;
        }
        if self.place == Place::Middle {
            return out.push(byte);
        }
        self.held.push(byte);
        match whose(&self.held) {
            Whose::Unknown => return,
            Whose::Theirs => {}
            Whose::Ours(colour) => {
                out.extend(colour.bytes());
                self.coloured = true;
            }
        }
        out.append(&mut self.held);
        self.place = Place::Middle;
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        let is_returned = self.held.last() == Some(&b'\r');
        if is_returned {
            self.held.pop();
        }
        out.append(&mut self.held);
        self.plain(out);
        let end: &[u8] = if is_returned { b"\r\n" } else { b"\n" };
        let mut notes = Notes::default();
        for line in self.lines.feed(b"\n") {
            self.annotators.iter_mut().for_each(|annotator| notes.add(annotator.line(&line)));
        }
        if let Some(text) = notes.beside {
            self.put_note(out, &format!("  = {text}"));
        }
        out.extend(end);
        for text in notes.below {
            self.put_note(out, &format!("  = {text}"));
            out.extend(end);
        }
        self.place = Place::Start;
    }

    fn put_note(&self, out: &mut Vec<u8>, text: &str) {
        let (before, behind) = if self.style.colours { (NOTE, PLAIN) } else { ("", "") };
        out.extend([before, text, behind].concat().bytes());
    }

    fn plain(&mut self, out: &mut Vec<u8>) {
        if std::mem::take(&mut self.coloured) {
            out.extend(PLAIN.bytes());
        }
    }
}

fn whose(beginning: &[u8]) -> Whose {
    if SAYS_ERROR.starts_with(beginning) && beginning != SAYS_ERROR {
        return Whose::Unknown;
    }
    match beginning.strip_prefix(SAYS) {
        Some(_) if beginning == SAYS_ERROR => Whose::Ours(ERROR),
        Some([b' ' | b':', ..]) => Whose::Ours(OURS),
        _ => Whose::Theirs,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Echo;

    impl Annotator for Echo {
        fn line(&mut self, line: &str) -> Notes {
            let beside = line.contains("[<").then(|| "here".to_owned());
            let below = if line.contains("E12") { vec!["damaged".to_owned(), "again".to_owned()] } else { Vec::new() };
            Notes { beside, below }
        }
    }

    fn shown(style: Style, bytes: &[u8]) -> String {
        let mut screen = Screen::new(style);
        screen.annotate(Echo);
        let mut out = screen.feed(bytes, Duration::from_millis(12_345));
        out.extend(screen.end());
        String::from_utf8_lossy(&out).into_owned()
    }

    const COLOURS: Style = Style { times: false, colours: true };
    const CONSOLE: &[u8] = b"[<80100000>] x\r\nstoop: E12 y\r\nstoop: ignored\nstoopid\r\n\r\ns";

    #[test]
    fn notes_come_behind_and_below_their_lines() {
        let wanted =
            "[<80100000>] x  = here\r\nstoop: E12 y\r\n  = damaged\r\n  = again\r\nstoop: ignored\nstoopid\r\n\r\ns";
        assert_eq!(shown(Style::default(), CONSOLE), wanted);
    }

    #[test]
    fn only_lines_of_stoop_are_coloured_and_errors_stand_out() {
        let wanted = format!(
            "[<80100000>] x{NOTE}  = here{PLAIN}\r\n{ERROR}stoop: E12 y{PLAIN}\r\n{NOTE}  = damaged{PLAIN}\r\n\
             {NOTE}  = again{PLAIN}\r\n{OURS}stoop: ignored{PLAIN}\nstoopid\r\n\r\ns"
        );
        assert_eq!(shown(COLOURS, CONSOLE), wanted);
    }

    #[test]
    fn each_line_has_the_time_of_its_first_byte() {
        let mut screen = Screen::new(Style { times: true, colours: false });
        let mut out = screen.feed(b"a", Duration::from_millis(1_002));
        out.extend(screen.feed(b"b\r\n\r\nc", Duration::from_secs(12_345)));
        assert_eq!(String::from_utf8_lossy(&out), "[0001.002] ab\r\n\r\n[12345.000] c");
    }

    #[test]
    fn a_prompt_is_shown_when_nothing_follows() {
        for prompt in [&b"s"[..], b"stoop", b"stoop: E", b"\r"] {
            let mut screen = Screen::new(COLOURS);
            let mut out = screen.feed(prompt, Duration::ZERO);
            out.extend(screen.idle());
            out.extend(screen.feed(b"x", Duration::ZERO));
            let text = String::from_utf8_lossy(&out).into_owned();
            assert_eq!(text.replace(ERROR, ""), String::from_utf8_lossy(&[prompt, b"x"].concat()));
        }
    }

    #[test]
    fn the_tools_own_lines_do_not_come_into_the_boards() {
        let mut screen = Screen::new(Style::default());
        let mut out = screen.feed(b"=> rese", Duration::ZERO);
        out.extend(screen.note("power off"));
        out.extend(screen.note("power on"));
        out.extend(screen.feed(b"\r\nU-Boot", Duration::ZERO));
        assert_eq!(String::from_utf8_lossy(&out), "=> rese\r\n-- power off\r\n-- power on\r\n\r\nU-Boot");
    }

    proptest! {
        #[test]
        fn without_times_colours_and_notes_every_byte_passes(bytes: Vec<u8>, at in 0usize..64) {
            let at = at.min(bytes.len());
            let mut screen = Screen::new(Style::default());
            let mut out = screen.feed(&bytes[..at], Duration::ZERO);
            out.extend(screen.idle());
            out.extend(screen.feed(&bytes[at..], Duration::ZERO));
            out.extend(screen.end());
            prop_assert_eq!(out, bytes);
        }

        #[test]
        fn colours_add_only_their_sequences(text in "(stoop|: |E12|\r|\n|x){0,12}") {
            let out = shown(COLOURS, text.as_bytes()).replace(ERROR, "").replace(OURS, "").replace(NOTE, "").replace(PLAIN, "");
            prop_assert_eq!(out.replace("\r\n  = damaged\r\n  = again", "").replace("\n  = damaged\n  = again", ""), text);
        }
    }
}
