//! The oracle: a kernel with CONFIG_MIPS_CMDLINE_DTB_EXTEND, which joins the tree's and the bootloader's arguments itself.
//! What it shows in /proc/cmdline is what stoop must hand to a kernel that cannot.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use stoop_ci::lab::{Endian, Flavour, Lab, oracle_image};
use stoop_ci::{Failure, Result};

use crate::seen::Seen;
use crate::{Boot, Rig, Via, see};

/// Where U-Boot fetches the initramfs to: far from kernel and image.
const INITRD: u32 = 0x8400_0000;

/// Boots the oracle with this tree and these bootargs, and returns what its init saw.
///
/// Root is the lab's initramfs, which the tree is made to name, so that neither line needs a `root=`.
///
/// # Errors
/// It did not boot, its report is damaged, or the lab lacks something.
pub fn ask(rig: &mut dyn Rig, lab: &Lab, tree: &[u8], bootargs: Option<&str>, timeout: Duration) -> Result<Seen> {
    let endian = if rig.board().arch.is_big_endian() { Endian::Big } else { Endian::Little };
    let read = |path: &Path| std::fs::read(path).map_err(|error| Failure::io(path, &error));
    let initramfs = read(&lab.initramfs(endian))?;
    let tree = with_initrd(tree, initramfs.len())?;
    let image = oracle_image(&read(&lab.vmlinux(endian, Flavour::Oracle))?, &tree)?;
    let place = tempfile::tempdir().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    let path = place.path().join("oracle.uimage");
    std::fs::write(&path, image).map_err(|error| Failure::io(&path, &error))?;
    let files = [(INITRD, initramfs.as_slice())];
    let seen = see(rig, &Boot { image: &path, bootargs, files: &files, via: Via::Bootm }, timeout)?;
    rig.power_off()?;
    Ok(seen)
}

/// The tree with other bootargs; `None` deletes the property. Made by dtc's fdtput, which shares no code with stoop.
///
/// # Errors
/// fdtput is missing or fails.
pub fn with_bootargs(tree: &[u8], bootargs: Option<&str>) -> Result<Vec<u8>> {
    match bootargs {
        Some(line) => fdtput(tree, &[&["-t", "s", "TREE", "/chosen", "bootargs", line]]),
        None => fdtput(tree, &[&["-d", "TREE", "/chosen", "bootargs"]]),
    }
}

fn with_initrd(tree: &[u8], size: usize) -> Result<Vec<u8>> {
    let start = INITRD & 0x1fff_ffff;
    let (start, end) = (format!("{start:x}"), format!("{:x}", start as usize + size));
    let put = |name, value| ["-t", "x", "TREE", "/chosen", name, value];
    fdtput(tree, &[&put("linux,initrd-start", &start), &put("linux,initrd-end", &end)])
}

/// Runs fdtput with each list of words, where `TREE` stands for the file.
///
/// # Errors
/// fdtput is missing or fails.
pub fn fdtput(tree: &[u8], edits: &[&[&str]]) -> Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new().map_err(|error| Failure::io(&std::env::temp_dir(), &error))?;
    std::fs::write(file.path(), tree).map_err(|error| Failure::io(file.path(), &error))?;
    for words in edits {
        let mut command = Command::new("fdtput");
        for &word in *words {
            match word {
                "TREE" => command.arg(file.path()),
                word => command.arg(word),
            };
        }
        let status = command.status().map_err(|error| {
            Failure::new(format!("cannot start fdtput: {error}"))
                .next("install it (Debian: apt-get install device-tree-compiler)")
        })?;
        if !status.success() {
            return Err(Failure::new(format!("fdtput {words:?} failed ({status})")));
        }
    }
    std::fs::read(file.path()).map_err(|error| Failure::io(file.path(), &error))
}
