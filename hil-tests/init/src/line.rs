//! The lines that init prints, so that a console full of kernel messages can still be read by a program.
//!
//! ```text
//! @stoop 0007 5f3a9c01 cmdline +console=ttyS0,115200 ro
//! ```
//!
//! is the marker, the line's number and a CRC-32 in hex, a key, and a part of its value: `+` says that the next line goes on
//! with the same value, `=` that this part is its last. Bytes outside 0x20..=0x7e and the backslash are written `\xNN`.
//! The CRC is of the number as four big-endian bytes and of what stands behind the CRC, from the key on. The last line has
//! the key `end` and, in hex, the number of lines before it.

use crc::{CRC_32_ISO_HDLC, Crc, Table};

/// The CRC-32 of zlib, for lines and for files alike.
pub static CRC32: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

/// What every line begins with.
pub const MARKER: &[u8] = b"@stoop ";

/// How many characters of a value one line carries; a byte can take up to four.
pub const VALUE: usize = 160;

const HEAD: usize = MARKER.len() + 4 + 1 + 8 + 1;
const KEY: usize = 64;
const LINE: usize = HEAD + KEY + 2 + VALUE + 1;

/// Writes values as lines, each handed whole to `put`.
pub struct Lines<P: FnMut(&[u8])> {
    put: P,
    number: u32,
    line: [u8; LINE],
    len: usize,
    key_end: usize,
    mark: usize,
}

impl<P: FnMut(&[u8])> Lines<P> {
    /// Starts at line 0.
    pub fn new(put: P) -> Self {
        Lines { put, number: 0, line: [0; LINE], len: 0, key_end: 0, mark: 0 }
    }

    /// Begins the value of `key`, which is made of `parts` and cut at 64 characters; a blank in it becomes `_`.
    pub fn begin(&mut self, parts: &[&[u8]]) {
        self.len = HEAD;
        for &byte in parts.iter().flat_map(|part| part.iter()).take(KEY) {
            self.push(if (0x21..=0x7e).contains(&byte) { byte } else { b'_' });
        }
        self.push(b' ');
        self.mark = self.len;
        self.push(b'=');
        self.key_end = self.len;
    }

    /// Adds bytes to the value.
    pub fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let plain = (0x20..=0x7e).contains(&byte) && byte != b'\\';
            let size = if plain { 1 } else { 4 };
            if self.len + size > self.key_end + VALUE {
                self.flush(b'+');
            }
            if plain {
                self.push(byte);
            } else {
                self.push(b'\\');
                self.push(b'x');
                self.hex(byte.into(), 2);
            }
        }
    }

    /// Adds a number in lower-case hex without a prefix, at least one digit.
    pub fn add_hex(&mut self, value: u32) {
        let digits = (32 - value.leading_zeros()).div_ceil(4).max(1);
        for place in (0..digits).rev() {
            self.add(&[digit(value >> (place * 4))]);
        }
    }

    /// Ends the value.
    pub fn end(&mut self) {
        self.flush(b'=');
    }

    /// A whole value in one go.
    pub fn value(&mut self, key: &[u8], value: &[u8]) {
        self.begin(&[key]);
        self.add(value);
        self.end();
    }

    /// The last line: how many came before it.
    pub fn finish(&mut self) {
        let before = self.number;
        self.begin(&[b"end"]);
        self.add_hex(before);
        self.end();
    }

    fn flush(&mut self, mark: u8) {
        let end = self.len;
        if let Some(place) = self.line.get_mut(self.mark) {
            *place = mark;
        }
        let mut crc = CRC32.digest();
        crc.update(&self.number.to_be_bytes());
        crc.update(self.line.get(HEAD..end).unwrap_or(&[]));
        let crc = crc.finalize();
        self.len = 0;
        for &byte in MARKER {
            self.push(byte);
        }
        self.hex(self.number, 4);
        self.push(b' ');
        self.hex(crc, 8);
        self.push(b' ');
        self.len = end;
        self.push(b'\n');
        (self.put)(self.line.get(..self.len).unwrap_or(&[]));
        self.number = self.number.wrapping_add(1);
        self.len = self.key_end;
    }

    fn hex(&mut self, value: u32, digits: u32) {
        for place in (0..digits).rev() {
            self.push(digit(value >> (place * 4)));
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.line.get_mut(self.len) {
            *place = byte;
            self.len += 1;
        }
    }
}

/// The lower-case hex digit of the low four bits.
fn digit(value: u32) -> u8 {
    let value = (value & 15) as u8;
    if value < 10 { b'0' + value } else { b'a' + value - 10 }
}
