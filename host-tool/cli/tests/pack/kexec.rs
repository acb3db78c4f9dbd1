//! Images in kexec's format keep the rules of kexec whatever is in them, and what is no such image is refused with the rule.

use std::io::Write;
use std::process::{Command, Stdio};
use stoop_image::Explained as _;

use stoop_image::kexec::{Elf, Image, KexecImage, Loadable};
use stoop_image::layout::BEHIND_SHIM;
use stoop_image::plan::{CodecChoice, Format, Request};

use crate::bench::{Bench, Kernel, packed};

fn elf(request: Request) -> Vec<u8> {
    packed(&Request { format: Some(Format::Elf), ..request }).1.file
}

/// Without a ramdisk and root filesystem, when there is next to nothing behind the shim.
fn bare(bench: &Bench) -> Request {
    Request { rootfs: None, initrd: None, ..bench.full() }
}

#[test]
fn every_elf_image_keeps_kexecs_rules() {
    let bench = Bench::new();
    let low = Kernel { load: 0x8000_1000, ..Kernel::new(false) };
    let low = bench.put("low", &low.elf());
    let requests = [
        bench.full(),
        bare(&bench),
        Request { initrd: None, ..bench.full() },
        Request { rootfs: None, ..bench.full() },
        // kexec-tools wants whole pages, of up to 64 KiB, and this kernel is linked 4 KiB above one.
        Request { kernel: low.clone(), ..bench.full() },
        Request { kernel: low, ..bare(&bench) },
        Request { codec: CodecChoice::Lzma, ..bench.full() },
        Request { codec: CodecChoice::Lzma, ..bare(&bench) },
    ];
    for request in requests {
        let said = format!("{request:?}");
        let loadable = Loadable::of(&elf(request)).unwrap_or_else(|failure| panic!("{failure}: {said}"));
        let KexecImage::Elf(Elf { segments, big_endian, .. }) = &loadable.what else { panic!("{said}") };
        assert!(!big_endian && segments.iter().all(|at| at.start() % 0x1_0000 == 0), "{said}");
        let size: usize = segments.iter().map(|at| at.size()).sum();
        assert!(size >= BEHIND_SHIM && loadable.loaded_kib() * 1024 > size, "{said}");
    }
}

#[test]
fn every_arm64_image_keeps_kexecs_rules() {
    let bench = Bench::new();
    let mut tree = vm_fdt::FdtWriter::new().unwrap();
    let root = tree.begin_node("").unwrap();
    tree.property_u32("#address-cells", 2).unwrap();
    tree.property_u32("#size-cells", 2).unwrap();
    tree.end_node(root).unwrap();
    let tree = bench.put("virt.dtb", &tree.finish().unwrap());
    let requests = [
        bench.arm64(),
        Request { rootfs: None, initrd: None, ..bench.arm64() },
        Request { codec: CodecChoice::Lzma, ..bench.arm64() },
        Request { dtb: Some(tree), ..bench.arm64() },
    ];
    for request in requests {
        let said = format!("{request:?}");
        let (plan, built) = packed(&request);
        let loadable = Loadable::of(&built.file).unwrap_or_else(|failure| panic!("{failure}: {said}"));
        let KexecImage::Image(Image { offset, memory, ram }) = loadable.what else { panic!("{said}") };
        assert_eq!((offset, ram), (built.places.head.start() % 0x20_0000, plan.board.ram), "{said}");
        assert!(memory > built.file.len() && loadable.loaded_kib() * 1024 > memory, "{said}");
    }
}

#[test]
fn an_arm64_image_with_a_wrong_header_is_refused_with_the_rule() {
    let bench = Bench::new();
    let built = packed(&bench.arm64()).1;
    let field = |at: usize| u64::from_le_bytes(built.file[at..at + 8].try_into().unwrap());
    let (text_offset, image_size) = (field(8), field(16));
    assert!(Loadable::of(&built.file).is_ok(), "else nothing of this means anything");
    for (at, value, rule) in [
        (24, 0xb, "has the flags 0xb, not those of a little-endian kernel with 4 KiB pages"),
        (24, 0xe, "has the flags 0xe"),
        (8, text_offset ^ 0x1000, "puts the kernel 0x1000 bytes beside where it was packed for"),
        (8, text_offset + 0x20_0000, "beside where it was packed for"),
        (16, 0, "asks for 0x0 bytes of RAM"),
        (16, image_size - 1, "no multiple of 0x1000"),
        (16, 0x1000, "or less than the file's"),
        (16, image_size - 0x1000, "where kexec-tools put their device tree"),
    ] {
        let mut wrong = built.file.clone();
        wrong[at..at + 8].copy_from_slice(&value.to_le_bytes());
        stoop_image::shim_image::close(&mut wrong);
        let failure = Loadable::of(&wrong).unwrap_err();
        assert!(failure.to_string().contains(rule), "{failure}");
        assert_eq!(failure.next_step().as_deref(), Some("pack it again with --format image by this version of stoop"));
    }
    let uimage = packed(&Request { format: Some(Format::Uimage), ..bench.arm64() }).1.file;
    let failure = Loadable::of(&uimage).unwrap_err();
    assert!(failure.to_string().contains("kexec on arm64 takes an arm64 Image"), "{failure}");
    assert_eq!(failure.next_step().as_deref(), Some("pack it with --format image"));
    let mut damaged = built.file.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert!(Loadable::of(&damaged).unwrap_err().to_string().contains("the image is damaged"));
}

#[test]
fn what_kexec_cannot_load_is_refused_with_the_rule() {
    let bench = Bench::new();
    let refused = |file: &[u8]| Loadable::of(file).unwrap_err();
    let uimage = packed(&bench.full()).1.file;
    assert!(refused(&uimage).to_string().contains("load only ELF"), "{}", refused(&uimage));
    assert_eq!(refused(&uimage).next_step().as_deref(), Some("pack it with --format elf"));
    let good = elf(bench.full());
    let mut damaged = good.clone();
    let last = damaged.len() - 0x2000;
    damaged[last] ^= 1;
    assert!(refused(&damaged).to_string().contains("the image is damaged"), "{}", refused(&damaged));
    let no_tree = elf(Request { bootloader_dtb: true, ..bench.full() });
    assert!(refused(&no_tree).to_string().contains("entered without arguments"), "{}", refused(&no_tree));
    // The second word of the first program header's memory size (ELF header of 52 bytes, p_memsz at 20), little endian.
    let mut touching = good.clone();
    touching[52 + 20..52 + 24].copy_from_slice(&0x100_0000u32.to_le_bytes());
    assert!(refused(&touching).to_string().contains("must not share a page"), "{}", refused(&touching));
    // Its physical address, at 12.
    let mut askew = good.clone();
    askew[52 + 12] ^= 0x10;
    assert!(Loadable::of(&askew).is_err());
    assert!(Loadable::of(&good).is_ok(), "else nothing of this means anything");
}

#[test]
fn the_script_is_posix_shell_with_the_images_numbers() {
    let bench = Bench::new();
    let request = Request { append: Some("root=/dev/it's".into()), ..bench.full() };
    let file = elf(request);
    let script = Loadable::of(&file).unwrap().script("router image$(reboot).sh");
    assert!(!script.contains('@'), "a value was not filled in");
    assert!(script.contains("sh router_image__reboot_.sh [-n]"), "{script}");
    assert!(script.contains(&format!("[ \"$((size))\" -eq {} ]", file.len())));
    assert!(script.contains("root='/dev/it'\\''s'\n"));
    let arm64 = Loadable::of(&packed(&bench.arm64()).1.file).unwrap().script("image.sh");
    assert!(!arm64.contains('@'), "a value was not filled in");
    for script in [script, arm64] {
        let mut sh = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        sh.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(sh.wait().unwrap().success());
    }
}

#[test]
fn stoop_kexec_writes_the_script_or_nothing() {
    let bench = Bench::new();
    bench.put("image.elf", &elf(bench.full()));
    bench.put("image.bin", &packed(&bench.full()).1.file);
    let printed = bench.stoop(&["kexec", "image.elf"]);
    assert!(printed.status.success() && printed.stdout.starts_with(b"#!/bin/sh\n"));
    let written = bench.stoop(&["kexec", "image.elf", "-o", "next.sh"]);
    let said = String::from_utf8(written.stdout).unwrap();
    assert!(said.ends_with("  sh next.sh -n image.elf\n  sh next.sh image.elf\n"), "{said}");
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert_eq!(
        std::fs::read_to_string(bench.path("next.sh")).unwrap(),
        printed.replace("sh image.elf.sh ", "sh next.sh ")
    );
    let refused = bench.stoop(&["kexec", "image.bin", "-o", "other.sh"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(!bench.files().contains(&"other.sh".into()));
}
