//! The console against a pipe: what is found, what ends a wait, what is logged.

use std::io::PipeWriter;
use stoop_image::Explained as _;

use super::*;
use crate::notes::Notes;

/// Long enough that only a hang reaches it.
const LONG: Duration = Duration::from_secs(60);

fn console() -> (PipeWriter, Console) {
    let (from, far_end) = std::io::pipe().unwrap();
    (far_end, Console::new(from, std::io::sink(), None, None))
}

#[test]
fn a_match_is_consumed_and_what_follows_stays() {
    let (mut far_end, mut console) = console();
    far_end.write_all(b"one\r\ntwo=22\r\n=> ").unwrap();
    let seen = console.expect(r"two=(\d+)(x)?\n", LONG).unwrap();
    assert_eq!(
        seen,
        Seen { which: 0, before: "one\n".into(), groups: vec!["two=22\n".into(), "22".into(), String::new()] }
    );
    assert_eq!(console.expect("^=> ", LONG).unwrap().before, "");
    assert_eq!(console.transcript(), "one\ntwo=22\n=> ");
}

#[test]
fn bytes_may_come_one_by_one_and_later() {
    let (mut far_end, mut console) = console();
    let waiter = std::thread::spawn(move || console.expect_any(&["never", "login: $"], LONG).map(|seen| seen.which));
    for byte in b"host login: " {
        far_end.write_all(&[*byte]).unwrap();
    }
    assert_eq!(waiter.join().unwrap().unwrap(), 1);
}

#[test]
fn the_earliest_match_wins_whatever_the_order_of_the_patterns() {
    let (mut far_end, mut console) = console();
    far_end.write_all(b"first second\n").unwrap();
    let seen = console.expect_any(&["second", "first"], LONG).unwrap();
    assert_eq!(seen.which, 1);
    assert_eq!(console.expect_any(&["first", "second"], LONG).unwrap().which, 1);
}

#[test]
fn silence_is_no_answer_with_the_last_lines() {
    let (mut far_end, mut console) = console();
    let failure = console.expect("x", Duration::ZERO).unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert!(failure.to_string().ends_with("the console was silent"), "{failure}");
    for line in 1..=30 {
        writeln!(far_end, "line {line}").unwrap();
    }
    console.expect("line 30\n", LONG).unwrap();
    let failure = console.expect("login:", Duration::ZERO).unwrap_err();
    assert_eq!(failure.exit_code(), 3);
    assert!(failure.to_string().starts_with("0 s passed without `login:`;"), "{failure}");
    assert!(failure.to_string().ends_with("\n  | line 29\n  | line 30"), "{failure}");
    assert!(!failure.to_string().contains("line 14\n"), "only the end is shown: {failure}");
}

#[test]
fn each_fatal_line_ends_the_wait_at_once() {
    for line in [
        "Kernel panic - not syncing: VFS: Unable to mount root fs",
        "### ERROR ### Please RESET the board ###",
        "TFTP error: 'File not found' (1)",
        "Retry count exceeded; starting again",
        "Wrong Image Format for bootm command",
        "   Verifying Checksum ... Bad Data CRC",
        "Bad Header Checksum",
        "Unknown command 'bootz' - try 'help'",
    ] {
        let (mut far_end, mut console) = console();
        write!(far_end, "{line}\r\nthe pipe stays open").unwrap();
        let failure = console.expect("login:", LONG).unwrap_err();
        assert_eq!(failure.exit_code(), 1, "{line}");
        assert!(failure.to_string().starts_with("the console says `"), "{failure}");
        console.expect("stays open", LONG).expect("the fatal line is consumed");
    }
}

#[test]
fn a_fatal_line_ends_the_wait_though_the_match_follows() {
    let (mut far_end, mut console) = console();
    far_end.write_all(b"Kernel panic - not syncing: x\r\nrebooting\r\nlogin: ").unwrap();
    drop(far_end);
    // The whole text is there before the wait begins.
    console.join();
    assert!(console.expect("login:", LONG).unwrap_err().to_string().contains("Kernel panic - not syncing: x"));
    console.expect("login:", LONG).unwrap();
}

#[test]
fn a_fatal_line_that_is_asked_for_is_found() {
    let (mut far_end, mut console) = console();
    far_end.write_all(b"TFTP error: 'x'\r\nKernel panic - y\r\n").unwrap();
    console.expect("TFTP error: ", LONG).unwrap();
    console.set_fatal(&[]).unwrap();
    console.expect("^Kernel panic.*y$", LONG).unwrap();
}

#[test]
fn a_panic_in_the_command_line_is_not_fatal() {
    let (mut far_end, mut console) = console();
    far_end.write_all(b"Kernel command line: panic=-1 oops=panic\r\nlogin: ").unwrap();
    console.expect("login: ", LONG).unwrap();
}

#[test]
fn the_end_of_the_console_ends_the_wait() {
    let (mut far_end, mut console) = console();
    far_end.write_all(b"reboot: Restarting").unwrap();
    drop(far_end);
    let failure = console.expect("login:", LONG).unwrap_err();
    assert_eq!(failure.exit_code(), 1);
    assert!(failure.to_string().starts_with("the console ended before `login:`;"), "{failure}");
    assert_eq!(console.expect_end(LONG).unwrap(), "reboot: Restarting");
    assert!(console.is_closed());
}

#[test]
fn an_open_console_that_should_end_is_no_answer() {
    let (_far_end, mut console) = console();
    assert_eq!(console.expect_end(Duration::ZERO).unwrap_err().exit_code(), 3);
}

#[test]
fn an_interruption_ends_each_wait() {
    let (_far_end, mut console) = console();
    let interrupter = console.interrupter();
    let waiter = std::thread::spawn(move || (console.expect("x", LONG), console));
    interrupter.interrupt();
    let (waited, mut console) = waiter.join().unwrap();
    assert_eq!(waited.unwrap_err().to_string(), "interrupted");
    assert_eq!(console.expect_end(LONG).unwrap_err().to_string(), "interrupted");
}

#[test]
fn a_long_way_to_the_match_is_no_obstacle() {
    let (mut far_end, mut console) = console();
    let waiter = std::thread::spawn(move || console.expect("needle", LONG).map(|seen| seen.before.len()));
    let line = [b'.'; 1023];
    for _ in 0..256 {
        far_end.write_all(&line).unwrap();
        far_end.write_all(b"\n").unwrap();
    }
    far_end.write_all(b"needle").unwrap();
    assert_eq!(waiter.join().unwrap().unwrap(), 256 * 1024);
}

#[test]
fn bytes_that_are_no_text_are_carried() {
    let (mut far_end, mut console) = console();
    far_end.write_all(b"\xff\xfe\0ok\n").unwrap();
    assert_eq!(console.expect("ok", LONG).unwrap().before, "\u{fffd}\u{fffd}\0");
}

#[test]
fn a_wrong_pattern_is_a_usage_error() {
    let (_far_end, mut console) = console();
    assert_eq!(console.expect("(", LONG).unwrap_err().exit_code(), 2);
}

#[test]
fn what_is_sent_arrives() {
    let (mut near, to) = std::io::pipe().unwrap();
    let (from, _far_end) = std::io::pipe().unwrap();
    let mut console = Console::new(from, to, None, None);
    console.send(b"help\n").unwrap();
    drop(console);
    let mut typed = String::new();
    near.read_to_string(&mut typed).unwrap();
    assert_eq!(typed, "help\n");
}

#[test]
fn the_log_has_each_line_with_its_time_and_our_notes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("console.log");
    let log = Log::create(&path).unwrap();
    log.note("power on");
    let (from, mut far_end) = std::io::pipe().unwrap();
    let mut console = Console::new(from, std::io::sink(), None, Some(log.clone()));
    far_end.write_all(b"U-Boot\r\n\r\nmalta # ").unwrap();
    drop(far_end);
    console.join();
    log.note("power off");
    let text = std::fs::read_to_string(path).unwrap();
    let wanted = r"\A(\[\d{4}\.\d{3}\]) -- power on\n\[\d{4}\.\d{3}\] U-Boot\n\[\d{4}\.\d{3}\] \n\[\d{4}\.\d{3}\] malta # \n\[\d{4}\.\d{3}\] -- power off\n\z";
    assert!(compile(wanted).unwrap().is_match(text.as_bytes()), "{text}");
}

/// Says what it saw.
struct Repeats;

impl Annotator for Repeats {
    fn line(&mut self, line: &str) -> Notes {
        Notes { beside: None, below: vec![format!("saw {line:?}")] }
    }
}

#[test]
fn an_annotator_sees_the_boards_lines_and_not_our_notes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("console.log");
    let log = Log::create(&path).unwrap().annotated(Repeats);
    log.note("power on");
    let (from, mut far_end) = std::io::pipe().unwrap();
    let mut console = Console::new(from, std::io::sink(), None, Some(log));
    far_end.write_all(b"U-Boot\r\n").unwrap();
    drop(far_end);
    console.join();
    let text = std::fs::read_to_string(path).unwrap();
    let said: Vec<&str> = text.lines().map(|line| line.split_once("] ").unwrap().1).collect();
    assert_eq!(said, ["-- power on", "U-Boot", "-- saw \"U-Boot\""]);
}

#[test]
fn the_echo_gets_the_bytes_as_they_came() {
    let (from, mut far_end) = std::io::pipe().unwrap();
    let (mut heard, echo) = std::io::pipe().unwrap();
    let mut console = Console::new(from, std::io::sink(), Some(Box::new(echo)), None);
    far_end.write_all(b"a\r\n\xff").unwrap();
    drop(far_end);
    console.join();
    let mut bytes = Vec::new();
    heard.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"a\r\n\xff");
}
