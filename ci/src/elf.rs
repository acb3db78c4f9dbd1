//! Makes a linked program the same whoever built it where, and no larger than it has to be.

use object::read::elf::{ElfFile32, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection};
use stoop::{Failure, Result};

/// Offsets in an ELF32 header of what tells about sections (System V ABI, ELF header).
const SECTION_OFFSET: std::ops::Range<usize> = 32..36;
const SECTION_COUNTS: std::ops::Range<usize> = 46..52;

fn parse(elf: &[u8]) -> Result<ElfFile32<'_, Endianness>> {
    ElfFile32::parse(elf).map_err(|error| Failure::new(format!("the linker's output: {error}")))
}

/// Only what the kernel loads: no section headers, nothing behind the last segment.
///
/// # Errors
/// When it is no ELF32.
pub fn loadable(elf: &[u8]) -> Result<Vec<u8>> {
    let file = parse(elf)?;
    let endian = file.endian();
    let headers = file.elf_header().program_headers(endian, elf);
    let headers = headers.map_err(|error| Failure::new(format!("the linker's output: {error}")))?;
    let end = |header: &object::elf::ProgramHeader32<Endianness>| {
        let (offset, size) = header.file_range(endian);
        (offset + size) as usize
    };
    let end = headers.iter().map(end).max().unwrap_or_default();
    let mut kept = elf.get(..end).ok_or_else(|| Failure::new("the linker's output ends inside a segment"))?.to_vec();
    kept[SECTION_OFFSET].fill(0);
    kept[SECTION_COUNTS].fill(0);
    Ok(kept)
}

/// Blanks what the compiler puts into symbols' names to tell crates apart: it depends on where the toolchain lies.
///
/// # Errors
/// When it is no ELF32.
pub fn without_crate_hashes(elf: &[u8]) -> Result<Vec<u8>> {
    let range = parse(elf)?.section_by_name(".strtab").and_then(|section| section.file_range());
    let mut kept = elf.to_vec();
    if let Some((offset, size)) = range {
        let (from, to) = (offset as usize, (offset + size) as usize);
        let names = kept.get_mut(from..to).ok_or_else(|| Failure::new("the linker's output ends inside .strtab"))?;
        names.split_mut(|&byte| byte == 0).for_each(blank_hashes);
    }
    Ok(kept)
}

/// `…17h0123456789abcdefE` in the legacy mangling, `Cs…_` before a crate's name in v0.
fn blank_hashes(name: &mut [u8]) {
    if let Some(hash) = name.len().checked_sub(20)
        && name.starts_with(b"_ZN")
        && name[hash..].starts_with(b"17h")
    {
        name[hash + 3..hash + 19].fill(b'0');
    }
    if !name.starts_with(b"_R") {
        return;
    }
    let mut at = 2;
    while at + 2 < name.len() {
        let digits = name[at + 2..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let ends = name.get(at + 2 + digits) == Some(&b'_');
        if name[at..].starts_with(b"Cs") && ends && (8..=13).contains(&digits) {
            name[at + 2..at + 2 + digits].fill(b'0');
            at += digits;
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blanked(name: &str) -> String {
        let mut name = name.as_bytes().to_vec();
        blank_hashes(&mut name);
        String::from_utf8(name).unwrap()
    }

    #[test]
    fn crate_hashes_are_blanked_and_names_are_kept() {
        assert_eq!(blanked("_ZN10stoop_core4join17h0123456789abcdefE"), "_ZN10stoop_core4join17h0000000000000000E");
        assert_eq!(blanked("_RNvNtCs4wLzEbsKlhG_10stoop_core4join"), "_RNvNtCs00000000000_10stoop_core4join");
        assert_eq!(blanked("__params"), "__params");
    }

    #[test]
    fn what_is_no_elf_is_refused() {
        assert!(loadable(b"no").is_err());
        assert!(without_crate_hashes(b"no").is_err());
    }
}
