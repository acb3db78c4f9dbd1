//! ELF files of 32-bit MIPS with loadable segments: the ones that pack writes, and reading them back.

use super::error::Error;
use crate::Result;
use object::read::elf::{ElfFile32, ProgramHeader};
use object::{Architecture, Endianness, Object, elf};

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
    let elf = ElfFile32::<Endianness>::parse(file).map_err(|error| Error::Elf { reason: error.to_string() })?;
    if elf.architecture() != Architecture::Mips {
        return Err(Error::ElfMachine { machine: elf.architecture() }.into());
    }
    let endian = elf.endian();
    let physical = |address: u64| stoop_core::mips::physical(address as u32).ok_or(Error::ElfAddress { address });
    let mut pieces = Vec::new();
    for header in elf.elf_program_headers() {
        if header.p_type(endian) != object::elf::PT_LOAD {
            continue;
        }
        let bytes = header.data(endian, file).map_err(|()| Error::ElfCut)?;
        pieces.push((physical(header.p_paddr(endian).into())?, bytes));
    }
    Ok((physical(elf.entry())?, pieces))
}

/// One PT_LOAD to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Physical; written as a KSEG0 address.
    pub at: usize,
    /// Bytes in the file.
    pub size: usize,
    /// Bytes in memory, at least those of the file; the rest is zeroed by whoever loads it.
    pub memory: usize,
}

/// Sizes of the file's header, and of one program header and one section header.
const HEADERS: [usize; 3] = [52, 32, 40];
/// The sections' names: what is loaded, what is zeroed, and these names.
const NAMES: &[u8] = b"\0.load\0.zero\0.shstrtab\0";
/// Where in [`NAMES`].
const LOAD: u32 = 1;
/// As [`LOAD`].
const ZERO: u32 = 7;
/// As [`LOAD`].
const OWN: u32 = 13;

/// Where the segments, which come in the order of their addresses as the ABI wants them, begin in the file, and how many bytes
/// it has in all.
pub fn frame(segments: &[Segment]) -> (Vec<usize>, usize) {
    let mut end = HEADERS[0] + HEADERS[1] * segments.len();
    let mut place = |segment: &Segment| {
        let at = end.next_multiple_of(ALIGN as usize);
        end = at + segment.size;
        at
    };
    let offsets: Vec<usize> = segments.iter().map(&mut place).collect();
    (offsets, sections_at(end) + HEADERS[2] * (sections(segments) + 2))
}

/// Where the section headers begin when the segments' bytes end there.
fn sections_at(end: usize) -> usize {
    (end + NAMES.len()).next_multiple_of(4)
}

/// Some loaders go by sections: U-Boot's bootelf does so without -p.
fn sections(segments: &[Segment]) -> usize {
    segments.iter().map(|segment| if segment.memory > segment.size { 2 } else { 1 }).sum()
}

/// Writes the headers around the segments' bytes, which are in the file already, of an ELF that is entered at the physical
/// address `entry`.
///
/// # Errors
/// More bytes than an ELF file of 32 bits can have.
pub fn seal(file: &mut [u8], big_endian: bool, entry: usize, segments: &[Segment]) -> Result<()> {
    let too_large = |_| Error::ElfTooLarge { size: file.len() };
    u32::try_from(file.len()).map_err(too_large)?;
    let (offsets, _) = frame(segments);
    let end = offsets.iter().zip(segments).map(|(at, segment)| at + segment.size).max().unwrap_or(HEADERS[0]);
    let mut out = Words { bytes: Vec::new(), big_endian };
    let address = |at: usize| stoop_core::mips::kseg0(at) as u32;
    out.bytes.extend_from_slice(&[0x7f, b'E', b'L', b'F', 1, if big_endian { 2 } else { 1 }, 1]);
    out.bytes.resize(16, 0);
    out.halves(&[elf::ET_EXEC.0, elf::EM_MIPS.0]);
    out.words(&[1, address(entry), HEADERS[0] as u32, sections_at(end) as u32, FLAGS]);
    let count = sections(segments) as u16 + 2;
    let [header, program, section] = HEADERS.map(|size| size as u16);
    out.halves(&[header, program, segments.len() as u16, section, count, count - 1]);
    for (segment, offset) in segments.iter().zip(&offsets) {
        let (at, size, memory) = (address(segment.at), segment.size as u32, segment.memory as u32);
        let all = elf::PF_R.0 | elf::PF_W.0 | elf::PF_X.0;
        out.words(&[elf::PT_LOAD.0, *offset as u32, at, at, size, memory, all, ALIGN as u32]);
    }
    file[..out.bytes.len()].copy_from_slice(&out.bytes);
    file[end..end + NAMES.len()].copy_from_slice(NAMES);

    let mut out = Words { bytes: vec![0; HEADERS[2]], big_endian };
    let flags = (elf::SHF_ALLOC.0 | elf::SHF_WRITE.0 | elf::SHF_EXECINSTR.0) as u32;
    for (segment, offset) in segments.iter().zip(&offsets) {
        let (at, size, memory) = (address(segment.at), segment.size as u32, segment.memory as u32);
        out.words(&[LOAD, elf::SHT_PROGBITS.0, flags, at, *offset as u32, size, 0, 0, 1, 0]);
        if memory > size {
            out.words(&[ZERO, elf::SHT_NOBITS.0, flags, at + size, *offset as u32 + size, memory - size, 0, 0, 1, 0]);
        }
    }
    out.words(&[OWN, elf::SHT_STRTAB.0, 0, 0, end as u32, NAMES.len() as u32, 0, 0, 1, 0]);
    file[sections_at(end)..].copy_from_slice(&out.bytes);
    Ok(())
}

/// Numbers of 16 and 32 bits in the machine's byte order.
struct Words {
    bytes: Vec<u8>,
    big_endian: bool,
}

impl Words {
    fn halves(&mut self, numbers: &[u16]) {
        let bytes = |number: &u16| if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() };
        let bytes: Vec<u8> = numbers.iter().flat_map(bytes).collect();
        self.bytes.extend(bytes);
    }

    fn words(&mut self, numbers: &[u32]) {
        let bytes = |number: &u32| if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() };
        let bytes: Vec<u8> = numbers.iter().flat_map(bytes).collect();
        self.bytes.extend(bytes);
    }
}
