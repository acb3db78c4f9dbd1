//! The lab: what the tests boot. [`build`] makes it in the cache, [`Lab`] finds it there.

pub mod arm64;
mod kernel;
mod oracle;
mod recipe;
mod roots;
mod router;
mod stock;
mod uboot;

use std::path::{Path, PathBuf};

use stoop_kernel::kernel_build::build::Outcome;
use stoop_samples::failure::{Failure, Result};

use crate::apt::Apt;
pub use crate::endian::Endian;
use crate::{cache, run};

use recipe::{debian_kernel, lock, missing};
use router::{KEXEC, SSH};

pub use oracle::oracle_image;
pub use recipe::Flavour;
pub use roots::{BIG_CRC, BIG_SIZE, initramfs};

/// Debian's architecture for 32-bit little-endian MIPS; there is none for big endian.
const MIPSEL: &str = "mipsel";

/// Debian's own kernels, by the last part of their package names; all little endian.
pub const DEBIAN_KERNELS: [&str; 2] = ["mips32r2el", "4kc-malta"];

/// Paths into a complete lab.
#[derive(Clone, Debug)]
pub struct Lab {
    place: PathBuf,
    kernels: Vec<(Endian, Flavour, PathBuf)>,
    uboots: Vec<(Endian, PathBuf)>,
    roots: Vec<(Endian, PathBuf)>,
    router: PathBuf,
    ssh_router: PathBuf,
}

impl Lab {
    /// Finds what this checkout's configurations call for.
    ///
    /// # Errors
    /// Names what is missing, and `cargo ci lab` as the way to get it.
    pub fn open() -> Result<Lab> {
        let place = cache::root()?.join("lab");
        let there = |path: PathBuf, what: &str| {
            if path.exists() { Ok(path) } else { Err(missing(&format!("{what} ({})", path.display()))) }
        };
        let source = kernel::source_hash(&place)?;
        let mut kernels = Vec::new();
        let mut roots = Vec::new();
        let mut uboots = Vec::new();
        for endian in Endian::ALL {
            for &flavour in Flavour::all(endian) {
                let what = format!("kernel {}", kernel::name(endian, flavour));
                let path = kernel::folder(&place, &source, endian, flavour)?;
                kernels.push((endian, flavour, there(path, &what)?));
            }
            let path = roots::folder(&place, endian)?;
            roots.push((endian, there(path, &format!("root file system {}", endian.tag()))?));
            let path = uboot::folder(&place, endian).map_err(|_| missing("U-Boot source"))?;
            uboots.push((endian, there(path, &format!("U-Boot {}", endian.tag()))?));
        }
        let (router, ssh_router) = (KEXEC.open(&place, MIPSEL)?, SSH.open(&place, MIPSEL)?);
        let lab = Lab { kernels, roots, uboots, router, ssh_router, place };
        for name in DEBIAN_KERNELS {
            lab.debian_kernel(name)?;
            lab.debian_tree(name)?;
        }
        for endian in Endian::ALL {
            let path = lab.uboot(endian);
            there(path, "U-Boot")?;
        }
        Ok(lab)
    }

    /// The folder in the cache that holds everything.
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The kernel as ELF.
    pub fn vmlinux(&self, endian: Endian, flavour: Flavour) -> PathBuf {
        self.kernel_file(endian, flavour, "vmlinux")
    }

    /// The kernel as an ELF that unpacks itself to where the kernel is linked.
    pub fn vmlinuz(&self, endian: Endian, flavour: Flavour) -> PathBuf {
        self.kernel_file(endian, flavour, "vmlinuz")
    }

    /// The `lib/modules/VERSION` of a flavour that has modules.
    ///
    /// # Errors
    /// It has none.
    pub fn modules(&self, endian: Endian, flavour: Flavour) -> Result<PathBuf> {
        only_version(&self.kernel_file(endian, flavour, "lib/modules"))
    }

    /// The same of one of [`DEBIAN_KERNELS`].
    ///
    /// # Errors
    /// As for [`Lab::debian_tree`].
    pub fn debian_modules(&self, name: &str) -> Result<PathBuf> {
        only_version(&self.debian_tree(name)?.join("lib/modules"))
    }

    /// One of `vmlinux`, `vmlinuz`, `System.map`, `config`, `Module.symvers`.
    pub fn kernel_file(&self, endian: Endian, flavour: Flavour, name: &str) -> PathBuf {
        let found = self.kernels.iter().find(|kernel| kernel.0 == endian && kernel.1 == flavour);
        found.map(|kernel| kernel.2.join(name)).unwrap_or_default()
    }

    /// U-Boot for Malta as `u-boot.bin`: Debian's own for little endian, ours for big endian. Not padded, not swapped.
    pub fn uboot(&self, endian: Endian) -> PathBuf {
        match endian {
            Endian::Little => PathBuf::from(DEBIAN_UBOOT),
            Endian::Big => file_of(&self.uboots, endian, uboot::PLAIN),
        }
    }

    /// The same with the one change by which it writes QEMU's flash.
    pub fn flashing_uboot(&self, endian: Endian) -> PathBuf {
        file_of(&self.uboots, endian, uboot::FLASHING)
    }

    /// A squashfs with `/sbin/init`, which prints what it sees, and `/big` ([`BIG_SIZE`], [`BIG_CRC`]).
    pub fn squashfs(&self, endian: Endian) -> PathBuf {
        self.root_file(endian, "root.squashfs")
    }

    /// The same as a gzipped cpio with `/init`, and a smaller `/big`.
    pub fn initramfs(&self, endian: Endian) -> PathBuf {
        self.root_file(endian, "initramfs.cpio.gz")
    }

    /// An initramfs for little endian with Debian's kexec-tools and busybox, which runs `/router.sh` and then waits;
    /// with these files (names without the first slash), which are executable.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn router(&self, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        router::with_files(&self.router, files)
    }

    /// As [`Lab::router`], with Debian's SSH server dropbear and mtd-utils instead of kexec-tools.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn ssh_router(&self, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        router::with_files(&self.ssh_router, files)
    }

    /// The init itself, a static ELF.
    pub fn init(&self, endian: Endian) -> PathBuf {
        self.root_file(endian, "init")
    }

    /// Debian's package of one of [`DEBIAN_KERNELS`].
    ///
    /// # Errors
    /// When it was not downloaded.
    pub fn debian_kernel(&self, name: &str) -> Result<PathBuf> {
        debian_kernel(&self.place, name)
    }

    /// Debian's package of one of [`DEBIAN_KERNELS`], unpacked, with the `Module.symvers` of its headers package.
    ///
    /// # Errors
    /// When it was not unpacked.
    pub fn debian_tree(&self, name: &str) -> Result<PathBuf> {
        let tree = stock::folder(&self.place, name)?;
        if tree.exists() { Ok(tree) } else { Err(missing(&format!("unpacked Debian kernel {name}"))) }
    }

    /// Builds a flavour in its endianness's tree again, with more configuration fragments if there are any. Its results go
    /// to a folder beside the tree; what the lab holds stays.
    ///
    /// # Errors
    /// As for [`stoop_kernel::kernel_build::build::build`], or the tree cannot be made.
    pub fn rebuild(&self, endian: Endian, flavour: Flavour, more: &[PathBuf]) -> Result<(PathBuf, Outcome)> {
        let _lock = lock(&self.place)?;
        kernel::rebuild(&self.place, endian, flavour, more)
    }

    fn root_file(&self, endian: Endian, name: &str) -> PathBuf {
        file_of(&self.roots, endian, name)
    }
}

/// The one folder in a `lib/modules`.
fn only_version(all: &Path) -> Result<PathBuf> {
    let version = std::fs::read_dir(all).ok().and_then(|mut versions| versions.next()?.ok());
    version.map(|version| version.path()).ok_or_else(|| missing(&format!("modules ({})", all.display())))
}

/// A file of the folder that belongs to an endianness.
fn file_of(folders: &[(Endian, PathBuf)], endian: Endian, name: &str) -> PathBuf {
    let found = folders.iter().find(|folder| folder.0 == endian);
    found.map(|folder| folder.1.join(name)).unwrap_or_default()
}

/// Debian's package u-boot-qemu puts its little-endian Malta here.
const DEBIAN_UBOOT: &str = "/usr/lib/u-boot/maltael/u-boot.bin";

/// Builds and fetches what is missing.
///
/// # Errors
/// What the first failing step says.
pub fn build() -> Result<Lab> {
    let place = cache::root()?.join("lab");
    let _lock = lock(&place)?;
    if !Path::new(DEBIAN_UBOOT).exists() {
        return Err(Failure::new(format!("{DEBIAN_UBOOT} is missing")).next("install Debian's package u-boot-qemu"));
    }
    fetch(&place, &DEBIAN_KERNELS, true)?;
    for name in DEBIAN_KERNELS {
        stock::build(&place, name)?;
    }
    for endian in Endian::ALL {
        roots::build(&place, endian)?;
    }
    for tools in [KEXEC, SSH] {
        tools.build(&place, MIPSEL)?;
    }
    for endian in Endian::ALL {
        uboot::build(&place, endian)?;
        kernel::build(&place, endian)?;
    }
    arm64::build(&place)?;
    Lab::open()
}

/// Fetches only Debian's generic little-endian kernel, and returns its package.
///
/// # Errors
/// What the first failing step says.
pub fn debian() -> Result<PathBuf> {
    let place = cache::root()?.join("lab");
    let _lock = lock(&place)?;
    let [generic, _] = DEBIAN_KERNELS;
    fetch(&place, &[generic], false)?;
    debian_kernel(&place, generic)
}

/// Those of the Debian kernels that are missing and, when `all` is wanted, their headers, U-Boot's source and the routers'
/// packages.
fn fetch(place: &Path, kernels: &[&str], all: bool) -> Result<()> {
    let is_fetched = |name: &str| if all { stock::is_fetched(place, name) } else { debian_kernel(place, name).is_ok() };
    let missing: Vec<_> = kernels.iter().filter(|name| !is_fetched(name)).collect();
    let uboot = all && !uboot::source(place).exists();
    let tools: Vec<_> = [KEXEC, SSH].into_iter().filter(|tools| all && !tools.is_fetched(place, MIPSEL)).collect();
    if missing.is_empty() && !uboot && tools.is_empty() {
        return Ok(());
    }
    let apt = run::step("lab: fetching Debian's package lists for mipsel", || Apt::of(MIPSEL, place))?;
    for name in missing {
        run::step(&format!("lab: downloading Debian's kernel {name}"), || {
            let folder = place.join("debian").join(name);
            // Image and headers are of one version; the mirror has the headers of the newest one only.
            if folder.exists() {
                std::fs::remove_dir_all(&folder).map_err(|error| Failure::io(&folder, &error))?;
            }
            apt.package(&format!("^linux-image-[0-9].*-{name}$"), &folder)?;
            if all { stock::fetch(&apt, place, name) } else { Ok(()) }
        })?;
    }
    for tools in tools {
        tools.fetch(&apt, place, MIPSEL)?;
    }
    if uboot {
        run::step("lab: downloading Debian's U-Boot source", || uboot::fetch(&apt, place))?;
    }
    Ok(())
}
