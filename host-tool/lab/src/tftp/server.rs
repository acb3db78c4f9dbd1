//! The sockets: requests on one, each transfer on its own, all in one thread.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Error;
use super::options::{Asked, Granted};
use super::packet::{self, Access, Code, Packet};
use super::transfer::{Send, Transfer};

/// TFTP's port.
pub const PORT: u16 = 69;

/// How long a client may be silent before its transfer is given up. U-Boot asks ten times with five seconds between.
const GIVE_UP: Duration = Duration::from_secs(60);

/// How often the thread looks whether it is still wanted.
const WAKE: Duration = Duration::from_millis(100);

/// Clients that are served at once; the one that was silent longest makes room.
const MOST_CLIENTS: usize = 8;

/// Between two packets of a window after the first loss, and at most. Ethernet chips of bootloaders have as few as four receive
/// buffers (U-Boot `drivers/net/pcnet.c`), which a whole window overruns.
const FIRST_GAP: Duration = Duration::from_micros(250);
const LONGEST_GAP: Duration = Duration::from_millis(4);

/// Requests and answers of a client are short; a longer datagram is cut and read as far as it goes.
const DATAGRAM: usize = 1500;

/// Progress is told this often in a file's course, so that a callback costs nothing beside the transfer.
const STEPS: u64 = 256;

/// The one file that is served.
#[derive(Clone, Debug)]
pub struct File {
    /// What clients ask for; slashes in front do not count.
    pub name: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

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
    fn answer(self) -> (Code, &'static str) {
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

/// A server at work; dropping it ends it.
pub struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on `address` and serves `file` in a thread of its own. Port 0 takes any port that is free. Events are told to `tell` in that
    /// thread, which waits for it.
    ///
    /// # Errors
    /// The port is taken or forbidden, or the address is not one of this machine's.
    pub fn start(
        address: SocketAddr,
        file: File,
        tell: impl FnMut(Event) + std::marker::Send + 'static,
    ) -> Result<Server, Error> {
        if address.ip().is_unspecified() {
            return Err(Error::Unspecified { address });
        }
        let failed = |source| Error::listen(address, source);
        let socket = UdpSocket::bind(address).map_err(failed)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let mut work = Work { socket, file, clients: Vec::new(), tell: Box::new(tell), packet: Vec::new() };
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                work.turn();
            }
        });
        Ok(Server { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A client that is being served.
struct Client {
    /// Connected to the client, so that packets of others never come in.
    socket: UdpSocket,
    peer: SocketAddr,
    transfer: Transfer,
    began: Instant,
    /// When something came from it.
    heard: Instant,
    /// When to send again.
    again: Instant,
    /// When the next packet of a window may go.
    next: Instant,
    /// Between two packets of a window: a client that loses some of a burst gets them slower.
    gap: Duration,
    /// Bytes of which it was last told that they arrived.
    told: u64,
}

struct Work {
    socket: UdpSocket,
    file: File,
    clients: Vec<Client>,
    tell: Box<dyn FnMut(Event) + std::marker::Send>,
    /// The packet being made.
    packet: Vec<u8>,
}

impl Work {
    /// Waits for packets and handles them.
    fn turn(&mut self) {
        let now = Instant::now();
        let due = self.clients.iter().map(|client| client.wake().saturating_duration_since(now));
        let wait = due.chain([WAKE]).min().unwrap_or(WAKE);
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(wait.min(WAKE).subsec_nanos()) };
        let sockets = [&self.socket].into_iter().chain(self.clients.iter().map(|client| &client.socket));
        let mut polled: Vec<_> = sockets.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        if poll(&mut polled, Some(&wait)).is_err() {
            // Interrupted by a signal, or out of memory: the next turn waits again.
            return;
        }
        let ready: Vec<_> = polled.iter().map(|socket| !socket.revents().is_empty()).collect();
        // Backwards, since a client that is done leaves its place to those behind it.
        for number in (0..self.clients.len()).rev() {
            self.serve(number, ready[number + 1]);
        }
        if ready[0] {
            self.requests();
        }
    }

    /// One client's turn.
    fn serve(&mut self, number: usize, ready: bool) {
        let Work { clients, file, tell, packet, .. } = self;
        let client = &mut clients[number];
        let ended = match ready {
            true => client.receive(tell),
            false => client.wait(),
        };
        let ended = ended.or_else(|| client.send(file, packet));
        client.progress(file.bytes.len() as u64, tell);
        if let Some(ended) = ended {
            let client = clients.swap_remove(number);
            if let Some(event) = ended.event(&client) {
                tell(event);
            }
        }
    }

    /// Takes all requests that are there.
    fn requests(&mut self) {
        let mut buffer = [0; DATAGRAM];
        // Errors are those of answers to clients that are gone.
        while let Ok((count, peer)) = self.socket.recv_from(&mut buffer) {
            let Some(Packet::Request { access, name, mode, asked }) = Packet::read(&buffer[..count]) else { continue };
            let refusal = match access {
                Access::Write => Some(Refusal::Write),
                Access::Read if name.trim_start_matches('/') != self.file.name => Some(Refusal::Name),
                Access::Read if !mode.eq_ignore_ascii_case("octet") => Some(Refusal::Mode),
                Access::Read => None,
            };
            match refusal {
                Some(reason) => self.refuse(peer, name, reason),
                None => self.begin(peer, &asked),
            }
        }
    }

    fn refuse(&mut self, client: SocketAddr, name: String, reason: Refusal) {
        let (code, text) = reason.answer();
        packet::error(code, text, &mut self.packet);
        // Told first: once the client has its answer, the bootloader prints it, and whoever reads that asks what was seen here.
        (self.tell)(Event::Refused { client, name, reason });
        let _ = self.socket.send_to(&self.packet, client);
    }

    fn begin(&mut self, peer: SocketAddr, asked: &Asked) {
        // Who asks again has given up what came before, and the old transfer would fill its ears.
        self.clients.retain(|client| client.peer.ip() != peer.ip());
        if self.clients.len() == MOST_CLIENTS
            && let Some(number) = (0..MOST_CLIENTS).min_by_key(|number| self.clients[*number].heard)
        {
            self.clients.swap_remove(number);
        }
        let granted = asked.grant(self.file.bytes.len() as u64);
        let local = self.socket.local_addr().map(|address| address.ip());
        match local.and_then(|ip| socket_to(ip, peer)) {
            Ok(socket) => {
                (self.tell)(Event::Began { client: peer, granted });
                let now = Instant::now();
                let transfer = Transfer::new(self.file.bytes.len() as u64, granted);
                self.clients.push(Client {
                    socket,
                    peer,
                    transfer,
                    began: now,
                    heard: now,
                    again: now + Granted::patience(),
                    next: now,
                    gap: Duration::ZERO,
                    told: 0,
                });
                self.serve(self.clients.len() - 1, false);
            }
            Err(error) => {
                let reason = Break::Unsendable(error.to_string());
                (self.tell)(Event::Broken { client: peer, bytes: 0, reason });
            }
        }
    }
}

/// A transfer's own port (RFC 1350, section 4), at the address that was asked.
fn socket_to(ip: IpAddr, peer: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((ip, 0))?;
    socket.connect(peer)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// How a transfer ended.
enum Ended {
    Done,
    Broken(Break),
    /// The client's error was told already.
    Told,
}

impl Ended {
    fn event(self, client: &Client) -> Option<Event> {
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
    /// Takes all packets that are there.
    fn receive(&mut self, tell: &mut dyn FnMut(Event)) -> Option<Ended> {
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
                    if self.transfer.acknowledge(block) {
                        self.slow_down();
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
    fn wait(&mut self) -> Option<Ended> {
        if self.heard.elapsed() >= GIVE_UP {
            return Some(Ended::Broken(Break::Silent));
        }
        if Instant::now() >= self.again {
            self.transfer.repeat();
            self.slow_down();
        }
        None
    }

    fn slow_down(&mut self) {
        self.gap = (self.gap * 2).clamp(FIRST_GAP, LONGEST_GAP);
    }

    /// When something is to be done for it although nothing comes.
    fn wake(&self) -> Instant {
        if self.transfer.is_due() { self.next } else { self.again }
    }

    /// Sends what may be sent now.
    fn send(&mut self, file: &File, packet: &mut Vec<u8>) -> Option<Ended> {
        while Instant::now() >= self.next
            && let Some(next) = self.transfer.due()
        {
            self.next = Instant::now() + self.gap;
            match next {
                Send::Options => packet::options(self.transfer.granted(), packet),
                Send::Block(number, place) => {
                    packet::data(number, &file.bytes[place.start as usize..place.end as usize], packet);
                }
            }
            self.again = Instant::now() + Granted::patience();
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

    fn progress(&mut self, size: u64, tell: &mut dyn FnMut(Event)) {
        let bytes = self.transfer.acknowledged();
        let step = (size / STEPS).max(1);
        if bytes - self.told >= step || (bytes > self.told && self.transfer.is_done()) {
            self.told = bytes;
            tell(Event::Acknowledged { client: self.peer, bytes, size });
        }
    }
}
