//! An ELF for MIPS.
//!
//! Facts: kexec-tools' kexec/arch/mips/kexec-elf-mips.c and kexec/kexec-elf-exec.c; Linux' kernel/kexec_core.c
//! (sanity_check_segment_list) and arch/mips/kernel/machine_kexec.c.

use object::Endianness;
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader};
use stoop_core::Region;

use super::error::Error;
use super::rule::{TREE_LIMIT, TREE_ROOM};
use crate::Result;
use crate::image::Opened;
use crate::layout::{BEHIND_SHIM, GRAIN};
use crate::simulate::Booted;

/// Segments that the kernel takes (include/linux/kexec.h: KEXEC_SEGMENT_MAX).
const SEGMENTS: usize = 16;
/// Of these kexec-tools adds two: a page with the command line, and the device tree.
const ADDED: usize = 2;
/// The magic of a device tree: a segment that begins with it would be handed over as *the* tree (uhi_machine_kexec_prepare).
const FDT_MAGIC: [u8; 4] = [0xd0, 0x0d, 0xfe, 0xed];

/// What kexec-tools for MIPS load.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Elf {
    /// Physical, by address, in whole [`GRAIN`]s.
    pub segments: Vec<Region>,
    /// Of the machine.
    pub big_endian: bool,
    /// The value of root= on the image's own command line; the last one counts.
    pub root: Option<String>,
}

impl Elf {
    /// Reads the segments and checks the rules.
    pub(super) fn of(file: &[u8], opened: &Opened<'_>, booted: &Booted) -> Result<Elf> {
        let line = String::from_utf8_lossy(&booted.cmdline).into_owned();
        let root = line.split(' ').filter_map(|word| word.strip_prefix("root=")).next_back();
        let segments = segments(file)?;
        rules(opened, &segments)?;
        Ok(Elf {
            segments: segments.into_iter().map(|segment| segment.memory).collect(),
            big_endian: opened.note.big_endian,
            root: root.map(str::to_owned),
        })
    }

    /// For mips.sh.
    pub(super) fn values(&self) -> Vec<(&'static str, String)> {
        let quoted = |text: &str| text.replace('\'', "'\\''");
        let segments = self.segments.iter().map(|at| format!("0x{:08x}-0x{:08x}", at.start(), at.end()));
        vec![
            ("@SEGMENTS@", segments.collect::<Vec<_>>().join(" ")),
            ("@ROOT@", quoted(self.root.as_deref().unwrap_or(""))),
            ("@ORDER@", if self.big_endian { "2" } else { "1" }.to_owned()),
            ("@ENDIAN@", if self.big_endian { "big-endian" } else { "little-endian" }.to_owned()),
        ]
    }
}

/// A PT_LOAD.
struct Segment<'a> {
    memory: Region,
    bytes: &'a [u8],
}

fn segments(file: &[u8]) -> Result<Vec<Segment<'_>>> {
    let elf = ElfFile32::<Endianness>::parse(file).map_err(|_| Error::Elf)?;
    let endian = elf.endian();
    let headers = elf.elf_header().program_headers(endian, file).map_err(|_| Error::Elf)?;
    let loaded = headers.iter().filter(|header| header.p_type(endian) == object::elf::PT_LOAD);
    let segment = |header: &object::elf::ProgramHeader32<Endianness>| {
        let start = stoop_core::mips::physical(header.p_paddr(endian))?;
        // The tools round up to the running kernel's page size, which is at most this.
        let size = (header.p_memsz(endian) as usize).next_multiple_of(GRAIN);
        Some(Segment { memory: Region::new(start, size)?, bytes: header.data(endian, file).ok()? })
    };
    loaded.map(|header| segment(header).ok_or_else(|| Error::Elf.into())).collect()
}

fn rules(opened: &Opened<'_>, segments: &[Segment<'_>]) -> Result<()> {
    let format = opened.format.name();
    if segments.len() + ADDED > SEGMENTS {
        return Err(Error::Segments { count: segments.len(), most: SEGMENTS - ADDED, format }.into());
    }
    for (index, segment) in segments.iter().enumerate() {
        let at = segment.memory;
        if !at.start().is_multiple_of(GRAIN) {
            return Err(Error::Unaligned { segment: at, format }.into());
        }
        if segment.bytes.starts_with(&FDT_MAGIC) {
            return Err(Error::LikeATree { segment: at, format }.into());
        }
        if let Some(next) = segments.get(index + 1)
            && next.memory.start() < at.end()
        {
            return Err(Error::Touches { segment: at, next: next.memory, format }.into());
        }
    }
    let end = segments.last().map_or(0, |last| last.memory.end());
    if end + TREE_ROOM > TREE_LIMIT {
        return Err(Error::NoRoomForTree { end }.into());
    }
    // The shim moves itself there before it has read the tree.
    if opened.note.run.end() > end {
        return Err(Error::RunsInTree { run: opened.note.run, format }.into());
    }
    let behind: usize = segments
        .iter()
        .map(|segment| segment.memory.end().saturating_sub(segment.memory.start().max(opened.load)))
        .sum();
    if behind < BEHIND_SHIM {
        return Err(Error::Uncached { size: behind, format }.into());
    }
    Ok(())
}
