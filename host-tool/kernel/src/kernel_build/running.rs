//! The make that runs, and its end when the process is told to end: nobody goes on in a tree whose lock is free.

use std::process::{Child, ExitStatus};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long make may take to end its jobs.
const PATIENCE: Duration = Duration::from_secs(10);

/// make runs once at a time: the tree is locked, and a process builds one.
static RUNNING: Mutex<Running> = Mutex::new(Running { make: None, is_ending: false });
static CHANGED: Condvar = Condvar::new();

struct Running {
    make: Option<Pid>,
    is_ending: bool,
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps it until [`ended`].
pub(super) fn begun(make: &Child) {
    running().make = Some(Pid::from_child(make));
}

/// Waits for make, whose output has come to its end, so that none of its jobs is left. Never returns when the process is ending: the
/// failure is not make's.
///
/// # Errors
/// As of `waitpid(2)`.
pub(super) fn ended(mut make: Child) -> std::io::Result<ExitStatus> {
    let status = make.wait();
    let mut running = running();
    running.make = None;
    CHANGED.notify_all();
    while running.is_ending {
        running = CHANGED.wait(running).unwrap_or_else(PoisonError::into_inner);
    }
    status
}

/// Ends make and waits for it. From then on whoever waits for make waits for the end of the process, which is the caller's to bring
/// about.
pub fn end() {
    let mut running = running();
    running.is_ending = true;
    if let Some(make) = running.make {
        // It ends its jobs and removes what they have half made.
        let _ = kill_process(make, Signal::TERM);
        let _ = CHANGED.wait_timeout_while(running, PATIENCE, |running| running.make.is_some());
    }
}
