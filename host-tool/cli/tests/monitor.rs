//! What `stoop monitor` makes of a console: frames as a traced shim writes them, made here from the strings of the shims in the
//! tool, among a bootloader's and a kernel's text.

#[path = "pack/schema.rs"]
mod schema;

use std::io::Write;
use std::process::{Command, Output, Stdio};
use stoop_image::machine::Machine;

use object::{Object, ObjectSymbol};
use proptest::prelude::*;
use stoop_core::manifest::TRACE_MARK;
use stoop_image::shim_image::strings::number;
use stoop_image::shim_image::{Variant, prebuilt};
use stoop_lab::monitor::Monitor;

const BOTH: [(Machine, Machine); 2] = [(Machine::MipsBe, Machine::MipsBe), (Machine::MipsLe, Machine::MipsLe)];

/// The frame that says `params: RAM …, flash none` at count 7, with the end of its line.
fn frame((arch, machine): (Machine, Machine), ram: std::ops::Range<u64>) -> Vec<u8> {
    let shim = prebuilt(arch, Variant::Trace).unwrap();
    let file = object::File::parse(shim).unwrap();
    let string = |text: &str| {
        let data = format!("\"data\":\"{text}\"");
        let symbol = file.symbols().find(|symbol| symbol.name().is_ok_and(|name| name.contains(&data)));
        (symbol.unwrap_or_else(|| panic!("{arch}: no string {text:?}")).address() as u16).to_le_bytes()
    };
    let [params, region, none] = ["params: RAM {}, flash {}", "{=u64:#010x}..{=u64:#010x}", "none"].map(string);
    // A value with a format of its own is a sequence of strings and their values, which a 0 ends.
    let (sequence, end) = (string("{=__internal_FormatSequence}"), [0; 2]);
    let ram = [&sequence[..], &region, &ram.start.to_le_bytes(), &ram.end.to_le_bytes(), &end].concat();
    let words = [&params[..], &7u32.to_le_bytes(), &ram, &sequence, &none, &end];
    let mut frame = vec![0, TRACE_MARK | machine as u8];
    frame.extend(number(shim));
    frame.extend(rzcobs::encode(&words.concat()));
    frame.extend(b"\0\r\n");
    frame
}

fn all(monitor: &mut Monitor, bytes: &[u8]) -> String {
    let mut out = monitor.feed(bytes);
    out.extend(monitor.end());
    String::from_utf8_lossy(&out).into_owned()
}

fn shown(bytes: &[u8]) -> String {
    all(&mut Monitor::default(), bytes)
}

const RAM: &str = "stoop trace 7: params: RAM 0x00000000..0x10000000, flash none\r\n";

#[test]
fn a_frame_becomes_a_line_of_its_own_and_text_stays_as_it_is() {
    for machine in BOTH {
        let frame = frame(machine, 0..0x1000_0000);
        let console = [b"U-Boot\r\nmalta # ", &frame[..], &frame, b"stoop 0.1.0: entry argv\r\n\xff\x1b[0m"].concat();
        let wanted = format!("U-Boot\r\nmalta # \r\n{RAM}{RAM}stoop 0.1.0: entry argv\r\n\u{fffd}\x1b[0m");
        assert_eq!(shown(&console), wanted);
        for at in 0..console.len() {
            let mut monitor = Monitor::default();
            let first = monitor.feed(&console[..at]);
            let parts = [first, monitor.feed(&console[at..]), monitor.end()].concat();
            assert_eq!(String::from_utf8_lossy(&parts), wanted, "cut at {at}");
        }
    }
}

#[test]
fn behind_a_frame_that_lost_a_byte_the_next_one_is_read() {
    for machine in BOTH {
        let frame = frame(machine, 0x1234_5678..0x9abc_def0);
        let good = "stoop trace 7: params: RAM 0x12345678..0x9abcdef0, flash none\r\n";
        for lost in 0..frame.len() {
            let mut damaged = frame.clone();
            damaged.remove(lost);
            let text = shown(&[&damaged[..], b"text\r\n", &frame, b"end"].concat());
            assert!(text.ends_with(&format!("{good}end")), "byte {lost} lost: {text:?}");
            assert!(text.contains("text\r\n"), "byte {lost} lost: {text:?}");
        }
    }
}

#[test]
fn a_frame_of_another_build_is_not_read_by_these_strings() {
    for machine in BOTH {
        let mut frame = frame(machine, 0..1);
        frame[3] ^= 1;
        let text = shown(&frame);
        assert!(text.starts_with("stoop trace of another stoop: strings 0x"), "{text}");
        assert!(!text.contains("params"), "{text}");
    }
}

#[test]
fn what_only_begins_like_a_frame_is_shown_when_nothing_follows() {
    for begun in [&b"=> \0"[..], b"\0\xf1", b"\0\xf2\x80\x80", b"\0\0"] {
        let mut monitor = Monitor::default();
        assert_eq!([monitor.feed(begun), monitor.end()].concat(), begun);
    }
    // Text behind a stray 0 does not wait for a frame that never ends.
    assert_eq!(Monitor::default().feed(b"\0=> "), b"\0=> ");
    let endless = [&b"\0\xf1"[..], &[b'x'; 4096]].concat();
    assert_eq!(Monitor::default().feed(&endless), endless);
}

proptest! {
    #[test]
    fn bytes_without_a_mark_pass_unchanged(bytes in proptest::collection::vec(0u8..0xf0, 0..300)) {
        let mut monitor = Monitor::default();
        prop_assert_eq!([monitor.feed(&bytes), monitor.end()].concat(), bytes);
    }

    #[test]
    fn a_damaged_frame_ends(at in 4usize..40, byte: u8) {
        let mut frame = frame(BOTH[1], 0..0x1000_0000);
        let at = at % frame.len();
        frame[at] = byte;
        prop_assert!(shown(&[&frame[..], b"\0\0end"].concat()).ends_with("end"));
    }
}

/// Runs `stoop monitor` with these words, and these bytes on stdin.
fn monitor(words: &[&str], stdin: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_stoop"))
        .arg("monitor")
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It may have ended with an error before it read anything.
    let _ = child.stdin.take().unwrap().write_all(stdin);
    child.wait_with_output().unwrap()
}

#[test]
fn a_file_and_stdin_are_read_to_their_end() {
    let console = [b"a\r\n", &frame(BOTH[0], 0..0x1000_0000)[..], b"b"].concat();
    let wanted = format!("a\r\n{RAM}b");
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("console");
    std::fs::write(&path, &console).unwrap();
    for output in [monitor(&[path.to_str().unwrap()], b""), monitor(&["-"], &console)] {
        assert_eq!(String::from_utf8_lossy(&output.stdout), wanted);
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    }
    let output = monitor(&[place.path().join("nope").to_str().unwrap()], b"");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(monitor(&[], b"").status.code(), Some(2), "neither a file nor a port");
}

#[test]
fn a_console_that_is_read_is_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let console = folder.path().join("console");
    std::fs::write(&console, "a line\n").unwrap();
    let (file, other) = (console.to_str().unwrap(), folder.path().join("other"));
    let other = other.to_str().unwrap();
    for words in [
        [file, "--record", file, "--log", other],
        [file, "--log", file, "--record", other],
        [file, "--log", other, "--record", other],
    ] {
        let output = monitor(&words, b"");
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("stoop: H003: "), "{output:?}");
        assert_eq!(std::fs::read(&console).unwrap(), b"a line\n");
    }
}

#[test]
fn each_line_is_an_object_with_json_and_so_is_the_failure() {
    let output = monitor(&["-", "--json", "--until", "never"], b"U-Boot 2024.01\r\n\r\n\x1b[1mno end\xff");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    lines[..3].iter().for_each(|line| schema::check(schema::LINE, line));
    schema::check("any verb that fails", &lines[3]);
    let console: Vec<&str> = lines.iter().filter_map(|line| line["line"].as_str()).collect();
    assert_eq!(console[..2], ["U-Boot 2024.01", ""], "{said}");
    assert!(console[2].contains("no end") && lines[..3].iter().all(|line| line["event"] == "console"), "{said}");
    assert!(lines[3]["error"]["code"].is_string() && lines.len() == 4, "{said}");
}

#[cfg(unix)]
#[test]
fn a_serial_port_is_read_while_it_is_open() {
    use std::io::{BufRead, BufReader};

    use serialport::{SerialPort, TTYPort};

    let (mut board, port) = TTYPort::pair().unwrap();
    let name = port.name().unwrap();
    drop(port);
    let mut child = Command::new(env!("CARGO_BIN_EXE_stoop"))
        .args(["monitor", "--port", &name])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut ready, mut line) = (String::new(), String::new());
    // What comes earlier the terminal itself would change.
    let heard = BufReader::new(child.stderr.take().unwrap()).read_line(&mut ready);
    let sent = board.write_all(&frame(BOTH[1], 0..0x1000_0000));
    let read = BufReader::new(child.stdout.take().unwrap()).read_line(&mut line);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(heard.and(read).is_ok() && sent.is_ok());
    assert_eq!((ready, line), (format!("stoop: reading {name} at 115200 baud; Ctrl-C ends it\n"), RAM.to_owned()));
    let output = monitor(&["--port", "/dev/no-such-port"], b"");
    assert_eq!(output.status.code(), Some(75));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no /dev/no-such-port"), "{output:?}");
}

#[test]
fn the_logs_of_each_crash_are_kept_beside_those_of_earlier_ones() {
    let folder = tempfile::tempdir().unwrap();
    let (console, crashes) = (folder.path().join("console"), folder.path().join("crashes"));
    let said = "=== pstore: dmesg-ramoops-0 ===\r\nPanic#1 Part1\r\n=== pstore: end ===\r\nlogin: ";
    std::fs::write(&console, said).unwrap();
    for name in ["dmesg-ramoops-0", "dmesg-ramoops-0.1"] {
        let mut monitor = Command::new(env!("CARGO_BIN_EXE_stoop"));
        let output = monitor.arg("monitor").arg("--crash-log").arg(&crashes).arg(&console).output().unwrap();
        let shown = String::from_utf8_lossy(&output.stdout);
        let kept = crashes.join(name);
        assert!(shown.contains(&format!("the crash log dmesg-ramoops-0 is kept as {}", kept.display())), "{shown}");
        assert_eq!(std::fs::read_to_string(&kept).unwrap(), "Panic#1 Part1\n");
    }
}
