//! Relays that speak HTTP: Tasmota, Shelly, and labgrid's REST.

use super::http::{basic, quoted, request};
use super::supply::{HttpRelay, Kind};
use super::switch::confirm;
use super::word::word;
use super::{Error, Power};

pub struct Relay(HttpRelay);

impl Relay {
    pub fn new(relay: HttpRelay) -> Relay {
        Relay(relay)
    }

    /// Tasmota's page wants the login in the URL, the others in a header.
    fn get(&self, path: &str) -> Result<String, Error> {
        request(&self.0.at, "GET", path, &self.header(), "")
    }

    fn header(&self) -> String {
        self.0.login.as_ref().filter(|_| self.0.kind != Kind::Tasmota).map(basic).unwrap_or_default()
    }

    /// Sends a command of Tasmota's and finds the relay's state in the answer: `{"POWER":"ON"}`, `{"POWER1":"ON"}`.
    fn tasmota(&self, word: &str) -> Result<Option<bool>, Error> {
        let login =
            self.0.login.as_ref().map_or(String::new(), |(user, password)| {
                format!("user={}&password={}&", quoted(user), quoted(password))
            });
        let command = quoted(format!("Power{} {word}", self.0.channel).trim_end());
        let answer = self.get(&format!("/cm?{login}cmnd={command}"))?;
        // An unknown command or a wrong password is granted by HTTP all the same.
        match value(&answer, &[&format!("POWER{}", self.0.channel), "POWER"]) {
            Some(state) => Ok(Some(state.eq_ignore_ascii_case("on"))),
            None => Err(Error::Refused { server: self.0.at.to_string(), answer: answer.chars().take(200).collect() }),
        }
    }
}

impl Power for Relay {
    fn set(&mut self, on: bool) -> Result<(), Error> {
        let relay = &self.0;
        let state = match relay.kind {
            Kind::Tasmota => self.tasmota(word(on))?,
            Kind::Shelly => {
                self.get(&format!("/relay/{}?turn={}", relay.channel, word(on)))?;
                self.is_on()?
            }
            Kind::Rest => {
                let body = if on { "1" } else { "0" };
                request(&relay.at, "PUT", &relay.path, &self.header(), body)?;
                self.is_on()?
            }
        };
        confirm(format_args!("the relay at {}", self.0.at), on, state)
    }

    fn is_on(&mut self) -> Result<Option<bool>, Error> {
        match self.0.kind {
            Kind::Tasmota => self.tasmota(""),
            Kind::Shelly => {
                let answer = self.get(&format!("/relay/{}", self.0.channel))?;
                // `ison` of the first generation; where it is missing the relay cannot tell by this path.
                Ok(value(&answer, &["ison"]).map(|state| state == "true"))
            }
            Kind::Rest => Ok(match self.get(&self.0.path)?.trim() {
                "1" => Some(true),
                "0" => Some(false),
                _ => None,
            }),
        }
    }
}

/// The value behind one of these keys in a flat JSON object, without quotes.
fn value(json: &str, keys: &[&str]) -> Option<String> {
    let object: serde_json::Value = serde_json::from_str(json.trim()).ok()?;
    keys.iter().find_map(|key| match object.get(key)? {
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    })
}
