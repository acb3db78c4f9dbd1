//! Parsers beside the programs that others read the same files with: what both take is the same. A program is too slow for libFuzzer,
//! so the inputs are the seeds and variants of them.
#![cfg(feature = "host")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use stoop_image::input::dtb;
use stoop_kernel::modules::ko::Module;

/// Variants of each seed.
const VARIANTS: usize = 100;

/// Calls `agree` with a file called `name` for every seed of `target` and its variants; how often it compared something.
fn compare(target: &str, name: &str, agree: impl Fn(&Path, &[u8]) -> bool) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(name);
    let mut compared = 0;
    for seed in common::files(&common::seeds().join(target)) {
        let seed = fs::read(seed).expect("a seed");
        for input in std::iter::once(seed.clone()).chain(common::variants(&seed, VARIANTS)) {
            fs::write(&file, &input).expect("a file");
            compared += usize::from(agree(&file, &input));
        }
    }
    compared
}

/// What a program says, if it takes its input.
fn said(program: &str, arguments: &[&str], file: &Path, more: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(program).args(arguments).arg(file).args(more).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    output.status.success().then_some(output.stdout)
}

#[test]
fn bootargs_of_a_tree_are_what_fdtget_finds() {
    let compared = compare("device-tree", "board.dtb", |file, _| {
        let Ok(Some(ours)) = dtb::read(file).and_then(|blob| dtb::bootargs(&blob)) else { return false };
        let Some(theirs) = said("fdtget", &["-t", "bx"], file, &["/chosen", "bootargs"]) else { return false };
        let hex = String::from_utf8(theirs).expect("fdtget writes text");
        let byte = |text| u8::from_str_radix(text, 16).expect("a byte");
        let theirs: Vec<u8> = hex.split_whitespace().map(byte).take_while(|byte| *byte != 0).collect();
        assert_eq!(ours.as_bytes(), theirs, "{}", file.display());
        true
    });
    assert!(compared >= 10, "only {compared} trees had bootargs");
}

#[test]
fn facts_of_a_module_are_what_modinfo_finds() {
    let compared = compare("module", "driver.ko", |file, bytes| {
        let Ok(module) = Module::parse(bytes) else { return false };
        for field in ["depends", "vermagic", "name"] {
            let Some(theirs) = said("modinfo", &["-0", "-F", field], file, &[]) else { return false };
            let ours: Vec<u8> = module.info(field).flat_map(|value| [value.as_bytes(), b"\0"].concat()).collect();
            assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs), "{field}");
        }
        true
    });
    assert!(compared >= 10, "only {compared} modules were read by both");
}
