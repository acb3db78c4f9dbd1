//! How payloads are stored. `Codec::Store` needs no code here; each decoder is one file and one cargo feature.
//!
//! A decoder takes the stored bytes and the destination, produces at most `destination.len()` bytes, ends on every input,
//! and returns how many bytes it produced.

#[cfg(any(feature = "lz4", feature = "lzma"))]
mod copy;
#[cfg(feature = "lz4")]
pub mod lz4;
#[cfg(feature = "lzma")]
pub mod lzma;
#[cfg(feature = "lzma")]
mod range;

use crate::bootargs::Joined;
#[cfg(not(feature = "lzma"))]
use crate::bootargs::LIMIT;

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

/// The decoders' scratch memory, of no meaning between two calls.
pub struct Tables {
    #[cfg(feature = "lzma")]
    probs: lzma::Probs,
    #[cfg(not(feature = "lzma"))]
    joined: Joined,
}

impl Tables {
    /// This build has a decoder at all.
    pub const ANY: bool = cfg!(any(feature = "lz4", feature = "lzma"));

    /// All zero, so that a static costs no bytes in the image.
    #[allow(clippy::new_without_default, reason = "28 KiB by value: the caller chooses where it lives")]
    pub const fn new() -> Self {
        Tables {
            #[cfg(feature = "lzma")]
            probs: lzma::Probs::new(),
            #[cfg(not(feature = "lzma"))]
            joined: [0; LIMIT + 2],
        }
    }

    /// The same memory for a bootloader's arguments.
    pub fn joined(&mut self) -> &mut Joined {
        #[cfg(feature = "lzma")]
        return self.probs.bytes();
        #[cfg(not(feature = "lzma"))]
        return &mut self.joined;
    }

    /// Decodes `stored` to the front of `out` and gives the number of bytes it made. `None` when this build has
    /// no decoder for `codec`. LZMA calls `feed` for every [`crate::watchdog::EVERY`] bytes or so that come out; LZ4 is done
    /// too soon for any watchdog.
    ///
    /// # Errors
    /// The decoder's: how many bytes had been produced when it noticed the damage.
    #[inline(always)]
    pub fn decode(
        &mut self,
        codec: Codec,
        stored: &[u8],
        out: &mut [u8],
        feed: &impl Fn(),
    ) -> Option<Result<usize, usize>> {
        match codec {
            #[cfg(feature = "lzma")]
            Codec::Lzma => Some(lzma::decode(stored, out, &mut self.probs, feed)),
            #[cfg(feature = "lz4")]
            Codec::Lz4 => Some(lz4::decode(stored, out)),
            _ => {
                let _ = (stored, out, feed);
                None
            }
        }
    }
}
