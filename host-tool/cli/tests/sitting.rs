//! `stoop monitor` with a person at it: on a terminal (a pty), with a board on another one, and what it does by itself until a
//! pattern or a time.
#![cfg(unix)]

mod terminal;

use std::fs::read_to_string;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Output, Stdio};

use serialport::TTYPort;
use terminal::{Terminal, pty};

/// A person's terminal with `stoop monitor` on it, and a board's end of its serial port.
struct Sitting {
    terminal: Terminal,
    board: TTYPort,
}

impl Sitting {
    /// Begins one, and waits until the keyboard belongs to the board.
    fn begin(words: &[&str]) -> Sitting {
        let (board, port) = pty();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stoop"));
        let mut terminal = Terminal::with(command.args(["monitor", "--serial", &port]).args(words));
        terminal.gives_keys();
        Sitting { terminal, board }
    }

    fn types(&mut self, keys: &str) {
        self.terminal.types(keys);
    }

    fn sees(&mut self, text: &str) {
        self.terminal.sees(text);
    }

    /// Reads as many bytes as this has on the board.
    fn board_gets(&mut self, bytes: &str) {
        let mut got = vec![0; bytes.len()];
        self.board.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), bytes);
    }

    fn leaves(self) -> String {
        self.terminal.leaves()
    }

    fn ends(self) -> (ExitStatus, String) {
        self.terminal.ends()
    }
}

#[test]
fn every_key_goes_to_the_board_and_what_it_says_is_shown() {
    let mut sitting = Sitting::begin(&[]);
    sitting.types("reset\r\x03\x1d\x1d");
    sitting.board_gets("reset\r\x03\x1d");
    sitting.board.write_all(b"U-Boot\r\n=> ").unwrap();
    sitting.sees("U-Boot\r\n=> ");
    sitting.types("\x1d?");
    sitting.sees("-- Ctrl-] q  quit");
    sitting.types("\x1dz");
    sitting.sees("Ctrl-] z means nothing");
    sitting.types("\x1db");
    sitting.sees("break sent");
    sitting.leaves();
}

#[test]
fn a_code_is_explained_below_its_line_in_colours() {
    let mut sitting = Sitting::begin(&[]);
    sitting.board.write_all(b"stoop: E12 kernel crc 0x0badc0de, slot -\r\n").unwrap();
    sitting.sees("E12: a payload is damaged");
    let seen = sitting.leaves();
    assert!(seen.contains("\x1b[1;31mstoop: E12 kernel crc 0x0badc0de, slot -\x1b[0m\r\n"), "{seen:?}");
}

#[test]
fn a_file_is_sent_and_a_name_that_is_wrong_is_said() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("script");
    let script = "setenv a 1\r".repeat(100);
    std::fs::write(&path, &script).unwrap();
    let mut sitting = Sitting::begin(&[]);
    sitting.types("\x1ds/no/such\r");
    sitting.sees("No such file");
    sitting.types(&format!("\x1ds{}\r", path.display()));
    sitting.board_gets(&script);
    sitting.sees("1100 bytes sent");
    sitting.types("\x1ds\r");
    sitting.sees("nothing is sent");
    sitting.leaves();
}

#[test]
fn the_power_is_switched_off_and_on() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("power");
    let mut sitting = Sitting::begin(&["--power", &format!("cmd:echo {{off|on}} >> {}", path.display())]);
    sitting.types("\x1dr");
    sitting.sees("power was off and is on");
    assert_eq!(read_to_string(&path).unwrap(), "off\non\n");
    sitting.leaves();
    let mut without = Sitting::begin(&[]);
    without.types("\x1dr");
    without.sees("how to switch this board's power is not known");
    without.sees("--power");
    without.leaves();
}

#[test]
fn a_signal_gives_the_terminal_back_and_completes_the_log() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("console.log");
    let mut sitting = Sitting::begin(&["--log", path.to_str().unwrap()]);
    sitting.types("boot\r");
    sitting.board_gets("boot\r");
    sitting.board.write_all(b"Starting kernel ...\r\nno end").unwrap();
    sitting.sees("no end");
    let id = sitting.terminal.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let (status, _) = sitting.ends();
    assert!(status.success(), "nothing was waited for");
    let log = read_to_string(&path).unwrap();
    for line in ["] > boot\n", "] < Starting kernel ...\n", "] < no end\n"] {
        assert!(log.contains(line), "{log}");
    }
}

/// `stoop monitor` on a command, without a terminal.
fn watched(command: &str, words: &[&str]) -> Output {
    let address = format!("exec:{command}");
    Command::new(env!("CARGO_BIN_EXE_stoop"))
        .args(["monitor", "--serial", &address])
        .args(words)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[test]
fn a_pattern_or_a_time_ends_it_with_the_right_exit_code() {
    let login = "printf 'Linux\\r\\nlogin: '; exec sleep 1000";
    for (command, words, code, says) in [
        (login, &["--until", "^login: $"][..], 0, ""),
        (login, &["--until", "login", "--fail-on", "Linux"], 1, "the console says `Linux`"),
        (login, &["--until", "prompt", "--timeout", "1"], 3, "1 s passed without `prompt`"),
        (login, &["--timeout", "1"], 0, ""),
        ("printf 'Linux\\r\\n'", &["--until", "login"], 3, "the console ended before `login`"),
        ("printf 'Linux\\r\\n'", &[], 0, ""),
        ("printf 'Linux\\r\\n'; exit 7", &[], 75, "L017: exec:printf"),
        ("printf 'Linux\\r\\n'; exit 7", &["--until", "Linux"], 0, ""),
        ("printf 'Linux\\r\\n'; kill -9 $$", &["--until", "login"], 75, "the command ended with signal 9"),
        (login, &["--until", "("], 2, "`(` is no regular expression"),
    ] {
        let output = watched(command, words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {said}");
        assert!(said.contains(says), "{words:?}: {said}");
        assert!(code == 2 || String::from_utf8_lossy(&output.stdout).contains("Linux\r\n"), "{output:?}");
    }
}

#[test]
fn what_is_shown_can_be_recorded_and_played_again() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("boot.cast");
    let output = watched("printf 'Gr\\303\\266\\303\\237e\\r\\n'", &["--record", path.to_str().unwrap(), "--times"]);
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.starts_with('[') && shown.ends_with("] Größe\r\n"), "{shown:?}");
    assert_eq!(played(&path), shown);
}

fn played(path: &Path) -> String {
    let text = read_to_string(path).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(lines.next().unwrap()["version"], 2);
    lines.map(|line| line[2].as_str().unwrap().to_owned()).collect()
}
