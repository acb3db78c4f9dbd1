//! What must be loaded, in which order, and what a broken tree gets.

use object::Endianness::{Big, Little};
use stoop_kernel::modules::resolve::resolve;
use stoop_kernel::modules::tree::{Source, Tree};

use crate::make_ko::{Ko, TestTree};
use crate::{is_installed, schema, stderr_of, stdout_of};

fn order(tree: &Tree, names: &[&str]) -> Vec<String> {
    resolve(tree, names).expect("resolved").order.iter().map(|module| tree.path(*module).to_owned()).collect()
}

/// b needs a, c needs b; d has soft dependencies before and after it.
fn small_tree() -> TestTree {
    let mut tree = TestTree::new();
    tree.add("kernel/a.ko", &Ko::new(Big).export("a_fn", 1).info("alias=pci:v00001*"))
        .add("kernel/b-x.ko.xz", &Ko::new(Big).import("a_fn", 1).export("b_fn", 2))
        .add("kernel/c.ko.zst", &Ko::new(Big).import("b_fn", 2).import("printk", 9))
        .add("kernel/d.ko.gz", &Ko::new(Big).info("softdep=pre: c gone post: e").info("softdep=pre: b-x"))
        .add("kernel/e.ko", &Ko::new(Big).info("alias=pci:v00001*"));
    tree.write("modules.builtin", "kernel/drivers/built-in-one.ko\n");
    tree.write("modules.builtin.modinfo", "built_in_one.alias=crypto-md5\0built_in_one.license=GPL\0");
    tree
}

#[test]
fn what_is_needed_comes_first_whatever_it_is_compressed_with() {
    let tree = small_tree();
    let tree = Tree::open(&tree.directory(), Source::Auto).unwrap();
    assert_eq!(order(&tree, &["c"]), ["kernel/a.ko", "kernel/b-x.ko.xz", "kernel/c.ko.zst"]);
    assert_eq!(order(&tree, &["b_x"]), ["kernel/a.ko", "kernel/b-x.ko.xz"]);
    assert_eq!(order(&tree, &["b-x.ko"]), ["kernel/a.ko", "kernel/b-x.ko.xz"]);
}

#[test]
fn soft_dependencies_are_around_the_module_and_only_the_first_line_counts() {
    let tree = small_tree();
    let tree = Tree::open(&tree.directory(), Source::Auto).unwrap();
    let paths = ["kernel/a.ko", "kernel/b-x.ko.xz", "kernel/c.ko.zst", "kernel/d.ko.gz", "kernel/e.ko"];
    assert_eq!(order(&tree, &["d"]), paths);
    let notes = resolve(&tree, &["d"]).unwrap().notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes.iter().any(|note| note.contains("pre: b-x")) && notes.iter().any(|note| note.contains("gone")));
}

#[test]
fn an_alias_stands_for_all_its_modules_and_a_built_in_for_nothing_to_load() {
    let tree = small_tree();
    let tree = Tree::open(&tree.directory(), Source::Auto).unwrap();
    assert_eq!(order(&tree, &["pci:v00001d2"]), ["kernel/a.ko", "kernel/e.ko"]);
    for name in ["built-in-one", "built_in_one", "crypto-md5"] {
        let resolution = resolve(&tree, &[name]).unwrap();
        assert!(resolution.order.is_empty());
        assert_eq!(resolution.builtin, ["built_in_one"]);
    }
}

#[test]
fn a_path_is_one_of_the_trees_and_no_other() {
    let tree = small_tree();
    let tree = Tree::open(&tree.directory(), Source::Auto).unwrap();
    for path in ["kernel/a.ko", "./kernel/a.ko", "/lib/modules/6.12.0/kernel/a.ko", "kernel/a.ko.xz"] {
        assert_eq!(order(&tree, &[path]), ["kernel/a.ko"], "{path}");
    }
    for path in ["../a", "../a.ko", "a/", "/a.ko", "kernel/../kernel/a.ko", "x/a.ko"] {
        let failure = resolve(&tree, &[path]).unwrap_err();
        assert!(failure.to_string().contains("is no module"), "{path}: {failure}");
    }
}

#[test]
fn a_symbol_stands_for_the_module_that_exports_it() {
    let files = small_tree();
    let expected = ["kernel/a.ko", "kernel/b-x.ko.xz"];
    let tree = Tree::open(&files.directory(), Source::Files).unwrap();
    assert_eq!(order(&tree, &["symbol:b_fn"]), expected);
    files.write("modules.dep", "kernel/b-x.ko.xz: kernel/a.ko\nkernel/a.ko:\n");
    files.write("modules.symbols", "# Aliases for symbols\nalias symbol:a_fn a\nalias symbol:b_fn b_x\n");
    let tree = Tree::open(&files.directory(), Source::Auto).unwrap();
    assert_eq!(order(&tree, &["symbol:b_fn"]), expected);
    assert!(resolve(&tree, &["symbol:none"]).unwrap_err().to_string().contains("symbol:none"));
}

#[test]
fn weak_dependencies_are_said_and_not_followed() {
    let mut files = TestTree::new();
    files.add("kernel/w.ko", &Ko::new(Big).info("weakdep=late later")).add("kernel/late.ko", &Ko::new(Big));
    let notes = |source| resolve(&Tree::open(&files.directory(), source).unwrap(), &["w"]).unwrap();
    let found = notes(Source::Files);
    assert_eq!((found.order.len(), found.notes.len()), (1, 2));
    assert!(found.notes[0].contains("w: may ask for late"), "{:?}", found.notes);
    files.write("modules.dep", "kernel/w.ko:\nkernel/late.ko:\n");
    files.write("modules.weakdep", "# Weak dependencies\nweakdep w late later\n");
    assert_eq!(notes(Source::Auto).notes, found.notes);
}

#[test]
fn built_in_modules_are_known_by_their_modinfo_alone() {
    let files = small_tree();
    files.write("modules.builtin", "");
    let tree = Tree::open(&files.directory(), Source::Auto).unwrap();
    assert_eq!(resolve(&tree, &["built-in-one"]).unwrap().builtin, ["built_in_one"]);
}

#[test]
fn json_has_the_order_and_the_built_ins() {
    let tree = small_tree();
    let text = stdout_of(&["modules", "resolve", "--modules", &tree.text(), "--json", "b-x", "built-in-one"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    schema::check("stoop modules resolve", &json);
    assert_eq!(json["order"], serde_json::json!(["kernel/a.ko", "kernel/b-x.ko.xz"]));
    assert_eq!(json["builtin"], serde_json::json!(["built_in_one"]));
    assert_eq!(json["version"], "6.12.0");
    let all = stdout_of(&["modules", "resolve", "--modules", &tree.text(), "--json", "--all"]);
    schema::check("stoop modules resolve --all", &serde_json::from_str(&all).unwrap());
}

#[test]
fn random_trees_resolve_as_depmod_and_modprobe_do() {
    if !is_installed("depmod") || !is_installed("modprobe") {
        return;
    }
    let mut state = 1u64;
    let mut random = |limit: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % limit
    };
    for round in 0..12 {
        let mut files = TestTree::new();
        for number in 0..14u64 {
            let mut ko = Ko::new(if round % 2 == 0 { Big } else { Little }).export(&format!("fn_{number}"), 7);
            for _ in 0..random(4) {
                // Modules only use earlier ones, so there is no cycle; modules.order is shuffled by the names below.
                if number > 0 {
                    ko = ko.import(&format!("fn_{}", random(number)), 7);
                }
            }
            for word in ["pre:", "post:"] {
                if random(4) == 0 {
                    ko = ko.info(&format!("softdep={word} m{} m-{}", random(14), random(14)));
                }
            }
            if random(3) == 0 {
                ko = ko.info(&format!("alias=m-{}", random(14)));
            }
            let ending = ["", ".xz", ".zst"][random(3) as usize];
            files.add(&format!("kernel/{}/m{number}.ko{ending}", random(3)), &ko);
        }
        let scanned = Tree::open(&files.directory(), Source::Files).unwrap();
        let before: Vec<Vec<String>> = (0..14).map(|number| order(&scanned, &[&format!("m{number}")])).collect();
        files.depmod();
        let text = stdout_of(&["modules", "resolve", "--modules", &files.text(), "--scan", "--all"]);
        assert_eq!(text, std::fs::read_to_string(files.directory().join("modules.dep")).unwrap(), "round {round}");
        let listed = Tree::open(&files.directory(), Source::Auto).unwrap();
        for (number, before) in before.iter().enumerate() {
            let name = format!("m{number}");
            let expected = files.modprobe(&name);
            assert_eq!(order(&listed, &[&name]), expected, "round {round}, modules.dep, {name}");
            assert_eq!(*before, expected, "round {round}, files, {name}");
        }
    }
}

#[test]
fn a_module_under_updates_takes_the_place_of_its_namesake() {
    let mut tree = TestTree::new();
    tree.add("kernel/z.ko", &Ko::new(Little)).add("updates/z.ko", &Ko::new(Little));
    let tree = Tree::open(&tree.directory(), Source::Auto).unwrap();
    assert_eq!(order(&tree, &["z"]), ["updates/z.ko"]);
}

#[test]
fn a_name_that_does_not_exist_gets_the_nearest() {
    let tree = small_tree();
    let text = stderr_of(&["modules", "resolve", "--modules", &tree.text(), "built-in-oen"]);
    assert!(text.contains("built-in-oen") && text.contains("did you mean built_in_one?"), "{text}");
}

#[test]
fn a_cycle_is_named_in_order_and_hurts_only_those_who_need_it() {
    let mut tree = TestTree::new();
    tree.add("kernel/a.ko", &Ko::new(Big).import("b_fn", 1).export("a_fn", 1))
        .add("kernel/b.ko", &Ko::new(Big).import("a_fn", 1).export("b_fn", 1))
        .add("kernel/user.ko", &Ko::new(Big).import("a_fn", 1))
        .add("kernel/free.ko", &Ko::new(Big));
    let text = stderr_of(&["modules", "resolve", "--modules", &tree.text(), "user"]);
    assert!(text.contains("a -> b -> a") || text.contains("b -> a -> b"), "{text}");
    stderr_of(&["modules", "resolve", "--modules", &tree.text(), "--all"]);
    assert_eq!(stdout_of(&["modules", "resolve", "--modules", &tree.text(), "free"]), "kernel/free.ko\n");
}

#[test]
fn a_modules_dep_that_lies_is_told_what_lies() {
    let tree = small_tree();
    tree.write("modules.dep", "kernel/a.ko:\nkernel/b-x.ko: kernel/a.ko\n");
    let text = stderr_of(&["modules", "resolve", "--modules", &tree.text(), "b-x"]);
    assert!(text.contains("kernel/b-x.ko, which is not there, only kernel/b-x.ko.xz is"), "{text}");
    assert_eq!(stdout_of(&["modules", "resolve", "--modules", &tree.text(), "a"]), "kernel/a.ko\n");
    for (wrong, told) in [
        ("kernel/a.ko\n", "line 1: no colon"),
        ("kernel/a.ko: kernel/q.ko\n", "kernel/q.ko has no line"),
        ("kernel/a.ko:\nkernel/a.ko:\n", "line 2: kernel/a.ko was there already"),
        ("kernel/a.ko: kernel/a.ko\n", "needs itself"),
    ] {
        tree.write("modules.dep", wrong);
        let text = stderr_of(&["modules", "resolve", "--modules", &tree.text(), "a"]);
        assert!(text.contains(told), "{text}");
    }
}

#[test]
fn a_broken_module_file_is_told_apart_and_hurts_only_those_who_need_it() {
    let whole = Ko::new(Big).export("broken_fn", 1).bytes();
    let mut stripped = Ko::new(Big).bytes();
    strip_symbol_table(&mut stripped);
    let mut truncated_xz = vec![0xfd, b'7', b'z', b'X', b'Z', 0];
    truncated_xz.extend([1; 20]);
    for (bytes, told) in [
        (whole[..whole.len() / 2].to_vec(), "cut off or damaged"),
        (whole[..30].to_vec(), "cannot be read"),
        (b"not a module".to_vec(), "not an ELF file"),
        (stripped, "symbol table was stripped"),
        (truncated_xz, "xz data is damaged"),
    ] {
        let mut tree = TestTree::new();
        tree.add_bytes("kernel/broken.ko", &bytes).add("kernel/fine.ko", &Ko::new(Big));
        let text = stderr_of(&["modules", "resolve", "--modules", &tree.text(), "broken"]);
        assert!(text.contains(told) && text.contains("kernel/broken.ko"), "{told}: {text}");
        assert_eq!(stdout_of(&["modules", "resolve", "--modules", &tree.text(), "fine"]), "kernel/fine.ko\n");
    }
}

/// Makes the symbol table an unknown section, which is what `strip -s` leaves of it for a reader.
pub fn strip_symbol_table(bytes: &mut [u8]) {
    let word = |bytes: &[u8], at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap());
    let table = word(bytes, 0x20) as usize;
    let count = u16::from_be_bytes(bytes[0x30..0x32].try_into().unwrap()) as usize;
    for at in (0..count).map(|index| table + index * 40) {
        if word(bytes, at + 4) == 2 {
            bytes[at + 4..at + 8].copy_from_slice(&0u32.to_be_bytes());
        }
    }
}

#[test]
fn a_directory_without_modules_is_no_tree() {
    let directory = tempfile::tempdir().unwrap();
    let text = stderr_of(&["modules", "resolve", "--modules", directory.path().to_str().unwrap(), "x"]);
    assert!(text.contains("there is no module in it"), "{text}");
    let text = stderr_of(&["modules", "resolve", "--modules", "/nonexistent/place", "x"]);
    assert!(text.contains("/nonexistent/place"), "{text}");
}
