//! Consoles by whatever way they are reached: a serial port, a TCP port, RFC 2217, a command.
//!
//! [`Address`] is what users type, [`Port`] is one open way, [`Connection`] reads it in a thread of its own and opens it again
//! when it vanishes.

mod address;
mod error;
mod exec;
mod lock;
mod rfc2217;
mod serial;
mod steady;
mod streams;
mod tcp;

use std::io;
use std::sync::Arc;
use std::time::Duration;

pub use address::{Address, Endpoint};
pub use error::Error;
pub use lock::Lock;
pub use steady::{Connection, Event, Options, Sender};
pub use streams::{Receiver, StreamSender};

/// How long [`Port::receive`] waits, so that its thread notices when nobody wants more.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long a host has to accept a connection, and an RFC 2217 server to agree.
const CONNECT: Duration = Duration::from_secs(5);

/// One open way to a console. Receiving and sending may happen in two threads at once.
pub trait Port: Send + Sync {
    /// Waits a fraction of a second for bytes; 0 means that none came.
    ///
    /// # Errors
    /// The port is gone ([`io::ErrorKind::UnexpectedEof`] when its other end was closed in order).
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends all of it.
    ///
    /// # Errors
    /// The port is gone, or takes nothing for seconds (flow control).
    fn send(&self, bytes: &[u8]) -> io::Result<()>;

    /// Sends a break: a quarter of a second of 0 on the line (Linux's magic SysRq on a serial console).
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] when this kind of port has none.
    fn send_break(&self) -> io::Result<()>;

    /// Changes the speed, in bits a second.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`] when this kind of port has none; otherwise the port does not take it.
    fn set_speed(&self, speed: u32) -> io::Result<()>;
}

/// How long a break lasts.
const BREAK: Duration = Duration::from_millis(250);

fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Opens it once, at `speed` bits a second where that can be set.
///
/// # Errors
/// It is not there, may not be opened, or another program has it.
pub fn open(address: &Address, speed: u32) -> Result<Arc<dyn Port>, Error> {
    Ok(match address {
        Address::Device(path) => Arc::new(serial::Serial::open(path, speed)?),
        Address::Tcp(endpoint) => Arc::new(tcp::Tcp::open(endpoint)?),
        Address::Rfc2217(endpoint) => Arc::new(rfc2217::Rfc2217::open(endpoint, speed)?),
        Address::Exec(command) => Arc::new(exec::Exec::open(command)?),
    })
}
