//! The lab, begun before its turn: its compilers take what time the other parts leave of the processors.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use stoop_samples::failure::{Failure, Result};

use crate::{cache, repository, run};

/// `cargo ci lab` at the lowest priority. It holds the lab's lock, so that whoever wants the lab waits for it, and builds what it did not.
pub struct Lab(Child);

impl Lab {
    /// Starts it, with its output in `target/lab-ahead.log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn begin() -> Result<Lab> {
        let log = repository().join("target/lab-ahead.log");
        let io = |error| Failure::io(&log, &error);
        cache::create_dir(&repository().join("target"))?;
        let file = File::create(&log).map_err(io)?;
        let this = std::env::current_exe().map_err(io)?;
        let mut nice = run::command("nice");
        nice.args(["-n", "19"]).arg(this).arg("lab");
        // Killed where this process is, too, and then make, which writes to it, is by its next line.
        let mut lab = run::bound(&nice);
        lab.process_group(0).stdin(Stdio::null()).stdout(file.try_clone().map_err(io)?).stderr(file);
        Ok(Lab(lab.spawn().map_err(io)?))
    }
}

impl Drop for Lab {
    /// With all that it has started.
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}
