//! `stoop kernel build` in the lab's own tree, with the real Linux: what is built twice is no work, what changes is
//! incremental, and the same configuration gives the same bytes. In a binary of its own, since it counts the bytes that the
//! process makes the disks write.

use std::path::Path;

use stoop_ci::Result;
use stoop_ci::lab::{Endian, Flavour};
use stoop_hil_tests::packed::{file, lab};
use stoop_kernel::kernel_build::build::Outcome;

/// A kernel's source and what is built from it has more than ten times as many bytes.
const NO_TREE: u64 = 64 << 20;

fn tree_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => tree_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

fn said(what: &str, outcome: &Outcome) -> u64 {
    let written = outcome.bytes_written.expect("Linux counts the bytes");
    println!("{what}: {} files built, {written:#x} bytes written, {:.1} s", outcome.done.built, outcome.seconds);
    written
}

#[test]
fn a_second_build_does_nothing_a_changed_symbol_copies_no_tree_and_going_back_gives_the_same_kernel() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    let build = |more: &[std::path::PathBuf]| lab.rebuild(Endian::Little, Flavour::Modular, more);
    // Whatever the tree was last built for.
    let (out, first) = build(&[])?;
    assert!(tree_bytes(&first.tree) > 8 * NO_TREE);
    said("first", &first);

    let (_, second) = build(&[])?;
    let written = said("again", &second);
    assert_eq!((second.done.built, second.configured, second.collected.copied), (0, false, 0));
    assert!(written < NO_TREE / 8, "{written:#x} bytes written by a build that had nothing to do");

    let fragment = file(b"CONFIG_SQUASHFS_XATTR=y\n")?;
    let (_, changed) = build(&[fragment.path().to_owned()])?;
    let written = said("one symbol", &changed);
    assert!(changed.configured && (1..100).contains(&changed.done.built), "{} files", changed.done.built);
    assert!(written < NO_TREE, "{written:#x} bytes written for one symbol");
    let read = |path: &Path| std::fs::read(path).map_err(|error| stoop_ci::Failure::io(path, &error));
    let squashfs = |root: &Path| read(&root.join("kernel/fs/squashfs/squashfs.ko"));
    let held = lab.modules(Endian::Little, Flavour::Modular)?;
    let modules = out.join(changed.collected.modules.as_ref().expect("modules"));
    assert!(squashfs(&modules)? != squashfs(&held)?, "the symbol changed nothing");

    let (_, back) = build(&[])?;
    said("back", &back);
    assert!(squashfs(&modules)? == squashfs(&held)?);
    assert!(read(&out.join("vmlinux"))? == read(&lab.vmlinux(Endian::Little, Flavour::Modular))?);
    Ok(())
}
