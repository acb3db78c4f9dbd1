//! What is inside an image, stoop's or not, and what comes out of it; which board it is for.

use std::process::Command;

use stoop_image::format::uimage;
use stoop_image::machine::Machine;
use stoop_image::plan::{CodecChoice, Format, Request};
use stoop_samples::machine::skipped;

use crate::bench::{Bench, Kernel, packed, squashfs, text, tool, tree};
use crate::schema;

fn good(bench: &Bench, words: &[&str]) -> String {
    String::from_utf8(bench.good(words).stdout).unwrap()
}

#[test]
fn every_format_gives_its_payloads_back_and_names_its_board() {
    let bench = Bench::new();
    let dtb = tree(Some(b"console=ttyS0,115200"));
    let base = Request { dtb: Some(bench.put("board.dtb", &dtb)), ..bench.full() };
    let kernel = Kernel::new(false).bytes();
    for format in [Format::Uimage, Format::Fit, Format::Raw, Format::Elf, Format::Nor] {
        for codec in [CodecChoice::Store, CodecChoice::Lz4, CodecChoice::Lzma] {
            let name = format!("{}-{codec:?}", format.name());
            bench.put(&name, &packed(&Request { format: Some(format), codec, ..base.clone() }).1.file);
            let out = format!("{name}.d");
            let said = good(&bench, &["inspect", &name, "--extract", &out]);
            assert!(said.contains("\nboard        qemu-malta-le\n"), "{said}");
            let file = |part: &str| std::fs::read(bench.path(&out).join(part)).unwrap();
            assert!(file("kernel") == kernel && file("rootfs") == squashfs(0x1_2345), "{name}");
            assert!(file("initrd").starts_with(b"070701") && file("dtb") == dtb, "{name}");
            assert!(!bench.stoop(&["inspect", &name, "--extract", &out]).status.success(), "never over an old one");
        }
    }
}

#[test]
fn check_knows_the_board_from_the_image() {
    let bench = Bench::new();
    let arm64 = bench.arm64();
    bench.put("arm64", &packed(&arm64).1.file);
    bench.put("mips", &packed(&bench.full()).1.file);
    for (image, board) in [("arm64", "qemu-virt-arm64"), ("mips", "qemu-malta-le")] {
        let value: serde_json::Value = serde_json::from_str(&good(&bench, &["check", image, "--json"])).unwrap();
        assert_eq!(value["board"], board);
    }
    bench.put("text", b"hello");
    let output = bench.stoop(&["check", "text"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(text(&output).contains("name one with --board"), "{output:?}");
    // A board file of the user's own has a name, too.
    let toml = include_str!("../../../../boards/qemu-malta-le.toml");
    let own = bench.put("mine.toml", toml.as_bytes());
    bench.put("own", &packed(&Request { board: own.to_str().unwrap().to_owned(), ..bench.full() }).1.file);
    let output = bench.stoop(&["check", "own"]);
    assert!(text(&output).contains("was packed for the board mine, which does not come with stoop"), "{output:?}");
}

#[test]
fn regions_that_pack_lists_for_the_bootloader_are_shown() {
    let bench = Bench::new();
    bench.full();
    let words = ["--board", "edgerouter-x", "--kernel", "vmlinux", "--dtb", "board.dtb", "-o", "image", "--json"];
    bench.put("board.dtb", &tree(Some(b"console=ttyS0")));
    let pack: serde_json::Value = serde_json::from_str(&good(&bench, &[&["pack"], &words[..]].concat())).unwrap();
    let inspect: serde_json::Value = serde_json::from_str(&good(&bench, &["inspect", "image", "--json"])).unwrap();
    let find = |value: &serde_json::Value, name: &str| {
        let found = value["regions"].as_array().unwrap().iter().find(|region| region["name"] == name).cloned();
        found.map(|region| (region["start"].as_u64(), region["size"].as_u64()))
    };
    let names = pack["regions"].as_array().unwrap().iter().map(|region| region["name"].as_str().unwrap().to_owned());
    let missing: Vec<String> = names.filter(|name| find(&inspect, name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(find(&pack, "bootloader"), find(&inspect, "bootloader"));
    assert_eq!(find(&pack, "shim"), find(&inspect, "shim"));
}

#[test]
fn foreign_uimages_and_fits_are_shown_as_dumpimage_shows_them() {
    let bench = Bench::new();
    bench.put("payload", &[7; 1000]);
    bench.put("other", b"not a kernel");
    let mkimage = |words: &[&str]| {
        let output = Command::new("mkimage").args(words).current_dir(bench.path(".")).output();
        output.inspect_err(|error| skipped(&format!("mkimage: {error}"))).is_ok_and(|output| output.status.success())
    };
    let uimage = ["-A", "mips", "-O", "linux", "-T", "kernel", "-C", "lzma", "-a", "0x80060000", "-e", "0x80060400"];
    if !mkimage(&[&uimage[..], &["-n", "Their kernel", "-d", "payload", "u.img"]].concat()) {
        return;
    }
    let said = good(&bench, &["inspect", "u.img", "--extract", "u.d"]);
    let value = serde_json::from_str(&good(&bench, &["inspect", "u.img", "--json"])).unwrap();
    schema::check("stoop inspect, another uImage", &value);
    let theirs = tool("dumpimage", &["-l"], &bench.path("u.img")).map(|output| text(&output)).unwrap_or_default();
    for part in ["Their kernel", "MIPS", "lzma", "80060000", "80060400"] {
        assert!(said.contains(part) && theirs.contains(part), "{part}: {said}{theirs}");
    }
    assert_eq!(std::fs::read(bench.path("u.d/data")).unwrap(), [7; 1000]);
    let mut damaged = std::fs::read(bench.path("u.img")).unwrap();
    damaged[100] ^= 1;
    bench.put("bad.img", &damaged);
    let output = bench.stoop(&["inspect", "bad.img"]);
    assert!(output.status.code() == Some(1) && text(&output).contains("uImage data: CRC-32"), "{output:?}");

    let its = "/dts-v1/; / { description = \"x\"; #address-cells = <1>; images {
        kernel-1 { data = /incbin/(\"payload\"); type = \"kernel\"; arch = \"mips\"; os = \"linux\"; compression = \"none\";
            load = <0x80100000>; entry = <0x80100000>; hash-1 { algo = \"sha1\"; }; };
        fdt-1 { data = /incbin/(\"other\"); type = \"flat_dt\"; arch = \"mips\"; compression = \"none\"; }; };
      configurations { default = \"conf-1\"; conf-1 { kernel = \"kernel-1\"; fdt = \"fdt-1\"; }; }; };";
    bench.put("f.its", its.as_bytes());
    assert!(mkimage(&["-f", "f.its", "f.itb"]));
    let said = good(&bench, &["inspect", "f.itb", "--extract", "f.d"]);
    for part in [
        "image kernel-1",
        "image fdt-1",
        "flat_dt",
        "sha1: ok",
        "configuration conf-1, the default",
        "kernel kernel-1, fdt fdt-1",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert_eq!(std::fs::read(bench.path("f.d/fdt-1")).unwrap(), b"not a kernel");
    let value: serde_json::Value = serde_json::from_str(&good(&bench, &["inspect", "f.itb", "--json"])).unwrap();
    schema::check("stoop inspect, another FIT", &value);
    assert_eq!(
        (&value["stoop"], &value["ok"], &value["images"][0]["hashes"][0]),
        (&false.into(), &true.into(), &"sha1".into())
    );
}

#[test]
fn what_is_behind_a_uimage_and_inside_a_vendors_container_is_named_and_taken_out() {
    let bench = Bench::new();
    let mut kernel = vec![7; uimage::HEADER + 1000];
    uimage::seal(&mut kernel, "theirs", Machine::MipsBe, 0x8006_0000).unwrap();
    let root = squashfs(0x300);
    let mut factory = kernel.clone();
    factory.resize(0x1000, 0xff);
    factory.extend(&root);
    factory.resize(0x2000, 0xff);
    factory.extend(b"{ metadata }");
    bench.put("factory.bin", &factory);
    let said = good(&bench, &["inspect", "factory.bin", "--extract", "f.d"]);
    for line in ["at 0x1000    a squashfs, 0x300 bytes: rootfs.squashfs", "at 0x2000    text, 0xc bytes: behind"] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let taken = |name: &str| std::fs::read(bench.path(name)).unwrap();
    assert_eq!((taken("f.d/data"), taken("f.d/rootfs.squashfs")), (vec![7; 1000], root.clone()));
    let value: serde_json::Value = serde_json::from_str(&good(&bench, &["inspect", "factory.bin", "--json"])).unwrap();
    schema::check("stoop inspect, another uImage", &value);
    assert_eq!(value["behind"][0]["start"], 0x1000);

    let trx = [&b"HDR0 and a header"[..], &kernel, &root, &root].concat();
    bench.put("v.trx", &trx);
    let said = good(&bench, &["inspect", "v.trx", "--extract", "v.d"]);
    assert!(said.starts_with("image        a TRX image, not packed by stoop\n"), "{said}");
    assert_eq!((taken("v.d/kernel.uimage"), taken("v.d/2-rootfs.squashfs")), (kernel, root));
    let value = serde_json::from_str(&good(&bench, &["inspect", "v.trx", "--json"])).unwrap();
    schema::check("stoop inspect, a vendor's firmware", &value);

    // Nothing in it is known: the way on is told instead.
    bench.put("empty.trx", &trx[..16]);
    for (words, next) in [
        (&["check", "--kernel", "empty.trx"][..], "inspect --extract DIR FILE"),
        (&["inspect", "empty.trx"], "  next: look for more in it with binwalk"),
    ] {
        let output = bench.stoop(words);
        assert!(!output.status.success() && text(&output).contains(next), "{output:?}");
    }
}

#[test]
fn what_a_fit_calls_its_images_is_no_path() {
    let bench = Bench::new();
    let mut fit = vm_fdt::FdtWriter::new().unwrap();
    let root = fit.begin_node("").unwrap();
    let images = fit.begin_node("images").unwrap();
    let node = fit.begin_node("aa").unwrap();
    fit.property("data", &[1, 2, 3, 4]).unwrap();
    fit.end_node(node).unwrap();
    fit.end_node(images).unwrap();
    fit.end_node(root).unwrap();
    let mut bytes = fit.finish().unwrap();
    let at = bytes.windows(4).position(|name| name == b"aa\0\0").unwrap();
    bytes[at..at + 2].copy_from_slice(b"..");
    bench.put("f.itb", &bytes);
    let before = bench.files();
    let output = bench.stoop(&["inspect", "f.itb", "--extract", "out"]);
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    assert!(bench.files().iter().all(|name| before.contains(name) || name == "out"));
}

#[test]
fn the_picture_has_memory_by_phases_and_of_an_image_for_flash_what_it_takes_there() {
    let bench = Bench::new();
    let request = bench.full();
    bench.put("ram", &packed(&request).1.file);
    let svg = good(&bench, &["inspect", "ram", "--svg"]);
    for word in [">download<", ">handoff<", ">kernel<", ">rootfs<", ">dtb<", ">bootloader<"] {
        assert!(svg.contains(word), "no {word} in {svg}");
    }
    assert!(!svg.contains("Flash of "), "nothing of it is in flash");
    bench.put("nor", &packed(&Request { format: Some(Format::Nor), ..request }).1.file);
    let svg = good(&bench, &["inspect", "nor", "--svg"]);
    for word in ["Flash of qemu-malta-le", "  slot a<", "never written<"] {
        assert!(svg.contains(word), "no {word} in {svg}");
    }
}

#[test]
fn inspect_shows_what_the_device_tree_reserves_as_pack_does() {
    let bench = Bench::new();
    bench.full();
    let its = "/dts-v1/; /memreserve/ 0x2000000 0x10000; / { #address-cells = <1>; #size-cells = <1>; chosen { };
        reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges; log@3000000 { reg = <0x3000000 0x20000>; };
        pool { size = <0x40000>; alloc-ranges = <0x4000000 0x100000>; }; }; };";
    bench.put("t.dts", its.as_bytes());
    if tool("dtc", &["-q", "-I", "dts", "-O", "dtb", "-o", bench.path("t.dtb").to_str().unwrap()], &bench.path("t.dts"))
        .is_none()
    {
        return;
    }
    let pack = ["pack", "--board", "qemu-malta-le", "--kernel", "vmlinux", "--dtb", "t.dtb", "-o", "image", "--json"];
    let reserved = |words: &[&str]| {
        let value: serde_json::Value = serde_json::from_slice(&bench.good(words).stdout).unwrap();
        let regions = value["regions"].as_array().unwrap().iter();
        let ours = regions.filter(|region| region["name"] == "reserved by the device tree");
        let mut found: Vec<_> = ours.map(|region| (region["start"].as_u64(), region["size"].as_u64())).collect();
        found.sort();
        found
    };
    let packed = reserved(&pack);
    let expected = [(0x200_0000, 0x1_0000), (0x300_0000, 0x2_0000), (0x40c_0000, 0x4_0000)];
    assert_eq!(packed, expected.map(|(start, size)| (Some(start), Some(size))));
    assert_eq!(reserved(&["inspect", "image", "--json"]), packed);
}
