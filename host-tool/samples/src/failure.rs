//! How the repository's own tools and test rigs fail: one type for all, since a person reads it and no program tells one failure from
//! another. Errors of stoop's libraries become one of these with all that they say.

use std::fmt;
use std::path::Path;

use stoop_image::explained::{Explained, FAILED, NO_ANSWER, USAGE};

/// One failure: what is the case, what to do about it, and the exit code.
#[derive(Debug)]
pub struct Failure {
    code: &'static str,
    exit_code: u8,
    fact: String,
    next: Option<String>,
}

/// What functions of tools and rigs return.
pub type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// The work could not be done; `fact` is one sentence without a full stop.
    pub fn new(fact: impl Into<String>) -> Self {
        let code = stoop_image::ErrorCode::Repository.name();
        Failure { code, exit_code: FAILED, fact: fact.into(), next: None }
    }

    /// Something impossible was asked for.
    pub fn usage(fact: impl Into<String>) -> Self {
        Failure { exit_code: USAGE, ..Failure::new(fact) }
    }

    /// A board or emulator did not answer.
    pub fn no_answer(fact: impl Into<String>) -> Self {
        Failure { exit_code: NO_ANSWER, ..Failure::new(fact) }
    }

    /// A file could not be read or written.
    pub fn io(path: &Path, error: &std::io::Error) -> Self {
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

    /// The stable code, as `stoop explain` takes it.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// What went wrong.
    pub fn fact(&self) -> &str {
        &self.fact
    }

    /// What to do about it.
    pub fn next_step(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> u8 {
        self.exit_code
    }
}

impl<E: Explained> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure { code: error.code(), exit_code: error.exit_code(), fact: error.to_string(), next: error.next_step() }
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
