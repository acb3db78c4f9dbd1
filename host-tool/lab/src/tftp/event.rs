//! What a server tells its caller.

use std::net::SocketAddr;
use std::time::Duration;

use super::options::Granted;
use super::packet::Code;

/// What happens on the server. Texts come from the network as they are; [`crate::text::shown`] makes them harmless.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// A client asked for the file and gets it; one of its earlier transfers ends without a word.
    Began {
        /// Who.
        client: SocketAddr,
        /// How.
        granted: Granted,
    },
    /// The client has this much, told some hundred times in the course of a file and at its end.
    Acknowledged {
        /// Who.
        client: SocketAddr,
        /// Bytes of the file that arrived.
        bytes: u64,
        /// Bytes of the file.
        size: u64,
    },
    /// The client has everything.
    Done {
        /// Who.
        client: SocketAddr,
        /// Since it asked.
        time: Duration,
    },
    /// A request was refused.
    Refused {
        /// Who.
        client: SocketAddr,
        /// The name it asked for.
        name: String,
        /// Why.
        reason: Refusal,
    },
    /// The client ended the transfer with an error of its own.
    ClientError {
        /// Who.
        client: SocketAddr,
        /// RFC 1350 appendix I.
        code: u16,
        /// Its words.
        text: String,
    },
    /// A transfer ended early.
    Broken {
        /// Who.
        client: SocketAddr,
        /// Bytes of the file that arrived.
        bytes: u64,
        /// Why.
        reason: Break,
    },
}

/// Why a request was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// The only file has another name.
    Name,
    /// The server is read-only.
    Write,
    /// Only `octet` is served: `netascii` changes the bytes of an image.
    Mode,
}

impl Refusal {
    /// What the client is told.
    pub(super) fn answer(self) -> (Code, &'static str) {
        match self {
            Refusal::Name => (Code::NotFound, "File not found"),
            Refusal::Write => (Code::Forbidden, "Read-only server"),
            Refusal::Mode => (Code::Illegal, "Only octet mode is served"),
        }
    }
}

/// Why a transfer ended early.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Break {
    /// The client said nothing for a minute.
    Silent,
    /// The client closed its port without a word.
    Gone,
    /// Nothing can be sent to it: no route, or a firewall of this machine (EPERM).
    Unsendable(String),
}
