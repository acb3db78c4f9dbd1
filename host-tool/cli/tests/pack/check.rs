//! `stoop check` of a kernel: the file with its configuration inside, and the configuration alone, answer the same.

use serde_json::Value;

use crate::bench::{Bench, CONFIG, Kernel};

fn answers(bench: &Bench, words: &[&str], code: i32) -> Value {
    let output = bench.stoop(&[&["check", "--json"], words].concat());
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_configuration_alone_answers_as_the_kernel_that_was_built_with_it() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    let debians = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/mips 6.12.117 Kernel Configuration\n#\n";
    bench.put("config-6.12.117-4kc", format!("{debians}CONFIG_CPU_LITTLE_ENDIAN=y\n{CONFIG}").as_bytes());
    for (needs, code) in [("uhi,phram-root,squashfs-xz,initramfs", 0), ("kexec", 1)] {
        let kernel = answers(&bench, &["--kernel", "vmlinux", "--for", needs], code);
        let config = answers(&bench, &["--config", "config-6.12.117-4kc", "--for", needs], code);
        for key in ["ok", "handoff", "phram", "requirements"] {
            assert_eq!(config[key], kernel[key], "{key} for {needs}");
        }
        assert_eq!(config["kernel"]["form"], "its configuration alone");
        assert_eq!(config["kernel"]["version"], "6.12.117");
        assert_eq!(config["kernel"]["load-address"], Value::Null);
    }
}

#[test]
fn a_no_has_the_symbol_its_value_and_the_fix() {
    let bench = Bench::new();
    bench.put("config", format!("CONFIG_CPU_BIG_ENDIAN=y\n{CONFIG}CONFIG_SQUASHFS_XZ=n\n").as_bytes());
    let said = answers(&bench, &["--config", "config", "--for", "squashfs-xz"], 1);
    let findings = said["requirements"][0]["findings"].as_array().unwrap();
    let no = findings.iter().find(|finding| finding["result"] == "no").unwrap();
    assert_eq!((&no["symbol"], &no["value"]), (&Value::from("CONFIG_SQUASHFS_XZ"), &Value::from("n")));
    assert!(no["fix"].as_str().unwrap().contains("CONFIG_SQUASHFS_XZ=y"), "{no}");
}

#[test]
fn a_fragment_is_not_taken_for_a_configuration() {
    let bench = Bench::new();
    bench.put("fragment", b"CONFIG_SQUASHFS=y\n");
    let output = bench.stoop(&["check", "--config", "fragment"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("for no machine that stoop knows"), "{text}");
    assert_eq!(bench.stoop(&["check"]).status.code(), Some(2));
}
