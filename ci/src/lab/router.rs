//! A router that runs: Debian's own kexec-tools and shell for mipsel, taken out of their packages into an initramfs. A test
//! adds what it wants to run.

use std::path::{Path, PathBuf};

use stoop::{Failure, Result};

use super::roots::{Cpio, gzipped};
use crate::apt::{Apt, only_file};
use crate::{cache, run};

/// Raised when the way of building changes what comes out.
const RECIPE: &[u8] = b"1";

/// Debian's packages, all of mipsel.
const PACKAGES: [&str; 3] = ["busybox-static", "kexec-tools", "libc6"];

/// What is taken of them, and where it goes: kexec with what its dynamic section names.
const FILES: [(&str, &str); 4] = [
    ("bin/busybox", "bin/busybox"),
    ("sbin/kexec", "sbin/kexec"),
    ("lib/mipsel-linux-gnu/ld.so.1", "lib/ld.so.1"),
    ("lib/mipsel-linux-gnu/libc.so.6", "lib/libc.so.6"),
];

/// Runs `/router.sh`, which a test adds, and stays: switching off would cut what the console has not sent yet.
const INIT: &str = "#!/bin/sh\n\
    /bin/busybox --install -s /bin\n\
    export PATH=/bin:/sbin\n\
    mount -t proc proc /proc\n\
    mount -t sysfs sys /sys\n\
    sh /router.sh\n\
    exec tail -f /dev/null\n";

fn package(place: &Path, name: &str) -> Result<PathBuf> {
    only_file(&place.join("debian").join(name), ".deb")
}

/// Whether every package is there.
pub(super) fn is_fetched(place: &Path) -> bool {
    PACKAGES.iter().all(|name| package(place, name).is_ok())
}

/// Downloads the packages that are missing.
pub(super) fn fetch(apt: &Apt, place: &Path) -> Result<()> {
    for name in PACKAGES.iter().filter(|name| package(place, name).is_err()) {
        apt.package(&format!("^{name}$"), &place.join("debian").join(name))?;
    }
    Ok(())
}

/// Where the result belongs.
pub(super) fn folder(place: &Path) -> Result<PathBuf> {
    let mut parts = vec![RECIPE.to_vec(), INIT.into()];
    for name in PACKAGES {
        // The version is in the file's name.
        parts.push(package(place, name)?.file_name().unwrap_or_default().as_encoded_bytes().to_vec());
    }
    let key = cache::key(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
    Ok(place.join(format!("router-le-{key}")))
}

/// Builds it when it is missing.
pub(super) fn build(place: &Path) -> Result<()> {
    let folder = folder(place)?;
    if folder.exists() {
        return Ok(());
    }
    run::step("lab: a router with Debian's kexec-tools", || {
        let tree = tempfile::tempdir_in(place).map_err(|error| Failure::io(place, &error))?;
        for name in PACKAGES {
            let mut unpack = run::command("dpkg-deb");
            unpack.arg("-x").arg(package(place, name)?).arg(tree.path());
            run::logged(&mut unpack, &place.join("log/router-unpack"))?;
        }
        let mut archive = Cpio::default();
        for name in ["bin", "dev", "lib", "proc", "sbin", "sys", "tmp"] {
            archive.entry(name, 0o040_755, (0, 0), &[]);
        }
        // The console must be there before anything is mounted.
        archive.entry("dev/console", 0o020_600, (5, 1), &[]);
        archive.entry("dev/null", 0o020_666, (1, 3), &[]);
        archive.entry("bin/sh", 0o120_777, (0, 0), b"busybox");
        archive.entry("init", 0o100_755, (0, 0), INIT.as_bytes());
        for (from, to) in FILES {
            archive.entry(to, 0o100_755, (0, 0), &cache::read(&tree.path().join(from))?);
        }
        let image = gzipped(&archive.finish())?;
        cache::folder(&folder, |draft| cache::write(&draft.join("initramfs.cpio.gz"), &image))
    })
}

/// The router's initramfs with more files, executable: a kernel unpacks archives one behind the other
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
pub(super) fn with_files(router: &Path, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut image = cache::read(&router.join("initramfs.cpio.gz"))?;
    image.resize(image.len().next_multiple_of(4), 0);
    let mut archive = Cpio::default();
    for (name, bytes) in files {
        archive.entry(name, 0o100_755, (0, 0), bytes);
    }
    image.extend(archive.finish());
    Ok(image)
}
