//! What is packed: a kernel of a few instructions that says that it has arrived, a device tree, a root file system, an initrd.

use std::io::Write;
use std::path::PathBuf;

use stoop_core::fdt::{Additions, Merge};
use stoop_image::board::Board;
use stoop_image::plan::{HandoffWish, Request};
use stoop_image::{Failure, Result};
use tempfile::TempDir;

/// Configurations of kernels that take everything; how they get their command line is what differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// From the device tree: called by UHI.
    FromTree,
    /// From argc and argv.
    FromBootloader,
}

/// `sdbbp`.
const ARRIVED: u32 = 0x7000_003f;

/// A kernel's bytes from its entry point on: it reads what it was given, writes to RAM of its own, and says that it arrived.
/// Behind it are a version and a configuration as kernels keep them, and something that compresses.
fn kernel(board: &Board, line: Line, size: usize) -> Vec<u8> {
    let word = |word: u32| if board.arch.is_big_endian() { word.to_be_bytes() } else { word.to_le_bytes() };
    // move t0, a1; mfc0 t1, Count; addiu t0, 4; sdbbp; more that is never reached, so that code has more than one line.
    let program = [0x00a0_4025, 0x4009_4800, 0x2508_0004, ARRIVED, 0x03e0_0008, 0, 0x1000_ffff, 0];
    let mut bytes: Vec<u8> = program.into_iter().cycle().take(64).flat_map(word).collect();
    bytes.extend_from_slice(b"Linux version 6.12.117 (test)\0IKCFG_ST");
    let from = match line {
        Line::FromTree => "CONFIG_MIPS_GENERIC_KERNEL=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=y\n",
        Line::FromBootloader => "CONFIG_ATH79=y\nCONFIG_MIPS_CMDLINE_FROM_BOOTLOADER=y\n",
    };
    let config = format!(
        "CONFIG_OF=y\nCONFIG_MTD=y\nCONFIG_MTD_PHRAM=y\nCONFIG_MTD_BLOCK=y\nCONFIG_BLOCK=y\n\
         CONFIG_SQUASHFS=y\nCONFIG_SQUASHFS_XZ=y\nCONFIG_DEVTMPFS=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n{from}"
    );
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let _ = gzip.write_all(config.as_bytes());
    bytes.extend(gzip.finish().unwrap_or_default());
    bytes.extend_from_slice(b"IKCFG_ED");
    let filler = size.saturating_sub(bytes.len());
    bytes.extend((0..filler).map(|at| (at / 3) as u8 ^ (at >> 8) as u8));
    bytes
}

/// An ELF file with one segment (System V ABI, ELF header and program header).
fn elf(board: &Board, load: u32, bytes: &[u8], bss: u32) -> Vec<u8> {
    let big_endian = board.arch.is_big_endian();
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

/// A squashfs superblock (fs/squashfs/squashfs_fs.h) and bytes that differ.
pub(crate) fn squashfs(size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size).map(|at| (at * 31 / 7) as u8).collect();
    bytes[..96].fill(0);
    bytes[..4].copy_from_slice(b"hsqs");
    bytes[12..16].copy_from_slice(&0x2_0000u32.to_le_bytes());
    bytes[20..24].copy_from_slice(&[4, 0, 17, 0]);
    bytes[28..32].copy_from_slice(&[4, 0, 0, 0]);
    bytes[40..48].copy_from_slice(&(size as u64).to_le_bytes());
    bytes[56..64].fill(0xff);
    bytes
}

/// A device tree with these bootargs.
///
/// # Errors
/// They are too long for it.
pub fn tree(bootargs: &[u8]) -> Result<Vec<u8>> {
    let impossible = || Failure::new("the device tree cannot be made");
    let empty = stoop_image::device_tree::empty();
    let mut additions = vec![0; 0x2000];
    Additions { line: Some(bootargs), ..Additions::default() }.encode(&mut additions).ok_or_else(impossible)?;
    let mut out = vec![0; 0x4000];
    let mut merge = Merge::new(&empty, &additions, &mut out);
    let size =
        merge.additions.read().and_then(|()| merge.write(&[])).map(|_| merge.size()).map_err(|_| impossible())?;
    out.truncate(size);
    Ok(out)
}

/// The files that a request names.
pub struct Parts {
    folder: TempDir,
}

/// Bytes of the kernel, of what it clears, of the root file system.
const KERNEL: usize = 0x5000;
const BSS: u32 = 0x1800;
const ROOTFS: usize = 0x2345;

impl Parts {
    /// Where to put them.
    ///
    /// # Errors
    /// There is no folder for temporary files.
    pub fn new() -> Result<Parts> {
        let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        Ok(Parts { folder })
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).map_err(|error| Failure::io(&path, &error))?;
        Ok(path)
    }

    /// A request for this board: a kernel where its family is linked, its tree, a root file system, an initrd.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn request(&self, board: &Board, line: Line) -> Result<Request> {
        let load = board.load_addresses.values().next().copied().unwrap_or(0x8010_0000) as u32;
        let name = &board.name;
        let kernel = self.put(&format!("{name}.vmlinux"), &elf(board, load, &kernel(board, line, KERNEL), BSS))?;
        Ok(Request {
            board: name.clone(),
            handoff: if line == Line::FromTree { HandoffWish::Uhi } else { HandoffWish::Argv },
            kernel,
            dtb: Some(self.put("board.dtb", &tree(b"console=ttyS0 own=1")?)?),
            rootfs: Some(self.put("root.squashfs", &squashfs(ROOTFS))?),
            initrd: Some(self.put("initrd", b"070701 is what a cpio archive begins with")?),
            ..Request::default()
        })
    }
}
