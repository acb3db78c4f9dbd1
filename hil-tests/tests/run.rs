//! `stoop run` as people call it, with a program that prints its arguments in place of a packed image.

use std::path::Path;
use stoop_image::Explained as _;

use crate::schema;
use clap::Parser;
use stoop::command::Cli;
use stoop_ci::lab::Endian;
use stoop_hil_tests::packed::{lab, lab_request};
use stoop_hil_tests::program;
use stoop_hil_tests::rig::{self, BootRequest};
use stoop_hil_tests::{Cap, Packed};
use stoop_image::plan::{Format, Request};
use stoop_lab::qemu::DIRECT_ARGS_LIMIT;

/// A directory with images in it, if QEMU and a U-Boot are here.
fn place() -> Option<tempfile::TempDir> {
    rig::open("qemu-malta-le", &BootRequest { caps: &[Cap::Uboot], ..BootRequest::default() }).unwrap()?;
    let place = tempfile::tempdir().unwrap();
    let mut endless = program::raw(false);
    endless[..8].copy_from_slice(&[0xff, 0xff, 0x00, 0x10, 0, 0, 0, 0]); // b .; nop
    for (name, bytes) in [
        ("uimage", program::uimage(false)),
        ("elf", program::elf(false)),
        ("elf-be", program::elf(true)),
        ("raw", program::raw(false)),
        ("endless", endless),
        ("empty", Vec::new()),
    ] {
        std::fs::write(place.path().join(name), bytes).unwrap();
    }
    Some(place)
}

/// Runs `stoop run` in this process; returns its log, or its exit code and message.
fn run(place: &Path, line: &[&str]) -> Result<String, (u8, String)> {
    let log = place.join("log");
    let image = place.join(line[0]);
    let words = ["stoop", "run", image.to_str().unwrap(), "--log", log.to_str().unwrap()];
    let cli = Cli::try_parse_from(words.iter().chain(&line[1..])).unwrap();
    cli.run().map_err(|failure| (failure.exit_code(), failure.to_string()))?;
    Ok(std::fs::read_to_string(log).unwrap())
}

/// What the program printed, from the log.
fn printed(log: &str) -> &str {
    let line = log.lines().filter_map(|line| line.split_once("] ")).find(|(_, line)| line.starts_with('['));
    line.map_or("nothing", |(_, line)| line)
}

const LE: [&str; 2] = ["--board", "qemu-malta-le"];

#[test]
fn each_format_starts_behind_u_boot_and_ends_with_the_machine() {
    let Some(place) = place() else { return };
    let log = run(place.path(), &["uimage", LE[0], LE[1], "--args", "a  b=\"c d\" $x "]).unwrap();
    assert_eq!(printed(&log), "[][a][][b=\"c d\"][$x]");
    let log = run(place.path(), &["raw", LE[0], LE[1], "--args", "-a b"]).unwrap();
    assert_eq!(printed(&log), "[0xa1000000][-a][b]");
    let log = run(place.path(), &["elf", LE[0], LE[1]]).unwrap();
    assert_eq!(printed(&log), "nothing", "not even argv[0]");
}

/// In a process of its own, which has a stdout to read.
#[test]
fn json_is_a_line_for_each_of_the_console_as_the_schema_has_it() {
    let Some(place) = place() else { return };
    let output = stoop_ci::run::stoop()
        .args(["run", "--json"])
        .args(LE)
        .args(["--args", "ab"])
        .arg(place.path().join("uimage"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let said: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    said.iter().for_each(|said| schema::check(schema::LINE, said));
    assert!(said.iter().all(|said| said["event"] == "console"), "{text}");
    assert!(said.iter().any(|said| said["line"].as_str().is_some_and(|line| line.contains("[ab]"))), "{text}");
}

#[test]
fn an_elf_starts_directly_with_one_string_of_arguments() {
    let Some(place) = place() else { return };
    let longest = "x".repeat(DIRECT_ARGS_LIMIT);
    let log = run(place.path(), &["elf", "--via", "direct", "--args", &longest]).unwrap();
    let (name, args) = printed(&log).split_once("][").unwrap();
    assert!(name.ends_with("/elf"), "argv[0] is the file: {name}");
    assert_eq!(args, longest + "]");
}

#[test]
fn until_ends_the_run_well() {
    let Some(place) = place() else { return };
    let log = run(place.path(), &["uimage", LE[0], LE[1], "--args", "ab", "--until", r"\[ab\]"]).unwrap();
    assert!(log.ends_with("-- power off\n"), "{log}");
}

#[test]
fn a_machine_that_stops_before_the_pattern_fails() {
    let Some(place) = place() else { return };
    let (code, message) = run(place.path(), &["uimage", LE[0], LE[1], "--until", "login:"]).unwrap_err();
    assert_eq!(code, 1, "{message}");
    assert!(message.starts_with("the console ended before `login:`; the console's last lines:"), "{message}");
}

#[test]
fn a_machine_that_hangs_is_no_answer() {
    let Some(place) = place() else { return };
    let (code, message) = run(place.path(), &["endless", LE[0], LE[1], "--timeout", "3"]).unwrap_err();
    assert_eq!(code, 3, "{message}");
}

#[test]
fn what_cannot_be_started_is_refused_before_qemu_starts() {
    let Some(place) = place() else { return };
    let too_long = "x".repeat(DIRECT_ARGS_LIMIT + 1);
    for (line, code, fact) in [
        (&["nope", LE[0], LE[1]][..], 1, "No such file"),
        (&["empty", LE[0], LE[1]], 1, "is empty"),
        (&["uimage", LE[0], LE[1], "--via", "direct"], 2, "QEMU itself starts ELF files and arm64 Images only"),
        (&["elf-be", LE[0], LE[1]], 2, "the ELF file is big endian, the board little"),
        (&["elf", "--via", "direct", "--args", &too_long], 2, "QEMU cuts arguments of 256 bytes to 255"),
        (&["elf-be", "--board", "gl-ar750"], 2, "QEMU does not play the board gl-ar750"),
        (&["elf", "--board", "nope"], 2, "nope"),
        (&["uimage"], 2, "the image does not say for which of the boards"),
        (&["elf", "--uboot", "nope"], 1, "nope: No such file"),
        (&["uimage", LE[0], LE[1], "--memory", "16"], 1, "the end of free RAM"),
    ] {
        let (got, message) = run(place.path(), line).unwrap_err();
        assert_eq!(got, code, "{line:?}: {message}");
        assert!(message.contains(fact), "{line:?}: {message}");
    }
}

#[test]
fn qemu_s_own_complaint_is_shown() {
    let Some(place) = place() else { return };
    let (code, message) = run(place.path(), &["elf", "--", "-no-such-option"]).unwrap_err();
    assert_eq!(code, 1, "{message}");
    assert!(message.contains("-no-such-option"), "{message}");
}

#[test]
fn a_packed_image_says_for_which_board_it_is() {
    let (Some(place), Some(lab)) = (place(), lab().unwrap()) else { return };
    let request = Request { format: Some(Format::Raw), ..lab_request(&lab, Endian::Little) };
    let packed = Packed::of(&request).unwrap();
    let path = place.path().join("packed");
    std::fs::write(&path, &packed.built.file).unwrap();
    run(place.path(), &["packed", "--args", "a", "--until", "^stoop .*entry argv, .*bootargs ignored"]).unwrap();
    std::fs::write(&path, &packed.built.file[..0x100]).unwrap();
    assert_eq!(run(place.path(), &["packed"]).unwrap_err().0, 2, "an image that is cut says nothing");
}
