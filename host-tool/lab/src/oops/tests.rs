//! What is said beside oopses. The texts are those of kernels in QEMU, shortened; the symbols are these kernels' own, those that
//! the texts need.

use std::path::Path;

use super::*;
use crate::Explained;

fn decoder(file: &[u8]) -> crate::Result<Decoder> {
    Symbols::of(Path::new("vmlinux"), file).map(Decoder::new)
}

/// The notes for every line that has one.
fn explained(symbols: &str, console: &str) -> Vec<String> {
    let mut decoder = decoder(symbols.as_bytes()).unwrap();
    let mut said = Vec::new();
    for line in console.lines() {
        let Notes { beside, below } = decoder.line(line);
        said.extend(beside.map(|text| format!("{} = {text}", line.trim())));
        said.extend(below);
    }
    said
}

const MIPS: &str =
    "80100000 T _text\n80100400 T first\n80100500 t second\n80100600 T third\n80100700 D data\n80100800 T last\n";

#[test]
fn mips_addresses_without_names_become_functions() {
    let console = "\
[    2.842750] CPU 0 Unable to handle kernel paging request at virtual address 00000000, epc == 80100404, ra == 80100510\n\
[    2.843199] $ 0   : 00000000 80100404 00000001 80100510\n\
[    2.843200] epc   : 80100404 0x80100404\n\
[    2.843201] ra    : 80100510 0x80100510\n\
[    2.843202] Call Trace:[<80100404>] 0x80100404\n\
[    2.843203] [<80100510>] 0x80100510\n\
[    2.843203] [<7f000000>] 0x7f000000\n\
[    2.843204] \n\
[    2.843205] [<80100510>] is no trace any more\n";
    assert_eq!(
        explained(MIPS, console),
        [
            "[    2.842750] CPU 0 Unable to handle kernel paging request at virtual address 00000000, epc == 80100404, \
             ra == 80100510 = first+0x4/0x100; second+0x10/0x100",
            "[    2.843200] epc   : 80100404 0x80100404 = first+0x4/0x100",
            "[    2.843201] ra    : 80100510 0x80100510 = second+0x10/0x100",
            "[    2.843202] Call Trace:[<80100404>] 0x80100404 = first+0x4/0x100",
            "[    2.843203] [<80100510>] 0x80100510 = second+0x10/0x100",
        ]
    );
}

const ARM64: &str = "ffffffc080000000 T _text\nffffffc080010000 T copy\nffffffc080010230 T write_mem\n\
ffffffc080010400 T vfs_write\nffffffc080010600 T end\n";

#[test]
fn arm64_addresses_are_found_again_when_the_kernel_says_by_how_much_it_moved() {
    let console = "\
[    1.493631] pc : ffffffe6850100d0\n\
[    1.493959] lr : ffffffe6850102b8\n\
[    1.494230] x26: 0000008000000000 x25: ffffffe6852c1000 x24: 0000000000001000\n\
[    1.499432] Call trace:\n\
[    1.499531]  0xffffffe6850100d0\n\
[    1.499706]  0xffffffe685010488\n\
[    1.500283] Code: f80084c3 36100082 b8400823 91001021 (b80044c3)\n\
[    1.500889] Kernel Offset: 0x2605000000 from 0xffffffc080000000\n";
    assert_eq!(
        explained(ARM64, console),
        [
            "0xffffffe6850100d0 = copy+0xd0/0x230",
            "0xffffffe6850102b8 = write_mem+0x88/0x1d0",
            "0xffffffe685010488 = vfs_write+0x88/0x200",
        ]
    );
    let fixed = console.replace("ffffffe685", "ffffffc080").replace("0x2605000000 from", "disabled");
    assert_eq!(explained(ARM64, &fixed).len(), 4);
}

#[test]
fn a_kernel_that_says_the_names_itself_is_believed_and_compared() {
    let console = "pc : copy+0xd0/0x230\nlr : write_mem+0x88/0x1d0\nCall trace:\n copy+0xd0/0x230 (P)\n \
                   helper+0x4/0x10 [module 0123]\n vfs_write+0x88/0x200\n";
    assert_eq!(explained(ARM64, console), Vec::<String>::new());
    let other = explained(ARM64, &console.replace("0x200", "0x208").replace("0x230", "0x238"));
    assert_eq!(other.len(), 1, "it is said once: {other:?}");
    assert!(other[0].starts_with("this kernel has copy+0xd0/0x238, and "), "{other:?}");
}

#[test]
fn what_only_looks_like_an_oops_is_left_alone() {
    let console = "epc\nra : none\npc: \n[<>]\n[<80100404]\nCall Trace\nCall Trace:\nhello\n[<80100404>]\nlr : zz\n\
                   Kernel Offset: disabled\nKernel Offset: 0xffffffffffffffffff from 0x0\nepc == 8010040\n";
    assert_eq!(explained(MIPS, console), Vec::<String>::new());
}

#[test]
fn a_file_without_functions_is_refused_with_what_to_give_instead() {
    for bytes in
        [&b""[..], b"0000000000000000 D data\n", b"\x7fELF", b"ffffffffffffffff B The real System.map is elsewhere\n"]
    {
        let error = decoder(bytes).err().unwrap();
        assert_eq!((error.code(), error.exit_code()), ("L050", 1), "{error}");
        assert!(error.next_step().unwrap().contains("vmlinux"));
    }
}

/// An ELF with one function and the banner of a kernel.
fn elf(banner: &str) -> Vec<u8> {
    use object::write::{Object, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope};
    let mut elf = Object::new(BinaryFormat::Elf, Architecture::Mips, Endianness::Big);
    let text = elf.add_section(Vec::new(), b".text".to_vec(), SectionKind::Text);
    let data = elf.add_section(Vec::new(), b".rodata".to_vec(), SectionKind::ReadOnlyData);
    elf.append_section_data(text, &[0; 64], 4);
    elf.append_section_data(data, format!("\0\0\0\0{banner}\n\0").as_bytes(), 4);
    for (name, kind, section, value) in [
        ("start", SymbolKind::Text, text, 0),
        ("$d", SymbolKind::Text, text, 4),
        ("linux_banner", SymbolKind::Data, data, 4),
    ] {
        elf.add_symbol(Symbol {
            name: name.into(),
            value,
            size: 0,
            kind,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    elf.write().unwrap()
}

#[test]
fn a_kernel_that_starts_is_compared_with_the_file() {
    let banner = "Linux version 6.12.117 (lab) (gcc) #1 Thu";
    let file = elf(banner);
    let mut decoder = decoder(&file).unwrap();
    assert_eq!(decoder.line(&format!("[    0.000000] {banner}")), Notes::default());
    let said = decoder.line("[    0.000000] Linux version 6.1.0 (other) (gcc) #1 Fri").below;
    assert!(said.len() == 1 && said[0].contains("is of another kernel: Linux version 6.12.117 (lab)"), "{said:?}");
    let SymbolOffset { name, size, .. } = Symbols::of(Path::new("vmlinux"), &file).unwrap().named(8).unwrap();
    assert_eq!((name.as_str(), size), ("start", 64), "a mark between code and data is no function");
}
