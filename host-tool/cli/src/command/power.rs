//! `stoop power`: switches a board's power.

use clap::ValueEnum;

use crate::Result;
use crate::command::Error;

use super::place::SwitchArgs;
use crate::ui;

/// What to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Action {
    /// Switch it on
    On,
    /// Switch it off
    Off,
    /// Switch it off, and on again after --off-time
    Cycle,
    /// Say whether it is on, if the switch can tell
    Get,
}

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop power cycle --power http:tasmota:plug-3")]
pub struct Args {
    /// What to do
    action: Action,
    #[command(flatten)]
    switch: SwitchArgs,
}

/// Switches it.
///
/// # Errors
/// Usage: no switch is named. Place (75): the switch cannot be reached, refuses, or says that it did not switch.
pub fn run(args: &Args) -> Result<()> {
    let mut power = args.switch.open()?.ok_or(Error::NoPowerSwitch)?;
    let done = match args.action {
        Action::On => power.set(true),
        Action::Off => power.set(false),
        Action::Cycle => power.cycle(args.switch.off_time()),
        Action::Get => {
            let text = match power.is_on().map_err(stoop_lab::Error::from)? {
                Some(true) => "on\n",
                Some(false) => "off\n",
                None => "unknown\n",
            };
            return ui::put(text);
        }
    };
    Ok(done.map_err(stoop_lab::Error::from)?)
}
