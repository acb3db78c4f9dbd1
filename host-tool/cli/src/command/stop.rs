//! Ctrl-C and the like end the waits instead of the process, so that what was started goes as well: an emulator, temporary files, a
//! board's power.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Result;
use crate::command::Error;
use signal_hook::iterator::Signals;
use stoop_lab::qemu::{Console, Interrupter};

use crate::ending;

/// Listens for the signals that ask a process to end.
pub(super) struct Stop(Arc<Mutex<Asked>>);

#[derive(Default)]
struct Asked {
    is_asked: bool,
    interrupter: Option<Interrupter>,
}

impl Stop {
    /// Listens from now on.
    ///
    /// # Errors
    /// The process may not.
    pub(super) fn on_signals() -> Result<Stop> {
        let mut signals = Signals::new(ending::signals()).map_err(|error| Error::Signals { source: error })?;
        ending::hand_over();
        let stop = Stop(Arc::default());
        let asked = Arc::clone(&stop.0);
        std::thread::spawn(move || {
            for _ in signals.forever() {
                let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
                asked.is_asked = true;
                if let Some(interrupter) = &asked.interrupter {
                    interrupter.interrupt();
                }
            }
        });
        Ok(stop)
    }

    /// Whether one came.
    pub(super) fn is_asked(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_asked
    }

    /// From now on the waits for this console end as well.
    pub(super) fn reach(&self, console: &Console) {
        let interrupter = console.interrupter();
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_asked {
            interrupter.interrupt();
        }
        asked.interrupter = Some(interrupter);
    }
}
