//! ELF32 kernels: all PT_LOADs merged into one flat image at a physical address.

use crate::machine::{KSEG_SIZE, Machine, physical};
use std::collections::BTreeMap;

use object::Endianness;
use object::elf::{self as defs, FileHeader32};
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _};

use crate::format::codec::most_decoded;
use crate::{ErrorCode, Failure, Result};

/// What an ELF file says.
pub(super) struct Flat {
    pub(super) arch: Machine,
    pub(super) load: u64,
    pub(super) entry: u64,
    pub(super) image: Vec<u8>,
    pub(super) memory_size: u64,
    pub(super) symbols: BTreeMap<String, u64>,
    pub(super) segments: usize,
    /// Section `.appended_dtb`: physical address and size.
    pub(super) appended: Option<(u64, u64)>,
}

/// The symbols that packing and checking ask for.
const INTERESTING: &[&str] = &[
    "_text",
    "_stext",
    "_etext",
    "_end",
    "__bss_start",
    "__bss_stop",
    "__appended_dtb",
    "__dtb_start",
    "__dtb_end",
    "kernel_entry",
    "__kernel_entry",
    "_relocation_start",
    "_relocation_end",
    "linux_banner",
    "start_kernel",
    "decompress_kernel",
    "__image_begin",
    "__image_end",
];

/// Instructions of a 64-bit kind without the 32-bit ABI: objcopy made the file of a 64-bit kernel's (arch/mips/Makefile:
/// vmlinux.32; binutils' include/elf/mips.h).
fn is_64_bit(flags: u32) -> bool {
    const O32: u32 = 0x1000;
    const MODE_32: u32 = 0x100;
    // MIPS III, IV, V, 64, 64r2, 64r6.
    const WIDE: [u32; 6] = [2, 3, 4, 6, 8, 10];
    WIDE.contains(&(flags >> 28)) && flags & 0xf000 != O32 && flags & MODE_32 == 0
}

/// Of a kernel for release 6 of MIPS, which encodes instructions of the releases before it otherwise: no board here runs it.
pub(super) fn release_6() -> Failure {
    Failure::new(ErrorCode::KernelMachine, "the kernel is for MIPS release 6, whose code no CPU before it runs")
        .next("build it for the board's CPU: CONFIG_CPU_MIPS32_R2=y")
}

/// By e_flags' EF_MIPS_ARCH (binutils' include/elf/mips.h): MIPS32R6 and MIPS64R6.
fn is_release_6(flags: u32) -> bool {
    matches!(flags >> 28, 9 | 10)
}

struct Load {
    start: u64,
    offset: u64,
    file: u64,
    memory: u64,
}

/// Reads an ELF file; `bytes` begin with the magic.
pub(super) fn read(bytes: &[u8]) -> Result<Flat> {
    check_ident(bytes)?;
    let broken = |error: object::read::Error| {
        Failure::new(ErrorCode::KernelDamaged, format!("the ELF headers are broken: {error}"))
            .next("build or download the file again")
    };
    let header = FileHeader32::<Endianness>::parse(bytes).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    let arch = if endian == Endianness::Big { Machine::MipsBe } else { Machine::MipsLe };
    let segments = header.program_headers(endian, bytes).map_err(broken)?;
    if is_64_bit(header.e_flags(endian).0) {
        return Err(Failure::new(
            ErrorCode::KernelMachine,
            "the kernel is 64-bit MIPS code in a 32-bit ELF file, such as vmlinux.32",
        )
        .next("build it with CONFIG_32BIT=y: stoop starts 32-bit MIPS kernels"));
    }
    if is_release_6(header.e_flags(endian).0) {
        return Err(release_6());
    }

    let mut loads = Vec::new();
    for segment in segments {
        if segment.p_type(endian) == defs::PT_LOAD && segment.p_memsz(endian) != 0 {
            loads.push(load(segment, endian, bytes.len() as u64)?);
        }
    }
    loads.sort_by_key(|load| load.start);
    let (Some(first), Some(last)) = (loads.first(), loads.last()) else {
        return Err(Failure::new(
            ErrorCode::KernelForm,
            "the ELF file has no PT_LOAD segment: nothing in it would be in memory",
        )
        .next("give the linked vmlinux, not an object file or a debug symbol file"));
    };
    for pair in loads.windows(2) {
        if pair[0].start + pair[0].memory > pair[1].start {
            return Err(Failure::new(
                ErrorCode::KernelDamaged,
                format!(
                    "two PT_LOAD segments overlap: [0x{:x}, 0x{:x}) and [0x{:x}, 0x{:x})",
                    pair[0].start,
                    pair[0].start + pair[0].memory,
                    pair[1].start,
                    pair[1].start + pair[1].memory
                ),
            )
            .next("link the kernel again; no loader can load this file"));
        }
    }

    let start = first.start;
    let filled = loads.iter().filter(|load| load.file != 0).map(|load| load.start + load.file - start).max();
    let (filled, most) = (filled.unwrap_or(0), most_decoded(bytes.len()));
    if filled > most {
        return Err(Failure::new(
            ErrorCode::KernelDamaged,
            format!(
                "its PT_LOAD segments span 0x{filled:x} bytes, more than the 0x{most:x} of any kernel in 0x{:x} bytes",
                bytes.len()
            ),
        )
        .next("link the kernel again: its segments lie far apart"));
    }
    let mut image = Vec::with_capacity(filled as usize);
    for load in &loads {
        let from = load.offset as usize;
        let source = &bytes[from..from + load.file as usize];
        if !source.is_empty() {
            image.resize((load.start - start) as usize, 0);
            image.extend_from_slice(source);
        }
    }
    let entry = u64::from(header.e_entry(endian));
    let inside = |at: u64| loads.iter().any(|load| at >= load.start && at < load.start + load.file);
    let entry = unmapped(header.e_entry(endian)).filter(|at| inside(*at)).ok_or_else(|| {
        Failure::new(
            ErrorCode::KernelAddresses,
            format!("the entry point 0x{entry:x} is in no loaded part of the file"),
        )
        .next("link the kernel again, or give the flat binary with --load-address and --entry-point")
    })?;
    if entry % 4 != 0 {
        return Err(Failure::new(
            ErrorCode::KernelAddresses,
            format!("the entry point 0x{entry:x} is odd: MIPS16 or microMIPS code"),
        )
        .next("build the kernel without CONFIG_CPU_MICROMIPS"));
    }
    Ok(Flat {
        arch,
        load: start,
        entry,
        image,
        memory_size: last.start + last.memory - start,
        symbols: symbols(header, endian, bytes),
        segments: loads.len(),
        appended: appended(header, endian, bytes),
    })
}

/// What must be right before anything else is believed; each wrong thing has its own message.
fn check_ident(bytes: &[u8]) -> Result<()> {
    let Some(ident) = bytes.get(..20) else {
        return Err(Failure::new(
            ErrorCode::KernelDamaged,
            format!("the ELF file ends after 0x{:x} bytes, inside its header", bytes.len()),
        )
        .next("build or download the file again"));
    };
    let big = match ident[5] {
        1 => false,
        2 => true,
        other => {
            return Err(Failure::new(
                ErrorCode::KernelDamaged,
                format!("the ELF file's byte order is 0x{other:x}, neither 1 nor 2"),
            )
            .next("build or download the file again"));
        }
    };
    let half = |at: usize| {
        let pair = [ident[at], ident[at + 1]];
        if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
    };
    let machine = defs::Machine(half(18));
    let machine_name = match machine {
        defs::EM_MIPS => "MIPS",
        defs::EM_AARCH64 => "arm64",
        defs::EM_ARM => "32-bit ARM",
        defs::EM_X86_64 => "x86-64",
        defs::EM_386 => "x86",
        defs::EM_RISCV => "RISC-V",
        defs::EM_PPC | defs::EM_PPC64 => "PowerPC",
        _ => "another machine",
    };
    match (machine, ident[4]) {
        (defs::EM_MIPS, 1) => {}
        (defs::EM_MIPS, 2) => {
            return Err(Failure::new(ErrorCode::KernelMachine, "the kernel is 64-bit MIPS (ELF64)")
                .next("build it with CONFIG_32BIT=y: stoop starts 32-bit MIPS kernels"));
        }
        (defs::EM_AARCH64, _) => {
            return Err(Failure::new(
                ErrorCode::KernelMachine,
                "the kernel is an arm64 ELF: its physical address is not in it",
            )
            .next("give arch/arm64/boot/Image instead"));
        }
        _ => {
            return Err(Failure::new(
                ErrorCode::KernelMachine,
                format!("the ELF file is for {machine_name} (e_machine 0x{:x})", machine.0),
            )
            .next("give a kernel built for MIPS"));
        }
    }
    match defs::FileType(half(16)) {
        defs::ET_EXEC => Ok(()),
        defs::ET_REL => {
            Err(Failure::new(ErrorCode::KernelForm, "the ELF file is relocatable: an object file or a kernel module")
                .next("give the linked vmlinux or vmlinuz"))
        }
        other => Err(Failure::new(
            ErrorCode::KernelAddresses,
            format!("the ELF file is of type 0x{:x}, not an executable", other.0),
        )
        .next("give the linked vmlinux or vmlinuz")),
    }
}

/// The physical address behind one that bootloaders reach without a TLB entry: KSEG0 or KSEG1.
fn unmapped(address: u32) -> Option<u64> {
    stoop_core::mips::physical(address).map(|address| address as u64)
}

fn load(segment: &defs::ProgramHeader32<Endianness>, endian: Endianness, file_size: u64) -> Result<Load> {
    let (virt, phys) = (segment.p_vaddr(endian), segment.p_paddr(endian));
    let (offset, file) = segment.file_range(endian);
    let memory = u64::from(segment.p_memsz(endian));
    let start = unmapped(virt).filter(|start| start + memory <= KSEG_SIZE as u64).ok_or_else(|| {
        Failure::new(
            ErrorCode::KernelAddresses,
            format!(
                "a PT_LOAD segment is at 0x{virt:x} with 0x{memory:x} bytes, outside KSEG0 and KSEG1 (0x80000000..0xc0000000)"
            ),
        )
        .next("give a 32-bit kernel that is linked in KSEG0: a program of Linux is none; EVA and mapped kernels are not supported")
    })?;
    if physical(phys.into()) != Some(start) {
        return Err(Failure::new(
            ErrorCode::KernelAddresses,
            format!("a PT_LOAD segment has p_vaddr 0x{virt:x} but p_paddr 0x{phys:x}"),
        )
        .next("link it so that both are the same, as Linux does"));
    }
    if file > memory {
        return Err(Failure::new(
            ErrorCode::KernelDamaged,
            format!("a PT_LOAD segment has 0x{file:x} bytes of file but 0x{memory:x} of memory"),
        )
        .next("build or download the file again"));
    }
    if offset + file > file_size {
        return Err(Failure::new(
            ErrorCode::KernelDamaged,
            format!(
                "the ELF file is truncated: a PT_LOAD segment ends at 0x{:x}, the file at 0x{file_size:x}",
                offset + file
            ),
        )
        .next("build or download the file again"));
    }
    Ok(Load { start, offset, file, memory })
}

/// The interesting ones, physical. A stripped or damaged table has none: nothing depends on them alone.
fn symbols(header: &FileHeader32<Endianness>, endian: Endianness, bytes: &[u8]) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let Ok(sections) = header.sections(endian, bytes) else { return found };
    let Ok(table) = sections.symbols(endian, bytes, defs::SHT_SYMTAB) else { return found };
    for symbol in table.iter().filter(|symbol| !symbol.is_undefined(endian)) {
        let Ok(name) = symbol.name(endian, table.strings()) else { continue };
        if let Some(name) = INTERESTING.iter().find(|interesting| interesting.as_bytes() == name)
            && let Some(address) = physical(symbol.st_value(endian).into())
        {
            found.insert((*name).to_owned(), address);
        }
    }
    found
}

fn appended(header: &FileHeader32<Endianness>, endian: Endianness, bytes: &[u8]) -> Option<(u64, u64)> {
    let sections = header.sections(endian, bytes).ok()?;
    let (_, section) = sections.section_by_name(endian, b".appended_dtb")?;
    Some((physical(section.sh_addr(endian).into())?, section.sh_size(endian).into()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Elf, Segment};
    use super::*;

    fn refusal(elf: &Elf) -> Failure {
        let failure = read(&elf.write()).err().expect("refused");
        assert!(failure.next_step().is_some(), "{failure}");
        failure
    }

    #[test]
    fn both_byte_orders_read_with_symbols() {
        for big_endian in [false, true] {
            let mut elf = Elf::kernel(big_endian, b"tail");
            elf.symbols = vec![("__appended_dtb", 0x8020_0000), ("printk", 0x8010_0010), ("_end", 0x8030_0000)];
            let flat = read(&elf.write()).unwrap();
            assert_eq!(flat.arch.is_big_endian(), big_endian);
            assert_eq!((flat.load, flat.entry), (0x10_0000, 0x10_0000));
            assert_eq!(flat.image, elf.segments[0].bytes);
            assert_eq!(flat.memory_size, u64::from(elf.segments[0].memory));
            assert_eq!(flat.symbols.get("__appended_dtb"), Some(&0x20_0000));
            assert_eq!(flat.symbols.get("printk"), None);
        }
    }

    #[test]
    fn segments_merge_in_address_order_with_zeros_between() {
        let segment = |address, bytes: &[u8], memory| Segment { address, bytes: bytes.to_vec(), memory };
        let segments =
            vec![segment(0xa010_0020, b"last", 0x100), segment(0x8010_0000, b"code", 4), segment(0x8010_0010, b"", 8)];
        let flat = read(&Elf { segments, ..Elf::default() }.write()).unwrap();
        let mut expected = b"code".to_vec();
        expected.resize(0x20, 0);
        expected.extend_from_slice(b"last");
        assert_eq!(flat.image, expected);
        assert_eq!((flat.load, flat.memory_size), (0x10_0000, 0x120));
    }

    #[test]
    fn each_foreign_file_has_its_own_refusal() {
        let kernel = || Elf::kernel(false, b"");
        let x86 = Elf { machine: defs::EM_X86_64, is_64: true, ..kernel() };
        assert!(refusal(&x86).fact().contains("x86-64"));
        let arm64 = Elf { machine: defs::EM_AARCH64, is_64: true, ..kernel() };
        assert!(refusal(&arm64).fact().contains("arm64"));
        let mips64 = Elf { is_64: true, ..kernel() };
        assert!(refusal(&mips64).fact().contains("64-bit MIPS"));
        let module = Elf { kind: defs::ET_REL, ..kernel() };
        assert!(refusal(&module).fact().contains("kernel module"));
        let shared = Elf { kind: defs::ET_DYN, ..kernel() };
        assert!(refusal(&shared).fact().contains("type 0x3"));
        assert!(refusal(&Elf::default()).fact().contains("no PT_LOAD"));
    }

    #[test]
    fn a_wrong_entry_or_address_is_refused() {
        assert!(refusal(&Elf { entry: 0x8020_0000, ..Elf::kernel(false, b"") }).fact().contains("0x80200000"));
        assert!(refusal(&Elf { entry: 0x8010_0001, ..Elf::kernel(false, b"") }).fact().contains("microMIPS"));
        let mut mapped = Elf::kernel(false, b"");
        mapped.segments[0].address = 0xc000_0000;
        assert!(refusal(&mapped).fact().contains("outside KSEG0"));
        // As a program of Linux is linked, and as a physical address.
        for address in [0x40_0000, 0x10_0000] {
            let mut program = Elf::kernel(false, b"");
            program.segments[0].address = address;
            let failure = refusal(&Elf { entry: address, ..program });
            assert!(failure.fact().contains(&format!("at 0x{address:x} ")), "{failure}");
        }
        assert!(refusal(&Elf { entry: 0x10_0000, ..Elf::kernel(false, b"") }).fact().contains("entry point 0x100000"));
        let mut high = Elf::kernel(false, b"");
        high.segments[0].address = 0x9fff_fff0;
        assert!(refusal(&high).fact().contains("outside KSEG0"));
    }

    #[test]
    fn overlapping_segments_are_refused_with_both_ranges() {
        let mut elf = Elf::kernel(false, b"");
        elf.segments.push(Segment { address: 0x8010_0040, bytes: vec![1], memory: 1 });
        let failure = refusal(&elf);
        assert!(failure.fact().contains("overlap") && failure.fact().contains("[0x100040, 0x100041)"), "{failure}");
        // In the first one's bss, of which the file has nothing.
        elf.segments[1].address = 0x8010_0000 + elf.segments[0].memory - 1;
        assert!(refusal(&elf).fact().contains("overlap"));
        elf.segments[1].address += 1;
        assert!(read(&elf.write()).is_ok());
    }

    #[test]
    fn a_small_file_whose_segments_lie_far_apart_makes_no_large_image() {
        let mut elf = Elf::kernel(false, b"");
        elf.segments.push(Segment { address: 0x9f00_0000, bytes: vec![1], memory: 1 });
        assert!(refusal(&elf).fact().contains("span 0x1ef00001 bytes"), "{}", refusal(&elf));
        // A bss of any size takes none.
        elf.segments[1] = Segment { address: 0x8f00_0000, bytes: vec![], memory: 0x1000_0000 };
        assert_eq!(read(&elf.write()).unwrap().image.len(), elf.segments[0].bytes.len());
    }

    #[test]
    fn more_file_than_memory_is_refused() {
        let mut elf = Elf::kernel(false, b"");
        elf.segments[0].memory = 8;
        assert!(refusal(&elf).fact().contains("0x8 of memory"));
    }

    #[test]
    fn every_truncation_is_an_error_or_loses_only_symbols() {
        let elf = Elf::kernel(true, b"some data");
        let bytes = elf.write();
        for length in 4..bytes.len() {
            if let Ok(flat) = read(&bytes[..length]) {
                assert_eq!(flat.image, elf.segments[0].bytes, "cut at 0x{length:x}");
            }
        }
        assert!(read(&bytes[..10]).err().unwrap().fact().contains("inside its header"));
        assert!(read(&bytes[..0x60]).err().unwrap().fact().contains("truncated"));
    }
}
