//! Debian's stock kernels unpacked: thousands of modules, and what their headers package says the kernel exports.

use std::path::{Path, PathBuf};

use stoop_samples::failure::{Failure, Result};

use super::recipe::{debian_kernel, missing};
use crate::apt::{Apt, only_file};
use crate::{cache, run};

/// Raised when the way of unpacking changes what comes out.
const RECIPE: &[u8] = b"1";

/// Where a kernel's headers package is, beside its image.
fn headers(place: &Path, name: &str) -> PathBuf {
    place.join("debian").join(name).join("headers")
}

/// Whether everything was downloaded.
pub(super) fn is_fetched(place: &Path, name: &str) -> bool {
    debian_kernel(place, name).is_ok() && only_file(&headers(place, name), ".deb").is_ok()
}

/// Downloads the headers of the kernel whose image is there.
pub(super) fn fetch(apt: &Apt, place: &Path, name: &str) -> Result<()> {
    let image = debian_kernel(place, name)?;
    let file = image.file_name().unwrap_or_default().to_string_lossy();
    let package = file.split('_').next().unwrap_or_default().replace("linux-image-", "linux-headers-");
    apt.package(&format!("^{package}$"), &headers(place, name)).map(|_| ())
}

/// Where a kernel's files belong.
pub(super) fn folder(place: &Path, name: &str) -> Result<PathBuf> {
    let image = debian_kernel(place, name)?;
    let headers =
        only_file(&headers(place, name), ".deb").map_err(|_| missing(&format!("headers of Debian kernel {name}")))?;
    // A package's file name has its version and architecture.
    let names = [&image, &headers].map(|path| path.file_name().unwrap_or_default().as_encoded_bytes());
    Ok(place.join(format!("debian-{name}-{}", cache::key(&[RECIPE, names[0], names[1]]))))
}

/// Unpacks it when it is missing.
pub(super) fn build(place: &Path, name: &str) -> Result<()> {
    let folder = folder(place, name)?;
    if folder.exists() {
        return Ok(());
    }
    run::step(&format!("lab: unpacking Debian's kernel {name}"), || {
        let image = debian_kernel(place, name)?;
        let headers = only_file(&headers(place, name), ".deb")?;
        cache::folder(&folder, |draft| {
            let log = place.join(format!("log/debian-{name}"));
            run::logged(run::command("dpkg-deb").arg("-x").arg(image).arg(draft), &log)?;
            let scratch = tempfile::tempdir_in(place).map_err(|error| Failure::io(place, &error))?;
            run::logged(run::command("dpkg-deb").arg("-x").arg(headers).arg(scratch.path()), &log)?;
            let sources = scratch.path().join("usr/src");
            for entry in std::fs::read_dir(&sources).map_err(|error| Failure::io(&sources, &error))?.flatten() {
                let symvers = entry.path().join("Module.symvers");
                if symvers.is_file() {
                    let to = draft.join("usr/src").join(entry.file_name()).join("Module.symvers");
                    cache::write(&to, &cache::read(&symvers)?)?;
                }
            }
            Ok(())
        })
    })
}
