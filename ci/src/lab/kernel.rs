//! Linux from Debian's source package, built by `stoop kernel build`'s own function: one tree an endianness, in which one
//! flavour is built after the other, and one folder of results a flavour.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use stoop_image::progress::Progress;
use stoop_kernel::kernel_build::build::{self, Outcome, Request};
use stoop_samples::failure::{Failure, Result};

use super::recipe::{Flavour, recipe, recipe_path};
use crate::endian::Endian;
use crate::{cache, run};

/// From Debian's package linux-source-6.12.
const TARBALL: &str = "/usr/src/linux-source-6.12.tar.xz";

/// Raised when the way of building changes what comes out.
const RECIPE: &[u8] = b"2";

/// As in messages and file names: `lab-le`.
pub(super) fn name(endian: Endian, flavour: Flavour) -> String {
    format!("{}-{}", flavour.tag(), endian.tag())
}

/// What the source package contains, by its hash.
pub(super) fn source_hash(place: &Path) -> Result<String> {
    cache::hash_of_file(Path::new(TARBALL), place)
        .map_err(|failure| failure.next("install Debian's package linux-source-6.12"))
}

/// Where a flavour's results belong.
pub(super) fn folder(place: &Path, source: &str, endian: Endian, flavour: Flavour) -> Result<PathBuf> {
    let fragments = flavour.fragments().iter().map(|fragment| recipe(fragment)).collect::<Result<Vec<_>>>()?;
    let mut parts = vec![RECIPE, source.as_bytes(), endian.tag().as_bytes()];
    parts.extend(fragments.iter().map(String::as_bytes));
    Ok(place.join(format!("kernel-{}-{}", name(endian, flavour), cache::key(&parts))))
}

/// Builds the flavours that are missing.
pub(super) fn build(place: &Path, endian: Endian) -> Result<()> {
    let hash = source_hash(place)?;
    for &flavour in Flavour::all(endian) {
        let folder = folder(place, &hash, endian, flavour)?;
        if folder.exists() {
            continue;
        }
        let request = request(place, &hash, endian, flavour);
        unpack(place, &request.source)?;
        let name = name(endian, flavour);
        run::step(&format!("lab: kernel {name} (up to 4 minutes on two cores)"), || {
            build::build(&request, &mut Beat::default()).map_err(|failure| failure.within(&name))?;
            cache::folder(&folder, |draft| copy_results(&request.out, draft))
        })?;
    }
    Ok(())
}

/// Builds a flavour again, with more fragments, and leaves the results in the folder it returns.
pub(super) fn rebuild(place: &Path, endian: Endian, flavour: Flavour, more: &[PathBuf]) -> Result<(PathBuf, Outcome)> {
    let mut request = request(place, &source_hash(place)?, endian, flavour);
    request.fragments.extend_from_slice(more);
    unpack(place, &request.source)?;
    let outcome = build::build(&request, &mut Beat::default())?;
    Ok((request.out, outcome))
}

/// What `stoop kernel build` is asked for. The tree is the endianness's own; every flavour has its own folder of results.
pub(super) fn request(place: &Path, hash: &str, endian: Endian, flavour: Flavour) -> Request {
    Request {
        source: place.join(format!("build/linux-{}-tree-{}", endian.tag(), &hash[..12])),
        architecture: "mips".to_owned(),
        is_big: endian == Endian::Big,
        fragments: flavour.fragments().iter().map(|fragment| recipe_path(fragment)).collect(),
        base: "allnoconfig".to_owned(),
        patches: Vec::new(),
        // Most flavours have none to build; Module.symvers comes with them.
        modules: true,
        cross_compile: Some(endian.cross().to_owned()),
        jobs: std::thread::available_parallelism().map_or(2, usize::from),
        out: place.join(format!("build/out-{}", name(endian, flavour))),
    }
}

/// The source tree, without what no MIPS build reads: two thirds of its bytes.
pub(super) fn unpack(place: &Path, tree: &Path) -> Result<()> {
    if tree.exists() {
        return Ok(());
    }
    run::step("lab: unpacking Linux's source", || {
        cache::folder(tree, |draft| {
            let mut tar = run::command("tar");
            tar.arg("-xf").arg(TARBALL).arg("-C").arg(draft).arg("--strip-components=1");
            tar.args(["--exclude=*/Documentation/*/*", "--exclude=*/drivers/gpu/drm/*/include/*"]);
            tar.args(["--exclude=*/tools/testing/*", "--exclude=*/sound/*.c", "--exclude=*/drivers/gpu/*.[ch]"]);
            tar.args(["--exclude=*/drivers/net/wireless/*.[ch]", "--exclude=*/drivers/media/*.[ch]"]);
            tar.args(["--exclude=*/drivers/staging/*.[ch]", "--exclude=*/drivers/infiniband/*.[ch]"]);
            run::logged(&mut tar, &place.join("log/kernel-unpack"))
        })
    })
}

/// The tree's next flavour would change what is a second name of its files.
pub(super) fn copy_results(from: &Path, to: &Path) -> Result<()> {
    for entry in std::fs::read_dir(from).map_err(|error| Failure::io(from, &error))? {
        let from = entry.map_err(|error| Failure::io(from, &error))?.path();
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            cache::create_dir(&to)?;
            copy_results(&from, &to)?;
        } else {
            std::fs::copy(&from, &to).map_err(|error| Failure::io(&from, &error))?;
        }
    }
    Ok(())
}

/// Says now and then what the build is at.
pub(super) struct Beat {
    begun: Instant,
    told: Instant,
}

impl Default for Beat {
    fn default() -> Self {
        Beat { begun: Instant::now(), told: Instant::now() }
    }
}

impl Progress for Beat {
    fn step(&mut self, _name: &str, _total: Option<u64>) {}

    fn at(&mut self, _done: u64) {}

    fn now(&mut self, what: &str) {
        if self.told.elapsed() >= Duration::from_secs(10) {
            eprintln!("  {:4} s  {what}", self.begun.elapsed().as_secs());
            self.told = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_has_a_folder_of_its_own() {
        let place = Path::new("lab");
        let kernels =
            Endian::ALL.into_iter().flat_map(|endian| Flavour::all(endian).iter().map(move |it| (endian, *it)));
        let mut folders: Vec<PathBuf> =
            kernels.map(|(endian, flavour)| folder(place, "source", endian, flavour).unwrap()).collect();
        let keys = |folders: &[PathBuf]| -> Vec<String> {
            let key = |path: &PathBuf| path.to_string_lossy().rsplit('-').next().unwrap_or_default().to_owned();
            folders.iter().map(key).collect()
        };
        let mut distinct = keys(&folders);
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), folders.len());
        // Another source, other kernels.
        folders.push(folder(place, "newer", Endian::Big, Flavour::Lab).unwrap());
        assert!(!distinct.contains(&keys(&folders)[folders.len() - 1]));
    }

    #[test]
    fn a_flavours_own_fragment_comes_behind_the_base() {
        let request = request(Path::new("lab"), "0123456789abcdef", Endian::Big, Flavour::Oracle);
        let names: Vec<_> = request.fragments.iter().map(|path| path.file_name().unwrap().to_owned()).collect();
        assert_eq!(names, ["kernel.config", "oracle.config"]);
    }
}
