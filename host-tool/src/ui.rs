//! The terminal: progress and diagnostics on stderr. Results go to stdout, from the verb that has them.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// What long work reports to. The library calls it; who listens is the caller's choice.
pub trait Progress {
    /// A new step begins, named by a few words; `total` counts its units when known.
    fn step(&mut self, name: &str, total: Option<u64>);
    /// So many units of the step are done.
    fn at(&mut self, done: u64);
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
}

impl Progress for Stderr {
    fn step(&mut self, name: &str, total: Option<u64>) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
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
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        self.bar = Some(bar);
    }

    fn at(&mut self, done: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(done);
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
