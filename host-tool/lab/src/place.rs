//! Where a board is: its console, its power switch, and the addresses of both sides in its network.

use std::io::Write;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::connection::{self, Address, Connection, Event, Options, Sender};
use crate::power::{self, OFF_TIME, Power, Supply};
use crate::qemu::{Console, Log};
use crate::{Error, Result};

/// Where a board is, as flags or `stoop.toml` say it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its console.
    pub serial: Address,
    /// The console's bits a second, where that can be set.
    pub speed: u32,
    /// Its power switch; without one somebody has to press a button.
    pub power: Option<Supply>,
    /// How long the power stays off in a cycle.
    pub off_time: Duration,
    /// This machine's address at the board's side; `None` to find it by the board's.
    pub server: Option<IpAddr>,
    /// The board's own.
    pub board_address: BoardAddress,
    /// The folder of a TFTP server that runs at `server` already; `None` to serve files ourselves.
    pub tftp_folder: Option<PathBuf>,
}

impl Place {
    /// A place with a console and nothing else known.
    pub fn new(serial: Address) -> Place {
        Place {
            serial,
            speed: Options::default().speed,
            power: None,
            off_time: OFF_TIME,
            server: None,
            board_address: BoardAddress::Own,
            tftp_folder: None,
        }
    }

    /// Opens the console; each byte also goes to `echo` as it comes, each line to `log`, and so does what happens to the port.
    ///
    /// # Errors
    /// As for [`Connection::open`].
    pub fn console(&self, echo: Option<Box<dyn Write + Send>>, log: Option<Log>) -> Result<Console, connection::Error> {
        self.attended(echo, log, |_| {}).map(|(console, _)| console)
    }

    /// The same for somebody who sits at it: with a second sending half, for keys and breaks, and what happens to the port is told to
    /// `happened` as well, in the thread that reads.
    ///
    /// # Errors
    /// As for [`Connection::open`].
    pub fn attended(
        &self,
        echo: Option<Box<dyn Write + Send>>,
        log: Option<Log>,
        mut happened: impl FnMut(&Event) + Send + 'static,
    ) -> Result<(Console, Sender), connection::Error> {
        let options = Options { speed: self.speed, ..Options::default() };
        let connection = Connection::open(&self.serial, options)?;
        let (name, notes) = (connection.address().to_string(), log.clone());
        let note = move |event: &Event| {
            happened(event);
            let text = match event {
                Event::Bytes(_) => return,
                Event::Vanished(reason) => format!("{name} vanished and is waited for: {reason}"),
                Event::Back => format!("{name} is back"),
                Event::Closed(None) => format!("{name} was closed"),
                Event::Closed(Some(error)) => error.to_string(),
            };
            if let Some(log) = &notes {
                log.note(&text);
            }
        };
        let sender = connection.sender();
        let (from, to) = connection.into_streams(note);
        Ok((Console::new(from, to, echo, log), sender))
    }

    /// Opens the power switch; `None` when the place has none.
    ///
    /// # Errors
    /// As for [`power::open`].
    pub fn power(&self) -> Result<Option<Box<dyn Power>>> {
        self.power.as_ref().map(power::open).transpose().map_err(Error::from)
    }
}

/// The board's address while its bootloader runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BoardAddress {
    /// The one in its environment; by DHCP when it has none.
    Own,
    /// By DHCP.
    Dhcp,
    /// This one.
    Fixed(IpAddr),
}

impl FromStr for BoardAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "own" => Ok(BoardAddress::Own),
            "dhcp" => Ok(BoardAddress::Dhcp),
            _ => text.parse().map(BoardAddress::Fixed).map_err(|_| "give an IP address, `dhcp` or `own`".into()),
        }
    }
}
