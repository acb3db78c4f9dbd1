//! A machine with its console and its power relay: what a lab knows of a board.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use stoop_ci::{Failure, Result};

use super::console::Console;
use super::machine::Machine;
use super::relay::{self, Switch};

/// How a board's console is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wiring {
    /// A TCP port that carries the bytes as they are.
    Tcp,
    /// A pseudo-terminal, as a USB serial adapter would be a device.
    Pty,
}

/// A board that is wired up, switched off at first. It stays until the process ends.
pub struct Board {
    /// `tcp://HOST:PORT`, or the path of a pseudo-terminal.
    pub console: String,
    /// The relay.
    pub relay: SocketAddr,
    ends: Console,
    power: Arc<Power>,
}

/// The switch, and a thread that has the machine: what a machine starts may end with the thread that started it.
struct Power {
    on: Mutex<bool>,
    switched: Condvar,
    orders: Mutex<Sender<Order>>,
}

struct Order {
    on: bool,
    done: Sender<Result<()>>,
}

impl Board {
    /// Wires `machine` up.
    ///
    /// # Errors
    /// No port or pseudo-terminal is to be had.
    pub fn new(machine: Box<dyn Machine>, wiring: Wiring) -> Result<Board> {
        let console = Console::default();
        let path = match wiring {
            Wiring::Tcp => format!("tcp://{}", console.on_tcp()?),
            Wiring::Pty => console.on_pty()?,
        };
        let ends = console.clone();
        let (orders, taken) = channel();
        std::thread::spawn(move || switch(machine, &console, &taken));
        let power = Arc::new(Power { on: Mutex::new(false), switched: Condvar::new(), orders: Mutex::new(orders) });
        let relay = relay::serve(Arc::clone(&power) as Arc<dyn Switch>)?;
        Ok(Board { console: path, relay, ends, power })
    }

    /// Opens the console by `open`, and returns when the board's words reach it.
    ///
    /// # Errors
    /// As for `open`.
    pub fn attach<T, E>(&self, open: impl FnOnce() -> std::result::Result<T, E>) -> std::result::Result<T, E> {
        let others = self.ends.attached();
        let opened = open()?;
        if self.console.starts_with("tcp://") {
            self.ends.wait_until_attached(others + 1, Duration::from_secs(30));
        }
        Ok(opened)
    }

    /// Its ends, to unplug the pseudo-terminal while somebody talks on it.
    pub fn ends(&self) -> Console {
        self.ends.clone()
    }

    /// The relay's URL.
    pub fn relay_url(&self) -> String {
        format!("http://{}{}", self.relay, relay::PATH)
    }

    /// The relay as `stoop power` takes it.
    pub fn switch(&self) -> String {
        format!("http:rest:{}{}", self.relay, relay::PATH)
    }

    /// Whether power is on.
    pub fn is_on(&self) -> bool {
        self.power.is_on()
    }

    /// Waits until power is on; `false` when it was not within `timeout`.
    pub fn wait_until_on(&self, timeout: Duration) -> bool {
        let waited = self.power.switched.wait_timeout_while(held(&self.power.on), timeout, |on| !*on);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Carries out orders until the board is gone.
fn switch(mut machine: Box<dyn Machine>, console: &Console, orders: &Receiver<Order>) {
    // Carries the console while power is on.
    let mut running: Option<JoinHandle<()>> = None;
    for Order { on, done } in orders {
        let mut result = Ok(());
        if on && running.is_none() {
            match machine.start() {
                Ok(streams) => running = Some(console.connect(streams)),
                Err(failure) => result = Err(failure),
            }
        }
        if !on {
            machine.stop();
            console.disconnect();
            // All that it said has gone out before the relay answers.
            if let Some(running) = running.take() {
                let _ = running.join();
            }
        }
        // Who asked may have gone.
        let _ = done.send(result);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Switch for Power {
    fn is_on(&self) -> bool {
        *held(&self.on)
    }

    fn set(&self, on: bool) -> Result<()> {
        let gone = || Failure::new("the board is gone");
        let (done, answer) = channel();
        // One order after the other, so that `on` is what the last one made it.
        let orders = held(&self.orders);
        orders.send(Order { on, done }).map_err(|_| gone())?;
        let result = answer.recv().map_err(|_| gone())?;
        if result.is_ok() {
            *held(&self.on) = on;
            self.switched.notify_all();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;
    use crate::stand::prompt::Prompt;

    fn ask(board: &Board, method: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(board.relay).unwrap();
        let length = body.len();
        write!(stream, "{method} {} HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}", relay::PATH).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_console_stays_open_while_the_relay_switches_power() {
        let board = Board::new(Box::new(Prompt::new("board #")), Wiring::Tcp).unwrap();
        let mut console = TcpStream::connect(board.console.strip_prefix("tcp://").unwrap()).unwrap();
        let mut heard = |end: &str| {
            let mut said = Vec::new();
            while !said.ends_with(end.as_bytes()) {
                let mut byte = [0];
                console.read_exact(&mut byte).unwrap();
                said.push(byte[0]);
            }
        };
        assert!(ask(&board, "GET", "").ends_with("\r\n\r\n0"));
        for _ in 0..2 {
            assert!(ask(&board, "PUT", "1").starts_with("HTTP/1.1 200 OK\r\n"));
            assert!(ask(&board, "GET", "").ends_with("\r\n\r\n1") && board.is_on());
            heard("board # ");
            assert!(ask(&board, "PUT", "0").starts_with("HTTP/1.1 200 OK\r\n"));
            assert!(!board.is_on());
        }
    }

    #[test]
    fn a_relay_refuses_what_it_does_not_know() {
        let board = Board::new(Box::new(Prompt::new("board #")), Wiring::Tcp).unwrap();
        assert!(ask(&board, "PUT", "maybe").starts_with("HTTP/1.1 400 "));
        assert!(ask(&board, "POST", "1").starts_with("HTTP/1.1 404 "));
        assert!(!board.is_on());
    }
}
