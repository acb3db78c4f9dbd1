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
mod switch;
mod word;

use std::time::Duration;

pub use error::Error;
pub use gpio::Line;
pub use supply::{GpioLine, HttpRelay, Kind, Mode, Supply};
pub use switch::Power;

/// How long the power stays off in a cycle unless told otherwise: what most supplies need to run empty, and labgrid's choice.
pub const OFF_TIME: Duration = Duration::from_secs(2);

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
