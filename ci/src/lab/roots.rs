//! The root file systems: the init and a file of known bytes, as squashfs and as initramfs.

use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::{Compression, GzBuilder};
use stoop_samples::failure::{Failure, Result};

use super::recipe::init_bytes;
use crate::endian::Endian;
use crate::{cache, run};

/// Raised when the way of building changes what comes out.
const RECIPE: &[u8] = b"1";

/// The size of `/big` in the squashfs, in bytes.
pub const BIG_SIZE: usize = 2 << 20;

/// The size of `/big` in the initramfs, in bytes.
const SMALL_SIZE: usize = 256 << 10;

/// The CRC-32 of `/big` in the squashfs.
pub const BIG_CRC: u32 = 0x900a_10d3;

/// Where an endianness's files belong.
pub(super) fn folder(place: &Path, endian: Endian) -> Result<PathBuf> {
    Ok(place.join(format!("root-{}-{}", endian.tag(), key(&init_bytes(endian)?))))
}

/// What a folder with this init has in its name.
pub(super) fn key(init: &[u8]) -> String {
    cache::key(&[RECIPE, init])
}

/// Builds them when they are missing.
pub(super) fn build(place: &Path, endian: Endian) -> Result<()> {
    build_in(place, &folder(place, endian)?, endian.tag(), &init_bytes(endian)?)
}

/// Builds them with this init in this folder when it is missing.
pub(super) fn build_in(place: &Path, folder: &Path, name: &str, init: &[u8]) -> Result<()> {
    if folder.exists() {
        return Ok(());
    }
    run::step(&format!("lab: root file systems {name}"), || {
        cache::folder(folder, |draft| {
            let tree = tempfile::tempdir_in(place).map_err(|error| Failure::io(place, &error))?;
            for name in ["dev", "proc", "sys"] {
                cache::create_dir(&tree.path().join(name))?;
            }
            cache::write(&tree.path().join("sbin/init"), init)?;
            cache::write(&tree.path().join("big"), &stoop_samples::noise(BIG_SIZE))?;
            let mut squash = run::command("mksquashfs");
            squash.arg(tree.path()).arg(draft.join("root.squashfs"));
            squash.args(["-comp", "xz", "-all-root", "-all-time", "0", "-mkfs-time", "0", "-root-mode", "755"]);
            squash.args(["-no-progress", "-quiet", "-processors", "1"]);
            run::logged(&mut squash, &place.join("log/squashfs"))?;
            cache::write(&draft.join("initramfs.cpio.gz"), &initramfs(init)?)?;
            cache::write(&draft.join("init"), init)
        })
    })
}

/// A gzipped cpio (format `newc`: Documentation/driver-api/early-userspace/buffer-format.rst) with `init` as `/init`.
///
/// # Errors
/// None in practice: it writes to memory.
pub fn initramfs(init: &[u8]) -> Result<Vec<u8>> {
    let mut archive = Cpio::default();
    for name in ["dev", "proc", "sys"] {
        archive.entry(name, 0o040_755, (0, 0), &[]);
    }
    // The console must be there before anything is mounted.
    archive.entry("dev/console", 0o020_600, (5, 1), &[]);
    archive.entry("init", 0o100_755, (0, 0), init);
    archive.entry("big", 0o100_644, (0, 0), &stoop_samples::noise(SMALL_SIZE));
    gzipped(&archive.finish())
}

/// The same bytes for the same input.
pub(super) fn gzipped(bytes: &[u8]) -> Result<Vec<u8>> {
    let failed = |error| Failure::new(format!("gzip: {error}"));
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(bytes).map_err(failed)?;
    gzip.finish().map_err(failed)
}

/// An archive in the making.
#[derive(Default)]
pub(super) struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

impl Cpio {
    /// Appends a file, folder (no data), link (to `data`) or device, by `mode` as in struct stat; all root's.
    pub(super) fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), data: &[u8]) {
        self.entries += 1;
        let links = if mode & 0o040_000 != 0 && mode & 0o020_000 == 0 { 2 } else { 1 };
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // inode, mode, uid, gid, links, time, size, the device it is on, the device it is, length of the name, checksum
        let fields = [self.entries, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0];
        self.bytes.extend(b"070701");
        self.bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
        self.bytes.extend(name.as_bytes());
        self.bytes.push(0);
        self.align();
        self.bytes.extend(data);
        self.align();
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_big_file_is_what_the_tests_expect() {
        let bytes = stoop_samples::noise(BIG_SIZE);
        assert_eq!(bytes.len(), BIG_SIZE);
        assert_eq!(crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&bytes), BIG_CRC);
    }

    #[test]
    fn cpio_itself_lists_the_initramfs() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("initramfs.cpio.gz");
        cache::write(&path, &initramfs(b"\x7fELFish").unwrap()).unwrap();
        let list = "gzip -dc < \"$1\" | cpio -itv --quiet";
        let listed = run::output(run::command("sh").args(["-c", list, "sh"]).arg(&path)).unwrap();
        for line in ["dev/console", "-rwxr-xr-x   1 root     root            7", "drwxr-xr-x   2", "5,   1"] {
            assert!(listed.contains(line), "no {line:?} in\n{listed}");
        }
    }
}
