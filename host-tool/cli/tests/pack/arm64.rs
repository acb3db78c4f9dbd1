//! What bad input gets on arm64: the fact and the next step, before a byte is written.

use std::io::Write;

use stoop_core::Code;
use stoop_image::plan::Request;
use stoop_image::simulate::{self, Entry, Input};

use crate::bench::{Bench, Kernel, packed, tree_arm64};
use crate::refusals::{has, refused};

/// Packs the kernel in `Image` with these words as well, and expects a refusal.
fn image_refused(bench: &Bench, code: i32, more: &[&str]) -> String {
    refused(bench, code, &[&["--board", "qemu-virt-arm64", "--kernel", "Image"], more].concat())
}

/// With an `Image` and a `root.squashfs` in it.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.arm64();
    bench
}

#[test]
fn kernels_that_could_not_run_are_refused_as_an_image_and_compressed() {
    let bench = bench();
    for (flags, says) in [
        (0xb, ["is big-endian", "CONFIG_CPU_LITTLE_ENDIAN=y"]),
        (0x2, ["must lie at the start of RAM", "newer kernel"]),
    ] {
        let mut image = Kernel::new(false).image();
        image[24] = flags;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&image).unwrap();
        for bytes in [image, gzip.finish().unwrap()] {
            bench.put("Image", &bytes);
            has(&image_refused(&bench, 1, &[]), &says);
        }
    }
}

#[test]
fn too_little_ram_names_the_image_and_both_sizes() {
    let bench = bench();
    // All of the board's 512 MiB.
    bench.put("Image", &Kernel { bss: 0x2000_0000, config: "CONFIG_ARM64=y\n".into(), ..Kernel::new(false) }.image());
    let text = image_refused(&bench, 1, &[]);
    has(
        &text,
        &[
            "too little RAM: no room for the image, 0x20",
            "[0x40000000, 0x5e000000) below the bootloader's own 0x2000000 bytes",
            "smaller kernel",
        ],
    );
}

#[test]
fn a_packed_tree_that_arm64_does_not_map_is_refused_and_one_just_below_is_taken() {
    let bench = bench();
    let with = |size| bench.put("large.dtb", &tree_arm64("console=ttyAMA0", size));
    with(0x20_0000);
    let text = image_refused(&bench, 1, &["--dtb", "large.dtb"]);
    has(&text, &["the device tree needs 0x20", "arm64 kernels take 0x200000", "__symbols__"]);
    // What the shim adds is a few KiB.
    let request = Request { dtb: Some(with(0x1f_0000)), ..bench.arm64() };
    let (plan, built) = packed(&request);
    assert!(built.places.tree.size() <= 0x20_0000 && plan.dtb.unwrap().value.len() > 0x1f_0000);
}

#[test]
fn a_bootloaders_tree_that_does_not_fit_gives_e23_and_one_that_does_boots() {
    let bench = bench();
    let (_, built) = packed(&Request { dtb: None, ..bench.arm64() });
    let start = |tree: Vec<u8>| {
        let outcome = simulate::run(&built.file, &Input { entry: Entry::Uhi(tree), load: None }).unwrap();
        outcome.result.map(|booted| booted.verdict)
    };
    let error = start(tree_arm64("", 0x20_0000)).unwrap_err();
    assert_eq!(error.code(), Code::TreeRoom);
    // The room, without what is on its way into it: 128 KiB for a tree that pack does not know, and some.
    assert!((0x2_0000..built.places.tree.size()).contains(&error.value), "{error}");
    assert!(start(tree_arm64("", 0x1000)).is_ok());
}

#[test]
fn phram_on_the_command_line_is_refused_wherever_it_comes_from() {
    let bench = bench();
    let says = ["on arm64 phram.phram= cannot map RAM", "pack puts the root filesystem into the device tree"];
    has(&image_refused(&bench, 2, &["--rootfs", "root.squashfs", "--phram", "cmdline"]), &says);
    let parameter = "phram.phram=rootfs,0x48000000,0x100000";
    for flag in ["--cmdline", "--append"] {
        has(&image_refused(&bench, 2, &[flag, &format!("console=ttyAMA0 {parameter}")]), &says);
    }
    bench.put("own.dtb", &tree_arm64(parameter, 0));
    has(&image_refused(&bench, 2, &["--dtb", "own.dtb"]), &says);
}

#[test]
fn what_arm64_has_not_is_a_usage_error() {
    let bench = bench();
    has(&image_refused(&bench, 2, &["--format", "elf"]), &["ELF files name addresses", "--format image"]);
    has(&image_refused(&bench, 2, &["--format", "nor"]), &["copy what they start to RAM", "--format image"]);
    for handoff in ["uhi", "argv", "appended"] {
        has(&image_refused(&bench, 2, &["--handoff", handoff]), &["one way only", "omit --handoff"]);
    }
}

#[test]
fn a_kernel_of_the_other_architecture_is_named_from_both_sides() {
    let bench = bench();
    bench.put("vmlinux", &Kernel::new(false).elf());
    let text = refused(&bench, 1, &["--board", "qemu-virt-arm64", "--kernel", "vmlinux"]);
    has(&text, &["the kernel is mips little-endian", "qemu-virt-arm64 is arm64"]);
    let text = refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "Image"]);
    has(&text, &["the kernel is arm64", "qemu-malta-le is mips little-endian"]);
}

#[test]
fn a_router_without_a_tree_of_its_own_wants_one() {
    let bench = bench();
    let text = refused(&bench, 2, &["--board", "openwrt-one", "--kernel", "Image"]);
    has(&text, &["the kernel needs a device tree", "openwrt-one", "--dtb FILE"]);
}
