//! CRC-32 of many megabytes.

/// CRC-32 by the crate's largest table.
static CRC: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISO_HDLC);

/// A [`checksum`] of bytes that come one piece after the other.
pub struct Checksum(crc::Digest<'static, u32, crc::Table<16>>);

impl Checksum {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Checksum(CRC.digest())
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

impl Default for Checksum {
    fn default() -> Self {
        Checksum::new()
    }
}

/// CRC-32 as the shim's, from the crate's largest table: images have many megabytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    CRC.checksum(bytes)
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
