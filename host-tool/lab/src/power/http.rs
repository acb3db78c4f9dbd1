//! One HTTP request to a small server, without TLS: relays in a lab's own network have none.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

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
    let answer = whole(&mut stream)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The answer to its end: of the connection, or of as many bytes as it says, since some leave the connection open.
fn whole(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let (mut answer, mut buffer, end) = (Vec::new(), [0; 4096], Instant::now() + PATIENCE);
    while (answer.len() as u64) < LONGEST && !is_whole(&answer) {
        // For all of it, not for each byte.
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(_) if Instant::now() >= end => return Err(ErrorKind::TimedOut.into()),
            Ok(count) => answer.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // So a timeout is called on Linux.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(ErrorKind::TimedOut.into()),
            // Some close so fast that the end is a reset.
            Err(error) if error.kind() == ErrorKind::ConnectionReset && !answer.is_empty() => break,
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// By its own words (RFC 9112, section 6.3): as many bytes as it says, or none behind the status 204.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|end| end == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]);
    let mut lengths = text.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let is_empty = text.lines().next().is_some_and(|status| status.split(' ').nth(1) == Some("204"));
    let size = if is_empty { Some(0) } else { lengths.next_back() };
    size.is_some_and(|size| answer.len() - (head + 4) >= size)
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
    use super::{base64, is_whole, quoted};

    #[test]
    fn an_answer_is_whole_when_it_has_what_it_promises() {
        for (answer, whole) in [
            ("", false),
            ("HTTP/1.1 204 No Content\r\n", false),
            ("HTTP/1.1 204 No Content\r\n\r\n", true),
            ("HTTP/1.1 200 OK\r\n\r\n1", false),
            ("HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\n\r\n1", false),
            ("HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\n\r\n1\n", true),
        ] {
            assert_eq!(is_whole(answer.as_bytes()), whole, "{answer:?}");
        }
    }

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
