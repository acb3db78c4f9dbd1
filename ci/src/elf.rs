//! Makes a linked program no larger than it has to be.

use std::ops::Range;

use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{ElfFile, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};
use stoop::{Failure, Result};

/// Offsets in a header of what tells about sections: where they are, and their numbers (System V ABI, ELF header).
const ELF32: [Range<usize>; 2] = [32..36, 46..52];
const ELF64: [Range<usize>; 2] = [40..48, 58..64];

/// Only what the kernel loads: no section headers, nothing behind the last segment.
///
/// # Errors
/// When it is no ELF.
pub fn loadable(elf: &[u8]) -> Result<Vec<u8>> {
    match FileKind::parse(elf) {
        Ok(FileKind::Elf64) => without_sections::<FileHeader64<Endianness>>(elf, ELF64),
        _ => without_sections::<FileHeader32<Endianness>>(elf, ELF32),
    }
}

fn without_sections<H: FileHeader>(elf: &[u8], sections: [Range<usize>; 2]) -> Result<Vec<u8>> {
    let broken = |error| Failure::new(format!("the linker's output: {error}"));
    let file: ElfFile<'_, H> = ElfFile::parse(elf).map_err(broken)?;
    let endian = file.endian();
    let headers = file.elf_header().program_headers(endian, elf).map_err(broken)?;
    let ends = headers.iter().map(|header| header.file_range(endian)).map(|(offset, size)| offset + size);
    let end = ends.max().unwrap_or_default();
    let mut kept =
        elf.get(..end as usize).ok_or_else(|| Failure::new("the linker's output ends inside a segment"))?.to_vec();
    for field in sections {
        kept[field].fill(0);
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache;
    use crate::lab::Endian;
    use crate::prebuilt::init;

    #[test]
    fn what_the_kernel_does_not_load_is_gone() {
        let kept = cache::read(&init(Endian::Big)).unwrap();
        let mut linked = kept.clone();
        linked.extend(b"symbols, strings, sections");
        assert_eq!(loadable(&linked).unwrap(), kept);
    }

    #[test]
    fn a_program_that_ends_inside_a_segment_is_refused() {
        let kept = cache::read(&init(Endian::Little)).unwrap();
        assert!(loadable(&kept[..kept.len() - 1]).is_err());
    }

    #[test]
    fn what_is_no_elf_is_refused() {
        assert!(loadable(b"no").is_err());
    }
}
