//! A TCP port that carries the console's bytes and nothing else.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::port::{CONNECT, PATIENCE, unsupported};
use super::{Address, Endpoint, Error, Port};

/// How long a peer that reads nothing is put up with.
const SEND: Duration = Duration::from_secs(10);

pub struct Tcp(TcpStream);

impl Tcp {
    pub fn open(endpoint: &Endpoint) -> Result<Tcp, Error> {
        connect(endpoint).map(Tcp).map_err(|source| Error::Open { address: Address::Tcp(endpoint.clone()), source })
    }
}

/// Connects to the first of the host's addresses that answers, with the timeouts of a console.
pub fn connect(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (endpoint.host.as_str(), endpoint.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(SEND))?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Reads once; nothing within the timeout is 0, the end of the stream an error.
pub fn read(mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer) {
        Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => {
            Ok(0)
        }
        other => other,
    }
}

impl Port for Tcp {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        read(&self.0, buffer)
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        (&self.0).write_all(bytes)
    }

    fn send_break(&self) -> io::Result<()> {
        Err(unsupported())
    }

    fn set_speed(&self, _: u32) -> io::Result<()> {
        Err(unsupported())
    }
}
