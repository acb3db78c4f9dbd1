//! What is packed: a kernel of a few instructions that says that it has arrived, a device tree, a root file system, an initrd.

use std::path::PathBuf;

use stoop_image::board::Board;
use stoop_image::plan::{HandoffChoice, Request};
use stoop_samples::failure::{Failure, Result};
use stoop_samples::{elf, squashfs, tree, version_and_configuration};
use tempfile::TempDir;

/// Configurations of kernels that take everything; how they get their command line is what differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// From the device tree: called by UHI.
    FromTree,
    /// From argc and argv.
    FromBootloader,
    /// From a device tree in a slot of its own, at whose place it looks first.
    FromSlot,
    /// From argc and argv, with a device tree in its slot.
    BesideSlot,
}

impl Line {
    /// Bytes of the kernel's slot for a device tree, behind its file (vmlinux.lds.S: RAW_APPENDED_DTB).
    fn slot(self) -> u32 {
        if matches!(self, Line::FromSlot | Line::BesideSlot) { 0x10_0000 } else { 0 }
    }

    fn handoff(self) -> HandoffChoice {
        match self {
            Line::FromTree => HandoffChoice::Uhi,
            Line::FromBootloader => HandoffChoice::Argv,
            Line::FromSlot | Line::BesideSlot => HandoffChoice::Appended,
        }
    }

    fn configuration(self) -> &'static str {
        match self {
            Line::FromTree => "CONFIG_MIPS_GENERIC_KERNEL=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=y\n",
            Line::FromBootloader => "CONFIG_ATH79=y\nCONFIG_MIPS_CMDLINE_FROM_BOOTLOADER=y\n",
            Line::FromSlot => {
                "CONFIG_MIPS_GENERIC_KERNEL=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=y\nCONFIG_MIPS_RAW_APPENDED_DTB=y\n"
            }
            Line::BesideSlot => {
                "CONFIG_ATH79=y\nCONFIG_MIPS_CMDLINE_FROM_BOOTLOADER=y\nCONFIG_MIPS_RAW_APPENDED_DTB=y\n"
            }
        }
    }
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
    let from = line.configuration();
    let config = format!(
        "CONFIG_OF=y\nCONFIG_MTD=y\nCONFIG_MTD_PHRAM=y\nCONFIG_MTD_BLOCK=y\nCONFIG_BLOCK=y\n\
         CONFIG_SQUASHFS=y\nCONFIG_SQUASHFS_XZ=y\nCONFIG_DEVTMPFS=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n{from}"
    );
    bytes.extend(version_and_configuration(&config));
    let filler = size.saturating_sub(bytes.len());
    bytes.extend((0..filler).map(|at| (at / 3) as u8 ^ (at >> 8) as u8));
    bytes
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
        let kernel = self.put(
            &format!("{name}.vmlinux"),
            &elf(board.arch.is_big_endian(), load, &kernel(board, line, KERNEL), line.slot() + BSS),
        )?;
        Ok(Request {
            board: name.clone(),
            handoff: line.handoff(),
            kernel,
            dtb: Some(self.put("board.dtb", &tree(b"console=ttyS0 own=1")?)?),
            rootfs: Some(self.put("root.squashfs", &squashfs(ROOTFS))?),
            initrd: Some(self.put("initrd", b"070701 is what a cpio archive begins with")?),
            ..Request::default()
        })
    }
}
