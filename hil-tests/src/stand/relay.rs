//! A power relay that speaks HTTP as labgrid's `rest` model wants it: `GET` answers `0` or `1`, `PUT` with one of these
//! switches.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use stoop_ci::{Failure, Result};

/// What a relay switches.
pub trait Switch: Send + Sync {
    /// Whether power is on.
    fn is_on(&self) -> bool;

    /// Switches; a switch that is so already stays.
    ///
    /// # Errors
    /// It does not switch.
    fn set(&self, on: bool) -> Result<()>;
}

/// The path of the relay at its address.
pub const PATH: &str = "/relay/1/value";

/// More than any request here has.
const LONGEST: u64 = 8 * 1024;

/// Serves on a free port of 127.0.0.1 as long as the process lives.
///
/// # Errors
/// No port is to be had.
pub fn serve(switch: Arc<dyn Switch>) -> Result<SocketAddr> {
    let io = |error: std::io::Error| Failure::new(format!("no TCP port for a relay: {error}"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let switch = Arc::clone(&switch);
            // Who does not understand the answer asks again.
            std::thread::spawn(move || drop(answer(stream, switch.as_ref())));
        }
    });
    Ok(address)
}

fn answer(mut stream: TcpStream, switch: &dyn Switch) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let (method, path, body) = request(&stream)?;
    let (status, text) = match (method.as_str(), path.as_str(), body.trim()) {
        ("GET", PATH, _) => ("200 OK", if switch.is_on() { "1".to_owned() } else { "0".to_owned() }),
        ("PUT", PATH, "0" | "1") => match switch.set(body.trim() == "1") {
            Ok(()) => ("200 OK", body.trim().to_owned()),
            Err(failure) => ("500 Internal Server Error", failure.to_string()),
        },
        ("PUT", PATH, _) => ("400 Bad Request", "the body is 0 or 1".to_owned()),
        _ => ("404 Not Found", format!("there is {PATH} alone")),
    };
    let length = text.len();
    write!(stream, "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\n")?;
    write!(stream, "Connection: close\r\n\r\n{text}")?;
    stream.flush()
}

/// Method, path and body.
fn request(stream: &TcpStream) -> std::io::Result<(String, String, String)> {
    let mut reader = BufReader::new(stream.take(LONGEST));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    Ok((method, path, body))
}
