//! The rig for a board on a desk: a console, a power switch and a TFTP server that environment variables or a project's `stoop.toml`
//! name.

use std::path::Path;

use stoop_ci::{Failure, Result};
use stoop_image::board;
use stoop_lab::power::{self, Supply};
use toml::{Table, Value};

use super::failure::failure;
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
    values(name).ok_or_else(|| Failure::usage(format!("{name} is not set")).next(format!("set it to {what}")))
}

/// The place that the environment names; what it does not say is looked up in the file that `STOOP_PROJECT` names.
pub(super) fn setup() -> Result<Setup> {
    let project = variable("STOOP_PROJECT").map(|path| project(Path::new(&path))).transpose()?.unwrap_or_default();
    let values = |name: &str| variable(name).or_else(|| in_project(&project, name));
    let power = needed(&values, "STOOP_POWER", "a power switch, as `stoop power` takes it")?;
    with_power(Box::new(Switch::new(&power)?), &values)
}

/// A project's `stoop.toml`.
fn project(path: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(path).map_err(|error| Failure::io(path, &error))?;
    text.parse().map_err(|error| Failure::usage(format!("{}: {error}", path.display())))
}

/// What a variable would say, by the keys that `stoop netboot` takes from the same file.
fn in_project(project: &Table, name: &str) -> Option<String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let place = |key: &str| project.get("place")?.get(key).map(text);
    match name {
        "STOOP_BOARD" => project.get("board").map(text),
        "STOOP_SERIAL" => place("serial"),
        SPEED => place("speed"),
        "STOOP_POWER" => place("power"),
        "STOOP_TFTP_DIR" => place("tftp-folder"),
        "STOOP_TFTP_URL" => place("address").map(|address| format!("tftp://{address}/")),
        _ => None,
    }
}

/// The place that `values` name, switched by `power`.
pub(super) fn with_power(power: Box<dyn Power>, values: Values<'_>) -> Result<Setup> {
    let console = needed(values, "STOOP_SERIAL", "a port, tcp://HOST:PORT or rfc2217://HOST:PORT")?;
    let board =
        board::load(&needed(values, "STOOP_BOARD", "the board's name or file, as `stoop pack --board` takes it")?)?;
    let speed = match values(SPEED) {
        Some(text) => text.parse().map_err(|_| Failure::usage(format!("{SPEED}={text} is no number")))?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_projects_file_says_what_the_variables_would() {
        let text = "board = \"gl-ar750\"\n[place]\nserial = \"/dev/ttyUSB0\"\nspeed = 57600\npower = \"cmd:relay\"\n\
                    tftp-folder = \"/srv/tftp\"\naddress = \"192.168.1.2\"\n";
        let table: Table = text.parse().unwrap();
        let said = |name| in_project(&table, name).unwrap();
        assert_eq!((said("STOOP_BOARD").as_str(), said("STOOP_SERIAL").as_str()), ("gl-ar750", "/dev/ttyUSB0"));
        assert_eq!((said("STOOP_SPEED").as_str(), said("STOOP_POWER").as_str()), ("57600", "cmd:relay"));
        assert_eq!(
            (said("STOOP_TFTP_DIR").as_str(), said("STOOP_TFTP_URL").as_str()),
            ("/srv/tftp", "tftp://192.168.1.2/")
        );
        assert_eq!(in_project(&table, "STOOP_PLACE_CAN"), None);
    }
}
