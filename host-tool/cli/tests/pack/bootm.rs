//! What U-Boot's bootm does not start as a kernel: `check` says no, `pack` does not take it for one.

use crate::bench::{Bench, CONFIG, text};
use crate::kernels::uimage;
use crate::refusals::{has, refused};

const MAGIC: u32 = 0x2705_1956;
const LOAD: u32 = 0x8010_0000;

/// So many bytes that are little-endian MIPS code.
fn code() -> Vec<u8> {
    [0x1000_ffffu32, 0, 0x27bd_ffe0, 0x03e0_0008].map(u32::to_le_bytes).concat().repeat(0x100)
}

/// The file with these bytes of its header changed, and the header's CRC-32 over them.
fn changed(mut file: Vec<u8>, changes: &[(usize, u8)]) -> Vec<u8> {
    changes.iter().for_each(|(at, value)| file[*at] = *value);
    file[4..8].fill(0);
    let sum = stoop_core::crc32::Crc32::new().of(&file[..64]);
    file[4..8].copy_from_slice(&sum.to_be_bytes());
    file
}

/// Of operating system 5 and this type.
fn kernel(kind: u8, data: &[u8]) -> Vec<u8> {
    uimage(MAGIC, kind, LOAD, LOAD, data)
}

/// What `check` says of the file on a board, and its exit code.
fn checked(bench: &Bench, board: &str, file: &[u8]) -> (Option<i32>, String) {
    bench.put("u", file);
    let output = bench.stoop(&["check", "u", "--board", board]);
    (output.status.code(), text(&output))
}

fn bench() -> Bench {
    let bench = Bench::new();
    bench.put("config", CONFIG.as_bytes());
    bench
}

#[test]
fn what_bootm_does_not_start_as_a_kernel_is_told_by_check_and_refused_by_pack() {
    let bench = bench();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).unwrap();
        encoder.finish().unwrap()
    };
    let words = |sizes: &[u32]| sizes.iter().flat_map(|size| size.to_be_bytes()).collect::<Vec<_>>();
    for (file, check, pack) in [
        (kernel(1, &code()), "a standalone program", "a standalone program"),
        (kernel(3, &code()), "a ramdisk", "a ramdisk"),
        (kernel(5, &code()), "firmware", "firmware"),
        (kernel(6, &code()), "a U-Boot script", "a U-Boot script"),
        (kernel(7, &code()), "a filesystem", "a filesystem"),
        (kernel(0, &code()), "no kernel", "no kernel"),
        (changed(kernel(2, &code()), &[(28, 2)]), "operating system 2 ", "operating system 2 "),
        (changed(kernel(2, &code()), &[(28, 17)]), "operating system 17 ", "operating system 17 "),
        (kernel(2, b""), "holds nothing", "holds nothing"),
        (kernel(2, &gzip(&code())), "gzip data", "gzip data"),
        (kernel(2, &kernel(2, &code())), "a uImage inside a uImage", "a uImage inside a uImage"),
        (kernel(4, &words(&[0])), "it lists no file", "multi-file"),
        (kernel(4, &[words(&[0x1000, 0x2000, 0]), code()].concat()), "it promises 0x3000 bytes", "multi-file"),
    ] {
        let (exit, said) = checked(&bench, "qemu-malta-le", &file);
        assert!(exit == Some(1) && said.contains("no      containers") && said.contains(check), "{check}: {said}");
        let said = refused(&bench, 1, &["--board", "qemu-malta-le", "--kernel", "u", "--config", "config"]);
        has(&said, &[pack]);
    }
}

#[test]
fn bootm_jumps_into_an_elf_file_and_pack_takes_it_apart() {
    let bench = bench();
    let file = kernel(2, &crate::bench::Kernel::new(false).elf());
    let (exit, said) = checked(&bench, "qemu-malta-le", &file);
    assert!(exit == Some(1) && said.contains("an ELF file inside a uImage"), "{said}");
    bench.good(&["pack", "--board", "qemu-malta-le", "--kernel", "u", "-o", "image"]);
}

#[test]
fn the_first_file_of_several_is_the_kernel() {
    let bench = bench();
    let table = [code().len() as u32, 4, 0].map(u32::to_be_bytes).concat();
    let (exit, said) = checked(&bench, "qemu-malta-le", &kernel(4, &[table, code(), b"tree".to_vec()].concat()));
    assert!(exit == Some(0) && said.contains("loaded to [0x00100000, 0x00101000)"), "{said}");
}

#[test]
fn an_address_outside_of_kseg0_is_no_damage() {
    let bench = bench();
    for (load, entry, says) in [
        (0x10_0000, 0x10_0000, "load address 0x00100000"),
        (0, 0, "load address 0x00000000"),
        (LOAD, 0x10_0000, "entry point 0x00100000"),
        (0xc000_0000, 0xc000_0000, "load address 0xc0000000"),
    ] {
        let (exit, said) = checked(&bench, "qemu-malta-le", &uimage(MAGIC, 2, load, entry, &code()));
        assert!(exit == Some(1) && said.contains("every one holds: CRC-32"), "{said}");
        assert!(said.contains(&format!("its {says} is not in KSEG0")), "{said}");
    }
    let mut damaged = uimage(MAGIC, 2, 0, 0, &code());
    damaged[40] ^= 1;
    assert!(checked(&bench, "qemu-malta-le", &damaged).1.contains("the uImage header's CRC-32 does not match"));
}

#[test]
fn kernel_noload_runs_where_it_is_put() {
    let bench = bench();
    let (exit, said) = checked(&bench, "qemu-malta-le", &uimage(MAGIC, 14, 0, 0, &code()));
    assert!(exit == Some(0) && said.contains("it runs where it is fetched to"), "{said}");
    bench.arm64();
    let image = std::fs::read(bench.path("Image")).unwrap();
    let file = changed(uimage(MAGIC, 14, 0, 0, &image), &[(29, 22)]);
    let (exit, said) = checked(&bench, "qemu-virt-arm64", &file);
    assert!(exit == Some(0) && said.contains("it runs where it is fetched to"), "{said}");
}
