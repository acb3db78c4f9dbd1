//! Why an image did not get into the board's RAM, each with the thing to look at.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::text::shown;
use stoop_image::explained::{Explained, NO_ANSWER, USAGE};

/// Why an image did not get into the board's RAM, or did not start there.
#[non_exhaustive]
#[derive(thiserror::Error, Debug)]
pub enum Error {
    /// The image is none that a board can fetch and start.
    #[error(transparent)]
    Image(stoop_image::Error),
    /// The board's Ethernet has no link.
    #[error("the board has no network link: `{}`", shown(said))]
    NoLink {
        /// The bootloader's words.
        said: String,
    },
    /// Nobody gave the board an address.
    #[error("the board got no address by DHCP")]
    NoLease,
    /// No address of this machine is in the board's network.
    #[error("no address of this machine is in the network of the board's address {board}")]
    NoServerAddress {
        /// The board's.
        board: IpAddr,
    },
    /// The board asks for the server's hardware address and nobody answers.
    #[error("the board finds nobody with the address {server} (ARP)")]
    NoArp {
        /// This machine's.
        server: IpAddr,
    },
    /// No request came.
    #[error("no request of the board reached UDP port 69 of {server}")]
    Unheard {
        /// This machine's.
        server: IpAddr,
    },
    /// Another TFTP server answered.
    #[error("another TFTP server than the one at {server} answered: {}", shown(said))]
    AnotherServer {
        /// This machine's.
        server: IpAddr,
        /// Its words.
        said: String,
    },
    /// The TFTP server that was there already does not do it.
    #[error("the TFTP server at {server} did not deliver the image; the board says: {}", shown(said))]
    ServerElsewhere {
        /// The server.
        server: IpAddr,
        /// The board's words about it.
        said: String,
    },
    /// The request came, the board heard nothing of the answers.
    #[error("the board asked {server} for the image and did not acknowledge one block of it")]
    Unanswered {
        /// This machine's.
        server: IpAddr,
    },
    /// This machine cannot send.
    #[error("{server} cannot send to the board: {reason}")]
    Unsendable {
        /// This machine's.
        server: IpAddr,
        /// What the operating system says.
        reason: String,
    },
    /// The board asked for another file.
    #[error("the board asked for `{}`, and only `{served}` is served", shown(asked))]
    WrongName {
        /// What it asked for.
        asked: String,
        /// What there is.
        served: String,
    },
    /// The board wanted to write, or asked for text.
    #[error("the board sent a TFTP request that is not for reading bytes")]
    WrongRequest,
    /// The board's TFTP client gave up with words of its own.
    #[error("the board's TFTP client gave up: {}", shown(text))]
    Client {
        /// Its words.
        text: String,
    },
    /// It began and stopped.
    #[error("the transfer stopped at {bytes} of {size} bytes")]
    Stalled {
        /// What arrived.
        bytes: u64,
        /// What should.
        size: u64,
    },
    /// The bootloader has the image and does not start it.
    #[error("`{line}` did not start the image{tail}")]
    NotStarted {
        /// What was typed.
        line: String,
        /// The console's last lines.
        tail: String,
    },
    /// Another file has the image's name in the folder of the other TFTP server.
    #[error("{} is there already, with other bytes than the image", shown(&file.to_string_lossy()))]
    InFolder {
        /// The file.
        file: PathBuf,
    },
}

impl Explained for Error {
    fn code(&self) -> &'static str {
        match self {
            Error::Image(failure) => failure.code(),
            Error::NoLink { .. } => "L061",
            Error::NoLease => "L062",
            Error::NoServerAddress { .. } => "L063",
            Error::NoArp { .. } => "L064",
            Error::Unheard { .. } => "L065",
            Error::AnotherServer { .. } => "L066",
            Error::Unanswered { .. } => "L067",
            Error::Unsendable { .. } => "L068",
            Error::WrongName { .. } => "L069",
            Error::WrongRequest => "L070",
            Error::Client { .. } => "L071",
            Error::Stalled { .. } => "L072",
            Error::NotStarted { .. } => "L073",
            Error::ServerElsewhere { .. } => "L074",
            Error::InFolder { .. } => "L075",
        }
    }

    fn next_step(&self) -> Option<String> {
        Some(match self {
            Error::Image(failure) => return failure.next_step(),
            Error::NoLink { .. } => {
                "see that the cable is in the port that the bootloader uses (often WAN or LAN1 only), and that this machine's \
                 interface is up: `ip link`"
                    .into()
            }
            Error::NoLease => "give it an address with --board-address, or connect it to a network with DHCP".into(),
            Error::NoServerAddress { board } => format!(
                "add one to the interface at the board's side (`sudo ip address add ADDRESS/24 dev INTERFACE`, with the first \
                 three numbers of {board}), or give --address and --board-address"
            ),
            Error::NoArp { server } => format!(
                "see that {server} is at the interface that the board's cable is in, and that the board's own address is in the \
                 same network (--board-address)"
            ),
            Error::Unheard { server } => format!(
                "look at this machine's firewall (UDP port 69 to {server}, for example `sudo nft list ruleset`), and see by \
                 `sudo tcpdump -ni INTERFACE udp port 69` whether the request arrives"
            ),
            Error::AnotherServer { server, .. } => {
                format!("see who else serves TFTP in this network, and that the board's serverip is {server}")
            }
            Error::ServerElsewhere { server, .. } => {
                format!("see that the server at {server} runs, reads --tftp-folder, and lets it be read")
            }
            Error::InFolder { .. } => "remove it, or give the image another name".into(),
            Error::Unanswered { .. } => {
                "look at this machine's firewall: answers come from another port than 69, and so do the board's to them".into()
            }
            Error::Unsendable { .. } => "look at this machine's firewall and routes: `ip route`, `sudo nft list ruleset`".into(),
            Error::WrongName { .. } => "clear `bootfile` in the bootloader's environment, and start anew".into(),
            Error::WrongRequest => "see what was typed at the board's console besides".into(),
            Error::Client { .. } => "see the board's console: its RAM may be too small, or the address protected".into(),
            Error::Stalled { .. } => "look at the cable, the switch and both ends' speed and duplex, and try again".into(),
            Error::NotStarted { .. } => {
                "compare the format with `containers` of the board file, and see the bootloader's words above".into()
            }
        })
    }

    fn exit_code(&self) -> u8 {
        match self {
            Error::Image(failure) => failure.exit_code(),
            Error::NoServerAddress { .. } | Error::InFolder { .. } => USAGE,
            _ => NO_ANSWER,
        }
    }
}
