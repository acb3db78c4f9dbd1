use super::super::types::Container;
use super::*;
use crate::format::device_tree::source;

const DTS: &str = r#"/ { model = "Vendor Router 1"; compatible = "vendor,router-1", "mediatek,mt7628an-soc";
    #address-cells = <1>; #size-cells = <1>;
    aliases { led-boot = "/leds/power"; };
    leds { power { gpios = <7 46 1>; }; };
    gpio@600 { gpio-controller; phandle = <7>; };
    spi { flash@0 { compatible = "jedec,spi-nor"; spi-max-frequency = <40000000>; partitions {
        compatible = "fixed-partitions"; #address-cells = <1>; #size-cells = <1>;
        partition@0 { label = "u-boot"; reg = <0 0x30000>; read-only; };
        partition@30000 { label = "u-boot-env"; reg = <0x30000 0x10000>; };
        partition@40000 { label = "factory"; reg = <0x40000 0x10000>; read-only; };
        partition@50000 { label = "firmware"; reg = <0x50000 0x7a0000>; };
        partition@7f0000 { label = "partition-table"; reg = <0x7f0000 0x10000>; read-only; };
    }; }; }; };"#;

/// As U-Boot 1.1.3 on an MT7628 prints it.
const LOG: &str = "\u{1b}[2J[04060C0D][04060B0F]\r\nU-Boot 1.1.3 (Jan 24 2018 - 12:18:18)\r\n
Board: Ralink APSoC DRAM:  128 MB\r\nrelocate_code Pointer at: 87fb8000\r\nflash manufacture id: c2\r\n
icache: sets:512, ways:4, linesz:32 ,total:65536\r\n ##### The CPU freq = 580 MHZ ####\r\n
Please choose the operation: \r\n   4: Entr boot command line interface.\r\nYou choosed 4\r\n\r\n
MT7628 # tftpboot 0x81000000 a.bin\r\nLoad address: 0x81000000\r\nMT7628 # bootm\r\n
## Booting image at bc050000 ...\r\n   Image Type:   MIPS Linux Kernel Image (lzma compressed)\r\n
   Load Address: 80000000\r\n[    0.000000] Linux version 6.12\r\nroot@OpenWrt:/# reset\r\nDRAM: 1 GiB\r\n";

fn tree() -> Tree {
    Tree { root: source::parse("a.dts", DTS, &|_| None).unwrap().root, ..Tree::default() }
}

fn board(draft: &Draft) -> Board {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(format!("{}.toml", draft.name));
    std::fs::write(&file, draft.toml()).unwrap();
    let problems = super::super::check(&file).unwrap();
    assert!(problems.is_empty(), "{problems:?}\n{}", draft.toml());
    super::super::load(file.to_str().unwrap()).unwrap()
}

#[test]
fn a_tree_and_a_log_make_a_board_that_is_right() {
    let draft = Draft::new("a.dtb", &tree(), Some(("boot.log", LOG)), None).unwrap();
    let board = board(&draft);
    assert_eq!((board.name.as_str(), board.title.as_str()), ("router-1", "Vendor Router 1"));
    assert_eq!((board.soc.as_str(), board.chip.as_str()), ("mt7628", "MT7628AN"));
    assert_eq!(board.compatible, ["vendor,router-1"]);
    assert_eq!((board.ram.size(), board.cpu_clock), (0x800_0000, Some(580_000_000)));
    let led = board.led.unwrap();
    assert_eq!((led.mask, led.set), (1 << 14, 0x1000_0644), "GPIO 46, lit by its bank's clear register");
    let loader = &board.bootloader;
    assert_eq!((loader.name.as_str(), loader.prompt.as_deref()), ("U-Boot 1.1.3", Some("MT7628 #")));
    assert_eq!(loader.interrupt.as_ref().unwrap().send, "4");
    assert_eq!(loader.containers, [Container::UimageLzma]);
    assert_eq!((loader.tftp_address, loader.started_from()), (Some(0x8100_0000), Some(0xbc05_0000)));
    assert_eq!(loader.reserved_top, 0x10_0000, "0x48000 bytes of code, and a guess");
    let flash = board.flash.as_ref().unwrap();
    let roles: Vec<String> = flash.partitions.iter().map(|part| format!("{} {}", part.role, part.protected)).collect();
    assert_eq!(roles, ["bootloader true", "environment true", "calibration true", "firmware false", "vendor true"]);
    assert_eq!((flash.size, flash.read_speed), (0x80_0000, Some(5_000_000)));
    assert!(!draft.ram.is_guess());
    assert!(
        board.sources.iter().any(|source| source.starts_with("boot log boot.log: ram.size, ")),
        "{:?}",
        board.sources
    );
}

#[test]
fn without_a_log_a_sister_board_answers_and_the_file_says_so() {
    let draft = Draft::new("a.dtb", &tree(), None, None).unwrap();
    let board = board(&draft);
    let keys: Vec<_> = draft.questions().iter().map(|question| question.key).collect();
    assert_eq!(
        keys,
        [
            "ram.size",
            "bootloader.name",
            "bootloader.containers",
            "bootloader.tftp-address",
            "bootloader.reserved-top",
            "flash.size"
        ]
    );
    for key in keys {
        assert!(board.unverified.iter().any(|text| text.starts_with(key)), "{key}: {:?}", board.unverified);
    }
    assert_eq!(board.bootloader.prompt, None, "nobody said what it looks like");
}

#[test]
fn pieces_of_ram_beside_the_first_are_in_unverified_and_what_touches_is_one() {
    let with = |reg: &[u32]| {
        let mut tree = tree();
        let bytes: Vec<u8> = reg.iter().flat_map(|cell| cell.to_be_bytes()).collect();
        let text = DTS.replacen("aliases {", "memory@0 { device_type = \"memory\"; reg = <0 0>; }; aliases {", 1);
        tree.root = source::parse("a.dts", &text, &|_| None).unwrap().root;
        let memory = tree.root.children.iter_mut().find(|node| node.name == "memory@0").unwrap();
        memory.set("reg", &bytes);
        board(&Draft::new("a.dtb", &tree, None, None).unwrap())
    };
    let of_ram = |board: &Board| board.unverified.iter().find(|text| text.starts_with("ram.size: ")).cloned();
    let apart = with(&[0, 0x400_0000, 0x800_0000, 0x400_0000]);
    assert_eq!(apart.ram.size(), 0x400_0000);
    let said = of_ram(&apart).unwrap();
    assert!(said.contains("which also has 0x8000000, 0x4000000 bytes; reserved-top counts from"), "{said}");
    let touching = with(&[0x400_0000, 0x400_0000, 0, 0x400_0000]);
    assert_eq!((touching.ram.size(), of_ram(&touching)), (0x800_0000, None));
    let high = with(&[0, 0x400_0000, 0x2000_0000, 0x400_0000]);
    assert_eq!((high.ram.size(), of_ram(&high)), (0x400_0000, None), "above 512 MiB it is the kernel's alone");
}

#[test]
fn partitions_that_are_left_out_or_mean_nothing_are_in_unverified() {
    let more = "partition@1 { label = \"empty\"; reg = <0x50000 0>; };
        partition@2 { label = \"inner\"; reg = <0x60000 0x10000>; };
        partition@7f0000 { label = \"fw\"; reg = <0x7f0000 0x10000>; };";
    let from = DTS.find("partition@7f0000").unwrap();
    let text = DTS[..from].to_owned() + more + "}; }; }; };";
    let root = source::parse("a.dts", &text, &|_| None).unwrap().root;
    let board = board(&Draft::new("a.dtb", &Tree { root, ..Tree::default() }, None, None).unwrap());
    let names: Vec<_> = board.flash.as_ref().unwrap().partitions.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["u-boot", "u-boot-env", "factory", "firmware", "fw"]);
    let doubts: Vec<_> = board.unverified.iter().filter_map(|text| text.strip_prefix("flash.partitions: ")).collect();
    assert_eq!(
        doubts[1..],
        [
            "\"empty\" is left out: it has no bytes, or ends above 4 GiB",
            "\"inner\", \"fw\": the name does not say what for, taken for the vendor's and never written",
            "\"inner\" is left out: it overlaps \"firmware\"",
        ]
    );
}

#[test]
fn an_answer_ends_its_question_and_becomes_a_source() {
    let mut draft = Draft::new("a.dtb", &tree(), None, None).unwrap();
    let before = draft.questions().len();
    draft.answer("ram.size", "64").unwrap();
    draft.answer("bootloader.containers", "uimage-none, raw").unwrap();
    draft.answer("bootloader.tftp-address", "0x81800000").unwrap();
    assert_eq!(draft.questions().len(), before - 3);
    let board = board(&draft);
    assert_eq!((board.ram.size(), board.bootloader.tftp_address), (0x400_0000, Some(0x8180_0000)));
    assert_eq!(board.bootloader.containers, [Container::UimageNone, Container::Raw]);
    assert!(board.sources.iter().any(|source| source.starts_with("told when the file was made: ram.size, ")));
    for (key, answer) in [("ram.size", "much"), ("bootloader.containers", "zip"), ("nothing", "1")] {
        assert!(draft.answer(key, answer).is_err(), "{key} {answer}");
    }
}

#[test]
fn a_tree_of_a_soc_that_nobody_knows_is_refused_unless_it_is_named() {
    let mut tree = tree();
    tree.root.set("compatible", b"vendor,router-1\0vendor,soc9000\0");
    let failure = Draft::new("a.dtb", &tree, None, None).unwrap_err();
    assert!(
        matches!(&failure, crate::Error::Board(Error::NoSuchSoc { named }) if named.contains("vendor,soc9000")),
        "{failure}"
    );
    assert_eq!(board(&Draft::new("a.dtb", &tree, None, Some("mt7628")).unwrap()).soc, "mt7628");
    tree.root.remove("compatible");
    assert!(Draft::new("a.dtb", &tree, None, None).is_err());
}

#[test]
fn more_ram_than_there_is_room_for_below_the_registers_is_cut() {
    let log = LOG.replace("128 MB", "1 GB").replace("relocate_code", "");
    let board = board(&Draft::new("a.dtb", &tree(), Some(("boot.log", &log)), None).unwrap());
    assert_eq!(board.ram.size(), 0x1000_0000);
}

#[test]
fn a_log_of_openwrts_u_boot_on_mediatek_is_read() {
    let said = log::read(
        "U-Boot 2025.01-OpenWrt-r29105-6ac09b940f (Mar 29 2025 - 18:23:15 +0000)\n\nCPU:   MediaTek MT7981\n\
         DRAM:  256 MiB\nspi-nand: spi_nand spi_nand@0: 128 MiB, block size: 128 KiB, page size: 2048, OOB size: 64\n\
         \u{1b}[7m      ( ( ( OpenWrt ) ) )       \u{1b}[0m\nMT7981> printenv\n## Loading kernel from FIT Image at 46000000 ...\n",
    );
    assert_eq!(said.loader.as_deref(), Some("U-Boot 2025.01-OpenWrt-r29105-6ac09b940f"));
    assert_eq!((said.ram, said.flash, said.erase), (Some(0x1000_0000), Some(0x800_0000), Some(0x2_0000)));
    assert_eq!((said.prompt.as_deref(), said.container), (Some("MT7981>"), Some(Container::Fit)));
    assert_eq!(said.interrupt.unwrap().send, "\u{3}");
}

/// Trees that Debian ships for arm64 (`cargo ci lab` unpacks them), each of a SoC that stoop knows.
#[test]
fn every_tree_of_debian_for_a_known_soc_makes_a_board_that_is_right() {
    let Some(cache) =
        std::env::var_os("HOME").map(|home| std::path::Path::new(&home).join(".cache/stoop/lab/debian-trees"))
    else {
        return;
    };
    let folders = [cache.join("arm64-6.12/usr/lib")];
    let mut paths: Vec<_> =
        folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten().collect();
    paths.retain(|entry| entry.path().join("mediatek").is_dir());
    let (mut made, mut refused) = (0, 0);
    for entry in
        paths.iter().filter_map(|entry| std::fs::read_dir(entry.path().join("mediatek")).ok()).flatten().flatten()
    {
        let Ok(tree) = Tree::parse(&std::fs::read(entry.path()).unwrap()) else { continue };
        match Draft::new("a.dtb", &tree, None, None) {
            Ok(draft) => made += usize::from(!board(&draft).name.is_empty()),
            Err(_) => refused += 1,
        }
    }
    println!("{made} boards, {refused} trees of other SoCs; none at all: skipped, `cargo ci lab` gets them");
    assert!(paths.is_empty() || made >= 8, "{made}");
}
