//! What a vendor's firmware file or a copy of a flash is made of. Containers around it are many and few have a specification: the pieces
//! are found by themselves, by headers that cannot be there by chance.

use super::container::CONTAINERS;
use super::likeness::{looks_like, recognised};
use crate::format::bytes::{be32, le32};
use crate::format::{device_tree, uimage};

/// A piece of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece<'a> {
    /// Where it begins, in bytes from the start of the file.
    pub start: usize,
    /// What it is, in a few words; `unknown data` when nothing tells.
    pub what: &'static str,
    /// A name for a file of its bytes, the same for all pieces of its kind.
    pub name: &'static str,
    /// Its bytes, without the padding behind them.
    pub bytes: &'a [u8],
    /// Its header tells its size.
    is_sure: bool,
}

/// The pieces of a file that is nothing else: of a vendor's container or without any known header. `None` when no piece is sure.
pub fn pieces(file: &[u8]) -> Option<Vec<Piece<'_>>> {
    if recognised(file).is_some_and(|what| !CONTAINERS.contains(&what) && !what.starts_with("erased flash")) {
        return None;
    }
    let pieces = behind(file, 0);
    pieces.iter().any(|piece| piece.is_sure).then_some(pieces)
}

/// More pieces than any firmware has: what follows is told as one.
const MOST: usize = 64;

/// The pieces of a file from a place on; the 65th is all that is left.
pub fn behind(file: &[u8], start: usize) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut at = start;
    loop {
        at += file.get(at..).unwrap_or_default().iter().take_while(|byte| is_padding(**byte)).count();
        let Some(rest) = file.get(at..).filter(|rest| !rest.is_empty()) else { return pieces };
        let known = if pieces.len() < MOST { sure(rest) } else { Some(("unknown data", "data", rest.len())) };
        let (what, name, size) = known.unwrap_or_else(|| {
            let end = (1..rest.len()).find(|end| sure(&rest[*end..]).is_some()).unwrap_or(rest.len());
            (looks_like(rest), "data", end)
        });
        let is_sure = name != "data";
        let bytes = if is_sure { &rest[..size] } else { without_padding(&rest[..size]) };
        pieces.push(Piece { start: at, what, name, bytes, is_sure });
        at += size;
    }
}

/// Erased flash, and what tools fill with.
fn is_padding(byte: u8) -> bool {
    matches!(byte, 0 | 0xff)
}

fn without_padding(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| !is_padding(*byte)).map_or(0, |last| last + 1);
    &bytes[..end]
}

/// What begins here, a name for its file, and its size by its own header, which fits what is there.
fn sure(bytes: &[u8]) -> Option<(&'static str, &'static str, usize)> {
    // By magic first: this is asked at every byte of a file.
    let found = match be32(bytes, 0)? {
        uimage::MAGIC => ("a uImage", "kernel.uimage", uimage_size(bytes)?),
        SQUASHFS => ("a squashfs", "rootfs.squashfs", squashfs_size(bytes)?),
        device_tree::MAGIC => {
            let size = tree_size(bytes)?;
            match device_tree::is_fit(&bytes[..size.min(bytes.len())]) {
                true => ("a FIT image", "kernel.itb", size),
                false => ("a device tree blob", "board.dtb", size),
            }
        }
        _ => return None,
    };
    (found.2 <= bytes.len()).then_some(found)
}

fn uimage_size(bytes: &[u8]) -> Option<usize> {
    let header = uimage::header(bytes).filter(|header| header.header_good)?;
    header.size.checked_add(uimage::HEADER)
}

/// `hsqs`, as [`be32`] reads it.
const SQUASHFS: u32 = 0x6873_7173;

/// Of squashfs 4.0 (fs/squashfs/squashfs_fs.h, struct squashfs_super_block), whatever its compressor.
fn squashfs_size(bytes: &[u8]) -> Option<usize> {
    let (block_size, block_log) = (le32(bytes, 12)?, le32(bytes, 20)? >> 16);
    let is_one = le32(bytes, 28)? == 4 && (12..=20).contains(&block_log) && block_size == 1 << block_log;
    let size = u64::from(le32(bytes, 40)?) | u64::from(le32(bytes, 44)?) << 32;
    usize::try_from(size).ok().filter(|size| is_one && *size >= 96)
}

/// Of a flattened device tree (Devicetree Specification 0.4, 5.2): the blocks lie within the total size, the version is one that Linux reads.
fn tree_size(bytes: &[u8]) -> Option<usize> {
    let [total, structure, strings, reserved, version, oldest] = [4, 8, 12, 16, 20, 24].map(|at| be32(bytes, at));
    let total = total?;
    let is_within = [structure?, strings?, reserved?].into_iter().all(|at| (28..=total).contains(&at));
    (is_within && version? >= oldest? && (2..=17).contains(&oldest?)).then_some(total as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;

    /// A superblock and what it counts, `size` bytes of it all.
    fn squashfs(size: u32) -> Vec<u8> {
        let mut bytes = b"hsqs".to_vec();
        bytes.resize(size as usize, 0xa5);
        for (at, word) in [(12, 0x2_0000), (20, 17 << 16 | 4), (28, 4), (40, size), (44, 0)] {
            bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(word));
        }
        bytes
    }

    fn kernel() -> Vec<u8> {
        let mut file = vec![0x77; uimage::HEADER + 0x100];
        uimage::seal(&mut file, "theirs", Machine::MipsBe, 0x8006_0000).unwrap();
        file
    }

    /// Start, what and size of each.
    fn told(pieces: &[Piece<'_>]) -> Vec<(usize, &'static str, usize)> {
        pieces.iter().map(|piece| (piece.start, piece.what, piece.bytes.len())).collect()
    }

    #[test]
    fn what_lies_behind_padding_is_found_with_its_size() {
        let mut file = kernel();
        file.resize(0x1000, 0xff);
        file.extend(squashfs(0x333));
        file.resize(0x2000, 0);
        file.extend(b"metadata");
        assert_eq!(told(&behind(&file, uimage::HEADER + 0x100)), [(0x1000, "a squashfs", 0x333), (0x2000, "text", 8)]);
        assert_eq!(behind(&file, file.len()), []);
        assert_eq!(behind(&file, usize::MAX), []);
    }

    #[test]
    fn pieces_within_what_is_not_known_are_found() {
        for front in [&b"HDR0 and sums"[..], b"\x12\x34 a vendor's", &[0xff; 0x40]] {
            let mut file = front.to_vec();
            file.resize(0x41, 0xff);
            file.extend(kernel());
            file.extend(squashfs(0x200));
            let pieces = pieces(&file).unwrap();
            let sure: Vec<_> = pieces.iter().filter(|piece| piece.is_sure).copied().collect();
            assert_eq!(told(&sure), [(0x41, "a uImage", 0x140), (0x181, "a squashfs", 0x200)], "{front:?}");
            assert_eq!(pieces.len() - sure.len(), usize::from(front[0] != 0xff));
        }
    }

    #[test]
    fn of_very_many_pieces_the_last_is_the_rest() {
        let file = squashfs(0x200).repeat(1000);
        let pieces = behind(&file, 0);
        assert_eq!((pieces.len(), pieces[MOST].bytes.len()), (MOST + 1, (1000 - MOST) * 0x200));
    }

    #[test]
    fn a_magic_alone_is_no_piece() {
        let mut cut = b"HDR0".to_vec();
        cut.extend(squashfs(0x200));
        cut.truncate(0x1ff);
        let mut block = squashfs(0x200);
        block[12] = 1;
        let mut header = kernel();
        header[9] ^= 1;
        let mut tree = device_tree::MAGIC.to_be_bytes().to_vec();
        tree.resize(64, 0);
        for rest in [&cut[4..], &block, &header, &tree, b"hsqs", b"\xd0\x0d\xfe\xed"] {
            let file = [b"HDR0", rest].concat();
            assert_eq!(pieces(&file), None, "{:?}", &rest[..4]);
        }
    }

    #[test]
    fn a_file_that_is_something_else_is_not_searched() {
        let inside = [b"PK\x03\x04", &squashfs(0x200)[..]].concat();
        assert_eq!(pieces(&inside), None);
    }
}
