//! U-Boot for Malta from Debian's source package, for both byte orders, each in two builds: as its source is, for big endian (little
//! endian comes ready-made from Debian), and one that can write QEMU's flash, which only tests that let U-Boot write there start.

use std::path::{Path, PathBuf};

use stoop_samples::failure::{Failure, Result};

use super::recipe::recipe;
use crate::apt::{Apt, only_file};
use crate::endian::Endian;
use crate::{cache, run};

/// Raised when the way of building changes what comes out.
const RECIPE: &[u8] = b"3";

/// As its source is.
pub(super) const PLAIN: &str = "u-boot.bin";
/// With [`COUNT_GOES_TO`].
pub(super) const FLASHING: &str = "u-boot-flashing.bin";

/// What is changed for [`FLASHING`] in `drivers/mtd/cfi_flash.c`, and to what. The count of words of a buffered write may go to any address of the block:
/// U-Boot's `flash_write_cfibuffer` takes the block's first, QEMU takes it for the place of the buffer and drops words that are
/// elsewhere (`hw/block/pflash_cfi01.c`: `pflash_blk_write_start`), so that 2 KiB of each block are written. Linux takes the buffer's
/// place. Writing word by word, the other way out, takes QEMU a quarter of a minute for each block: four changes of its memory map a word.
const DRIVER: &str = "drivers/mtd/cfi_flash.c";
const COUNT_GOES_TO: [&str; 2] =
    ["sector, 0, cnt - 1", "sector, (dest - info->start[sector]) / (info->portwidth << info->chip_lsb), cnt - 1"];

/// `cp.b` shows how far it is, with one mark for each buffer of 2 KiB in a block of 64: what a power loss in the middle of it waits for.
/// This version has no Kconfig symbol for it.
const MARKS: &str = "KCPPFLAGS=-DCONFIG_FLASH_SHOW_PROGRESS=32";

/// Where the source package's files are.
pub(super) fn source(place: &Path) -> PathBuf {
    place.join("source/u-boot")
}

/// Downloads them.
pub(super) fn fetch(apt: &Apt, place: &Path) -> Result<()> {
    cache::folder(&source(place), |draft| apt.source("u-boot", draft))
}

/// Where the result belongs: the description of the source package holds the hashes of its files.
pub(super) fn folder(place: &Path, endian: Endian) -> Result<PathBuf> {
    let description = cache::read(&only_file(&source(place), ".dsc")?)?;
    let config = recipe("uboot.config")?;
    let ours = [&config, COUNT_GOES_TO[0], COUNT_GOES_TO[1], MARKS].join("\n");
    let key = cache::key(&[RECIPE, &description, ours.as_bytes()]);
    Ok(place.join(format!("uboot-{}-{key}", endian.tag())))
}

/// Builds it when it is missing.
pub(super) fn build(place: &Path, endian: Endian) -> Result<()> {
    let folder = folder(place, endian)?;
    if folder.exists() {
        return Ok(());
    }
    run::step(&format!("lab: U-Boot for Malta, {} (about a minute)", endian.tag()), || {
        let work = tempfile::tempdir_in(place).map_err(|error| Failure::io(place, &error))?;
        let tree = work.path().join("u-boot");
        let log = |part: &str| place.join(format!("log/uboot-{part}"));
        let mut unpack = run::command("dpkg-source");
        unpack.arg("-x").arg(only_file(&source(place), ".dsc")?).arg(&tree);
        run::logged(&mut unpack, &log("unpack"))?;
        let make = |target: &str, part: &str| {
            let mut make = run::command("make");
            make.arg("-C").arg(&tree).arg(format!("CROSS_COMPILE={}", endian.cross())).args([MARKS, target]);
            make.arg(format!("-j{}", std::thread::available_parallelism().map_or(2, usize::from)));
            run::logged(make.env("SOURCE_DATE_EPOCH", "0"), &log(part))
        };
        make(if endian == Endian::Big { "malta_defconfig" } else { "maltael_defconfig" }, "config")?;
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
        let made = tree.join("u-boot.bin");
        make("u-boot.bin", "make")?;
        let plain = cache::read(&made)?;
        write_buffers_in_their_place(&tree.join(DRIVER))?;
        make("u-boot.bin", "make")?;
        cache::folder(&folder, |draft| {
            cache::write(&draft.join(PLAIN), &plain)?;
            cache::write(&draft.join(FLASHING), &cache::read(&made)?)
        })
    })
}

/// Changes the driver: [`COUNT_GOES_TO`].
fn write_buffers_in_their_place(driver: &Path) -> Result<()> {
    let text = String::from_utf8_lossy(&cache::read(driver)?).into_owned();
    let [from, to] = COUNT_GOES_TO;
    let times = text.matches(from).count();
    if times != 1 {
        let fact = format!("{} has `{from}` {times} times, not once", driver.display());
        return Err(Failure::new(fact).next("see how this U-Boot writes buffers, and correct ci/src/lab/uboot.rs"));
    }
    cache::write(driver, text.replace(from, to).as_bytes())
}
