//! The rig for a place of a labgrid lab. `cargo ci hil` holds the place for a whole run and hands it to each test; without it each
//! test takes a place that has its board and the tags in `STOOP_PLACE_FILTER`, and gives it back.

use std::time::Duration;

use stoop_ci::hil::client::{Client, Export};
use stoop_ci::hil::hold::Hold;
use stoop_ci::hil::stop::Stop;
use stoop_ci::hil::{Filter, job};
use stoop_ci::labgrid::Tools;
use stoop_ci::{Failure, Result};
use tempfile::TempDir;

use super::remote::{Power, Setup};
use super::serial::{variable, with_power};

/// For a place that a test takes itself.
const MAX_WAIT: Duration = Duration::from_secs(20 * 60);

/// A place for the board of that name, or why there is none.
pub(super) fn setup(board: &str) -> Result<std::result::Result<Setup, String>> {
    let tools = Tools::find()?;
    let mut setup = match (variable("LG_PLACE"), variable("STOOP_SERIAL"), variable("LG_USERNAME")) {
        (Some(place), Some(_), Some(user)) => {
            let power = Switch { client: Client::new(&tools, &user), place: place.clone(), _own: None };
            Setup { name: place, ..with_power(Box::new(power), &variable)? }
        }
        _ => {
            let filter: Filter = variable("STOOP_PLACE_FILTER")
                .unwrap_or_default()
                .parse()
                .map_err(|reason| Failure::usage(format!("STOOP_PLACE_FILTER: {reason}")))?;
            let filter = filter.and("board", board);
            let client = Client::new(&tools, &job::user(std::process::id()));
            if !client.places()?.iter().any(|place| filter.fits(place)) {
                return Ok(Err(format!("no place has the tags {}", filter.tags().join(" "))));
            }
            taken(client, &filter)?
        }
    };
    setup.name = format!("place {}", setup.name);
    Ok(Ok(setup))
}

/// A place of our own.
fn taken(client: Client, filter: &Filter) -> Result<Setup> {
    let hold = Hold::take(&client, &filter.tags(), MAX_WAIT, &Stop::default(), &mut |_| Ok(()))?;
    let place = hold.place().clone();
    let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let export = client.export(&place, folder.path())?;
    let known = job::variables(&place, &client, &export.address, folder.path());
    let values = |name: &str| known.iter().find(|known| known.0 == name).map(|known| known.1.clone());
    let power = Switch { client, place: place.name.clone(), _own: Some((export, hold, folder)) };
    Ok(Setup { name: place.name, ..with_power(Box::new(power), &values)? })
}

/// What switches it. Where the place is a test's own, dropping this gives it back.
struct Switch {
    client: Client,
    place: String,
    _own: Option<(Export, Hold, TempDir)>,
}

impl Power for Switch {
    fn set(&mut self, on: bool) -> Result<()> {
        self.client.power(&self.place, on)
    }
}
