//! Debian's stock kernels: thousands of real modules, against kmod and against their own kernels' symbols.
//!
//! `STOOP_MODULES_TREES` names one or more directories, separated by colons: each the contents of a
//! `linux-image-*.deb`, with `usr/src/linux-headers-*/Module.symvers` of the matching headers package. `cargo ci lab` leaves
//! such trees in the cache as `lab/debian-*`, and `cargo ci test` names them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use object::{Object, ObjectSection};
use stoop_image::kconfig::Kconfig;
use stoop_kernel::modules::check::{Rule, check};
use stoop_kernel::modules::requirement::{Catalogue, plan};
use stoop_kernel::modules::resolve::resolve;
use stoop_kernel::modules::symbols::Kernel;
use stoop_kernel::modules::tree::{Source, Tree};

use crate::is_installed;
use crate::make_ko::modprobe;

struct Stock {
    root: PathBuf,
    version: String,
    directory: PathBuf,
}

fn stock() -> Vec<Stock> {
    let Ok(roots) = std::env::var("STOOP_MODULES_TREES") else {
        assert!(std::env::var("STOOP_LAB").is_err(), "the lab is required, and STOOP_MODULES_TREES is not set");
        eprintln!("skipped: STOOP_MODULES_TREES names no unpacked Debian kernels");
        return Vec::new();
    };
    roots
        .split(':')
        .map(|root| {
            let root = Path::new(root).canonicalize().expect("STOOP_MODULES_TREES names a directory");
            let mut versions = std::fs::read_dir(root.join("lib/modules")).expect("lib/modules");
            let directory = versions.next().expect("one kernel").expect("an entry").path();
            let version = directory.file_name().unwrap().to_string_lossy().into_owned();
            Stock { root, version, directory }
        })
        .collect()
}

impl Stock {
    fn kernel(&self) -> Option<Kernel> {
        let path = self.root.join(format!("usr/src/linux-headers-{}/Module.symvers", self.version));
        if !path.is_file() {
            assert!(std::env::var("STOOP_LAB").is_err(), "the lab is required, and {} is not there", path.display());
            eprintln!("skipped: {} is not there", path.display());
            return None;
        }
        Some(Kernel::from_symvers(&path).unwrap())
    }

    fn config(&self) -> Kconfig {
        Kconfig::read(&self.root.join(format!("boot/config-{}", self.version))).unwrap()
    }

    /// A copy of the tree's lists with links to its modules, in which depmod may write.
    fn scratch(&self) -> tempfile::TempDir {
        let scratch = tempfile::tempdir().unwrap();
        let modules = scratch.path().join("lib/modules").join(&self.version);
        std::fs::create_dir_all(&modules).unwrap();
        std::os::unix::fs::symlink(self.directory.join("kernel"), modules.join("kernel")).unwrap();
        for list in ["modules.order", "modules.builtin", "modules.builtin.modinfo"] {
            std::fs::copy(self.directory.join(list), modules.join(list)).unwrap();
        }
        let status = std::process::Command::new("depmod").arg("-b").arg(scratch.path()).arg(&self.version).status();
        assert!(status.unwrap().success());
        scratch
    }
}

#[test]
fn every_stock_module_resolves_as_modprobe_does_and_the_files_alone_give_depmods_list() {
    if !is_installed("modprobe") || !is_installed("depmod") {
        return;
    }
    for stock in stock() {
        let scratch = stock.scratch();
        let directory = scratch.path().join("lib/modules").join(&stock.version);
        let listed = Tree::open(&directory, Source::Auto).unwrap();
        let scanned = Tree::open(&stock.directory, Source::Files).unwrap();
        let mut text = String::new();
        for (module, path) in (0..).zip(scanned.paths()) {
            let needs: String =
                scanned.needs(module).unwrap().iter().map(|needed| format!(" {}", scanned.path(*needed))).collect();
            text.push_str(&format!("{path}:{needs}\n"));
        }
        assert_eq!(text, std::fs::read_to_string(directory.join("modules.dep")).unwrap());
        for module in 0..listed.paths().len() as u32 {
            let name = listed.name(module);
            let expected = modprobe(scratch.path(), &stock.version, &name);
            for tree in [&listed, &scanned] {
                let order = resolve(tree, &[&name]).unwrap().order;
                let paths: Vec<&str> = order.iter().map(|module| tree.path(*module)).collect();
                assert_eq!(paths, expected, "{name}");
            }
        }
        eprintln!("{}: {} modules resolve as modprobe does", stock.version, listed.paths().len());
    }
}

#[test]
fn every_stock_module_fits_its_own_kernel_and_no_other() {
    let stock = stock();
    for (at, own) in stock.iter().enumerate() {
        let Some(kernel) = own.kernel() else { return };
        let tree = Tree::open(&own.directory, Source::Files).unwrap();
        let all: Vec<u32> = (0..tree.paths().len() as u32).collect();
        assert_eq!(check(&tree, &all, &kernel, Some(&own.config())).unwrap(), []);
        eprintln!("{}: {} modules fit", own.version, all.len());
        for other in stock.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, other)| other) {
            let Some(kernel) = other.kernel() else { return };
            let findings = check(&tree, &all, &kernel, Some(&other.config())).unwrap();
            let mut refused: Vec<&str> = findings.iter().map(|finding| finding.module.as_str()).collect();
            refused.dedup();
            assert_eq!(refused.len(), all.len(), "{} takes modules of {}", other.version, own.version);
        }
    }
}

#[test]
fn the_stock_kernels_own_tables_say_what_module_symvers_says() {
    for stock in stock() {
        let Some(expected) = stock.kernel() else { return };
        let path = stock.root.join(format!("boot/vmlinuz-{}", stock.version));
        let found = Kernel::from_any(&path, &mut stoop_image::progress::Quiet).unwrap();
        assert_eq!(found.symbols, expected.symbols);
        assert!(found.vermagic.is_some_and(|magic| magic.starts_with(&format!("{} ", stock.version))));
        eprintln!("{}: {} exports found in the vmlinuz", stock.version, found.symbols.len());
    }
}

#[test]
fn one_flipped_crc_and_one_missing_symbol_are_found_in_a_stock_module() {
    for stock in stock() {
        let Some(mut kernel) = stock.kernel() else { return };
        let stock_tree = Tree::open(&stock.directory, Source::Files).unwrap();
        let wanted = stock_tree.by_name("squashfs").expect("squashfs");
        let path = stock_tree.path(wanted);
        let original = std::fs::read(stock.directory.join(path)).unwrap();
        let mut files = crate::make_ko::TestTree::new();
        let offset = {
            let file = object::File::parse(original.as_slice()).unwrap();
            file.section_by_name("__versions").unwrap().file_range().unwrap().0 as usize
        };
        // The second record: the first is module_layout's.
        let mut flipped = original.clone();
        flipped[offset + 64 + 2] ^= 0x10;
        files.add_bytes(path, &flipped);
        let tree = Tree::open(&files.directory(), Source::Files).unwrap();
        let findings = check(&tree, &[0], &kernel, None).unwrap();
        assert!(findings.len() == 1 && matches!(findings[0].rule, Rule::Crc | Rule::ModuleLayout), "{findings:?}");

        files.add_bytes(path, &original);
        let tree = Tree::open(&files.directory(), Source::Files).unwrap();
        assert_eq!(check(&tree, &[0], &kernel, None).unwrap(), []);
        let symbol = "register_filesystem";
        assert!(kernel.symbols.remove(symbol).is_some());
        let findings = check(&tree, &[0], &kernel, None).unwrap();
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].rule, findings[0].symbol.as_deref()), (Rule::MissingSymbol, Some(symbol)));
    }
}

#[test]
fn shipped_requirements_fit_the_stock_kernels_or_say_which_symbol_is_off() {
    // What Debian leaves out: phram in the mips32r2el flavour.
    let left_out: HashMap<&str, &str> =
        HashMap::from([("phram-root", "CONFIG_MTD_PHRAM is n, @phram-root needs y or m")]);
    for stock in stock() {
        let tree = Tree::open(&stock.directory, Source::Files).unwrap();
        let config = stock.config();
        let catalogue = Catalogue::default();
        for name in catalogue.names() {
            match plan(&tree, &[format!("@{name}")], &catalogue, Some(&config)) {
                Ok(plan) => assert_eq!(plan.services.len(), 1),
                Err(failure) => {
                    let expected = left_out.get(name).filter(|_| stock.version.ends_with("mips32r2el"));
                    assert!(
                        expected.is_some_and(|expected| failure.to_string().contains(expected)),
                        "{name}: {failure}"
                    );
                }
            }
        }
    }
}
