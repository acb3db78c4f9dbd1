//! Makes a linked program no larger than it has to be, and says what one needs beside itself.

use std::ops::Range;

use object::elf::{DT_NEEDED, FileHeader32, FileHeader64};
use object::read::elf::{ElfFile, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};
use stoop_samples::failure::{Failure, Result};

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

/// The names of the files that a program or library is loaded with: its loader and its libraries, not theirs.
///
/// # Errors
/// When it is no ELF.
pub fn needed(elf: &[u8]) -> Result<Vec<String>> {
    match FileKind::parse(elf) {
        Ok(FileKind::Elf64) => named_in::<FileHeader64<Endianness>>(elf),
        _ => named_in::<FileHeader32<Endianness>>(elf),
    }
}

fn named_in<H: FileHeader>(elf: &[u8]) -> Result<Vec<String>> {
    let broken = |error| Failure::new(format!("a program: {error}"));
    let file: ElfFile<'_, H> = ElfFile::parse(elf).map_err(broken)?;
    let mut names = Vec::new();
    for header in file.elf_program_headers() {
        if let Some(path) = header.interpreter(file.endian(), elf).map_err(broken)? {
            names.extend(path.rsplit(|byte| *byte == b'/').next());
        }
    }
    let table = file.elf_dynamic_table().map_err(broken)?;
    for entry in table.iter().filter(|entry| entry.tag == DT_NEEDED) {
        names.push(table.string(entry).map_err(broken)?);
    }
    Ok(names.into_iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect())
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
    fn a_program_needs_its_loader_and_its_libraries_and_a_static_one_nothing() {
        let own = cache::read(&std::env::current_exe().unwrap()).unwrap();
        let names = needed(&own).unwrap();
        assert!(names.iter().any(|name| name.starts_with("libc.so")), "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("ld-linux")), "{names:?}");
        assert!(needed(&cache::read(&init(Endian::Big)).unwrap()).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_elf_is_refused() {
        assert!(loadable(b"no").is_err());
        assert!(needed(b"no").is_err());
    }
}
