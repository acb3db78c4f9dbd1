//! The image as a flattened image tree: one image of type kernel, its hashes, one configuration (U-Boot
//! doc/usage/fit/source_file_format.rst). The tree itself is written by the vm-fdt crate.

use crate::machine::Machine;
use sha1::{Digest, Sha1};
use vm_fdt::FdtWriter;

use crate::Result;
use crate::format::Error;
use crate::format::bytes::{be32, find};
use crate::format::checksum::checksum;

/// Most bytes of a FIT beside its data: the tree with every name and hash.
pub const ROOM: usize = 0x400;

/// Where the data begin in the file, and how many bytes it has in all.
///
/// # Errors
/// More bytes than a device tree can name.
pub fn frame(name: &str, machine: Machine, size: usize) -> Result<(usize, usize)> {
    let (front, rest) = around(name, machine, 0, size, &[0; 4], &[0; 20])?;
    Ok((front.len(), front.len() + size.next_multiple_of(4) + rest.len()))
}

/// Writes the tree around `size` bytes of data, which are in the file already: they are copied to `load` (as typed) and entered
/// there. Byte orders have no names of their own.
///
/// The hashes are those that every U-Boot with FIT has, and that OpenWrt writes: CRC-32 and SHA-1. SHA-256 is an option that the
/// vendors' 2018.09 need not have (CONFIG_FIT_ENABLE_SHA256_SUPPORT), and bootm refuses what it cannot compute.
///
/// # Errors
/// As for [`frame`].
pub fn seal(file: &mut [u8], name: &str, machine: Machine, load: u32, size: usize) -> Result<()> {
    let (at, _) = frame(name, machine, size)?;
    let data = file.get(at..at + size).unwrap_or_default();
    let (front, rest) = around(name, machine, load, size, &checksum(data).to_be_bytes(), &Sha1::digest(data))?;
    file[..at].copy_from_slice(&front);
    let end = file.len() - rest.len();
    file[end..].copy_from_slice(&rest);
    Ok(())
}

/// Stands for the data while the tree is written.
const MARK: [u8; 16] = *b"stoop: the data.";

/// What is in front of the data and behind them, from the next multiple of 4 on.
fn around(name: &str, machine: Machine, load: u32, size: usize, crc: &[u8], sha1: &[u8]) -> Result<(Vec<u8>, Vec<u8>)> {
    let too_many = |why: String| Error::FitUnwritable { size, why };
    // As U-Boot calls them (boot/image.c: uimage_arch).
    let arch = if machine == Machine::Arm64 { "arm64" } else { "mips" };
    let tree = tree(name, arch, load, crc, sha1).map_err(|error| too_many(error.to_string()))?;
    let at = find(&tree, &MARK).ok_or_else(|| too_many("its tree has no room for them".into()))?;
    let more =
        size.next_multiple_of(4).checked_sub(MARK.len()).ok_or_else(|| too_many("no image is so small".into()))?;
    let (mut front, rest) = (tree[..at].to_vec(), tree[at + MARK.len()..].to_vec());
    // The property's size; then, in the header, those of the whole and of the structure, and where the strings begin.
    let grown = [(1, more), (3, more), (9, more)];
    let size = u32::try_from(size).map_err(|error| too_many(error.to_string()))?;
    front[at - 8..at - 4].copy_from_slice(&size.to_be_bytes());
    for (word, more) in grown {
        let old = be32(&front, 4 * word).unwrap_or_default();
        let new = u32::try_from(more).ok().and_then(|more| old.checked_add(more));
        let new = new.ok_or_else(|| too_many("its size does not fit 32 bits".into()))?;
        front[4 * word..4 * word + 4].copy_from_slice(&new.to_be_bytes());
    }
    Ok((front, rest))
}

fn tree(name: &str, arch: &str, load: u32, crc: &[u8], sha1: &[u8]) -> std::result::Result<Vec<u8>, vm_fdt::Error> {
    let mut fit = FdtWriter::new()?;
    let root = fit.begin_node("")?;
    fit.property_string("description", name)?;
    // U-Boot wants one; zero, so that the same inputs make the same file.
    fit.property_u32("timestamp", 0)?;
    fit.property_u32("#address-cells", 1)?;

    let images = fit.begin_node("images")?;
    let kernel = fit.begin_node("stoop")?;
    fit.property_string("description", name)?;
    fit.property("data", &MARK)?;
    fit.property_string("type", "kernel")?;
    fit.property_string("arch", arch)?;
    fit.property_string("os", "linux")?;
    fit.property_string("compression", "none")?;
    fit.property_u32("load", load)?;
    fit.property_u32("entry", load)?;
    let hashes = [("hash-1", "crc32", crc), ("hash-2", "sha1", sha1)];
    for (node, algorithm, value) in hashes {
        let hash = fit.begin_node(node)?;
        fit.property_string("algo", algorithm)?;
        fit.property("value", value)?;
        fit.end_node(hash)?;
    }
    fit.end_node(kernel)?;
    fit.end_node(images)?;

    let configurations = fit.begin_node("configurations")?;
    fit.property_string("default", "stoop")?;
    let configuration = fit.begin_node("stoop")?;
    fit.property_string("description", name)?;
    fit.property_string("kernel", "stoop")?;
    fit.end_node(configuration)?;
    fit.end_node(configurations)?;
    fit.end_node(root)?;
    fit.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::fit;

    #[test]
    fn what_is_written_reads_back_with_its_hashes() {
        let data: Vec<u8> = (0..10_000u32).map(|number| (number * 7) as u8).collect();
        let name = "stoop 6.12.117-with-the-longest-local-version-that-anybody-has-ever-given-to-a-kernel-release";
        let (at, size) = frame(name, Machine::MipsBe, data.len()).unwrap();
        let mut file = vec![0; size];
        file[at..at + data.len()].copy_from_slice(&data);
        seal(&mut file, name, Machine::MipsBe, 0x8100_0000, data.len()).unwrap();
        assert!(file.len() - data.len() <= ROOM, "0x{:x}", file.len() - data.len());
        let fit = fit::read(&file).unwrap();
        assert_eq!((fit.configuration, fit.kernel.hashes, fit.size), ("stoop", vec!["crc32", "sha1"], file.len()));
        assert_eq!((fit.kernel.load, fit.kernel.entry), (Some(0x8100_0000), Some(0x8100_0000)));
        assert!(fit.kernel.data == data && fit.kernel.wrong.is_empty());
    }
}
