//! What a vendor's firmware file or a copy of a flash is made of. Containers around it are many and few have a specification: the pieces
//! are found by themselves, by headers that cannot be there by chance.

use super::container::CONTAINERS;
use super::likeness::{looks_like, recognised};
use crate::format::bytes::{be32, le32};
use crate::format::{device_tree, fit, uimage};

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
    // Copies of flash begin with padding as well.
    let is_looked_into = |what: &str| CONTAINERS.contains(&what) || PADDING.contains(&what);
    if recognised(file).is_some_and(|what| !is_looked_into(what)) {
        return None;
    }
    let pieces = behind(file, 0);
    pieces.iter().any(|piece| piece.is_sure).then_some(pieces)
}

/// What `looks_like` calls what begins with much of it.
const PADDING: [&str; 2] = ["erased flash (all 0xff)", "all zeros"];

/// What a file that has pieces is as a whole, in a few words.
pub fn called(file: &[u8]) -> &'static str {
    match looks_like(file) {
        // Not all of it: there are pieces.
        "erased flash (all 0xff)" => "data that begin with erased flash (0xff)",
        "all zeros" => "data that begin with zeros",
        other => other,
    }
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
        let known = if pieces.len() < MOST { sure(rest) } else { Some(("more, not looked into", "data", rest.len())) };
        let (what, name, size) = known.unwrap_or_else(|| {
            let end = (1..rest.len()).find(|end| sure(&rest[*end..]).is_some()).unwrap_or(rest.len());
            // What lies behind it says nothing about it.
            (unsure(&rest[..end]), "data", end)
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
            // Only what is all there is read: a file may be full of headers.
            let tree = bytes.get(..tree_size(bytes)?)?;
            match device_tree::is_fit(tree) {
                true => ("a FIT image", "kernel.itb", fit::extent(bytes)),
                false => ("a device tree blob", "board.dtb", tree.len()),
            }
        }
        _ => return None,
    };
    (found.2 <= bytes.len()).then_some(found)
}

/// What bytes look like that no header is sure of. One that is known by its first bytes promises more than is there, or makes no sense.
fn unsure(bytes: &[u8]) -> &'static str {
    match looks_like(bytes) {
        "a uImage" => "a uImage, cut off or damaged",
        "a squashfs" => "a squashfs, cut off, damaged or older than version 4",
        "a FIT image" => "a FIT image, cut off or damaged",
        "a device tree blob" => "a device tree blob, cut off or damaged",
        // The pieces behind it are the container's, too.
        container if CONTAINERS.contains(&container) => "the front of the container",
        other => other,
    }
}

fn uimage_size(bytes: &[u8]) -> Option<usize> {
    // Its sum, which takes longer, is asked only where it matters.
    let size = (be32(bytes, 12)? as usize).checked_add(uimage::HEADER).filter(|size| *size <= bytes.len())?;
    uimage::header(bytes).filter(|header| header.header_good).map(|_| size)
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
    fn headers_that_promise_more_than_is_there_are_not_read_into() {
        // Each asks for the same walk over all that follows.
        let (headers, nops) = (0x2_0000, 0x20_0000);
        let mut file = b"HDR0".to_vec();
        let structure = |at: usize| (28 * (headers - at)) as u32;
        for at in 0..headers {
            let words = [device_tree::MAGIC, u32::MAX, structure(at), 28, 28, 17, 16];
            file.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        }
        file.extend([0, 0, 0, 4].repeat(nops));
        file.extend(squashfs(0x200));
        let pieces = pieces(&file).unwrap();
        assert_eq!(told(&pieces)[1..], [(file.len() - 0x200, "a squashfs", 0x200)]);
    }

    #[test]
    fn a_piece_is_called_by_its_own_bytes_and_by_what_is_wrong_with_them() {
        let is = |front: &[u8]| {
            let file = [&b"HDR0"[..], &kernel(), front, &kernel()].concat();
            pieces(&file).unwrap()[2].what
        };
        // A partition table's mark, 0x1fe bytes from the start of what is not known, which has 0x11a.
        let mut near = kernel();
        near[0x1fe - 0x11a..][..2].copy_from_slice(b"\x55\xaa");
        let file = [&b"HDR0"[..], &kernel(), &[0x92; 0x11a], &near].concat();
        assert_eq!(looks_like(&file[0x144..]), "a disk image with a partition table");
        assert_eq!(told(&pieces(&file).unwrap())[2], (0x144, "unknown data", 0x11a));
        let mut damaged = kernel();
        damaged[9] ^= 1;
        assert_eq!(is(&damaged), "a uImage, cut off or damaged");
        assert_eq!(is(&squashfs(0x1000)[..0x200]), "a squashfs, cut off, damaged or older than version 4");
        assert_eq!(told(&pieces(&file).unwrap())[0], (0, "the front of the container", 4));
        assert_eq!(is(&device_tree::MAGIC.to_be_bytes().repeat(20)), "a device tree blob, cut off or damaged");
    }

    #[test]
    fn a_fit_has_the_data_behind_its_tree() {
        let write = || -> std::result::Result<Vec<u8>, vm_fdt::Error> {
            let mut tree = vm_fdt::FdtWriter::new()?;
            let root = tree.begin_node("")?;
            let images = tree.begin_node("images")?;
            for (name, offset, size) in [("kernel", 0, 0x200), ("fdt", 0x200, 0x34)] {
                let node = tree.begin_node(name)?;
                tree.property_u32("data-offset", offset)?;
                tree.property_u32("data-size", size)?;
                tree.end_node(node)?;
            }
            tree.end_node(images)?;
            tree.end_node(root)?;
            tree.finish()
        };
        let tree = write().unwrap();
        let whole = tree.len().next_multiple_of(4) + 0x234;
        let mut file = b"HDR0".to_vec();
        file.extend(&tree);
        file.resize(4 + whole, 0x5a);
        file.extend(squashfs(0x200));
        let all = pieces(&file).unwrap();
        assert_eq!(told(&all)[1..], [(4, "a FIT image", whole), (4 + whole, "a squashfs", 0x200)]);
        // What is cut off is not counted.
        let cut = pieces(&file[..4 + whole - 1]).unwrap();
        assert_eq!((cut[1].what, cut[1].bytes.len()), ("a FIT image", whole - 0x34));
    }

    #[test]
    fn a_copy_of_flash_may_begin_with_padding_of_either_kind() {
        for byte in [0, 0xff] {
            let mut file = vec![byte; 0x2000];
            file.extend(kernel());
            assert_eq!(told(&pieces(&file).unwrap()), [(0x2000, "a uImage", 0x140)]);
            assert!(called(&file).starts_with("data that begin with"), "it is not all of it");
        }
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
