//! Where a file is fetched to: what pack prints, what check judges, and what netboot and flash type are one address.

use stoop_image::board::{self, Board};
use stoop_image::board_check::{examine, room};
use stoop_image::commands;
use stoop_image::plan::{Format, Request};
use stoop_image::preflight::Level;

use crate::bench::{Bench, Kernel, packed, squashfs, text, tree};

/// gl-ar750 with another `tftp-address`, in a file of its own.
fn board_with(bench: &Bench, tftp_address: &str) -> (String, Board) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../boards/gl-ar750.toml");
    let known = std::fs::read_to_string(file).unwrap();
    let changed = known.replacen("tftp-address = 0x80a0_0000", &format!("tftp-address = {tftp_address}"), 1);
    assert!(changed != known || tftp_address == "0x80a0_0000", "the board's file says it in other words");
    let path = bench.put("mine.toml", changed.as_bytes()).to_str().unwrap().to_owned();
    let board = board::load(&path).unwrap();
    (path, board)
}

fn request(bench: &Bench, board: String) -> Request {
    Request {
        board,
        kernel: bench.put("vmlinux", &Kernel { load: 0x8006_0000, ..Kernel::new(true) }.elf()),
        dtb: Some(bench.put("board.dtb", &tree(Some(b"console=ttyS0")))),
        rootfs: Some(bench.put("root.squashfs", &squashfs(0x2_0000))),
        ..Request::default()
    }
}

#[test]
fn every_image_is_fetched_to_where_pack_found_room_for_it() {
    let bench = Bench::new();
    // The usual one, one with too little room behind it, and one in the kernel.
    for address in ["0x80a0_0000", "0x87ef_0000", "0x8006_0000"] {
        let (path, board) = board_with(&bench, address);
        for format in [Format::Uimage, Format::Fit, Format::Elf, Format::Raw] {
            let (plan, built) = packed(&Request { format: Some(format), ..request(&bench, path.clone()) });
            let printed = commands::printed(&plan, &built, "x.img");
            assert_eq!(commands::of_image(&board, &built.file, "x.img").unwrap(), printed, "{address} {format:?}");
            let findings = examine(&built.file, &board).unwrap();
            let finding = findings.iter().find(|finding| finding.what == "tftp-address").unwrap();
            let at = printed[0].split(' ').nth(1).unwrap();
            assert_eq!(finding.level, Level::Ok, "{address} {format:?}: {finding:?}");
            assert!(finding.says.starts_with(&format!("tftpboot {at} overwrites nothing")), "{finding:?}");
            let usual = at == address.replace('_', "");
            assert_eq!(!finding.says.contains("; not 0x"), usual, "{address} {format:?}: {finding:?}");
        }
    }
}

#[test]
fn pack_says_that_and_why_it_fetches_to_another_address_than_the_boards() {
    let bench = Bench::new();
    let (path, _) = board_with(&bench, "0x87ef_0000");
    request(&bench, path.clone());
    let words =
        ["pack", "--board", &path, "--kernel", "vmlinux", "--dtb", "board.dtb", "--rootfs", "root.squashfs", "-o", "x"];
    let said = text(&bench.good(&words));
    let line = said.lines().find(|line| line.contains("fetch it to")).expect(&said);
    assert!(line.contains("not to the board's usual 0x87ef0000: there it does not fit RAM below 0x87f00000"), "{line}");
    let at = line.split("fetch it to ").nth(1).unwrap().split(',').next().unwrap();
    assert!(said.contains(&format!("tftpboot {at} x")), "{said}");
    let said = text(&bench.good(&["check", "x", "--board", &path]));
    assert!(said.contains(&format!("tftpboot {at} overwrites nothing")), "{said}");
    let (path, _) = board_with(&bench, "0x80a0_0000");
    let words = words.map(|word| if word.ends_with(".toml") { &path } else { word });
    assert!(!text(&bench.good(&words)).contains("fetch it to"), "the usual address needs no word");
}

#[test]
fn what_is_written_to_flash_is_fetched_to_the_lowest_room_when_the_usual_address_has_none() {
    let bench = Bench::new();
    let free = 0x7f0_0000;
    for (address, size, at) in [
        ("0x80a0_0000", 0x10_0000, Some(0xa0_0000)),
        ("0x80a0_0000", free - 0xa0_0000, Some(0xa0_0000)),
        ("0x80a0_0000", free - 0xa0_0000 + 1, Some(0x10_0000)),
        ("0x87ef_0000", 0x10_0000, Some(0x10_0000)),
        ("0x80a0_0000", free - 0x10_0000, Some(0x10_0000)),
        ("0x80a0_0000", free - 0x10_0000 + 1, None),
    ] {
        assert_eq!(room(&board_with(&bench, address).1, size), at, "{size:#x} bytes, {address}");
    }
}
