//! The rig for a board on a desk: a console, a power switch and a TFTP server that environment variables name.

use std::process::Command;

use stoop_image::board;
use stoop_image::{Failure, Result};
use stoop_lab::Explained;

use super::remote::{Power, Setup};
use super::staging::Staging;

const SPEED: &str = "STOOP_SPEED";
const POWER: &str = "STOOP_POWER";

/// Where a value is looked up: the environment, or what a lab knows of a place.
pub(super) type Values<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable that is set and not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn needed(values: Values<'_>, name: &str, what: &str) -> Result<String> {
    values(name).ok_or_else(|| Failure::usage(format!("{name} is not set")).next(format!("set it to {what}")))
}

/// The place that the environment names.
pub(super) fn setup() -> Result<Setup> {
    let power = needed(&variable, POWER, "`cmd:COMMAND`; the command gets `on` or `off` as its last argument")?;
    with_power(Box::new(Switch::new(&power)?), &variable)
}

/// The place that `values` name, switched by `power`.
pub(super) fn with_power(power: Box<dyn Power>, values: Values<'_>) -> Result<Setup> {
    let console = needed(values, "STOOP_SERIAL", "a port, tcp://HOST:PORT or rfc2217://HOST:PORT")?;
    let board = board::load(&needed(values, "STOOP_BOARD", "the board's name or file, as `stoop pack --board` takes it")?)?;
    let speed = match values(SPEED) {
        Some(text) => text.parse().map_err(|_| Failure::usage(format!("{SPEED}={text} is no number")))?,
        None => 115_200,
    };
    let staging = match (values("STOOP_TFTP_DIR"), values("STOOP_TFTP_URL")) {
        (Some(folder), Some(url)) => Some(Staging::new(&folder, &url)?),
        _ => None,
    };
    let address = console.parse().map_err(|error: stoop_lab::connection::Error| {
        let failure = Failure::usage(error.to_string());
        match error.next_step() {
            Some(next) => failure.next(next),
            None => failure,
        }
    })?;
    let can = values("STOOP_PLACE_CAN").unwrap_or_default();
    let nor_write = can.split(',').any(|word| word == "nor-write");
    Ok(Setup { name: console, board, console: address, speed, power, staging, nor_write })
}

/// A shell command that gets `on` or `off`.
struct Switch(String);

impl Switch {
    fn new(text: &str) -> Result<Switch> {
        let command = text.strip_prefix("cmd:").filter(|command| !command.trim().is_empty());
        command.map(|command| Switch(command.to_owned())).ok_or_else(|| {
            Failure::usage(format!("{POWER}={text} names no power switch")).next("write cmd: and a command")
        })
    }
}

impl Power for Switch {
    fn set(&self, on: bool) -> Result<()> {
        let line = format!("{} {}", self.0, if on { "on" } else { "off" });
        let said = Command::new("sh").args(["-c", &line]).output();
        let said = said.map_err(|error| Failure::new(format!("cannot start sh: {error}")))?;
        if said.status.success() {
            return Ok(());
        }
        let reason = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        Err(Failure::new(format!("`{line}` failed ({}): {reason}", said.status)).next("see that the power switch answers"))
    }
}
