//! CRC-32 of many megabytes.

/// CRC-32 as the shim's, from the crate's largest table: images have many megabytes.
pub fn checksum(bytes: &[u8]) -> u32 {
    const CRC: crc::Crc<u32, crc::Table<16>> = crc::Crc::<u32, crc::Table<16>>::new(&crc::CRC_32_ISO_HDLC);
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
