//! Every mistake in a board file has its own message; every embedded board is right.

mod mistakes;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use stoop_core::Region;

use super::*;
use crate::Explained as _;

/// A small, correct board; the tests break one line of it.
const RIGHT: &str = r#"title = "Test"
soc = "ath79"
chip = "AR9344"
sources = ["a test"]

[ram]
size = 0x800_0000

[led]
gpio = 3

[bootloader]
name = "U-Boot"
containers = ["uimage-lzma"]
tftp-address = 0x8100_0000
reserved-top = 0x10_0000

[bootloader.staging]
start = 0x600_0000
size = 0x10_0000

[flash]
kind = "nor"
size = 0x10_0000
erase-size = 0x1_0000
partitions = [
  { name = "u-boot", offset = 0x0, size = 0x2_0000, role = "bootloader" },
  { name = "firmware", offset = 0x2_0000, size = 0xe_0000, role = "firmware" },
]
"#;

fn read_text(name: &str, text: String) -> std::result::Result<Board, Vec<Problem>> {
    read(&Origin { name: name.into(), file: format!("{name}.toml"), folder: None, text: text.into() })
}

/// What is wrong once `from` has become `to`, one problem a line.
fn broken(from: &str, to: &str) -> String {
    assert!(RIGHT.contains(from), "the test changes nothing: {from}");
    let problems = read_text("t", RIGHT.replacen(from, to, 1)).expect_err("a broken board passed");
    problems.iter().map(|problem| format!("{problem} | {}\n", problem.next)).collect()
}

#[test]
fn the_right_board_is_right() {
    let board = read_text("t", RIGHT.into()).expect("no problems");
    assert_eq!(board.name, "t");
    assert_eq!(board.free_ram().end(), 0x7f0_0000);
    assert_eq!(board.flash_window().start(), 0x1f00_0000);
    assert_eq!(board.flash_window().size(), 0x10_0000);
    assert_eq!(board.load_addresses["ath79"], 0x8006_0000);
    assert_eq!(policy_name(board.defaults.policy), "reset");
    assert_eq!((board.physical(0xa100_0000), board.typed(0x100_0000)), (0x100_0000, 0x8100_0000));
    let led = board.led.expect("a LED");
    assert_eq!((led.mask, led.set, led.clear), (8, 0x1804_000c, 0x1804_0010));
    let flash = board.flash.expect("flash");
    let firmware = flash.image(None).expect("a place for the image");
    assert_eq!(firmware.name, "firmware");
    assert_eq!(flash.mapped(firmware).map(|region| region.start()), Some(0x1f02_0000));
    assert!(flash.partition("u-boot").expect("listed").protected);
}

#[test]
fn each_mistake_has_its_own_message() {
    for (from, to, message) in [
        (
            "size = 0x800_0000",
            "size = 0x2010_0000",
            "t.toml:6: ram: it ends at 0x20100000, but MIPS reaches only 0x20000000 through KSEG0 | give only the part below 512 MiB; the kernel learns the rest from its device tree\n",
        ),
        (
            "[led]",
            "[uart]\nkind = \"ns16550\"\naddress = 0x2_0000\n[led]",
            "t.toml:9: uart: 0x20000 lies in RAM 0x0..0x8000000 | give the register's address\n",
        ),
        (
            "size = 0x800_0000",
            "size = 0x800_0001",
            "t.toml:6: ram: start 0x0, size 0x8000001 | both are multiples of 0x100000, and the size is not 0\n",
        ),
        (
            "reserved-top = 0x10_0000",
            "reserved-top = 0x800_0000",
            "t.toml:16: bootloader.reserved-top: 0x8000000 bytes leave nothing of 0x8000000 bytes of RAM | give the bytes that the bootloader occupies at the top of RAM\n\
             t.toml:15: bootloader.tftp-address: 0x81000000 lies in the top of RAM from 0x0, which is the bootloader's own | give an address below it, or correct reserved-top\n\
             t.toml:18: bootloader.staging: 0x6000000..0x6100000 reaches into the top of RAM from 0x0, which is the bootloader's own | correct it, or reserved-top\n",
        ),
        (
            "tftp-address = 0x8100_0000",
            "tftp-address = 0x8800_0000",
            "t.toml:15: bootloader.tftp-address: 0x88000000 is not inside RAM 0x0..0x8000000 | correct the address or the RAM size\n",
        ),
        (
            "tftp-address = 0x8100_0000",
            "tftp-address = 0x87f0_0000",
            "t.toml:15: bootloader.tftp-address: 0x87f00000 lies in the top of RAM from 0x7f00000, which is the bootloader's own | give an address below it, or correct reserved-top\n",
        ),
        (
            "tftp-address = 0x8100_0000",
            "tftp-address = 0x100_0000",
            "t.toml:15: bootloader.tftp-address: 0x1000000 is in neither KSEG0 nor KSEG1 | write it as it is typed at the prompt, from 0x80000000 up\n",
        ),
        (
            "tftp-address = 0x8100_0000",
            "tftp-window = 9\ntftp-address = 0x8100_0000",
            "t.toml:15: bootloader.tftp-window: a window of 9 blocks | give 1 to 8, or leave the key out when nobody measured it\n",
        ),
        (
            "tftp-address = 0x8100_0000",
            "tftp-window = 0\ntftp-address = 0x8100_0000",
            "t.toml:15: bootloader.tftp-window: a window of 0 blocks | give 1 to 8, or leave the key out when nobody measured it\n",
        ),
        (
            "start = 0x600_0000",
            "start = 0x8600_0000",
            "t.toml:18: bootloader.staging: 0x86000000..0x86100000 is not inside RAM 0x0..0x8000000 | give the physical address, without KSEG0's 0x80000000\n",
        ),
        (
            "gpio = 3",
            "gpio = 24",
            "t.toml:10: led.gpio: GPIO 24 is in no bank of SoC ath79 | correct the number, or add the bank to the SoC's `gpio`\n",
        ),
        (
            "[led]",
            "[reset]\naddress = 0xb806_001c\nvalue = 1\n[led]",
            "t.toml:9: reset: 0xb806001c is not below 0x20000000, where KSEG1 reaches | give the physical address, without KSEG1's 0xa0000000\n",
        ),
        (
            "[led]",
            "[uart]\nkind = \"ns16550\"\naddress = 0x1802_0001\nshift = 2\nwidth = 4\n[led]",
            "t.toml:9: uart: 0x18020001 is not a multiple of 4 | give the address of a 32-bit register\n",
        ),
        (
            "[led]",
            "[uart]\nkind = \"pl011\"\naddress = 0x1802_0002\nshift = 2\n[led]",
            "t.toml:9: uart: 0x18020002 is not a multiple of 4 | give the address of a 32-bit register\n",
        ),
        (
            "[led]",
            "[reset]\naddress = 0x1806_0005\nvalue = 1\n[led]",
            "t.toml:9: reset: 0x18060005 is not a multiple of 4 | give the address of a 32-bit register\n",
        ),
        (
            "[led]",
            "[uart]\nkind = \"ns16550\"\naddress = 0x1802_0000\nshift = 0\nwidth = 4\n[led]",
            "t.toml:13: uart.width: registers of 4 bytes cannot be 1 bytes apart | use width 1, or shift 2\n",
        ),
        (
            "[led]",
            "[defaults]\npolicy = \"halt\"\n[led]",
            "t.toml:10: defaults.policy: halt on a board that boots from flash hides the vendor's failsafe | use `reset` or `return`\n",
        ),
        (
            "[led]",
            "[load-addresses]\nath79 = 0x60000\n[led]",
            "t.toml:10: load-addresses.ath79: 0x60000 is in neither KSEG0 nor KSEG1 | write it as it is typed at the prompt, from 0x80000000 up\n",
        ),
        (
            "chip = \"AR9344\"",
            "chip = \"AR9344\"\ncpu-clock = 560",
            "t.toml:4: cpu-clock: 560 Hz | give it in hertz, as 650_000_000; leave the key out when nobody knows\n",
        ),
        (
            "erase-size = 0x1_0000",
            "erase-size = 0x1_0000\nread-speed = 3",
            "t.toml:26: flash.read-speed: 3 bytes in a second | give bytes in a second, as 3_125_000; leave the key out when nobody knows\n",
        ),
        (
            "[\"a test\"]",
            "[]",
            "t.toml:4: sources: no source is named | say where the figures come from: a file, a page, a capture\n",
        ),
        (
            "reserved-top = 0x10_0000",
            "reserved-top = 0x10_0000\nimage-limit = 0",
            "t.toml:17: bootloader.image-limit: 0 bytes | leave the key out when there is no known limit\n",
        ),
        (
            "[led]",
            "[qemu]\nbinary = \"q\"\nmachine = \"m\"\ncpu = \"c\"\nmemory = 64\nnetwork = \"n\"\n[led]",
            "t.toml:13: qemu.memory: 64 MiB, but the board has 0x8000000 bytes of RAM | give QEMU at least the board's RAM\n",
        ),
        (
            "chip = \"AR9344\"",
            "chip = \"AR9344\"\ndtb = \"no-such\"",
            "t.toml:4: dtb: there is no device tree dts/no-such.dtb | compile it with dtc, or leave the key out and give --dtb to pack\n",
        ),
        ("soc = \"ath79\"", "soc = \"ath97\"", "t.toml:2: soc: no SoC is called \"ath97\" | did you mean ath79?\n"),
    ] {
        assert_eq!(broken(from, to), message, "after {from:?} became {to:?}");
    }
}

#[test]
fn the_shims_ram_leaves_out_firmware_in_whole_blocks() {
    let range = |board: &Board| (board.shim_ram().start(), board.shim_ram().end());
    let mut router = load("belkin-rt3200").expect("embedded");
    assert_eq!(range(&router), (0x4320_0000, 0x6000_0000), "behind the secure monitor");
    let part = |start, size| Region::new(start, size).expect("a region of the test");
    for (firmware, ram) in [
        (vec![], (0x4000_0000, 0x6000_0000)),
        (vec![part(0x4000_0000, 1)], (0x4020_0000, 0x6000_0000)),
        (vec![part(0x5ff0_0000, 0x10_0000)], (0x4000_0000, 0x5fe0_0000)),
        // The largest part, whatever their order.
        (vec![part(0x5800_0000, 0x1000), part(0x4800_0000, 0x1000)], (0x4820_0000, 0x5800_0000)),
        // One byte in each of two blocks.
        (vec![part(0x41ff_ffff, 2)], (0x4220_0000, 0x6000_0000)),
    ] {
        router.firmware = firmware;
        assert_eq!(range(&router), ram, "{:?}", router.firmware);
    }
}

#[test]
fn what_the_schema_does_not_know_is_named_with_its_line_and_the_nearest_word() {
    for (from, to, line, fact, next) in [
        ("reserved-top", "reserved-tpo", 16, "unknown field `reserved-tpo`", "did you mean `reserved-top`?"),
        ("[led]", "[lde]", 9, "unknown field `lde`", "did you mean `led`?"),
        ("chip =", "cpu-clok = 1\nchip =", 3, "unknown field `cpu-clok`", "did you mean `cpu-clock`?"),
        ("erase-size", "read-sped = 1\nerase-size", 25, "unknown field `read-sped`", "did you mean `read-speed`?"),
        ("kind = \"nor\"", "kind = \"nro\"", 23, "unknown variant `nro`", "did you mean `nor`?"),
        ("\"uimage-lzma\"", "\"uimage-lmza\"", 14, "unknown variant `uimage-lmza`", "did you mean `uimage-lzma`?"),
        ("soc = \"ath79\"\n", "", 1, "missing field `soc`", "add it; boards/README.md says what it means"),
        ("gpio = 3", "gpio = -3", 10, "-3 is no whole number", "write a whole number from 0 to 0xffffffff"),
        ("gpio = 3", "gpio = ", 10, "", "correct the file"),
    ] {
        let problems = read_text("t", RIGHT.replacen(from, to, 1)).expect_err("a broken board passed");
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(problem.line, Some(line), "{problem}");
        assert!(problem.fact.starts_with(fact), "{problem}");
        assert_eq!(problem.next, next, "{problem}");
    }
}

#[test]
fn several_mistakes_are_all_reported() {
    let text = RIGHT.replace("erase-size = 0x1_0000", "erase-size = 0x8_0000").replace("gpio = 3", "gpio = 99");
    let problems = read_text("t", text).expect_err("a broken board passed");
    assert_eq!(problems.len(), 3, "{problems:?}");
    let failure = Error::Broken { problems };
    assert!(failure.next_step().is_some_and(|next| next.ends_with("`stoop boards check t.toml` shows all 3 problems")));
    assert_eq!(failure.exit_code(), 2);
}

#[test]
fn a_mistake_in_the_soc_is_reported_in_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("soc")).expect("a folder");
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    write("mine.toml", &RIGHT.replace("ath79", "mine"));
    let soc = "title = \"Mine\"\narch = \"mips-be\"\nsources = [\"a test\"]\n[uart]\nkind = \"ns16550\"\n\
               address = 0xb800_0000\n[[gpio]]\nfirst = 0\ncount = 8\nset = 4\nclear = 8\n[load-addresses]\nx = 0x80100000\n";
    write("soc/mine.toml", "");
    let problems = check(&folder.path().join("mine.toml")).expect("readable");
    let [problem] = &problems[..] else { panic!("{problems:?}") };
    assert!(problem.fact.ends_with("soc/mine.toml: is empty") && !problem.fact.contains("next"), "{problem}");
    assert!(problem.next.starts_with("make it a readable file with the keys of a SoC"), "{}", problem.next);
    write("soc/mine.toml", soc);
    let problems = check(&folder.path().join("mine.toml")).expect("readable");
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let file = folder.path().join("soc/mine.toml");
    assert_eq!(
        shown,
        [
            format!("{}:4: uart: 0xb8000000 is not below 0x20000000, where KSEG1 reaches", file.display()),
            format!("{}:10: gpio[0].set: 0x4 lies in RAM 0x0..0x8000000", file.display()),
            format!("{}:11: gpio[0].clear: 0x8 lies in RAM 0x0..0x8000000", file.display()),
        ]
    );
    let soc = soc.replace("0xb800_0000", "0x1800_0000").replace("set = 4", "set = 0x1800_0004");
    let soc = soc.replace("clear = 8", "clear = 0x1800_0008");
    write("soc/mine.toml", &soc.replace("0x1800_0008", "0x1800_000a"));
    let problems = check(&folder.path().join("mine.toml")).expect("readable");
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, [format!("{}:11: gpio[0].clear: 0x1800000a is not a multiple of 4", file.display())]);
    write("soc/mine.toml", &soc);
    assert_eq!(check(&folder.path().join("mine.toml")).expect("readable"), []);
    let board = load(folder.path().join("mine.toml").to_str().expect("plain")).expect("right");
    assert_eq!((board.name.as_str(), board.soc_title.as_str()), ("mine", "Mine"));
}

#[test]
fn a_file_name_that_is_no_board_name_is_refused() {
    let problems = read_text("My Board", RIGHT.into()).expect_err("a broken name passed");
    assert_eq!(problems[0].to_string(), "My Board.toml: the file's name gives the board the name \"My Board\"");
}

#[test]
fn an_unknown_board_is_answered_with_the_nearest_name_or_alias() {
    for (asked, hint) in
        [("gl-ar75", "did you mean gl-ar750? "), ("glinet_gl-ar760", "did you mean glinet_gl-ar750? "), ("toaster", "")]
    {
        let failure = load(asked).expect_err("an unknown board was found");
        assert!(matches!(failure, crate::Error::Board(Error::NoSuchBoard { .. })), "{failure}");
        let next = format!("{hint}`stoop boards list` shows all; a file of your own needs its path, as ./{asked}.toml");
        assert_eq!(failure.next_step().as_deref(), Some(next.as_str()));
        assert_eq!(failure.exit_code(), 2);
    }
    let failure = load("./no-such.toml").expect_err("a missing file was found");
    assert!(
        matches!(&failure, crate::Error::Board(Error::Unreadable { why }) if why.starts_with("./no-such.toml: ")),
        "{failure}"
    );
}

#[test]
fn every_embedded_board_is_right_and_found_by_name_and_alias() {
    let boards = all().expect("all are right");
    assert!(boards.len() >= 62, "{}", boards.len());
    let mut words = BTreeSet::new();
    for board in &boards {
        assert!(words.insert(board.name.clone()), "{} is not unique", board.name);
        for alias in &board.aliases {
            assert!(words.insert(alias.clone()), "{alias} is not unique");
            assert_eq!(load(alias).expect("an alias").name, board.name);
        }
        assert_eq!(board.load_addresses.is_empty(), !board.arch.is_mips(), "{}", board.name);
        assert!(!board.sources.is_empty(), "{}", board.name);
        let Some(flash) = &board.flash else {
            let says_why = board.quirks.iter().any(|quirk| quirk.text.contains("no flash map"));
            assert!(says_why, "{}: without a flash map, a quirk says what it starts from", board.name);
            continue;
        };
        // QEMU's virt has no register to reset by, and its U-Boot starts nothing from flash.
        if board.name != "qemu-virt-arm64" {
            assert_ne!(policy_name(board.defaults.policy), "halt", "{}", board.name);
            let ubi = flash.partitions.iter().any(|partition| partition.role == Role::Data);
            assert!(flash.image(None).is_some() || ubi, "{}: nowhere to put an image", board.name);
        }
        serde_json::to_value(board).expect("JSON");
    }
}

/// The Malta tree says the same as the Malta board data, and its source compiles to the committed blob.
#[test]
fn the_malta_tree_matches_its_source_and_the_board_data() {
    let board = load("qemu-malta-le").expect("embedded");
    let dtb = board.dtb.as_ref().expect("a tree");
    let tree = fdt::Fdt::new(&dtb.bytes).expect("a right blob");
    let memory = tree.memory().regions().next().expect("RAM");
    assert_eq!((memory.starting_address as usize, memory.size), (board.ram.start(), Some(board.ram.size())));
    assert!(tree.find_node(&format!("/soc/serial@{:x}", board.uart.address)).is_some());
    let flash = board.flash.as_ref().expect("flash");
    let partitions = tree.find_node(&format!("/soc/flash@{:x}/partitions", flash.window.start())).expect("a flash map");
    let listed: Vec<_> = partitions
        .children()
        .map(|node| {
            let name = node.property("label").and_then(|label| label.as_str()).expect("a label").to_owned();
            let reg = node.reg().and_then(|mut reg| reg.next()).expect("a reg");
            (name, reg.starting_address as usize, reg.size.expect("a size"), node.property("read-only").is_some())
        })
        .collect();
    let known: Vec<_> = flash.partitions.iter().map(|p| (p.name.clone(), p.offset, p.size, p.protected)).collect();
    assert_eq!(listed, known);

    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("boards/dts/qemu-malta.dts");
    match Command::new("dtc").args(["-q", "-I", "dts", "-O", "dtb", "-o", "-"]).arg(source).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(output.stdout == *dtb.bytes, "boards/dts/qemu-malta.dtb is stale: compile it again with dtc");
        }
        Err(error) => {
            assert!(
                std::env::var_os("STOOP_TOOLS").is_none_or(|value| value != "required"),
                "dtc does not run: {error}"
            );
            eprintln!("skipped: the comparison with dtc's output, dtc does not run: {error}");
        }
    }
}
