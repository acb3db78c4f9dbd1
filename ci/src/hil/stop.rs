//! What ends a job early: a signal, or a parent that is gone.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use shared_child::SharedChild;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use stoop::{Failure, Result};

/// Whether to end. Copies share it.
#[derive(Clone, Default)]
pub struct Stop(Arc<Shared>);

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    children: Mutex<Vec<Arc<SharedChild>>>,
}

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

    /// Ends, and kills the children that are watched.
    pub fn now(&self) {
        // The flag first: a child that comes later is killed by `watch`.
        self.0.stopped.store(true, Ordering::SeqCst);
        for child in self.children().drain(..) {
            // It fails only when it has already ended.
            let _ = child.kill();
        }
    }

    /// Whether to end.
    pub fn is_now(&self) -> bool {
        self.0.stopped.load(Ordering::SeqCst)
    }

    /// Does `work` with a child that is killed when it is time to end.
    pub fn watch<T>(&self, child: &Arc<SharedChild>, work: impl FnOnce() -> T) -> T {
        self.children().push(Arc::clone(child));
        if self.is_now() {
            let _ = child.kill();
        }
        let done = work();
        self.children().retain(|other| !Arc::ptr_eq(other, child));
        done
    }

    fn children(&self) -> std::sync::MutexGuard<'_, Vec<Arc<SharedChild>>> {
        self.0.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
