//! The rig for a board on a desk: a console, a power switch and a TFTP server that environment variables name.

use stoop_image::board;
use stoop_image::{ErrorCode, Failure, Result};
use stoop_lab::Explained;
use stoop_lab::power::{self, Supply};

use super::remote::{Power, Setup};
use super::staging::Staging;

const SPEED: &str = "STOOP_SPEED";

/// Where a value is looked up: the environment, or what a lab knows of a place.
pub(super) type Values<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A variable that is set and not empty.
pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn needed(values: Values<'_>, name: &str, what: &str) -> Result<String> {
    values(name).ok_or_else(|| {
        Failure::usage(ErrorCode::Repository, format!("{name} is not set")).next(format!("set it to {what}"))
    })
}

/// The place that the environment names.
pub(super) fn setup() -> Result<Setup> {
    let power = needed(&variable, "STOOP_POWER", "a power switch, as `stoop power` takes it")?;
    with_power(Box::new(Switch::new(&power)?), &variable)
}

/// The place that `values` name, switched by `power`.
pub(super) fn with_power(power: Box<dyn Power>, values: Values<'_>) -> Result<Setup> {
    let console = needed(values, "STOOP_SERIAL", "a port, tcp://HOST:PORT or rfc2217://HOST:PORT")?;
    let board =
        board::load(&needed(values, "STOOP_BOARD", "the board's name or file, as `stoop pack --board` takes it")?)?;
    let speed = match values(SPEED) {
        Some(text) => {
            text.parse().map_err(|_| Failure::usage(ErrorCode::Repository, format!("{SPEED}={text} is no number")))?
        }
        None => 115_200,
    };
    let staging = match (values("STOOP_TFTP_DIR"), values("STOOP_TFTP_URL")) {
        (Some(folder), Some(url)) => Some(Staging::new(&folder, &url)?),
        _ => None,
    };
    let address = console.parse().map_err(|error: stoop_lab::connection::Error| failure(&error))?;
    let can = values("STOOP_PLACE_CAN").unwrap_or_default();
    let nor_write = can.split(',').any(|word| word == "nor-write");
    Ok(Setup { name: console, board, console: address, speed, power, staging, nor_write })
}

/// One of stoop's own power switches.
struct Switch(Box<dyn power::Power>);

impl Switch {
    fn new(text: &str) -> Result<Switch> {
        let supply: Supply = text.parse().map_err(|error: power::Error| failure(&error))?;
        power::open(&supply).map(Switch).map_err(|error| failure(&error))
    }
}

impl Power for Switch {
    fn set(&mut self, on: bool) -> Result<()> {
        self.0.set(on).map_err(|error| failure(&error))
    }
}

/// A lab's error as ours.
pub(super) fn failure<E: Explained + std::fmt::Display>(error: &E) -> Failure {
    let failure = match error.exit_code() {
        stoop_lab::error::USAGE => Failure::usage(ErrorCode::Repository, error.to_string()),
        stoop_lab::error::NO_ANSWER => Failure::no_answer(ErrorCode::Repository, error.to_string()),
        _ => Failure::new(ErrorCode::Repository, error.to_string()),
    };
    match error.next_step() {
        Some(next) => failure.next(next),
        None => failure,
    }
}
