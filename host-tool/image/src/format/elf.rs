//! ELF files of 32-bit MIPS with loadable segments: the ones that pack writes, and reading them back.

use crate::{Failure, Result};
use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Architecture, Endianness, Object, elf, write::elf as out};

/// o32 ABI, MIPS32 release 2, no reordering: what 32-bit MIPS kernels and loaders expect.
const FLAGS: u32 = 0x7000_1001;

/// Loaders take these alignments; kexec-tools asks only for page-aligned addresses, which the layout gives.
pub const ALIGN: u64 = 0x1000;
/// Physical start and bytes.
pub type Piece<'a> = (usize, &'a [u8]);

/// The entry point and the loadable segments with their bytes in the file, all physical.
///
/// # Errors
/// The file is broken, for another machine, or has addresses outside of KSEG0 and KSEG1.
pub fn segments(file: &[u8]) -> Result<(usize, Vec<Piece<'_>>)> {
    let broken =
        |fact: String| Failure::new(format!("the ELF file is broken: {fact}")).next("pack or download it again");
    let elf = ElfFile32::<Endianness>::parse(file).map_err(|error| broken(error.to_string()))?;
    if elf.architecture() != Architecture::Mips {
        return Err(Failure::new(format!("the ELF file is for {:?}, not for 32-bit MIPS", elf.architecture()))
            .next("give a file that `stoop pack` wrote"));
    }
    let endian = elf.endian();
    let physical = |address: u64| {
        stoop_core::mips::physical(address as u32)
            .ok_or_else(|| broken(format!("0x{address:x} is not in KSEG0 or KSEG1")))
    };
    let mut pieces = Vec::new();
    for header in elf.elf_program_headers() {
        if header.p_type(endian) != object::elf::PT_LOAD {
            continue;
        }
        let bytes = header.data(endian, file).map_err(|()| broken("a segment ends behind the file".into()))?;
        pieces.push((physical(header.p_paddr(endian).into())?, bytes));
    }
    Ok((physical(elf.entry())?, pieces))
}

/// One PT_LOAD to be written.
pub struct Segment {
    /// Physical; written as a KSEG0 address.
    pub at: usize,
    /// In the file.
    pub bytes: Vec<u8>,
    /// Bytes in memory, at least those of the file; the rest is zeroed by whoever loads it.
    pub memory: u64,
}

/// A file that is entered at the physical address `entry`. The segments come in the order of their addresses, as the ABI wants
/// them; kexec copies in that order, so the shim is not the last one and not dirty in the cache when it runs, if there is anything
/// above it.
///
/// # Errors
/// More bytes than an ELF file of 32 bits can have.
pub fn write(big_endian: bool, entry: usize, mut pieces: Vec<Segment>) -> Result<Vec<u8>> {
    pieces.sort_by_key(|piece| piece.at);
    let endian = if big_endian { Endianness::Big } else { Endianness::Little };
    let mut file = Vec::new();
    let mut writer = out::Writer::new(endian, false, &mut file);
    writer.reserve_file_header();
    writer.reserve_program_headers(pieces.len() as u32);
    let offsets: Vec<u64> = pieces.iter().map(|piece| writer.reserve(piece.bytes.len() as u64, ALIGN)).collect();
    let failed = |error: object::write::Error| Failure::new(format!("the ELF file cannot be written: {error}"));
    let virtual_address = |at: usize| stoop_core::mips::kseg0(at) as u64;
    // Some loaders go by sections: U-Boot's bootelf does so without -p.
    let sections = [(".load", elf::SHT_PROGBITS), (".zero", elf::SHT_NOBITS)]
        .map(|(name, kind)| (writer.add_section_name(name.as_bytes()), kind));
    writer.reserve_null_section_index();
    for piece in &pieces {
        writer.reserve_section_index();
        if piece.memory > piece.bytes.len() as u64 {
            writer.reserve_section_index();
        }
    }
    writer.reserve_shstrtab_section_index();
    writer.reserve_shstrtab().map_err(failed)?;
    writer.reserve_section_headers();
    writer
        .write_file_header(&out::FileHeader {
            abi_version: 0,
            e_type: elf::ET_EXEC,
            e_machine: elf::EM_MIPS,
            e_entry: virtual_address(entry),
            e_flags: elf::FileFlags(FLAGS),
            os_abi: elf::OsAbi(0),
        })
        .map_err(failed)?;
    writer.write_align_program_headers();
    for (Segment { at, bytes, memory }, offset) in pieces.iter().zip(&offsets) {
        let address = virtual_address(*at);
        writer.write_program_header(&out::ProgramHeader {
            p_type: elf::PT_LOAD,
            p_flags: elf::ProgramFlags(elf::PF_R.0 | elf::PF_W.0 | elf::PF_X.0),
            p_offset: *offset,
            p_vaddr: address,
            p_paddr: address,
            p_filesz: bytes.len() as u64,
            p_memsz: *memory,
            p_align: ALIGN,
        });
    }
    for Segment { bytes, .. } in &pieces {
        writer.write_align(ALIGN);
        writer.write(bytes);
    }
    writer.write_shstrtab();
    writer.write_null_section_header();
    for (Segment { at, bytes, memory }, offset) in pieces.iter().zip(&offsets) {
        let stored = bytes.len() as u64;
        let parts = [
            (*offset, virtual_address(*at), stored),
            (*offset + stored, virtual_address(*at) + stored, *memory - stored),
        ];
        for ((name, kind), (offset, address, size)) in sections.iter().zip(parts).filter(|(_, (_, _, size))| *size != 0)
        {
            writer.write_section_header(&out::SectionHeader {
                sh_name: writer.section_name_offset(Some(*name)),
                sh_type: *kind,
                sh_flags: elf::SectionFlags(elf::SHF_ALLOC.0 | elf::SHF_WRITE.0 | elf::SHF_EXECINSTR.0),
                sh_addr: address,
                sh_offset: offset,
                sh_size: size,
                sh_link: 0,
                sh_info: 0,
                sh_addralign: 1,
                sh_entsize: 0,
            });
        }
    }
    writer.write_shstrtab_section_header();
    Ok(file)
}
