//! Small kernels, root file systems and device trees for tests.
//!
//! ```
//! let rootfs = stoop_samples::squashfs(0x2000);
//! assert_eq!(rootfs.len(), 0x2000);
//! stoop_image::input::rootfs::SquashfsInfo::of(&rootfs).expect("Linux would mount it");
//! ```
#![forbid(unsafe_code)]

pub mod failure;
pub mod machine;
pub mod pages;

use std::io::Write;

use stoop_core::fdt::{Merge, Overlay};

use failure::{Failure, Result};

/// A version and a configuration as kernels keep them (kernel/configs.c: gzip between `IKCFG_ST` and `IKCFG_ED`).
pub fn version_and_configuration(configuration: &str) -> Vec<u8> {
    let mut bytes = b"Linux version 6.12.117 (test)\0IKCFG_ST".to_vec();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    // A vector takes whatever is written.
    let _ = gzip.write_all(configuration.as_bytes());
    bytes.extend(gzip.finish().unwrap_or_default());
    bytes.extend_from_slice(b"IKCFG_ED");
    bytes
}

/// An ELF file for MIPS with one segment and its entry point at the front (System V ABI, ELF header and program header): `bytes` at the
/// virtual address `load`, and `bss` zeros behind them.
pub fn elf(big_endian: bool, load: u32, bytes: &[u8], bss: u32) -> Vec<u8> {
    let half = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut file = b"\x7fELF\x01".to_vec();
    file.extend([if big_endian { 2 } else { 1 }, 1]);
    file.resize(16, 0);
    for value in [2, 8] {
        file.extend(half(value));
    }
    for value in [1, load, 52, 0, 0x7000_1001] {
        file.extend(word(value));
    }
    for value in [52, 32, 1, 40, 0, 0] {
        file.extend(half(value));
    }
    let size = bytes.len() as u32;
    for value in [1, 84, load, load, size, size + bss, 7, 16] {
        file.extend(word(value));
    }
    file.extend(bytes);
    file
}

/// Bytes that no compressor makes smaller, always the same (xorshift32).
pub fn noise(size: usize) -> Vec<u8> {
    let mut state = 0x5700_0b5e_u32;
    let word = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    std::iter::repeat_with(word).flatten().take(size).collect()
}

/// A squashfs superblock (fs/squashfs/squashfs_fs.h), xz, of `size` bytes in all, and bytes that differ.
pub fn squashfs(size: usize) -> Vec<u8> {
    squashfs_of((0..size).map(|at| (at * 31 / 7) as u8).collect())
}

/// The same over bytes of the caller's, of which the first 96 are replaced.
pub fn squashfs_of(mut bytes: Vec<u8>) -> Vec<u8> {
    let size = bytes.len();
    bytes[..96].fill(0);
    bytes[..4].copy_from_slice(b"hsqs");
    bytes[12..16].copy_from_slice(&0x2_0000u32.to_le_bytes());
    bytes[20..24].copy_from_slice(&[4, 0, 17, 0]);
    bytes[28..32].copy_from_slice(&[4, 0, 0, 0]);
    bytes[40..48].copy_from_slice(&(size as u64).to_le_bytes());
    bytes[26] = 1;
    // The table of owners behind inodes and directories.
    for (at, table) in [(48, 96u64), (64, 64), (72, 80)] {
        bytes[at..at + 8].copy_from_slice(&table.to_le_bytes());
    }
    bytes[56..64].fill(0xff);
    bytes
}

/// A device tree with these bootargs and nothing else.
///
/// # Errors
/// They are too long for it: it has 0x2000 bytes at most.
pub fn tree(bootargs: &[u8]) -> Result<Vec<u8>> {
    let impossible = || Failure::new("the device tree cannot be made");
    let empty = stoop_image::format::device_tree::empty();
    let mut overlay = vec![0; 0x2000];
    Overlay { line: Some(bootargs), ..Overlay::default() }.encode(&mut overlay).ok_or_else(impossible)?;
    let mut out = vec![0; 0x4000];
    let mut merge = Merge::new(&empty, &overlay, &mut out);
    let written = merge.overlay.read().and_then(|()| merge.write(&[]));
    written.map_err(|_| impossible())?;
    let size = merge.size();
    out.truncate(size);
    Ok(out)
}
