//! A console server that speaks Telnet with COM port control (RFC 2217), such as ser2net.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use rfc2217::{Client, NotReady, PortSettings};

use super::port::{BREAK, CONNECT};
use super::{Address, Endpoint, Error, Port, tcp};

pub struct Rfc2217 {
    stream: TcpStream,
    state: Mutex<State>,
}

struct State {
    client: Client,
    /// Console bytes that came while the settings were agreed upon.
    early: Vec<u8>,
}

impl Rfc2217 {
    pub fn open(endpoint: &Endpoint, speed: u32) -> Result<Rfc2217, Error> {
        let address = || Address::Rfc2217(endpoint.clone());
        let stream = tcp::connect(endpoint).map_err(|source| Error::Open { address: address(), source })?;
        let client = Client::new(PortSettings { baud_rate: speed, ..PortSettings::default() });
        let port = Rfc2217 { stream, state: Mutex::new(State { client, early: Vec::new() }) };
        port.agree().map_err(|reason| Error::Rfc2217 { address: address(), reason })?;
        Ok(port)
    }

    /// Waits until the server has confirmed the settings.
    fn agree(&self) -> Result<(), String> {
        let deadline = Instant::now() + CONNECT;
        let mut buffer = [0; 4096];
        loop {
            self.flush().map_err(|error| error.to_string())?;
            let readiness = self.with(|state| state.client.readiness());
            match readiness {
                Ok(()) => return Ok(()),
                Err(reason @ (NotReady::Refused | NotReady::Mismatched(_))) => return Err(reason.to_string()),
                Err(reason) if Instant::now() >= deadline => return Err(reason.to_string()),
                Err(_) => {}
            }
            let count = tcp::read(&self.stream, &mut buffer).map_err(|error| error.to_string())?;
            self.with(|state| {
                let bytes = state.take(&buffer[..count]);
                state.early.extend(bytes);
            });
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes what the client wants to say; under the lock, so that two threads' bytes do not mix.
    fn flush(&self) -> io::Result<()> {
        self.with(|state| (&self.stream).write_all(&state.client.take_output()))
    }
}

impl State {
    /// The console's bytes among these; answers to the server are left in the client's output.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let data = self.client.receive(bytes);
        // Reported settings and line states are of no use here, but their queue is bounded.
        while self.client.poll_event().is_some() {}
        data
    }
}

impl Port for Rfc2217 {
    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let early = self.with(|state| {
            let count = state.early.len().min(buffer.len());
            buffer[..count].copy_from_slice(&state.early[..count]);
            state.early.drain(..count).count()
        });
        if early > 0 {
            return Ok(early);
        }
        let count = tcp::read(&self.stream, buffer)?;
        let data = self.with(|state| state.take(&buffer[..count]));
        self.flush()?;
        // Unescaping never makes more of them.
        buffer[..data.len()].copy_from_slice(&data);
        Ok(data.len())
    }

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
        self.with(|state| state.client.write_data(bytes));
        self.flush()
    }

    fn send_break(&self) -> io::Result<()> {
        self.with(|state| state.client.set_break(true));
        self.flush()?;
        thread::sleep(BREAK);
        self.with(|state| state.client.set_break(false));
        self.flush()
    }

    fn set_speed(&self, speed: u32) -> io::Result<()> {
        if speed == 0 {
            return Err(ErrorKind::InvalidInput.into());
        }
        self.with(|state| {
            let settings = PortSettings { baud_rate: speed, ..state.client.requested_settings() };
            state.client.set_port_settings(settings);
        });
        self.flush()
    }
}
