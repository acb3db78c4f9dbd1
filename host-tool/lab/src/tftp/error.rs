//! Why the TFTP server cannot listen.

use std::io;
use std::net::SocketAddr;

use stoop_image::explained::{Explained, FAILED, USAGE};

/// Why the TFTP server cannot listen.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// Another program has the port.
    #[error("UDP port {} of {} is taken by another program", address.port(), address.ip())]
    Taken {
        /// Where it should listen.
        address: SocketAddr,
    },
    /// This user may not have the port.
    #[error("this user may not listen on UDP port {} of {}", address.port(), address.ip())]
    Forbidden {
        /// Where it should listen.
        address: SocketAddr,
    },
    /// The address is not one of this machine's.
    #[error("{} is no address of this machine", address.ip())]
    NotOurs {
        /// Where it should listen.
        address: SocketAddr,
    },
    /// Every address was asked for, and with several the answers could come from another than the one that was asked.
    #[error("{} is every address of this machine", address.ip())]
    Unspecified {
        /// Where it should listen.
        address: SocketAddr,
    },
    /// Anything else.
    #[error("UDP port {} of {}: {source}", address.port(), address.ip())]
    Listen {
        /// Where it should listen.
        address: SocketAddr,
        /// What the operating system says.
        source: io::Error,
    },
}

impl Error {
    /// By what the operating system says.
    pub fn listen(address: SocketAddr, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::AddrInUse => Error::Taken { address },
            io::ErrorKind::PermissionDenied => Error::Forbidden { address },
            io::ErrorKind::AddrNotAvailable => Error::NotOurs { address },
            _ => Error::Listen { address, source },
        }
    }
}

impl Explained for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Taken { .. } => "L020",
            Error::Forbidden { .. } => "L021",
            Error::NotOurs { .. } => "L022",
            Error::Unspecified { .. } => "L023",
            Error::Listen { .. } => "L024",
        }
    }

    fn next_step(&self) -> Option<String> {
        Some(match self {
            Error::Taken { address } => format!(
                "see which by `sudo ss -ulpn 'sport = :{}'` (often dnsmasq or tftpd-hpa) and stop it for now",
                address.port()
            ),
            Error::Forbidden { address } => format!(
                "allow it until the next start: `sudo sysctl net.ipv4.ip_unprivileged_port_start={}`",
                address.port()
            ),
            Error::NotOurs { .. } => {
                "give one that `ip address` shows at the interface to the board, or add it there: \
                 `sudo ip address add ADDRESS/24 dev INTERFACE`"
                    .into()
            }
            Error::Unspecified { .. } => "give the one of the interface to the board".into(),
            Error::Listen { .. } => return None,
        })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::NotOurs { .. } | Error::Unspecified { .. } => USAGE,
            Error::Taken { .. } | Error::Forbidden { .. } | Error::Listen { .. } => FAILED,
        }
    }
}
