//! Root filesystems: a squashfs 4.0 whose superblock (fs/squashfs/squashfs_fs.h) is checked against the file.

use std::path::Path;

use super::{le32, looks_like, read_file};
use crate::{Failure, Result};

/// A checked squashfs.
#[derive(Clone, Debug)]
pub struct Rootfs {
    /// The file, as it was.
    pub bytes: Vec<u8>,
    /// What preflight asks the kernel for.
    pub info: SquashfsInfo,
}

/// What a squashfs needs from the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SquashfsInfo {
    /// Its compressor.
    pub compressor: Compressor,
    /// Bytes, a power of two from 4 KiB to 1 MiB.
    pub block_size: u32,
    /// Bytes of the filesystem itself; a file may be padded behind it.
    pub bytes_used: u64,
    /// Extended attributes are stored.
    pub xattrs: bool,
}

/// A squashfs compressor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compressor {
    /// zlib, named gzip by mksquashfs.
    Zlib,
    /// lzma: no mainline kernel reads it.
    Lzma,
    /// lzo
    Lzo,
    /// xz
    Xz,
    /// lz4
    Lz4,
    /// zstd
    Zstd,
}

impl Compressor {
    /// As in `squashfs-xz`.
    pub fn name(self) -> &'static str {
        match self {
            Compressor::Zlib => "zlib",
            Compressor::Lzma => "lzma",
            Compressor::Lzo => "lzo",
            Compressor::Xz => "xz",
            Compressor::Lz4 => "lz4",
            Compressor::Zstd => "zstd",
        }
    }
}

const SUPERBLOCK: usize = 96;
const NO_XATTRS: u16 = 0x200;

impl Rootfs {
    /// Reads a squashfs.
    ///
    /// # Errors
    /// The file cannot be read or is no complete squashfs 4.0.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = read_file(path)?;
        let info = SquashfsInfo::of(&bytes).map_err(|failure| failure.within(path.display()))?;
        Ok(Rootfs { bytes, info })
    }
}

impl SquashfsInfo {
    /// Checks the superblock at the front of `bytes`.
    ///
    /// # Errors
    /// No squashfs 4.0, a damaged superblock, or fewer bytes than it claims.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        let make = "make it with mksquashfs DIR FILE -comp xz";
        if !bytes.starts_with(b"hsqs") {
            return Err(Failure::new(format!("not a squashfs but {}", looks_like(bytes))).next(make));
        }
        if bytes.len() < SUPERBLOCK {
            return Err(Failure::new(format!(
                "the squashfs ends after 0x{:x} bytes, inside its superblock",
                bytes.len()
            ))
            .next("build or download it again"));
        }
        let word = |at| le32(bytes, at).unwrap_or_default();
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (major, minor) = (half(28), half(30));
        if (major, minor) != (4, 0) {
            return Err(Failure::new(format!("the squashfs is of version {major}.{minor}, Linux reads 4.0")).next(make));
        }
        let compressor = match half(20) {
            1 => Compressor::Zlib,
            2 => Compressor::Lzma,
            3 => Compressor::Lzo,
            4 => Compressor::Xz,
            5 => Compressor::Lz4,
            6 => Compressor::Zstd,
            other => return Err(Failure::new(format!("the squashfs has compressor {other}, not known")).next(make)),
        };
        let (block_size, block_log) = (word(12), half(22));
        if !(12..=20).contains(&block_log) || block_size != 1 << block_log {
            return Err(Failure::new(format!(
                "the squashfs superblock is damaged: block size 0x{block_size:x}, its logarithm {block_log}"
            ))
            .next("build or download it again"));
        }
        let bytes_used = u64::from(word(40)) | u64::from(word(44)) << 32;
        if bytes_used < SUPERBLOCK as u64 || bytes_used > bytes.len() as u64 {
            return Err(Failure::new(format!(
                "the squashfs is truncated: its superblock says 0x{bytes_used:x} bytes, the file has 0x{:x}",
                bytes.len()
            ))
            .next("build or download it again"));
        }
        let no_table = word(56) == u32::MAX && word(60) == u32::MAX;
        Ok(SquashfsInfo { compressor, block_size, bytes_used, xattrs: half(24) & NO_XATTRS == 0 && !no_table })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock() -> Vec<u8> {
        let mut bytes = b"hsqs".to_vec();
        bytes.resize(200, 0);
        bytes[12..16].copy_from_slice(&0x2_0000u32.to_le_bytes());
        bytes[20..24].copy_from_slice(&[4, 0, 17, 0]);
        bytes[28..32].copy_from_slice(&[4, 0, 0, 0]);
        bytes[40..48].copy_from_slice(&200u64.to_le_bytes());
        bytes[56..64].fill(0xff);
        bytes
    }

    fn refusal(bytes: &[u8]) -> String {
        let failure = SquashfsInfo::of(bytes).unwrap_err();
        assert!(failure.next_step().is_some());
        failure.fact().to_owned()
    }

    #[test]
    fn a_good_superblock_tells_what_the_kernel_needs() {
        let expected =
            SquashfsInfo { compressor: Compressor::Xz, block_size: 0x2_0000, bytes_used: 200, xattrs: false };
        assert_eq!(SquashfsInfo::of(&superblock()).unwrap(), expected);
        let mut padded = superblock();
        padded.resize(4096, 0xff);
        assert_eq!(SquashfsInfo::of(&padded).unwrap(), expected);
        let mut with_xattrs = superblock();
        with_xattrs[56..64].copy_from_slice(&150u64.to_le_bytes());
        assert!(SquashfsInfo::of(&with_xattrs).unwrap().xattrs);
    }

    #[test]
    fn one_byte_short_is_truncated() {
        assert!(refusal(&superblock()[..199]).contains("0xc8 bytes, the file has 0xc7"));
        assert!(refusal(&superblock()[..95]).contains("inside its superblock"));
    }

    #[test]
    fn what_is_no_squashfs_is_named() {
        assert!(refusal(b"070701...").contains("cpio"));
        assert!(refusal(&[0xff; 300]).contains("erased flash"));
        assert!(refusal(b"sqsh").contains("big-endian"));
    }

    #[test]
    fn a_damaged_superblock_is_refused() {
        let with = |at: usize, value: u8| {
            let mut bytes = superblock();
            bytes[at] = value;
            refusal(&bytes)
        };
        assert!(with(28, 3).contains("version 3.0"));
        assert!(with(20, 9).contains("compressor 9"));
        assert!(with(22, 18).contains("damaged"));
        assert!(with(22, 200).contains("damaged"));
        assert!(with(47, 1).contains("truncated"));
    }
}
