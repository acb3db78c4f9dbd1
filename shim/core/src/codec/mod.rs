//! How payloads are stored. `Codec::Store` needs no code here; each decoder is one file.
//!
//! A decoder takes the stored bytes and the destination, produces at most `destination.len()` bytes, ends on every input,
//! and returns how many bytes it produced.

pub mod lz4;
pub mod lzma;
mod range;

/// How a payload is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Codec {
    /// As it is.
    Store = 0,
    /// One raw LZ4 block.
    Lz4 = 1,
    /// LZMA "alone": 13 bytes of header, then the stream.
    Lzma = 2,
}

impl Codec {
    /// `None` for a byte that no version of the manifest defines.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Codec::Store,
            1 => Codec::Lz4,
            2 => Codec::Lzma,
            _ => return None,
        })
    }
}
