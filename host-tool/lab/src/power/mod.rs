//! A board's power: by a command, a relay with HTTP, pdudaemon or a GPIO line.
//!
//! [`Supply`] is what users type, [`Power`] is the switch. stoop knows few kinds of its own: what has a command-line tool works by `cmd:`,
//! and pdudaemon drives some thirty vendors' power strips.

mod command;
mod error;
mod gpio;
mod http;
mod pdudaemon;
mod relay;
mod supply;

use std::thread;
use std::time::Duration;

pub use error::Error;
pub use gpio::{Line, Mode};
pub use supply::{GpioLine, HttpRelay, Kind, Supply};

use crate::connection::Endpoint;

/// How long the power stays off in a cycle unless told otherwise: what most supplies need to run empty, and labgrid's choice.
pub const OFF_TIME: Duration = Duration::from_secs(2);

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

/// Opens the switch.
///
/// # Errors
/// A GPIO line that is not there or may not be used; the other kinds are asked when they are used.
pub fn open(supply: &Supply) -> Result<Box<dyn Power>, Error> {
    Ok(match supply {
        Supply::Command(command) => Box::new(command::Command::new(command)),
        Supply::Http(relay) => Box::new(relay::Relay::new(relay.clone())),
        Supply::Pdudaemon { daemon, host, port } => Box::new(pdudaemon::Pdudaemon::new(daemon, host, port)),
        Supply::Gpio(line) => gpio::open(line)?,
    })
}

/// Asks the switch whether it did what it was told. One that cannot tell is believed.
fn confirm(what: impl std::fmt::Display, wanted: bool, is_on: Option<bool>) -> Result<(), Error> {
    match is_on {
        Some(is_on) if is_on != wanted => Err(Error::Disobeyed { what: what.to_string(), wanted }),
        _ => Ok(()),
    }
}

fn word(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
