//! One module file: what it imports, what it exports, and what it says about itself.
//!
//! Encodings: `include/linux/module.h` (`__versions`), `kernel/module/version.c` of Linux 6.14 (`__version_ext_crcs`,
//! `__version_ext_names`), `kernel/module/signing.c` (signatures), `include/linux/export-internal.h` (`__ksymtab`, `__kcrctab`),
//! `include/linux/moduleparam.h` (`.modinfo`).

use object::read::elf::{FileHeader, SectionHeader, SectionTable, Sym, SymbolTable};
use object::{Endianness, FileKind, elf};

use crate::Result;
use crate::modules::Error;

/// What an ELF file runs on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Target {
    /// ELF `e_machine`.
    pub machine: u16,
    /// 64-bit addresses.
    pub is_64: bool,
    /// Big endian.
    pub is_big: bool,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bits = if self.is_64 { 64 } else { 32 };
        let endian = if self.is_big { "big" } else { "little" };
        match elf::Machine(self.machine) {
            elf::EM_MIPS => write!(f, "MIPS, {bits} bit, {endian} endian"),
            elf::EM_AARCH64 => write!(f, "arm64, {bits} bit, {endian} endian"),
            elf::EM_X86_64 => write!(f, "x86-64, {bits} bit, {endian} endian"),
            elf::Machine(machine) => write!(f, "ELF machine {machine:#x}, {bits} bit, {endian} endian"),
        }
    }
}

/// A symbol the module needs from elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Import<'a> {
    /// Its name.
    pub name: &'a str,
    /// It may stay undefined.
    pub weak: bool,
}

/// A symbol the module offers to others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Export<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its CRC, in kernels with MODVERSIONS.
    pub crc: Option<u32>,
    /// Only for modules under a GPL-compatible licence.
    pub gpl_only: bool,
    /// The namespace that an importer has to name; empty for none.
    pub namespace: &'a str,
}

/// A parsed module that borrows from the file's bytes.
#[derive(Debug)]
pub struct Module<'a> {
    /// What it runs on.
    pub target: Target,
    /// Its undefined symbols, in the order of the symbol table.
    pub imports: Vec<Import<'a>>,
    /// Its exported symbols, in the order of the symbol table.
    pub exports: Vec<Export<'a>>,
    /// The CRC it expects of each import, from `__version_ext_*` or else `__versions`; nothing without MODVERSIONS.
    pub versions: Option<Vec<(&'a str, u32)>>,
    /// The raw `.modinfo` section.
    pub modinfo: &'a [u8],
    /// The size of the section that holds its `struct module`, in bytes.
    pub this_module_size: Option<u64>,
    /// What is appended to the file.
    pub signature: Signature,
}

/// The signature of a module.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signature {
    /// There is none.
    None,
    /// There is one; who made it is for the kernel to find out.
    There,
    /// What says that it is one makes no sense, which no kernel with CONFIG_MODULE_SIG takes.
    Malformed,
}

impl<'a> Module<'a> {
    /// Parses the bytes of a `.ko`.
    ///
    /// # Errors
    /// Not an ELF file, cut off, not a relocatable file, or without a symbol table.
    pub fn parse(bytes: &'a [u8]) -> Result<Self> {
        match FileKind::parse(bytes) {
            Ok(FileKind::Elf32) => parse::<elf::FileHeader32<Endianness>>(bytes),
            Ok(FileKind::Elf64) => parse::<elf::FileHeader64<Endianness>>(bytes),
            _ => Err(Error::NotElf { size: bytes.len() }.into()),
        }
    }

    /// The values of a key of `.modinfo`, in order.
    pub fn info<'k>(&self, key: &'k str) -> impl Iterator<Item = &'a str> + use<'a, 'k> {
        info(self.modinfo, key)
    }
}

/// The values of a key in the text of a `.modinfo` section, in order.
pub fn info<'a, 'k>(modinfo: &'a [u8], key: &'k str) -> impl Iterator<Item = &'a str> + use<'a, 'k> {
    modinfo
        .split(|byte| *byte == 0)
        .filter_map(|entry| std::str::from_utf8(entry).ok())
        .filter_map(move |entry| entry.strip_prefix(key)?.strip_prefix('='))
}

const SIGNED: &[u8] = b"~Module signature appended~\n";

fn damaged(part: &str) -> impl Fn(object::Error) -> Error + '_ {
    move |reason| Error::Part { part: part.to_owned(), reason }
}

fn parse<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Module<'_>> {
    let header = Elf::parse(bytes).map_err(damaged("ELF header"))?;
    let endian = header.endian().map_err(damaged("ELF header"))?;
    let target =
        Target { machine: header.e_machine(endian).0, is_64: header.is_type_64(), is_big: endian == Endianness::Big };
    if header.e_type(endian) != elf::ET_REL {
        return Err(Error::Kind { kind: header.e_type(endian).0 }.into());
    }
    let sections = header.sections(endian, bytes).map_err(damaged("section table"))?;
    let symbols = sections.symbols(endian, bytes, elf::SHT_SYMTAB).map_err(damaged("symbol table"))?;
    if symbols.is_empty() {
        return Err(Error::Stripped.into());
    }
    let section = |name: &str| -> Result<Option<&[u8]>> {
        match sections.section_by_name(endian, name.as_bytes()) {
            Some((_, section)) => Ok(Some(section.data(endian, bytes).map_err(damaged(name))?)),
            None => Ok(None),
        }
    };
    // The kernel relies on the extended ones when they are there (kernel/module/version.c: check_version).
    let versions = match (section("__version_ext_crcs")?, section("__versions")?) {
        (Some(crcs), _) => {
            let names = section("__version_ext_names")?.unwrap_or_default();
            Some(parse_extended_versions(crcs, names, target)?)
        }
        (None, Some(data)) => Some(parse_versions(data, target)?),
        (None, None) => None,
    };
    let (imports, exports) = read_symbols::<Elf>(bytes, endian, &sections, &symbols)?;
    Ok(Module {
        target,
        imports,
        exports,
        versions,
        modinfo: section(".modinfo")?.unwrap_or_default(),
        this_module_size: sections
            .section_by_name(endian, b".gnu.linkonce.this_module")
            .map(|(_, section)| section.sh_size(endian).into()),
        signature: signature(bytes),
    })
}

/// By its trailer: 12 bytes, the last four the signature's length, then the marker (`mod_check_sig`).
fn signature(bytes: &[u8]) -> Signature {
    let Some(signed) = bytes.strip_suffix(SIGNED) else { return Signature::None };
    let Some((rest, trailer)) = signed.split_last_chunk::<12>() else { return Signature::Malformed };
    let [algorithm, hash, kind, signer, key, padding @ .., a, b, c, d] = *trailer;
    // Number 2 is PKCS#7, which names everything else itself.
    let zeros = [algorithm, hash, signer, key].iter().chain(&padding).all(|byte| *byte == 0);
    let size = u32::from_be_bytes([a, b, c, d]) as usize;
    if kind == 2 && zeros && size < rest.len() { Signature::There } else { Signature::Malformed }
}

/// Words with the CRCs, and as many names, each ended by NUL.
fn parse_extended_versions<'a>(crcs: &'a [u8], names: &'a [u8], target: Target) -> Result<Vec<(&'a str, u32)>> {
    let number = if target.is_big { u32::from_be_bytes } else { u32::from_le_bytes };
    let (words, rest) = crcs.as_chunks::<4>();
    let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let names = names.map(|name| std::str::from_utf8(name).ok()).collect::<Option<Vec<&str>>>();
    let names = names.ok_or_else(|| Error::ExtendedName)?;
    if !rest.is_empty() || words.len() != names.len() {
        return Err(Error::ExtendedCount { crcs: words.len(), names: names.len() }.into());
    }
    Ok(names.into_iter().zip(words.iter().map(|word| number(*word))).collect())
}

/// Records of 64 bytes: an unsigned long with the CRC, then the symbol's name.
fn parse_versions(data: &[u8], target: Target) -> Result<Vec<(&str, u32)>> {
    const RECORD: usize = 64;
    if !data.len().is_multiple_of(RECORD) {
        return Err(Error::VersionsSize { size: data.len(), record: RECORD }.into());
    }
    let name_at = if target.is_64 { 8 } else { 4 };
    data.chunks_exact(RECORD)
        .map(|record| {
            let (crc, name) = record.split_at(name_at);
            // The CRC has 32 bits; in an unsigned long of 64 bits, the low half has it.
            let crc = if target.is_big {
                crc.last_chunk().copied().map(u32::from_be_bytes)
            } else {
                crc.first_chunk().copied().map(u32::from_le_bytes)
            };
            match (text(name), crc) {
                (Some(name), Some(crc)) => Ok((name, crc)),
                _ => Err(Error::VersionsName.into()),
            }
        })
        .collect()
}

/// The text up to the first NUL.
fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes.split(|byte| *byte == 0).next()?).ok()
}

type Symbols<'a> = (Vec<Import<'a>>, Vec<Export<'a>>);

fn read_symbols<'a, Elf: FileHeader<Endian = Endianness>>(
    bytes: &'a [u8],
    endian: Endianness,
    sections: &SectionTable<'a, Elf>,
    symbols: &SymbolTable<'a, Elf>,
) -> Result<Symbols<'a>> {
    let strings = symbols.strings();
    let mut imports = Vec::new();
    let mut crcs: Vec<(&str, Option<u32>)> = Vec::new();
    let mut tables: Vec<(&str, usize)> = Vec::new();
    let mut namespaces: Vec<(&str, usize, u64)> = Vec::new();
    for symbol in symbols.iter().skip(1) {
        let name = symbol.name(endian, strings).map_err(damaged("symbol table"))?;
        let index = symbol.st_shndx(endian);
        if index == elf::SHN_UNDEF {
            let name = std::str::from_utf8(name).map_err(|_| Error::SymbolName)?;
            if !name.is_empty() {
                imports.push(Import { name, weak: symbol.st_bind() == elf::STB_WEAK });
            }
            continue;
        }
        // Nearly every symbol ends here: names of exports begin with two underscores and one of two letters.
        let [b'_', b'_', b'c' | b'k', ..] = name else { continue };
        let Ok(name) = std::str::from_utf8(name) else { continue };
        let value: u64 = symbol.st_value(endian).into();
        if let Some(export) = name.strip_prefix("__crc_") {
            let crc = if index == elf::SHN_ABS {
                Some(value as u32)
            } else {
                word_at(bytes, endian, sections, index.0, value)
            };
            crcs.push((export, crc));
        } else if let Some(export) = name.strip_prefix("__ksymtab_") {
            tables.push((export, usize::from(index.0)));
        } else if let Some(export) = name.strip_prefix("__kstrtabns_") {
            namespaces.push((export, usize::from(index.0), value));
        }
    }
    Ok((imports, join_exports(bytes, endian, sections, crcs, tables, namespaces)))
}

/// One list of exports from the three kinds of symbols that describe them.
fn join_exports<'a, Elf: FileHeader<Endian = Endianness>>(
    bytes: &'a [u8],
    endian: Endianness,
    sections: &SectionTable<'a, Elf>,
    crcs: Vec<(&'a str, Option<u32>)>,
    tables: Vec<(&'a str, usize)>,
    namespaces: Vec<(&'a str, usize, u64)>,
) -> Vec<Export<'a>> {
    let mut exports: Vec<Export<'a>> = Vec::with_capacity(tables.len().max(crcs.len()));
    let mut by_name = std::collections::HashMap::with_capacity(exports.capacity());
    let mut at = |name: &'a str, exports: &mut Vec<Export<'a>>| -> usize {
        *by_name.entry(name).or_insert_with(|| {
            exports.push(Export { name, crc: None, gpl_only: false, namespace: "" });
            exports.len() - 1
        })
    };
    for (name, crc) in crcs {
        let index = at(name, &mut exports);
        exports[index].crc = crc;
    }
    for (name, section) in tables {
        let index = at(name, &mut exports);
        exports[index].gpl_only = sections
            .section(object::SectionIndex(section))
            .and_then(|section| sections.section_name(endian, section))
            .is_ok_and(|name| name.starts_with(b"__ksymtab_gpl"));
    }
    for (name, section, value) in namespaces {
        let index = at(name, &mut exports);
        if let Some(namespace) = sections
            .section(object::SectionIndex(section))
            .ok()
            .and_then(|section| section.data(endian, bytes).ok())
            .and_then(|data| data.get(usize::try_from(value).ok()?..))
            .and_then(text)
        {
            exports[index].namespace = namespace;
        }
    }
    exports
}

fn word_at<Elf: FileHeader<Endian = Endianness>>(
    bytes: &[u8],
    endian: Endianness,
    sections: &SectionTable<'_, Elf>,
    index: u16,
    offset: u64,
) -> Option<u32> {
    let data = sections.section(object::SectionIndex(usize::from(index))).ok()?.data(endian, bytes).ok()?;
    let word = *data.get(usize::try_from(offset).ok()?..)?.first_chunk()?;
    Some(if endian == Endianness::Big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}
