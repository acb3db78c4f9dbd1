//! How the steps of a boot are shown: words and a bar for people, or JSON, a line each. What the image says goes on to a sitting.

use std::io::{self, Write};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stoop_image::progress::Progress;
use stoop_lab::connection::Event;
use stoop_lab::flash;
use stoop_lab::netboot::{Step, Tell};
use stoop_lab::terminal::Happening;

use crate::json;
use crate::ui::{self, Stderr};

/// Shows steps, and lets the console through from the image's start on.
pub(in crate::command) struct Show {
    state: Arc<Mutex<State>>,
    is_json: bool,
}

#[derive(Default)]
struct State {
    bar: Option<Stderr>,
    /// The console's bytes since the last line that was typed, until the image is started.
    held: Vec<u8>,
    /// Where they go from then on.
    open: Option<Sender<Happening>>,
}

impl Show {
    pub(in crate::command) fn new(is_json: bool) -> Show {
        Show { state: Arc::default(), is_json }
    }

    /// Where the console's bytes go: kept from the terminal at first, and passed on to a sitting when the image is started.
    pub(in crate::command) fn gate(&self) -> Gate {
        Gate(self.state.clone())
    }

    /// As [`Show::tell`], and the gate opens to `sitting` when the image is started.
    pub(in crate::command) fn tell_and_open(&self, sitting: Sender<Happening>) -> Tell {
        let (tell, state) = (self.tell(), self.state.clone());
        let sitting = Mutex::new(sitting);
        Arc::new(move |step| {
            let is_started = matches!(step, Step::Started);
            tell(step);
            if is_started {
                let sitting = sitting.lock().unwrap_or_else(PoisonError::into_inner).clone();
                held(&state).open(sitting);
            }
        })
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

impl State {
    fn open(&mut self, sitting: Sender<Happening>) {
        let held = std::mem::take(&mut self.held);
        // Who sits there takes it later.
        let _ = sitting.send(Happening::Console(Event::Bytes(held)));
        self.open = Some(sitting);
    }
}

/// Keeps the conversation with the bootloader from the terminal: the steps say it in fewer words.
pub(in crate::command) struct Gate(Arc<Mutex<State>>);

impl Gate {
    /// The port vanished, or is back. Before the start that is the log's alone.
    pub(in crate::command) fn pass(&self, event: &Event) {
        let event = match event {
            Event::Vanished(reason) => Event::Vanished(reason.clone()),
            Event::Back => Event::Back,
            // Bytes come by `write`; what ends the console ends the wait for it.
            Event::Bytes(_) | Event::Closed(_) => return,
        };
        if let Some(sitting) = &held(&self.0).open {
            // Who has left does not care.
            let _ = sitting.send(Happening::Console(event));
        }
    }
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = held(&self.0);
        match &state.open {
            Some(sitting) => {
                let sent = sitting.send(Happening::Console(Event::Bytes(bytes.to_vec())));
                sent.map_err(|_| io::ErrorKind::BrokenPipe)?;
            }
            None => state.held.extend(bytes),
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
        Step::Started => {}
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
