//! What users type behind `--power` or write into `stoop.toml`.

use std::str::FromStr;
use std::time::Duration;

use super::Error;
use crate::connection::Endpoint;

/// A power switch, by the words of its user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Supply {
    /// `cmd:COMMAND`: run by the shell; `{off|on}` in it becomes the word for what is wanted, otherwise `on` or `off` is put behind it.
    Command(String),
    /// `http:KIND:…`: a relay in the network.
    Http(HttpRelay),
    /// `pdudaemon:HOST[:PORT]/PDU/OUTLET`.
    Pdudaemon {
        /// Where pdudaemon listens for HTTP.
        daemon: Endpoint,
        /// The power strip's name there.
        host: String,
        /// Its outlet.
        port: String,
    },
    /// `gpio:CHIP:LINE[,active-low][,pulse=MILLISECONDS]`.
    Gpio(GpioLine),
}

/// A GPIO line that switches a relay, or presses a reset button.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GpioLine {
    /// `/dev/gpiochip0`.
    pub chip: String,
    /// Its number on the chip.
    pub line: u32,
    /// What it does.
    pub mode: Mode,
}

/// What a line does.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Mode {
    /// A low level is "on", or "pressed".
    pub active_low: bool,
    /// The line is a button: "on" and "off" press it for this long. `None`: the line's level is the power's.
    pub pulse: Option<Duration>,
}

/// A relay that speaks HTTP.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpRelay {
    /// What it understands.
    pub kind: Kind,
    /// Where it is.
    pub at: Endpoint,
    /// Behind the host, with its `/`: a path for REST, otherwise empty.
    pub path: String,
    /// The relay's number where there are several, as its maker counts.
    pub channel: u32,
    /// User name and password.
    pub login: Option<(String, String)>,
}

/// What a relay in the network understands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Tasmota's commands in a URL: `/cm?cmnd=Power1%20On`, channels from 1.
    Tasmota,
    /// Shelly's, first generation and later ones' compatible part: `/relay/0?turn=on`, channels from 0.
    Shelly,
    /// labgrid's `rest` model: PUT of `0` or `1`, GET gives it back.
    Rest,
}

/// pdudaemon's port unless its configuration says otherwise.
const PDUDAEMON_PORT: u16 = 16421;

/// In milliseconds; no button is held longer.
const LONGEST_PULSE: u64 = 60_000;

impl FromStr for Supply {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parsed = match text.split_once(':') {
            Some(("cmd", command)) if !command.trim().is_empty() => Ok(Supply::Command(command.to_owned())),
            Some(("cmd", _)) => Err("the command is missing"),
            Some(("http", relay)) => relay_of(relay).map(Supply::Http),
            Some(("pdudaemon", outlet)) => pdudaemon(outlet),
            Some(("gpio", line)) => gpio(line),
            _ => Err("its kind is not known"),
        };
        parsed.map_err(|reason| Error::Supply { supply: text.to_owned(), reason })
    }
}

fn relay_of(text: &str) -> Result<HttpRelay, &'static str> {
    let (kind, rest) = text.split_once(':').ok_or("the kind of relay or its host is missing")?;
    let (kind, first) = match kind {
        "tasmota" => (Kind::Tasmota, 1),
        "shelly" => (Kind::Shelly, 0),
        "rest" => (Kind::Rest, 0),
        _ => return Err("the relay is not tasmota, shelly or rest"),
    };
    // A path may have an @ in it, and a password a slash: what is a host in front of the first slash is one.
    let front = rest.split('/').next().unwrap_or_default();
    let at = match front.rfind('@') {
        None if endpoint(front, 80).is_err() => rest.rfind('@'),
        at => at,
    };
    let (login, rest) = at.map_or((None, rest), |at| (Some(&rest[..at]), &rest[at + 1..]));
    let login = login.map(|login| login.split_once(':').ok_or("the password is missing")).transpose()?;
    let login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
    if rest.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("there is a blank in it; in a path it is written %20");
    }
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (rest, String::new()),
    };
    let at = endpoint(host, 80)?;
    let (path, channel) = match (kind, path.as_str()) {
        (Kind::Rest, "") => return Err("the path is missing"),
        (Kind::Rest, _) => (path, first),
        (_, "") => (path, first),
        (_, path) => (String::new(), path[1..].parse().map_err(|_| "the channel is no number")?),
    };
    Ok(HttpRelay { kind, at, path, channel, login })
}

/// A host with or without a port.
fn endpoint(text: &str, port: u16) -> Result<Endpoint, &'static str> {
    let is_bare = !text.contains(':') || text.ends_with(']');
    if is_bare { format!("{text}:{port}").parse() } else { text.parse() }
}

fn pdudaemon(text: &str) -> Result<Supply, &'static str> {
    let mut parts = text.splitn(3, '/');
    let daemon = endpoint(parts.next().unwrap_or_default(), PDUDAEMON_PORT)?;
    match (parts.next(), parts.next()) {
        (Some(host), Some(port)) if !host.is_empty() && !port.is_empty() => {
            Ok(Supply::Pdudaemon { daemon, host: host.into(), port: port.into() })
        }
        _ => Err("the power strip or its outlet is missing"),
    }
}

fn gpio(text: &str) -> Result<Supply, &'static str> {
    let mut words = text.split(',');
    let (chip, line) = words.next().unwrap_or_default().rsplit_once(':').ok_or("the line is missing")?;
    let line = line.parse().map_err(|_| "the line is no number")?;
    let chip = if chip.starts_with('/') { chip.to_owned() } else { format!("/dev/{chip}") };
    let mut mode = Mode::default();
    for word in words {
        match word.split_once('=') {
            None if word == "active-low" => mode.active_low = true,
            Some(("pulse", time)) => {
                let time = time.parse::<u64>().ok().filter(|time| *time <= LONGEST_PULSE);
                let time = time.ok_or("the pulse is no number of milliseconds up to 60000")?;
                mode.pulse = Some(Duration::from_millis(time));
            }
            _ => return Err("behind the line come active-low and pulse=MILLISECONDS"),
        }
    }
    Ok(Supply::Gpio(GpioLine { chip, line, mode }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.into(), port }
    }

    #[test]
    fn every_kind_is_read_with_its_defaults() {
        let relay = |kind, at, path: &str, channel| {
            Supply::Http(HttpRelay { kind, at, path: path.into(), channel, login: None })
        };
        for (text, supply) in [
            ("cmd:usbrelay X={0|1}", Supply::Command("usbrelay X={0|1}".into())),
            ("http:tasmota:plug-3", relay(Kind::Tasmota, at("plug-3", 80), "", 1)),
            ("http:tasmota:plug-3:8080/2", relay(Kind::Tasmota, at("plug-3", 8080), "", 2)),
            ("http:shelly:10.0.0.7", relay(Kind::Shelly, at("10.0.0.7", 80), "", 0)),
            ("http:rest:127.0.0.1:5102/relay/1/value", relay(Kind::Rest, at("127.0.0.1", 5102), "/relay/1/value", 0)),
            ("http:rest:[::1]/r", relay(Kind::Rest, at("::1", 80), "/r", 0)),
            (
                "pdudaemon:lab/rack-1/07",
                Supply::Pdudaemon { daemon: at("lab", 16421), host: "rack-1".into(), port: "07".into() },
            ),
            (
                "gpio:gpiochip0:17,active-low,pulse=300",
                Supply::Gpio(GpioLine {
                    chip: "/dev/gpiochip0".into(),
                    line: 17,
                    mode: Mode { active_low: true, pulse: Some(Duration::from_millis(300)) },
                }),
            ),
        ] {
            assert_eq!(text.parse::<Supply>().expect(text), supply);
        }
        for (text, login, host, path) in [
            ("http:tasmota:admin:a@b@plug", Some("a@b"), "plug", ""),
            ("http:rest:admin:a/b@plug/r", Some("a/b"), "plug", "/r"),
            ("http:rest:admin:a@plug/r@1", Some("a"), "plug", "/r@1"),
            ("http:rest:plug/r@1", None, "plug", "/r@1"),
            ("http:rest:plug:80/r:x@1", None, "plug", "/r:x@1"),
        ] {
            let supply = text.parse::<Supply>().expect(text);
            let Supply::Http(relay) = supply else { panic!("{supply:?}") };
            let login = login.map(|password| ("admin".to_owned(), password.to_owned()));
            assert_eq!((relay.login, &*relay.at.host, &*relay.path), (login, host, path), "{text}");
        }
    }

    #[test]
    fn what_is_no_switch_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "its kind is not known"),
            ("usb:1", "its kind is not known"),
            ("cmd: ", "the command is missing"),
            ("http:plug-3", "the kind of relay or its host is missing"),
            ("http:plug:x", "the relay is not tasmota, shelly or rest"),
            ("http:tasmota:plug/one", "the channel is no number"),
            ("http:rest:plug", "the path is missing"),
            ("http:tasmota:", "the host is missing"),
            ("pdudaemon:lab/rack-1", "the power strip or its outlet is missing"),
            ("gpio:gpiochip0", "the line is missing"),
            ("gpio:gpiochip0:17,pulse=60001", "the pulse is no number of milliseconds up to 60000"),
            ("http:rest:host/a b", "there is a blank in it; in a path it is written %20"),
            ("http:rest:host/a\r\nX: y", "there is a blank in it; in a path it is written %20"),
            ("http:tasmota:admin@plug", "the password is missing"),
            ("gpio:gpiochip0:17,low", "behind the line come active-low and pulse=MILLISECONDS"),
        ] {
            let error = text.parse::<Supply>().expect_err(text).to_string();
            assert!(error.ends_with(reason), "{text}: {error}");
        }
    }
}
