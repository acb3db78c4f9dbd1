//! The sockets: requests on one, each transfer on its own, all in one thread.

use std::io::{PipeReader, PipeWriter, pipe};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::client::{Client, DATAGRAM};
use super::error::Error;
use super::event::{Break, Event, Refusal};
use super::options::Asked;
use super::packet::{self, Access, Packet};

/// TFTP's port.
pub const PORT: u16 = 69;

/// Clients that are served at once; the one that was silent longest makes room.
const MOST_CLIENTS: usize = 8;

/// The one file that is served.
#[derive(Clone, Debug)]
pub struct File {
    /// What clients ask for; slashes in front do not count.
    pub name: String,
    /// Its bytes.
    pub bytes: Arc<[u8]>,
}

/// A server at work; dropping it ends it.
pub struct Server {
    address: SocketAddr,
    /// The thread works until this is closed.
    wanted: Option<PipeWriter>,
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
        let (end, wanted) = pipe().map_err(failed)?;
        let mut work = Work { end, socket, file, clients: Vec::new(), tell: Box::new(tell), packet: Vec::new() };
        let thread = thread::spawn(move || while work.turn() {});
        Ok(Server { address, wanted: Some(wanted), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.wanted.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Work {
    /// Closed at the other end when the server is to end.
    end: PipeReader,
    socket: UdpSocket,
    file: File,
    clients: Vec<Client>,
    tell: Box<dyn FnMut(Event) + std::marker::Send>,
    /// The packet being made.
    packet: Vec<u8>,
}

impl Work {
    /// Waits for packets and handles them; says whether the server is to go on.
    fn turn(&mut self) -> bool {
        let now = Instant::now();
        let due = self.clients.iter().map(|client| client.wake().saturating_duration_since(now)).min();
        let wait = due.map(|due| Timespec::try_from(due).unwrap_or_default());
        let sockets = [&self.socket].into_iter().chain(self.clients.iter().map(Client::socket));
        // The end, requests, clients.
        let mut polled = vec![PollFd::new(&self.end, PollFlags::IN)];
        polled.extend(sockets.map(|socket| PollFd::new(socket, PollFlags::IN)));
        if poll(&mut polled, wait.as_ref()).is_err() {
            // Interrupted by a signal, or out of memory: the next turn waits again.
            return true;
        }
        let ready: Vec<_> = polled.iter().map(|socket| !socket.revents().is_empty()).collect();
        if ready[0] {
            return false;
        }
        // Backwards, since a client that is done leaves its place to those behind it.
        for number in (0..self.clients.len()).rev() {
            self.serve(number, ready[number + 2]);
        }
        if ready[1] {
            self.requests();
        }
        true
    }

    /// One client's turn.
    fn serve(&mut self, number: usize, ready: bool) {
        let Work { clients, file, tell, packet, .. } = self;
        let client = &mut clients[number];
        let ended = match ready {
            true => client.receive(tell),
            false => client.wait(),
        };
        let ended = ended.or_else(|| client.send(&file.bytes, packet));
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
        self.clients.retain(|client| client.peer().ip() != peer.ip());
        if self.clients.len() == MOST_CLIENTS
            && let Some(number) = (0..MOST_CLIENTS).min_by_key(|number| self.clients[*number].heard())
        {
            self.clients.swap_remove(number);
        }
        let size = self.file.bytes.len() as u64;
        let granted = asked.grant(size);
        let local = self.socket.local_addr().map(|address| address.ip());
        match local.and_then(|ip| Client::new(ip, peer, size, granted)) {
            Ok(client) => {
                (self.tell)(Event::Began { client: peer, granted });
                self.clients.push(client);
                self.serve(self.clients.len() - 1, false);
            }
            Err(error) => {
                let reason = Break::Unsendable(error.to_string());
                (self.tell)(Event::Broken { client: peer, bytes: 0, reason });
            }
        }
    }
}
