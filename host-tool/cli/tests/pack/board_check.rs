//! `stoop check IMAGE --board B`: each thing that can go wrong is found and named, and an image packed for the board has none.

use std::io::Write;
use std::path::PathBuf;

use stoop_image::board::{self, Board};
use stoop_image::board_check::{Finding, examine};
use stoop_image::format::checksum::checksum;
use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_image::preflight::Level;

use crate::bench::{Bench, Kernel, packed, squashfs, tree};

fn board(name: &str) -> Board {
    board::load(name).unwrap()
}

/// For GL-AR750, in this format.
fn gl_ar750(bench: &Bench, format: Format) -> Vec<u8> {
    let request = Request {
        board: "gl-ar750".into(),
        kernel: bench.put("vmlinux", &Kernel { load: 0x8006_0000, ..Kernel::new(true) }.elf()),
        dtb: Some(bench.put("board.dtb", &tree(Some(b"console=ttyS0")))),
        rootfs: Some(bench.put("root.squashfs", &squashfs(0x1_2345))),
        format: Some(format),
        ..Request::default()
    };
    packed(&request).1.file
}

/// A uImage as vendors have it: big-endian MIPS code, as its header says.
fn uimage(load: u32, codec: u8, data: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0x2705_1956, 0, 0, data.len() as u32, load, load, checksum(data)] {
        file.extend_from_slice(&word.to_be_bytes());
    }
    file.extend([5, 5, 2, codec]);
    file.resize(64, 0);
    let sum = checksum(&file).to_be_bytes();
    file[4..8].copy_from_slice(&sum);
    file.extend_from_slice(data);
    file
}

/// So many bytes that are code, in the byte order.
fn code(size: usize, big_endian: bool) -> Vec<u8> {
    let word: u32 = 0x03e0_0008;
    let word = if big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
    word.into_iter().cycle().take(size).collect()
}

fn lzma(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    let mut options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
    options.dict_size(dictionary);
    let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn with(findings: &[Finding], level: Level) -> Vec<&str> {
    findings.iter().filter(|finding| finding.level == level).map(|finding| finding.what).collect()
}

/// Everything that keeps the image from booting on the board; each has a next step.
fn wrong(file: &[u8], board: &Board) -> Vec<String> {
    let findings = examine(file, board).unwrap();
    let wrong = findings.into_iter().filter(|finding| finding.level == Level::No);
    wrong.map(|finding| format!("{}: {} -> {}", finding.what, finding.says, finding.fix.unwrap())).collect()
}

/// The only thing that is wrong; of a damaged stream or image there may be others, which follow from it.
fn only(file: &[u8], board: &Board) -> String {
    let wrong = wrong(file, board);
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    wrong[0].clone()
}

#[test]
fn an_image_that_was_packed_for_the_board_has_nothing_wrong() {
    let bench = Bench::new();
    for format in [Format::Uimage, Format::Raw] {
        let findings = examine(&gl_ar750(&bench, format), &board("gl-ar750")).unwrap();
        assert_eq!(with(&findings, Level::No), [""; 0], "{findings:#?}");
        assert!(findings.iter().any(|finding| finding.what == "shim" && finding.says == "it boots slot -"));
    }
    for format in [Format::Uimage, Format::Elf, Format::Raw] {
        let (_, built) = packed(&Request { format: Some(format), ..bench.full() });
        assert_eq!(wrong(&built.file, &board("qemu-malta-le")), [""; 0]);
    }
}

#[test]
fn another_byte_order_is_named() {
    let image = gl_ar750(&Bench::new(), Format::Uimage);
    let wrong = wrong(&image, &board("qemu-malta-le"));
    assert!(wrong[0].starts_with("arch: the code is big endian, qemu-malta-le is little endian"), "{wrong:#?}");
    let foreign = uimage(0x8006_0000, 0, &code(0x1000, false));
    assert!(only(&foreign, &board("gl-ar750")).starts_with("arch: the code is little endian"));
}

#[test]
fn a_container_that_the_bootloader_does_not_start_is_named() {
    let bench = Bench::new();
    for (format, form) in [(Format::Fit, "a FIT"), (Format::Elf, "an ELF file")] {
        let said = only(&gl_ar750(&bench, format), &board("gl-ar750"));
        assert!(said.starts_with("containers: U-Boot 1.1.4 (GL.iNet) is not known to start ") && said.contains(form));
    }
    let findings = examine(&uimage(0x8000_0000, 0, &code(0x1000, false)), &board("dir-645")).unwrap();
    assert_eq!(with(&findings, Level::Warn), ["containers"], "a uImage in another compression may start");
    let xz = uimage(0x8006_0000, 6, b"");
    assert!(wrong(&xz, &board("gl-ar750")).iter().any(|wrong| wrong.starts_with("containers: ")));
    // A number that nobody has given a meaning is no compression of another name.
    let unknown = only(&uimage(0x8006_0000, 9, &code(0x1000, true)), &board("gl-ar750"));
    assert!(unknown.starts_with("containers: ") && unknown.contains("unknown compression 9"), "{unknown}");
}

#[test]
fn an_image_beyond_the_limit_is_named_with_both_sizes() {
    let mut board = board("archer-c7-v2");
    let image = uimage(0x8006_0000, 0, &code(0x1000, true));
    board.bootloader.image_limit = Some(image.len());
    assert_eq!(wrong(&image, &board), [""; 0], "exactly the limit");
    board.bootloader.image_limit = Some(image.len() - 1);
    assert!(only(&image, &board).contains("has 0x1040 bytes, U-Boot 1.1.4 (TP-Link) takes 0x103f"));
}

#[test]
fn what_the_vendors_decoder_cannot_do_is_named() {
    let data = code(0x80_0004, false);
    let fits = uimage(0x8000_1000, 3, &lzma(&data[..0x80_0000], 1 << 16));
    assert_eq!(wrong(&fits, &board("netgear-r6220")), [""; 0], "exactly the limit");
    let image = uimage(0x8000_1000, 3, &lzma(&data, 1 << 16));
    let said = only(&image, &board("netgear-r6220"));
    assert!(said.contains("decodes to 0x800004 bytes, U-Boot 1.1.3 (Sercomm) can do 0x800000"), "{said}");
    // The same kernel in a shim is no matter for that decoder.
    let dictionary = uimage(0x8000_0000, 3, &lzma(&data[..0x1000], 1 << 16));
    let said = only(&dictionary, &board("dir-645"));
    assert!(
        said.starts_with("dictionary-limit: its dictionary has 0x10000 bytes, U-Boot (D-Link) takes 0x400"),
        "{said}"
    );
}

#[test]
fn damage_of_the_containers_own_is_named() {
    let board = board("gl-ar750");
    let good = uimage(0x8006_0000, 3, &lzma(&code(0x1000, true), 1 << 16));
    assert_eq!(wrong(&good, &board), [""; 0]);
    let mut header = good.clone();
    header[33] ^= 1;
    assert!(wrong(&header, &board)[0].starts_with("checksums: the uImage header's CRC-32"));
    let mut data = good.clone();
    *data.last_mut().unwrap() ^= 1;
    assert!(wrong(&data, &board)[0].contains("CRC-32 of the uImage's data"));
    let cut = uimage(0x8006_0000, 3, &lzma(&code(0x1000, true), 1 << 16)[..30]);
    assert!(wrong(&cut, &board)[0].contains("lzma stream is damaged"));
    let mut stoop = gl_ar750(&Bench::new(), Format::Raw);
    let at = stoop_image::image::open(&stoop).unwrap().note.manifest + 40;
    stoop[at] ^= 1;
    let wrong = wrong(&stoop, &board);
    assert!(wrong[0].starts_with("checksums: manifest: E04"), "{wrong:#?}");
}

#[test]
fn ram_the_bootloaders_top_and_its_buffers_are_kept_off() {
    let gl = board("gl-ar750");
    let at = |load: u32| uimage(load, 0, &code(0x1000, true));
    assert!(wrong(&at(0x8800_0000), &gl)[0].starts_with("ram: it is loaded to [0x08000000, 0x08001000), RAM is"));
    assert!(only(&at(0x87f0_0000), &gl).starts_with("reserved-top: it is loaded to [0x07f00000, "));
    assert_eq!(wrong(&at(0x87ef_f000), &gl), [""; 0], "just below");
    let mut entry = at(0x8006_0000);
    entry[20..24].copy_from_slice(&0x8005_0000u32.to_be_bytes());
    assert!(wrong(&entry, &gl).iter().any(|wrong| wrong.starts_with("ram: its entry point 0x00050000 is not in")));
    let staged = uimage(0x8640_0000, 0, &code(0x1000, false));
    assert!(only(&staged, &board("archer-ax23-v1")).starts_with("staging: it is loaded to [0x06400000, 0x06401000)"));
    let mut small = board("archer-ax23-v1");
    small.bootloader.staging = stoop_core::Region::new(0x640_0000, 0x1000);
    let large = uimage(0x8000_1000, 0, &code(0x1000, false));
    assert!(only(&large, &small).contains("0x1040 bytes do not fit the staging buffer"));
}

#[test]
fn a_download_that_would_be_overwritten_gets_a_better_address() {
    // The forum's case: kernel decoded over the file that it is decoded from.
    let mut wndr = board("wndr4300");
    wndr.bootloader.tftp_address = Some(0x8080_0000);
    let image = uimage(0x8006_0000, 3, &lzma(&code(0x90_0000, true), 1 << 16));
    let findings = examine(&image, &wndr).unwrap();
    let finding = findings.iter().find(|finding| finding.what == "tftp-address").unwrap();
    assert_eq!((finding.level, finding.fix.as_deref()), (Level::Warn, Some("fetch it to 0x80a00000")));
    let findings = examine(&image, &board("wndr4300")).unwrap();
    assert!(findings.iter().any(|finding| finding.what == "tftp-address" && finding.level == Level::Ok));
    wndr.bootloader.tftp_address = Some(0x87ef_0000);
    let large = uimage(0x8006_0000, 0, &code(0x2_0000, true));
    assert!(only(&large, &wndr).starts_with("tftp-address: 0x20040 bytes fetched to 0x87ef0000 do not fit"));
}

#[test]
fn an_image_for_another_board_says_which_facts_differ() {
    let bench = Bench::new();
    let image = gl_ar750(&bench, Format::Uimage);
    let wrong = wrong(&image, &board("tl-wr841n-v9"));
    assert!(wrong.iter().any(|wrong| wrong.starts_with("ram: the shim was told that RAM is")), "{wrong:#?}");
    let dtb = Some(bench.put("board.dtb", &tree(Some(b"console=ttyS0"))));
    let (_, built) = packed(&Request { board: "gl-mt300n-v2".into(), dtb, ..bench.full() });
    let findings = examine(&built.file, &board("zbt-wg3526")).unwrap();
    assert!(findings.iter().any(|finding| finding.what == "uart" && finding.level == Level::Warn), "{findings:#?}");
    assert!(findings.iter().any(|finding| finding.what == "flash-window" && finding.level == Level::No));
}

#[test]
fn a_partition_that_is_too_small_is_said() {
    let bench = Bench::new();
    let (_, built) = packed(&Request { rootfs: Some(bench.put("large", &squashfs(0x20_0000))), ..bench.full() });
    let findings = examine(&built.file, &board("qemu-malta-le")).unwrap();
    assert!(with(&findings, Level::Warn).contains(&"flash"), "{findings:#?}");
}

#[test]
fn of_a_partition_that_ends_behind_the_cpus_window_the_part_inside_is_room() {
    let board = board("linkit-smart-7688");
    for (size, level) in [(0xfa_0000, Level::Ok), (0xfc_0000, Level::Warn)] {
        let findings = examine(&uimage(0x8000_0000, 0, &code(size, false)), &board).unwrap();
        let flash = findings.iter().find(|finding| finding.what == "flash").unwrap();
        assert_eq!(flash.level, level, "{flash:?}");
        assert!(flash.says.contains("0xfb0000 bytes which the CPU reads of the partition firmware"), "{flash:?}");
    }
}

#[test]
fn a_flash_image_must_fit_the_boards_map() {
    let bench = Bench::new();
    let request = Request { format: Some(Format::Nor), codec: CodecChoice::Store, initrd: None, ..bench.full() };
    let image = packed(&request).1.file;
    let good = board("qemu-malta-le");
    assert_eq!(wrong(&image, &good), [""; 0]);
    let findings = examine(&image, &good).unwrap();
    assert!(findings.iter().any(|finding| finding.says == "slot a, 0x30000 of 0x180000 bytes"), "{findings:#?}");
    let with = |change: &dyn Fn(&mut stoop_image::board::Flash)| {
        let mut board = board("qemu-malta-le");
        change(board.flash.as_mut().unwrap());
        wrong(&image, &board)[0].clone()
    };
    let said = with(&|flash| flash.partitions[2].size = 0x2_0000);
    assert!(said.starts_with("flash: its slot has 0x30000 bytes, the flash partition firmware-a 0x20000"), "{said}");
    let said = with(&|flash| flash.partitions[2].offset += 0x1_0000);
    assert!(said.starts_with("flash: its slot belongs to 0x1e090000, the map has it at 0x1e0a0000"), "{said}");
    let said = with(&|flash| flash.partitions[2].protected = true);
    assert!(said.starts_with("flash: there is no slot a"), "{said}");
    let said = with(&|flash| flash.partitions[4].protected = true);
    assert!(said.starts_with("flash: its shim looks for other slots than the map has"), "{said}");
    let said = with(&|flash| flash.kind = stoop_image::board::FlashKind::Nand);
    assert!(said.starts_with("flash: qemu-malta-le's CPU does not read its flash as memory"), "{said}");
}

#[test]
fn the_command_says_it_and_ends_with_1_only_when_it_would_not_boot() {
    let bench = Bench::new();
    bench.put("image", &gl_ar750(&bench, Format::Uimage));
    let run = |words: &[&str]| {
        let output = bench.stoop(&[&["check", "image", "--board"], words].concat());
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, stdout, stderr) = run(&["gl-ar750"]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(stdout.contains("ok      containers           U-Boot 1.1.4 (GL.iNet) starts a uImage"), "{stdout}");
    let (code, stdout, stderr) = run(&["qemu-malta-le"]);
    assert_eq!(code, Some(1));
    assert!(stdout.contains("no      arch") && stdout.contains("-> build or pack it for this board"), "{stdout}");
    assert!(stderr.contains("it would not boot on qemu-malta-le: arch") && stderr.contains("\n  next: "), "{stderr}");
    let (code, stdout, _) = run(&["qemu-malta-le", "--json"]);
    let value: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &value["ok"], &value["board"]), (Some(1), &false.into(), &"qemu-malta-le".into()));
    for words in [&["check"][..], &["check", "image", "--board", "gl-ar750", "--kernel", "x"]] {
        assert_eq!(bench.stoop(words).status.code(), Some(2), "{words:?}");
    }
}

/// Exit code and stderr of a command in the bench's folder.
fn refusal(bench: &Bench, words: &[&str]) -> (i32, String) {
    let output = bench.stoop(words);
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_file_that_is_no_code_is_named_and_not_taken_for_bytes_to_run() {
    let bench = Bench::new();
    for (bytes, name) in [
        (&b"hsqs and more"[..], "a squashfs"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (&[0xff; 0x1000], "erased flash (all 0xff)"),
        (b"!<arch>\ndebian-binary", "an ar archive or Debian package"),
        (b"HDR0 and more", "a TRX image"),
    ] {
        let said = only(bytes, &board("gl-ar750"));
        assert!(said.starts_with(&format!("containers: it is {name}, no code that U-Boot 1.1.4")), "{said}");
        bench.put("file", bytes);
        let (code, said) = refusal(&bench, &["check", "file"]);
        assert!(code == 2 && said.contains(name) && said.contains("stoop check --kernel FILE"), "{said}");
    }
    assert_eq!(wrong(&code(0x1000, true), &board("gl-ar750")), [""; 0], "code has no mark");
}

#[test]
fn flash_writes_nothing_that_would_not_boot_unless_it_is_told_to() {
    let bench = Bench::new();
    let good = gl_ar750(&bench, Format::Uimage);
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let little = uimage(0x8006_0000, 0, &code(0x1000, false));
    for (bytes, why) in [
        (&damaged[..], "checksums: "),
        (&little, "arch: the code is little endian"),
        (b"<!DOCTYPE html>", "containers: it is a web page"),
    ] {
        bench.put("image", bytes);
        let words = ["flash", "image", "--board", "gl-ar750", "--dry-run"];
        let (code, said) = refusal(&bench, &words);
        assert!(code == 1 && said.contains("H074: it would not boot on gl-ar750: ") && said.contains(why), "{said}");
        assert!(said.contains("--unchecked"), "{said}");
        assert_eq!(bench.stoop(&[&words[..], &["--unchecked"]].concat()).status.code(), Some(0));
    }
    bench.put("image", &good);
    assert_eq!(bench.stoop(&["flash", "image", "--dry-run"]).status.code(), Some(0));
}

#[test]
fn flash_asks_for_more_than_a_yes_where_the_vendors_bootloader_has_a_container_of_its_own() {
    let bench = Bench::new();
    bench.put("image", &uimage(0x8006_0000, 0, &code(0x1000, true)));
    let words = ["flash", "image", "--board", "tl-wdr3600-v1", "--dry-run"];
    let (code, said) = refusal(&bench, &words);
    assert!(code == 1 && said.contains("H074: the vendor's own images in tl-wdr3600-v1's flash are "), "{said}");
    assert_eq!(bench.stoop(&[&words[..], &["--unchecked"]].concat()).status.code(), Some(0));
}

#[test]
fn a_backup_is_never_replaced() {
    let bench = Bench::new();
    bench.put("image", &gl_ar750(&bench, Format::Uimage));
    bench.put("old.bin", b"the vendor's");
    let words = ["flash", "image", "--yes", "--serial", "tcp://127.0.0.1:1", "--backup", "old.bin"];
    let (code, said) = refusal(&bench, &words);
    assert!(code == 2 && said.contains("old.bin is there already") && said.contains("name another file"), "{said}");
    assert_eq!(std::fs::read(bench.path("old.bin")).unwrap(), b"the vendor's");
}

#[test]
fn an_own_board_file_with_a_known_boards_name_is_warned_of_unless_it_is_the_same() {
    let bench = Bench::new();
    let text = include_str!("../../../../boards/qemu-malta-le.toml");
    bench.full();
    let words = ["pack", "--board", "./qemu-malta-le.toml", "--kernel", "vmlinux", "-o", "image"];
    for (text, warns) in [(text.to_owned(), false), (text.replace("title = \"", "title = \"My "), true)] {
        bench.put("qemu-malta-le.toml", text.as_bytes());
        let (code, said) = refusal(&bench, &words);
        assert_eq!(
            (code, said.contains("a board that comes with stoop is called qemu-malta-le too")),
            (0, warns),
            "{said}"
        );
    }
}

#[test]
fn an_image_of_another_board_is_neither_written_nor_started() {
    let bench = Bench::new();
    let (_, built) = packed(&Request { format: Some(Format::Nor), ..bench.full() });
    bench.put("image", &built.file);
    for words in [
        &["flash", "image", "--board", "qemu-malta-be", "--dry-run", "--unchecked"][..],
        &["netboot", "image", "--board", "qemu-malta-be", "--serial", "tcp://127.0.0.1:1"],
    ] {
        let (code, said) = refusal(&bench, words);
        assert!(code == 2 && said.contains("the image was packed for qemu-malta-le, not for qemu-malta-be"), "{said}");
    }
}

#[test]
fn pack_refuses_what_the_board_is_known_to_choke_on() {
    let bench = Bench::new();
    let text =
        std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../boards/gl-ar750.toml")).unwrap();
    bench.put("small.toml", text.replace("[bootloader]\n", "[bootloader]\nimage-limit = 0x1000\n").as_bytes());
    bench.put("vmlinux", &Kernel { load: 0x8006_0000, ..Kernel::new(true) }.elf());
    bench.put("board.dtb", &tree(Some(b"x")));
    let words = ["pack", "--board", "./small.toml", "--kernel", "vmlinux", "--dtb", "board.dtb", "-o", "image"];
    let output = bench.stoop(&[&words[..], &["--codec", "store"]].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("small would choke on the image: image-limit: the image has 0x"), "{text}");
    assert!(!bench.files().contains(&"image".to_owned()));
}
