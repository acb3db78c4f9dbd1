//! The board's network: its address, and this machine's.

use std::net::{IpAddr, UdpSocket};

use super::{Error, Netboot, Step, Tell};
use crate::Result;
use crate::bootloader::Bootloader;
use crate::place::BoardAddress;

/// Blocks on their way at once where the board file does not say (`tftp-window`). Bootloaders' network drivers have as few as four receive buffers (U-Boot `include/net.h`, `PKTBUFSRX`;
/// `drivers/net/pcnet.c`), and give one back only after its packet was answered: a window of four overruns them, and a window that loses
/// blocks is slower than none (`docs/desk.md` has the measurements).
const WINDOW: u16 = 2;

/// Sets both addresses; gives this machine's.
pub fn set_up(bootloader: &mut Bootloader<'_>, boot: &Netboot<'_>, tell: &Tell) -> Result<IpAddr> {
    let typed = |bootloader: &mut Bootloader<'_>, line: &str| {
        tell(Step::Typed(line.to_owned()));
        bootloader.command(line)
    };
    let own = match boot.place.board_address {
        BoardAddress::Fixed(ip) => {
            typed(bootloader, &format!("setenv ipaddr {ip}"))?;
            Some(ip)
        }
        BoardAddress::Own => variable(bootloader, "ipaddr")?,
        BoardAddress::Dhcp => None,
    };
    let own = match own {
        Some(own) => own,
        None => {
            // Without it `dhcp` would fetch and perhaps start a file.
            typed(bootloader, "setenv autoload no")?;
            lease(bootloader, tell)?
        }
    };
    let server = match boot.place.server {
        Some(server) => server,
        None => ours(variable(bootloader, "serverip")?, own)?,
    };
    typed(bootloader, &format!("setenv serverip {server}"))?;
    // Bootloaders without windows (RFC 7440) take it for a variable like any other.
    let window = boot.board.bootloader.tftp_window.unwrap_or(WINDOW);
    typed(bootloader, &format!("setenv tftpwindowsize {window}"))?;
    Ok(server)
}

/// An address in the bootloader's environment; `None` when it is not set or no address.
fn variable(bootloader: &mut Bootloader<'_>, name: &str) -> Result<Option<IpAddr>> {
    let printed = bootloader.command(&format!("printenv {name}"))?;
    let value = printed.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
    Ok(value.and_then(|value| value.trim().parse().ok()))
}

/// How long a lease may take: U-Boot asks for a minute or so when nobody answers.
const LEASE: std::time::Duration = std::time::Duration::from_secs(90);

fn lease(bootloader: &mut Bootloader<'_>, tell: &Tell) -> Result<IpAddr> {
    tell(Step::Typed("dhcp".into()));
    bootloader.enter("dhcp")?;
    let printed = match bootloader.finish("dhcp", LEASE) {
        Err(crate::bootloader::Error::Stuck { .. }) => bootloader.stop("dhcp")?,
        other => other?,
    };
    let address = printed.split("DHCP client bound to address ").nth(1).and_then(|rest| rest.split([' ', '\n']).next());
    let address = address.and_then(|address| address.parse().ok());
    Ok(address.ok_or_else(|| super::transfer::link(&printed).unwrap_or(Error::NoLease))?)
}

/// The address of this machine that the board should ask: the one that it knows if it is ours, else the one from which packets to
/// the board would go.
fn ours(known: Option<IpAddr>, board: IpAddr) -> Result<IpAddr, Error> {
    if let Some(known) = known
        && UdpSocket::bind((known, 0)).is_ok()
    {
        return Ok(known);
    }
    let unspecified: IpAddr = if board.is_ipv4() { [0; 4].into() } else { [0_u16; 8].into() };
    // Connecting sends nothing: it asks the routing table.
    let route = UdpSocket::bind((unspecified, 0)).and_then(|socket| {
        socket.connect((board, crate::tftp::PORT))?;
        socket.local_addr()
    });
    match route {
        Ok(local) if same_net(local.ip(), board) => Ok(local.ip()),
        _ => Err(Error::NoServerAddress { board }),
    }
}

/// Whether two addresses look like one network: an address that a default route would send elsewhere is not the board's side.
fn same_net(ours: IpAddr, board: IpAddr) -> bool {
    match (ours, board) {
        (IpAddr::V4(ours), IpAddr::V4(board)) => ours.octets()[..3] == board.octets()[..3],
        (IpAddr::V6(ours), IpAddr::V6(board)) => ours.segments()[..4] == board.segments()[..4],
        _ => false,
    }
}
