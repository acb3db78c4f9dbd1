//! The make that runs, and its end when the process is told to end: nobody goes on in a tree whose lock is free.

use std::process::{Child, Command};
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

/// Starts make; it counts as running until [`ended`]. Never returns when the process is ending.
///
/// # Errors
/// It cannot be started.
pub(super) fn begin(make: &mut Command) -> std::io::Result<Child> {
    // Until it is listed nobody ends what is listed.
    let mut running = unless_ending(running());
    let child = make.spawn()?;
    running.make = Some(Pid::from_child(&child));
    Ok(child)
}

/// Asks make to end: nobody listens to it any more.
pub(super) fn stop() {
    if let Some(make) = running().make {
        // It ends its jobs and removes what they have half made.
        let _ = kill_process(make, Signal::TERM);
    }
}

/// Waits for make, whose output has come to its end, so that none of its jobs is left. Never returns when the process is ending: the
/// failure is not make's.
pub(super) fn ended<T>(wait: impl FnOnce() -> T) -> T {
    let came_of_it = wait();
    let mut running = running();
    running.make = None;
    CHANGED.notify_all();
    drop(unless_ending(running));
    came_of_it
}

fn unless_ending(mut running: MutexGuard<'static, Running>) -> MutexGuard<'static, Running> {
    while running.is_ending {
        running = CHANGED.wait(running).unwrap_or_else(PoisonError::into_inner);
    }
    running
}

/// Ends make and waits for it. From then on whoever starts make or waits for it waits for the end of the process, which is the caller's
/// to bring about.
pub fn end() {
    running().is_ending = true;
    stop();
    let _ = CHANGED.wait_timeout_while(running(), PATIENCE, |running| running.make.is_some());
}
