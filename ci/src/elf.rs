//! Makes a linked program no larger than it has to be.

use object::Endianness;
use object::read::elf::{ElfFile32, FileHeader, ProgramHeader};
use stoop::{Failure, Result};

/// Offsets in an ELF32 header of what tells about sections (System V ABI, ELF header).
const SECTION_OFFSET: std::ops::Range<usize> = 32..36;
const SECTION_COUNTS: std::ops::Range<usize> = 46..52;

/// Only what the kernel loads: no section headers, nothing behind the last segment.
///
/// # Errors
/// When it is no ELF32.
pub fn loadable(elf: &[u8]) -> Result<Vec<u8>> {
    let broken = |error| Failure::new(format!("the linker's output: {error}"));
    let file: ElfFile32<'_, Endianness> = ElfFile32::parse(elf).map_err(broken)?;
    let endian = file.endian();
    let headers = file.elf_header().program_headers(endian, elf).map_err(broken)?;
    let ends = headers.iter().map(|header| header.file_range(endian)).map(|(offset, size)| offset + size);
    let end = ends.max().unwrap_or_default();
    let mut kept =
        elf.get(..end as usize).ok_or_else(|| Failure::new("the linker's output ends inside a segment"))?.to_vec();
    kept[SECTION_OFFSET].fill(0);
    kept[SECTION_COUNTS].fill(0);
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
