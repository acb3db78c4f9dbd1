//! Root filesystems: a squashfs 4.0 whose superblock (fs/squashfs/squashfs_fs.h) is checked against the file.

mod error;

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::file::{empty, open_file, read_file};
use super::{container, looks_like};
use crate::format::bytes::le32;
use crate::format::checksum::{Checksum, checksum};
pub use error::Error;

use crate::Result;

/// A checked squashfs.
#[derive(Clone, Debug)]
pub struct Rootfs {
    source: Source,
    /// Of the file, in bytes.
    pub size: usize,
    /// CRC-32 of all of them.
    pub crc: u32,
    /// What preflight asks the kernel for.
    pub info: SquashfsInfo,
}

/// Where its bytes are.
#[derive(Clone, Debug)]
enum Source {
    File(PathBuf),
    /// Of stdin or a pipe, which can be read once.
    Bytes(Vec<u8>),
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
    /// Ends of files that share blocks: how many such blocks.
    pub fragments: u32,
    /// xz's branch filters that blocks may use, as bits (squashfs-tools' xz_wrapper.c: -Xbcj).
    pub branch: u32,
}

impl SquashfsInfo {
    /// The symbols, without `CONFIG_`, that the kernel needs for [`SquashfsInfo::branch`].
    pub fn filters(self) -> impl Iterator<Item = &'static str> {
        FILTERS.iter().enumerate().filter(move |(bit, _)| self.branch >> bit & 1 != 0).map(|(_, symbol)| *symbol)
    }
}

/// By bit.
const FILTERS: [&str; 8] = [
    "XZ_DEC_X86",
    "XZ_DEC_POWERPC",
    "XZ_DEC_IA64",
    "XZ_DEC_ARM",
    "XZ_DEC_ARMTHUMB",
    "XZ_DEC_SPARC",
    "XZ_DEC_ARM64",
    "XZ_DEC_RISCV",
];

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
/// The compressor's options follow the superblock.
const OPTIONS: u16 = 0x400;

/// In place of a table's address: there is none.
const NO_TABLE: u64 = u64::MAX;
/// Bytes of a block of metadata at most.
const METADATA: u64 = 0x2000;
/// Where the superblock has the number of owners.
const OWNERS: usize = 26;
/// Where it has the root directory's inode: its block from the inode table's start, and 16 bits for the place in it.
const ROOT_INODE: usize = 32;
const XATTR_TABLE: usize = 56;
const FRAGMENT_TABLE: usize = 80;
/// Where the superblock has the addresses of the tables, and their names.
const TABLES: [(usize, &str); 6] = [
    (48, "table of owners"),
    (XATTR_TABLE, "table of extended attributes"),
    (64, "inode table"),
    (72, "directory table"),
    (FRAGMENT_TABLE, "fragment table"),
    (88, "export table"),
];
/// Those that a squashfs may lack.
const OPTIONAL: [usize; 3] = [XATTR_TABLE, FRAGMENT_TABLE, 88];

fn table(bytes: &[u8], at: usize) -> u64 {
    let word = |at| u64::from(le32(bytes, at).unwrap_or_default());
    word(at) | word(at + 4) << 32
}

/// Every table begins within the file system, and inodes lie before directories (fs/squashfs/super.c: squashfs_fill_super).
fn tables(bytes: &[u8], bytes_used: u64, fragments: u32) -> Result<()> {
    for (at, name) in TABLES {
        let start = table(bytes, at);
        let may_lack = OPTIONAL.contains(&at) && !(at == FRAGMENT_TABLE && fragments > 0);
        if start >= bytes_used && !(may_lack && start == NO_TABLE) {
            return Err(Error::TableOutside { table: name, at: start, used: bytes_used }.into());
        }
    }
    let [owners, inodes, directories] = [48, 64, 72].map(|at| table(bytes, at));
    let root = table(bytes, ROOT_INODE);
    if inodes >= directories || directories > owners {
        return Err(Error::TableOrder { inodes, directories, owners }.into());
    }
    if root & 0xffff > METADATA || inodes + (root >> 16) >= directories {
        return Err(Error::RootDirectory { inode: root }.into());
    }
    if bytes.get(OWNERS..OWNERS + 2) == Some(&[0, 0]) {
        return Err(Error::NoOwners.into());
    }
    Ok(())
}

/// Checks the compressor's options as the kernel does (fs/squashfs: xz_wrapper.c, lz4_wrapper.c); gives xz's branch filters.
fn options(compressor: Compressor, bytes: &[u8]) -> Result<u32> {
    // A block of metadata: its length, then its bytes, not compressed (bit 15).
    let size = bytes.get(SUPERBLOCK..SUPERBLOCK + 2).map_or(0, |half| u16::from_le_bytes([half[0], half[1]]));
    let word = |at: usize| le32(bytes.get(SUPERBLOCK + 2..)?.get(..usize::from(size & 0x7fff))?, at);
    match compressor {
        Compressor::Xz => {
            let (Some(dictionary), Some(filters)) = (word(0), word(4)) else {
                return Err(Error::XzOptions.into());
            };
            // 2^n or 2^n + 2^(n+1).
            let base = dictionary & dictionary.wrapping_neg();
            if dictionary == 0 || (dictionary != base && u64::from(dictionary) != 3 * u64::from(base)) {
                return Err(Error::XzDictionary { size: dictionary }.into());
            }
            Ok(filters)
        }
        Compressor::Lz4 if word(0) != Some(1) => Err(Error::Lz4Version { version: word(0).unwrap_or_default() }.into()),
        _ => Ok(0),
    }
}

impl Rootfs {
    /// Looks at a squashfs. Its bytes are read once, for their CRC-32, and not kept.
    ///
    /// # Errors
    /// The file cannot be read or is no complete squashfs 4.0.
    pub fn read(path: &Path) -> Result<Self> {
        let within = |failure: crate::Error| failure.within(path.display());
        let is_read_once = |path: &Path| std::fs::metadata(path).is_ok_and(|it| !it.is_file() && !it.is_dir());
        if path.as_os_str() == "-" || is_read_once(path) {
            let bytes = read_file(path)?;
            let info = SquashfsInfo::of(&bytes).map_err(within)?;
            return Ok(Rootfs { size: bytes.len(), crc: checksum(&bytes), source: Source::Bytes(bytes), info });
        }
        let mut file: File = open_file(path)?;
        let (mut crc, mut size, mut head, mut buffer) = (Checksum::new(), 0, Vec::new(), vec![0; HEAD]);
        loop {
            let count = match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(crate::Error::file(path, error)),
            };
            if head.len() < HEAD {
                head.extend_from_slice(&buffer[..count.min(HEAD - head.len())]);
            }
            crc.update(&buffer[..count]);
            size += count;
        }
        if size == 0 {
            return Err(empty(path).into());
        }
        let info = SquashfsInfo::of_head(&head, size).map_err(within)?;
        Ok(Rootfs { source: Source::File(path.to_owned()), size, crc: crc.finish(), info })
    }

    /// Puts its bytes into `place`, which has [`Rootfs::size`].
    ///
    /// # Errors
    /// The file cannot be read any more, or has another size or other bytes than before.
    pub fn read_into(&self, place: &mut [u8]) -> Result<()> {
        let path = match &self.source {
            Source::Bytes(bytes) => {
                place.copy_from_slice(bytes);
                return Ok(());
            }
            Source::File(path) => path,
        };
        let mut file = open_file(path)?;
        let whole = file.read_exact(place).and_then(|()| file.read(&mut [0]));
        let same = whole.map_err(|error| crate::Error::file(path, error))? == 0 && checksum(place) == self.crc;
        match same {
            true => Ok(()),
            false => Err(Error::Changed { path: path.clone() }.into()),
        }
    }

    /// All of its bytes.
    ///
    /// # Errors
    /// As for [`Rootfs::read_into`].
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; self.size];
        self.read_into(&mut bytes).map(|()| bytes)
    }
}

/// So much of a file's front tells what it is.
const HEAD: usize = 0x2_0000;

/// What to do with a root filesystem of another kind.
fn other_than_squashfs(bytes: &[u8]) -> &'static str {
    match looks_like(bytes) {
        "a cpio archive" | "gzip data" | "xz data" | "zstd data" | "lz4 data" | "lzma data" => {
            "give a ramdisk with --initrd; make a root filesystem with mksquashfs DIR FILE -comp xz"
        }
        "a tar archive" => "unpack it into a folder, then make it with mksquashfs DIR FILE -comp xz",
        "a big-endian squashfs, older than version 4" | "a squashfs of a vendor's own, with LZMA" => {
            "unpack it with sasquatch, then make it with mksquashfs DIR FILE -comp xz"
        }
        "a UBI image" | "a UBIFS image" | "a JFFS2 image" => {
            "such file systems live in flash, not in RAM: make the root filesystem with mksquashfs DIR FILE -comp xz"
        }
        other if container::CONTAINERS.contains(&other) => container::TAKE_APART,
        _ => "stoop packs squashfs only: mount it, then make it with mksquashfs DIR FILE -comp xz",
    }
}

impl SquashfsInfo {
    /// Checks the superblock at the front of `bytes`.
    ///
    /// # Errors
    /// No squashfs 4.0, a damaged superblock, or fewer bytes than it claims.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        SquashfsInfo::of_head(bytes, bytes.len())
    }

    /// The same for a file of `size` bytes of which these are the first.
    fn of_head(bytes: &[u8], size: usize) -> Result<Self> {
        if !bytes.starts_with(b"hsqs") {
            return Err(Error::NotSquashfs { likeness: looks_like(bytes), next: other_than_squashfs(bytes) }.into());
        }
        if bytes.len() < SUPERBLOCK {
            return Err(Error::SuperblockCut { size: bytes.len() }.into());
        }
        let word = |at| le32(bytes, at).unwrap_or_default();
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (major, minor) = (half(28), half(30));
        if (major, minor) != (4, 0) {
            return Err(Error::Version { major, minor }.into());
        }
        let compressor = match half(20) {
            1 => Compressor::Zlib,
            2 => Compressor::Lzma,
            3 => Compressor::Lzo,
            4 => Compressor::Xz,
            5 => Compressor::Lz4,
            6 => Compressor::Zstd,
            other => {
                return Err(Error::Compressor { number: other }.into());
            }
        };
        let (block_size, block_log) = (word(12), half(22));
        if !(12..=20).contains(&block_log) || block_size != 1 << block_log {
            return Err(Error::BlockSize { size: block_size, log: block_log }.into());
        }
        let bytes_used = u64::from(word(40)) | u64::from(word(44)) << 32;
        if bytes_used < SUPERBLOCK as u64 || bytes_used > size as u64 {
            return Err(Error::Cut { used: bytes_used, have: size }.into());
        }
        let xattrs = table(bytes, XATTR_TABLE) != NO_TABLE;
        let fragments = word(16);
        tables(bytes, bytes_used, fragments)?;
        let mut info = SquashfsInfo {
            compressor,
            block_size,
            bytes_used,
            xattrs: half(24) & NO_XATTRS == 0 && xattrs,
            fragments,
            branch: 0,
        };
        if half(24) & OPTIONS != 0 {
            info.branch = options(compressor, bytes)?;
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;

    fn superblock() -> Vec<u8> {
        let mut bytes = b"hsqs".to_vec();
        bytes.resize(200, 0);
        bytes[12..16].copy_from_slice(&0x2_0000u32.to_le_bytes());
        bytes[20..24].copy_from_slice(&[4, 0, 17, 0]);
        bytes[28..32].copy_from_slice(&[4, 0, 0, 0]);
        bytes[40..48].copy_from_slice(&200u64.to_le_bytes());
        bytes[56..64].fill(0xff);
        bytes[26] = 1;
        // Owners, inodes, directories.
        (bytes[48], bytes[64], bytes[72]) = (180, 120, 150);
        bytes
    }

    fn refusal(bytes: &[u8]) -> String {
        let failure = SquashfsInfo::of(bytes).unwrap_err();
        assert!(failure.next_step().is_some());
        failure.to_string()
    }

    #[test]
    fn a_good_superblock_tells_what_the_kernel_needs() {
        let expected = SquashfsInfo {
            compressor: Compressor::Xz,
            block_size: 0x2_0000,
            bytes_used: 200,
            xattrs: false,
            fragments: 0,
            branch: 0,
        };
        assert_eq!(SquashfsInfo::of(&superblock()).unwrap(), expected);
        let mut padded = superblock();
        padded.resize(4096, 0xff);
        assert_eq!(SquashfsInfo::of(&padded).unwrap(), expected);
        let mut with_xattrs = superblock();
        with_xattrs[56..64].copy_from_slice(&150u64.to_le_bytes());
        assert!(SquashfsInfo::of(&with_xattrs).unwrap().xattrs);
    }

    #[test]
    fn the_compressors_options_tell_filters_and_are_checked_as_the_kernel_does() {
        let with = |compressor: u8, options: &[u32]| {
            let mut bytes = superblock();
            (bytes[20], bytes[25]) = (compressor, 4);
            bytes[96..98].copy_from_slice(&(0x8000 | (4 * options.len() as u16)).to_le_bytes());
            for (at, word) in (98..).step_by(4).zip(options) {
                bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
            }
            bytes
        };
        let info = SquashfsInfo::of(&with(4, &[0x2_0000, 0b1001])).unwrap();
        assert_eq!(info.filters().collect::<Vec<_>>(), ["XZ_DEC_X86", "XZ_DEC_ARM"]);
        assert!(SquashfsInfo::of(&with(4, &[0x3_0000, 0])).is_ok());
        assert!(refusal(&with(4, &[0x5_0000, 0])).contains("0x50000"));
        assert!(refusal(&with(4, &[0x2_0000])).contains("cut off"));
        assert!(SquashfsInfo::of(&with(5, &[1, 0])).is_ok());
        assert!(refusal(&with(5, &[2, 0])).contains("version 2"));
    }

    #[test]
    fn tables_that_a_squashfs_may_lack_are_not_asked_for() {
        let mut bytes = superblock();
        bytes[80..96].fill(0xff);
        assert!(SquashfsInfo::of(&bytes).is_ok());
        bytes[16] = 1;
        assert!(refusal(&bytes).contains("its fragment table is at 0xffffffffffffffff"));
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
        assert!(with(26, 0).contains("no owners"));
        assert!(with(64, 150).contains("its inode table is at 0x96"));
        assert!(with(72, 181).contains("its directory table at 0xb5"));
        assert!(with(33, 0x21).contains("its root directory, 0x2100,"));
        assert!(with(34, 30).contains("its root directory, 0x1e0000,"));
        assert!(with(20, 9).contains("compressor 9"));
        assert!(with(22, 18).contains("damaged"));
        assert!(with(22, 200).contains("damaged"));
        assert!(with(47, 1).contains("truncated"));
        assert!(with(49, 1).contains("table of owners is at 0x1b4, it has 0xc8 bytes"));
        for at in [64, 72, 80, 88] {
            assert!(with(at + 7, 0x80).contains("table is at 0x80000000000000"), "{at}");
        }
    }
}
