//! Device trees: a blob of version 17 that is all there; sources and FIT images are told apart from it.

use std::path::Path;

use stoop_core::fdt;

use super::{be32, find, looks_like, read_file};
use crate::device_tree::Facts;
use crate::{Failure, Result};

/// In front of every blob (Devicetree Specification v0.4, section 5.2).
pub const MAGIC: u32 = 0xd00d_feed;

/// A FIT image is a device tree too, with /images instead of a machine.
pub fn is_fit(bytes: &[u8]) -> bool {
    be32(bytes, 0) == Some(MAGIC) && find(bytes, b"\0\0\0\x01images\0\0").is_some()
}

/// Reads a device tree blob: exactly its `totalsize` bytes.
///
/// # Errors
/// The file cannot be read, is no blob, or is a damaged one.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = read_file(path)?;
    let size = check(&bytes).map_err(|failure| failure.within(path.display()))?;
    bytes.truncate(size);
    Ok(bytes)
}

/// The bootargs that Linux would take from a blob that [`read`] gave; `None` when it has none.
///
/// # Errors
/// They are not UTF-8.
pub fn bootargs(blob: &[u8]) -> Result<Option<String>> {
    let Some(line) = Facts::of(blob)?.bootargs else { return Ok(None) };
    String::from_utf8(line).map(Some).map_err(|error| {
        Failure::new(format!("the device tree's bootargs are no text: {error}")).next("correct /chosen/bootargs")
    })
}

/// Checks a blob; returns its total size in bytes.
fn check(bytes: &[u8]) -> Result<usize> {
    let again = "compile it again with dtc -I dts -O dtb";
    if be32(bytes, 0) != Some(MAGIC) {
        let text = std::str::from_utf8(&bytes[..bytes.len().min(0x1_0000)]).unwrap_or_default();
        if text.contains("/dts-v1/") || (text.contains('{') && text.contains("};")) {
            return Err(Failure::new("this is the source of a device tree")
                .next("compile it with dtc -I dts -O dtb -o FILE.dtb FILE.dts"));
        }
        return Err(Failure::new(format!("not a device tree blob but {}", looks_like(bytes)))
            .next("give a .dtb; its first bytes are d0 0d fe ed"));
    }
    if is_fit(bytes) {
        return Err(Failure::new("this is a FIT image, not a plain device tree")
            .next("take the device tree out of it with dumpimage, or give the FIT's own .dtb"));
    }
    let Some(total) = be32(bytes, 4).map(|total| total as usize).filter(|_| bytes.len() >= 40) else {
        return Err(Failure::new(format!("the device tree ends after 0x{:x} bytes, inside its header", bytes.len()))
            .next(again));
    };
    if total > bytes.len() {
        return Err(Failure::new(format!(
            "the device tree is truncated: its header says 0x{total:x} bytes, the file has 0x{:x}",
            bytes.len()
        ))
        .next(again));
    }
    let version = be32(bytes, 20).unwrap_or_default();
    if version < 17 || be32(bytes, 24).unwrap_or_default() > 17 {
        return Err(Failure::new(format!("the device tree is of version {version}, Linux reads 17")).next(again));
    }
    fdt::check(&bytes[..total])
        .map_err(|error| Failure::new(format!("the device tree is damaged ({error})")).next(again))?;
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Header, empty reservation block, a root node without properties.
    fn blob() -> Vec<u8> {
        let words: [u32; 18] = [
            MAGIC, 72, 56, 72, 40, 17, 16, 0, 0, 16, // header: strings of size 0 at the end
            0, 0, 0, 0, // reservations
            1, 0, 2, 9, // root
        ];
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn refusal(bytes: &[u8]) -> String {
        let failure = check(bytes).unwrap_err();
        assert!(failure.next_step().is_some());
        failure.fact().to_owned()
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
        assert!(bootargs(&with_bootargs(b"\xff\0")).unwrap_err().fact().contains("no text"));
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
        assert!(refusal(&blob()[..39]).contains("inside its header"));
    }

    #[test]
    fn a_source_says_to_compile_it() {
        assert!(refusal(b"/dts-v1/;\n/ { };\n").contains("source"));
        assert!(check(b"/dts-v1/;").unwrap_err().next_step().unwrap().contains("dtc"));
    }

    #[test]
    fn other_files_are_named() {
        assert!(refusal(b"\x7fELF").contains("an ELF file"));
        let mut fit = blob();
        fit.extend_from_slice(b"\0\0\0\x01images\0\0");
        assert!(refusal(&fit).contains("FIT"));
    }

    #[test]
    fn an_unknown_version_is_refused() {
        let mut old = blob();
        old[23] = 16;
        assert!(refusal(&old).contains("version 16"));
        let mut new = blob();
        new[27] = 18;
        assert!(refusal(&new).contains("version 17"));
    }
}
