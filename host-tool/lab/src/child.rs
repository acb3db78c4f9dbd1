//! How a command that was started ended, without waiting for ever.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};

/// Waits for at most so long until the process has ended; says whether it has. Its status is still there for `wait`.
///
/// # Errors
/// The operating system cannot watch processes (Linux before 5.3).
pub fn ends_within(child: &Child, longest: Duration) -> io::Result<bool> {
    ends(&watched(child)?, longest)
}

/// What is wrong with a process that ends within so long, in words: its exit code is not 0, or a signal ended it. Its number is not given to
/// another one before `wait`.
pub fn failed_within(child: &Child, longest: Duration) -> Option<String> {
    let watched = watched(child).ok()?;
    if !ends(&watched, longest).ok()? {
        return None;
    }
    let ended = waitid(WaitId::PidFd(watched.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT).ok()??;
    match (ended.exit_status(), ended.terminating_signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit code {code}")),
        (None, signal) => Some(format!("signal {}", signal.unwrap_or_default())),
    }
}

fn watched(child: &Child) -> io::Result<OwnedFd> {
    let number = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    Ok(pidfd_open(number.ok_or(io::ErrorKind::InvalidInput)?, PidfdFlags::empty())?)
}

fn ends(watched: &OwnedFd, longest: Duration) -> io::Result<bool> {
    let longest = Timespec { tv_sec: longest.as_secs() as i64, tv_nsec: i64::from(longest.subsec_nanos()) };
    loop {
        match poll(&mut [PollFd::new(watched, PollFlags::IN)], Some(&longest)) {
            Ok(count) => return Ok(count > 0),
            // A signal of somebody else's; at worst the wait is as long again.
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
