//! What the lab is made from: flavours of kernels, files of `hil-tests/lab`, packages in the cache.

use std::path::{Path, PathBuf};

use stoop_samples::failure::{Failure, Result};

use crate::apt::only_file;
use crate::endian::Endian;
use crate::{cache, prebuilt};

/// What a lab kernel was configured for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Flavour {
    /// Takes its command line from the device tree, and the tree by UHI: what stoop boots.
    Lab,
    /// CONFIG_MIPS_CMDLINE_DTB_EXTEND: joins the device tree's and the bootloader's arguments itself.
    Oracle,
    /// CONFIG_MIPS_CMDLINE_FROM_BOOTLOADER and CONFIG_MIPS_ELF_APPENDED_DTB: for the appended handoff.
    Slot,
    /// As [`Flavour::Lab`], with squashfs, phram and mtdblock as modules.
    Modular,
    /// As [`Flavour::Lab`], with pstore, SysRq and ways to crash. Its symbol table has the functions of an oops.
    Crash,
    /// Malta's own, with PCI and network, for a system that runs and is reached by ssh; Debian has programs for it of one byte order.
    /// As [`Flavour::Crash`] it can crash, and it has debug information: since all of it is compiled anew, that costs little here.
    Malta,
}

impl Flavour {
    /// All of a byte order, in the order in which one build tree makes them. The modular one is the last, since a test builds it again, and
    /// Malta's the first, since nothing of it is of use to the others.
    pub fn all(endian: Endian) -> &'static [Flavour] {
        use Flavour::{Crash, Lab, Malta, Modular, Oracle, Slot};
        match endian {
            Endian::Little => &[Malta, Lab, Oracle, Slot, Crash, Modular],
            Endian::Big => &[Lab, Oracle, Slot, Crash, Modular],
        }
    }

    /// As in file names.
    pub fn tag(self) -> &'static str {
        match self {
            Flavour::Lab => "lab",
            Flavour::Oracle => "oracle",
            Flavour::Slot => "slot",
            Flavour::Modular => "modular",
            Flavour::Crash => "crash",
            Flavour::Malta => "malta",
        }
    }

    /// Its configuration: files of `hil-tests/lab`, a later one wins.
    pub(super) fn fragments(self) -> &'static [&'static str] {
        match self {
            Flavour::Lab => &["kernel.config"],
            Flavour::Oracle => &["kernel.config", "oracle.config"],
            Flavour::Slot => &["kernel.config", "slot.config"],
            Flavour::Modular => &["kernel.config", "modular.config"],
            Flavour::Crash => &["kernel.config", "crash.config"],
            Flavour::Malta => &["kernel.config", "crash.config", "malta.config"],
        }
    }
}

pub(super) fn missing(what: &str) -> Failure {
    Failure::new(format!("the lab has no {what}")).next("run `cargo ci lab`")
}

pub(super) fn lock(place: &Path) -> Result<cache::Lock> {
    cache::Lock::take(place, || eprintln!("lab: another process builds in this cache; waiting for it"))
}

pub(super) fn debian_kernel(place: &Path, name: &str) -> Result<PathBuf> {
    only_file(&place.join("debian").join(name), ".deb").map_err(|_| missing(&format!("Debian kernel {name}")))
}

/// The init's bytes for an endianness, as they are in the repository.
///
/// # Errors
/// When the file is missing.
pub(super) fn init_bytes(endian: Endian) -> Result<Vec<u8>> {
    cache::read(&prebuilt::init(endian))
}

/// A file of the repository's `hil-tests/lab`.
///
/// # Errors
/// When it cannot be read.
pub(super) fn recipe(name: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&cache::read(&recipe_path(name))?).into_owned())
}

pub(super) fn recipe_path(name: &str) -> PathBuf {
    crate::repository().join("hil-tests/lab").join(name)
}
