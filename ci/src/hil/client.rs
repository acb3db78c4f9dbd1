//! `labgrid-client`, called for each step: it has the drivers, which run where the client runs. Its output is for people; what is
//! read of it here was seen with labgrid 26.0.1.

use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use shared_child::SharedChild;
use stoop_samples::failure::{Failure, Result};

use super::stop::Stop;
use crate::labgrid::Tools;
use crate::run;

/// For one call. It takes half a second where nothing else runs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A place as the coordinator lists it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// Who has it, `HOST/USER`.
    pub acquired: Option<String>,
    /// The classes of what it has, such as `NetworkSerialPort`; a list of all places does not say.
    pub resources: Vec<String>,
}

/// Where the console of a place is, and its TFTP server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// `tcp://HOST:PORT` or `rfc2217://HOST:PORT`.
    pub console: String,
    /// The host and the folder to put files into, and `tftp://SERVER/PATH` where the board finds them.
    pub tftp: Option<Tftp>,
}

/// A `TFTPProvider`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tftp {
    /// The host that has the folder.
    pub host: String,
    /// The folder.
    pub internal: String,
    /// How the board sees it; empty when the exporter's configuration does not say.
    pub external: String,
}

/// One user of a lab. labgrid tells users apart by host and name alone, so each job has a name of its own.
#[derive(Clone, Debug)]
pub struct Client {
    tools: Tools,
    user: String,
    /// `None`: the coordinator that `LG_COORDINATOR` names.
    coordinator: Option<String>,
}

impl Client {
    /// Acts as `user`.
    pub fn new(tools: &Tools, user: &str) -> Client {
        Client { tools: tools.clone(), user: user.to_owned(), coordinator: None }
    }

    /// In the lab of this coordinator, `HOST:PORT`.
    #[must_use]
    pub fn at(self, coordinator: &str) -> Client {
        Client { coordinator: Some(coordinator.to_owned()), ..self }
    }

    /// The same as another user.
    pub fn acting_as(&self, user: &str) -> Client {
        Client { user: user.to_owned(), ..self.clone() }
    }

    /// Its name.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Its host's name as labgrid sees it.
    pub fn host() -> String {
        let own = || std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned());
        std::env::var("LG_HOSTNAME").or_else(|_| own()).unwrap_or_default()
    }

    /// Runs it, and returns what it prints.
    ///
    /// # Errors
    /// No answer: it did not end in `limit`. Failed: it says why.
    pub fn call(&self, words: &[&str], limit: Duration) -> Result<String> {
        self.call_until(words, limit, &Stop::default())
    }

    fn call_until(&self, words: &[&str], limit: Duration, stop: &Stop) -> Result<String> {
        let said = tempfile::tempfile().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let child = self.spawn(words, said.try_clone().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?)?;
        let name = format!("labgrid-client {}", words.join(" "));
        let ended = stop.watch(&child, || child.wait_timeout(limit));
        let ended = ended.map_err(|error| Failure::new(format!("{name}: {error}")))?;
        let Some(status) = ended else {
            // It fails only when it has already ended.
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::no_answer(format!("{name} did not end within {} s", limit.as_secs()))
                .next("see whether the coordinator and the exporter run"));
        };
        let text = contents(said);
        if status.success() { Ok(text) } else { Err(failed(&name, &text)) }
    }

    /// Starts it in a process group of its own, so that Ctrl-C does not end what cleans up; it goes when we go.
    fn spawn(&self, words: &[&str], output: std::fs::File) -> Result<Arc<SharedChild>> {
        let mut command = run::bound(&self.tools.command("labgrid-client"));
        command.args(words).env("LG_USERNAME", &self.user).process_group(0);
        if let Some(coordinator) = &self.coordinator {
            command.env("LG_COORDINATOR", coordinator);
        }
        let failed = |error: std::io::Error| Failure::new(format!("cannot start labgrid-client: {error}"));
        command.stdin(Stdio::null()).stderr(output.try_clone().map_err(failed)?).stdout(output);
        SharedChild::spawn(&mut command).map(Arc::new).map_err(failed)
    }

    /// All places.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub fn places(&self) -> Result<Vec<Place>> {
        self.call(&["-v", "places"], PATIENCE).map(|text| read_places(&text))
    }

    /// The place of that name.
    ///
    /// # Errors
    /// As for [`Client::call`], or there is none.
    pub fn place(&self, name: &str) -> Result<Place> {
        let said = self.call(&["-p", name, "show"], PATIENCE)?;
        let found = read_places(&said).into_iter().next();
        found.ok_or_else(|| failed("labgrid-client show", &said))
    }

    /// Queues for a place with these tags (`KEY=VALUE`; `name=PLACE` for one of them) and returns the reservation's token.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub fn reserve(&self, tags: &[String]) -> Result<String> {
        let mut words = vec!["reserve", "--shell"];
        words.extend(tags.iter().map(String::as_str));
        let said = self.call(&words, PATIENCE)?;
        let token = said.lines().find_map(|line| line.trim().strip_prefix("export LG_TOKEN="));
        token.map(str::to_owned).ok_or_else(|| failed("labgrid-client reserve", &said))
    }

    /// Waits until the reservation has a place or `stop` comes, and returns its name.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub fn wait(&self, token: &str, limit: Duration, stop: &Stop) -> Result<String> {
        let said = self.call_until(&["wait", token], limit, stop)?;
        allocated(&said).ok_or_else(|| failed("labgrid-client wait", &said))
    }

    /// Gives a reservation back.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub fn cancel(&self, token: &str) -> Result<()> {
        self.call(&["cancel-reservation", token], PATIENCE).map(drop)
    }

    /// Locks a place.
    ///
    /// # Errors
    /// As for [`Client::call`]: somebody else has it, its exporter is gone.
    pub fn acquire(&self, place: &str) -> Result<()> {
        self.call(&["-p", place, "acquire"], PATIENCE).map(drop)
    }

    /// Unlocks a place if `owner` (`HOST/USER`) has it.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub fn release_from(&self, place: &str, owner: &str) -> Result<()> {
        self.call(&["-p", place, "release-from", owner], PATIENCE).map(drop)
    }

    /// Switches a place that is ours.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub fn power(&self, place: &str, on: bool) -> Result<()> {
        self.call(&["-p", place, "power", if on { "on" } else { "off" }], PATIENCE).map(drop)
    }

    /// Whether a place that is ours is switched on; it also shows that its exporter and its relay answer.
    ///
    /// # Errors
    /// As for [`Client::call`].
    pub fn is_on(&self, place: &str) -> Result<bool> {
        let said = self.call(&["-p", place, "power", "get"], PATIENCE)?;
        match said.split_whitespace().last() {
            Some("on") => Ok(true),
            Some("off") => Ok(false),
            _ => Err(failed("labgrid-client power get", &said)),
        }
    }

    /// Has a place's console and TFTP server forwarded, as long as the returned value lives. `folder` is for its files.
    ///
    /// # Errors
    /// As for [`Client::call`], or the place has no console.
    pub fn export(&self, place: &Place, folder: &Path) -> Result<Export> {
        let tftp = place.resources.iter().any(|class| class == "TFTPProvider");
        let place = &place.name;
        let environment = folder.join("export.yaml");
        let values = folder.join("export.json");
        crate::cache::write(&environment, environment_file(place, tftp).as_bytes())?;
        if values.exists() {
            std::fs::remove_file(&values).map_err(|error| Failure::io(&values, &error))?;
        }
        let said = tempfile::tempfile().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let copy = said.try_clone().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let words = [
            "-c",
            &environment.to_string_lossy(),
            "-p",
            place,
            "export",
            "--format",
            "json",
            &values.to_string_lossy(),
        ];
        let child = self.spawn(&words, copy)?;
        let export = |address| Export { address, child: Arc::clone(&child) };
        // It says when the file is there, and goes on. There is nothing to wait on but that file or its end.
        for _ in 0..PATIENCE.as_millis() / PAUSE.as_millis() {
            if values.exists() {
                let text = crate::cache::read(&values)?;
                return Ok(export(read_export(&String::from_utf8_lossy(&text))?));
            }
            if child.wait_timeout(PAUSE).is_ok_and(|ended| ended.is_some()) {
                return Err(failed("labgrid-client export", &contents(said)));
            }
        }
        let _ = child.kill();
        Err(Failure::no_answer("labgrid-client export gives no address").next("see whether the exporter runs"))
    }
}

const PAUSE: Duration = Duration::from_millis(100);

/// An address that is good as long as this lives.
pub struct Export {
    /// The address.
    pub address: Address,
    child: Arc<SharedChild>,
}

impl Drop for Export {
    fn drop(&mut self) {
        // Both fail only when it has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn contents(mut file: std::fs::File) -> String {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    if read.is_ok() { String::from_utf8_lossy(&bytes).into_owned() } else { String::new() }
}

/// The last line says what was wrong; a Python traceback may be above it.
fn failed(name: &str, said: &str) -> Failure {
    let reason = said.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Failure::new(format!("{name}: {}", reason.trim()))
}

/// What `export` is to export. A strategy in it would have `export` print nothing (labgrid 26.0.1).
fn environment_file(place: &str, tftp: bool) -> String {
    let place = serde_json::Value::from(place);
    let tftp = if tftp { "\n      TFTPProviderDriver: {name: tftp}" } else { "" };
    format!(
        "targets:\n  main:\n    resources:\n      RemotePlace: {{name: {place}}}\n    drivers:\n      \
         SerialDriver: {{name: console}}{tftp}\n"
    )
}

fn read_export(text: &str) -> Result<Address> {
    let values: BTreeMap<String, String> = serde_json::from_str(text)
        .map_err(|error| Failure::new(format!("labgrid-client export: {error}: {}", text.trim())))?;
    let value = |name: &str| values.get(name).cloned();
    let (Some(host), Some(port)) = (value("LG__CONSOLE_HOST"), value("LG__CONSOLE_PORT")) else {
        return Err(Failure::new("the place has no console").next("add a serial port to it"));
    };
    let raw = value("LG__CONSOLE_PROTOCOL").is_some_and(|protocol| protocol == "raw");
    let scheme = if raw { "tcp" } else { "rfc2217" };
    let tftp = value("LG__TFTP_INTERNAL").map(|internal| Tftp {
        host: value("LG__TFTP_HOST").unwrap_or_default(),
        internal,
        external: value("LG__TFTP_EXTERNAL").unwrap_or_default(),
    });
    Ok(Address { console: format!("{scheme}://{host}:{port}"), tftp })
}

fn read_places(text: &str) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("Place '").and_then(|rest| rest.strip_suffix("':")) {
            places.push(Place { name: name.to_owned(), ..Place::default() });
        }
        let Some(place) = places.last_mut() else { continue };
        if let Some(tags) = line.strip_prefix("  tags: ") {
            let pairs = tags.split(", ").filter_map(|tag| tag.split_once('='));
            place.tags = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        }
        if let Some(owner) = line.strip_prefix("  acquired: ") {
            place.acquired = (owner != "None").then(|| owner.to_owned());
        }
        // `Matching resource 'CLASS' (…):`, `Acquired resource 'CLASS' (…):`
        if let Some((_, class)) = line.split_once(" resource '").filter(|_| !line.starts_with(' ')) {
            place.resources.extend(class.split_once('\'').map(|(class, _)| class.to_owned()));
        }
    }
    places
}

/// The place of a reservation that was waited for: shown again and again, the last time with the place.
fn allocated(text: &str) -> Option<String> {
    let mut places = text.lines().map(str::trim).filter_map(|line| line.strip_prefix("main: "));
    places.rfind(|value| !value.contains('=')).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_with_their_tags_and_owners() {
        let text = "Place 'a':\n  tags: arch=mips, board=qemu-malta-le\n  matches:\n    */a/*\n  acquired: None\n\
                    \x20 acquired resources:\nPlace 'b':\n  matches:\n  acquired: vm/stoop-1-2\n";
        let places = read_places(text);
        assert_eq!(places.len(), 2);
        assert_eq!(places[0].tags["board"], "qemu-malta-le");
        assert_eq!((places[0].acquired.as_deref(), places[1].acquired.as_deref()), (None, Some("vm/stoop-1-2")));
    }

    #[test]
    fn the_place_of_a_reservation_is_not_taken_for_its_filter() {
        let waiting = "owner: vm/x\ntoken: AAA\nstate: waiting\nfilters:\n  main: arch=mips\n";
        assert_eq!(allocated(waiting), None);
        let done = format!("{waiting}{}allocations:\n  main: rack-1\n", waiting.replace("waiting", "allocated"));
        assert_eq!(allocated(&done).as_deref(), Some("rack-1"));
    }

    #[test]
    fn what_a_place_has_is_read_from_what_is_shown_of_it() {
        let shown = "Place 'a':\n  tags: arch=mips\n  acquired: None\n\
                     Matching resource 'TFTPProvider' (rig/a/TFTPProvider/TFTPProvider):\n  {'cls': 'TFTPProvider',\n";
        assert_eq!(read_places(shown)[0].resources, ["TFTPProvider"]);
    }

    #[test]
    fn an_exported_console_is_a_url() {
        let text = r#"{"LG__CONSOLE_HOST": "rig", "LG__CONSOLE_PORT": "5101", "LG__CONSOLE_PROTOCOL": "rfc2217",
                       "LG__TFTP_HOST": "rig", "LG__TFTP_INTERNAL": "/srv/tftp/", "LG__TFTP_EXTERNAL": "tftp://10.0.2.2/"}"#;
        let address = read_export(text).unwrap();
        assert_eq!(address.console, "rfc2217://rig:5101");
        assert_eq!(address.tftp.unwrap().internal, "/srv/tftp/");
        assert!(read_export(r#"{"LG__CLIENT_PID": "1"}"#).unwrap_err().fact().contains("no console"));
    }
}
