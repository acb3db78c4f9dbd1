//! What the verb prints.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: Args,
}

fn run_line(line: &[&str]) -> (String, Result<()>) {
    let mut out = Vec::new();
    let args = Line::parse_from(["boards"].iter().chain(line)).args;
    let result = run_to(args, &mut out);
    (String::from_utf8(out).expect("text"), result)
}

#[test]
fn list_has_a_line_for_every_board() {
    let (text, result) = run_line(&["list"]);
    assert!(result.is_ok());
    assert_eq!(text.lines().count(), board::names().count() + 1);
    let line = text.lines().find(|line| line.starts_with("gl-ar750 ")).expect("listed");
    let words: Vec<_> = line.split_whitespace().collect();
    let title = ["GL.iNet", "GL-AR750"];
    let rest = ["QCA9531", "mips-be", "128", "MiB", "16", "MiB", "NOR", "glinet_gl-ar750"];
    assert_eq!(words, [&["gl-ar750"], title.as_slice(), rest.as_slice()].concat());
}

#[test]
fn show_tells_what_a_person_at_the_prompt_needs() {
    let (text, result) = run_line(&["show", "glinet_gl-ar750"]);
    assert!(result.is_ok());
    for line in [
        "board              gl-ar750",
        "RAM                0x0..0x8000000 (0x8000000 bytes)",
        "UART               ns16550 at 0x18020000, shift 2, width 4",
        "LED                mask 0x1000, on at 0x18040010, off at 0x1804000c",
        "on failure         reset",
        "from flash         bootm 0x9f060000",
        "tftpboot           0x80a00000",
        "art         0x00050000  0x00010000  calibration  -     0x1f050000  never",
        "firmware    0x00060000  0x00fa0000  firmware     -     0x1f060000  yes",
        "not verified",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
    }
}

#[test]
fn json_has_the_same_facts_for_programs() {
    let (text, _) = run_line(&["show", "qemu-malta-be", "--json"]);
    let board: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(board["arch"], "mips-be");
    assert_eq!(board["uart"]["address"], 0x1800_03f8);
    assert_eq!(board["reset"]["value"], 0x42);
    assert_eq!(board["bootloader"]["reserved-top"], 0x20_0000);
    assert_eq!(board["flash"]["window"]["start"], 0x1e00_0000);
    assert_eq!(board["flash"]["partitions"][0]["protected"], true);
    assert_eq!(board["flash"]["partitions"][2]["slot"], "a");
    assert_eq!(board["defaults"]["policy"], "reset");
    assert_eq!(board["qemu"]["memory"], 256);
    let (text, _) = run_line(&["list", "--json"]);
    let boards: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(boards.as_array().map(Vec::len), Some(board::names().count()));
}

#[test]
fn check_prints_each_problem_and_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mine.toml");
    let text = "title = \"Mine\"\nsoc = \"ath79\"\nchip = \"x\"\nsources = []\n[ram]\nsize = 1\n\
                [bootloader]\nname = \"b\"\ncontainers = []\nreserved-top = 0\n";
    std::fs::write(&path, text).expect("written");
    let path = path.to_str().expect("plain");
    let (shown, result) = run_line(&["check", path]);
    let failure = result.expect_err("problems");
    assert_eq!((failure.exit_code(), failure.fact()), (1, format!("{path}: 3 problems").as_str()));
    assert!(shown.starts_with(&format!("{path}:4: sources: no source is named\n  next: say where")), "{shown}");
    assert!(shown.contains(&format!("{path}:5: ram: start 0x0, size 0x1\n")), "{shown}");
    let (shown, _) = run_line(&["check", path, "--json"]);
    let problems: serde_json::Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!((&problems[1]["line"], &problems[1]["key"]), (&5.into(), &"ram".into()));

    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/../../boards/gl-ar750.toml");
    let (shown, result) = run_line(&["check", good]);
    assert_eq!((shown.as_str(), result.is_ok()), ("no problems\n", true));
    assert!(run_line(&["check", "/no/such.toml"]).1.is_err());
}
