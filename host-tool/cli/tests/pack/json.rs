//! The shape of `--json` is an interface: keys and kinds of values, and the values that do not depend on addresses.

use serde_json::{Value, json};

use crate::bench::{Bench, Kernel, squashfs};

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
        "handoff": {"kind": "string", "entry-point": "number", "registers": ["string"], "env": []},
        "phram": {"start": "number", "size": "number", "alias": "number"},
        "regions": [{"name": "string", "start": "number", "size": "number"}],
    });
    assert_eq!(shape(&value), expected);
    assert_eq!((&value["verdict"], &value["entry"], &value["slot"]), (&json!("accepted"), &json!("argv"), &json!("-")));
    assert_eq!(value["handoff"]["registers"][0], "0xfffffffe");
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
        "error": {"code": "string", "message": "string"},
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
        "additions": [{"path": "string", "value": "string"}],
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
