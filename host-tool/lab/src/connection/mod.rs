//! Consoles by whatever way they are reached: a serial port, a TCP port, RFC 2217, a command.
//!
//! [`Address`] is what users type, [`Port`] is one open way, [`Connection`] reads it in a thread of its own and opens it again
//! when it vanishes.

mod address;
mod error;
mod exec;
mod lock;
mod open;
mod parse;
mod port;
mod rfc2217;
mod serial;
mod steady;
mod streams;
mod tcp;

pub use address::{Address, Endpoint};
pub use error::Error;
pub use lock::Lock;
pub use open::open;
pub use port::Port;
pub use steady::{Connection, Event, Options, Sender};
pub use streams::{Receiver, StreamSender};
