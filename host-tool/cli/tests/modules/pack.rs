//! `stoop pack --modules`: the bundle is in the image's initrd when the kernel takes every module, and else there is no image.

use std::fs;
use std::path::Path;

use object::Endianness::Little;
use serde_json::{Value, json};
use stoop_core::crc32::Crc32;
use stoop_core::manifest::Kind;
use stoop_image::input::cpio;

use crate::bench::{Bench, Kernel};
use crate::make_ko::{Ko, TestTree};
use crate::schema;

/// What the kernel of the bench exports.
const SYMVERS: &str =
    "0x11111111\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n0x00000022\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n";

/// An initrd of the user's own.
fn users() -> Vec<u8> {
    cpio::archive([("init", &cpio::Kind::Script(b"#!/bin/sh\n".to_vec()))])
}

struct Work {
    bench: Bench,
    tree: TestTree,
}

impl Work {
    /// Two modules of which one needs the other, a requirement, a kernel that loads modules.
    fn new() -> Work {
        let work = Work { bench: Bench::new(), tree: TestTree::new() };
        let mut work = work;
        work.tree
            .add("kernel/lower.ko", &Ko::new(Little).import("kfree", 0x22).export("lower_fn", 1))
            .add("kernel/upper.ko.xz", &Ko::new(Little).import("lower_fn", 1))
            .add("kernel/other.ko", &Ko::new(Little));
        work.kernel("CONFIG_MODULES=y\nCONFIG_NEEDED=m\n");
        work.bench.put("Module.symvers", SYMVERS.as_bytes());
        work.bench.put("mine.toml", b"description = ''\nmodules = ['upper']\n[symbols]\nNEEDED = 'either'\n");
        work
    }

    fn kernel(&self, config: &str) {
        let kernel = Kernel { config: config.to_owned(), ..Kernel::new(false) };
        self.bench.put("vmlinux", &kernel.elf());
    }

    /// The words of `pack`, up to those given.
    fn words<'a>(&'a self, tree: &'a str, more: &[&'a str]) -> Vec<&'a str> {
        let head = ["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux", "-o", "image", "--modules", tree];
        [&head, more].concat()
    }

    fn packed(&self, more: &[&str]) -> Value {
        let tree = self.tree.text();
        let output = self.bench.stoop(&self.words(&tree, &[&["--json"], more].concat()));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let packed = serde_json::from_slice(&output.stdout).unwrap();
        schema::check("stoop pack", &packed);
        packed
    }

    /// What it says when it fails with this exit code, and leaves the image that was there before.
    fn refused(&self, code: i32, more: &[&str]) -> String {
        let tree = self.tree.text();
        self.bench.put("image", b"the one before");
        let before = self.bench.files();
        let output = self.bench.stoop(&self.words(&tree, more));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(output.stdout.is_empty(), "a failure printed a result");
        assert_eq!(fs::read(self.bench.path("image")).unwrap(), b"the one before");
        assert_eq!(self.bench.files(), before);
        text
    }

    /// The image's initrd.
    fn initrd(&self) -> Vec<u8> {
        let file = fs::read(self.bench.path("image")).unwrap();
        let image = stoop_image::image::open(&file).unwrap();
        let manifest = image.manifest(&Crc32::new()).unwrap();
        image.bytes(manifest.payload(Kind::Initrd).source).unwrap().to_vec()
    }
}

const BY_SYMVERS: [&str; 2] = ["--symvers", "Module.symvers"];

#[test]
fn the_bundle_is_the_initrd_or_lies_in_front_of_the_users() {
    let work = Work::new();
    let alone = [&BY_SYMVERS[..], &["--requirement", "mine.toml"]].concat();
    let said = work.packed(&alone);
    let order = json!(["lib/modules/6.12.0/kernel/lower.ko", "lib/modules/6.12.0/kernel/upper.ko"]);
    assert_eq!((&said["modules"]["order"], &said["modules"]["services"]), (&order, &json!(["mine"])));
    assert!(said["warnings"].to_string().contains("nothing loads them"), "{}", said["warnings"]);
    let bundle = work.initrd();
    assert_eq!(bundle.len() as u64, said["modules"]["archive-bytes"].as_u64().unwrap());
    // The same archive as `modules bundle` writes.
    let tree = work.tree.text();
    let output = work.bench.path("b.cpio");
    let words = ["modules", "bundle", "--modules", &tree, "--requirement", "mine.toml", "-o", output.to_str().unwrap()];
    work.bench.put("config", b"CONFIG_NEEDED=m\n");
    assert!(work.bench.stoop(&[&words[..], &["--config", "config"]].concat()).status.success());
    assert_eq!(bundle, fs::read(output).unwrap());

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &users()).unwrap();
    for users in [users(), gzip.finish().unwrap()] {
        work.bench.put("initrd", &users);
        let said = work.packed(&[&alone[..], &["--initrd", "initrd"]].concat());
        assert!(!said["warnings"].to_string().contains("nothing loads them"), "{}", said["warnings"]);
        let both = work.initrd();
        assert_eq!(both, [&bundle[..], &users].concat());
        // The kernel looks for the next archive at any multiple of four.
        assert_eq!(bundle.len() % 4, 0);
    }
    let inspected = work.bench.stoop(&["inspect", "image", "--json"]);
    let inspected: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(inspected["modules"], order);
    let text = String::from_utf8(work.bench.stoop(&["inspect", "image"]).stdout).unwrap();
    assert!(text.contains("modules      lower.ko upper.ko\n"), "{text}");
}

#[test]
fn an_image_without_modules_says_so() {
    let work = Work::new();
    work.bench.put("initrd", &users());
    let words =
        ["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux", "--initrd", "initrd", "-o", "image", "--json"];
    let packed: Value = serde_json::from_slice(&work.bench.stoop(&words).stdout).unwrap();
    assert_eq!(packed["modules"], Value::Null);
    let inspected: Value = serde_json::from_slice(&work.bench.stoop(&["inspect", "image", "--json"]).stdout).unwrap();
    assert_eq!(inspected["modules"], Value::Null);
}

#[test]
fn requirements_are_known_with_and_without_the_sign_and_modules_by_their_names() {
    let work = Work::new();
    let mine = work.packed(&[&BY_SYMVERS[..], &["--require", "lower", "--requirement", "mine.toml"]].concat());
    assert_eq!(mine["modules"]["services"], json!(["mine", "modules"]));
    for name in ["ppp", "@ppp"] {
        let text = work.refused(1, &[&BY_SYMVERS[..], &["--require", name]].concat());
        assert!(text.contains("CONFIG_PPP is absent, @ppp needs y or m"), "{text}");
    }
}

#[test]
fn what_modules_check_refuses_pack_refuses_with_the_same_words_and_leaves_the_image_alone() {
    let work = Work::new();
    let tree = work.tree.text();
    let symvers = work.bench.path("Module.symvers");
    for (damaged, rule) in [
        (SYMVERS.replace("0x00000022", "0x00000023"), "kfree: the kernel has CRC 0x00000023"),
        (SYMVERS.replace("kfree", "kmalloc"), "kfree: the kernel has"),
        (SYMVERS.replace("0x11111111", "0x11111112"), "module_layout"),
        ("no symbol\n".to_owned(), "is no symbol record"),
    ] {
        fs::write(&symvers, damaged).unwrap();
        let packed = work.refused(1, &["--symvers", symvers.to_str().unwrap(), "--require", "upper"]);
        let words = ["modules", "check", "--modules", &tree, "--symvers", symvers.to_str().unwrap(), "upper"];
        let checked = String::from_utf8(work.bench.stoop(&words).stderr).unwrap();
        assert!(packed.contains(rule), "{packed}");
        assert!(packed.ends_with(&checked), "{packed}\n{checked}");
    }
    work.bench.put("Module.symvers", SYMVERS.as_bytes());
    let text = work.refused(1, &[&BY_SYMVERS[..], &["--require", "uper"]].concat());
    assert!(text.contains("did you mean upper?"), "{text}");
    work.kernel("CONFIG_MODULES=n\n");
    let text = work.refused(1, &[&BY_SYMVERS[..], &["--require", "upper"]].concat());
    assert!(text.contains("CONFIG_MODULES"), "{text}");
}

#[test]
fn modules_of_another_release_are_refused_though_module_symvers_says_nothing_of_it() {
    let work = Work::new();
    // Without MODVERSIONS the release is all that tells.
    let mut tree = TestTree::new();
    tree.add("kernel/lower.ko", &Ko { versions: None, ..Ko::new(Little) });
    work.bench.put("Module.symvers", b"0x00000000\tkfree\tvmlinux\tEXPORT_SYMBOL\t\n");
    let mut kernel = Kernel { config: "CONFIG_MODULES=y\n".into(), ..Kernel::new(false) }.elf();
    let magic = b"\x006.11.9 SMP mod_unload modversions MIPS32_R2 32BIT \0";
    let at = kernel.len() - 0x100;
    kernel[at..at + magic.len()].copy_from_slice(magic);
    work.bench.put("vmlinux", &kernel);
    let output = work.bench.stoop(&work.words(&tree.text(), &[&BY_SYMVERS[..], &["--require", "lower"]].concat()));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("6.11.9 SMP") && text.contains("6.12.0 SMP"), "{text}");
    assert!(!Path::new(&work.bench.path("image")).exists());
}

#[test]
fn a_kernel_whose_exports_cannot_be_read_needs_module_symvers() {
    let text = Work::new().refused(1, &["--require", "upper"]);
    assert!(text.contains("no table of exported symbols") && text.contains("--symvers"), "{text}");
}

#[test]
fn an_initrd_that_would_break_the_bundle_is_refused() {
    let work = Work::new();
    let more = [&BY_SYMVERS[..], &["--require", "upper", "--initrd", "initrd"]].concat();
    work.bench.put("initrd", b"a file system of one's own");
    let text = work.refused(1, &more);
    assert!(text.contains("no archive of modules can be put in front"), "{text}");
    use stoop_kernel::modules::cpio::{Kind, archive};
    for (path, kind, what) in [
        ("order", Kind::File(vec![1]), "/order of its own, which is a file"),
        ("lib", Kind::File(b"usr/lib".to_vec()), "/lib of its own, which is a directory"),
        ("load.sh", Kind::Directory, "/load.sh of its own, which is a file"),
    ] {
        work.bench.put("initrd", &archive([("dev", &Kind::Directory), (path, &kind)]));
        let text = work.refused(1, &more);
        assert!(text.contains(what), "{text}");
    }
    work.bench.put("initrd", &archive([("lib", &Kind::Directory), ("lib/x", &Kind::File(vec![1]))]));
    work.packed(&more);
}

#[test]
fn flags_that_make_no_sense_alone_are_usage_errors() {
    let work = Work::new();
    let text = work.refused(2, &BY_SYMVERS);
    assert!(text.contains("nothing says which modules are needed"), "{text}");
    for flag in [["--require", "upper"], ["--requirement", "mine.toml"], ["--symvers", "Module.symvers"]] {
        let words = ["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux", "-o", "image"];
        assert_eq!(work.bench.stoop(&[&words[..], &flag].concat()).status.code(), Some(2));
    }
}
