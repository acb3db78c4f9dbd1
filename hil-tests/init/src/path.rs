//! Paths put together from pieces, on the stack.

use core::ffi::CStr;

/// A path of at most 255 bytes.
pub struct Path {
    bytes: [u8; 256],
    len: usize,
}

impl Path {
    /// The pieces one after the other; what does not fit is left out, and the path then opens nothing.
    pub fn of(pieces: &[&[u8]]) -> Path {
        let mut path = Path { bytes: [0; 256], len: 0 };
        for &byte in pieces.iter().flat_map(|piece| piece.iter()) {
            if path.len < 255 {
                path.bytes[path.len] = byte;
                path.len += 1;
            }
        }
        path
    }

    /// Every `from` becomes `to`.
    pub fn replace(&mut self, from: u8, to: u8) {
        for byte in self.bytes.iter_mut().filter(|byte| **byte == from) {
            *byte = to;
        }
    }

    /// For a system call.
    pub fn as_c(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or(c"")
    }
}

/// Decimal digits of a number.
pub struct Decimal {
    bytes: [u8; 10],
    from: usize,
}

impl Decimal {
    /// Of `value`, without leading zeros.
    pub fn of(mut value: u32) -> Decimal {
        let mut decimal = Decimal { bytes: [b'0'; 10], from: 10 };
        loop {
            decimal.from -= 1;
            decimal.bytes[decimal.from] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return decimal;
            }
        }
    }

    /// As ASCII.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.from..]
    }
}
