//! The exports of a vmlinux: absolute tables of MIPS in both byte orders, relative tables of arm64.

use stoop_image::Explained as _;
use stoop_kernel::modules::ko::Target;
use stoop_kernel::modules::symbols::Kernel;

const BASE: u64 = 0x8010_0000;

/// One export: name, namespace, GPL-only, CRC.
type Export = (&'static str, &'static str, bool, u32);

const EXPORTS: [Export; 3] =
    [("printk", "", false, 0x1234_5678), ("zeta", "SPACE", false, 0xffff_fffe), ("alpha", "", true, 3)];

/// A vmlinux with one PT_LOAD at [`BASE`] that begins at file offset 0x1000.
fn vmlinux(is_64: bool, is_big: bool, with_vermagic: bool) -> Vec<u8> {
    let number = |value: u64, length: usize| {
        let big = value.to_be_bytes();
        let mut bytes = big[8 - length..].to_vec();
        if !is_big {
            bytes.reverse();
        }
        bytes
    };
    let word = if is_64 { 8 } else { 4 };
    let mut image = vec![0u8; 16];
    let mut text = |text: &str| {
        let at = BASE + image.len() as u64;
        image.extend(text.as_bytes());
        image.push(0);
        at
    };
    let names: Vec<(u64, u64)> =
        EXPORTS.iter().map(|(name, space, ..)| (text(name), if space.is_empty() { 0 } else { text(space) })).collect();
    if with_vermagic {
        text("6.12.0 SMP mod_unload modversions MIPS32_R2 32BIT ");
    }
    image.resize(image.len().next_multiple_of(16), 0);
    // Name of section, its offset in the image, its size.
    let mut sections: Vec<(&str, u64, u64)> = Vec::new();
    for (table, crcs, gpl) in [("__ksymtab", "__kcrctab", false), ("__ksymtab_gpl", "__kcrctab_gpl", true)] {
        let start = image.len() as u64;
        for ((_, _, is_gpl, _), (name, space)) in EXPORTS.iter().zip(&names) {
            if *is_gpl != gpl {
                continue;
            }
            for field in [BASE, *name, *space] {
                let at = BASE + image.len() as u64;
                // arm64 (the 64-bit little-endian kernel here) has offsets of 32 bits.
                if is_64 {
                    let relative = if field == 0 { 0 } else { field.wrapping_sub(at) & 0xffff_ffff };
                    image.extend(number(relative, 4));
                } else {
                    image.extend(number(field, 4));
                }
            }
        }
        sections.push((table, start, image.len() as u64 - start));
        let start = image.len() as u64;
        for (.., crc) in EXPORTS.iter().filter(|(_, _, is_gpl, _)| *is_gpl == gpl) {
            image.extend(number(u64::from(*crc), 4));
        }
        sections.push((crcs, start, image.len() as u64 - start));
        image.resize(image.len().next_multiple_of(16), 0);
    }
    let mut names_of_sections = vec![0u8];
    let name_offsets: Vec<u64> = sections
        .iter()
        .map(|(name, ..)| *name)
        .chain([".shstrtab"])
        .map(|name| {
            let at = names_of_sections.len() as u64;
            names_of_sections.extend(name.as_bytes());
            names_of_sections.push(0);
            at
        })
        .collect();
    let strings_at = 0x1000 + image.len() as u64;
    let table_at = (strings_at + names_of_sections.len() as u64).next_multiple_of(16);
    let mut file = vec![0x7f, b'E', b'L', b'F', if is_64 { 2 } else { 1 }, if is_big { 2 } else { 1 }, 1];
    file.resize(16, 0);
    let (header, program, section) = if is_64 { (64, 56, 64) } else { (52, 32, 40) };
    let machine = if is_64 { 183 } else { 8 };
    for (value, length) in [
        (2, 2),
        (machine, 2),
        (1, 4),
        (BASE, word),
        (header, word),
        (table_at, word),
        (0, 4),
        (header, 2),
        (program, 2),
        (1, 2),
        (section, 2),
        (sections.len() as u64 + 2, 2),
        (sections.len() as u64 + 1, 2),
    ] {
        file.extend(number(value, length));
    }
    let size = image.len() as u64;
    let program_header: Vec<(u64, usize)> = if is_64 {
        vec![(1, 4), (7, 4), (0x1000, 8), (BASE, 8), (BASE, 8), (size, 8), (size, 8), (0x1000, 8)]
    } else {
        vec![(1, 4), (0x1000, 4), (BASE, 4), (BASE, 4), (size, 4), (size, 4), (7, 4), (0x1000, 4)]
    };
    file.extend(program_header.iter().flat_map(|(value, length)| number(*value, *length)));
    file.resize(0x1000, 0);
    file.extend(&image);
    file.extend(&names_of_sections);
    file.resize(table_at as usize + section as usize, 0);
    let mut header_of = |name: u64, kind: u64, flags: u64, address: u64, offset: u64, size: u64| {
        for (value, length) in [
            (name, 4),
            (kind, 4),
            (flags, word),
            (address, word),
            (offset, word),
            (size, word),
            (0, 4),
            (0, 4),
            (4, word),
            (0, word),
        ] {
            file.extend(number(value, length));
        }
    };
    for ((_, start, size), name) in sections.iter().zip(&name_offsets) {
        header_of(*name, 1, 2, BASE + start, 0x1000 + start, *size);
    }
    header_of(*name_offsets.last().unwrap(), 3, 0, 0, strings_at, names_of_sections.len() as u64);
    file
}

fn read(bytes: &[u8]) -> stoop_kernel::Result<Kernel> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vmlinux");
    std::fs::write(&path, bytes).unwrap();
    Kernel::from_vmlinux(&path)
}

#[test]
fn the_tables_of_every_kind_of_kernel_give_the_same_exports() {
    for (is_64, is_big) in [(false, true), (false, false), (true, false)] {
        let kernel = read(&vmlinux(is_64, is_big, true)).unwrap();
        assert_eq!(kernel.symbols.len(), EXPORTS.len());
        for (name, space, gpl_only, crc) in EXPORTS {
            let symbol = &kernel.symbols[name];
            assert_eq!(
                (symbol.namespace.as_str(), symbol.gpl_only, symbol.crc),
                (space, gpl_only, Some(crc)),
                "{name}"
            );
        }
        assert!(kernel.has_crcs);
        assert_eq!(kernel.vermagic.as_deref(), Some("6.12.0 SMP mod_unload modversions MIPS32_R2 32BIT "));
        assert_eq!(kernel.target, Some(Target { machine: if is_64 { 183 } else { 8 }, is_64, is_big }));
    }
}

#[test]
fn a_kernel_without_a_vermagic_text_has_none() {
    assert_eq!(read(&vmlinux(false, true, false)).unwrap().vermagic, None);
}

#[test]
fn no_cut_of_a_vmlinux_is_taken_for_a_whole_one() {
    let whole = vmlinux(false, true, true);
    for length in (0..whole.len()).step_by(37) {
        let told = read(&whole[..length]).expect_err("a part was accepted");
        assert!(told.next_step().is_some(), "{told}");
    }
    assert!(read(b"not a kernel").unwrap_err().to_string().contains("not an ELF file"));
}
