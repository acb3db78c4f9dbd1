//! What a kernel exports to modules, from its `Module.symvers` or from the vmlinux itself.
//!
//! Encodings: `scripts/mod/modpost.c` (`read_dump`) and `include/linux/export-internal.h` (`__ksymtab`, `__kcrctab`).

use std::path::Path;

use object::read::elf::{ElfFile, FileHeader, ProgramHeader};
use object::{Endianness, FileKind, Object, ObjectSection, ObjectSymbol, elf};

pub(super) use super::exports::find_vermagic;
pub use super::exports::{Kernel, KernelSymbol};
use super::flat;
use super::ko::Target;
use crate::Result;
use crate::modules::Error;
use stoop_image::input::{
    self,
    kernel::{Form, Overrides},
};
use stoop_image::progress::Progress;

impl Kernel {
    /// Reads `Module.symvers`. Symbols that modules export are left to the modules themselves.
    ///
    /// # Errors
    /// The file cannot be read, a line is damaged, or the kernel exports nothing by it.
    pub fn from_symvers(path: &Path) -> Result<Self> {
        let bytes = match path.as_os_str() == "-" {
            true => input::read_file(path)?,
            // An empty one has its own message.
            false => input::read_whole(path)?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let mut kernel = Kernel { source: path.display().to_string(), ..Kernel::default() };
        for (number, line) in text.lines().enumerate() {
            let fields: Vec<&str> = line.split('\t').collect();
            let crc =
                fields.first().and_then(|crc| crc.strip_prefix("0x")).and_then(|crc| u32::from_str_radix(crc, 16).ok());
            let (Some(crc), [_, name, from, kind, rest @ ..]) = (crc, fields.as_slice()) else {
                return Err(Error::SymbolRecord { path: path.into(), line: number + 1, text: line.to_owned() }.into());
            };
            if *from != "vmlinux" {
                continue;
            }
            kernel.has_crcs |= crc != 0;
            let symbol = KernelSymbol {
                crc: Some(crc),
                gpl_only: kind.starts_with("EXPORT_SYMBOL_GPL"),
                namespace: rest.first().copied().unwrap_or_default().to_owned(),
            };
            kernel.symbols.insert((*name).to_owned(), symbol);
        }
        if !kernel.has_crcs {
            kernel.symbols.values_mut().for_each(|symbol| symbol.crc = None);
        }
        kernel.not_empty(path)
    }

    /// Reads the kernel in whatever form it comes: a vmlinux with its sections, else any form that can be packed
    /// (vmlinuz, uImage, Debian's `linux-image-*.deb`), whose bare image is searched for the tables.
    ///
    /// # Errors
    /// The file cannot be read, is no kernel, or no table of exported symbols is found in it.
    pub fn from_any(path: &Path, progress: &mut dyn Progress) -> Result<Self> {
        if Kernel::has_tables(path)? {
            return Kernel::from_vmlinux(path);
        }
        Kernel::in_image(path, &input::kernel::Kernel::read(path, Overrides::default(), progress)?)
    }

    /// As [`Kernel::from_any`], for a kernel that was read already.
    ///
    /// # Errors
    /// As for [`Kernel::from_any`].
    pub fn of(path: &Path, kernel: &input::kernel::Kernel) -> Result<Self> {
        if *kernel.form.innermost() == Form::Vmlinux && Kernel::has_tables(path)? {
            return Kernel::from_vmlinux(path);
        }
        Kernel::in_image(path, kernel)
    }

    /// Whether it is an ELF file with the sections that [`Kernel::from_vmlinux`] reads.
    fn has_tables(path: &Path) -> Result<bool> {
        let bytes = input::read_file(path)?;
        Ok(object::File::parse(bytes.as_slice()).is_ok_and(|file| file.section_by_name("__ksymtab").is_some()))
    }

    fn in_image(path: &Path, kernel: &input::kernel::Kernel) -> Result<Self> {
        let is_big = kernel.arch.is_big_endian();
        let found = kernel
            .proper()
            .and_then(|(image, physical)| flat::exports(&image, u32::try_from(physical).ok()? | 0x8000_0000, is_big));
        let Some(mut found) = found else {
            return Err(Error::NoExports { path: path.into() }.into());
        };
        found.source = path.display().to_string();
        found.target = Some(Target { machine: elf::EM_MIPS.0, is_64: false, is_big });
        Ok(found)
    }

    /// Reads a vmlinux.
    ///
    /// # Errors
    /// The file cannot be read, is no ELF kernel, or has no table of exported symbols (a vmlinuz has it compressed).
    pub fn from_vmlinux(path: &Path) -> Result<Self> {
        let bytes = input::read_file(path)?;
        let kernel = match FileKind::parse(bytes.as_slice()) {
            Ok(FileKind::Elf32) => read_vmlinux::<elf::FileHeader32<Endianness>>(&bytes),
            Ok(FileKind::Elf64) => read_vmlinux::<elf::FileHeader64<Endianness>>(&bytes),
            _ => Err(Error::KernelNotElf.into()),
        };
        let mut kernel = kernel.map_err(|failure| failure.within(path.display()))?;
        kernel.source = path.display().to_string();
        kernel.not_empty(path)
    }

    fn not_empty(self, path: &Path) -> Result<Self> {
        if self.symbols.is_empty() {
            return Err(Error::NoSymbol { path: path.into() }.into());
        }
        Ok(self)
    }
}

fn read_vmlinux<Elf: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Result<Kernel> {
    let damaged = |e: object::Error| Error::KernelElf { reason: e };
    let file = ElfFile::<Elf>::parse(bytes).map_err(damaged)?;
    let endian = file.endian();
    let header = file.elf_header();
    let is_64 = header.is_type_64();
    let machine = header.e_machine(endian);
    let mut kernel = Kernel {
        target: Some(Target { machine: machine.0, is_64, is_big: endian == Endianness::Big }),
        ..Kernel::default()
    };
    let image: Image<'_, Elf> = Image { segments: file.elf_program_headers(), bytes, endian };
    for (table, crcs, gpl_only) in [("__ksymtab", "__kcrctab", false), ("__ksymtab_gpl", "__kcrctab_gpl", true)] {
        let Some(section) = file.section_by_name(table) else { continue };
        let data = section.data().map_err(damaged)?;
        let crcs = match file.section_by_name(crcs) {
            Some(section) => section.data().map_err(damaged)?,
            None => &[],
        };
        // arm64 and x86 store places relative to the field (HAVE_ARCH_PREL32_RELOCATIONS), MIPS stores addresses.
        let relative = machine != elf::EM_MIPS;
        let word = if relative || !is_64 { 4 } else { 8 };
        for (index, record) in data.chunks_exact(3 * word).enumerate() {
            let field = |which: usize| -> u64 {
                let value = image.number(&record[which * word..][..word]);
                let at = section.address() + ((3 * index + which) * word) as u64;
                if relative { at.wrapping_add_signed(i64::from(value as u32 as i32)) } else { value }
            };
            let is_set = |which: usize| image.number(&record[which * word..][..word]) != 0;
            let name = image.text(field(1)).ok_or_else(|| Error::ExportOutside { index, table: table.to_string() })?;
            let namespace = if is_set(2) { image.text(field(2)).unwrap_or_default() } else { "" };
            let crc = crcs.chunks_exact(4).nth(index).map(|crc| image.number(crc) as u32);
            kernel.has_crcs |= crc.is_some();
            kernel.symbols.insert(name.to_owned(), KernelSymbol { crc, gpl_only, namespace: namespace.to_owned() });
        }
    }
    kernel.vermagic = file
        .symbols()
        .find(|symbol| symbol.name() == Ok("vermagic"))
        .and_then(|symbol| image.text(symbol.address()))
        .or_else(|| find_vermagic(bytes))
        .map(str::to_owned);
    Ok(kernel)
}

/// The loaded parts of an ELF file, by address.
struct Image<'a, Elf: FileHeader> {
    segments: &'a [Elf::ProgramHeader],
    bytes: &'a [u8],
    endian: Elf::Endian,
}

impl<'a, Elf: FileHeader<Endian = Endianness>> Image<'a, Elf> {
    /// A number of 4 or 8 bytes.
    fn number(&self, bytes: &[u8]) -> u64 {
        let fold = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        match self.endian {
            Endianness::Big => bytes.iter().fold(0, fold),
            Endianness::Little => bytes.iter().rev().fold(0, fold),
        }
    }

    /// The NUL-terminated text at an address.
    fn text(&self, address: u64) -> Option<&'a str> {
        self.segments.iter().filter(|segment| segment.p_type(self.endian) == elf::PT_LOAD).find_map(|segment| {
            let data = segment.data(self.endian, self.bytes).ok()?;
            let offset = address.checked_sub(segment.p_vaddr(self.endian).into())?;
            let text = data.get(usize::try_from(offset).ok()?..)?;
            std::str::from_utf8(text.get(..text.iter().position(|byte| *byte == 0)?)?).ok()
        })
    }
}
