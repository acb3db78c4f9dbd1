//! The terminal: progress and diagnostics on stderr, results on stdout. Names and texts come from files of strangers: what a
//! terminal would obey in them is escaped here, where everything is displayed.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
#[cfg(unix)]
use std::sync::Arc;
use std::time::{Duration, Instant};

use comfy_table::{ContentArrangement, Table};
use indicatif::{ProgressBar, ProgressStyle};
use stoop_image::Explained;
use stoop_image::output::Output;
use stoop_image::progress::Progress;

use crate::Result;

/// Text as it may be displayed: control characters, and those that turn the direction of writing, as `\u001b`, which JSON means
/// the same by. Ends of lines stay.
pub fn harmless(text: &str) -> Cow<'_, str> {
    let harms = |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(harms) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if harms(c) {
            shown += &format!("\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// The same for a name on a line of its own: an end of line in it is escaped too, so that it cannot forge the next line.
pub fn on_one_line(text: &str) -> String {
    harmless(text).replace('\n', "\\u000a")
}

/// A file that may not grow any further (RLIMIT_FSIZE) shall be a failure to write like that of a full disk, not the end of the
/// process: temporary files are removed then.
pub fn fail_where_files_may_not_grow() {
    // Where it cannot be caught, the process ends as the system has it.
    #[cfg(unix)]
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
}

/// A result on stdout; a reader that has gone away is no failure.
///
/// # Errors
/// It cannot be written.
pub fn put(text: &str) -> Result<()> {
    put_raw(harmless(text).as_bytes())
}

/// The same for bytes that are the result itself, or text of our own with colours.
///
/// # Errors
/// It cannot be written.
pub fn put_raw(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(crate::Error::stdout(error)),
        _ => Ok(()),
    }
}

/// A result in words on stderr, when stdout has the result's bytes.
pub fn put_beside(text: &str) {
    let _ = io::stderr().lock().write_all(harmless(text).as_bytes());
}

/// A result in words beside one in bytes: on stdout, or on stderr when that has the bytes.
///
/// # Errors
/// It cannot be written.
pub fn put_of(output: &Output, text: &str) -> Result<()> {
    if output.is_stdout() {
        put_beside(text);
        return Ok(());
    }
    put(text)
}

/// All that an error says: the fact, and on a line of its own what to do next.
pub fn in_full(error: &impl Explained) -> String {
    match error.next_step() {
        Some(next) => format!("{error}\n  next: {next}"),
        None => error.to_string(),
    }
}

/// A diagnostic on stderr.
pub fn tell(text: impl std::fmt::Display) {
    // Who does not listen misses it; the result and the exit code are the same.
    let _ = writeln!(io::stderr().lock(), "stoop: {}", harmless(&text.to_string()));
}

/// Whether colours and cursor movements may go there: to a terminal, unless NO_COLOR or TERM ask for plain text.
pub fn is_styled(stream: &impl IsTerminal) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    stream.is_terminal() && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|terminal| terminal != "dumb")
}

/// A table as wide as the terminal says it is, or 80 columns when it does not say.
pub fn fit(table: &mut Table) {
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if table.width().is_none_or(|width| width == 0) {
        table.set_width(80);
    }
}

/// A bar on a terminal, one line a step in a pipe.
#[derive(Default)]
pub struct Stderr {
    bar: Option<ProgressBar>,
    name: String,
    /// When the step began and when a pipe was last told what is being worked on.
    times: Option<(Instant, Instant)>,
}

/// How often a pipe is told what is being worked on.
const PIPE_INTERVAL: Duration = Duration::from_secs(30);

impl Progress for Stderr {
    fn step(&mut self, name: &str, total: Option<u64>) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        name.clone_into(&mut self.name);
        self.times = Some((Instant::now(), Instant::now()));
        if !is_styled(&io::stderr()) {
            tell(name);
            return;
        }
        let bar = match total {
            Some(total) => ProgressBar::new(total),
            None => ProgressBar::new_spinner(),
        };
        let template = match total {
            Some(_) => "{msg:24} {bar:30} {percent:>3}% {elapsed}",
            None => "{msg:24} {spinner} {elapsed}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("a constant template"));
        bar.set_message(harmless(name).into_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        self.bar = Some(bar);
    }

    fn at(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
        }
    }

    fn now(&mut self, what: &str) {
        match (&self.bar, &mut self.times) {
            (Some(bar), _) => bar.set_message(harmless(&format!("{} {what}", self.name)).into_owned()),
            (None, Some((began, told))) if told.elapsed() >= PIPE_INTERVAL => {
                tell(format_args!("{} {what} ({} s)", self.name, began.elapsed().as_secs()));
                *told = Instant::now();
            }
            _ => {}
        }
    }
}

impl Drop for Stderr {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left_and_json_means_the_same() {
        assert!(matches!(harmless("plain text, ümläut\n"), Cow::Borrowed(_)));
        let evil = "a\u{1b}[31m\u{7}\r\t\u{9b}\u{202e}b";
        assert_eq!(harmless(evil), r"a\u001b[31m\u0007\u000d\u0009\u009b\u202eb");
        let json = serde_json::to_string(evil).unwrap();
        assert_eq!(serde_json::from_str::<String>(&harmless(&json)).unwrap(), evil);
    }
}
