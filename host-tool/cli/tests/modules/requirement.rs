//! Requirements: their symbols, their modules, their services.

use object::Endianness::Big;

use crate::make_ko::{Ko, TestTree};
use crate::{stderr_of, stdout_of};

/// A tree with one shared module, one of each of two requirements' own, and one that is built in.
fn tree() -> TestTree {
    let mut tree = TestTree::new();
    tree.add("kernel/shared.ko", &Ko::new(Big).export("shared_fn", 1))
        .add("kernel/left.ko", &Ko::new(Big).import("shared_fn", 1))
        .add("kernel/right.ko", &Ko::new(Big).import("shared_fn", 1))
        .add("kernel/lone.ko", &Ko::new(Big));
    tree.write("modules.builtin", "kernel/inside.ko\n");
    for (name, text) in [
        ("left", "description = 'l'\nmodules = ['left', 'inside']\n[symbols]\nLEFT = 'm'\n"),
        ("right", "description = 'r'\nmodules = ['right']\nmodules-if-present = ['absent', 'lone']\n"),
        ("top", "description = 't'\nrequires = ['right', '@left']\nmodules = []\n"),
        ("loop", "description = 'x'\nrequires = ['loop']\n"),
    ] {
        std::fs::write(tree.root().join(format!("{name}.toml")), text).unwrap();
    }
    std::fs::write(tree.root().join("good.config"), "CONFIG_LEFT=m\n").unwrap();
    std::fs::write(tree.root().join("bad.config"), "CONFIG_LEFT=y\n").unwrap();
    tree
}

fn arguments(tree: &TestTree, requirements: &[&str], config: &str, rest: &[&str]) -> Vec<String> {
    let root = tree.root().to_str().unwrap();
    let mut arguments: Vec<String> =
        ["modules", "resolve", "--modules", &tree.text(), "--json"].map(str::to_owned).to_vec();
    for requirement in requirements {
        arguments.extend(["--requirement".to_owned(), format!("{root}/{requirement}.toml")]);
    }
    arguments.extend(["--config".to_owned(), format!("{root}/{config}.config")]);
    arguments.extend(rest.iter().map(|name| (*name).to_owned()));
    arguments
}

fn strs(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

#[test]
fn services_come_in_the_order_of_what_they_require_and_own_a_module_once() {
    let tree = tree();
    let text = stdout_of(&strs(&arguments(&tree, &["top", "left", "right"], "good", &["lone"])));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        json["services"],
        serde_json::json!([
            { "name": "right", "after": [], "modules": ["kernel/shared.ko", "kernel/right.ko", "kernel/lone.ko"] },
            { "name": "left", "after": ["right"], "modules": ["kernel/left.ko"] },
            { "name": "top", "after": ["left", "right"], "modules": [] },
            { "name": "modules", "after": ["right"], "modules": [] },
        ])
    );
    assert_eq!(json["builtin"], serde_json::json!(["inside"]));
}

#[test]
fn a_symbol_that_is_not_set_as_needed_is_named_with_its_value() {
    let tree = tree();
    let text = stderr_of(&strs(&arguments(&tree, &["left"], "bad", &[])));
    assert!(text.contains("CONFIG_LEFT is y, @left needs m"), "{text}");
}

#[test]
fn requirements_in_a_circle_unknown_ones_and_an_unknown_configuration_are_refused() {
    let tree = tree();
    let output = crate::stoop(&strs(&arguments(&tree, &["loop"], "good", &[])));
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("circle"));
    let text = stderr_of(&strs(&arguments(&tree, &[], "good", &["@phram-rot"])));
    assert!(text.contains("did you mean @phram-root?"), "{text}");
    let text = stderr_of(&["modules", "resolve", "--modules", &tree.text(), "@ppp"]);
    assert!(text.contains("its configuration is not known"), "{text}");
}

/// What it says to a command that is wrong by itself.
fn misused(arguments: &[&str]) -> String {
    let output = crate::stoop(arguments);
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn two_files_of_one_name_and_names_that_are_empty_are_refused() {
    let tree = tree();
    let root = tree.root();
    std::fs::create_dir(root.join("other")).unwrap();
    std::fs::copy(root.join("left.toml"), root.join("other/left.toml")).unwrap();
    let text = misused(&strs(&arguments(&tree, &["left", "other/left"], "good", &[])));
    assert!(
        text.contains("left.toml and") && text.contains("other/left.toml are both the requirement @left"),
        "{text}"
    );
    for empty in ["any-of = [[]]", "any-of = [['']]", "modules = ['']", "requires = ['']", "[symbols]\n'' = 'y'"] {
        std::fs::write(root.join("empty.toml"), format!("description = 'e'\n{empty}\n")).unwrap();
        let text = misused(&strs(&arguments(&tree, &["empty"], "good", &[])));
        assert!(text.contains("requirement empty: a") && text.contains("empty\n"), "{text}");
    }
}
