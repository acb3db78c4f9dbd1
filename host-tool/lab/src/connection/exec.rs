//! A shell command whose stdin and stdout are the console.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process_group};

use super::port::{PATIENCE, unsupported};
use super::{Address, Error, Port};
use crate::child;

/// How long a command may live on after its stdout has ended, before that counts as an end in order.
const END: Duration = Duration::from_secs(1);

pub struct Exec {
    child: Mutex<Child>,
    to: Mutex<ChildStdin>,
    from: Mutex<ChildStdout>,
}

impl Exec {
    pub fn open(command: &str) -> Result<Exec, Error> {
        let failed = |source| Error::Open { address: Address::Exec(command.to_owned()), source };
        // A group of its own, so that everything the shell started can be ended with it.
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", command]).process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().map_err(failed)?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(to), Some(from)) => Ok(Exec { child: Mutex::new(child), to: Mutex::new(to), from: Mutex::new(from) }),
            _ => Err(failed(ErrorKind::BrokenPipe.into())),
        }
    }
}

fn held<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Port for Exec {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut from = held(&self.from);
        let patience = Timespec { tv_sec: 0, tv_nsec: i64::from(PATIENCE.subsec_nanos()) };
        let ready = poll(&mut [PollFd::new(&*from, PollFlags::IN)], Some(&patience));
        match ready {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(0),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        match from.read(buffer)? {
            0 => Err(match child::failed_within(&held(&self.child), END) {
                Some(how) => io::Error::other(format!("the command ended with {how}")),
                None => io::Error::new(ErrorKind::UnexpectedEof, "the command ended"),
            }),
            count => Ok(count),
        }
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        held(&self.to).write_all(bytes)
    }

    fn send_break(&self) -> io::Result<()> {
        Err(unsupported())
    }

    fn set_speed(&self, _: u32) -> io::Result<()> {
        Err(unsupported())
    }
}

impl Drop for Exec {
    fn drop(&mut self) {
        let mut child = held(&self.child);
        if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself; until `wait` its number is not given to another process.
            let _ = kill_process_group(group, Signal::TERM);
        }
        let _ = child.wait();
    }
}
