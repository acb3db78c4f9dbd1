//! The shape of `--json` is an interface: keys and kinds of values, and the values that do not depend on addresses.

use serde_json::{Value, json};

use crate::bench::{Bench, Kernel, squashfs};
use crate::schema;

/// Values replaced by what kind they are; of lists only the first.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("string"),
        Value::Array(list) => list.first().map_or(json!([]), |first| json!([shape(first)])),
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
    }
}

fn output(bench: &Bench, words: &[&str]) -> Value {
    let output = bench.stoop(words);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    })
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    bench.put("root.squashfs", &squashfs(0x1_2345));
    bench
}

const PACK: [&str; 10] =
    ["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux", "--rootfs", "root.squashfs", "-o", "image", "--json"];

#[test]
fn pack_has_its_shape_and_a_dry_run_writes_nothing() {
    let bench = bench();
    let value = output(&bench, &[&PACK[..], &["--dry-run"]].concat());
    assert!(!bench.path("image").exists());
    let expected = json!({
        "image": "null", "format": "string", "size": "number", "board": "string",
        "load-address": "number", "entry-point": "number", "shim": "number",
        "kernel": {"form": "string", "version": "string", "config": "string", "load-address": "number", "entry-point": "number"},
        "handoff": {"kind": "string", "origin": "string", "reason": "string"},
        "phram": "string", "alias": "number",
        "cookie": {"rule": "string", "text": "string", "keep": []},
        "watchdog": {"care": "string", "seconds": "null", "left-running": "null"}, "seconds": "null",
        "cmdline": "string", "modules": "null",
        "payloads": [{
            "name": "string", "codec": "string", "reason": "string", "stored": "number", "decoded": "number",
            "crc": "string", "start": "number", "size": "number",
        }],
        "regions": [{"name": "string", "start": "number", "size": "number", "when": ["string"]}],
        "commands": ["string"], "flash": "null", "warnings": [],
    });
    assert_eq!(shape(&value), expected);
    assert_eq!(value["cmdline"], "console=ttyS0,115200 earlycon panic=1 root=/dev/mtdblock99 rootfstype=squashfs");
    assert_eq!(value["commands"], json!(["tftpboot 0x81000000 image", "bootm 0x81000000"]));

    let written = output(&bench, &PACK);
    assert_eq!(written["image"], "image");
    assert_eq!(written["size"], json!(std::fs::metadata(bench.path("image")).unwrap().len()));
    assert_eq!(written["payloads"], value["payloads"], "a dry run says what would be");
}

#[test]
fn simulate_has_its_shape_for_success_and_failure() {
    let bench = bench();
    output(&bench, &PACK);
    let value = output(&bench, &["simulate", "image", "--args", "liminix x", "--json", "--dtb-out", "final.dtb"]);
    let expected = json!({
        "ok": "bool", "failed": [], "watchdog": "null", "warnings": [],
        "cmdline": "string", "verdict": "string", "refusal": "null", "entry": "string", "slot": "string",
        "handoff": {"kind": "string", "entry-point": "number", "registers": ["number"], "env": []},
        "phram": {"start": "number", "size": "number", "alias": "number"},
        "regions": [{"name": "string", "start": "number", "size": "number"}],
    });
    assert_eq!(shape(&value), expected);
    assert_eq!((&value["verdict"], &value["entry"], &value["slot"]), (&json!("accepted"), &json!("argv"), &json!("-")));
    assert_eq!(value["handoff"]["registers"][0], 0xffff_fffe_u32);
    let names: Vec<&Value> = value["regions"].as_array().unwrap().iter().map(|region| &region["name"]).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(std::fs::read(bench.path("final.dtb")).unwrap().starts_with(&[0xd0, 0x0d, 0xfe, 0xed]));

    let mut damaged = std::fs::read(bench.path("image")).unwrap();
    let last = damaged.len() - 0x2000;
    damaged[last] ^= 1;
    bench.put("image", &damaged);
    let value = output(&bench, &["simulate", "image", "--json"]);
    let expected = json!({
        "ok": "bool", "failed": [{"slot": "string", "code": "string", "message": "string"}],
        "watchdog": "null", "warnings": [],
        "error": {"code": "string", "message": "string", "next": "string"},
    });
    assert_eq!(shape(&value), expected);
    assert_eq!(value["error"]["code"], "E12");
}

#[test]
fn inspect_has_its_shape() {
    let bench = bench();
    output(&bench, &[&PACK[..], &["--codec", "store"]].concat());
    let value = output(&bench, &["inspect", "image", "--json"]);
    let expected = json!({
        "ok": "bool", "format": "string", "size": "number", "big-endian": "bool", "load-address": "number", "slot": "null",
        "shim": {"variant": "string", "decodes": ["string"]},
        "checks": [{"of": "string", "ok": "bool", "wrong": "null"}],
        "params": {
            "ram": {"start": "number", "size": "number"}, "flash": {"start": "number", "size": "number"},
            "uart": {"kind": "string", "address": "number"},
            "watchdog": {"care": "string", "does": "null"},
            "cookie": {"rule": "string", "text": "string", "keep": []},
        },
        "board": "string", "handoff": "string", "entry-point": "number", "modules": "null",
        "overlay": [{"path": "string", "value": "string"}],
        "payloads": [{
            "name": "string", "codec": "string", "stored": "number", "decoded": "number", "crc": "string",
            "start": "number", "size": "number",
        }],
        "regions": [{"name": "string", "start": "number", "size": "number"}],
    });
    assert_eq!(shape(&value), expected);
    assert_eq!(value["ok"], true);
    assert_eq!(value["checks"].as_array().unwrap().len(), 9);
    assert_eq!(value["shim"], json!({"variant": "store", "decodes": ["store"]}));
    output(&bench, &[&PACK[..], &["--codec", "lz4"]].concat());
    let value = output(&bench, &["inspect", "image", "--json"]);
    assert_eq!(value["shim"], json!({"variant": "full", "decodes": ["store", "lz4", "lzma"]}));
    output(&bench, &[&PACK[..], &["--codec", "store", "--trace"]].concat());
    let value = output(&bench, &["inspect", "image", "--json"]);
    assert_eq!(value["shim"], json!({"variant": "trace", "decodes": ["store", "lz4", "lzma"]}));
}

/// Everything that is printed with `--json`, by the committed schema: [`docs/schema/stoop.json`].
#[test]
fn results_of_every_verb_keep_to_the_schema_in_docs() {
    let bench = bench();
    output(&bench, &PACK);
    bench.put("config", b"CONFIG_MIPS_GENERIC_KERNEL=y\nCONFIG_OF=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=y\n");
    bench.put("bad.toml", b"arch = 'mips'\n");
    let cases: &[(&str, &[&str])] = &[
        ("stoop pack", &PACK),
        ("stoop inspect, an image of stoop's", &["inspect", "image", "--json"]),
        ("stoop simulate", &["simulate", "image", "--args", "liminix", "--json"]),
        ("stoop check, an image", &["check", "image", "--json"]),
        ("stoop check, a kernel", &["check", "--kernel", "vmlinux", "--config", "config", "--json"]),
        ("stoop explain CODE", &["explain", "H061", "--json"]),
        ("stoop explain", &["explain", "--json"]),
        ("stoop boards list", &["boards", "list", "--json"]),
        ("stoop boards show", &["boards", "show", "gl-ar750", "--json"]),
        ("stoop boards check", &["boards", "check", "bad.toml", "--json"]),
        ("stoop modules requirements", &["modules", "requirements", "--json"]),
        ("any verb that fails", &["inspect", "vmlinux", "--json"]),
        ("any verb that fails", &["boards", "show", "nowhere", "--json"]),
        ("any verb that fails", &["pack", "--json", "--no-such-flag"]),
    ];
    for (title, words) in cases {
        let value = output(&bench, words);
        schema::check(title, &value);
    }
    assert!(!schema::of("stoop pack").is_valid(&json!({ "image": "x" })), "the schema asks for something");
}

#[test]
fn keys_are_kebab_case_everywhere() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema/stoop.json")).unwrap();
    fn keys(value: &Value, found: &mut Vec<String>) {
        if let Some(properties) = value["properties"].as_object() {
            found.extend(properties.keys().cloned());
        }
        match value {
            Value::Object(map) => map.values().for_each(|below| keys(below, found)),
            Value::Array(list) => list.iter().for_each(|below| keys(below, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    keys(&serde_json::from_str(&text).unwrap(), &mut found);
    assert!(found.len() > 200);
    for key in found {
        assert!(key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{key}");
    }
}

#[test]
fn a_failure_is_json_on_stdout_with_the_exit_code_and_the_words_of_stderr() {
    let bench = bench();
    for (words, exit, code) in [
        (&["boards", "show", "gl-ar751", "--json"][..], 2, "H010"),
        (&["inspect", "vmlinux", "--json"], 1, "H070"),
        (&["simulate", "--json"], 2, "H005"),
    ] {
        let output = bench.stoop(words);
        assert_eq!(output.status.code(), Some(exit), "{words:?}");
        let value: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(value["error"]["code"], code, "{words:?}");
        let message = value["error"]["message"].as_str().unwrap();
        assert!(String::from_utf8(output.stderr).unwrap().contains(message), "{message}");
        assert!(value["error"]["next"].is_string());
    }
    let output = bench.stoop(&["boards", "show", "gl-ar751"]);
    assert!(output.stdout.is_empty(), "without --json nothing is on stdout");
}

#[test]
fn a_reader_that_goes_away_is_no_failure_of_any_verb() {
    let bench = bench();
    output(&bench, &PACK);
    for words in [
        "pack --board qemu-malta-le --kernel vmlinux -o other",
        "inspect image",
        "simulate image --memory",
        "check image",
        "explain",
        "boards list",
        "boards show gl-ar750",
        "modules requirements",
        "completions bash",
        "explain --json",
        "boards list --json",
    ] {
        let line = format!("{} {words} | true; echo ${{PIPESTATUS[0]}}", env!("CARGO_BIN_EXE_stoop"));
        let output =
            std::process::Command::new("bash").args(["-c", &line]).current_dir(bench.path("")).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "0\n", "{words}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("pipe") && !said.contains("panicked"), "{words}: {said}");
    }
}
