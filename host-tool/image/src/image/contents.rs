//! What an opened image holds, as the board gets it, and the memory that its kernel and device tree take by themselves.

use std::borrow::Cow;

use stoop_core::Region;
use stoop_core::codec::{Codec, Tables};
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{Kind, Manifest};

use super::Opened;
use super::mips::UNKNOWN_BSS;
use crate::format::codec::most_decoded;
use crate::format::device_tree::Facts;
use crate::input;
use crate::layout::RegionKind;
use crate::{ErrorCode, Failure, Result};

/// Compressed kernels larger than this are not decoded only to see whether they are a vmlinuz, which hardly shrinks again.
const LARGEST_LOOKED_INTO: usize = 0x100_0000;

impl Opened<'_> {
    /// The bytes of a payload as the board gets them; none for a payload that is not there.
    ///
    /// # Errors
    /// Its stored bytes are not in the file, or do not decode to the size that the manifest says.
    pub fn payload(&self, manifest: &Manifest, kind: Kind) -> Result<Cow<'_, [u8]>> {
        let payload = manifest.payload(kind);
        if payload.source.is_empty() {
            return Ok(Cow::Borrowed(&[]));
        }
        let damaged = || {
            Failure::new(ErrorCode::ImageDamaged, format!("its {} is damaged", kind.subject().text()))
                .next("pack or download it again")
        };
        let stored = self.bytes(payload.source).ok_or_else(damaged)?;
        if payload.codec == Codec::Store {
            return Ok(Cow::Borrowed(stored));
        }
        let size = payload.destination.size();
        if size as u64 > most_decoded(stored.len()) {
            return Err(damaged());
        }
        let (mut bytes, mut tables) = (vec![0; size], Box::new(Tables::new()));
        match tables.decode(payload.codec, stored, &mut bytes, &|| ()) {
            Some(Ok(made)) if made == size => Ok(Cow::Owned(bytes)),
            _ => Err(damaged()),
        }
    }

    /// Physical memory that pack kept free though no payload goes there: what the packed device tree reserves at fixed places, and where
    /// a vmlinuz unpacks its kernel. Parts that are damaged take none.
    pub fn claims(&self) -> Vec<(RegionKind, Region)> {
        let Ok(manifest) = self.manifest(&Crc32::new()) else { return Vec::new() };
        let reserved = self.reserved(&manifest).into_iter().map(|region| (RegionKind::Reserved, region));
        let unpacked = self.unpacked(&manifest).map(|region| (RegionKind::Decompressed, region));
        reserved.chain(unpacked).filter(|(_, region)| !region.is_empty()).collect()
    }

    fn reserved(&self, manifest: &Manifest) -> Vec<Region> {
        let tree = self.payload(manifest, Kind::Dtb).ok().filter(|tree| !tree.is_empty());
        let facts = tree.and_then(|tree| Facts::of(&tree).ok()).unwrap_or_default();
        facts.reserved.iter().filter_map(|(_, range)| crate::plan::region(range).ok()).collect()
    }

    fn unpacked(&self, manifest: &Manifest) -> Option<Region> {
        let kernel = manifest.payload(Kind::Kernel);
        let is_small = kernel.codec == Codec::Store || kernel.destination.size() <= LARGEST_LOOKED_INTO;
        let bytes = self.payload(manifest, Kind::Kernel).ok().filter(|_| is_small && self.machine.is_mips())?;
        let (load, entry) = (kernel.place.start() as u64, manifest.entry_point() as u64);
        let (region, exact) = input::unpacked(&bytes, load, entry, self.note.big_endian)?;
        let slack = if exact { 0 } else { UNKNOWN_BSS as u64 };
        crate::plan::region(&(region.start..region.end + slack)).ok()
    }
}
