//! What every failure of the crate can say besides its fact, and the exit codes.

/// What every failure can say besides the fact.
pub trait Explained {
    /// The stable code: `L` and three digits, for `stoop explain` and for scripts.
    fn code(&self) -> &'static str;

    /// What to do about it: an imperative sentence without a full stop.
    fn next_step(&self) -> Option<String>;

    /// The process's exit code.
    fn exit_code(&self) -> u8;
}

/// Exit code: the work could not be done.
pub const FAILED: u8 = 1;
/// Exit code: the command line or a file that the user wrote asks for something impossible.
pub const USAGE: u8 = 2;
/// Exit code: a device did not answer, or not as a board does.
pub const NO_ANSWER: u8 = 3;
/// Exit code: the way to the board is broken, not the board: a busy or missing port, a power switch that does not switch, another
/// board. Trying again later or elsewhere may help (`EX_TEMPFAIL` of sysexits.h).
pub const NO_PLACE: u8 = 75;
/// Exit code: the user ended it, as of a shell's command that Ctrl-C ends.
pub const INTERRUPTED: u8 = 130;
