//! A place that is ours: reserved, locked, seen to answer; switched off and given back when it is dropped.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use stoop_samples::failure::Result;

use super::client::{Client, Place};
use super::stop::Stop;

/// How long giving back goes on while the coordinator or the exporter does not answer.
const UNTIL_GIVEN_BACK: Duration = Duration::from_secs(120);

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(1);

/// A lock on a place.
pub struct Hold {
    client: Client,
    place: Place,
    token: String,
}

/// What is, or is about to be, held: for who cleans up behind a job that was killed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The place.
    pub place: String,
    /// The reservation.
    pub token: String,
}

impl Hold {
    /// Queues for a place with these tags for at most `max_wait`, locks it and sees that its power switch answers. `claim` is told
    /// before anything is locked.
    ///
    /// # Errors
    /// There is none, it does not answer, or `stop` came: nothing is held then.
    pub fn take(
        client: &Client,
        tags: &[String],
        max_wait: Duration,
        stop: &Stop,
        claim: &mut dyn FnMut(&Claim) -> Result<()>,
    ) -> Result<Hold> {
        let token = client.reserve(tags)?;
        let taken = Hold::of_reservation(client, &token, max_wait, stop, claim);
        if taken.is_err() {
            // Reservations that nobody uses expire in a minute.
            let _ = client.cancel(&token);
        }
        taken
    }

    fn of_reservation(
        client: &Client,
        token: &str,
        max_wait: Duration,
        stop: &Stop,
        claim: &mut dyn FnMut(&Claim) -> Result<()>,
    ) -> Result<Hold> {
        let name = client.wait(token, max_wait, stop).map_err(|failure| failure.within("waiting for a place"))?;
        let place = client.place(&name)?;
        let own = Claim { place: name.clone(), token: token.to_owned() };
        claim(&own)?;
        if let Err(failure) = client.acquire(&name) {
            // It may have been done all the same: an answer can be lost.
            let us = owner(client);
            if client.place(&name).map_or(true, |place| place.acquired == Some(us)) {
                give_back(client, &own)?;
            }
            return Err(failure);
        }
        // From here on it is given back by dropping.
        let hold = Hold { client: client.clone(), place, token: token.to_owned() };
        client.is_on(&name).map_err(|failure| failure.within(format!("{name} is locked, but does not answer")))?;
        Ok(hold)
    }

    /// The place.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Who holds it.
    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let claim = Claim { place: self.place.name.clone(), token: self.token.clone() };
        if let Err(failure) = give_back(&self.client, &claim) {
            eprintln!("hil: {}: {failure}", self.place.name);
        }
    }
}

/// Switches a place off and unlocks it, if `client` is who holds it or nobody does any more. Tries again while the lab does not
/// answer.
///
/// # Errors
/// It could not be done in time.
pub fn give_back(client: &Client, claim: &Claim) -> Result<()> {
    let place = &claim.place;
    let until = Instant::now() + UNTIL_GIVEN_BACK;
    loop {
        match try_to_give_back(client, place) {
            Ok(()) => {
                // Released reservations expire in a minute; somebody may be waiting for the place. It may have expired already.
                let _ = client.cancel(&claim.token);
                return Ok(());
            }
            Err(failure) if Instant::now() >= until => {
                let owner = owner(client);
                return Err(failure
                    .within("it may be on, and locked")
                    .next(format!("switch it off, then: labgrid-client -p {place} release-from {owner}")));
            }
            // labgrid-client has nothing to wait on.
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// How the coordinator calls who holds a place.
fn owner(client: &Client) -> String {
    format!("{}/{}", Client::host(), client.user())
}

fn try_to_give_back(client: &Client, place: &str) -> Result<()> {
    let us = owner(client);
    match client.place(place)?.acquired {
        Some(owner) if owner == us => {}
        // A coordinator that was started again has forgotten locks, and somebody else has taken this one since.
        Some(_) => return Ok(()),
        // It has forgotten ours: the board may still be on.
        None => client.acquire(place)?,
    }
    client.power(place, false)?;
    client.release_from(place, &us)
}
