//! The image as a flattened image tree: one image of type kernel, its hashes, one configuration (U-Boot
//! doc/usage/fit/source_file_format.rst). The tree itself is written by the vm-fdt crate.

use sha1::{Digest, Sha1};
use vm_fdt::FdtWriter;

use super::checksum;
use crate::input::Arch;
use crate::{ErrorCode, Failure, Result};

/// Most bytes of a FIT beside its data: the tree with every name and hash.
pub(super) const ROOM: usize = 0x400;

/// Wraps `data`, which is copied to `load` (as typed) and entered there. Byte orders have no names of their own.
///
/// The hashes are those that every U-Boot with FIT has, and that OpenWrt writes: CRC-32 and SHA-1. SHA-256 is an option that the
/// vendors' 2018.09 need not have (CONFIG_FIT_ENABLE_SHA256_SUPPORT), and bootm refuses what it cannot compute.
///
/// # Errors
/// More bytes than a device tree can name.
pub(super) fn write(name: &str, arch: Arch, load: u32, data: &[u8]) -> Result<Vec<u8>> {
    // As U-Boot calls them (boot/image.c: uimage_arch).
    let arch = if arch == Arch::Arm64 { "arm64" } else { "mips" };
    tree(name, arch, load, data).map_err(|error| {
        Failure::new(
            ErrorCode::Container,
            format!("the FIT cannot be written with 0x{:x} bytes in it: {error}", data.len()),
        )
        .next("give a smaller root filesystem")
    })
}

fn tree(name: &str, arch: &str, load: u32, data: &[u8]) -> std::result::Result<Vec<u8>, vm_fdt::Error> {
    let mut fit = FdtWriter::new()?;
    let root = fit.begin_node("")?;
    fit.property_string("description", name)?;
    // U-Boot wants one; zero, so that the same inputs make the same file.
    fit.property_u32("timestamp", 0)?;
    fit.property_u32("#address-cells", 1)?;

    let images = fit.begin_node("images")?;
    let kernel = fit.begin_node("stoop")?;
    fit.property_string("description", name)?;
    fit.property("data", data)?;
    fit.property_string("type", "kernel")?;
    fit.property_string("arch", arch)?;
    fit.property_string("os", "linux")?;
    fit.property_string("compression", "none")?;
    fit.property_u32("load", load)?;
    fit.property_u32("entry", load)?;
    let hashes = [("hash-1", "crc32", checksum(data).to_be_bytes().to_vec()), ("hash-2", "sha1", sha1(data))];
    for (node, algorithm, value) in hashes {
        let hash = fit.begin_node(node)?;
        fit.property_string("algo", algorithm)?;
        fit.property("value", &value)?;
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

fn sha1(data: &[u8]) -> Vec<u8> {
    Sha1::digest(data).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::fit;

    #[test]
    fn what_is_written_reads_back_with_its_hashes() {
        let data: Vec<u8> = (0..10_000u32).map(|number| (number * 7) as u8).collect();
        let name = "stoop 6.12.117-with-the-longest-local-version-that-anybody-has-ever-given-to-a-kernel-release";
        let file = write(name, Arch::MipsBe, 0x8100_0000, &data).unwrap();
        assert!(file.len() - data.len() <= ROOM, "0x{:x}", file.len() - data.len());
        let fit = fit::read(&file).unwrap();
        assert_eq!((fit.configuration, fit.kernel.hashes, fit.size), ("stoop", vec!["crc32", "sha1"], file.len()));
        assert_eq!((fit.kernel.load, fit.kernel.entry), (Some(0x8100_0000), Some(0x8100_0000)));
        assert!(fit.kernel.data == data && fit.kernel.wrong.is_empty());
    }
}
