//! Where a console is: what users type behind `--serial`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// Where a console is. [`FromStr`] reads what users type, [`fmt::Display`] writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// A serial port or pseudo-terminal: `/dev/ttyUSB0`, `/dev/serial/by-id/usb-…`.
    Device(PathBuf),
    /// A TCP port that carries the console's bytes and nothing else: `tcp://HOST:PORT`.
    Tcp(Endpoint),
    /// A TCP port that speaks Telnet with COM port control (RFC 2217), as ser2net offers: `rfc2217://HOST:PORT`.
    Rfc2217(Endpoint),
    /// A shell command whose stdin and stdout are the console: `exec:ssh lab picocom /dev/ttyUSB0`.
    Exec(String),
}

/// A host and a TCP port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Endpoint {
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    /// 1 to 65535.
    pub port: u16,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Endpoint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or("a port is missing")?;
        let host = match host.strip_prefix('[') {
            Some(host) => host.strip_suffix(']').ok_or("the bracket is not closed")?,
            None if host.contains(':') => return Err("an IPv6 address needs brackets"),
            None => host,
        };
        if host.is_empty() {
            return Err("the host is missing");
        }
        match port.parse() {
            Ok(port) if port != 0 => Ok(Endpoint { host: host.into(), port }),
            _ => Err("the port is no number from 1 to 65535"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Device(path) => write!(f, "{}", path.display()),
            Address::Tcp(endpoint) => write!(f, "tcp://{endpoint}"),
            Address::Rfc2217(endpoint) => write!(f, "rfc2217://{endpoint}"),
            Address::Exec(command) => write!(f, "exec:{command}"),
        }
    }
}
