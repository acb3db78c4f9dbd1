//! U-Boot for big-endian Malta from Debian's source package; little endian comes ready-made from Debian.

use std::path::{Path, PathBuf};

use stoop::{Failure, Result};

use super::{Endian, recipe};
use crate::apt::{Apt, only_file};
use crate::{cache, run};

/// Raised when the way of building changes what comes out.
const RECIPE: &[u8] = b"1";

/// Where the source package's files are.
pub(super) fn source(place: &Path) -> PathBuf {
    place.join("source/u-boot")
}

/// Downloads them.
pub(super) fn fetch(apt: &Apt, place: &Path) -> Result<()> {
    cache::folder(&source(place), |draft| apt.source("u-boot", draft))
}

/// Where the result belongs: the description of the source package holds the hashes of its files.
pub(super) fn folder(place: &Path) -> Result<PathBuf> {
    let description = cache::read(&only_file(&source(place), ".dsc")?)?;
    let key = cache::key(&[RECIPE, &description, recipe("uboot.config")?.as_bytes()]);
    Ok(place.join(format!("uboot-be-{key}")))
}

/// Builds it when it is missing.
pub(super) fn build(place: &Path) -> Result<()> {
    let folder = folder(place)?;
    if folder.exists() {
        return Ok(());
    }
    run::step("lab: U-Boot for big-endian Malta (about a minute)", || {
        let work = tempfile::tempdir_in(place).map_err(|error| Failure::io(place, &error))?;
        let tree = work.path().join("u-boot");
        let log = |part: &str| place.join(format!("log/uboot-{part}"));
        let mut unpack = run::command("dpkg-source");
        unpack.arg("-x").arg(only_file(&source(place), ".dsc")?).arg(&tree);
        run::logged(&mut unpack, &log("unpack"))?;
        let make = |target: &str, part: &str| {
            let mut make = run::command("make");
            make.arg("-C").arg(&tree).arg(format!("CROSS_COMPILE={}", Endian::Big.cross())).arg(target);
            make.arg(format!("-j{}", std::thread::available_parallelism().map_or(2, usize::from)));
            run::logged(make.env("SOURCE_DATE_EPOCH", "0"), &log(part))
        };
        make("malta_defconfig", "config")?;
        let config = tree.join(".config");
        let mut text = String::from_utf8_lossy(&cache::read(&config)?).into_owned();
        let ours = recipe("uboot.config")?;
        text.push_str(&ours);
        cache::write(&config, text.as_bytes())?;
        make("olddefconfig", "config")?;
        let made = String::from_utf8_lossy(&cache::read(&config)?).into_owned();
        let lost = ours.lines().filter(|line| line.starts_with("CONFIG_") && !made.lines().any(|other| other == *line));
        let lost = lost.collect::<Vec<_>>().join(", ");
        if !lost.is_empty() {
            let fact = format!("U-Boot's configuration did not keep what was asked for: {lost}");
            return Err(Failure::new(fact).next("correct hil-tests/lab/uboot.config"));
        }
        make("u-boot.bin", "make")?;
        cache::folder(&folder, |draft| cache::write(&draft.join("u-boot.bin"), &cache::read(&tree.join("u-boot.bin"))?))
    })
}
