//! Bundles: the same bytes every time, scripts that a shell runs in the right order, services that s6-rc reads.

use std::fs;
use std::path::Path;
use std::process::Command;

use object::Endianness::Big;
use stoop_kernel::modules::bundle::Bundle;
use stoop_kernel::modules::requirement::{Catalogue, plan};
use stoop_kernel::modules::symbols::Kernel;
use stoop_kernel::modules::tree::{Source, Tree};

use crate::make_ko::{Ko, TestTree};
use crate::{is_installed, schema, stderr_of, stdout_of};

fn tree() -> TestTree {
    let mut tree = TestTree::new();
    tree.add("kernel/base-one.ko", &Ko::new(Big).export("base_fn", 1))
        .add("kernel/left.ko.xz", &Ko::new(Big).import("base_fn", 1))
        .add("kernel/right.ko", &Ko::new(Big).import("base_fn", 1))
        .add("kernel/unrelated.ko", &Ko::new(Big));
    for name in ["left", "right"] {
        let text = format!("description = ''\nmodules = ['{name}']\n");
        fs::write(tree.root().join(format!("{name}.toml")), text).unwrap();
    }
    tree
}

fn bundle(tree: &TestTree, out: &Path) -> String {
    let root = tree.root().to_str().unwrap();
    let (left, right) = (format!("{root}/left.toml"), format!("{root}/right.toml"));
    let requirements = ["--requirement", &left, "--requirement", &right];
    stdout_of(
        &[&["modules", "bundle", "--modules", &tree.text(), "-o", out.to_str().unwrap()], &requirements[..]].concat(),
    )
}

#[test]
fn a_directory_has_only_the_closure_and_can_be_written_again() {
    let tree = tree();
    let out = tree.root().join("out");
    for _ in 0..2 {
        let said = bundle(&tree, &out);
        assert!(said.contains("3 of 4 modules"), "{said}");
        let modules = out.join("lib/modules/6.12.0/kernel");
        let mut names: Vec<String> =
            fs::read_dir(modules).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names, ["base-one.ko", "left.ko", "right.ko"]);
    }
    let left = fs::read(out.join("lib/modules/6.12.0/kernel/left.ko")).unwrap();
    assert!(left.starts_with(b"\x7fELF"), "modules are not compressed in a bundle");
    assert_eq!(fs::read_to_string(out.join("s6-rc/left/type")).unwrap(), "oneshot\n");
    assert_eq!(fs::read_to_string(out.join("s6-rc/left/up")).unwrap(), "/load.sh left\n");
    assert_eq!(fs::read_to_string(out.join("s6-rc/left/down")).unwrap(), "/unload.sh left\n");
    assert!(out.join("s6-rc/right/dependencies.d/left").is_file() && !out.join("s6-rc/left/dependencies.d").exists());
    let words = ["modules", "bundle", "--modules", &tree.text(), "-o", out.to_str().unwrap(), "--json", "left"];
    schema::check("stoop modules bundle", &serde_json::from_str(&stdout_of(&words)).unwrap());
}

#[test]
fn a_directory_that_is_no_bundle_is_left_alone() {
    let tree = tree();
    let out = tree.root().join("precious");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("file"), "data").unwrap();
    let text = stderr_of(&["modules", "bundle", "--modules", &tree.text(), "-o", out.to_str().unwrap(), "left"]);
    assert!(text.contains("is there already and is no bundle"), "{text}");
    assert_eq!(fs::read_to_string(out.join("file")).unwrap(), "data");
    let nowhere = tree.root().join("no/such/place.cpio");
    stderr_of(&["modules", "bundle", "--modules", &tree.text(), "-o", nowhere.to_str().unwrap(), "left"]);
    assert!(!tree.root().join("no").exists());
}

#[test]
fn archives_are_the_same_bytes_every_time_and_wherever_the_tree_lies() {
    let (one, other) = (tree(), tree());
    for name in ["b.cpio", "b.cpio.gz"] {
        let bytes: Vec<Vec<u8>> = [&one, &other]
            .iter()
            .map(|tree| {
                let out = tree.root().join(name);
                bundle(tree, &out);
                fs::read(out).unwrap()
            })
            .collect();
        assert!(!bytes[0].is_empty() && bytes[0] == bytes[1], "{name}");
    }
}

#[test]
fn cpio_itself_unpacks_the_archive_to_what_the_directory_has() {
    if !is_installed("cpio") || !is_installed("diff") {
        return;
    }
    let tree = tree();
    let (directory, archive) = (tree.root().join("out"), tree.root().join("b.cpio"));
    bundle(&tree, &directory);
    bundle(&tree, &archive);
    assert_eq!(fs::metadata(&archive).unwrap().len() % 512, 0);
    let unpacked = tree.root().join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let input = fs::File::open(&archive).unwrap();
    let cpio = Command::new("cpio").args(["-idm", "--quiet"]).current_dir(&unpacked).stdin(input).output().unwrap();
    assert!(cpio.status.success() && cpio.stderr.is_empty(), "{}", String::from_utf8_lossy(&cpio.stderr));
    let diff = Command::new("diff").arg("-r").arg(&directory).arg(&unpacked).output().unwrap();
    assert!(diff.status.success(), "{}", String::from_utf8_lossy(&diff.stdout));
    let listing =
        Command::new("cpio").args(["-itv", "--quiet"]).stdin(fs::File::open(&archive).unwrap()).output().unwrap();
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    assert!(listing.lines().any(|line| line.starts_with("-rwxr-xr-x") && line.ends_with("load.sh")), "{listing}");
    assert!(listing.lines().all(|line| line.contains(" root ")), "{listing}");
}

/// Runs a script of the bundle with insmod and rmmod that only write down what they are asked to do.
#[cfg(unix)]
fn run(bundle: &Path, script: &str, arguments: &[&str], insmod_result: u8) -> (Option<i32>, Vec<String>) {
    use std::os::unix::fs::PermissionsExt as _;
    let tools = tempfile::tempdir().unwrap();
    let log = tools.path().join("log");
    for tool in ["insmod", "rmmod"] {
        let path = tools.path().join(tool);
        let text = format!("#!/bin/sh\necho {tool} ${{1##*/}} >>{}\nexit {insmod_result}\n", log.display());
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    // In place of /proc/modules, all that unload.sh may find loaded.
    let modules = tools.path().join("modules");
    let loaded = if script == "unload.sh" { "right 1\nleft 1\nbase_one 1\n" } else { "" };
    fs::write(&modules, loaded).unwrap();
    let text = fs::read_to_string(bundle.join(script)).unwrap().replace("/proc/modules", modules.to_str().unwrap());
    let copy = bundle.join("copy.sh");
    fs::write(&copy, text).unwrap();
    let path = format!("{}:/usr/bin:/bin", tools.path().display());
    let output = Command::new("/bin/sh").arg(&copy).args(arguments).env("PATH", path).output().unwrap();
    fs::remove_file(copy).unwrap();
    let said = fs::read_to_string(&log).unwrap_or_default();
    (output.status.code(), said.lines().map(str::to_owned).collect())
}

#[cfg(unix)]
#[test]
fn the_scripts_load_in_order_and_unload_in_reverse() {
    let tree = tree();
    let out = tree.root().join("out");
    bundle(&tree, &out);
    let loading = ["insmod base-one.ko", "insmod left.ko", "insmod right.ko"];
    assert_eq!(run(&out, "load.sh", &[], 0), (Some(0), loading.map(str::to_owned).to_vec()));
    assert_eq!(run(&out, "load.sh", &["right"], 0), (Some(0), vec![loading[2].to_owned()]));
    let unloading = ["rmmod right", "rmmod left", "rmmod base_one"];
    assert_eq!(run(&out, "unload.sh", &[], 0), (Some(0), unloading.map(str::to_owned).to_vec()));
    // A module that is in use stays; the others go all the same.
    assert_eq!(
        run(&out, "unload.sh", &["left"], 1),
        (Some(0), unloading[1..].iter().map(|s| (*s).to_owned()).collect())
    );
    // A module that is refused stops the loading, and a service that is not there is told.
    assert_eq!(run(&out, "load.sh", &[], 1), (Some(1), vec![loading[0].to_owned()]));
    assert_eq!(run(&out, "load.sh", &["nonsense"], 0), (Some(2), vec![]));
    let order = fs::read_to_string(out.join("order")).unwrap();
    let expected = ["base-one", "left", "right"].map(|name| format!("lib/modules/6.12.0/kernel/{name}.ko\n")).concat();
    assert_eq!(order, expected);
}

#[test]
fn a_checked_bundle_is_refused_when_the_kernel_would_refuse_a_module() {
    let files = tree();
    let symvers = files.root().join("Module.symvers");
    let tree = Tree::open(&files.directory(), Source::Auto).unwrap();
    let plan = plan(&tree, &["left".to_owned()], &Catalogue::default(), None).unwrap();
    for (crc, fits) in [("0x11111111", true), ("0x11111112", false)] {
        fs::write(&symvers, format!("{crc}\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n")).unwrap();
        let bundle = Bundle::checked(&tree, &plan, &Kernel::from_symvers(&symvers).unwrap(), None);
        match bundle {
            Ok(bundle) => assert!(fits && bundle.order.len() == 2),
            Err(failure) => assert!(!fits && failure.to_string().contains("module_layout"), "{failure}"),
        }
    }
}

#[test]
fn no_name_in_modules_dep_is_a_command_or_leads_out_of_the_bundle() {
    let mut tree = TestTree::new();
    let evil = "a$(touch PWNED);b' \"c.ko";
    tree.add("kernel/plain.ko", &Ko::new(Big)).add(&format!("kernel/{evil}"), &Ko::new(Big));
    fs::write(tree.root().join("outside.ko"), Ko::new(Big).bytes()).unwrap();
    let out = tree.root().join("out");
    let words = ["modules", "bundle", "--modules", &tree.text(), "-o", out.to_str().unwrap(), "plain"];
    stdout_of(&[&words[..], &[evil.strip_suffix(".ko").unwrap()]].concat());
    // An insmod that says what it was given.
    let bin = tree.root().join("bin");
    fs::create_dir(&bin).unwrap();
    for name in ["insmod", "rmmod"] {
        fs::write(bin.join(name), "#!/bin/sh\necho \"$# $1\"\n").unwrap();
        Command::new("chmod").arg("755").arg(bin.join(name)).status().unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let loaded = Command::new("sh").arg("load.sh").current_dir(&out).env("PATH", path).output().unwrap();
    let said = String::from_utf8(loaded.stdout).unwrap();
    assert!(said.contains(&format!("1 ./lib/modules/6.12.0/kernel/{evil}\n")), "{said}");
    assert!(!out.join("PWNED").exists());

    let absolute = tree.root().join("outside.ko").display().to_string();
    for path in ["../../../outside.ko", "kernel/../../../../outside.ko", &absolute, "kernel/a\tb.ko"] {
        tree.write("modules.dep", &format!("kernel/plain.ko:\n{path}:\n"));
        let said = stderr_of(&words);
        assert!(said.contains("is no path of a module in it"), "{path}: {said}");
    }
}
