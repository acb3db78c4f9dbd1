//! What `stoop netboot --json` and `stoop flash --json` print, held against the schema, each in a process of its own, which has a stdout to
//! read; the boards are U-Boot in QEMU on pseudo-terminals.

use std::collections::BTreeSet;

use crate::schema;
use serde_json::Value;
use stoop_ci::Result;
use stoop_ci::lab::Endian;
use stoop_hil_tests::desk::{Desk, no_tftp};
use stoop_hil_tests::packed::{lab, lab_request};
use stoop_hil_tests::stand::Wiring;
use stoop_hil_tests::{Packed, skip};

use stoop_image::plan::{Format, Request};

const BOARD: &str = "qemu-malta-le";

/// Its lines, each of which fits the schema, and whether it succeeded.
fn lines(desk: &Desk, words: &[&str]) -> (Vec<Value>, bool) {
    let output = stoop_ci::run::stoop()
        .args(words)
        .args(["--board", BOARD, "--json"])
        .args(desk.flags())
        .output()
        .expect("cargo");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(!lines.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (lines, output.status.success())
}

/// The events, each of which fits the schema.
fn events(desk: &Desk, words: &[&str]) -> BTreeSet<String> {
    let (lines, succeeded) = lines(desk, words);
    assert!(succeeded, "{lines:?}");
    lines.iter().for_each(|line| schema::check(schema::LINE, line));
    lines.iter().map(|line| line["event"].as_str().unwrap_or_default().to_owned()).collect()
}

fn has(events: &BTreeSet<String>, wanted: &[&str]) {
    for event in wanted {
        assert!(events.contains(*event), "no {event} in {events:?}");
    }
}

#[test]
fn netboots_lines_fit_the_schema_from_the_server_to_the_boot() -> Result<()> {
    let Some(lab) = lab()? else { return Ok(()) };
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    let packed = Packed::of(&Request { format: Some(Format::Uimage), ..lab_request(&lab, Endian::Little) })?;
    let desk = Desk::emulated(BOARD, Wiring::Pty, false)?;
    let image = packed.path().to_string_lossy().into_owned();
    let seen = events(&desk, &["netboot", &image, "--until", "Linux version"]);
    has(&seen, &["listening", "power-cycled", "prompt", "board", "typed", "transfer", "fetched", "booted"]);
    Ok(())
}

#[test]
fn flashs_lines_fit_the_schema_and_so_does_the_failure_behind_them() -> Result<()> {
    if lab()?.is_none() {
        return Ok(());
    }
    if let Some(reason) = no_tftp() {
        return skip(&reason);
    }
    let desk = Desk::emulated(BOARD, Wiring::Pty, true)?;
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(file("image"), [0x5a; 0x1234]).expect("a file");
    let image = file("image");
    let write = ["flash", &image, "--yes", "--unchecked"];
    has(
        &events(&desk, &write),
        &["listening", "prompt", "board", "typed", "transfer", "fetched", "writing", "verified"],
    );
    has(&events(&desk, &write), &["prompt", "kept"]);
    has(&events(&desk, &["flash", "--read", "firmware-a", "-o", &file("read")]), &["prompt", "board", "read"]);

    let (refused, succeeded) = lines(&desk, &["flash", "--read", "no-such", "-o", &file("read")]);
    assert!(!succeeded, "{refused:?}");
    refused.iter().for_each(|line| schema::check("any verb that fails", line));
    Ok(())
}
