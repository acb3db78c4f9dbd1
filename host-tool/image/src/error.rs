//! Errors for people: a stable code, the fact with addresses in hex, then what to do next.

mod code;

use std::fmt;

use crate::explained::{self, Explained};

pub use code::ErrorCode;

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

/// One failure: which kind of failure it is, what is the case, and what to do about it.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    code: &'static str,
    fact: String,
    next: Option<String>,
}

/// What the library's functions return.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// The work could not be done; `fact` is one sentence without a full stop.
    pub fn new(code: ErrorCode, fact: impl Into<String>) -> Self {
        Failure { kind: Kind::Failed, code: code.name(), fact: fact.into(), next: None }
    }

    /// The user asked for something impossible.
    pub fn usage(code: ErrorCode, fact: impl Into<String>) -> Self {
        Failure { kind: Kind::Usage, ..Failure::new(code, fact) }
    }

    /// A board or emulator did not answer.
    pub fn no_answer(code: ErrorCode, fact: impl Into<String>) -> Self {
        Failure { kind: Kind::NoAnswer, ..Failure::new(code, fact) }
    }

    /// A failure of a crate that has codes of its own: `code` is what `stoop explain` takes.
    pub fn of(kind: Kind, code: &'static str, fact: impl Into<String>) -> Self {
        Failure { kind, code, fact: fact.into(), next: None }
    }

    /// Somebody pressed Ctrl-C, or asked the process to end.
    pub fn interrupted() -> Self {
        Failure { kind: Kind::Interrupted, ..Failure::new(ErrorCode::Interrupted, "interrupted") }
    }

    /// A file could not be read or written.
    pub fn io(path: &std::path::Path, error: &std::io::Error) -> Self {
        Failure::new(ErrorCode::File, format!("{}: {error}", path.display()))
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

    /// The stable code, as `stoop explain` takes it: `H061`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Whether it is a failure of this kind.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.code == code.name()
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

impl<E: Explained> From<E> for Failure {
    fn from(error: E) -> Failure {
        let kind = match error.exit_code() {
            explained::USAGE => Kind::Usage,
            explained::NO_ANSWER => Kind::NoAnswer,
            explained::NO_PLACE => Kind::NoPlace,
            explained::INTERRUPTED => Kind::Interrupted,
            _ => Kind::Failed,
        };
        Failure { kind, code: error.code(), fact: error.to_string(), next: error.next_step() }
    }
}
