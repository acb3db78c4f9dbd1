//! TFTP's packets on the wire: RFC 1350, with options by RFC 2347.

use super::options::{Asked, Granted};

/// What a client may ask to be done with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// RRQ.
    Read,
    /// WRQ.
    Write,
}

/// What came from a client.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Packet {
    /// A request for a file; its texts as they came, invalid UTF-8 replaced.
    Request {
        /// Read or write.
        access: Access,
        /// The file's name.
        name: String,
        /// `octet` is the only one served; compared without regard to case.
        mode: String,
        /// The options that are known here.
        asked: Asked,
    },
    /// A block arrived, and all before it.
    Acknowledged(u16),
    /// The client gives up.
    Error {
        /// RFC 1350 appendix I.
        code: u16,
        /// For people.
        text: String,
    },
}

/// Error codes of RFC 1350 (appendix I) and RFC 2347.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// See the message.
    Other = 0,
    /// There is no such file.
    NotFound = 1,
    /// The file may not be had that way.
    Forbidden = 2,
    /// A packet that makes no sense.
    Illegal = 4,
}

const READ: u16 = 1;
const WRITE: u16 = 2;
const DATA: u16 = 3;
const ACKNOWLEDGED: u16 = 4;
const ERROR: u16 = 5;
const OPTIONS: u16 = 6;

impl Packet {
    /// Reads a datagram; `None` when it is none that a client sends to a read-only server.
    pub fn read(bytes: &[u8]) -> Option<Packet> {
        let (operation, rest) = number(bytes)?;
        match operation {
            READ => request(Access::Read, rest),
            WRITE => request(Access::Write, rest),
            ACKNOWLEDGED => number(rest).map(|(block, _)| Packet::Acknowledged(block)),
            ERROR => {
                let (code, rest) = number(rest)?;
                // The end is often missing, and the text is for people.
                let text = rest.split(|byte| *byte == 0).next().unwrap_or_default();
                Some(Packet::Error { code, text: lossy(text) })
            }
            _ => None,
        }
    }
}

fn request(access: Access, bytes: &[u8]) -> Option<Packet> {
    // What does not end with a zero was cut.
    let mut texts = bytes.strip_suffix(&[0])?.split(|byte| *byte == 0);
    let (name, mode) = (lossy(texts.next()?), lossy(texts.next()?));
    let mut asked = Asked::default();
    while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
        asked.take(&lossy(name), &lossy(value));
    }
    Some(Packet::Request { access, name, mode, asked })
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn number(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (first, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*first), rest))
}

/// Puts a block of the file into `out`.
pub fn data(block: u16, bytes: &[u8], out: &mut Vec<u8>) {
    begin(DATA, out);
    out.extend(block.to_be_bytes());
    out.extend(bytes);
}

/// Puts an error into `out`.
pub fn error(code: Code, text: &str, out: &mut Vec<u8>) {
    begin(ERROR, out);
    out.extend((code as u16).to_be_bytes());
    out.extend(text.bytes());
    out.push(0);
}

/// Puts the granted options into `out`.
pub fn options(granted: &Granted, out: &mut Vec<u8>) {
    begin(OPTIONS, out);
    for (name, value) in granted.words() {
        out.extend(name.bytes());
        out.push(0);
        out.extend(value.to_string().bytes());
        out.push(0);
    }
}

fn begin(operation: u16, out: &mut Vec<u8>) {
    out.clear();
    out.extend(operation.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::{Access, Asked, Packet};

    #[test]
    fn a_request_is_read_with_its_options_in_any_case() {
        let bytes =
            b"\0\x01image.bin\0OCTET\0BlkSize\x001468\0tsize\x000\0timeout\x005\0windowsize\x0016\0utimeout\x001\0";
        let asked = Asked { block_size: Some(1468), timeout: Some(5), size: true, window: Some(16) };
        let (name, mode) = ("image.bin".into(), "OCTET".into());
        assert_eq!(Packet::read(bytes), Some(Packet::Request { access: Access::Read, name, mode, asked }));
    }

    #[test]
    fn what_no_client_sends_is_nothing() {
        for bytes in [
            &b""[..],
            b"\0",
            b"\0\x01",
            b"\0\x01name\0",
            b"\0\x01name\0octet",
            b"\0\x04\0",
            b"\0\x03\0\x01data",
            b"\x01\0a\0octet\0",
        ] {
            assert_eq!(Packet::read(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn a_client_may_leave_out_the_end_of_its_error() {
        let error = Packet::Error { code: 3, text: "Disk full".into() };
        assert_eq!(Packet::read(b"\0\x05\0\x03Disk full"), Some(error.clone()));
        assert_eq!(Packet::read(b"\0\x05\0\x03Disk full\0"), Some(error));
    }
}
