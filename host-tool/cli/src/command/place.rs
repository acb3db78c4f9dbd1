//! Where a board is: flags that the verbs for real boards share. `[place]` of `stoop.toml` has them too.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::command::Error;
use stoop_lab::connection::Address;
use stoop_lab::place::{BoardAddress, Place};
use stoop_lab::power::{self, Power, Supply};

/// The power switch.
#[derive(clap::Args, Debug)]
pub(super) struct SwitchArgs {
    /// The board's power switch: cmd:COMMAND, http:tasmota:HOST, http:shelly:HOST, http:rest:HOST/PATH, pdudaemon:HOST/PDU/OUTLET, gpio:CHIP:LINE
    #[arg(long, value_name = "SWITCH")]
    pub(super) power: Option<String>,
    /// How long the power stays off in a cycle, up to an hour [default: 2]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    off_time: Option<Duration>,
}

fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.0..=3600.0).contains(seconds));
    seconds.map(Duration::from_secs_f64).ok_or_else(|| "give seconds, from 0 to 3600".to_owned())
}

impl SwitchArgs {
    pub(super) fn supply(&self) -> Result<Option<Supply>> {
        let parsed = self.power.as_deref().map(str::parse::<Supply>).transpose();
        Ok(parsed.map_err(stoop_lab::Error::from)?)
    }

    /// Opens the switch; `None` when none is named.
    pub(super) fn open(&self) -> Result<Option<Box<dyn Power>>> {
        let opened = self.supply()?.map(|supply| power::open(&supply)).transpose();
        Ok(opened.map_err(stoop_lab::Error::from)?)
    }

    pub(super) fn off_time(&self) -> Duration {
        self.off_time.unwrap_or(power::OFF_TIME)
    }
}

/// The whole place.
#[derive(clap::Args, Debug)]
pub(super) struct PlaceArgs {
    /// The board's console: a device, tcp://HOST:PORT, rfc2217://HOST:PORT or exec:COMMAND
    #[arg(long, value_name = "CONSOLE")]
    pub(super) serial: Option<String>,
    /// The console's bits a second
    #[arg(long, value_name = "BAUD", default_value_t = 115_200)]
    pub(super) speed: u32,
    #[command(flatten)]
    pub(super) switch: SwitchArgs,
    /// Switch the power off at the end, however it ends
    #[arg(long, requires = "power")]
    pub(super) power_off: bool,
    /// This machine's address at the board's side; without it, found by the board's
    #[arg(long, value_name = "IP")]
    pub(super) address: Option<IpAddr>,
    /// The board's address: an IP address, `dhcp`, or `own` for the one in its environment
    #[arg(long, value_name = "IP", default_value = "own")]
    pub(super) board_address: BoardAddress,
    /// Put files into this folder of a TFTP server that runs at --address, instead of serving them
    #[arg(long, value_name = "FOLDER", requires = "address")]
    pub(super) tftp_folder: Option<PathBuf>,
}

impl PlaceArgs {
    pub(super) fn place(&self) -> Result<Place> {
        let serial = self.serial.as_deref().ok_or(Error::NoConsole)?;
        let serial: Address = serial.parse().map_err(stoop_lab::Error::from)?;
        Ok(Place {
            speed: self.speed,
            power: self.switch.supply()?,
            off_time: self.switch.off_time(),
            server: self.address,
            board_address: self.board_address,
            tftp_folder: self.tftp_folder.clone(),
            ..Place::new(serial)
        })
    }
}
