//! What Ctrl-C and the like do to a verb that does not listen for them itself: what runs for it ends, what is half written goes, and the process ends.

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use stoop_image::{Explained as _, unfinished};

use crate::command::Error;
use crate::{json, ui};

/// Set once a verb listens itself.
static IS_HANDED_OVER: AtomicBool = AtomicBool::new(false);

/// The verb ends by itself from now on when a signal comes.
pub(crate) fn hand_over() {
    IS_HANDED_OVER.store(true, Ordering::Relaxed);
}

/// The signals that ask a verb to end which listens itself: without SIGHUP where whoever started it had it ignore that (`nohup`).
pub(crate) fn signals() -> Vec<c_int> {
    let heard = heard();
    // A script's `&` has SIGINT ignored; it is how the script ends such a verb all the same.
    [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| *signal != SIGHUP || heard.contains(signal)).collect()
}

/// The signals that ask a process to end, without those that whoever started it had it ignore, as `nohup` and a script's `&` do.
fn heard() -> Vec<c_int> {
    let ignored = std::fs::read_to_string("/proc/self/status").ok();
    let ignored = ignored.as_deref().and_then(|status| status.lines().find_map(|line| line.strip_prefix("SigIgn:")));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    let is_ignored = |signal: &c_int| ignored >> (signal - 1) & 1 == 1;
    [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| !is_ignored(signal)).collect()
}

/// Listens from now on. Where a process may not, signals end it as the system has it.
pub fn on_signals() {
    let Ok(mut all) = Signals::new(heard()) else { return };
    std::thread::spawn(move || {
        for _ in all.forever() {
            if !IS_HANDED_OVER.load(Ordering::Relaxed) {
                end();
            }
        }
    });
}

/// What a verb has to say of an end in its middle, if anything.
type Instead = Box<dyn Fn() -> Option<crate::Error> + Send>;

static INSTEAD: Mutex<Option<Instead>> = Mutex::new(None);

/// From now on this is said when a signal ends the process, where it gives something.
pub(crate) fn instead(say: impl Fn() -> Option<crate::Error> + Send + 'static) {
    *INSTEAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(say));
}

fn end() -> ! {
    stoop_kernel::kernel_build::running::end();
    unfinished::remove_all();
    let instead = INSTEAD.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|say| say());
    let failure = instead.unwrap_or_else(|| Error::Interrupted.into());
    if json::is_asked() {
        json::put_failure(&failure);
    }
    ui::tell(format_args!("{}: {}", failure.code(), ui::in_full(&failure)));
    std::process::exit(failure.exit_code().into())
}
