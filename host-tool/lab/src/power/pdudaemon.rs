//! Power strips behind pdudaemon, by its HTTP listener (`pdudaemon/httplistener.py`: GET `/power/control/on`).

use super::http::{quoted, request};
use super::word::word;
use super::{Error, Power};
use crate::connection::Endpoint;

pub struct Pdudaemon {
    daemon: Endpoint,
    outlet: String,
}

impl Pdudaemon {
    pub fn new(daemon: &Endpoint, host: &str, port: &str) -> Pdudaemon {
        Pdudaemon { daemon: daemon.clone(), outlet: format!("hostname={}&port={}", quoted(host), quoted(port)) }
    }
}

impl Power for Pdudaemon {
    /// The daemon accepts a request and works it off later; it has no way to ask how that went.
    fn set(&mut self, on: bool) -> Result<(), Error> {
        request(&self.daemon, "GET", &format!("/power/control/{}?{}", word(on), self.outlet), "", "").map(drop)
    }

    fn is_on(&mut self) -> Result<Option<bool>, Error> {
        Ok(None)
    }
}
