//! How the steps of a boot are shown: words and a bar for people, then the console; or JSON, a line each.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoop_image::progress::Progress;
use stoop_lab::flash;
use stoop_lab::netboot::{Step, Tell};

use crate::json;
use crate::ui::{self, Stderr};

/// Shows steps, and the console from the image's start on.
pub(in crate::command) struct Show {
    state: Arc<Mutex<State>>,
    is_json: bool,
}

#[derive(Default)]
struct State {
    bar: Option<Stderr>,
    /// The console's bytes since the last line that was typed, while they are not shown.
    held: Vec<u8>,
    is_open: bool,
}

impl Show {
    pub(in crate::command) fn new(is_json: bool) -> Show {
        Show { state: Arc::default(), is_json }
    }

    /// Where the console's bytes go; `None` when they are not shown at all.
    pub(in crate::command) fn echo(&self) -> Option<Box<dyn Write + Send>> {
        if self.is_json { None } else { Some(Box::new(Gate(self.state.clone()))) }
    }

    pub(in crate::command) fn tell(&self) -> Tell {
        let state = self.state.clone();
        match self.is_json {
            true => Arc::new(|step| {
                json::put_line(&json::Event::from(&step));
            }),
            false => Arc::new(move |step| people(&state, step)),
        }
    }

    /// The same for the steps of writing flash.
    pub(in crate::command) fn tell_flash(&self) -> flash::Tell {
        let (boot, state, is_json) = (self.tell(), self.state.clone(), self.is_json);
        Arc::new(move |step| match step {
            flash::Step::Boot(step) => boot(step),
            step if is_json => json::put_line(&json::Event::from(&step)),
            step => people_flash(&state, &step),
        })
    }

    /// Ends the bar, so that what comes next has a line of its own.
    pub(in crate::command) fn end(&self) {
        held(&self.state).bar = None;
    }
}

fn held(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the conversation with the bootloader from the terminal: the steps say it in fewer words.
struct Gate(Arc<Mutex<State>>);

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = held(&self.0);
        if state.is_open {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()?;
        } else {
            state.held.extend(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn people(state: &Mutex<State>, step: Step) {
    let mut state = held(state);
    match step {
        Step::Listening(address) => ui::tell(format_args!("TFTP server at {address}")),
        Step::PowerCycled => ui::tell("power is on; waiting for the bootloader"),
        Step::RestartIt => ui::tell("restart the board now: there is no power switch, and it is not at its prompt"),
        Step::Prompt => ui::tell("the bootloader is at its prompt"),
        Step::Board(identity, unproven) => {
            if let Some(version) = identity.version {
                ui::tell(version);
            }
            if !unproven.is_empty() {
                ui::tell(format_args!("warning: the bootloader does not say {}", unproven.join(" and ")));
            }
        }
        Step::Typed(line) => {
            ui::tell(format_args!("> {line}"));
            state.held.clear();
        }
        Step::Acknowledged { bytes, size } => {
            let bar = state.bar.get_or_insert_with(|| {
                let mut bar = Stderr::default();
                bar.step("the board fetches the image", Some(size));
                bar
            });
            bar.at(bytes);
        }
        Step::Fetched { size, time } => {
            state.bar = None;
            let rate = size as f64 / time.as_secs_f64().max(0.001) / f64::from(1 << 20);
            ui::tell(format_args!("{size} bytes in {:.1} s ({rate:.1} MiB/s)", time.as_secs_f64()));
        }
        Step::Started => {
            state.is_open = true;
            let _ = ui::put_raw(&std::mem::take(&mut state.held));
        }
    }
}

fn people_flash(state: &Mutex<State>, step: &flash::Step) {
    let mut state = held(state);
    match step {
        flash::Step::Boot(_) => {}
        flash::Step::Kept { what } => ui::tell(format_args!("{what}: in flash already")),
        flash::Step::Writing { what, bytes, size } => {
            ui::tell(format_args!("{what}: writing 0x{bytes:x} of 0x{size:x} bytes; keep the power on"));
        }
        flash::Step::Typed(line) => ui::tell(format_args!("> {line}")),
        flash::Step::Verified { what } => ui::tell(format_args!("{what}: written, read back and right")),
        flash::Step::Switched => ui::tell("the slots before it do not boot any more"),
        flash::Step::Read { bytes, size } => {
            let bar = state.bar.get_or_insert_with(|| {
                let mut bar = Stderr::default();
                bar.step("reading flash", Some(*size as u64));
                bar
            });
            bar.at(*bytes as u64);
            if bytes == size {
                state.bar = None;
            }
        }
    }
}
