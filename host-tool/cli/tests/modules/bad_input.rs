//! What is wrong with the modules is told in its own words by every command that would use them, with exit code 1, and
//! nothing is written.

use std::fs;

use object::Architecture;
use object::Endianness::{Big, Little};

use crate::bench::{Bench, Kernel};
use crate::make_ko::{Ko, TestTree};
use crate::resolve::strip_symbol_table;

/// Fails with each of the commands, and gives what they say. `modules bundle` proves nothing about the kernel, so what only
/// a kernel refuses is not asked of it.
fn refused(tree: &TestTree, name: &str, only_by_kernel: bool) -> Vec<String> {
    let bench = Bench::new();
    let kernel = Kernel { config: "CONFIG_MODULES=y\n".to_owned(), ..Kernel::new(false) };
    bench.put("vmlinux", &kernel.elf());
    bench.put("Module.symvers", b"0x11111111\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n");
    let before = bench.files();
    let text = tree.text();
    let head = ["--modules", &text];
    let pack = ["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux", "-o", "out"];
    let mut commands = vec![
        [&["modules", "check", "--symvers", "Module.symvers"], &head[..], &[name]].concat(),
        [&pack[..], &head, &["--symvers", "Module.symvers", "--require", name]].concat(),
    ];
    if !only_by_kernel {
        for out in ["out", "out.cpio", "out.cpio.gz"] {
            commands.push([&["modules", "bundle", "-o", out], &head[..], &[name]].concat());
        }
        commands.push([&["modules", "resolve"], &head[..], &[name]].concat());
    }
    let fail = |words: &Vec<&str>| {
        let output = bench.stoop(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(output.stdout.is_empty() && said.contains("next:"), "{words:?}: {said}");
        assert_eq!(bench.files(), before, "{words:?} left a file");
        said
    };
    commands.iter().map(fail).collect()
}

fn told(tree: &TestTree, name: &str, only_by_kernel: bool, facts: &[&str]) {
    for said in refused(tree, name, only_by_kernel) {
        for fact in facts {
            assert!(said.contains(fact), "no {fact:?} in: {said}");
        }
    }
}

/// A tree with one sound module, `fine`, and those given.
fn with(modules: &[(&str, &[u8])]) -> TestTree {
    let mut tree = TestTree::new();
    tree.add("kernel/fine.ko", &Ko::new(Little));
    for (path, bytes) in modules {
        tree.add_bytes(path, bytes);
    }
    tree
}

#[test]
fn a_module_that_is_not_there() {
    told(&with(&[]), "fien", false, &["fien is no module", "did you mean fine?"]);
}

#[test]
fn a_circle() {
    let (one, other) =
        (Ko::new(Little).import("b", 1).export("a", 1).bytes(), Ko::new(Little).import("a", 1).export("b", 1).bytes());
    told(&with(&[("kernel/one.ko", &one), ("kernel/other.ko", &other)]), "one", false, &["in a circle: "]);
}

#[test]
fn another_machine_and_another_byte_order() {
    // The kernel is known by its Module.symvers only, so what most members are for counts.
    let user = |foreign: &Ko| {
        let user = Ko::new(Little).import("f", 1).bytes();
        let foreign = foreign.clone().export("f", 1).bytes();
        with(&[
            ("kernel/third.ko", &Ko::new(Little).export("g", 1).bytes()),
            ("kernel/foreign.ko", &foreign),
            ("kernel/user.ko", &user),
        ])
    };
    let big = user(&Ko::new(Big));
    told(&big, "user", true, &["kernel/foreign.ko", "big"]);
    let mut other = Ko::new(Little);
    other.architecture = Architecture::Aarch64;
    told(&user(&other), "user", true, &["kernel/foreign.ko"]);
}

#[test]
fn a_file_that_is_cut_off_and_a_symbol_table_that_was_stripped() {
    let whole = Ko::new(Little).bytes();
    told(
        &with(&[("kernel/bad.ko", &whole[..whole.len() / 2])]),
        "bad",
        false,
        &["kernel/bad.ko", "cut off or damaged"],
    );
    told(&with(&[("kernel/bad.ko", &whole[..20])]), "bad", false, &["kernel/bad.ko"]);
    let mut stripped = Ko::new(Big).bytes();
    strip_symbol_table(&mut stripped);
    told(&with(&[("kernel/bad.ko", &stripped)]), "bad", false, &["kernel/bad.ko", "symbol table was stripped"]);
    // Each ending, cut off where it is compressed.
    for (path, format) in [("kernel/bad.ko.xz", "xz"), ("kernel/bad.ko.zst", "zstd"), ("kernel/bad.ko.gz", "gzip")] {
        let tree = with(&[(path, &whole)]);
        let file = tree.directory().join(path);
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        told(&tree, "bad", false, &[path, &format!("{format} data is damaged")]);
    }
}

#[test]
fn an_export_that_two_modules_have() {
    let (one, other) = (Ko::new(Little).export("f", 1).bytes(), Ko::new(Little).export("f", 1).bytes());
    let both = Ko::new(Little).info("softdep=pre: one other").bytes();
    let tree = with(&[("kernel/one.ko", &one), ("kernel/other.ko", &other), ("kernel/both.ko", &both)]);
    told(&tree, "both", true, &["kernel/other.ko: f: ", "exports it again", "kernel/one.ko"]);
}

#[test]
fn a_modules_dep_that_names_what_is_not_there() {
    let tree = with(&[]);
    tree.write("modules.dep", "kernel/fine.ko: kernel/gone.ko\nkernel/gone.ko:\n");
    told(&tree, "fine", false, &["modules.dep names kernel/gone.ko, which is not there"]);
}
