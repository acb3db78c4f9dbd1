//! The list of memory that pack kept free although no payload goes there, such as what the device tree reserves and where the file
//! itself is fetched to. It cannot be told from the rest of an image, so it is written down for host tools; the shim never reads it.
//!
//! Words in the byte order of the machine: magic `STPR`; version (16 bits), length in bytes with its CRC (16 bits); for each region its
//! kind, start and size; CRC-32 of all before it. An entry of kind 0 is not used.

use stoop_core::Region;
use stoop_core::bytes::{put, words};
use stoop_core::crc32::Crc32;

use crate::layout::{NamedRegion, RegionKind};
use crate::plan::Plan;

/// `STPR`.
const MAGIC: u32 = 0x5354_5052;
const VERSION: u32 = 1;
/// What a region is, by number; the first is 1.
const KINDS: [RegionKind; 5] =
    [RegionKind::Reserved, RegionKind::Decompressed, RegionKind::Relocation, RegionKind::Ramoops, RegionKind::Download];
/// The most entries; no real device tree reserves as much.
const MOST: usize = 256;

fn length(entries: usize) -> usize {
    (3 + 3 * entries) * 4
}

/// Entries for a plan: known before it is laid out, so some may stay unused.
fn entries(plan: &Plan) -> usize {
    let [decompressed, relocation, ramoops, download] = [1; 4];
    let reserved = plan.facts.reserved.len() + plan.facts.dynamic.len();
    (reserved + decompressed + relocation + ramoops + download).min(MOST)
}

/// Bytes of the list.
pub(super) fn size(plan: &Plan) -> usize {
    length(entries(plan))
}

/// The list's bytes, from everything that was laid out.
pub(super) fn encode(plan: &Plan, regions: &[NamedRegion], crc: &Crc32) -> Vec<u8> {
    let kind = |what: RegionKind| KINDS.iter().position(|kind| *kind == what);
    let listed =
        regions.iter().filter_map(|named| Some([kind(named.what)? + 1, named.region.start(), named.region.size()]));
    let size = size(plan);
    let mut fields = vec![MAGIC, VERSION << 16 | size as u32];
    fields.extend(listed.take(entries(plan)).flatten().map(|number| number as u32));
    let mut bytes = vec![0; size];
    let big_endian = plan.arch().is_big_endian();
    for (field, word) in bytes.chunks_exact_mut(4).zip(fields) {
        put(field, word, big_endian);
    }
    let (block, sum) = bytes.split_at_mut(size - 4);
    put(sum, crc.of(block), big_endian);
    bytes
}

/// Reads the list at the front of `bytes`; `None` when there is none or it is damaged.
pub(super) fn decode(bytes: &[u8], big_endian: bool, crc: &Crc32) -> Option<Vec<(RegionKind, Region)>> {
    let mut header = [0; 2];
    words(&mut header, bytes, big_endian)?;
    let size = (header[1] & 0xffff) as usize;
    let whole = header == [MAGIC, VERSION << 16 | size as u32] && size >= length(0) && size.is_multiple_of(4);
    let block = bytes.get(..size).filter(|_| whole)?;
    let mut fields = vec![0; size / 4];
    words(&mut fields, block, big_endian)?;
    let (sum, fields) = fields.split_last()?;
    if *sum != crc.of(&block[..size - 4]) {
        return None;
    }
    let region = |entry: &[u32]| {
        let kind = KINDS.get((entry[0] as usize).checked_sub(1)?)?;
        Some((*kind, Region::new(entry[1] as usize, entry[2] as usize)?))
    };
    Some(fields[2..].chunks_exact(3).filter_map(region).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_is_damaged_or_cut_is_none() {
        let crc = Crc32::new();
        let mut bytes: Vec<u8> =
            [MAGIC, VERSION << 16 | 36, 3, 0x100_0000, 0x1000, 0, 0, 0].map(u32::to_be_bytes).concat();
        bytes.extend(crc.of(&bytes).to_be_bytes());
        let expected = vec![(RegionKind::Relocation, Region::new(0x100_0000, 0x1000).unwrap())];
        assert_eq!(decode(&bytes, true, &crc), Some(expected));
        assert_eq!(decode(&bytes, false, &crc), None);
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut], true, &crc), None, "{cut}");
        }
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&damaged, true, &crc), None, "bit {bit}");
        }
    }
}
