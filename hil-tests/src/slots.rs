//! Images for the slots in flash, each with a name by which the system that runs is told from the others.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use stoop_ci::lab::{Endian, Lab};
use stoop_ci::{Failure, Result};
use stoop_image::image::flash::Flashing;
use stoop_image::plan::{Format, Request, RootfsIn};
use tempfile::NamedTempFile;

use crate::Packed;
use crate::packed::lab_request;
use crate::seen::Seen;

/// For a slot, with that root file system in its own partition, told apart by its command line.
///
/// # Errors
/// As for [`Packed::of`].
pub fn packed(lab: &Lab, endian: Endian, root: &Path, slot: char, name: &str) -> Result<Packed> {
    Packed::of(&Request {
        rootfs: Some(root.to_owned()),
        rootfs_in: RootfsIn::Flash,
        format: Some(Format::Nor),
        slot: Some(slot),
        append: Some(format!("system={name}")),
        ..lab_request(lab, endian)
    })
}

/// The name of the system, and that its root is the partition that belongs to it.
///
/// # Panics
/// It is another one.
pub fn system(seen: &Seen) -> String {
    let slot = seen.text("chosen/stoop/slot");
    assert_eq!((seen.text("root"), seen.text("root/type")), ("31:99".into(), "nor".into()));
    let mtd = seen.text("mtd");
    assert!(mtd.contains(&format!("mtd99: 00020000 00010000 \"rootfs-{slot}\"")), "{mtd}");
    let line = seen.cmdline();
    line.split(' ').find_map(|word| word.strip_prefix("system=")).unwrap_or_default().to_owned()
}

/// What goes where.
///
/// # Panics
/// It was not packed for flash.
pub fn flashing(packed: &Packed) -> &Flashing {
    packed.built.flash.as_ref().expect("packed for flash")
}

/// The lab's init as a squashfs of a few kilobytes.
///
/// # Errors
/// There is no mksquashfs, or no room.
///
/// # Panics
/// mksquashfs fails.
pub fn small_root(lab: &Lab, endian: Endian) -> Result<NamedTempFile> {
    let failed = |error: std::io::Error| Failure::new(format!("no root file system could be made: {error}"));
    let tree = tempfile::tempdir().map_err(failed)?;
    for name in ["dev", "proc", "sys", "sbin"] {
        std::fs::create_dir(tree.path().join(name)).map_err(failed)?;
    }
    std::fs::copy(lab.init(endian), tree.path().join("sbin/init")).map_err(failed)?;
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(tree.path().join("sbin/init"), executable).map_err(failed)?;
    let file = NamedTempFile::new().map_err(failed)?;
    let mut squash = std::process::Command::new("mksquashfs");
    squash.arg(tree.path()).arg(file.path()).args(["-noappend", "-comp", "xz", "-all-root", "-quiet", "-no-progress"]);
    let output = squash.output().map_err(failed)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(file)
}
