//! Which release a tree of modules is of.

use std::fs;
use std::process::Command;

use object::Endianness::Big;

use crate::make_ko::{Ko, TestTree};
use crate::{stderr_of, stdout_of};

fn tree() -> TestTree {
    let mut tree = TestTree::new();
    tree.add("kernel/b.ko", &Ko::new(Big));
    tree
}

#[test]
fn a_linked_directory_has_the_name_of_the_link() {
    let tree = tree();
    let real = tree.root().join("real-out");
    fs::rename(tree.directory(), &real).unwrap();
    std::os::unix::fs::symlink(&real, tree.directory()).unwrap();
    let out = tree.root().join("out");
    stdout_of(&["modules", "bundle", "--modules", &tree.text(), "-o", out.to_str().unwrap(), "b"]);
    assert_eq!(fs::read_to_string(out.join("order")).unwrap(), "lib/modules/6.12.0/kernel/b.ko\n");
    // By a link of another name the directory itself says it.
    let current = tree.root().join("current");
    fs::remove_file(tree.directory()).unwrap();
    fs::rename(&real, tree.directory()).unwrap();
    std::os::unix::fs::symlink(tree.directory(), &current).unwrap();
    stdout_of(&["modules", "bundle", "--modules", current.to_str().unwrap(), "-o", out.to_str().unwrap(), "b"]);
    assert_eq!(fs::read_to_string(out.join("order")).unwrap(), "lib/modules/6.12.0/kernel/b.ko\n");
}

#[test]
fn a_directory_around_or_inside_that_of_a_release_is_refused_with_the_right_one() {
    let tree = tree();
    let directory = tree.directory();
    for (given, next) in [
        (directory.parent().unwrap().to_owned(), directory.to_str().unwrap().to_owned()),
        (directory.join("kernel"), "lib/modules/6.12.0 itself".to_owned()),
    ] {
        let said = stderr_of(&["modules", "resolve", "--modules", given.to_str().unwrap(), "b"]);
        assert!(said.contains("is no kernel's release, its modules are built for 6.12.0"), "{said}");
        let line = said.lines().find(|line| line.contains("next:")).unwrap();
        assert!(line.ends_with(&next), "{line}");
    }
}

#[test]
fn modules_of_another_release_than_their_directory_are_noted() {
    let tree = tree();
    let other = tree.directory().with_file_name("6.1.0");
    let resolve = |directory: &std::path::Path| {
        let words = ["modules", "resolve", "--json", "--modules", directory.to_str().unwrap(), "b"];
        let value: serde_json::Value = serde_json::from_str(&stdout_of(&words)).unwrap();
        value["notes"].to_string()
    };
    assert_eq!(resolve(&tree.directory()), "[]");
    fs::rename(tree.directory(), &other).unwrap();
    assert!(resolve(&other).contains("the directory is of 6.1.0, and its modules are built for 6.12.0"));
}

#[test]
fn a_bundle_goes_to_stdout_as_an_archive_and_to_no_file_of_another_kind() {
    let tree = tree();
    let root = tree.root();
    let run = |words: &[&str]| {
        let modules = tree.text();
        let words = [&["modules", "bundle", "--modules", &modules, "b", "-o"], words].concat();
        Command::new(env!("CARGO_BIN_EXE_stoop")).args(words).current_dir(root).output().unwrap()
    };
    let output = run(&["-"]);
    assert!(output.status.success(), "{output:?}");
    assert!(output.stdout.starts_with(b"070701") && !root.join("-").exists());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("1 of 1 modules"), "{said}");
    for name in ["x.cpio.xz", "x.tar", "x.CPIO", "x.gz"] {
        let output = run(&[name]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("end it in .cpio or .cpio.gz"), "{said}");
        assert!(!root.join(name).exists());
    }
    assert!(run(&["x-6.12.0"]).status.success() && root.join("x-6.12.0/load.sh").is_file());
}

#[test]
fn a_module_whose_name_has_a_line_end_is_to_be_renamed() {
    let mut tree = tree();
    tree.add("kernel/a\nb.ko", &Ko::new(Big));
    let said = stderr_of(&["modules", "resolve", "--modules", &tree.text(), "b"]);
    assert!(said.contains("next: rename the file") && !said.contains("modules.dep"), "{said}");
}
