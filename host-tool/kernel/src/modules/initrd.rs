//! The bundle of modules in an image's initrd: an uncompressed archive of its own, in front of the user's.
//!
//! The kernel unpacks one archive behind the other, each plain or compressed, with zeros between them, and a later file
//! takes an earlier one's place (`init/initramfs.c`, `unpack_to_rootfs`).

use std::path::{Path, PathBuf};

use super::bundle::Bundle;
use super::cpio;
use super::requirement::{self, Catalogue, stem};
use super::symbols;
use super::tree::{Source, Tree};
use crate::Result;
use crate::modules::Error;
use stoop_image::format::codec::Codec;
use stoop_image::input::initrd::{Initrd, Needs};
use stoop_image::input::kernel::Kernel;
use stoop_image::plan::{Plan, Request};
use stoop_image::progress::Progress;

/// An initrd that decompresses to more than this is no initrd for a router.
const LARGEST: u64 = 512 << 20;

/// Which modules an image shall carry.
#[derive(Clone, Default, Debug)]
pub struct ModuleSelection {
    /// The kernel's `lib/modules/VERSION`.
    pub directory: PathBuf,
    /// Requirements, with or without `@`, and modules; a requirement's name counts before a module's.
    pub names: Vec<String>,
    /// Requirements in files, all of them wanted.
    pub requirements: Vec<PathBuf>,
    /// The kernel's `Module.symvers`, when the kernel's own tables cannot be read.
    pub symvers: Option<PathBuf>,
}

impl ModuleSelection {
    /// Every file that is read, but for the modules.
    pub fn inputs(&self) -> impl Iterator<Item = &Path> {
        self.requirements.iter().chain(&self.symvers).map(PathBuf::as_path)
    }
}

/// What went into the image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Included {
    /// The kernel's release, which the modules' directory is named after.
    pub version: String,
    /// Paths in the initrd, in load order.
    pub order: Vec<String>,
    /// Names that the kernel contains.
    pub builtin: Vec<String>,
    /// The services in the order in which they come up.
    pub services: Vec<String>,
    /// Where the kernel's exports were read.
    pub symbols: String,
    /// Where the configuration was read, if one is known.
    pub config: Option<String>,
    /// Bytes of the modules.
    pub module_bytes: u64,
    /// Bytes of the archive.
    pub archive_bytes: usize,
    /// What the user should know: soft dependencies that were not followed.
    pub notes: Vec<String>,
}

/// The plan for an image whose initrd has these modules in front of the user's, and what they are.
///
/// # Errors
/// As for [`Plan::resolve`] and [`with_modules`].
pub fn plan_with(
    selection: &ModuleSelection,
    request: &Request,
    progress: &mut dyn Progress,
) -> Result<(Plan, Included)> {
    let mut included = None;
    let mut ramdisk = |kernel: &Kernel, own: Option<Initrd>, progress: &mut dyn Progress| -> Result<_> {
        progress.step("checking the modules", None);
        let own = request.initrd.as_deref().zip(own);
        let (initrd, modules) = with_modules(selection, &request.kernel, kernel, own)?;
        included = Some(modules);
        Ok(Some(initrd))
    };
    let plan = Plan::resolve_with(request, &mut ramdisk, progress)?;
    let included = included.ok_or_else(|| Error::NoInitrd)?;
    Ok((plan, included))
}

/// Proves that the kernel takes the modules, and puts their bundle in front of `own`, or makes it the initrd.
///
/// # Errors
/// What [`requirement::plan`] and [`Bundle::checked`] find, a kernel whose exports cannot be read, and an initrd in front of which no
/// archive can be put or which would overwrite a file of the bundle.
pub fn with_modules(
    selection: &ModuleSelection,
    kernel_file: &Path,
    kernel: &Kernel,
    own: Option<(&Path, Initrd)>,
) -> Result<(Initrd, Included)> {
    let tree = Tree::open(&selection.directory, Source::Auto)?;
    let config = match &kernel.config {
        Some(config) => Some(config.clone()),
        None => tree.config_beside()?,
    };
    let catalogue = Catalogue::with_files(&selection.requirements)?;
    let known = catalogue.names();
    let full = |name: &String| if known.contains(&name.as_str()) { format!("@{name}") } else { name.clone() };
    let mut names: Vec<String> = selection.names.iter().map(full).collect();
    names.extend(selection.requirements.iter().map(|file| format!("@{}", stem(file))));
    let plan = requirement::plan(&tree, &names, &catalogue, config.as_ref())?;
    let exports = match &selection.symvers {
        Some(path) => {
            let own = kernel.proper().and_then(|(image, _)| symbols::find_vermagic(&image).map(str::to_owned));
            symbols::Kernel { vermagic: own, ..symbols::Kernel::from_symvers(path)? }
        }
        None => symbols::Kernel::of(kernel_file, kernel)?,
    };
    let bundle = Bundle::checked(&tree, &plan, &exports, config.as_ref())?;
    let mut bytes = bundle.cpio();
    let included = Included {
        version: tree.version().to_owned(),
        order: bundle.order.clone(),
        builtin: plan.resolution.builtin,
        services: plan.services.into_iter().map(|service| service.name).collect(),
        symbols: exports.source,
        config: config.map(|config| config.source().to_owned()),
        module_bytes: bundle.module_bytes,
        archive_bytes: bytes.len(),
        notes: plan.resolution.notes,
    };
    let Some((path, own)) = own else {
        // Without an /init the kernel mounts root= over it (`init/main.c`, `kernel_init_freeable`).
        let warning = "the initrd has only the modules: nothing loads them unless the kernel has an init of its own built \
                       in; give one that calls /load.sh with --initrd";
        return Ok((Initrd { bytes, needs: Needs::default(), warning: Some(warning.to_owned()) }, included));
    };
    // init/initramfs.c takes a file system only when it stands alone.
    let image = own.needs.image.map(|image| format!("it is {image}"));
    if let Some(warning) = own.warning.or(image) {
        return Err(Error::NotInFront { why: warning }.into());
    }
    no_conflict(&bundle, &own.bytes).map_err(|failure| failure.within(path.display()))?;
    bytes.extend_from_slice(&own.bytes);
    Ok((Initrd { bytes, needs: own.needs, warning: None }, included))
}

/// A file of the user's would take the place of the bundle's, and a link `lib -> usr/lib` would not be made where the
/// bundle has its directory `lib`.
fn no_conflict(bundle: &Bundle, initrd: &[u8]) -> Result<()> {
    for (path, is_directory) in contents(initrd)? {
        let Some((_, ours)) = bundle.entries().find(|(ours, _)| *ours == path) else { continue };
        if !(is_directory && *ours == cpio::Kind::Directory) {
            let what = if *ours == cpio::Kind::Directory { "a directory" } else { "a file" };
            return Err(Error::Conflict { path: path.to_string(), what }.into());
        }
    }
    Ok(())
}

/// The paths in an initrd, and whether each is a directory. What stands behind a compressed archive is not looked at.
fn contents(initrd: &[u8]) -> Result<Vec<(String, bool)>> {
    let mut found = Vec::new();
    let mut plain = |bytes: &[u8]| {
        let mut archive = cpio::Archive::new(bytes);
        found.extend(archive.by_ref().map(|entry| (entry.path.to_owned(), entry.is_directory)));
        archive.rest().len()
    };
    let rest = &initrd[initrd.len() - plain(initrd)..];
    if let Some(codec) = Codec::detect(rest) {
        plain(&codec.decode(rest, LARGEST)?);
    }
    Ok(found)
}

/// The load order in the initrd of a finished image; nothing when there is no bundle in front of it.
pub fn order_in(initrd: &[u8]) -> Option<Vec<String>> {
    let entry = cpio::Archive::new(initrd).find(|entry| entry.path == "order")?;
    let order: Vec<String> = std::str::from_utf8(entry.data).ok()?.lines().map(str::to_owned).collect();
    (!order.is_empty() && order.iter().all(|path| path.starts_with("lib/modules/"))).then_some(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(paths: &[(&str, cpio::Kind)]) -> Vec<u8> {
        cpio::archive(paths.iter().map(|(path, kind)| (*path, kind)))
    }

    #[test]
    fn archives_behind_each_other_are_all_looked_into_compressed_or_not() {
        let mut initrd = archive(&[("kernel", cpio::Kind::Directory), ("kernel/x", cpio::Kind::File(vec![1; 5]))]);
        initrd.extend(zstd::encode_all(archive(&[("init", cpio::Kind::Script(vec![2]))]).as_slice(), 1).unwrap());
        let expected = [("kernel", true), ("kernel/x", false), ("init", false)];
        assert_eq!(contents(&initrd).unwrap(), expected.map(|(path, is_directory)| (path.to_owned(), is_directory)));
    }

    #[test]
    fn a_damaged_archive_ends_where_the_damage_is() {
        let whole = archive(&[("a", cpio::Kind::File(vec![1; 100])), ("b", cpio::Kind::File(vec![2; 100]))]);
        for cut in 0..whole.len() {
            assert!(contents(&whole[..cut]).unwrap().len() <= 2);
        }
        let mut damaged = whole.clone();
        damaged[54..62].copy_from_slice(b"ffffffff");
        assert_eq!(contents(&damaged).unwrap(), []);
    }

    #[test]
    fn only_a_bundles_list_is_a_load_order() {
        let with = |text: &str| archive(&[("order", cpio::Kind::File(text.as_bytes().to_vec()))]);
        assert_eq!(order_in(&with("lib/modules/6/a.ko\n")), Some(vec!["lib/modules/6/a.ko".to_owned()]));
        for other in ["beer\n", ""] {
            assert_eq!(order_in(&with(other)), None);
        }
        assert_eq!(order_in(&archive(&[("init", cpio::Kind::Directory)])), None);
        assert_eq!(order_in(b"\x1f\x8b\x08"), None);
    }
}
