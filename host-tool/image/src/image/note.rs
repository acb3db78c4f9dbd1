//! The note behind the manifest: what host tools need to know of an image that the shim does not, so that `inspect` and
//! `simulate` understand an image without knowing how it was packed.
//!
//! 32-bit words in the byte order of the machine: magic `STPN`; version (16 bits), length in bytes with its CRC (16
//! bits); run region: start, size; load address; offset of the manifest in the image;
//! which shim it is: 0 store, 1 full, 2 trace; CRC-32 of all before it.

use stoop_core::Region;
use stoop_core::bytes::{put, words};
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{self, Listing};

use super::kept;
use crate::layout::NamedRegion;
use crate::plan::Plan;
use crate::shim_image::Variant;

/// `STPN`.
const MAGIC: u32 = 0x5354_504e;
const VERSION: u32 = 3;
const WORDS: usize = 8;
/// Bytes of every note.
pub(super) const SIZE: usize = WORDS * 4;

/// What it says; addresses are physical.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Note {
    /// Byte order of the machine.
    pub big_endian: bool,
    /// RAM that the running shim owns.
    pub run: Region,
    /// Where the image was laid out for.
    pub load: usize,
    /// Where the manifest lies, from the image's first byte.
    pub manifest: usize,
    /// What the shim decodes.
    pub variant: Variant,
}

impl Note {
    /// Its bytes.
    pub(super) fn encode(&self, crc: &Crc32) -> [u8; SIZE] {
        let header = VERSION << 16 | SIZE as u32;
        let numbers = [self.run.start(), self.run.size(), self.load, self.manifest, self.variant as usize];
        let fields = [MAGIC, header].into_iter().chain(numbers.map(|number| number as u32));
        let mut bytes = [0; SIZE];
        for (field, word) in bytes.chunks_exact_mut(4).zip(fields) {
            put(field, word, self.big_endian);
        }
        let (block, sum) = bytes.split_at_mut(SIZE - 4);
        put(sum, crc.of(block), self.big_endian);
        bytes
    }

    /// Reads the note at the front of `bytes`; `None` when there is none or it is damaged.
    pub(super) fn decode(bytes: &[u8], big_endian: bool, crc: &Crc32) -> Option<Note> {
        let mut fields = [0; WORDS];
        words(&mut fields, bytes, big_endian)?;
        let [magic, header, start, size, load, manifest, variant, sum] = fields;
        let good = magic == MAGIC && header == VERSION << 16 | SIZE as u32 && sum == crc.of(bytes.get(..SIZE - 4)?);
        let run = Region::new(start as usize, size as usize).filter(|_| good)?;
        let variant = Variant::ALL.into_iter().find(|known| *known as u32 == variant)?;
        let (load, manifest) = (load as usize, manifest as usize);
        Some(Note { big_endian, run, load, manifest, variant })
    }

    /// The first note in an image's first bytes, at a multiple of four.
    pub(super) fn find(image: &[u8], big_endian: bool, crc: &Crc32) -> Option<Note> {
        let magic = if big_endian { MAGIC.to_be_bytes() } else { MAGIC.to_le_bytes() };
        let within = image.len().min(SEARCHED);
        let places = (0..within.saturating_sub(SIZE - 1)).step_by(4).filter(|at| image[*at..].starts_with(&magic));
        places.filter_map(|at| Note::decode(&image[at..], big_endian, crc)).next()
    }
}

/// `STPF`.
const FLASH_MAGIC: u32 = 0x5354_5046;
const FLASH_WORDS: usize = 8;
/// Bytes of every flash note.
pub(super) const FLASH_SIZE: usize = FLASH_WORDS * 4;

/// The note behind a slot's manifest: where in flash the extents of the file belong. Words in the byte order of the machine:
/// magic `STPF`; version, length; the slot's name; address and size of its extent; address and size of the root filesystem's,
/// zeros for none; CRC-32 of all before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FlashNote {
    /// One ASCII character.
    pub slot: u8,
    /// Physical address of the manifest, with which the slot's extent begins.
    pub at: usize,
    /// Bytes of that extent, in the file as in flash.
    pub size: usize,
    /// Physical; the extent behind it in the file. Empty when there is none.
    pub rootfs: Region,
}

impl FlashNote {
    /// Its bytes.
    pub(super) fn encode(&self, big_endian: bool, crc: &Crc32) -> [u8; FLASH_SIZE] {
        let header = VERSION << 16 | FLASH_SIZE as u32;
        let numbers = [usize::from(self.slot), self.at, self.size, self.rootfs.start(), self.rootfs.size()];
        let fields = [FLASH_MAGIC, header].into_iter().chain(numbers.map(|number| number as u32));
        let mut bytes = [0; FLASH_SIZE];
        for (field, word) in bytes.chunks_exact_mut(4).zip(fields) {
            put(field, word, big_endian);
        }
        let (block, sum) = bytes.split_at_mut(FLASH_SIZE - 4);
        put(sum, crc.of(block), big_endian);
        bytes
    }

    /// Reads the note at the front of `bytes`; `None` when there is none or it is damaged.
    pub(super) fn decode(bytes: &[u8], big_endian: bool, crc: &Crc32) -> Option<FlashNote> {
        let mut fields = [0; FLASH_WORDS];
        words(&mut fields, bytes, big_endian)?;
        let [magic, header, slot, at, size, start, length, sum] = fields;
        let good = magic == FLASH_MAGIC && header == VERSION << 16 | FLASH_SIZE as u32;
        let good = good && sum == crc.of(bytes.get(..FLASH_SIZE - 4)?);
        let rootfs = Region::new(start as usize, length as usize).filter(|_| good)?;
        Some(FlashNote { slot: slot as u8, at: at as usize, size: size as usize, rootfs })
    }
}

/// In front of the name of the board that an image was packed for: 32 bytes, zeros behind it, and the CRC-32 of both, in the same
/// byte order for every machine. It lies behind the note, at a multiple of four.
const BOARD_MAGIC: &[u8; 4] = b"STPB";
const NAME: usize = 32;
/// Bytes of it all.
pub(super) const BOARD_SIZE: usize = 4 + NAME + 4;

/// The bytes for a board.
pub(super) fn board(name: &str, crc: &Crc32) -> [u8; BOARD_SIZE] {
    let mut bytes = [0; BOARD_SIZE];
    bytes[..4].copy_from_slice(BOARD_MAGIC);
    bytes[4..4 + NAME].iter_mut().zip(name.bytes()).for_each(|(to, byte)| *to = byte);
    let sum = crc.of(&bytes[..4 + NAME]).to_be_bytes();
    bytes[4 + NAME..].copy_from_slice(&sum);
    bytes
}

/// The board's name in an image's first bytes.
pub(super) fn find_board<'a>(image: &'a [u8], crc: &Crc32) -> Option<&'a str> {
    let places = (0..image.len().min(SEARCHED)).step_by(4);
    let found = places.filter_map(|at| image.get(at..at + BOARD_SIZE).filter(|bytes| bytes.starts_with(BOARD_MAGIC)));
    let mut good = found.filter(|bytes| bytes[4 + NAME..] == crc.of(&bytes[..4 + NAME]).to_be_bytes());
    let name = good.next()?[4..4 + NAME].split(|byte| *byte == 0).next()?;
    std::str::from_utf8(name).ok().filter(|name| !name.is_empty())
}

/// A shim with params and manifest is smaller than this.
const SEARCHED: usize = 0x2_0000;

/// From the manifest of an image that is copied to RAM as a whole to the list of what pack kept free.
pub(super) const KEPT_AT: usize = manifest::SIZE + SIZE + BOARD_SIZE;

/// The same in a slot.
pub(super) const KEPT_IN_SLOT: usize = manifest::SIZE + FLASH_SIZE;

/// Bytes of [`blocks`].
pub(super) fn blocks_size(plan: &Plan) -> usize {
    KEPT_AT + kept::size(plan)
}

/// The manifest with the trailers behind it.
pub(super) fn blocks(plan: &Plan, note: &Note, listing: &Listing, regions: &[NamedRegion], crc: &Crc32) -> Vec<u8> {
    let mut bytes = listing.encode(crc).to_vec();
    bytes.extend_from_slice(&note.encode(crc));
    bytes.extend_from_slice(&board(&plan.board.name, crc));
    bytes.extend(kept::encode(plan, regions, crc));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boards_name_is_found_again_and_a_damaged_one_is_not() {
        let crc = Crc32::new();
        let mut image = vec![0; 64];
        image.extend(board("mi-router-4a-gigabit", &crc));
        assert_eq!(find_board(&image, &crc), Some("mi-router-4a-gigabit"));
        for bit in 0..BOARD_SIZE * 8 {
            let mut damaged = image.clone();
            damaged[64 + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(find_board(&damaged, &crc), None, "bit {bit}");
        }
        assert_eq!(find_board(&image[..image.len() - 1], &crc), None);
        let long = "a".repeat(NAME + 1);
        assert_eq!(find_board(&board(&long, &crc), &crc), Some(&long[1..]), "cut");
    }

    #[test]
    fn a_note_is_found_again_and_a_damaged_one_is_not() {
        let crc = Crc32::new();
        for big_endian in [true, false] {
            let run = Region::new(0x120_0000, 0x8000).unwrap();
            let variant = Variant::Full;
            let note = Note { big_endian, run, load: 0x200_0000, manifest: 0x1800, variant };
            let mut image = vec![0; 64];
            image.extend(note.encode(&crc));
            assert_eq!(Note::find(&image, big_endian, &crc), Some(note));
            assert_eq!(Note::find(&image, !big_endian, &crc), None);
            assert_eq!(Note::find(&image[..image.len() - 1], big_endian, &crc), None);
            for bit in 0..SIZE * 8 {
                let mut damaged = image.clone();
                damaged[64 + bit / 8] ^= 1 << (bit % 8);
                assert_eq!(Note::find(&damaged, big_endian, &crc), None, "bit {bit}");
            }
        }
    }
}
