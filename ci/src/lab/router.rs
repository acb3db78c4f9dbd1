//! A router that runs: Debian's own shell and tools, taken out of their packages into an initramfs. A test adds what it wants to
//! run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use stoop_samples::failure::{Failure, Result};

use super::recipe::missing;
use super::roots::{Cpio, gzipped};
use crate::apt::{Apt, files};
use crate::{cache, elf, run};

/// Raised when the way of building changes what comes out.
const RECIPE: &[u8] = b"3";

/// What a router has beside its shell.
pub(super) struct Tools {
    /// In the cache and in messages.
    name: &'static str,
    /// Debian's packages. What they depend on comes along: kexec-tools for arm64 are linked to Xen's libraries.
    packages: &'static [&'static str],
    /// What is taken of them, with the libraries that it is linked to.
    programs: &'static [&'static str],
}

/// Loads another kernel.
pub(super) const KEXEC: Tools =
    Tools { name: "router", packages: &["busybox-static", "kexec-tools"], programs: &["bin/busybox", "sbin/kexec"] };

/// Is reached by ssh, and writes its flash.
pub(super) const SSH: Tools = Tools {
    name: "ssh",
    packages: &["busybox-static", "dropbear-bin", "mtd-utils"],
    programs: &[
        "bin/busybox",
        "usr/bin/dropbearkey",
        "usr/sbin/dropbear",
        "usr/sbin/flash_erase",
        "usr/sbin/flashcp",
        "usr/sbin/mtd_debug",
    ],
};

/// Runs `/router.sh`, which a test adds, and stays: switching off would cut what the console has not sent yet.
const INIT: &str = "#!/bin/sh\n\
    /bin/busybox --install -s /bin\n\
    export PATH=/bin:/sbin\n\
    mount -t proc proc /proc\n\
    mount -t sysfs sys /sys\n\
    sh /router.sh\n\
    exec tail -f /dev/null\n";

impl Tools {
    /// The packages of one of Debian's architectures.
    fn folder_of_packages(&self, place: &Path, architecture: &str) -> PathBuf {
        place.join("debian").join(format!("{}-{architecture}", self.name))
    }

    /// Whether every package is there.
    pub(super) fn is_fetched(&self, place: &Path, architecture: &str) -> bool {
        self.folder_of_packages(place, architecture).exists()
    }

    /// Downloads the packages; `apt` is one of that architecture.
    pub(super) fn fetch(&self, apt: &Apt, place: &Path, architecture: &str) -> Result<()> {
        run::step(&format!("lab: downloading Debian's {} for {architecture}", self.packages.join(", ")), || {
            apt.packages(self.packages, &self.folder_of_packages(place, architecture))
        })
    }

    /// Where the result is, when it is there.
    pub(super) fn open(&self, place: &Path, architecture: &str) -> Result<PathBuf> {
        let lacks = || missing(&format!("router with {} for {architecture}", self.packages.join(", ")));
        let folder = self.folder(place, architecture).map_err(|_| lacks())?;
        if folder.exists() { Ok(folder) } else { Err(lacks()) }
    }

    fn folder(&self, place: &Path, architecture: &str) -> Result<PathBuf> {
        let mut parts = vec![RECIPE.to_vec(), INIT.into(), self.programs.join(" ").into()];
        for package in files(&self.folder_of_packages(place, architecture), ".deb")? {
            // The version is in the file's name.
            parts.push(package.file_name().unwrap_or_default().as_encoded_bytes().to_vec());
        }
        let key = cache::key(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        Ok(place.join(format!("{}-{architecture}-{key}", self.name)))
    }

    /// Builds it when it is missing.
    pub(super) fn build(&self, place: &Path, architecture: &str) -> Result<()> {
        let folder = self.folder(place, architecture)?;
        if folder.exists() {
            return Ok(());
        }
        run::step(&format!("lab: a router with {} for {architecture}", self.packages.join(", ")), || {
            let tree = tempfile::tempdir_in(place).map_err(|error| Failure::io(place, &error))?;
            for package in files(&self.folder_of_packages(place, architecture), ".deb")? {
                let mut unpack = run::command("dpkg-deb");
                unpack.arg("-x").arg(package).arg(tree.path());
                run::logged(&mut unpack, &place.join("log/router-unpack"))?;
            }
            let image = gzipped(&self.archive(tree.path())?)?;
            cache::folder(&folder, |draft| cache::write(&draft.join("initramfs.cpio.gz"), &image))
        })
    }

    /// What the router runs from, out of the unpacked packages.
    fn archive(&self, tree: &Path) -> Result<Vec<u8>> {
        let mut archive = Cpio::default();
        for name in ["bin", "dev", "lib", "proc", "sbin", "sys", "tmp", "usr", "usr/bin", "usr/sbin"] {
            archive.entry(name, 0o040_755, (0, 0), &[]);
        }
        // The console must be there before anything is mounted.
        archive.entry("dev/console", 0o020_600, (5, 1), &[]);
        archive.entry("dev/null", 0o020_666, (1, 3), &[]);
        archive.entry("bin/sh", 0o120_777, (0, 0), b"busybox");
        archive.entry("init", 0o100_755, (0, 0), INIT.as_bytes());
        let mut libraries = BTreeMap::new();
        for name in self.programs {
            let program = cache::read(&tree.join(name))?;
            collect(tree, &program, &mut libraries)?;
            archive.entry(name, 0o100_755, (0, 0), &program);
        }
        for (name, bytes) in libraries {
            archive.entry(&format!("lib/{name}"), 0o100_755, (0, 0), &bytes);
        }
        Ok(archive.finish())
    }
}

/// What a program needs, and what that needs, by name; all of it belongs in `/lib`, where every loader of Debian's looks.
fn collect(tree: &Path, program: &[u8], libraries: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for name in elf::needed(program)? {
        if libraries.contains_key(&name) {
            continue;
        }
        let path = ["lib", "usr/lib"].iter().find_map(|folder| find(&tree.join(folder), &name));
        let bytes = cache::read(&path.ok_or_else(|| Failure::new(format!("no package has {name}")))?)?;
        libraries.insert(name, bytes.clone());
        collect(tree, &bytes, libraries)?;
    }
    Ok(())
}

/// A file with that name in a folder or below it.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let here = folder.join(name);
    if here.is_file() {
        return Some(here);
    }
    let folders = std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<_> = folders.filter(|path| path.is_dir() && !path.is_symlink()).collect();
    folders.sort();
    folders.iter().find_map(|folder| find(folder, name))
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
