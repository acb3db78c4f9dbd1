//! Where a console is: what users type behind `--serial`.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::Error;

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

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = |reason| Error::Address { address: text.to_owned(), reason };
        if let Some(command) = text.strip_prefix("exec:") {
            return match command.trim() {
                "" => Err(wrong("the command is missing")),
                command => Ok(Address::Exec(command.to_owned())),
            };
        }
        match text.split_once("://") {
            Some(("tcp", endpoint)) => endpoint.parse().map(Address::Tcp).map_err(wrong),
            Some(("rfc2217", endpoint)) => endpoint.parse().map(Address::Rfc2217).map_err(wrong),
            Some(_) => Err(wrong("its scheme is not known")),
            // An empty name would be waited for without end, a bare one would be looked for in the current folder.
            None if text.contains('/') => Ok(Address::Device(text.into())),
            None => Err(wrong("it is no path")),
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

#[cfg(test)]
mod tests {
    use super::{Address, Endpoint};

    #[test]
    fn what_is_typed_comes_back_as_it_was() {
        for text in [
            "/dev/ttyUSB0",
            "/dev/serial/by-id/usb-FTDI_FT232R_A50285BI-if00-port0",
            "tcp://127.0.0.1:5101",
            "tcp://[::1]:5101",
            "rfc2217://rack-3.lab:4001",
            "exec:ssh lab 'picocom -q /dev/ttyUSB0'",
        ] {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), text);
        }
        let six = Address::Tcp(Endpoint { host: "::1".into(), port: 5101 });
        assert_eq!("tcp://[::1]:5101".parse::<Address>().expect("an address"), six);
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "it is no path"),
            ("ttyUSB0", "it is no path"),
            ("exec: ", "the command is missing"),
            ("tcp://host", "a port is missing"),
            ("tcp://:5", "the host is missing"),
            ("tcp://host:0", "the port is no number from 1 to 65535"),
            ("tcp://host:65536", "the port is no number from 1 to 65535"),
            ("tcp://::1:5", "an IPv6 address needs brackets"),
            ("tcp://[::1:5", "the bracket is not closed"),
            ("telnet://host:23", "its scheme is not known"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.ends_with(reason), "{text}: {error}");
        }
    }
}
