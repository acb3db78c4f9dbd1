//! Small synthetic kernels for tests: instructions as the kernel's own start-up code has them, ELF files, uImages, packages.

use object::{Endianness, elf, write::elf as out};

/// Instructions as bytes.
pub(crate) fn words(program: &[u32], big_endian: bool) -> Vec<u8> {
    program.iter().flat_map(|word| if big_endian { word.to_be_bytes() } else { word.to_le_bytes() }).collect()
}

/// `lui` and `addiu` of a 32-bit constant.
fn constant(register: u32, value: u32) -> [u32; 2] {
    let low = value & 0xffff;
    let high = (value.wrapping_sub(low as u16 as i16 as i32 as u32)) >> 16;
    [0x3c00_0000 | register << 16 | high, 0x2400_0000 | register << 21 | register << 16 | low]
}

/// `kernel_entry` up to the loop that clears the bss: mfc0/mtc0, the jump to the link address, the loop.
pub(crate) fn kernel_entry(bss_start: u32, bss_stop: u32) -> Vec<u32> {
    const T0: u32 = 8;
    const T1: u32 = 9;
    let mut program = vec![0x4008_6000, 0x3c01_1000, 0x3421_001f, 0x0101_4025, 0x3908_001f, 0x4088_6000, 0xc0];
    program.extend(constant(T0, 0x8010_0030));
    program.extend([0x0100_0008, 0]);
    program.extend(constant(T0, bss_start));
    program.push(0xad00_0000);
    program.extend(constant(T1, bss_stop - 4));
    program.extend([0x2508_0004, 0xad00_0000, 0x1509_fffd, 0]);
    // What a compiler emits by the thousand, so that the byte order can be told.
    program.extend([0x27bd_ffe0, 0x27bd_0020, 0x03e0_0008, 0x27bd_ffe0, 0x27bd_0020, 0x03e0_0008]);
    program
}

/// `start` of a vmlinuz: arguments saved, bss cleared, decompress_kernel called, the kernel called.
pub(crate) fn zboot_start(edata: u32, end: u32, entry: u32) -> Vec<u32> {
    let mut program = vec![0x0080_8025, 0x00a0_8825, 0x00c0_9025, 0x00e0_9825];
    program.extend(constant(4, edata));
    program.extend(constant(6, end));
    program.extend([0xac80_0000, 0x2484_0004, 0x14c4_fffd, 0]);
    program.extend(constant(25, 0x810f_1184));
    program.extend([0x0320_f809, 0]);
    program.extend([0x0200_2025, 0x0220_2825, 0x0240_3025, 0x0260_3825]);
    program.extend([0x3c19_0000 | entry >> 16, 0x3739_0000 | entry & 0xffff, 0x0320_f809, 0, 0x1000_ffff, 0]);
    program.extend([0x27bd_ffe0, 0x27bd_0020, 0x03e0_0008, 0x27bd_ffe0, 0x27bd_0020, 0x03e0_0008]);
    program
}

/// One PT_LOAD.
pub(crate) struct Segment {
    pub(crate) address: u32,
    pub(crate) bytes: Vec<u8>,
    pub(crate) memory: u32,
}

/// An ELF file to be written.
pub(crate) struct Elf<'a> {
    pub(crate) big_endian: bool,
    pub(crate) machine: elf::Machine,
    pub(crate) kind: elf::FileType,
    pub(crate) is_64: bool,
    pub(crate) entry: u32,
    pub(crate) segments: Vec<Segment>,
    pub(crate) symbols: Vec<(&'a str, u32)>,
}

impl Default for Elf<'_> {
    fn default() -> Self {
        Elf {
            big_endian: false,
            machine: elf::EM_MIPS,
            kind: elf::ET_EXEC,
            is_64: false,
            entry: 0x8010_0000,
            segments: Vec::new(),
            symbols: Vec::new(),
        }
    }
}

impl Elf<'_> {
    /// A little kernel: `kernel_entry`, then `tail`, 0x1000 bytes of bss.
    pub(crate) fn kernel(big_endian: bool, tail: &[u8]) -> Self {
        let size = (4 * kernel_entry(0, 4).len() + tail.len()).next_multiple_of(16) as u32;
        let bss = 0x8010_0000 + size;
        let mut bytes = words(&kernel_entry(bss, bss + 0x1000), big_endian);
        bytes.extend_from_slice(tail);
        bytes.resize(size as usize, 0);
        let segments = vec![Segment { address: 0x8010_0000, bytes, memory: size + 0x1000 }];
        Elf { big_endian, segments, ..Elf::default() }
    }

    /// The file.
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let endian = if self.big_endian { Endianness::Big } else { Endianness::Little };
        let mut writer = out::Writer::new(endian, self.is_64, &mut bytes);
        writer.reserve_file_header();
        writer.reserve_program_headers(self.segments.len() as u32);
        let offsets: Vec<u64> = self.segments.iter().map(|s| writer.reserve(s.bytes.len() as u64, 16)).collect();
        writer.reserve_null_section_index();
        let names: Vec<_> = self.symbols.iter().map(|(name, _)| writer.add_string(name.as_bytes())).collect();
        writer.reserve_null_symbol_index();
        for _ in &names {
            writer.reserve_symbol_index(None);
        }
        writer.reserve_symtab_section_index();
        writer.reserve_symtab();
        writer.reserve_strtab_section_index();
        writer.reserve_strtab().unwrap();
        writer.reserve_shstrtab_section_index();
        writer.reserve_shstrtab().unwrap();
        writer.reserve_section_headers();

        writer
            .write_file_header(&out::FileHeader {
                abi_version: 0,
                e_type: self.kind,
                e_machine: self.machine,
                e_entry: self.entry.into(),
                e_flags: elf::FileFlags(0x7000_1001),
                os_abi: elf::OsAbi(0),
            })
            .unwrap();
        writer.write_align_program_headers();
        for (segment, offset) in self.segments.iter().zip(&offsets) {
            writer.write_program_header(&out::ProgramHeader {
                p_type: elf::PT_LOAD,
                p_flags: elf::ProgramFlags(7),
                p_offset: *offset,
                p_vaddr: segment.address.into(),
                p_paddr: segment.address.into(),
                p_filesz: segment.bytes.len() as u64,
                p_memsz: segment.memory.into(),
                p_align: 16,
            });
        }
        for segment in &self.segments {
            writer.write_align(16);
            writer.write(&segment.bytes);
        }
        writer.write_null_symbol();
        for (name, (_, value)) in names.iter().zip(&self.symbols) {
            let st_name = writer.string_offset(Some(*name));
            writer.write_symbol(&out::Sym {
                section: None,
                st_name,
                st_info: elf::SymbolInfo(elf::STB_GLOBAL.0 << 4),
                st_other: elf::SymbolOther(0),
                st_shndx: elf::SHN_ABS,
                st_value: (*value).into(),
                st_size: 0,
            });
        }
        writer.write_strtab();
        writer.write_shstrtab();
        writer.write_null_section_header();
        writer.write_symtab_section_header(1);
        writer.write_strtab_section_header();
        writer.write_shstrtab_section_header();
        bytes
    }
}

/// What to put into a uImage's header.
pub(crate) struct UImage {
    pub(crate) load: u32,
    pub(crate) entry: u32,
    pub(crate) arch: u8,
    pub(crate) kind: u8,
    pub(crate) codec: u8,
}

impl UImage {
    /// A MIPS kernel, not compressed, that starts where it is loaded.
    pub(crate) fn kernel(load: u32) -> Self {
        UImage { load, entry: load, arch: 5, kind: 2, codec: 0 }
    }

    /// The file.
    pub(crate) fn write(&self, data: &[u8]) -> Vec<u8> {
        let crc = stoop_core::crc32::Crc32::new();
        let mut header = Vec::new();
        for word in [0x2705_1956, 0, 0x6000_0000, data.len() as u32, self.load, self.entry, crc.of(data)] {
            header.extend_from_slice(&word.to_be_bytes());
        }
        header.extend_from_slice(&[5, self.arch, self.kind, self.codec]);
        header.resize(64, 0);
        header[32..37].copy_from_slice(b"Linux");
        let sum = crc.of(&header).to_be_bytes();
        header[4..8].copy_from_slice(&sum);
        header.extend_from_slice(data);
        header
    }
}

/// A FIT to be written, as mkimage makes it: two configurations, of which one is the default, and three hashes.
pub(crate) struct Fit {
    pub(crate) load: u32,
    pub(crate) entry: u32,
    pub(crate) arch: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) compression: &'static str,
    pub(crate) default: Option<&'static str>,
    /// What the default configuration names.
    pub(crate) kernel: &'static str,
}

impl Default for Fit {
    fn default() -> Self {
        Fit {
            load: 0x8010_0000,
            entry: 0x8010_0000,
            arch: "mips",
            kind: "kernel",
            compression: "none",
            default: Some("second"),
            kernel: "kernel",
        }
    }
}

impl Fit {
    /// The file.
    pub(crate) fn write(&self, data: &[u8]) -> Vec<u8> {
        use sha2::Digest;
        let mut fit = vm_fdt::FdtWriter::new().unwrap();
        let root = fit.begin_node("").unwrap();
        fit.property_string("description", "test").unwrap();
        let images = fit.begin_node("images").unwrap();
        let kernel = fit.begin_node("kernel").unwrap();
        fit.property("data", data).unwrap();
        let texts = [("type", self.kind), ("arch", self.arch), ("os", "linux"), ("compression", self.compression)];
        for (name, value) in texts {
            fit.property_string(name, value).unwrap();
        }
        fit.property_u32("load", self.load).unwrap();
        fit.property_u32("entry", self.entry).unwrap();
        let crc = crate::format::checksum::checksum(data).to_be_bytes().to_vec();
        let (one, two) = (sha1::Sha1::digest(data).to_vec(), sha2::Sha256::digest(data).to_vec());
        for (node, algorithm, value) in [("hash-1", "crc32", crc), ("hash@2", "sha1", one), ("hash-3", "sha256", two)] {
            let hash = fit.begin_node(node).unwrap();
            fit.property_string("algo", algorithm).unwrap();
            fit.property("value", &value).unwrap();
            fit.end_node(hash).unwrap();
        }
        fit.end_node(kernel).unwrap();
        fit.end_node(images).unwrap();
        let configurations = fit.begin_node("configurations").unwrap();
        if let Some(default) = self.default {
            fit.property_string("default", default).unwrap();
        }
        for (name, kernel) in [("first", "none"), ("second", self.kernel)] {
            let node = fit.begin_node(name).unwrap();
            fit.property_string("kernel", kernel).unwrap();
            fit.end_node(node).unwrap();
        }
        fit.end_node(configurations).unwrap();
        fit.end_node(root).unwrap();
        fit.finish().unwrap()
    }
}
