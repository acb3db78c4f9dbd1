//! CRC-32 of many megabytes.

/// A [`checksum`] of bytes that come one piece after the other.
#[derive(Default)]
pub struct Checksum(crc32fast::Hasher);

impl Checksum {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Checksum::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all that came.
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}

/// CRC-32 as the shim's, by the processor's own instructions where it has them: images have many megabytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fast_checksum_is_the_shims() {
        let bytes: Vec<u8> = (0..1000u32).map(|number| (number * 7) as u8).collect();
        for length in [0, 1, 15, 16, 17, 1000] {
            assert_eq!(checksum(&bytes[..length]), stoop_core::crc32::Crc32::new().of(&bytes[..length]));
        }
    }
}
