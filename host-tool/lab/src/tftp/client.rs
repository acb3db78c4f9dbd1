//! One client that is being served: its own socket, and when something is to be sent on it.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use super::event::{Break, Event};
use super::options::Granted;
use super::pace::Pace;
use super::packet::{self, Packet};
use super::transfer::{Answer, Send, Transfer};

/// How long a client may be silent before its transfer is given up. U-Boot asks ten times with five seconds between.
const GIVE_UP: Duration = Duration::from_secs(60);

/// Requests and answers of a client are short; a longer datagram is cut and read as far as it goes.
pub const DATAGRAM: usize = 1500;

/// Progress is told this often in a file's course, so that a callback costs nothing beside the transfer.
const STEPS: u64 = 256;
/// A client that is being served.
pub struct Client {
    /// Connected to the client, so that packets of others never come in.
    socket: UdpSocket,
    peer: SocketAddr,
    transfer: Transfer,
    began: Instant,
    /// When something came from it.
    heard: Instant,
    /// When something went to it.
    sent: Instant,
    /// How long its answers take.
    pace: Pace,
    /// Bytes of which it was last told that they arrived.
    told: u64,
}

/// A transfer's own port (RFC 1350, section 4), at the address that was asked.
fn socket_to(ip: IpAddr, peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, 0))?;
    socket.connect(peer)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// How a transfer ended.
pub enum Ended {
    /// The client has everything.
    Done,
    /// It did not come to its end.
    Broken(Break),
    /// The client's error was told already.
    Told,
}

impl Ended {
    /// What the caller is told of it, if anything is left to tell.
    pub fn event(self, client: &Client) -> Option<Event> {
        match self {
            Ended::Done => Some(Event::Done { client: client.peer, time: client.began.elapsed() }),
            Ended::Broken(reason) => {
                Some(Event::Broken { client: client.peer, bytes: client.transfer.acknowledged(), reason })
            }
            Ended::Told => None,
        }
    }

    fn by(error: &io::Error) -> Ended {
        match error.kind() {
            ErrorKind::ConnectionRefused => Ended::Broken(Break::Gone),
            _ => Ended::Broken(Break::Unsendable(error.to_string())),
        }
    }
}

impl Client {
    /// Begins to send a file of `size` bytes to `peer`, from the address `ip`.
    ///
    /// # Errors
    /// Nothing can be sent there.
    pub fn new(ip: IpAddr, peer: SocketAddr, size: u64, granted: Granted) -> io::Result<Client> {
        let (socket, now) = (socket_to(ip, peer)?, Instant::now());
        let (transfer, pace) = (Transfer::new(size, granted), Pace::new(granted.window()));
        Ok(Client { socket, peer, transfer, began: now, heard: now, sent: now, pace, told: 0 })
    }

    /// What to wait for.
    pub fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// Who it is.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// When something last came from it.
    pub fn heard(&self) -> Instant {
        self.heard
    }

    /// Takes all packets that are there.
    pub fn receive(&mut self, tell: &mut dyn FnMut(Event)) -> Option<Ended> {
        let mut buffer = [0; DATAGRAM];
        loop {
            let count = match self.socket.recv(&mut buffer) {
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Some(Ended::by(&error)),
            };
            match Packet::read(&buffer[..count]) {
                Some(Packet::Acknowledged(block)) => {
                    self.heard = Instant::now();
                    match self.transfer.acknowledge(block) {
                        Answer::Whole => self.pace.answered(self.heard - self.sent),
                        Answer::Lost => self.pace.lost(),
                        Answer::Other => {}
                    }
                    if self.transfer.is_done() {
                        return Some(Ended::Done);
                    }
                }
                Some(Packet::Error { code, text }) => {
                    tell(Event::ClientError { client: self.peer, code, text });
                    return Some(Ended::Told);
                }
                Some(Packet::Request { .. }) | None => {}
            }
        }
    }

    /// Nothing came.
    pub fn wait(&mut self) -> Option<Ended> {
        if self.heard.elapsed() >= GIVE_UP {
            return Some(Ended::Broken(Break::Silent));
        }
        if !self.transfer.is_due() && Instant::now() >= self.wake() {
            match self.pace.is_long() {
                true => self.transfer.repeat(),
                false => self.transfer.ask(),
            }
            self.pace.unanswered();
        }
        None
    }

    /// When something is to be done for it although nothing comes.
    pub fn wake(&self) -> Instant {
        self.sent + if self.transfer.is_due() { self.pace.gap() } else { self.pace.patience() }
    }

    /// Sends what may be sent now.
    pub fn send(&mut self, file: &[u8], packet: &mut Vec<u8>) -> Option<Ended> {
        while (self.pace.gap().is_zero() || self.sent.elapsed() >= self.pace.gap())
            && let Some(next) = self.transfer.due()
        {
            match next {
                Send::Options => packet::options(self.transfer.granted(), packet),
                Send::Block(number, place) => {
                    packet::data(number, &file[place.start as usize..place.end as usize], packet);
                }
            }
            self.sent = Instant::now();
            match self.socket.send(packet) {
                Ok(_) => {}
                // A full queue is as good as a packet lost on the way.
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error()) => {}
                Err(error) => return Some(Ended::by(&error)),
            }
        }
        None
    }

    /// Tells how far it is, when that is worth it.
    pub fn progress(&mut self, size: u64, tell: &mut dyn FnMut(Event)) {
        let bytes = self.transfer.acknowledged();
        let step = (size / STEPS).max(1);
        if bytes - self.told >= step || (bytes > self.told && self.transfer.is_done()) {
            self.told = bytes;
            tell(Event::Acknowledged { client: self.peer, bytes, size });
        }
    }
}
