//! An address as users type it.

use std::str::FromStr;

use super::{Address, Error};

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

#[cfg(test)]
mod tests {
    use super::super::Endpoint;
    use super::Address;

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
