//! What is packed for arm64: a kernel's Image, a device tree, a root file system, an initrd.

use std::path::PathBuf;

use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_samples::failure::{Failure, Result};
use stoop_samples::squashfs;
use tempfile::TempDir;
use vm_fdt::FdtWriter;

/// A kernel that takes everything.
const CONFIG: &str = "CONFIG_ARM64=y\nCONFIG_OF=y\nCONFIG_MTD=y\nCONFIG_MTD_PHRAM=y\nCONFIG_MTD_BLOCK=y\nCONFIG_BLOCK=y\n\
    CONFIG_SQUASHFS=y\nCONFIG_SQUASHFS_XZ=y\nCONFIG_DEVTMPFS=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n";

/// Bytes of the kernel, of what it clears at least, of the root file system.
const KERNEL: u32 = 0x4000;
const BSS: u64 = 0x2000;
const ROOTFS: usize = 0x2345;

/// The files that a request names.
pub struct Parts {
    folder: TempDir,
}

impl Parts {
    /// Puts them into a folder that goes with it.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn new() -> Result<Parts> {
        let folder = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
        let parts = Parts { folder };
        let files: [(&str, &[u8]); 5] = [
            ("Image", &image()),
            ("config", CONFIG.as_bytes()),
            ("root.squashfs", &squashfs(ROOTFS)),
            ("initrd", b"070701 is what a cpio archive begins with"),
            ("board.dtb", &tree(b"console=ttyS0 own.word=1")?),
        ];
        for (name, bytes) in files {
            let path = parts.path(name);
            std::fs::write(&path, bytes).map_err(|error| Failure::io(&path, &error))?;
        }
        Ok(parts)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A request for this board, with a packed tree or for the bootloader's.
    pub fn request(&self, board: &str, format: Format, codec: CodecChoice, packed_tree: bool) -> Request {
        Request {
            board: board.into(),
            kernel: self.path("Image"),
            config: Some(self.path("config")),
            rootfs: Some(self.path("root.squashfs")),
            initrd: Some(self.path("initrd")),
            dtb: packed_tree.then(|| self.path("board.dtb")),
            bootloader_dtb: !packed_tree,
            codec,
            format: Some(format),
            ..Request::default()
        }
    }
}

/// An Image (Documentation/arch/arm64/booting.rst) of something that compresses, with a bss behind it.
fn image() -> Vec<u8> {
    let mut image = vec![0; 64];
    image.extend(b"Linux version 6.12.117 (test)\0");
    image.extend((0..KERNEL).map(|at| (at / 5) as u8 ^ ((at * at) >> 9) as u8));
    let size = (image.len() as u64).next_multiple_of(0x1000) + BSS;
    for (at, field) in [(16, size), (24, 0xa)] {
        image[at..at + 8].copy_from_slice(&field.to_le_bytes());
    }
    // A branch over the header.
    image[..4].copy_from_slice(&0x1400_0010u32.to_le_bytes());
    image[56..60].copy_from_slice(b"ARM\x64");
    image
}

/// A tree with these bootargs and memory, as arm64 has them.
///
/// # Errors
/// They are too long for it.
pub fn tree(bootargs: &[u8]) -> Result<Vec<u8>> {
    let write = || -> std::result::Result<Vec<u8>, vm_fdt::Error> {
        let mut tree = FdtWriter::new()?;
        let root = tree.begin_node("")?;
        tree.property_u32("#address-cells", 2)?;
        tree.property_u32("#size-cells", 2)?;
        let memory = tree.begin_node("memory@40000000")?;
        tree.property_string("device_type", "memory")?;
        tree.property_array_u64("reg", &[0x4000_0000, 0x1000_0000])?;
        tree.end_node(memory)?;
        let chosen = tree.begin_node("chosen")?;
        tree.property("bootargs", &[bootargs, b"\0"].concat())?;
        tree.end_node(chosen)?;
        tree.end_node(root)?;
        tree.finish()
    };
    write().map_err(|error| Failure::new(format!("the device tree cannot be made: {error}")))
}
