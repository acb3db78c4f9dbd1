//! What params and manifest have in common: words in the byte order of the machine that reads them. The first is a magic
//! number, the second the version (16 bits) and the length in bytes (16 bits), the last the CRC-32 of all before it.

use crate::bytes::words;
use crate::crc32::Crc32;
use crate::{Code, Error, Result, Subject};

/// Reads the block at the front of `bytes` into `fields`, as many as there are, and checks magic number and CRC-32. `at` is its address.
///
/// # Errors
/// About the manifest: [`Code::NoManifest`], [`Code::Foreign`] for the other byte order, [`Code::ManifestCrc`].
#[inline(never)]
pub(crate) fn read(
    fields: &mut [u32],
    bytes: &[u8],
    at: usize,
    magic: u32,
    big_endian: bool,
    crc: &Crc32,
) -> Result<()> {
    let mut fault = (Code::NoManifest, at);
    // A short block has fewer words than the longest one.
    let there = fields.len().min(bytes.len() / 4);
    if let Some(fields) = fields.get_mut(..there)
        && words(fields, bytes, big_endian).is_some()
        && let [first, version_length, second, ..] = *fields
    {
        if first == magic.swap_bytes() {
            fault = (Code::Foreign, second as usize);
        }
        let length = version_length as usize & 0xffff;
        if first == magic
            && let Some((block, sum)) = bytes.split_at_checked(length.wrapping_sub(4))
        {
            let (computed, mut stored) = (crc.of(block), [0]);
            if words(&mut stored, sum, big_endian).is_some() && stored == [computed] {
                return Ok(());
            }
            fault = (Code::ManifestCrc, computed as usize);
        }
    }
    Err(Error::new(fault.0, Subject::Manifest, fault.1))
}
