//! Containers: the legacy uImage header (U-Boot include/image.h, struct legacy_img_hdr), FIT, ELF with loadable
//! segments, and nothing at all.

use object::{Endianness, elf, write::elf as out};
use stoop_core::Region;

use super::{checksum, fit};
use crate::board::Container;
use crate::input::{Arch, be32};
use crate::layout::GRAIN;
use crate::plan::{Format, Plan};
use crate::{ErrorCode, Failure, Result};

/// Bytes in front of a uImage's data.
pub const UIMAGE_HEADER: usize = 64;
const UIMAGE_MAGIC: u32 = 0x2705_1956;
const UIMAGE_NAME: usize = 32;
/// IH_OS_LINUX; IH_ARCH_MIPS or IH_ARCH_ARM64; IH_TYPE_KERNEL, IH_COMP_NONE.
fn uimage_kind(arch: Arch) -> [u8; 4] {
    [5, if arch == Arch::Arm64 { UIMAGE_ARM64 } else { 5 }, 2, 0]
}

const UIMAGE_ARM64: u8 = 22;
/// o32 ABI, MIPS32 release 2, no reordering: what 32-bit MIPS kernels and loaders expect.
const ELF_FLAGS: u32 = 0x7000_1001;

/// The file with `pieces`, which lie at their physical addresses; the first one is entered at its first byte and has at least
/// the room of `head`.
///
/// # Errors
/// More bytes than the container can name.
pub(super) fn wrap(plan: &Plan, head: Region, mut pieces: Vec<(usize, Vec<u8>)>) -> Result<Vec<u8>> {
    match plan.format.value {
        Format::Raw | Format::Image => Ok(pieces.swap_remove(0).1),
        Format::Uimage => uimage(&name(plan), plan.arch(), typed(plan, head.start())?, &pieces.swap_remove(0).1),
        Format::Fit => fit::write(&name(plan), plan.arch(), typed(plan, head.start())?, &pieces.swap_remove(0).1),
        Format::Elf => elf_file(plan, head, pieces),
        Format::Nor => unreachable!("a flash image is no container, see nor.rs"),
    }
}

/// Most bytes of a container beside its data.
pub(super) const ROOM: usize = if fit::ROOM > UIMAGE_HEADER { fit::ROOM } else { UIMAGE_HEADER };

/// The shim alone, for flash of MIPS boards: named by the tool's version, so that the same shim makes the same bytes for every kernel.
///
/// # Errors
/// As for [`wrap`].
pub(super) fn of_boot(container: Container, load: usize, data: &[u8]) -> Result<Vec<u8>> {
    let name = concat!("stoop ", env!("CARGO_PKG_VERSION"));
    let entry = stoop_core::mips::kseg0(load) as u32;
    match container {
        Container::Fit => fit::write(name, Arch::MipsBe, entry, data),
        _ => uimage(name, Arch::MipsBe, entry, data),
    }
}

/// For people who look at it in the bootloader.
fn name(plan: &Plan) -> String {
    format!("stoop {}", plan.kernel.version.as_deref().unwrap_or("Linux"))
}

/// An address as bootm wants it.
fn typed(plan: &Plan, address: usize) -> Result<u32> {
    u32::try_from(plan.board.typed(address)).map_err(|_| {
        Failure::new(ErrorCode::Container, format!("the container cannot name the load address 0x{address:x}"))
            .next("pack with `--format image`")
    })
}

/// `entry` is the load address too, as typed.
fn uimage(name: &str, arch: Arch, entry: u32, data: &[u8]) -> Result<Vec<u8>> {
    let size = u32::try_from(data.len()).map_err(|_| {
        Failure::new(ErrorCode::Container, format!("0x{:x} bytes are too many for a uImage", data.len()))
            .next("give a smaller root filesystem")
    })?;
    let mut file = Vec::with_capacity(UIMAGE_HEADER + data.len());
    // The time is zero: the same inputs make the same file.
    for word in [UIMAGE_MAGIC, 0, 0, size, entry, entry, checksum(data)] {
        file.extend_from_slice(&word.to_be_bytes());
    }
    file.extend_from_slice(&uimage_kind(arch));
    file.extend(name.bytes().take(UIMAGE_HEADER - UIMAGE_NAME - 1));
    file.resize(UIMAGE_HEADER, 0);
    let sum = checksum(&file).to_be_bytes();
    file[4..8].copy_from_slice(&sum);
    file.extend_from_slice(data);
    Ok(file)
}

fn elf_file(plan: &Plan, head: Region, mut pieces: Vec<(usize, Vec<u8>)>) -> Result<Vec<u8>> {
    // In the order of their addresses, as the ABI wants them; kexec copies in that order, so the shim is not the last one
    // and not dirty in the cache when it runs, if there is anything above it.
    pieces.sort_by_key(|piece| piece.0);
    let endian = if plan.arch() == Arch::MipsBe { Endianness::Big } else { Endianness::Little };
    let mut file = Vec::new();
    let mut writer = out::Writer::new(endian, false, &mut file);
    writer.reserve_file_header();
    writer.reserve_program_headers(pieces.len() as u32);
    let offsets: Vec<u64> = pieces.iter().map(|piece| writer.reserve(piece.1.len() as u64, ELF_ALIGN)).collect();
    let failed = |error: object::write::Error| {
        Failure::new(ErrorCode::Container, format!("the ELF file cannot be written: {error}"))
    };
    let virtual_address = |at: usize| stoop_core::mips::kseg0(at) as u64;
    // Some loaders go by sections: U-Boot's bootelf does so without -p.
    let sections = [(".load", elf::SHT_PROGBITS), (".zero", elf::SHT_NOBITS)]
        .map(|(name, kind)| (writer.add_section_name(name.as_bytes()), kind));
    writer.reserve_null_section_index();
    for (at, bytes) in &pieces {
        writer.reserve_section_index();
        if memory_size(plan, head, *at, bytes.len()) > bytes.len() as u64 {
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
            e_entry: virtual_address(head.start()),
            e_flags: elf::FileFlags(ELF_FLAGS),
            os_abi: elf::OsAbi(0),
        })
        .map_err(failed)?;
    writer.write_align_program_headers();
    for ((at, bytes), offset) in pieces.iter().zip(&offsets) {
        let address = virtual_address(*at);
        writer.write_program_header(&out::ProgramHeader {
            p_type: elf::PT_LOAD,
            p_flags: elf::ProgramFlags(elf::PF_R.0 | elf::PF_W.0 | elf::PF_X.0),
            p_offset: *offset,
            p_vaddr: address,
            p_paddr: address,
            p_filesz: bytes.len() as u64,
            p_memsz: memory_size(plan, head, *at, bytes.len()),
            p_align: ELF_ALIGN,
        });
    }
    for (_, bytes) in &pieces {
        writer.write_align(ELF_ALIGN);
        writer.write(bytes);
    }
    writer.write_shstrtab();
    writer.write_null_section_header();
    for ((at, bytes), offset) in pieces.iter().zip(&offsets) {
        let stored = bytes.len() as u64;
        let parts = [
            (*offset, virtual_address(*at), stored),
            (*offset + stored, virtual_address(*at) + stored, memory_size(plan, head, *at, bytes.len()) - stored),
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

/// Loaders take these alignments; kexec-tools asks only for page-aligned addresses, which the layout gives.
const ELF_ALIGN: u64 = 0x1000;
const _: () = assert!((GRAIN as u64).is_multiple_of(ELF_ALIGN));

/// The kernel's bss belongs to its segment, and the head has its room.
fn memory_size(plan: &Plan, head: Region, at: usize, size: usize) -> u64 {
    let room = match at {
        at if at == head.start() => head.size() as u64,
        at if at as u64 == plan.kernel.load_address => plan.kernel.memory_size,
        _ => 0,
    };
    room.max(size as u64)
}

/// What a uImage's header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UimageHeader {
    pub(crate) load: usize,
    pub(crate) size: usize,
    pub(crate) header_good: bool,
    pub(crate) data_crc: u32,
}

/// Reads the header at the front of `file`; `None` when there is none.
pub(crate) fn uimage_header(file: &[u8]) -> Option<UimageHeader> {
    let word = |at| be32(file, at);
    if word(0)? != UIMAGE_MAGIC {
        return None;
    }
    let mut header = file.get(..UIMAGE_HEADER)?.to_vec();
    header[4..8].fill(0);
    Some(UimageHeader {
        load: match header[29] {
            UIMAGE_ARM64 => word(16)? as usize,
            _ => stoop_core::mips::physical(word(16)?)?,
        },
        size: word(12)? as usize,
        header_good: checksum(&header) == word(4)?,
        data_crc: word(24)?,
    })
}
