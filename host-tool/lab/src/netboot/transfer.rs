//! The image on its way: what the server sees and what the bootloader says, and what that means when it does not arrive.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Error, Netboot, Step, Tell};
use crate::Result;
use crate::bootloader::{self, Bootloader};
use crate::tftp::{Break, Event, Refusal};

/// What the server has seen.
#[derive(Clone)]
pub struct Watched {
    seen: Arc<Mutex<Seen>>,
    tell: Tell,
}

struct Seen {
    size: u64,
    /// Bytes that arrived in the present transfer.
    bytes: u64,
    /// When something came from a client.
    heard: Instant,
    /// Requests for the file.
    asked: u32,
    /// The last thing that went wrong.
    trouble: Option<Event>,
    /// Another program serves: nothing is seen of it.
    is_blind: bool,
}

impl Watched {
    pub fn new(size: u64, tell: Tell) -> Watched {
        let seen = Seen { size, bytes: 0, heard: Instant::now(), asked: 0, trouble: None, is_blind: false };
        Watched { seen: Arc::new(Mutex::new(seen)), tell }
    }

    /// Takes an event of the server's.
    pub fn hear(&self, event: Event) {
        let mut seen = self.seen();
        seen.heard = Instant::now();
        match event {
            Event::Began { .. } => (seen.asked, seen.bytes) = (seen.asked + 1, 0),
            Event::Acknowledged { bytes, size, .. } => {
                seen.bytes = bytes;
                drop(seen);
                (self.tell)(Step::Acknowledged { bytes, size });
            }
            Event::Done { .. } => {}
            other => seen.trouble = Some(other),
        }
    }

    /// Another program serves the file: only the bootloader's words say how it goes.
    pub fn is_blind(&self) {
        self.seen().is_blind = true;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How often the transfer's course is looked at while the bootloader says nothing.
const LOOK: Duration = Duration::from_millis(500);

/// Loops that a bootloader does not leave by itself (`net/net.c`, `net_start_again`; `net/arp.c`).
const LOOPS: [&str; 3] = ["Retry count exceeded", "Retry time exceeded", "ARP Retry"];

/// Types the command that fetches the image, and sees it through.
pub fn fetch(
    bootloader: &mut Bootloader<'_>,
    line: &str,
    server: IpAddr,
    boot: &Netboot<'_>,
    watched: &Watched,
    tell: &Tell,
) -> Result<()> {
    tell(Step::Typed(line.to_owned()));
    watched.seen().heard = Instant::now();
    bootloader.enter(line)?;
    let (mut marks, began) = (0, Instant::now());
    let printed = loop {
        match bootloader.back(line, LOOK) {
            Ok(printed) => break printed,
            Err(bootloader::Error::Stuck { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let said = bootloader.console().pending();
        // U-Boot prints marks as blocks come: a server that is not ours is watched by them.
        let mut seen = watched.seen();
        if seen.is_blind && said.len() != marks {
            (marks, seen.heard) = (said.len(), Instant::now());
        }
        let stalled = seen.heard.elapsed() >= boot.stall;
        drop(seen);
        if stalled || LOOPS.iter().any(|words| said.contains(words)) {
            // The prompt is the better place to leave the board at; what was said says why.
            let stopped = match bootloader.stop(line) {
                Err(lost @ bootloader::Error::Lost { .. }) => return Err(lost.into()),
                stopped => stopped.unwrap_or_default(),
            };
            return Err(cause(&format!("{said}{stopped}"), server, boot, &watched.seen()).into());
        }
    };
    let size = boot.image.len();
    if printed.contains(&format!("Bytes transferred = {size} ")) {
        let time = began.elapsed();
        tell(Step::Fetched { size: size as u64, time });
        return Ok(());
    }
    Err(cause(&printed, server, boot, &watched.seen()).into())
}

/// What a bootloader says when the cable or the port is at fault.
const NO_LINK: [&str; 7] = [
    "No link",
    "no link",
    "link down",
    "Link is down",
    "No ethernet found",
    "Could not initialize PHY",
    "auto negotiation to complete......... TIMEOUT",
];

/// The trouble with the link, if these words are about one.
pub fn link(said: &str) -> Option<Error> {
    let line = said.lines().find(|line| NO_LINK.iter().any(|words| line.contains(words)))?;
    Some(Error::NoLink { said: line.trim().to_owned() })
}

/// Why it did not arrive, by both sides' words.
fn cause(said: &str, server: IpAddr, boot: &Netboot<'_>, seen: &Seen) -> Error {
    if let Some(error) = link(said) {
        return error;
    }
    if said.contains("ARP Retry") {
        return Error::NoArp { server };
    }
    match &seen.trouble {
        Some(Event::ClientError { text, .. }) => return Error::Client { text: text.clone() },
        Some(Event::Refused { name, reason: Refusal::Name, .. }) => {
            return Error::WrongName { asked: name.clone(), served: boot.name.clone() };
        }
        Some(Event::Refused { .. }) => return Error::WrongRequest,
        Some(Event::Broken { reason: Break::Unsendable(reason), .. }) => {
            return Error::Unsendable { server, reason: reason.clone() };
        }
        _ => {}
    }
    let by_words = said.split("TFTP error: ").nth(1).and_then(|rest| rest.lines().next());
    if seen.is_blind {
        let said = by_words.unwrap_or("nothing").trim().to_owned();
        return Error::ServerElsewhere { server, said };
    }
    if seen.asked == 0 {
        return match by_words {
            Some(error) => Error::AnotherServer { server, said: error.trim().to_owned() },
            None => Error::Unheard { server },
        };
    }
    match seen.bytes {
        0 => Error::Unanswered { server },
        bytes => Error::Stalled { bytes, size: seen.size },
    }
}
