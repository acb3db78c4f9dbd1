//! ELF32 kernels: all PT_LOADs merged into one flat image at a physical address.

mod error;

use crate::machine::{KSEG_SIZE, Machine, physical};
use std::collections::BTreeMap;

use object::Endianness;
use object::elf::{self as defs, FileHeader32};
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _};

use crate::format::codec::most_decoded;
pub use error::Error;

use crate::Result;

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

impl Load {
    /// In memory.
    fn range(&self) -> std::ops::Range<u64> {
        self.start..self.start + self.memory
    }
}

/// Reads an ELF file; `bytes` begin with the magic.
pub(super) fn read(bytes: &[u8]) -> Result<Flat> {
    check_ident(bytes)?;
    let broken = |error: object::read::Error| Error::Headers { reason: error };
    let header = FileHeader32::<Endianness>::parse(bytes).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    let arch = if endian == Endianness::Big { Machine::MipsBe } else { Machine::MipsLe };
    let segments = header.program_headers(endian, bytes).map_err(broken)?;
    if is_64_bit(header.e_flags(endian).0) {
        return Err(Error::Mips64In32.into());
    }
    if is_release_6(header.e_flags(endian).0) {
        return Err(super::kernel::Error::Release6.into());
    }

    let mut loads = Vec::new();
    for segment in segments {
        if segment.p_type(endian) == defs::PT_LOAD && segment.p_memsz(endian) != 0 {
            loads.push(load(segment, endian, bytes.len() as u64)?);
        }
    }
    loads.sort_by_key(|load| load.start);
    let (Some(first), Some(last)) = (loads.first(), loads.last()) else {
        return Err(Error::NoSegment.into());
    };
    for pair in loads.windows(2) {
        if pair[0].start + pair[0].memory > pair[1].start {
            return Err(Error::Overlap { first: pair[0].range(), second: pair[1].range() }.into());
        }
    }

    let start = first.start;
    let filled = loads.iter().filter(|load| load.file != 0).map(|load| load.start + load.file - start).max();
    let (filled, most) = (filled.unwrap_or(0), most_decoded(bytes.len()));
    if filled > most {
        return Err(Error::FarApart { filled, most, size: bytes.len() }.into());
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
    let entry = unmapped(header.e_entry(endian)).filter(|at| inside(*at)).ok_or(Error::EntryOutside { entry })?;
    if entry % 4 != 0 {
        return Err(Error::EntryOdd { entry }.into());
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
        return Err(Error::HeaderCut { size: bytes.len() }.into());
    };
    let big = match ident[5] {
        1 => false,
        2 => true,
        other => {
            return Err(Error::ByteOrder { value: other }.into());
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
            return Err(Error::Mips64.into());
        }
        (defs::EM_AARCH64, _) => {
            return Err(Error::Arm64.into());
        }
        _ => {
            return Err(Error::Machine { name: machine_name, number: machine.0 }.into());
        }
    }
    match defs::FileType(half(16)) {
        defs::ET_EXEC => Ok(()),
        defs::ET_REL => Err(Error::Relocatable.into()),
        other => Err(Error::Kind { kind: other.0 }.into()),
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
    let start = unmapped(virt)
        .filter(|start| start + memory <= KSEG_SIZE as u64)
        .ok_or(Error::NotInKseg { address: virt, memory })?;
    if physical(phys.into()) != Some(start) {
        return Err(Error::TwoAddresses { virt, phys }.into());
    }
    if file > memory {
        return Err(Error::SegmentSize { file, memory }.into());
    }
    if offset + file > file_size {
        return Err(Error::Cut { end: offset + file, size: file_size }.into());
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
    use crate::Explained as _;

    fn refusal(elf: &Elf) -> crate::Error {
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
        assert!(refusal(&x86).to_string().contains("x86-64"));
        let arm64 = Elf { machine: defs::EM_AARCH64, is_64: true, ..kernel() };
        assert!(refusal(&arm64).to_string().contains("arm64"));
        let mips64 = Elf { is_64: true, ..kernel() };
        assert!(refusal(&mips64).to_string().contains("64-bit MIPS"));
        let module = Elf { kind: defs::ET_REL, ..kernel() };
        assert!(refusal(&module).to_string().contains("kernel module"));
        let shared = Elf { kind: defs::ET_DYN, ..kernel() };
        assert!(refusal(&shared).to_string().contains("type 0x3"));
        assert!(refusal(&Elf::default()).to_string().contains("no PT_LOAD"));
    }

    #[test]
    fn a_wrong_entry_or_address_is_refused() {
        assert!(refusal(&Elf { entry: 0x8020_0000, ..Elf::kernel(false, b"") }).to_string().contains("0x80200000"));
        assert!(refusal(&Elf { entry: 0x8010_0001, ..Elf::kernel(false, b"") }).to_string().contains("microMIPS"));
        let mut mapped = Elf::kernel(false, b"");
        mapped.segments[0].address = 0xc000_0000;
        assert!(matches!(refusal(&mapped), crate::Error::Elf(Error::NotInKseg { .. })));
        // As a program of Linux is linked, and as a physical address.
        for address in [0x40_0000, 0x10_0000] {
            let mut program = Elf::kernel(false, b"");
            program.segments[0].address = address;
            let failure = refusal(&Elf { entry: address, ..program });
            assert!(failure.to_string().contains(&format!("at 0x{address:x} ")), "{failure}");
        }
        assert!(
            refusal(&Elf { entry: 0x10_0000, ..Elf::kernel(false, b"") }).to_string().contains("entry point 0x100000")
        );
        let mut high = Elf::kernel(false, b"");
        high.segments[0].address = 0x9fff_fff0;
        assert!(matches!(refusal(&high), crate::Error::Elf(Error::NotInKseg { .. })));
    }

    #[test]
    fn overlapping_segments_are_refused_with_both_ranges() {
        let mut elf = Elf::kernel(false, b"");
        elf.segments.push(Segment { address: 0x8010_0040, bytes: vec![1], memory: 1 });
        let failure = refusal(&elf);
        let second = 0x10_0040..0x10_0041;
        assert!(
            matches!(&failure, crate::Error::Elf(Error::Overlap { second: found, .. }) if *found == second),
            "{failure}"
        );
        // In the first one's bss, of which the file has nothing.
        elf.segments[1].address = 0x8010_0000 + elf.segments[0].memory - 1;
        assert!(refusal(&elf).to_string().contains("overlap"));
        elf.segments[1].address += 1;
        assert!(read(&elf.write()).is_ok());
    }

    #[test]
    fn a_small_file_whose_segments_lie_far_apart_makes_no_large_image() {
        let mut elf = Elf::kernel(false, b"");
        elf.segments.push(Segment { address: 0x9f00_0000, bytes: vec![1], memory: 1 });
        assert!(refusal(&elf).to_string().contains("span 0x1ef00001 bytes"), "{}", refusal(&elf));
        // A bss of any size takes none.
        elf.segments[1] = Segment { address: 0x8f00_0000, bytes: vec![], memory: 0x1000_0000 };
        assert_eq!(read(&elf.write()).unwrap().image.len(), elf.segments[0].bytes.len());
    }

    #[test]
    fn more_file_than_memory_is_refused() {
        let mut elf = Elf::kernel(false, b"");
        elf.segments[0].memory = 8;
        assert!(refusal(&elf).to_string().contains("0x8 of memory"));
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
        assert!(read(&bytes[..10]).err().unwrap().to_string().contains("inside its header"));
        assert!(read(&bytes[..0x60]).err().unwrap().to_string().contains("truncated"));
    }
}
