//! Runs of a core, recorded for another emulator to play again: `hil-tests/unicorn`, a program of its own.

#[allow(dead_code, reason = "that program reads what is written here")]
#[path = "../../unicorn/src/trace.rs"]
pub mod trace;

use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use trace::{Access, Start, Step, write_start, write_step};

/// The other emulator, at work on what is recorded.
pub struct Compared {
    child: Child,
    to: Option<BufWriter<ChildStdin>>,
    registers: Vec<u64>,
    step: Step,
}

impl Compared {
    /// Starts that program with what there is before the first instruction.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn new(program: &Path, start: &Start) -> std::io::Result<Compared> {
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut to = child.stdin.take().map(|stdin| BufWriter::with_capacity(1 << 20, stdin));
        if let Some(to) = &mut to {
            write_start(to, start)?;
        }
        Ok(Compared { child, to, registers: start.registers.clone(), step: Step::default() })
    }

    /// Hands over an instruction: the registers are those behind it. Once the other emulator has seen a difference it reads no
    /// more, and nothing more is written.
    pub fn step(
        &mut self,
        pc: u64,
        is_told: bool,
        registers: impl IntoIterator<Item = u64>,
        accesses: impl IntoIterator<Item = Access>,
    ) {
        let step = &mut self.step;
        (step.pc, step.is_told) = (pc, is_told);
        step.changes.clear();
        for ((number, known), value) in (0u8..).zip(&mut self.registers).zip(registers) {
            if *known != value || is_told {
                *known = value;
                step.changes.push((number, value));
            }
        }
        step.accesses.clear();
        step.accesses.extend(accesses);
        if self.to.as_mut().is_some_and(|to| write_step(to, step).is_err()) {
            self.to = None;
        }
    }

    /// What the other emulator says of it: how many instructions were the same.
    ///
    /// # Errors
    /// Where they first differed.
    pub fn end(mut self) -> Result<u64, String> {
        if let Some(mut to) = self.to.take() {
            let _ = to.flush();
        }
        let output = self.child.wait_with_output().map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let same = said.split(' ').next().and_then(|number| number.parse().ok());
        match same {
            Some(same) if output.status.success() => Ok(same),
            _ => Err(format!("{}: {}", output.status, said.trim())),
        }
    }
}
