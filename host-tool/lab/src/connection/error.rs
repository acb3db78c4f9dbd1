//! What can be wrong on the way to a console.

use std::io;
use std::path::PathBuf;

use super::Address;
use crate::text::shown;
use stoop_image::explained::{Explained, FAILED, NO_PLACE, USAGE};

/// What is wrong on the way to a console.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// What was typed behind `--serial` names no console.
    #[error("{:?} is no address of a console: {reason}", address)]
    Address {
        /// What was typed.
        address: String,
        /// Why not.
        reason: &'static str,
    },
    /// There is no such device.
    #[error("there is no {}", shown(&path.to_string_lossy()))]
    Missing {
        /// The device.
        path: PathBuf,
        /// The serial ports that there are, by their stable names.
        others: Vec<PathBuf>,
    },
    /// The user may not open the device.
    #[error("{}: this user may not open it", shown(&path.to_string_lossy()))]
    Forbidden {
        /// The device.
        path: PathBuf,
    },
    /// Another program has the device.
    #[error("{}: {holder} has it", shown(&path.to_string_lossy()))]
    Busy {
        /// The device.
        path: PathBuf,
        /// The other program as far as it is known.
        holder: String,
    },
    /// The connection could not be made.
    #[error("{}: {source}", shown(&address.to_string()))]
    Open {
        /// Where the console should be.
        address: Address,
        /// What the operating system says.
        source: io::Error,
    },
    /// The other end does not speak RFC 2217, or does not take the settings.
    #[error("{}: {reason}", shown(&address.to_string()))]
    Rfc2217 {
        /// The console server.
        address: Address,
        /// Its answer, or the lack of one.
        reason: String,
    },
    /// This kind of connection has no such control.
    #[error("{} cannot {action}", shown(&address.to_string()))]
    Unsupported {
        /// The console.
        address: Address,
        /// What was asked for, as a verb.
        action: &'static str,
    },
    /// An open connection broke and did not come back in time.
    #[error("{}: the connection was lost: {reason}", shown(&address.to_string()))]
    Lost {
        /// The console.
        address: Address,
        /// What the operating system says.
        reason: String,
    },
}

impl Explained for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Address { .. } => "L010",
            Error::Missing { .. } => "L011",
            Error::Forbidden { .. } => "L012",
            Error::Busy { .. } => "L013",
            Error::Open { .. } => "L014",
            Error::Rfc2217 { .. } => "L015",
            Error::Unsupported { .. } => "L016",
            Error::Lost { .. } => "L017",
        }
    }

    fn next_step(&self) -> Option<String> {
        Some(match self {
            Error::Address { .. } => "give a device such as /dev/ttyUSB0 or /dev/serial/by-id/…, or tcp://HOST:PORT, \
                 rfc2217://HOST:PORT or exec:COMMAND"
                .into(),
            Error::Missing { others, .. } if others.is_empty() => {
                "plug the adapter in and look at `dmesg` for its name; no serial port is under /dev/serial/by-id".into()
            }
            Error::Missing { others, .. } => {
                let others: Vec<_> = others.iter().map(|path| shown(&path.to_string_lossy())).collect();
                format!("use one that is there: {}", others.join(", "))
            }
            Error::Forbidden { .. } => {
                "add the user to the device's group (Debian: `sudo adduser USER dialout`) and log in again".into()
            }
            Error::Busy { .. } => "end the other program: two readers would each get a part of the console".into(),
            Error::Open { address, source } => open_step(address, source),
            Error::Rfc2217 { address: Address::Rfc2217(endpoint), .. } => {
                format!("if the port carries bare bytes, use tcp://{endpoint}")
            }
            Error::Rfc2217 { .. } => return None,
            Error::Unsupported { .. } => {
                "use the device itself or rfc2217://, or set it where the console server is configured".into()
            }
            Error::Lost { address, .. } => match address {
                Address::Device(_) => "see that the adapter is plugged in and the board has power".into(),
                Address::Tcp(_) | Address::Rfc2217(_) => {
                    "see that the console server runs and still has the port".into()
                }
                Address::Exec(_) => "see why the command ends by running it by hand".into(),
            },
        })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Address { .. } | Error::Unsupported { .. } => USAGE,
            Error::Forbidden { .. } => FAILED,
            Error::Busy { .. }
            | Error::Missing { .. }
            | Error::Open { .. }
            | Error::Rfc2217 { .. }
            | Error::Lost { .. } => NO_PLACE,
        }
    }
}

fn open_step(address: &Address, source: &io::Error) -> String {
    match (address, source.kind()) {
        (Address::Tcp(_) | Address::Rfc2217(_), io::ErrorKind::ConnectionRefused) => {
            "see that the console server runs and listens on this port".into()
        }
        (Address::Tcp(endpoint) | Address::Rfc2217(endpoint), _) => {
            format!("see that {} can be reached from here: name, network, firewall", shown(&endpoint.host))
        }
        (Address::Device(_), _) => "name a serial port".into(),
        (Address::Exec(_), _) => "see that the command runs in a shell".into(),
    }
}
