//! One open way to a console.

use std::io;
use std::time::Duration;

/// How long [`Port::receive`] waits, so that its thread notices when nobody wants more.
pub(super) const PATIENCE: Duration = Duration::from_millis(200);

/// How long a host has to accept a connection, and an RFC 2217 server to agree.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

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
pub(super) const BREAK: Duration = Duration::from_millis(250);

/// What a port says to a request that it has no way for.
pub(super) fn unsupported() -> io::Error {
    io::ErrorKind::Unsupported.into()
}
