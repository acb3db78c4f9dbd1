//! Errors for people: the fact with numbers in hex, then what to do next.

use std::fmt;

/// What exit code a failure gives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The work could not be done: exit code 1.
    Failed,
    /// The command line or a file the user wrote asks for something impossible: exit code 2.
    Usage,
    /// A board or emulator did not answer in time: exit code 3.
    NoAnswer,
    /// The way to a board is broken, not the board (a busy port, a power switch that does not switch): exit code 75, as sysexits.h
    /// has it for what may work later.
    NoPlace,
    /// The user ended it: exit code 130, as of a shell's command that Ctrl-C ends.
    Interrupted,
}

/// One failure: what is the case, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    fact: String,
    next: Option<String>,
}

/// What the library's functions return.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// The work could not be done; `fact` is one sentence without a full stop.
    pub fn new(fact: impl Into<String>) -> Self {
        Failure { kind: Kind::Failed, fact: fact.into(), next: None }
    }

    /// The user asked for something impossible.
    pub fn usage(fact: impl Into<String>) -> Self {
        Failure { kind: Kind::Usage, ..Failure::new(fact) }
    }

    /// A board or emulator did not answer.
    pub fn no_answer(fact: impl Into<String>) -> Self {
        Failure { kind: Kind::NoAnswer, ..Failure::new(fact) }
    }

    /// The way to a board is broken.
    pub fn no_place(fact: impl Into<String>) -> Self {
        Failure { kind: Kind::NoPlace, ..Failure::new(fact) }
    }

    /// Somebody pressed Ctrl-C, or asked the process to end.
    pub fn interrupted() -> Self {
        Failure { kind: Kind::Interrupted, ..Failure::new("interrupted") }
    }

    /// A file could not be read or written.
    pub fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Failure::new(format!("{}: {error}", path.display()))
    }

    /// Adds the next step, an imperative sentence without a full stop.
    #[must_use]
    pub fn next(mut self, step: impl Into<String>) -> Self {
        self.next = Some(step.into());
        self
    }

    /// Puts where it happened in front of the fact, as `context: fact`.
    #[must_use]
    pub fn within(mut self, context: impl fmt::Display) -> Self {
        self.fact = format!("{context}: {}", self.fact);
        self
    }

    /// What went wrong.
    pub fn fact(&self) -> &str {
        &self.fact
    }

    /// What to do about it.
    pub fn next_step(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The process's exit code: 1, 2, 3, 75 or 130.
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Failed => 1,
            Kind::Usage => 2,
            Kind::NoAnswer => 3,
            Kind::NoPlace => 75,
            Kind::Interrupted => 130,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.fact)?;
        match &self.next {
            Some(next) => write!(f, "\n  next: {next}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
