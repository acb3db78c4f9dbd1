//! One HTTP request to a small server, without TLS: relays in a lab's own network have none.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::Error;
use crate::connection::Endpoint;

/// How long each step of a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is read of an answer at most.
const LONGEST: u64 = 64 * 1024;

/// Sends a request; gives the body of the answer to one that was granted (2xx).
///
/// `extra` is further header lines, each with its end.
pub fn request(at: &Endpoint, method: &str, path: &str, extra: &str, body: &str) -> Result<String, Error> {
    let answer = exchange(at, method, path, extra, body)
        .map_err(|source| Error::Unreachable { server: at.to_string(), source })?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    let granted = status.starts_with("HTTP/") && status.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
    if granted {
        return Ok(body.to_owned());
    }
    let begin: String = body.trim().chars().take(200).collect();
    Err(Error::Refused { server: at.to_string(), answer: format!("{status} {begin}").trim().to_owned() })
}

fn exchange(at: &Endpoint, method: &str, path: &str, extra: &str, body: &str) -> io::Result<String> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
    for address in (at.host.as_str(), at.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(stream) => return talk(stream, at, &format!("{method} {path} HTTP/1.0\r\n"), extra, body),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// HTTP/1.0, so that the answer ends with the connection and comes in one piece.
fn talk(mut stream: TcpStream, at: &Endpoint, first: &str, extra: &str, body: &str) -> io::Result<String> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    stream.write_all(format!("{first}Host: {at}\r\nConnection: close\r\n{length}{extra}\r\n{body}").as_bytes())?;
    let mut answer = Vec::new();
    match stream.take(LONGEST).read_to_end(&mut answer) {
        // Some close so fast that the end is a reset.
        Err(error) if answer.is_empty() || error.kind() != ErrorKind::ConnectionReset => return Err(error),
        _ => {}
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// A text as a part of a URL (RFC 3986, 2.1).
pub fn quoted(text: &str) -> String {
    let quote = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(quote).collect()
}

/// `Authorization: Basic` with its end of line.
pub fn basic((user, password): &(String, String)) -> String {
    format!("Authorization: Basic {}\r\n", base64(format!("{user}:{password}").as_bytes()))
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |part: &[u8]| {
        let bits = part.iter().chain(&[0, 0]).take(3).fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        let letter = |number: usize| char::from(LETTERS[bits >> (18 - 6 * number) & 63]);
        (0..4).map(|number| if number <= part.len() { letter(number) } else { '=' }).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::{base64, quoted};

    #[test]
    fn base64_is_that_of_the_rfcs_examples() {
        for (text, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }

    #[test]
    fn what_a_url_may_not_hold_is_quoted() {
        assert_eq!(quoted("Power1 On&a=ö~"), "Power1%20On%26a%3D%C3%B6~");
    }
}
