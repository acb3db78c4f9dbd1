//! Linux from Debian's source package: one unpacked tree, one build tree an endianness, one folder of results a flavour.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use stoop::{Failure, Result};

use super::{Endian, Flavour, recipe};
use crate::{cache, run};

/// From Debian's package linux-source-6.12.
const TARBALL: &str = "/usr/src/linux-source-6.12.tar.xz";

/// Raised when the way of building changes what comes out.
const RECIPE: &[u8] = b"1";

/// What a build leaves, and under which name it is kept.
const RESULTS: [(&str, &str); 5] = [
    ("vmlinux", "vmlinux"),
    ("vmlinuz", "vmlinuz"),
    ("System.map", "System.map"),
    (".config", "config"),
    ("Module.symvers", "Module.symvers"),
];

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
    let wanted = wanted(endian, flavour)?;
    let key = cache::key(&[RECIPE, source.as_bytes(), render(&wanted).as_bytes()]);
    Ok(place.join(format!("kernel-{}-{key}", name(endian, flavour))))
}

/// Builds the flavours that are missing.
pub(super) fn build(place: &Path, endian: Endian) -> Result<()> {
    let hash = source_hash(place)?;
    for flavour in Flavour::ALL {
        let folder = folder(place, &hash, endian, flavour)?;
        if folder.exists() {
            continue;
        }
        let source = unpack(place, &hash)?;
        let name = name(endian, flavour);
        let tree = place.join(format!("build/linux-{}-{}", endian.tag(), &hash[..12]));
        let log = |part: &str| place.join(format!("log/kernel-{name}-{part}"));
        cache::create_dir(&tree)?;
        run::step(&format!("lab: kernel {name} (about 5 minutes on two cores from scratch)"), || {
            let wanted = wanted(endian, flavour)?;
            let fragment = tree.join("stoop.config");
            cache::write(&fragment, render(&wanted).as_bytes())?;
            let mut configure = make(&source, &tree, endian);
            configure.env("KCONFIG_ALLCONFIG", &fragment).arg("allnoconfig");
            run::logged(&mut configure, &log("config"))?;
            let made = String::from_utf8_lossy(&cache::read(&tree.join(".config"))?).into_owned();
            held(&wanted, &symbols(&made)).map_err(|failure| failure.within(&name))?;
            // `modules` has none to build, but writes Module.symvers.
            run::logged(make(&source, &tree, endian).args(["vmlinux", "vmlinuz", "modules"]), &log("make"))?;
            cache::folder(&folder, |draft| {
                for (from, to) in RESULTS {
                    let from = tree.join(from);
                    std::fs::copy(&from, draft.join(to)).map_err(|error| Failure::io(&from, &error))?;
                }
                Ok(())
            })
        })?;
    }
    Ok(())
}

/// The source tree, without what no MIPS build reads: two thirds of its bytes.
fn unpack(place: &Path, hash: &str) -> Result<PathBuf> {
    let tree = place.join(format!("source/linux-{}", &hash[..12]));
    if !tree.exists() {
        run::step("lab: unpacking Linux's source", || {
            cache::folder(&tree, |draft| {
                let mut tar = run::command("tar");
                tar.arg("-xf").arg(TARBALL).arg("-C").arg(draft).arg("--strip-components=1");
                tar.args(["--exclude=*/Documentation/*/*", "--exclude=*/drivers/gpu/drm/*/include/*"]);
                tar.args(["--exclude=*/tools/testing/*", "--exclude=*/sound/*.c", "--exclude=*/drivers/gpu/*.[ch]"]);
                tar.args(["--exclude=*/drivers/net/wireless/*.[ch]", "--exclude=*/drivers/media/*.[ch]"]);
                tar.args(["--exclude=*/drivers/staging/*.[ch]", "--exclude=*/drivers/infiniband/*.[ch]"]);
                run::logged(&mut tar, &place.join("log/kernel-unpack"))
            })
        })?;
    }
    Ok(tree)
}

/// With nothing of this machine in what it makes.
fn make(source: &Path, tree: &Path, endian: Endian) -> Command {
    let mut make = run::command("make");
    make.arg("-C").arg(source).arg(format!("O={}", tree.display()));
    make.arg(format!("-j{}", std::thread::available_parallelism().map_or(2, usize::from)));
    make.arg("ARCH=mips").arg(format!("CROSS_COMPILE={}", endian.cross()));
    make.env("KBUILD_BUILD_TIMESTAMP", "@0").env("KBUILD_BUILD_VERSION", "1");
    make.env("KBUILD_BUILD_USER", "stoop").env("KBUILD_BUILD_HOST", "lab");
    make
}

/// The symbols a flavour asks for; `n` where it wants one off.
fn wanted(endian: Endian, flavour: Flavour) -> Result<BTreeMap<String, String>> {
    let mut all = symbols(&recipe("kernel.config")?);
    if flavour != Flavour::Lab {
        all.extend(symbols(&recipe(&format!("{}.config", flavour.tag()))?));
    }
    let order = match endian {
        Endian::Little => "CONFIG_CPU_LITTLE_ENDIAN",
        Endian::Big => "CONFIG_CPU_BIG_ENDIAN",
    };
    all.insert(order.to_owned(), "y".to_owned());
    Ok(all)
}

/// The symbols a configuration sets, or sets off.
fn symbols(text: &str) -> BTreeMap<String, String> {
    let line = |line: &str| {
        if let Some(name) = line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set")) {
            return Some((name.to_owned(), "n".to_owned()));
        }
        let (name, value) = line.split_once('=')?;
        name.starts_with("CONFIG_").then(|| (name.to_owned(), value.trim().to_owned()))
    };
    text.lines().filter_map(line).collect()
}

/// As a configuration, in the order of the names.
fn render(symbols: &BTreeMap<String, String>) -> String {
    symbols.iter().map(|(name, value)| format!("{name}={value}\n")).collect()
}

/// Kconfig drops without a word what a dependency forbids: say which.
fn held(wanted: &BTreeMap<String, String>, made: &BTreeMap<String, String>) -> Result<()> {
    let is = |name: &String| made.get(name).map_or("n", String::as_str);
    let lost: Vec<String> = wanted
        .iter()
        .filter(|&(name, value)| is(name) != value)
        .map(|(name, value)| format!("{name}={value} became {}", is(name)))
        .collect();
    if lost.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("the kernel's configuration did not keep what was asked for: {}", lost.join(", ")))
        .next("correct hil-tests/lab/*.config"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flavour_overrides_what_the_base_says() {
        let oracle = wanted(Endian::Big, Flavour::Oracle).unwrap();
        assert_eq!(oracle["CONFIG_MIPS_CMDLINE_FROM_DTB"], "n");
        assert_eq!(oracle["CONFIG_MIPS_CMDLINE_DTB_EXTEND"], "y");
        assert_eq!(oracle["CONFIG_CPU_BIG_ENDIAN"], "y");
    }

    #[test]
    fn symbols_that_did_not_hold_are_named() {
        let wanted = symbols("CONFIG_A=y\nCONFIG_B=0x0\n# CONFIG_C is not set\nCONFIG_D=m\n");
        let failure = held(&wanted, &symbols("CONFIG_A=y\nCONFIG_C=y\nCONFIG_D=y\n")).unwrap_err();
        for lost in ["CONFIG_B=0x0 became n", "CONFIG_C=n became y", "CONFIG_D=m became y"] {
            assert!(failure.fact().contains(lost), "{failure}");
        }
        assert!(!failure.fact().contains("CONFIG_A"), "{failure}");
    }

    #[test]
    fn an_absent_symbol_is_off() {
        assert!(held(&symbols("# CONFIG_A is not set\n"), &symbols("")).is_ok());
    }
}
