//! What ends a job early: a signal, or a parent that is gone.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use shared_child::SharedChild;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use stoop_samples::failure::{Failure, Result};

/// Whether to end. Copies share it.
#[derive(Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    /// What ends the work that goes on, by its number.
    ends: Mutex<Vec<(u64, End)>>,
    last: AtomicU64,
}

type End = Box<dyn FnOnce() + Send>;

impl Stop {
    /// Listens for SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// The system refuses.
    pub fn on_signals() -> Result<Stop> {
        let stop = Stop::default();
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .map_err(|error| Failure::new(format!("cannot listen for signals: {error}")))?;
        let ours = stop.clone();
        std::thread::spawn(move || signals.forever().for_each(|_| ours.now()));
        Ok(stop)
    }

    /// Ends also when standard input does: the parent holds its other end.
    pub fn with_parent(self) -> Stop {
        let ours = self.clone();
        std::thread::spawn(move || {
            let mut nothing = [0; 64];
            while matches!(std::io::stdin().read(&mut nothing), Ok(1..)) {}
            ours.now();
        });
        self
    }

    /// Ends, and ends the work that goes on.
    pub fn now(&self) {
        // The flag first: work that comes later is ended by `during`.
        self.0.stopped.store(true, Ordering::SeqCst);
        let ends = std::mem::take(&mut *self.ends());
        ends.into_iter().for_each(|(_, end)| end());
    }

    /// Whether to end.
    pub fn is_now(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Does `work`; `end` is called when it is time to end before `work` has returned, and is to make it return.
    pub fn during<T>(&self, end: impl FnOnce() + Send + 'static, work: impl FnOnce() -> T) -> T {
        let number = self.0.last.fetch_add(1, Ordering::Relaxed);
        self.ends().push((number, Box::new(end)));
        if self.is_now() {
            self.now();
        }
        let done = work();
        self.ends().retain(|other| other.0 != number);
        done
    }

    /// Does `work` with a child that is killed when it is time to end.
    pub fn watch<T>(&self, child: &Arc<SharedChild>, work: impl FnOnce() -> T) -> T {
        let theirs = Arc::clone(child);
        // It fails only when it has already ended.
        self.during(move || drop(theirs.kill()), work)
    }

    fn ends(&self) -> std::sync::MutexGuard<'_, Vec<(u64, End)>> {
        self.0.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
