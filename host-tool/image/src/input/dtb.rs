//! Device trees: a blob that is all there, of any version that Linux reads; sources, overlays and FIT images are told apart
//! from it.

mod error;

use std::path::Path;

use stoop_core::fdt;

use super::{looks_like, read_file};
use crate::format::bytes::be32;
use crate::format::device_tree::tree::Tree;
use crate::format::device_tree::{Facts, MAGIC, is_fit, overlay};
pub use error::Error;

use crate::Result;

/// Reads a device tree: a blob of version 17 of exactly its `totalsize` bytes, whatever version it came in.
///
/// # Errors
/// The file cannot be read, is no blob, an overlay, or a damaged one.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    whole_tree(read_file(path)?).map_err(|failure| failure.within(path.display()))
}

fn whole_tree(bytes: Vec<u8>) -> Result<Vec<u8>> {
    let (blob, tree) = blob(bytes)?;
    if overlay::is_overlay(&tree) {
        return Err(Error::Overlay.into());
    }
    Ok(blob)
}

/// Reads an overlay.
///
/// # Errors
/// The file cannot be read, is no blob, or is a damaged one.
pub fn read_overlay(path: &Path) -> Result<Tree> {
    let within = |failure: crate::Error| failure.within(path.display());
    blob(read_file(path)?).map(|(_, tree)| tree).map_err(within)
}

/// Reads a blob whatever it is for.
///
/// # Errors
/// The bytes are no blob, or a damaged one.
pub fn tree(bytes: Vec<u8>) -> Result<Tree> {
    blob(bytes).map(|(_, tree)| tree)
}

/// The bootargs that Linux would take from a blob that [`read`] gave; `None` when it has none.
///
/// # Errors
/// They are not UTF-8.
pub fn bootargs(blob: &[u8]) -> Result<Option<String>> {
    let Some(line) = Facts::of(blob)?.bootargs else { return Ok(None) };
    String::from_utf8(line).map(Some).map_err(|reason| Error::Bootargs { reason }.into())
}

/// A blob of version 17, and what is in it.
fn blob(mut bytes: Vec<u8>) -> Result<(Vec<u8>, Tree)> {
    if be32(&bytes, 0) != Some(MAGIC) {
        let text = std::str::from_utf8(&bytes[..bytes.len().min(0x1_0000)]).unwrap_or_default();
        if text.contains("/dts-v1/") || (text.contains('{') && text.contains("};")) {
            return Err(Error::Source.into());
        }
        return Err(Error::NotATree { likeness: looks_like(&bytes) }.into());
    }
    if is_fit(&bytes) {
        return Err(Error::Fit.into());
    }
    let Some(total) = be32(&bytes, 4).map(|total| total as usize).filter(|_| bytes.len() >= 28) else {
        return Err(Error::HeaderCut { size: bytes.len() }.into());
    };
    if total > bytes.len() {
        return Err(Error::Cut { total, have: bytes.len() }.into());
    }
    let tree = Tree::parse(&bytes)?;
    bytes.truncate(total);
    // The board reads version 17 only, with its blocks in the usual order.
    if fdt::check(&bytes).is_err() {
        bytes = tree.write();
        fdt::check(&bytes).map_err(|error| Error::Refused { reason: error })?;
    }
    Ok((bytes, tree))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;

    /// Header, empty reservation block, a root node without properties.
    fn blob() -> Vec<u8> {
        let words: [u32; 18] = [
            MAGIC, 72, 56, 72, 40, 17, 16, 0, 0, 16, // header: strings of size 0 at the end
            0, 0, 0, 0, // reservations
            1, 0, 2, 9, // root
        ];
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn check(bytes: &[u8]) -> Result<usize> {
        whole_tree(bytes.to_vec()).map(|blob| blob.len())
    }

    fn refusal(bytes: &[u8]) -> String {
        let failure = check(bytes).unwrap_err();
        assert!(failure.next_step().is_some());
        failure.to_string()
    }

    #[test]
    fn a_blob_reads_back_without_what_lies_behind_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.dtb");
        let mut bytes = blob();
        bytes.extend_from_slice(b"padding");
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read(&path).unwrap(), blob());
    }

    /// A root with /chosen and this bootargs property.
    fn with_bootargs(value: &[u8]) -> Vec<u8> {
        let mut structure = [1u32, 0, 1].map(u32::to_be_bytes).concat();
        structure.extend_from_slice(b"chosen\0\0");
        structure.extend([3, value.len() as u32, 0].map(u32::to_be_bytes).concat());
        structure.extend_from_slice(value);
        structure.resize(structure.len().next_multiple_of(4), 0);
        structure.extend([2u32, 2, 9].map(u32::to_be_bytes).concat());
        let size = structure.len() as u32;
        let header = [MAGIC, 56 + size + 9, 56, 56 + size, 40, 17, 16, 0, 9, size, 0, 0, 0, 0];
        let mut blob = header.map(u32::to_be_bytes).concat();
        blob.extend(structure);
        blob.extend_from_slice(b"bootargs\0");
        blob
    }

    #[test]
    fn bootargs_are_read_as_linux_reads_them() {
        assert_eq!(bootargs(&blob()).unwrap(), None);
        for (value, expected) in [(&b"quiet\0"[..], "quiet"), (b"\0", ""), (b"quiet", "quie")] {
            let blob = with_bootargs(value);
            assert_eq!(check(&blob).unwrap(), blob.len());
            assert_eq!(bootargs(&blob).unwrap().as_deref(), Some(expected));
        }
        assert!(bootargs(&with_bootargs(b"\xff\0")).unwrap_err().to_string().contains("no text"));
    }

    #[test]
    fn a_damaged_structure_is_refused() {
        let mut bad = with_bootargs(b"quiet\0");
        bad[59] = 7;
        assert!(refusal(&bad).contains("damaged"));
    }

    #[test]
    fn one_byte_short_is_truncated() {
        assert!(refusal(&blob()[..71]).contains("0x48 bytes, the file has 0x47"));
        assert!(refusal(&blob()[..27]).contains("inside its header"));
    }

    #[test]
    fn a_source_says_to_compile_it() {
        assert!(refusal(b"/dts-v1/;\n/ { };\n").contains("source"));
        assert!(check(b"/dts-v1/;").unwrap_err().next_step().unwrap().contains("dtc"));
    }

    #[test]
    fn other_files_are_named() {
        assert!(refusal(b"\x7fELF").contains("an ELF file"));
    }

    /// A root with a chain of nodes in it, each in the one before.
    fn with_nodes(names: &[&str]) -> Tree {
        let mut tree = Tree::default();
        names.iter().fold(&mut tree.root, |node, name| node.child_or_new(name));
        tree
    }

    #[test]
    fn only_a_child_of_the_root_named_images_makes_a_fit() {
        assert!(refusal(&with_nodes(&["images", "kernel"]).write()).contains("FIT"));
        assert!(check(&with_nodes(&["binman", "fit", "images"]).write()).is_ok());
    }

    #[test]
    fn an_overlay_is_told_from_a_tree() {
        let failure = check(&with_nodes(&["fragment@0", "__overlay__"]).write()).unwrap_err();
        assert!(failure.next_step().unwrap().contains("--overlay"), "{failure}");
        assert!(check(&with_nodes(&["soc", "fragment@0", "__overlay__"]).write()).is_ok());
    }

    #[test]
    fn a_version_that_linux_does_not_read_is_refused() {
        let mut old = blob();
        (old[23], old[27]) = (1, 1);
        assert!(refusal(&old).contains("version 1"));
        let mut new = blob();
        (new[23], new[27]) = (18, 18);
        assert!(refusal(&new).contains("2 to 17"));
    }

    #[test]
    fn blocks_in_another_order_are_put_in_the_usual_one() {
        // dtc writes structure, strings; here strings come first.
        let good = with_bootargs(b"quiet\0");
        let (head, structure, strings) = (&good[..56], &good[56..good.len() - 9], &good[good.len() - 9..]);
        let mut other = [head, strings, &[0; 3], structure].concat();
        let total = other.len() as u32;
        for (at, word) in [(4, total), (8, 56 + 12), (12, 56)] {
            other[at..at + 4].copy_from_slice(&word.to_be_bytes());
        }
        assert!(fdt::check(&other).is_err());
        assert_eq!(bootargs(&whole_tree(other).unwrap()).unwrap().as_deref(), Some("quiet"));
    }
}
