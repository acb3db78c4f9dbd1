//! Every form of kernel, whole and broken, made of a few instructions.
use crate::Explained as _;
use std::io::Write;

use super::super::deb::tests::package;
use super::super::testing::{Elf, Fit, Segment, UImage, kernel_entry, words, zboot_start};
use super::*;
use crate::format::codec::tests::encode;
use crate::progress::Quiet;

const BANNER: &[u8] = b"\nLinux version 6.12.1-test (a@b) (gcc) #1 SMP\0Linux version %s\0";

fn read_with(bytes: &[u8], overrides: Overrides) -> Result<Kernel> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Kernel::read(file.path(), overrides, &mut Quiet)
}

fn read(bytes: &[u8]) -> Result<Kernel> {
    read_with(bytes, Overrides::default())
}

fn refusal(bytes: &[u8]) -> crate::Error {
    let failure = read(bytes).unwrap_err();
    assert!(failure.next_step().is_some(), "{failure}");
    failure
}

fn ikconfig(text: &str) -> Vec<u8> {
    [b"IKCFG_ST", &gzip(text.as_bytes())[..], b"IKCFG_ED"].concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    encode(Codec::Gzip, bytes)
}

#[test]
fn a_vmlinux_tells_version_configuration_and_size() {
    for big_endian in [false, true] {
        let elf = Elf::kernel(big_endian, &[BANNER, &ikconfig("CONFIG_MTD=y\n")].concat());
        let kernel = read(&elf.write()).unwrap();
        assert_eq!(kernel.form, Form::Vmlinux);
        assert_eq!(kernel.version.as_deref(), Some("6.12.1-test"));
        assert!(kernel.config.unwrap().is_yes("MTD"));
        assert_eq!(kernel.memory_size, u64::from(elf.segments[0].memory));
        assert!(kernel.memory_exact && kernel.relocation.is_none() && kernel.notes.is_empty());
    }
}

#[test]
fn a_compressed_elf_is_the_same_kernel() {
    let elf = Elf::kernel(true, BANNER).write();
    let kernel = read(&gzip(&elf)).unwrap();
    assert_eq!(kernel.image, read(&elf).unwrap().image);
    assert_eq!(kernel.form.to_string(), "vmlinux, gzip");
    assert!(refusal(&gzip(&gzip(&elf))).to_string().contains("twice"));
}

#[test]
fn a_flat_binary_tells_its_bss_when_its_addresses_are_given() {
    let elf = Elf::kernel(true, BANNER);
    let flat = &elf.segments[0].bytes;
    assert!(refusal(flat).next_step().unwrap().contains("--load-address"));
    for load in [0x8010_0000, 0xa010_0000, 0x10_0000, 0xffff_ffff_8010_0000] {
        let kernel = read_with(flat, Overrides { load_address: Some(load), ..Overrides::default() }).unwrap();
        assert_eq!((kernel.arch, kernel.load_address, kernel.entry_point), (Machine::MipsBe, 0x10_0000, 0x10_0000));
        assert_eq!((kernel.memory_size, kernel.memory_exact), (u64::from(elf.segments[0].memory), true));
    }
}

#[test]
fn a_flat_binary_with_wrong_addresses_is_refused() {
    let flat = &Elf::kernel(true, BANNER).segments[0].bytes;
    let with = |load_address, entry_point| {
        read_with(flat, Overrides { load_address: Some(load_address), entry_point, config: None }).unwrap_err()
    };
    assert!(with(0xc000_0000, None).to_string().contains("not in KSEG0"));
    assert!(with(0x9fff_fff0, None).to_string().contains("not in KSEG0"));
    assert!(with(0x8010_0000, Some(0x8020_0000)).to_string().contains("0x80200000"));
    assert_eq!(with(0x8010_0000, Some(0x8010_0002)).exit_code(), 2);
    // Entered in the middle nothing tells the bss.
    let overrides = Overrides { load_address: Some(0x8010_0000), entry_point: Some(0x8010_0044), config: None };
    let kernel = read_with(flat, overrides).unwrap();
    assert!(!kernel.memory_exact && kernel.notes[0].contains("bss"), "{:?}", kernel.notes);
    // A bss that would end inside the image is none.
    let mut odd = words(&kernel_entry(0x8010_0004, 0x8010_0010), true);
    odd.resize(0x100, 0);
    let overrides = Overrides { load_address: Some(0x8010_0000), ..Overrides::default() };
    let kernel = read_with(&odd, overrides).unwrap();
    assert_eq!((kernel.memory_size, kernel.memory_exact), (0x100, false));
    // Data instead of code.
    let noise = read_with(&[0x55; 4096], Overrides { load_address: Some(0x8010_0000), ..Overrides::default() });
    assert!(noise.unwrap_err().to_string().contains("no MIPS code"));
}

#[test]
fn an_elf_refuses_addresses_of_its_own() {
    let overrides = Overrides { load_address: Some(0x8010_0000), ..Overrides::default() };
    assert_eq!(read_with(&Elf::kernel(true, BANNER).write(), overrides).unwrap_err().exit_code(), 2);
}

#[test]
fn a_uimage_gives_its_addresses_in_every_compression() {
    let elf = Elf::kernel(true, BANNER);
    let flat = &elf.segments[0].bytes;
    let packed =
        [(1, Codec::Gzip), (2, Codec::Bzip2), (4, Codec::Lzo)].map(|(number, codec)| (number, encode(codec, flat)));
    for (codec, data) in [(0, flat.clone())].into_iter().chain(packed) {
        let kernel = read(&UImage { codec, ..UImage::kernel(0x8010_0000) }.write(&data)).unwrap();
        assert_eq!(kernel.form, Form::UImage(Box::new(Form::Flat)));
        assert_eq!((&kernel.image, kernel.load_address), (flat, 0x10_0000));
        assert_eq!(kernel.memory_size, u64::from(elf.segments[0].memory));
    }
    let damaged = UImage { codec: 1, ..UImage::kernel(0x8010_0000) }.write(&gzip(flat)[..20]);
    assert!(refusal(&damaged).to_string().contains("damaged or cut off"));
    let elsewhere = UImage { entry: 0x9000_0000, ..UImage::kernel(0x8010_0000) }.write(flat);
    assert_eq!(refusal(&elsewhere).exit_code(), 1);
}

#[test]
fn a_fit_gives_its_kernels_addresses_in_every_compression() {
    let elf = Elf::kernel(true, BANNER);
    let flat = &elf.segments[0].bytes;
    for (compression, data) in [("none", flat.clone()), ("gzip", gzip(flat))] {
        let kernel = read(&Fit { compression, ..Fit::default() }.write(&data)).unwrap();
        assert_eq!(kernel.form, Form::Fit(Box::new(Form::Flat)));
        assert_eq!((&kernel.image, kernel.load_address), (flat, 0x10_0000));
        assert_eq!(kernel.memory_size, u64::from(elf.segments[0].memory));
    }
    let damaged = Fit { compression: "gzip", ..Fit::default() }.write(&gzip(flat)[..20]);
    assert!(refusal(&damaged).to_string().contains("damaged or cut off"));
    let elsewhere = Fit { entry: 0x9000_0000, ..Fit::default() }.write(flat);
    assert_eq!(refusal(&elsewhere).exit_code(), 1);
}

/// A vmlinuz whose kernel has `config`; returns it with the size of that kernel in memory.
fn vmlinuz(big_endian: bool, tail: &[u8]) -> (Elf<'static>, u64) {
    let inner = Elf::kernel(big_endian, &[BANNER, tail].concat()).segments.remove(0);
    let load = 0x8010_0000 + (inner.bytes.len() as u32 / 0x1_0000 + 1) * 0x1_0000;
    let mut bytes = words(&zboot_start(0, 0x40_0000, 0x8010_0000), big_endian);
    // What a decompressor's own tables look like.
    bytes.extend_from_slice(&[0xfd, b'7', b'z', b'X', b'Z', 0, 0, 0, 0x1f, 0x8b, 8, 0]);
    bytes.extend(gzip(b"a stream that is no kernel"));
    bytes.extend(gzip(&inner.bytes));
    bytes.extend((inner.bytes.len() as u32).to_le_bytes());
    bytes.resize(bytes.len().next_multiple_of(16), 0);
    let start = words(&zboot_start(load + bytes.len() as u32, load + 0x50_0000, 0x8010_0000), big_endian);
    bytes[..start.len()].copy_from_slice(&start);
    let segments = vec![Segment { address: load, bytes, memory: 0x50_0000 }];
    (Elf { big_endian, entry: load, segments, ..Elf::default() }, inner.memory.into())
}

#[test]
fn a_vmlinuz_tells_where_its_kernel_goes() {
    for big_endian in [false, true] {
        let (elf, memory) = vmlinuz(big_endian, &ikconfig("CONFIG_MTD=y\n"));
        let kernel = read(&elf.write()).unwrap();
        assert_eq!((kernel.form, kernel.memory_size), (Form::Vmlinuz, 0x50_0000));
        assert_eq!(
            kernel.decompresses_to,
            Some(Inner {
                region: 0x10_0000..0x10_0000 + memory,
                exact: true,
                entry_point: 0x10_0000,
                codec: Codec::Gzip
            })
        );
        assert_eq!(kernel.version.as_deref(), Some("6.12.1-test"));
        assert!(kernel.config.unwrap().is_yes("MTD"));
    }
}

#[test]
fn a_flat_vmlinuz_tells_its_heap() {
    let (elf, _) = vmlinuz(true, b"");
    let load = elf.segments[0].address;
    let kernel = read(&UImage::kernel(load).write(&elf.segments[0].bytes)).unwrap();
    assert_eq!(kernel.form.to_string(), "vmlinuz in a uImage");
    assert_eq!((kernel.memory_size, kernel.memory_exact), (0x50_0000, true));
    assert!(kernel.decompresses_to.is_some());
}

#[test]
fn a_vmlinuz_with_a_damaged_payload_says_what_is_unknown() {
    let (mut elf, _) = vmlinuz(true, b"");
    let bytes = &mut elf.segments[0].bytes;
    let at = bytes.len() - 200;
    bytes[at..].fill(0xa5);
    let kernel = read(&elf.write()).unwrap();
    assert_eq!((kernel.form, kernel.decompresses_to), (Form::Vmlinuz, None));
    assert!(kernel.notes[0].contains("not found"), "{:?}", kernel.notes);
}

#[test]
fn a_package_gives_kernel_and_configuration() {
    let elf = Elf::kernel(false, BANNER).write();
    let files: &[(&str, &[u8])] = &[("./boot/config-6.12", b"CONFIG_RELOCATABLE=y\n"), ("./boot/vmlinux-6.12", &elf)];
    let kernel = read(&package(files, ".xz")).unwrap();
    assert_eq!(kernel.form.to_string(), "vmlinux in a Debian package");
    assert_eq!(kernel.config.unwrap().source(), "boot/config-6.12 of the package");
    assert_eq!(kernel.relocation.unwrap().region.start, 0x100_0000);
}

#[test]
fn a_configuration_that_contradicts_the_kernel_is_refused() {
    let elf = Elf::kernel(false, BANNER).write();
    let with = |text: &'static [u8]| refusal(&package(&[("./boot/config-6", text), ("./boot/vmlinux-6", &elf)], ""));
    assert!(with(b"CONFIG_64BIT=y\n").to_string().contains("64-bit"));
    assert!(with(b"CONFIG_ARM64=y\nCONFIG_64BIT=y\n").to_string().contains("says otherwise"));
    assert!(with(b"CONFIG_CPU_MIPSR6=y\n").to_string().contains("MIPS release 6"));
    assert!(with(b"CONFIG_CPU_BIG_ENDIAN=y\n").to_string().contains("says otherwise"));
}

#[test]
fn the_appended_slot_is_where_the_symbol_says() {
    let mut elf = Elf::kernel(true, BANNER);
    elf.symbols = vec![("__appended_dtb", 0x8012_3450)];
    assert_eq!(read(&elf.write()).unwrap().appended_dtb, Some((0x12_3450, 0x10_0000)));
    assert_eq!(read(&Elf::kernel(true, BANNER).write()).unwrap().appended_dtb, None);
    // Stripped, but the configuration is known: behind the file-backed part.
    let elf = Elf::kernel(true, &ikconfig("CONFIG_MIPS_RAW_APPENDED_DTB=y\n"));
    let kernel = read(&elf.write()).unwrap();
    assert_eq!(kernel.appended_dtb, Some((0x10_0000 + kernel.image.len() as u64, 0x10_0000)));
}

#[test]
fn other_files_are_named_and_pointed_to_their_option() {
    assert!(refusal(b"hsqs....").next_step().unwrap().contains("--rootfs"));
    assert!(refusal(b"\xd0\x0d\xfe\xed....").next_step().unwrap().contains("--dtb"));
    let fit = Fit::default().write(b"kernel");
    assert!(refusal(&fit[..fit.len() - 1]).to_string().contains("the FIT is"));
    assert!(refusal(b"MZ\0\0zimg....").to_string().contains("EFI zboot"));
    let mut arm64 = vec![0; 64];
    arm64[56..60].copy_from_slice(b"ARM\x64");
    assert!(refusal(&arm64).to_string().contains("arm64 Image"));
    assert!(refusal(&gzip(&arm64)).to_string().contains("arm64 Image"));
    assert!(refusal(b"#!/bin/sh\n").to_string().contains("text"));
    assert!(refusal(b"!<arch>\n").to_string().contains("without data.tar"));
}

#[test]
fn the_bss_of_a_kernel_is_read_over_the_jump_at_its_front() {
    let mut program = vec![0x0804_0120, 0];
    program.resize(0x120, 0);
    program.extend(kernel_entry(0x8010_1000, 0x8010_2000));
    let kernel =
        read_with(&words(&program, false), Overrides { load_address: Some(0x8010_0000), ..Overrides::default() })
            .unwrap();
    assert_eq!((kernel.memory_size, kernel.entry_point), (0x2000, 0x10_0000));
}

/// Files of every form, small enough to be damaged thousands of times.
fn corpus() -> Vec<Vec<u8>> {
    let elf = Elf::kernel(false, &[BANNER, &ikconfig("CONFIG_RELOCATABLE=y\n")].concat());
    let vmlinuz = vmlinuz(true, b"").0.write();
    let packed = UImage { codec: 1, ..UImage::kernel(0x8010_0000) }.write(&gzip(&elf.segments[0].bytes));
    let deb = package(&[("./boot/config-6", b"CONFIG_MTD=y\n"), ("./boot/vmlinuz-6", &vmlinuz)], ".gz");
    vec![elf.write(), vmlinuz, packed, deb, elf.segments[0].bytes.clone()]
}

proptest::proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 400, ..Default::default() })]

    /// Whatever is damaged, the answer is a kernel that fits KSEG0 or a failure with a next step, and never a panic.
    #[test]
    fn damaged_files_never_panic(
        which in 0usize..5,
        damage in proptest::collection::vec((proptest::num::u32::ANY, proptest::num::u8::ANY), 0..4),
        cut in proptest::option::weighted(0.3, proptest::num::u32::ANY),
    ) {
        let mut bytes = corpus().swap_remove(which);
        for (at, value) in damage {
            // Mostly in the front, where the headers are.
            let range = if at % 3 == 0 { bytes.len() } else { bytes.len().min(128) };
            bytes[at as usize / 3 % range] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(1 + cut as usize % bytes.len());
        }
        let load_address = (which == 4).then_some(0x8010_0000);
        match read_with(&bytes, Overrides { load_address, ..Overrides::default() }) {
            Ok(kernel) => {
                let end = kernel.load_address + kernel.image.len() as u64;
                assert!(end <= KSEG_SIZE as u64 && kernel.memory_size >= kernel.image.len() as u64);
                assert!((kernel.load_address..end).contains(&kernel.entry_point));
            }
            Err(failure) => assert!(failure.next_step().is_some(), "{failure}"),
        }
    }
}
