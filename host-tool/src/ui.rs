//! The terminal: progress and diagnostics on stderr. Results go to stdout, from the verb that has them.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// What long work reports to. The library calls it; who listens is the caller's choice.
pub trait Progress {
    /// A new step begins, named by a few words; `total` counts its units when known.
    fn step(&mut self, name: &str, total: Option<u64>);
    /// So many units of the step are done.
    fn at(&mut self, done: u64);
    /// What is being worked on, a file's name for instance. Comes often; may be ignored.
    fn now(&mut self, _what: &str) {}
}

/// Listens to nothing.
pub struct Quiet;

impl Progress for Quiet {
    fn step(&mut self, _name: &str, _total: Option<u64>) {}
    fn at(&mut self, _done: u64) {}
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
        if !std::io::stderr().is_terminal() {
            eprintln!("stoop: {name}");
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
        bar.set_message(name.to_owned());
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
            (Some(bar), _) => bar.set_message(format!("{} {what}", self.name)),
            (None, Some((began, told))) if told.elapsed() >= PIPE_INTERVAL => {
                eprintln!("stoop: {} {what} ({} s)", self.name, began.elapsed().as_secs());
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
