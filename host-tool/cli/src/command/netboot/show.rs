//! How the steps of a boot are shown: words and a bar for people, then the console; or JSON, a line each.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use stoop_image::Failure;
use stoop_image::progress::Progress;
use stoop_lab::netboot::{Step, Tell};

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
                // Who does not listen misses it; the exit code is the same.
                let _ = ui::put(&format!("{}\n", value(&step)));
            }),
            false => Arc::new(move |step| people(&state, step)),
        }
    }

    /// What went wrong, for those who read JSON.
    pub(in crate::command) fn failed(&self, failure: &Failure) {
        held(&self.state).bar = None;
        if self.is_json {
            let line = json!({ "event": "failed", "message": failure.fact(), "next": failure.next_step(), "exit-code": failure.exit_code() });
            let _ = ui::put(&format!("{line}\n"));
        }
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

fn value(step: &Step) -> Value {
    match step {
        Step::Listening(address) => json!({ "event": "listening", "address": address.to_string() }),
        Step::PowerCycled => json!({ "event": "power-cycled" }),
        Step::RestartIt => json!({ "event": "restart-it" }),
        Step::Prompt => json!({ "event": "prompt" }),
        Step::Board(identity, unproven) => json!({
            "event": "board", "version": identity.version, "ram": identity.ram, "flash": identity.flash, "unproven": unproven,
        }),
        Step::Typed(line) => json!({ "event": "typed", "line": line }),
        Step::Acknowledged { bytes, size } => json!({ "event": "transfer", "bytes": bytes, "size": size }),
        Step::Fetched { size, time } => {
            json!({ "event": "fetched", "size": size, "milliseconds": time.as_millis() as u64 })
        }
        Step::Started => json!({ "event": "booted" }),
    }
}
