//! `stoop kernel build`, on a source tree that behaves like a kernel's and is built in a moment: a Makefile with the
//! kernel's targets, a few Kconfig files, one module.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use object::Endianness::Big;

use crate::is_installed;
use crate::make_ko::Ko;
use crate::schema;

const MAKEFILE: &str = r#"
all:
# Keeps what Kconfig would keep: NEEDY only with BASE, MANUAL never, the choice's FIRST unless SECOND.
olddefconfig:
	@{ grep -v -e CONFIG_NEEDY= -e CONFIG_HIDDEN= -e CONFIG_NOWHERE= .config; \
	   if grep -q CONFIG_BASE=y .config; then grep CONFIG_NEEDY= .config; fi; \
	   if grep -q CONFIG_SELECTOR=y .config; then echo CONFIG_HIDDEN=y; fi; } | sort -u >.config.new; mv .config.new .config
test_defconfig:
	@echo CONFIG_FROM_BASE=y >.config
vmlinux: init/main.c .config
	@echo "  CC      init/main.o"
	@if grep -q BROKEN init/main.c; then echo "init/main.c:1:1: error: BROKEN" >&2; false; fi
	@cat init/main.c .config >vmlinux.tmp; mv vmlinux.tmp vmlinux
	@echo map >System.map; echo syms >vmlinux.symvers
	@echo "  LD      vmlinux"
modules: vmlinux fs/x/x.ko
	@echo fs/x/x.o >modules.order; echo kernel/fs/y/y.ko >modules.builtin; printf 'y.license=GPL\0' >modules.builtin.modinfo
	@test -e Module.symvers || echo syms >Module.symvers
fs/x/x.ko: fs/x/x.bin .config
	@echo "  LD [M]  fs/x/x.ko"
	@rm -f $@; cp $< $@
kernelrelease:
	@echo 6.12.0-test
"#;

const KCONFIG: &str = "mainmenu \"test\"\n\nconfig MODULES\n\tbool \"modules\"\n\nsource \"arch/$(SRCARCH)/Kconfig\"\n
menu \"things\"\n\tdepends on BASE\n\nconfig NEEDY\n\ttristate \"needy\"\n\tdepends on MODULES && !OTHER\n\thelp\n\t  config NOT_A_SYMBOL\n\nendmenu
config BASE\n\tbool \"base\"\nconfig OTHER\n\tbool \"other\"\nconfig FROM_BASE\n\tbool \"b\"\nconfig HIDDEN\n\tbool\n
config SELECTOR\n\tbool \"s\"\n\tselect HIDDEN if BASE || !OTHER\n";

struct Work {
    root: tempfile::TempDir,
}

impl Work {
    /// A source tree at `linux-test`, and fragments; nothing, after a line that says so, without make and patch.
    fn new() -> Option<Self> {
        if !is_installed("make") || !is_installed("patch") {
            return None;
        }
        let work = Work { root: tempfile::tempdir().unwrap() };
        for (path, text) in [
            ("linux-test/Makefile", MAKEFILE),
            ("linux-test/Kconfig", KCONFIG),
            (
                "linux-test/arch/mips/Kconfig",
                "config CPU_BIG_ENDIAN\n\tbool \"be\"\nconfig CPU_LITTLE_ENDIAN\n\tbool \"le\"\n",
            ),
            ("linux-test/init/main.c", "one\ntwo\nthree\nfour\nfive\n"),
            ("linux-test/kernel/x", ""),
            ("linux-test/scripts/kconfig/x", ""),
            ("base.frag", "CONFIG_MODULES=y\nCONFIG_BASE=y\n"),
        ] {
            work.write(path, text);
        }
        let ko = work.path("linux-test/fs/x/x.bin");
        fs::create_dir_all(ko.parent().unwrap()).unwrap();
        fs::write(ko, Ko::new(Big).bytes()).unwrap();
        Some(work)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Packs the source and returns the archive's name.
    fn tar(&self) -> &'static str {
        let mut archive = tar::Builder::new(Vec::new());
        archive.append_dir_all("linux-test", self.path("linux-test")).unwrap();
        let bytes = archive.into_inner().unwrap();
        fs::write(self.path("source.tar.zst"), zstd::encode_all(bytes.as_slice(), 1).unwrap()).unwrap();
        "source.tar.zst"
    }

    fn arguments(&self, source: &str, fragments: &[&str], more: &[&str]) -> Vec<String> {
        let text = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let mut arguments = vec!["kernel".to_owned(), "build".to_owned(), "--source".to_owned(), text(source)];
        arguments.extend(
            ["--arch", "mips", "--endian", "big", "--cross-compile", "test-", "--json", "--out"].map(str::to_owned),
        );
        arguments.push(text("out"));
        arguments.push("--config".to_owned());
        arguments.extend(fragments.iter().map(|name| text(name)));
        let mut is_patch = false;
        for argument in more {
            arguments.push(if is_patch && !argument.starts_with("--") {
                text(argument)
            } else {
                (*argument).to_owned()
            });
            is_patch |= *argument == "--patch";
        }
        arguments
    }

    fn build(&self, source: &str, fragments: &[&str], more: &[&str]) -> Output {
        let arguments = self.arguments(source, fragments, more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        crate::stoop(&arguments)
    }

    fn succeed(&self, source: &str, fragments: &[&str], more: &[&str]) -> serde_json::Value {
        let output = self.build(source, fragments, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        let mut events: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        events.iter().for_each(|event| schema::check(schema::LINE, event));
        let built = events.pop().unwrap();
        assert_eq!(built["event"], "built");
        assert!(events.iter().all(|event| event["event"] == "step" && event["name"].is_string()), "{events:?}");
        built
    }

    fn fail(&self, source: &str, fragments: &[&str], more: &[&str]) -> String {
        let output = self.build(source, fragments, more);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{text}");
        let last = String::from_utf8_lossy(&output.stdout).lines().last().unwrap_or_default().to_owned();
        assert!(crate::is_no_result(last.as_bytes()) && text.contains("next:"), "{text}");
        text
    }

    /// All files below a directory with their contents, without what stoop and make keep there.
    fn snapshot(&self, name: &str) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
        let mut left = vec![self.path(name)];
        let mut files = Vec::new();
        while let Some(here) = left.pop() {
            for entry in fs::read_dir(here).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with(".stoop") {
                    left.push(path);
                } else if path.is_file() {
                    files.push((
                        path.clone(),
                        fs::read(&path).unwrap(),
                        fs::metadata(&path).unwrap().modified().unwrap(),
                    ));
                }
            }
        }
        files.sort();
        files
    }
}

const PATCH: &str = "--- a/init/main.c\n+++ b/init/main.c\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n";
const SECOND: &str = "--- a/init/main.c\n+++ b/init/main.c\n@@ -1,5 +1,5 @@\n one\n TWO\n-three\n+THREE\n four\n five\n\
--- /dev/null\n+++ b/init/new.c\n@@ -0,0 +1 @@\n+new\n";
const UNFIT: &str = "--- a/init/main.c\n+++ b/init/main.c\n@@ -1,3 +1,3 @@\n zero\n-one\n+ONE\n two\n";

#[test]
fn an_archive_is_unpacked_once_and_a_second_run_builds_nothing() {
    let Some(work) = Work::new() else { return };
    let source = work.tar();
    let first = work.succeed(source, &["base.frag"], &["--modules"]);
    assert_eq!(first["release"], "6.12.0-test");
    assert_eq!(first["files-built"], 3);
    assert_eq!(first["module-count"], 1);
    assert_eq!(
        work.read("out/config"),
        "# CONFIG_CPU_LITTLE_ENDIAN is not set\nCONFIG_BASE=y\nCONFIG_CPU_BIG_ENDIAN=y\nCONFIG_MODULES=y\n"
    );
    assert_eq!(work.read("out/lib/modules/6.12.0-test/modules.dep"), "kernel/fs/x/x.ko:\n");
    assert_eq!(work.read("out/lib/modules/6.12.0-test/modules.order"), "kernel/fs/x/x.ko\n");
    let before = work.snapshot("out");
    let second = work.succeed(source, &["base.frag"], &["--modules"]);
    assert_eq!((&second["files-built"], &second["configured"]), (&serde_json::json!(0), &serde_json::json!(false)));
    assert_eq!(second["bytes-copied"], 0);
    let is_log = |path: &Path| {
        path.ends_with("build.log") || path.ends_with("modules.order") || path.starts_with(work.path("out/tree"))
    };
    let changed: Vec<PathBuf> = before
        .iter()
        .zip(work.snapshot("out"))
        .filter(|(old, new)| *old != new && !is_log(&old.0))
        .map(|(old, _)| old.0.clone())
        .collect();
    assert_eq!(changed, Vec::<PathBuf>::new());
}

#[cfg(unix)]
#[test]
fn kernel_and_modules_are_second_names_of_the_trees_own_files() {
    use std::os::unix::fs::MetadataExt as _;
    let Some(work) = Work::new() else { return };
    work.succeed("linux-test", &["base.frag"], &["--modules"]);
    let is_shared = |inside: &str, outside: &str| {
        let inode = |path: PathBuf| fs::metadata(path).unwrap().ino();
        inode(work.path("linux-test").join(inside)) == inode(work.path("out").join(outside))
    };
    assert!(is_shared("vmlinux", "vmlinux"));
    assert!(is_shared("fs/x/x.ko", "lib/modules/6.12.0-test/kernel/fs/x/x.ko"));
    // The next build writes over these in place, so a second name would not keep the earlier result.
    assert!(!is_shared(".config", "config") && !is_shared("System.map", "System.map"));
    assert!(!work.path("out/tree").exists(), "a tree is used where it lies");
}

#[test]
fn a_changed_symbol_rebuilds_and_kernel_and_modules_come_together() {
    let Some(work) = Work::new() else { return };
    let source = work.tar();
    work.succeed(source, &["base.frag"], &["--modules"]);
    work.write("more.frag", "CONFIG_NEEDY=m\n");
    let json = work.succeed(source, &["base.frag", "more.frag"], &["--modules"]);
    assert_eq!((&json["files-built"], &json["configured"]), (&serde_json::json!(3), &serde_json::json!(true)));
    assert!(work.read("out/vmlinux").contains("CONFIG_NEEDY=m"));
}

#[test]
fn symbols_that_did_not_hold_are_listed_with_the_reason_and_the_earlier_build_stays() {
    let Some(work) = Work::new() else { return };
    let source = work.tar();
    work.succeed(source, &["base.frag"], &[]);
    let before = work.snapshot("out");
    work.write("bad.frag", "CONFIG_NEEDY=y\n# CONFIG_BASE is not set\nCONFIG_NOWHERE=y\nCONFIG_HIDDEN=y\n# CONFIG_ALSO_NOWHERE is not set\n");
    let text = work.fail(source, &["base.frag", "bad.frag"], &[]);
    for told in [
        "4 requested symbols did not hold",
        "CONFIG_NEEDY=y",
        "became n: it depends on CONFIG_BASE, which is n (Kconfig:",
        "CONFIG_NOWHERE=y",
        "no Kconfig file of this kernel has it",
        "CONFIG_HIDDEN=y",
        "it cannot be set by hand; CONFIG_SELECTOR selects it",
        "CONFIG_ALSO_NOWHERE",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let is_log = |path: &Path| path.ends_with("build.log");
    for (old, new) in before.iter().zip(work.snapshot("out")) {
        assert!(is_log(&old.0) || old.1 == new.1, "{} changed", old.0.display());
    }
    // The build for the earlier fragments has nothing to do.
    let json = work.succeed(source, &["base.frag"], &[]);
    assert_eq!(json["configured"], false);
    work.write("off.frag", "CONFIG_SELECTOR=y\n# CONFIG_HIDDEN is not set\n");
    let text = work.fail(source, &["base.frag", "off.frag"], &[]);
    assert!(text.contains("selected by CONFIG_SELECTOR=y"), "{text}");
}

#[test]
fn patches_are_applied_once_and_a_changed_series_is_taken_back() {
    let Some(work) = Work::new() else { return };
    let source = work.tar();
    work.write("1.patch", PATCH);
    work.write("2.patch", SECOND);
    let both = ["--patch", "1.patch", "2.patch"];
    let json = work.succeed(source, &["base.frag"], &both);
    assert_eq!(json["patches"], serde_json::json!({ "applied": 2, "reverted": 0, "kept": 0 }));
    assert_eq!(work.read("out/tree/init/main.c"), "one\nTWO\nTHREE\nfour\nfive\n");
    assert_eq!(work.read("out/tree/init/new.c"), "new\n");
    let json = work.succeed(source, &["base.frag"], &both);
    assert_eq!(json["patches"], serde_json::json!({ "applied": 0, "reverted": 0, "kept": 2 }));
    assert_eq!(json["files-built"], 0);
    let json = work.succeed(source, &["base.frag"], &["--patch", "1.patch"]);
    assert_eq!(json["patches"], serde_json::json!({ "applied": 0, "reverted": 1, "kept": 1 }));
    assert_eq!(work.read("out/tree/init/main.c"), "one\nTWO\nthree\nfour\nfive\n");
    assert!(!work.path("out/tree/init/new.c").exists());
    let json = work.succeed(source, &["base.frag"], &[]);
    assert_eq!(json["patches"], serde_json::json!({ "applied": 0, "reverted": 1, "kept": 0 }));
    assert_eq!(work.read("out/tree/init/main.c"), "one\ntwo\nthree\nfour\nfive\n");
}

#[test]
fn a_patch_that_does_not_apply_leaves_the_tree_as_it_was_to_the_second() {
    let Some(work) = Work::new() else { return };
    let source = work.tar();
    work.write("1.patch", PATCH);
    work.write("2.patch", SECOND);
    work.write("unfit.patch", UNFIT);
    work.succeed(source, &["base.frag"], &["--patch", "1.patch"]);
    let before = work.snapshot("out/tree");
    let text = work.fail(source, &["base.frag"], &["--patch", "1.patch", "2.patch", "unfit.patch"]);
    assert!(
        text.contains("unfit.patch does not apply; the tree is as it was") && text.contains("init/main.c"),
        "{text}"
    );
    assert!(before == work.snapshot("out/tree"), "the tree changed");
    let json = work.succeed(source, &["base.frag"], &["--patch", "1.patch"]);
    assert_eq!(json["patches"], serde_json::json!({ "applied": 0, "reverted": 0, "kept": 1 }));
    assert_eq!(json["files-built"], 0);
}

#[test]
fn a_patch_that_is_none_or_leaves_the_tree_is_refused() {
    let Some(work) = Work::new() else { return };
    work.write("none.patch", "hello\n");
    let text = work.fail("linux-test", &["base.frag"], &["--patch", "none.patch"]);
    assert!(text.contains("it changes no file"), "{text}");
    work.write("out.patch", &PATCH.replace("init/main.c", "../../main.c"));
    let text = work.fail("linux-test", &["base.frag"], &["--patch", "out.patch"]);
    assert!(text.contains("outside of the tree"), "{text}");
}

#[test]
fn a_failed_compilation_shows_the_error_and_keeps_the_earlier_results() {
    let Some(work) = Work::new() else { return };
    work.succeed("linux-test", &["base.frag"], &[]);
    let before = work.read("out/vmlinux");
    work.write("linux-test/init/main.c", "BROKEN\n");
    let text = work.fail("linux-test", &["base.frag"], &[]);
    assert!(text.contains("init/main.c:1:1: error: BROKEN") && text.contains("build.log"), "{text}");
    assert_eq!(work.read("out/vmlinux"), before);
}

#[test]
fn a_defconfig_can_be_the_base() {
    let Some(work) = Work::new() else { return };
    work.succeed("linux-test", &["base.frag"], &["--base", "test_defconfig"]);
    assert!(work.read("out/config").contains("CONFIG_FROM_BASE=y\n"));
}

#[test]
fn sources_that_are_none_and_trees_of_another_archive_are_refused() {
    let Some(work) = Work::new() else { return };
    let text = work.fail("nowhere.tar.xz", &["base.frag"], &[]);
    assert!(text.contains("nowhere.tar.xz"), "{text}");
    work.write("text.tar", "no archive at all, but long enough to be looked at\n");
    work.fail("text.tar", &["base.frag"], &[]);
    fs::create_dir(work.path("empty")).unwrap();
    let text = work.fail("empty", &["base.frag"], &[]);
    assert!(text.contains("no Linux kernel source"), "{text}");
    let source = work.tar();
    let whole = fs::read(work.path(source)).unwrap();
    fs::write(work.path("cut.tar.zst"), &whole[..whole.len() / 2]).unwrap();
    let text = work.fail("cut.tar.zst", &["base.frag"], &[]);
    assert!(text.contains("cannot be unpacked"), "{text}");
    assert!(!work.path("out/tree").exists(), "half a tree was left");
    work.succeed(source, &["base.frag"], &[]);
    fs::copy(work.path(source), work.path("other.tar.zst")).unwrap();
    let text = work.fail("other.tar.zst", &["base.frag"], &[]);
    assert!(text.contains("was unpacked from source.tar.zst"), "{text}");
}

#[test]
fn modules_of_a_kernel_without_modules_are_refused() {
    let Some(work) = Work::new() else { return };
    work.write("static.frag", "CONFIG_BASE=y\n");
    let text = work.fail("linux-test", &["static.frag"], &["--modules"]);
    assert!(text.contains("CONFIG_MODULES is not set"), "{text}");
}

#[test]
fn what_an_archive_brings_as_stoops_own_is_not_obeyed_and_its_links_stay_inside() {
    let Some(work) = Work::new() else { return };
    work.write("precious", "mine");
    work.write("linux-test/.stoop/undo/list", "absent 0 ../../../precious\nwas 1 ../../stolen\n");
    work.write("linux-test/.stoop/undo/1", "evil");
    work.write("fix.patch", PATCH);
    work.succeed(work.tar(), &["base.frag"], &["--patch", "fix.patch"]);
    assert!(work.read("precious") == "mine" && !work.path("stolen").exists() && !work.path("out/stolen").exists());
    // In a tree that is used where it lies, the same list is refused.
    let refused = work.fail("linux-test", &["base.frag"], &["--patch", "fix.patch"]);
    assert!(refused.contains("is no file inside of the tree"), "{refused}");
    assert_eq!(work.read("precious"), "mine");

    fs::remove_dir_all(work.path("linux-test/.stoop")).unwrap();
    for (link, to) in [(".config", "../../precious"), ("init/up", "../.."), ("a", "/etc/hostname"), (".stoop", "../..")]
    {
        fs::remove_dir_all(work.path("out")).unwrap();
        std::os::unix::fs::symlink(to, work.path("linux-test").join(link)).unwrap();
        let mut archive = tar::Builder::new(Vec::new());
        archive.follow_symlinks(false);
        archive.append_dir_all("linux-test", work.path("linux-test")).unwrap();
        fs::write(work.path("links.tar"), archive.into_inner().unwrap()).unwrap();
        fs::remove_file(work.path("linux-test").join(link)).unwrap();
        let refused = work.fail("links.tar", &["base.frag"], &[]);
        assert!(refused.contains(&format!("the archive's {link} is a link that leads out of it")), "{refused}");
        assert_eq!(work.read("precious"), "mine");
    }
    // Links inside of the tree are the kernel's own.
    fs::remove_dir_all(work.path("out")).unwrap();
    std::os::unix::fs::symlink("../init/main.c", work.path("linux-test/kernel/link")).unwrap();
    let mut archive = tar::Builder::new(Vec::new());
    archive.follow_symlinks(false);
    archive.append_dir_all("linux-test", work.path("linux-test")).unwrap();
    fs::write(work.path("links.tar"), archive.into_inner().unwrap()).unwrap();
    work.succeed("links.tar", &["base.frag"], &[]);
}

/// make waits in a FIFO's reader, so that the test knows when it runs, and a writer whether somebody reads.
#[test]
fn a_signal_ends_make_and_its_jobs() {
    let Some(work) = Work::new() else { return };
    let fifo = work.path("linux-test/fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    work.write("linux-test/Makefile", &MAKEFILE.replace("@echo \"  CC      init/main.o\"", "@cat fifo"));
    let mut command = Command::new("env");
    command.args(["--default-signal", env!("CARGO_BIN_EXE_stoop")]).args(work.arguments(
        "linux-test",
        &["base.frag"],
        &[],
    ));
    let stoop = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut job = fs::File::options().write(true).open(&fifo).unwrap();
    assert!(Command::new("kill").args(["-TERM", &stoop.id().to_string()]).status().unwrap().success());
    let output = stoop.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(job.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe, "somebody still reads");
}

/// The tree's lock goes with stoop: make, which nobody listens to any more, has to be gone before.
#[test]
fn a_log_that_cannot_be_written_ends_make_and_its_jobs() {
    let Some(work) = Work::new() else { return };
    let fifo = work.path("linux-test/fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let job = "@exec 3<fifo; head -c 100000 /dev/zero | tr '\\0' '\\n'; exec cat <&3";
    work.write("linux-test/Makefile", &MAKEFILE.replace("@echo \"  CC      init/main.o\"", job));
    let mut command = Command::new("prlimit");
    command.args(["--fsize=65536", env!("CARGO_BIN_EXE_stoop")]).args(work.arguments(
        "linux-test",
        &["base.frag"],
        &[],
    ));
    let stoop = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut job = fs::File::options().write(true).open(&fifo).unwrap();
    let output = stoop.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && said.contains("build.log"), "{said}");
    assert_eq!(job.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe, "somebody still reads");
}
