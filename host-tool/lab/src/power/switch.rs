//! A switch for a board's power, whatever its kind.

use std::thread;
use std::time::Duration;

use super::Error;

/// A switch for a board's power.
pub trait Power: Send {
    /// Switches it on or off.
    ///
    /// # Errors
    /// The switch does not answer, refuses, or says afterwards that it did not switch.
    fn set(&mut self, on: bool) -> Result<(), Error>;

    /// Whether it is on; `None` when this kind of switch cannot tell.
    ///
    /// # Errors
    /// The switch does not answer.
    fn is_on(&mut self) -> Result<Option<bool>, Error>;

    /// Switches off, and on again after `off_time`.
    ///
    /// # Errors
    /// As for [`Power::set`].
    fn cycle(&mut self, off_time: Duration) -> Result<(), Error> {
        self.set(false)?;
        thread::sleep(off_time);
        self.set(true)
    }
}

/// Asks the switch whether it did what it was told. One that cannot tell is believed.
pub(super) fn confirm(what: impl std::fmt::Display, wanted: bool, is_on: Option<bool>) -> Result<(), Error> {
    match is_on {
        Some(is_on) if is_on != wanted => Err(Error::Disobeyed { what: what.to_string(), wanted }),
        _ => Ok(()),
    }
}
