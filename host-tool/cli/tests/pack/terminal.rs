//! What a person at a terminal meets.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};

use crate::bench::{Bench, text};

fn good(bench: &Bench, words: &[&str]) -> String {
    text(&bench.good(words))
}

const PACK: [&str; 5] = ["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux"];

fn bench() -> Bench {
    let bench = Bench::new();
    bench.full();
    bench
}

#[test]
fn a_dry_run_needs_no_output() {
    let bench = bench();
    let before = bench.files();
    let said = good(&bench, &[&PACK[..], &["--dry-run"]].concat());
    assert!(said.contains("not written") && said.contains("bootm 0x"), "{said}");
    assert_eq!(bench.files(), before);
    assert_eq!(bench.stoop(&PACK).status.code(), Some(2), "without it one is needed");
}

#[test]
fn help_has_80_columns_where_columns_is_0() {
    let bench = Bench::new();
    let help = |columns: &str| {
        let mut command = bench.command(env!("CARGO_BIN_EXE_stoop"));
        text(&command.args(["check", "--help"]).env("COLUMNS", columns).output().unwrap())
    };
    assert_eq!(help("0"), help("80"));
    assert!(help("0").lines().any(|line| line.len() > 60), "{}", help("0"));
}

#[test]
fn a_pattern_that_is_none_is_refused_before_anything_starts() {
    let bench = bench();
    let output = bench.stoop(&["run", "no-such-image", "--until", "(login"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output).contains("--until \"(login\" is no regular expression"), "{output:?}");
}

/// The words' output on a terminal that reports no size.
fn on_a_terminal(bench: &Bench, words: &str) -> String {
    let line = format!("{} {words}", env!("CARGO_BIN_EXE_stoop"));
    let mut script = bench.command("script");
    script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR").env_remove("COLUMNS");
    let output = script.stdin(Stdio::null()).output().expect("script of bsdutils");
    String::from_utf8_lossy(&output.stdout).replace('\r', "")
}

/// Without colours, as columns count.
fn plain(line: &str) -> String {
    regex::Regex::new("\u{1b}\\[[0-9;?]*[a-zA-Z]").unwrap().replace_all(line, "").into_owned()
}

#[test]
fn tables_fit_eighty_columns_of_a_terminal_that_reports_none() {
    let bench = bench();
    for words in ["boards list", "check --kernel vmlinux --for phram-root"] {
        let said = on_a_terminal(&bench, words);
        let table: Vec<String> = said.lines().map(plain).collect();
        let is_header = |line: &String| line.contains("what to do") || line.starts_with("board ");
        let table: Vec<String> = table.into_iter().skip_while(|line| !is_header(line)).collect();
        assert!(table.len() > 10, "{said}");
        let wide = table.iter().find(|line| line.chars().count() > 80 && !line.starts_with("stoop"));
        assert_eq!(wide, None, "{words}");
    }
}

#[test]
fn no_color_leaves_no_escape() {
    let bench = bench();
    let words = "check --kernel vmlinux";
    assert!(on_a_terminal(&bench, words).contains("\u{1b}["), "colours are usual");
    std::fs::write(bench.path("quiet"), b"").unwrap();
    let line = format!("env NO_COLOR=1 {} {words}", env!("CARGO_BIN_EXE_stoop"));
    for line in [
        line.clone(),
        format!("env NO_COLOR=1 {} {}", env!("CARGO_BIN_EXE_stoop"), [&PACK[..], &["-o", "i"]].concat().join(" ")),
    ] {
        let mut script = bench.command("script");
        script.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
        let output = script.stdin(Stdio::null()).output().unwrap();
        assert!(!output.stdout.is_empty() && !output.stdout.contains(&0x1b), "{}", text(&output));
    }
}

#[test]
fn man_pages_are_written_one_for_each_verb() {
    let bench = bench();
    good(&bench, &["man", "man1"]);
    for page in ["stoop.1", "stoop-pack.1", "stoop-modules-bundle.1", "stoop-man.1"] {
        let written = std::fs::read_to_string(bench.path("man1").join(page)).unwrap();
        assert!(written.contains(".TH") && written.contains("Example:"), "{page}");
    }
    assert_eq!(bench.stoop(&["man", "none/man1"]).status.code(), Some(1), "no folders but the one that was asked for");
}

#[test]
fn boards_are_listed_by_architecture_soc_and_flash() {
    let bench = bench();
    let names = |words: &[&str]| -> Vec<String> {
        let said = good(&bench, &[&["boards", "list", "--json"], words].concat());
        let value: serde_json::Value = serde_json::from_str(&said).unwrap();
        value.as_array().unwrap().iter().map(|board| board["name"].as_str().unwrap().to_owned()).collect()
    };
    let (all, mips) = (names(&[]), names(&["--arch", "mips"]));
    assert_eq!(names(&["--arch", "mips-be"]).len() + names(&["--arch", "mips-le"]).len(), mips.len());
    assert_eq!(names(&["--arch", "arm64"]).len() + mips.len(), all.len());
    assert!(names(&["--soc", "MT7621", "--flash", "nand"]).contains(&"edgerouter-x".to_owned()));
    assert!(names(&["--soc", "mt7621", "--arch", "mips-be"]).is_empty());
    let text = good(&bench, &["boards", "list", "--soc", "qca9531"]);
    assert!(text.contains("gl-ar750 ") && !text.contains("edgerouter-x"), "{text}");
}

#[test]
fn requirements_are_listed_with_what_they_need() {
    let bench = bench();
    let said = good(&bench, &["modules", "requirements"]);
    assert!(said.contains("@firewall: ") && said.contains("CONFIG_"), "{said}");
    let value: serde_json::Value = serde_json::from_str(&good(&bench, &["modules", "requirements", "--json"])).unwrap();
    assert!(value.as_array().unwrap().iter().any(|each| each["name"] == "phram-root" && each["symbols"].is_object()));
}

#[test]
fn simulate_says_why_no_bootargs_pass_with_the_limits() {
    let bench = bench();
    good(&bench, &[&PACK[..], &["--cmdline", "own=1", "-o", "image"]].concat());
    let long = format!("liminix {}", "x".repeat(4090));
    for (words, says) in [
        (&[][..], "nobody passed any"),
        (&["--args", ""], "the line that was passed has no word"),
        (&["--args", &long], "5 bytes of the image's, a blank and the 4098 passed: a command line takes 4095"),
        (&["--args", "liminix a\u{1b}b"], "they have a control character, 0x1b"),
    ] {
        let said = good(&bench, &[&["simulate", "image"], words].concat());
        assert!(said.contains(says), "{words:?}: {said}");
        let json = good(&bench, &[&["simulate", "image", "--json"], words].concat());
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert!(value["reason"].as_str().unwrap().contains(says), "{json}");
    }
}

#[test]
fn an_interrupted_run_ends_with_130_and_leaves_no_files() {
    if Command::new("qemu-system-mipsel").arg("--version").output().is_err() {
        return stoop_samples::machine::skipped("qemu-system-mipsel is not installed");
    }
    let bench = bench();
    good(&bench, &[&PACK[..], &["--format", "elf", "-o", "image"]].concat());
    std::fs::create_dir(bench.path("tmp")).unwrap();
    let mut run = Command::new(env!("CARGO_BIN_EXE_stoop"));
    run.args(["run", "image", "--via", "direct", "--until", "never"]).current_dir(bench.path("."));
    let mut run = run.env("TMPDIR", bench.path("tmp")).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut console = BufReader::new(run.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains("stoop ") {
        line.clear();
        assert!(console.read_line(&mut line).unwrap() > 0, "the shim says something");
    }
    assert!(Command::new("kill").args(["-INT", &run.id().to_string()]).status().unwrap().success());
    let _ = console.read_to_string(&mut line);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(std::fs::read_dir(bench.path("tmp")).unwrap().count(), 0);
}
