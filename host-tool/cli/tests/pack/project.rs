//! The project file: with it `stoop pack` alone does the job.

use std::io::Write;
use std::process::Stdio;

use crate::bench::{Bench, text, tree};

fn good(bench: &Bench, words: &[&str]) -> String {
    text(&bench.good(words))
}

/// With the files that the example names.
fn bench(project: &str) -> Bench {
    let bench = Bench::new();
    bench.full();
    bench.put("stoop.toml", project.as_bytes());
    bench
}

/// The example of docs/project.md.
fn example() -> &'static str {
    let page = include_str!("../../../../docs/project.md");
    page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example")
}

#[test]
fn the_documented_example_makes_an_image_of_each_format() {
    let bench = bench(example());
    good(&bench, &["pack"]);
    for (file, format) in [("image-uimage.bin", "uimage"), ("image-elf.bin", "elf")] {
        let said = good(&bench, &["inspect", file]);
        assert!(said.starts_with(&format!("image        {format}")) && said.contains("bootImage slot"), "{said}");
        assert!(said.contains("shim         trace"), "{said}");
    }
    // Without a name they take the first one.
    assert!(good(&bench, &["inspect"]).starts_with("image        uimage"));
    assert!(good(&bench, &["simulate", "--args", "liminix x=1"]).contains("panic=10"));
    assert!(good(&bench, &["check", "--board", "qemu-malta-le"]).contains("checksums"));
}

#[test]
fn json_of_several_images_is_a_line_for_each() {
    let bench = bench(example());
    let said = String::from_utf8(bench.good(&["pack", "--json"]).stdout).unwrap();
    let formats: Vec<String> = said
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["format"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(formats, ["uimage", "elf"]);
}

#[test]
fn flags_win_over_the_file() {
    let bench = bench(example());
    good(&bench, &["pack", "--format", "raw", "-o", "other", "--keep", "mine", "--cmdline", "only=this"]);
    let said = good(&bench, &["inspect", "other"]);
    assert!(said.starts_with("image        raw") && said.contains("without it: mine\n"), "{said}");
    let said = good(&bench, &["simulate", "other"]);
    assert!(said.contains("only=this") && !said.contains("panic=10"), "{said}");
}

#[test]
fn check_finds_the_board_file_of_the_project_and_needs_none_for_a_kernel() {
    let bench =
        bench("board = './my.toml'\nkernel = 'vmlinux'\nrootfs = 'root.squashfs'\ndtb = 'x.dtb'\noutput = 'image'\n");
    let malta = include_str!("../../../../boards/qemu-malta-le.toml");
    bench.put("my.toml", malta.replace("dtb = \"qemu-malta\"\n", "").as_bytes());
    bench.put("x.dtb", &tree(Some(b"x")));
    good(&bench, &["pack"]);
    assert!(good(&bench, &["check"]).contains("checksums"));
    assert!(good(&bench, &["check", "image"]).contains("checksums"));
    let of_kernel = text(&bench.stoop(&["check", "--kernel", "vmlinux"]));
    assert!(!of_kernel.contains("--board"), "{of_kernel}");
}

#[test]
fn a_key_that_no_flag_has_is_told_with_the_nearest() {
    for (line, says) in [
        ("kernal = 'vmlinux'", "did you mean kernel?"),
        ("kernel = { a = 1 }", "a value that no flag takes"),
        ("board = ", "stoop.toml: "),
        ("dry-run = true", "dry-run is no key of it"),
    ] {
        let output = bench(line).stoop(&["pack", "-o", "x"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output).contains(says), "{output:?}");
        // What needs no project does not read it.
        assert!(bench(line).stoop(&["explain", "E12"]).status.success());
    }
}

#[test]
fn a_value_that_its_flag_does_not_take_is_told_by_its_key_before_anything_is_written() {
    for (line, says) in [
        ("append = 5", "append is a number, and a text is wanted\n  next: write it in quotes"),
        ("cookie = 1234", "cookie is a number"),
        ("trace = 'yes'", "trace: unexpected value 'yes'"),
        ("phram = true", "phram: a value is required"),
        ("codec = 'zip'", "codec: invalid value 'zip'"),
        (
            "formats = ['uimage', 'zip']",
            "formats: invalid value 'zip' for '--format <FORMAT>'\n  next: [possible values: uimage",
        ),
        ("formats = ['uimage', 'elf', 'uimage']", "formats has uimage twice"),
        ("formats = ['uimage']\nformat = 'elf'", "it has both format and formats"),
    ] {
        let bench = bench(&format!("{line}\noutput = 'image'\n"));
        let before = bench.files();
        let output = bench.stoop(&["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux"]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("stoop: H007: stoop.toml: ") && said.contains(says), "{said}");
        assert_eq!(bench.files(), before);
    }
    assert!(
        bench("load-address = 0x8000_0000").stoop(&["pack", "-o", "x"]).status.code() == Some(2),
        "more is missing"
    );
    let hexadecimal = bench("load-address = 0x8010_0000").stoop(&["pack", "--help"]);
    assert!(hexadecimal.status.success());
}

#[test]
fn a_place_whose_value_its_flag_does_not_take_is_told_by_its_key() {
    for (line, says) in [
        // As a flag without a value they would take the next word for one: the image's name.
        ("[place]\ntftp-folder = true", "tftp-folder of [place] has a value that no flag takes"),
        ("[place]\nserial = false", "serial of [place] has a value that no flag takes"),
        ("[place]\npower-off = 'yes'", "power-off of [place] is neither true nor false"),
        ("[place]\nspeed = 'fast'", "[place] speed: invalid value 'fast'"),
        ("[place]\nspeed = -1", "[place] speed: invalid value '-1'"),
        ("[place]\noff-time = inf", "[place] off-time: invalid value 'inf'"),
        ("[place]\naddress = 'here'", "[place] address: invalid value 'here'"),
        ("place = 5", "place is a number"),
        ("place = true", "place has a value"),
    ] {
        let output = bench(&format!("{line}\n")).stoop(&["netboot", "vmlinux", "--board", "qemu-malta-le"]);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.starts_with("stoop: H007: stoop.toml: ") && said.contains(says), "{said}");
    }
    // What needs another flag may get that when it is typed.
    let output = bench("[place]\npower-off = true\ntftp-folder = 'x'\n").stoop(&["power", "get"]);
    assert!(text(&output).contains("no power switch is named"), "{output:?}");
}

#[test]
fn a_project_file_that_is_none_is_refused_with_what_to_do_and_never_waited_for() {
    let refused = |bench: &Bench, says: &str| {
        let output = bench.limited(&["pack", "-o", "x"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output).contains(says) && text(&output).contains("next: "), "{output:?}");
    };
    let bench = Bench::new();
    bench.put("stoop.toml", b"board = \"\xff\"");
    refused(&bench, "byte 9 is no UTF-8");
    std::fs::remove_file(bench.path("stoop.toml")).unwrap();
    std::fs::create_dir(bench.path("stoop.toml")).unwrap();
    refused(&bench, "no regular file");
    std::fs::remove_dir(bench.path("stoop.toml")).unwrap();
    // Sparse: takes no room.
    std::fs::File::create(bench.path("stoop.toml")).unwrap().set_len(10 << 30).unwrap();
    refused(&bench, "0x280000000 bytes, more than 0x100000");
    std::fs::remove_file(bench.path("stoop.toml")).unwrap();
    // Nobody writes into it: who opened it would wait for ever.
    assert!(bench.command("mkfifo").arg("stoop.toml").status().unwrap().success());
    refused(&bench, "no regular file");
}

#[test]
fn init_warns_of_files_that_are_not_there() {
    let bench = Bench::new();
    let made = text(&bench.good(&["init", "--board", "qemu-malta-le", "--kernel", "nothere"]));
    assert!(made.contains("warning: the kernel nothere is not there"), "{made}");
    let bench = Bench::new();
    bench.full();
    let made = text(&bench.good(&["init", "--board", "qemu-malta-le", "--kernel", "vmlinux"]));
    assert!(!made.contains("warning"), "{made}");
}

#[test]
fn init_writes_what_it_sees_and_asks_for_the_rest() {
    let bench = Bench::new();
    bench.full();
    bench.put("other.squashfs", &crate::bench::squashfs(0x2000));
    bench.put("notes.txt", b"hello");
    let init = |words: &[&str], answers: &str| {
        let mut child = bench.command(env!("CARGO_BIN_EXE_stoop"));
        child.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().unwrap();
        child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let unanswered = init(&["init"], "");
    assert_eq!(unanswered.status.code(), Some(2), "{unanswered:?}");
    assert!(text(&unanswered).contains("give --board") && !bench.path("stoop.toml").exists(), "{unanswered:?}");
    let unknown = init(&["init", "--board", "gl-ar75"], "");
    assert!(text(&unknown).contains("gl-ar750") && !bench.path("stoop.toml").exists(), "{unknown:?}");
    // The board, and which of the two squashfs.
    let done = init(&["init", "--place", "desk-1"], "qemu-malta-le\n2\n");
    assert!(done.status.success(), "{done:?}");
    let written = std::fs::read_to_string(bench.path("stoop.toml")).unwrap();
    for line in [
        "board = \"qemu-malta-le\"",
        "kernel = \"vmlinux\"",
        "rootfs = \"root.squashfs\"",
        "initrd = \"initrd\"",
        "output = \"image.bin\"",
        "[place]",
        "name = \"desk-1\"",
    ] {
        assert!(written.lines().any(|found| found == line), "{line}: {written}");
    }
    good(&bench, &["pack"]);
    assert!(bench.path("image.bin").exists());
    assert!(text(&init(&["init"], "")).contains("is there already"));
}
