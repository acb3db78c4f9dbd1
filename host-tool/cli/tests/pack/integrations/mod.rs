//! docs/integrations: each recipe is run by what would run it, with the real `stoop` and a stub of its build system.

mod bisect;
mod ci;
mod nix;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stoop_image::image::open;

use crate::bench::{Bench, CONFIG, Kernel, squashfs, tree};

/// Where the recipes are.
fn recipes() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("docs/integrations"));
    above.find(|folder| folder.is_dir()).expect("docs/integrations")
}

/// A command that finds this `stoop` first.
pub(crate) fn command(program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
    let own = Path::new(env!("CARGO_BIN_EXE_stoop")).parent().unwrap().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new(program);
    command.current_dir(folder).env("PATH", path).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// It is installed; else says that a test is skipped.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        stoop_samples::machine::skipped(&format!("{program} is not installed"));
    }
    found
}

fn done(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// An image whose checksums all hold; the names of its payloads.
fn payloads(image: &Path) -> Vec<String> {
    let bytes = std::fs::read(image).unwrap();
    let checks = open(&bytes).unwrap().checks();
    assert!(checks.iter().all(|check| check.wrong.is_none()), "{checks:?}");
    checks.into_iter().map(|check| check.of).collect()
}

fn has_payloads(image: &Path, names: &[&str]) {
    let found = payloads(image);
    assert!(names.iter().all(|name| found.iter().any(|found| found == name)), "{names:?} in {found:?}");
}

#[test]
fn openwrts_recipes_make_a_kernel_and_an_image_with_the_root_filesystem() {
    if !has("make") {
        return;
    }
    let bench = Bench::new();
    for folder in ["kdir", "kdir/linux"] {
        std::fs::create_dir(bench.path(folder)).unwrap();
    }
    bench.put("kdir/linux/.config", CONFIG.as_bytes());
    bench.put("kdir/vmlinux.elf", &Kernel::new(false).elf());
    bench.put("kdir/image-board.dtb", &tree(Some(b"x")));
    bench.put("root.squashfs", &squashfs(0x1_2345));
    // What include/image.mk does with a device: its steps one after the other, each called with its words.
    bench.put(
        "Makefile",
        b"KDIR := $(CURDIR)/kdir\nLINUX_DIR := $(KDIR)/linux\nDEVICE_DTS := board other\nDEVICE_VARS := DEVICE_DTS\n\
        define Build/kernel-bin\n\tcp $< $@\nendef\n\
        include $(RECIPES)/openwrt/stoop.mk\n\
        $(eval $(Device/stoop))\nSTOOP_BOARD := qemu-malta-le\nSTOOP_FLAGS := --cookie openwrt\n\
        IMAGE := stoop-rootfs elf --codec store\n\
        empty :=\nspace := $(empty) $(empty)\ndefine line\n\n\nendef\n\
        one = $(call Build/$(word 1,$(1)),$(wordlist 2,$(words $(1)),$(1)))\n\
        steps = $(foreach step,$(subst |,$(space),$(subst $(space),~,$(1))),$(call one,$(strip $(subst ~,$(space),$(step))))$(line))\n\
        all: kernel.bin netboot.bin\n\
        kernel.bin: $(KDIR)/$(KERNEL_NAME)\n\t$(call steps,$(KERNEL))\n\
        netboot.bin: kernel.bin root.squashfs\n\t$(call one,$(IMAGE))\n\
        vars:\n\t@echo $(DEVICE_VARS)\n",
    );
    let make =
        |goal: &str| done(&command("make", &bench.path(".")).arg(goal).env("RECIPES", recipes()).output().unwrap());
    make("all");
    has_payloads(&bench.path("kernel.bin"), &["uImage data", "kernel", "dtb"]);
    assert!(!payloads(&bench.path("kernel.bin")).iter().any(|name| name == "rootfs"));
    has_payloads(&bench.path("netboot.bin"), &["kernel", "dtb", "rootfs"]);
    let kernel = std::fs::read(bench.path("kernel.bin")).unwrap();
    assert!(kernel.windows(7).any(|bytes| bytes == b"openwrt"), "the flags");
    assert!(make("vars").contains("DEVICE_DTS STOOP_BOARD STOOP_FLAGS"));
}

/// As Buildroot leaves its folders, and its post-image script called as Buildroot does.
fn buildroot(bench: &Bench, words: &[&str]) -> Output {
    let script = recipes().join("buildroot/post-image.sh");
    let mut run = command(script, &bench.path("."));
    run.env("BUILD_DIR", bench.path("build")).env("BINARIES_DIR", bench.path("images"));
    run.arg(bench.path("images")).args(words).output().unwrap()
}

#[test]
fn buildroots_script_packs_what_is_among_the_images() {
    let bench = Bench::new();
    for folder in ["images", "build", "build/linux-6.12"] {
        std::fs::create_dir(bench.path(folder)).unwrap();
    }
    let fails = |words: &[&str], fact: &str| {
        let output = buildroot(&bench, words);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(fact), "{text}");
        assert!(!bench.path("images/stoop.bin").exists());
    };
    fails(&[], "no board");
    fails(&["qemu-malta-le"], "no kernel");
    bench.put("build/linux-6.12/.config", CONFIG.as_bytes());
    bench.put("images/vmlinux", &Kernel::new(false).elf());
    bench.put("images/one.dtb", &tree(Some(b"one")));
    bench.put("images/two.dtb", &tree(Some(b"two")));
    bench.put("images/rootfs.squashfs", &squashfs(0x1_2345));
    fails(&["qemu-malta-le"], "two.dtb: set BR2_ROOTFS_POST_SCRIPT_ARGS");
    let two = bench.path("images/two.dtb");
    done(&buildroot(&bench, &["qemu-malta-le", "--dtb", two.to_str().unwrap(), "--format", "raw"]));
    has_payloads(&bench.path("images/stoop.bin"), &["kernel", "dtb", "rootfs"]);
    std::fs::remove_file(two).unwrap();
    std::fs::remove_file(bench.path("images/rootfs.squashfs")).unwrap();
    bench.put("images/rootfs.cpio.gz", b"070701 is what a cpio archive begins with");
    done(&buildroot(&bench, &["qemu-malta-le"]));
    has_payloads(&bench.path("images/stoop.bin"), &["uImage data", "kernel", "dtb", "initrd"]);
}

/// The variables of a class that it sets itself, and a shell function of it.
fn bitbake(text: &str, function: &str) -> (BTreeMap<String, String>, String) {
    let set = text.lines().filter_map(|line| line.split_once(" ?= \""));
    let set = set.map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned())).collect();
    let body = text.split(&format!("{function} () {{\n")).nth(1).and_then(|rest| rest.split("\n}\n").next());
    (set, body.expect("the function").to_owned())
}

#[test]
fn yoctos_image_type_packs_the_deployed_kernel_with_the_images_root_filesystem() {
    let bench = Bench::new();
    let text = std::fs::read_to_string(recipes().join("yocto/classes/image_types_stoop.bbclass")).unwrap();
    let (mut variables, mut body) = bitbake(&text, "IMAGE_CMD:stoop");
    bench.put("vmlinux", &Kernel::new(false).elf());
    bench.put(".config", CONFIG.as_bytes());
    bench.put("board.dtb", &tree(Some(b"x")));
    bench.put("image.squashfs", &squashfs(0x1_2345));
    let here = bench.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    for (name, value) in [
        ("DEPLOY_DIR_IMAGE", here.as_str()),
        ("IMGDEPLOYDIR", here.as_str()),
        ("STAGING_KERNEL_BUILDDIR", here.as_str()),
        ("IMAGE_NAME", "image"),
        ("STOOP_BOARD", "qemu-malta-le"),
        ("STOOP_DTB", "board.dtb"),
        ("STOOP_FLAGS", "--format elf --cookie yocto"),
    ] {
        variables.insert(name.into(), value.into());
    }
    // As bitbake does: a value may name others. What it does not know is the shell's.
    for _ in 0..2 {
        for (name, value) in &variables {
            body = body.replace(&format!("${{{name}}}"), value);
        }
    }
    assert!(!body.contains("${"), "{body}");
    done(&command("sh", &bench.path(".")).args(["-euc", &body]).output().unwrap());
    has_payloads(&bench.path("image.stoop"), &["kernel", "dtb", "rootfs"]);
    let unset = body.replace("qemu-malta-le", "");
    let failed = command("sh", &bench.path(".")).args(["-c", &format!("bbfatal() {{ exit 9; }}\n{unset}")]).output();
    assert_eq!(failed.unwrap().status.code(), Some(9), "no board");
}
