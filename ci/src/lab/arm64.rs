//! The lab's arm64 side: one kernel of our own, Debian's stock ones, root file systems. Its U-Boot comes ready-made from
//! Debian's package u-boot-qemu.

use std::path::{Path, PathBuf};
use stoop_image::machine::Machine;

use stoop_kernel::kernel_build::build::{self, Request};
use stoop_samples::failure::{Failure, Result};

use super::recipe::{lock, missing, recipe, recipe_path};
use super::router::KEXEC;
use super::{kernel, roots, router};
use crate::apt::{Apt, only_file};
use crate::prebuilt;
use crate::{cache, run};

/// Raised when the way of building changes what comes out.
const RECIPE: &[u8] = b"1";

/// Debian's architecture.
const ARM64: &str = "arm64";

/// The kernel's configuration, in `hil-tests/lab`.
const CONFIG: &str = "arm64.config";

/// Debian's own kernels: a name for the cache, and a pattern for the package.
const DEBIAN: [(&str, &str); 2] = [
    ("arm64-6.1", r"^linux-image-6[.]1[.][0-9]+-[0-9]+-arm64$"),
    ("arm64-6.12", r"^linux-image-6[.]12[.][0-9]+[+]deb12-arm64$"),
];

/// Debian's package u-boot-qemu puts it here.
const UBOOT: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";

/// Paths into a complete arm64 lab.
#[derive(Clone, Debug)]
pub struct Arm64 {
    place: PathBuf,
    kernel: PathBuf,
    root: PathBuf,
    router: PathBuf,
}

impl Arm64 {
    /// Finds what this checkout calls for.
    ///
    /// # Errors
    /// Names what is missing, and `cargo ci lab` as the way to get it.
    pub fn open() -> Result<Arm64> {
        let place = cache::root()?.join("lab");
        let there = |path: PathBuf, what: &str| if path.exists() { Ok(path) } else { Err(missing(what)) };
        let kernel = there(kernel_folder(&place)?, "arm64 kernel")?;
        let root = there(root_folder(&place)?, "arm64 root file system")?;
        there(UBOOT.into(), "U-Boot for arm64")?;
        for (name, _) in DEBIAN {
            debian(&place, name)?;
        }
        let router = KEXEC.open(&place, ARM64)?;
        Ok(Arm64 { place, kernel, root, router })
    }

    /// The lab's kernel: phram, squashfs and kexec built in.
    pub fn image(&self) -> PathBuf {
        self.kernel.join("Image")
    }

    /// As [`super::Lab::squashfs`].
    pub fn squashfs(&self) -> PathBuf {
        self.root.join("root.squashfs")
    }

    /// As [`super::Lab::initramfs`].
    pub fn initramfs(&self) -> PathBuf {
        self.root.join("initramfs.cpio.gz")
    }

    /// As [`super::Lab::router`].
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn router(&self, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        router::with_files(&self.router, files)
    }

    /// Debian's packages, oldest first.
    ///
    /// # Errors
    /// One was not downloaded.
    pub fn debian_kernels(&self) -> Result<Vec<PathBuf>> {
        DEBIAN.iter().map(|(name, _)| debian(&self.place, name)).collect()
    }

    /// The device trees in Debian's packages, some 1,600 (its MIPS kernels bring none); taken out of them once.
    ///
    /// # Errors
    /// When a package cannot be unpacked.
    pub fn device_trees(&self) -> Result<Vec<PathBuf>> {
        let mut trees = Vec::new();
        for (name, _) in DEBIAN {
            let folder = self.place.join("debian-trees").join(name);
            let package = debian(&self.place, name)?;
            cache::folder(&folder, |draft| unpack_trees(&package, draft))?;
            find(&folder, &mut trees)?;
        }
        trees.sort();
        Ok(trees)
    }
}

/// Those of one package, without the rest of it.
fn unpack_trees(package: &Path, to: &Path) -> Result<()> {
    let everything = to.join("data.tar");
    let file = std::fs::File::create(&everything).map_err(|error| Failure::io(&everything, &error))?;
    run::shown(run::command("dpkg-deb").arg("--fsys-tarfile").arg(package).stdout(file))?;
    run::shown(run::command("tar").arg("-xf").arg(&everything).arg("-C").arg(to).args(["--wildcards", "*.dtb"]))?;
    std::fs::remove_file(&everything).map_err(|error| Failure::io(&everything, &error))
}

/// The device trees below `folder`.
fn find(folder: &Path, to: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|error| Failure::io(folder, &error))? {
        let path = entry.map_err(|error| Failure::io(folder, &error))?.path();
        if path.is_dir() {
            find(&path, to)?;
        } else if path.extension().is_some_and(|ending| ending == "dtb") {
            to.push(path);
        }
    }
    Ok(())
}

/// Builds and fetches what is missing, the caller holding the lab's lock.
pub(super) fn build(place: &Path) -> Result<()> {
    if !Path::new(UBOOT).exists() {
        return Err(Failure::new(format!("{UBOOT} is missing")).next("install Debian's package u-boot-qemu"));
    }
    fetch(place, &DEBIAN, true)?;
    KEXEC.build(place, ARM64)?;
    let init = cache::read(&prebuilt::init(Machine::Arm64))?;
    roots::build_in(place, &root_folder(place)?, ARM64, &init)?;
    let folder = kernel_folder(place)?;
    if folder.exists() {
        return Ok(());
    }
    let hash = kernel::source_hash(place)?;
    let request = Request {
        source: place.join(format!("build/linux-arm64-tree-{}", &hash[..12])),
        architecture: ARM64.to_owned(),
        is_big: false,
        fragments: vec![recipe_path(CONFIG)],
        base: "allnoconfig".to_owned(),
        patches: Vec::new(),
        modules: false,
        cross_compile: Some("aarch64-linux-gnu-".to_owned()),
        jobs: std::thread::available_parallelism().map_or(2, usize::from),
        out: place.join("build/out-arm64"),
    };
    kernel::unpack(place, &request.source)?;
    run::step("lab: kernel arm64 (4 minutes on two cores)", || {
        build::build(&request, &mut kernel::Beat::default()).map_err(|failure| failure.within("arm64"))?;
        cache::folder(&folder, |draft| kernel::copy_results(&request.out, draft))
    })
}

/// Fetches only the newest of Debian's kernels, and returns its package.
///
/// # Errors
/// What the first failing step says.
pub fn newest_debian() -> Result<PathBuf> {
    let place = cache::root()?.join("lab");
    let _lock = lock(&place)?;
    let [_, newest] = DEBIAN;
    fetch(&place, &[newest], false)?;
    debian(&place, newest.0)
}

/// Those of the kernels that are missing and, when `all` is wanted, the router's packages.
fn fetch(place: &Path, kernels: &[(&str, &str)], all: bool) -> Result<()> {
    let missing: Vec<_> = kernels.iter().filter(|(name, _)| debian(place, name).is_err()).collect();
    let router = all && !KEXEC.is_fetched(place, ARM64);
    if missing.is_empty() && !router {
        return Ok(());
    }
    let apt = run::step("lab: fetching Debian's package lists for arm64", || Apt::with_backports(ARM64, place))?;
    for (name, pattern) in missing {
        run::step(&format!("lab: downloading Debian's kernel {name}"), || {
            apt.package(pattern, &place.join("debian").join(name)).map(|_| ())
        })?;
    }
    if router {
        KEXEC.fetch(&apt, place, ARM64)?;
    }
    Ok(())
}

fn debian(place: &Path, name: &str) -> Result<PathBuf> {
    only_file(&place.join("debian").join(name), ".deb").map_err(|_| missing(&format!("Debian kernel {name}")))
}

fn kernel_folder(place: &Path) -> Result<PathBuf> {
    let source = kernel::source_hash(place)?;
    let key = cache::key(&[RECIPE, source.as_bytes(), recipe(CONFIG)?.as_bytes()]);
    Ok(place.join(format!("kernel-arm64-{key}")))
}

fn root_folder(place: &Path) -> Result<PathBuf> {
    let init = cache::read(&prebuilt::init(Machine::Arm64))?;
    Ok(place.join(format!("root-arm64-{}", roots::key(&init))))
}
