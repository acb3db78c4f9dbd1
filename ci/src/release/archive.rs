//! Archives and Debian packages of the same bytes for the same content: times, owners and order are fixed.

use std::path::{Path, PathBuf};

use stoop_samples::failure::{Failure, Result};

use super::target::Target;
use crate::{cache, repository, run};

/// What goes in.
pub(super) struct Content<'a> {
    pub(super) version: &'a str,
    /// Of every file, in seconds since 1970.
    pub(super) time: u64,
    pub(super) program: &'a Path,
    /// Has `man1` and `completions`.
    pub(super) pages: &'a Path,
}

/// Files of the repository that come along.
const PAPERS: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// `stoop-VERSION-MACHINE-linux.tar.xz`: the program, man pages, completions, README and licences in one folder.
pub(super) fn tar(content: &Content, target: Target, folder: &Path) -> Result<PathBuf> {
    let name = format!("stoop-{}-{}-linux", content.version, target.machine());
    let place = tempfile::tempdir_in(folder).map_err(|error| Failure::io(folder, &error))?;
    let top = place.path().join(&name);
    copy(content.program, &top.join("stoop"), true)?;
    copy_tree(content.pages, &top)?;
    for paper in PAPERS {
        copy(&repository().join(paper), &top.join(paper), false)?;
    }
    let file = folder.join(format!("{name}.tar.xz"));
    let draft = place.path().join("draft.tar");
    let mut tar = run::command("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX", "--format=ustar"]);
    tar.arg(format!("--mtime=@{}", content.time)).arg("-cf").arg(&draft).arg("-C").arg(place.path()).arg(&name);
    run::output(&mut tar)?;
    // One thread: several cut the stream by the number of cores.
    run::output(run::command("xz").args(["-9", "--threads=1"]).arg(&draft))?;
    rename(&place.path().join("draft.tar.xz"), &file)?;
    Ok(file)
}

/// `stoop_VERSION_ARCHITECTURE.deb`, for any Debian: the program needs no library.
pub(super) fn deb(content: &Content, target: Target, folder: &Path) -> Result<PathBuf> {
    let place = tempfile::tempdir_in(folder).map_err(|error| Failure::io(folder, &error))?;
    let root = place.path().join("root");
    copy(content.program, &root.join("usr/bin/stoop"), true)?;
    copy_tree(&content.pages.join("man1"), &root.join("usr/share/man/man1"))?;
    for page in crate::apt::files(&root.join("usr/share/man/man1"), ".1")? {
        run::output(run::command("gzip").args(["-9", "--no-name"]).arg(page))?;
    }
    for (shell, to) in [
        ("bash/stoop", "bash-completion/completions/stoop"),
        ("zsh/_stoop", "zsh/vendor-completions/_stoop"),
        ("fish/stoop.fish", "fish/vendor_completions.d/stoop.fish"),
    ] {
        copy(&content.pages.join("completions").join(shell), &root.join("usr/share").join(to), false)?;
    }
    for (paper, to) in [("LICENSE-MIT", "copyright"), ("LICENSE-APACHE", "LICENSE-APACHE"), ("README.md", "README.md")]
    {
        copy(&repository().join(paper), &root.join("usr/share/doc/stoop").join(to), false)?;
    }
    cache::write(&root.join("DEBIAN/control"), control(content.version, target).as_bytes())?;
    // Folders too, whatever the umask: dpkg-deb takes modes as they are.
    run::output(run::command("chmod").args(["-R", "u=rwX,go=rX"]).arg(&root))?;
    let file = folder.join(format!("stoop_{}_{}.deb", content.version, target.debian()));
    let draft = place.path().join("draft.deb");
    let mut build = run::command("dpkg-deb");
    build.env("SOURCE_DATE_EPOCH", content.time.to_string()).args([
        "--root-owner-group",
        "-Zxz",
        "--threads-max=1",
        "--build",
    ]);
    run::output(build.arg(&root).arg(&draft))?;
    rename(&draft, &file)?;
    Ok(file)
}

fn control(version: &str, target: Target) -> String {
    format!(
        "Package: stoop\nVersion: {version}\nArchitecture: {}\nSection: utils\nPriority: optional\n\
        Maintainer: the stoop authors <stoop@localhost>\n\
        Suggests: qemu-system-mips, qemu-system-arm, u-boot-qemu\n\
        Description: boots an unpatched Linux kernel behind a router's bootloader\n\
        \x20Packs kernel, device tree and root filesystem into one image with a small loader,\n\
        \x20checks it, simulates its boot and runs it in QEMU.\n",
        target.debian()
    )
}

/// Modes by what a file is, not by the umask.
fn copy(from: &Path, to: &Path, program: bool) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    cache::write(to, &cache::read(from)?)?;
    let mode = if program { 0o755 } else { 0o644 };
    std::fs::set_permissions(to, std::fs::Permissions::from_mode(mode)).map_err(|error| Failure::io(to, &error))?;
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let entries = std::fs::read_dir(from).map_err(|error| Failure::io(from, &error))?;
    for entry in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let target = to.join(entry.file_name().unwrap_or_default());
        if entry.is_dir() { copy_tree(&entry, &target)? } else { copy(&entry, &target, false)? }
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| Failure::io(to, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program and its pages, of which nothing was built.
    fn parts(folder: &Path) -> PathBuf {
        let pages = folder.join("pages");
        for (name, text) in [
            ("man1/stoop.1", ".TH stoop 1"),
            ("man1/stoop-pack.1", ".TH stoop-pack 1"),
            ("completions/bash/stoop", "# bash"),
            ("completions/zsh/_stoop", "# zsh"),
            ("completions/fish/stoop.fish", "# fish"),
        ] {
            cache::write(&pages.join(name), text.as_bytes()).unwrap();
        }
        cache::write(&folder.join("program"), b"\x7fELF and the rest").unwrap();
        pages
    }

    /// Made in two folders, the second time with other times, another umask's modes and the pages in another order.
    fn made_twice(make: fn(&Content, Target, &Path) -> Result<PathBuf>) -> [Vec<u8>; 2] {
        [0o600, 0o666].map(|mode| {
            use std::os::unix::fs::PermissionsExt;
            let folder = tempfile::tempdir().unwrap();
            let pages = parts(folder.path());
            let page = pages.join("man1/stoop.1");
            std::fs::rename(&page, pages.join("moved")).unwrap();
            std::fs::rename(pages.join("moved"), &page).unwrap();
            std::fs::set_permissions(&page, std::fs::Permissions::from_mode(mode)).unwrap();
            let program = folder.path().join("program");
            let content = Content { version: "1.2.3", time: 1_795_692_645, program: &program, pages: &pages };
            let file = make(&content, Target::Aarch64, folder.path()).unwrap();
            if file.extension().is_some_and(|ending| ending == "deb") {
                let list = run::output(run::command("dpkg-deb").arg("--contents").arg(&file)).unwrap();
                for name in
                    ["./usr/bin/stoop", "./usr/share/man/man1/stoop-pack.1.gz", "./usr/share/doc/stoop/copyright"]
                {
                    assert!(list.contains(name), "{name} in {list}");
                }
                let field = |name| run::output(run::command("dpkg-deb").arg("--field").arg(&file).arg(name)).unwrap();
                assert_eq!([field("Architecture"), field("Version")], ["arm64\n", "1.2.3\n"]);
            } else {
                let list = run::output(run::command("tar").arg("-tf").arg(&file)).unwrap();
                let top = "stoop-1.2.3-aarch64-linux";
                for name in ["stoop", "man1/stoop.1", "completions/zsh/_stoop", "LICENSE-MIT"] {
                    assert!(list.lines().any(|line| line == format!("{top}/{name}")), "{name} in {list}");
                }
            }
            std::fs::read(file).unwrap()
        })
    }

    #[test]
    fn an_archive_of_the_same_parts_has_the_same_bytes() {
        let [one, two] = made_twice(tar);
        assert!(one == two);
    }

    #[test]
    fn a_debian_package_of_the_same_parts_has_the_same_bytes() {
        let [one, two] = made_twice(deb);
        assert!(one == two);
    }
}
