//! What bad input gets: the fact, the next step, exit code 1 or 2, and no file left behind.

use crate::bench::{Bench, FROM_BOOTLOADER, Kernel, squashfs, tree};

/// Runs `stoop pack` and expects it to fail; gives stderr.
pub fn refused(bench: &Bench, code: i32, words: &[&str]) -> String {
    let before = bench.files();
    let output = bench.stoop(&[&["pack", "-o", "image"], words].concat());
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(bench.files(), before, "{text}");
    assert!(output.stdout.is_empty());
    text
}

/// The text has these parts, and says what to do.
pub fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is missing in: {text}");
    }
    assert!(text.contains("\n  next: "), "{text}");
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    bench.put("root.squashfs", &squashfs(0x1_2345));
    bench
}

const GOOD: [&str; 4] = ["--board", "qemu-malta-le", "--kernel", "vmlinux"];

fn good_and(more: &[&'static str]) -> Vec<&'static str> {
    [&GOOD[..], more].concat()
}

#[test]
fn an_unknown_board_names_the_nearest_one() {
    let text = refused(&bench(), 2, &["--board", "qemu-malta-el", "--kernel", "vmlinux"]);
    has(&text, &["qemu-malta-el", "qemu-malta-le"]);
}

#[test]
fn the_wrong_byte_order_is_named_from_both_sides() {
    let bench = bench();
    bench.put("vmlinux", &Kernel::new(true).elf());
    has(&refused(&bench, 1, &GOOD), &["the kernel is mips big-endian", "qemu-malta-le is mips little-endian"]);
}

#[test]
fn missing_empty_foreign_and_cut_kernels_are_refused() {
    let bench = bench();
    let with = |bytes: &[u8]| {
        bench.put("kernel", bytes);
        refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "kernel"])
    };
    has(&with(b""), &["is empty"]);
    has(&with(&squashfs(200)), &["squashfs", "--rootfs"]);
    let elf = Kernel::new(false).elf();
    has(&with(&elf[..elf.len() - 1]), &["0x"]);
    has(&with(&elf[..40]), &["ELF"]);
    has(&refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "nothing"]), &["nothing"]);
}

#[test]
fn a_flat_binary_needs_its_load_address() {
    let bench = bench();
    bench.put("flat", &[0x27; 100]);
    has(&refused(&bench, 2, &["--board", "qemu-malta-le", "--kernel", "flat"]), &["--load-address"]);
}

#[test]
fn uhi_to_a_kernel_that_ignores_the_tree_is_refused_before_it_fails_silently() {
    let bench = bench();
    bench.put("vmlinux", &Kernel { config: FROM_BOOTLOADER.into(), ..Kernel::new(false) }.elf());
    let text = refused(&bench, 1, &good_and(&["--handoff", "uhi"]));
    has(&text, &["CONFIG_MIPS_CMDLINE_FROM_BOOTLOADER", "does not take"]);
}

#[test]
fn a_root_filesystem_that_is_none_or_cut_is_refused() {
    let bench = bench();
    bench.put("root", b"hello");
    has(&refused(&bench, 1, &good_and(&["--rootfs", "root"])), &["not a squashfs but text", "mksquashfs"]);
    bench.put("root", &squashfs(0x1000)[..0xfff]);
    has(&refused(&bench, 1, &good_and(&["--rootfs", "root"])), &["0x1000 bytes, the file has 0xfff"]);
}

#[test]
fn a_kernel_without_phram_is_refused_when_it_is_needed() {
    let bench = bench();
    bench.put("vmlinux", &Kernel { config: "# CONFIG_MTD_PHRAM is not set\n".into(), ..Kernel::new(false) }.elf());
    has(&refused(&bench, 1, &good_and(&["--rootfs", "root.squashfs"])), &["CONFIG_MTD_PHRAM"]);
}

#[test]
fn broken_device_trees_are_refused() {
    let bench = bench();
    let whole = tree(Some(b"x"));
    bench.put("t.dtb", &whole[..whole.len() - 1]);
    has(&refused(&bench, 1, &good_and(&["--dtb", "t.dtb"])), &["truncated", "dtc"]);
    let mut header = whole.clone();
    header[0] = 0;
    bench.put("t.dtb", &header);
    has(&refused(&bench, 1, &good_and(&["--dtb", "t.dtb"])), &["not a device tree blob"]);
    let mut structure = whole;
    let at = structure.len() - 16;
    structure[56..at].fill(0x55);
    bench.put("t.dtb", &structure);
    has(&refused(&bench, 1, &good_and(&["--dtb", "t.dtb"])), &["damaged"]);
}

#[test]
fn an_alias_that_is_taken_is_named() {
    let bench = bench();
    let source = "/dts-v1/; / { aliases { mtd99 = \"/x\"; }; x { }; };";
    bench.put("t.dts", source.as_bytes());
    let Some(output) = crate::bench::tool("dtc", &["-q", "-I", "dts", "-O", "dtb"], &bench.path("t.dts")) else {
        return;
    };
    bench.put("t.dtb", &output.stdout);
    let words = ["--dtb", "t.dtb", "--rootfs", "root.squashfs"];
    has(&refused(&bench, 1, &good_and(&words)), &["alias mtd99", "/x", "--phram cmdline"]);
}

#[test]
fn a_kernel_that_needs_a_tree_and_a_board_without_one_say_so() {
    let bench = bench();
    bench.put("vmlinux", &Kernel { load: 0x8006_0000, ..Kernel::new(true) }.elf());
    let text = refused(&bench, 2, &["--board", "gl-ar750", "--kernel", "vmlinux"]);
    has(&text, &["device tree", "gl-ar750", "--dtb", "--bootloader-dtb"]);
}

#[test]
fn too_little_ram_names_what_does_not_fit() {
    let bench = bench();
    bench.put("vmlinux", &Kernel { bss: 0xe00_0000, ..Kernel::new(false) }.elf());
    bench.put("root.squashfs", &squashfs(0x200_0000));
    let text = refused(&bench, 1, &good_and(&["--rootfs", "root.squashfs"]));
    has(&text, &["too little RAM", "0x", "kernel ["]);
}

#[test]
fn a_kernel_outside_of_ram_or_on_the_bootloader_is_refused() {
    let bench = bench();
    bench.put("vmlinux", &Kernel { load: 0x9000_0000, ..Kernel::new(false) }.elf());
    has(&refused(&bench, 1, &GOOD), &["kernel [0x10000000, ", "is not in RAM [0x00000000, 0x10000000)"]);
    bench.put("vmlinux", &Kernel { load: 0x8fff_0000, filler: 0x100, ..Kernel::new(false) }.elf());
    has(&refused(&bench, 1, &GOOD), &["overlaps bootloader ["]);
}

#[test]
fn lines_that_do_not_fit_or_are_no_text_are_refused() {
    let bench = bench();
    let long = "x".repeat(4096);
    let text = refused(&bench, 1, &[&GOOD[..], &["--cmdline", &long]].concat());
    has(&text, &["4096 bytes, the kernel takes 4095"]);
    has(&refused(&bench, 2, &good_and(&["--append", "a\nb"])), &["--append", "control characters"]);
}

#[test]
fn cookies_and_keys_that_can_never_match_are_refused() {
    let bench = bench();
    has(&refused(&bench, 2, &good_and(&["--cookie", ""])), &["--no-cookie"]);
    has(&refused(&bench, 2, &good_and(&["--cookie", "a b", "--cookie-match", "word"])), &["blank"]);
    has(
        &refused(&bench, 2, &good_and(&["--cookie", "ü", "--cookie-match", "word"])),
        &["holds a character outside ASCII"],
    );
    has(&refused(&bench, 2, &good_and(&["--keep", "a=b"])), &["--keep"]);
    has(&refused(&bench, 2, &good_and(&["--keep", "a\"b"])), &["--keep"]);
    let many: Vec<String> = (0..20).map(|index| format!("{}{index}", "k".repeat(30))).collect();
    let words: Vec<&str> = many.iter().flat_map(|key| ["--keep", key.as_str()]).collect();
    has(&refused(&bench, 2, &[&GOOD[..], &words].concat()), &["params' 512", "fewer --keep"]);
}

#[test]
fn flags_that_contradict_each_other_are_usage_errors() {
    let bench = bench();
    for words in [
        &["--cmdline", "a", "--append", "b"][..],
        &["--cookie", "a", "--no-cookie"],
        &["--dtb", "x", "--bootloader-dtb"],
        &["--format", "zip"],
        &["--codec", "zip"],
    ] {
        let output = bench.stoop(&[&["pack", "-o", "image"], &GOOD[..], words].concat());
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
    let text = refused(&bench, 2, &good_and(&["--bootloader-dtb", "--append", "x"]));
    has(&text, &["--append", "--dtb"]);
}

#[test]
fn a_failure_leaves_an_older_image_alone() {
    let bench = bench();
    bench.put("image", b"old");
    refused(&bench, 1, &good_and(&["--rootfs", "vmlinux"]));
    assert_eq!(std::fs::read(bench.path("image")).unwrap(), b"old");
}

#[test]
fn an_output_that_cannot_be_written_is_an_error() {
    let bench = bench();
    for (output, what) in [("missing/image", "missing/image: No such file"), (".", "is a directory")] {
        let output = bench.stoop(&[&["pack", "-o", output], &GOOD[..]].concat());
        assert_eq!(output.status.code(), Some(1));
        has(&String::from_utf8(output.stderr).unwrap(), &[what]);
    }
    assert_eq!(bench.files(), ["root.squashfs", "vmlinux"]);
}

#[test]
fn simulate_and_inspect_refuse_what_is_no_image_and_name_what_is_damaged() {
    let bench = bench();
    assert!(bench.stoop(&[&["pack", "-o", "image", "--format", "raw"], &GOOD[..]].concat()).status.success());
    for verb in ["simulate", "inspect"] {
        let run = |file: &str| {
            let output = bench.stoop(&[verb, file]);
            (output.status.code(), String::from_utf8(output.stderr).unwrap())
        };
        assert_eq!(run("image"), (Some(0), String::new()));
        let (code, text) = run("vmlinux");
        assert_eq!(code, Some(1));
        has(&text, &["no stoop image but an ELF file"]);
        let mut damaged = std::fs::read(bench.path("image")).unwrap();
        let last = damaged.len() - 1;
        damaged[last] ^= 1;
        bench.put("damaged", &damaged);
        let (code, text) = run("damaged");
        assert_eq!(code, Some(1));
        has(&text, &["kernel"]);
    }
    let output = bench.stoop(&["simulate", "damaged", "--dtb-out", "final.dtb"]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("stoop explain E12"));
    assert!(!bench.path("final.dtb").exists());
}

#[test]
fn a_uimage_cut_in_its_header_is_truncated_for_pack_and_inspect() {
    let bench = bench();
    for length in [4_u8, 20, 54, 63] {
        let mut cut = vec![0; usize::from(length)];
        cut[..4].copy_from_slice(&0x2705_1956_u32.to_be_bytes());
        bench.put("u", &cut);
        let output = bench.stoop(&["inspect", "u"]);
        assert_eq!(output.status.code(), Some(1));
        has(
            &String::from_utf8(output.stderr).unwrap(),
            &["truncated", &format!("0x{length:x} bytes, inside its header")],
        );
        has(&refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "u"]), &["inside its header"]);
    }
}

#[test]
fn explain_knows_its_codes_and_nothing_else() {
    let bench = Bench::new();
    let output = bench.stoop(&["explain", "E12"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("CRC-32"));
    let output = bench.stoop(&["explain", "E99"]);
    assert_eq!(output.status.code(), Some(2));
    has(&String::from_utf8(output.stderr).unwrap(), &["did you mean E30"]);
    let all = String::from_utf8(bench.stoop(&["explain"]).stdout).unwrap();
    let names = stoop_image::ErrorCode::ALL.iter().map(|code| code.name());
    for name in names.chain(["E01", "E30", "L010"]) {
        assert_eq!(all.lines().filter(|line| line.starts_with(&format!("{name} "))).count(), 1, "{name}");
    }
}

#[test]
fn a_refusal_begins_with_a_code_that_explain_finds_in_the_pasted_line() {
    let bench = Bench::new();
    let output = bench.stoop(&["boards", "show", "gl-ar751"]);
    let said = String::from_utf8(output.stderr).unwrap();
    has(&said, &["stoop: H010: no board is called"]);
    let output = bench.stoop(&["explain", said.lines().next().unwrap()]);
    assert!(output.stdout.starts_with(b"H010: no board has this name\n"));
}
