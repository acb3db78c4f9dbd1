//! What the verb prints.

use clap::Parser;
use stoop_image::Explained as _;

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
    assert_eq!((failure.exit_code(), failure.to_string()), (1, format!("{path}: 3 problems")));
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

#[test]
fn the_picture_has_every_partition_in_its_place_and_no_text_can_break_it() {
    let (svg, result) = run_line(&["show", "gl-ar750", "--svg"]);
    assert!(result.is_ok());
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"), "{svg}");
    let bar = r#"<rect class="kept" x="20" y="40" width="11" height="26" rx="3"/>"#;
    assert!(svg.contains(bar), "{svg}");
    let firmware = "0x00060000  firmware: 0xfa0000 bytes, firmware</text>";
    assert!(svg.contains(firmware) && svg.contains("art: 0x10000 bytes, calibration, never written"), "{svg}");
    assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    let failure = run_line(&["show", "bpi-r64", "--svg"]).1.expect_err("it has no flash map");
    assert!(failure.to_string().contains("no flash map"), "{failure}");
}

#[test]
fn every_board_has_a_page_with_sources_and_an_honest_word_about_its_tests() {
    for name in board::names() {
        let (page, result) = run_line(&["show", name, "--markdown"]);
        assert!(result.is_ok(), "{name}");
        assert!(page.starts_with("# ") && page.contains("\n## Sources\n\n- "), "{page}");
        assert!(page.contains("\n## How it was tested\n\nIn "), "{page}");
        let columns = |line: &str| line.replace("\\|", "").matches('|').count();
        let tables = page.lines().filter(|line| line.starts_with('|'));
        assert!(tables.into_iter().all(|line| matches!(columns(line), 3 | 7)), "{page}");
    }
    let (page, result) = run_line(&["list", "--arch", "arm64", "--markdown"]);
    assert!(result.is_ok() && page.contains("\n| [bpi-r4](#bpi-r4) | "), "{page}");
    assert!(page.contains("\n## bpi-r4\n\n| | |\n") && page.contains("\n### Sources\n\n- "), "{page}");
    assert!(!page.contains("gl-ar750"), "{page}");
}

#[test]
fn check_compares_flash_maps_with_the_device_trees_of_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "/ { compatible = \"glinet,gl-ar750\"; spi { flash@0 { partitions { compatible = \"fixed-partitions\";\n\
                #address-cells = <1>; #size-cells = <1>;\n\
                partition@0 { label = \"u-boot\"; reg = <0 0x40000>; }; partition@40000 { label = \"u-boot-env\"; reg = <0x40000 0x10000>; };\n\
                partition@50000 { label = \"art\"; reg = <0x50000 0x10000>; };\n\
                partition@60000 { label = \"firmware\"; reg = <0x60000 0xfa0000>; }; }; }; }; };";
    let tree = folder.path().join("board.dts");
    std::fs::write(&tree, text).expect("written");
    let (folder, tree) = (folder.path().to_str().expect("plain"), tree.to_str().expect("plain"));
    let good = concat!(env!("CARGO_MANIFEST_DIR"), "/../../boards/gl-ar750.toml");
    let (shown, result) = run_line(&["check", good, "--dts", folder]);
    assert_eq!((shown.as_str(), result.is_ok()), (&*format!("gl-ar750: {tree}: the same 4 partitions\n"), true));

    std::fs::write(tree, text.replace("0xfa0000", "0xf00000")).expect("written");
    let (shown, result) = run_line(&["check", "--dts", folder]);
    let failure = result.expect_err("a difference");
    assert_eq!(failure.to_string(), "1 of 1 flash maps differ from their device trees");
    let line = "  firmware: 0x60000..0xf60000 in the tree, 0x60000..0x1000000 on the board\n";
    assert!(shown.contains(line) && shown.contains("\nno tree with a flash map for "), "{shown}");
}

#[test]
fn new_writes_a_file_that_check_finds_right_and_never_over_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let dtb = concat!(env!("CARGO_MANIFEST_DIR"), "/../../boards/dts/qemu-malta.dtb");
    let path = folder.path().join("mine.toml");
    let path = path.to_str().expect("plain");
    let line = ["new", "--dtb", dtb, "--soc", "malta", "-o", path];
    let (shown, result) = run_line(&line);
    assert!(result.is_ok(), "{shown}");
    assert!(shown.contains("(bootloader.reserved-top)\n") && shown.contains("check its partitions"), "{shown}");
    assert_eq!(run_line(&["check", path]).0, "no problems\n");
    let failure = run_line(&line).1.expect_err("it is there");
    assert!(failure.to_string().ends_with("is there already"), "{failure}");
}
