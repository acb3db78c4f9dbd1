//! The shim as the linker made it: what is stored as it is, what is squeezed, and that it holds no address.

use crate::machine::Machine;
use std::ops::Range;

use object::{Architecture, File, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget};
use object::{SectionFlags, build, elf};
use stoop_core::bytes::{put, words};

use super::strings;
use super::sum::{WORD, broken, closing};
use crate::{Result, halves};

/// The section of a prebuilt shim that has its rest in squeezed form.
const SQUEEZED: &str = ".squeezed";
/// In the trace build: the number of its strings, [`strings::number`].
const TABLE: &str = "__trace_table";

/// `jal` and `j`, the upper six bits; and, the upper half, what is the same relative to the instruction behind it: `bal`, and `beq`
/// of two zeros (MIPS32 volume II).
const CALLS: [(u32, u32); 2] = [(3, 0x0411), (2, 0x1000)];

/// A part of a linked shim, or what is wrong with it.
type Parsed<T> = std::result::Result<T, String>;

/// A linked shim, taken apart.
pub(super) struct Linked {
    pub(super) machine: Machine,
    pub(super) big_endian: bool,
    /// Stored as it is.
    pub(super) stub: Vec<u8>,
    /// What is squeezed; its sum is 0.
    pub(super) rest: Vec<u8>,
    /// Its squeezed form, in a prebuilt shim.
    pub(super) squeezed: Option<Vec<u8>>,
    /// Bytes that all that is stored may take.
    pub(super) room: usize,
    /// RAM that the running shim owns.
    pub(super) run_size: usize,
}

impl Linked {
    pub(super) fn of(shim: &[u8]) -> Parsed<Linked> {
        let file = File::parse(shim).map_err(|error| error.to_string())?;
        let (big_endian, machine) = match (file.architecture(), file.is_little_endian()) {
            (Architecture::Mips, true) => (false, Machine::MipsLe),
            (Architecture::Mips, false) => (true, Machine::MipsBe),
            (Architecture::Aarch64, true) => (false, Machine::Arm64),
            (other, _) => return Err(format!("it is for {other:?}")),
        };
        let [stub, rest, params, run_size] =
            ["__stub_end", "__rest", "__params", "__run_end"].map(|name| symbol(&file, name));
        let (stub, rest, params, run_size) = (stub?, rest?, params?, run_size?);
        if !(stub <= rest && rest < params && params < run_size && (params - rest).is_multiple_of(WORD)) {
            return Err("its parts are not in their order".into());
        }
        let mut bytes = vec![0; params];
        for (section, data) in loaded(&file) {
            let at = section.address() as usize;
            bytes.get_mut(at..at + data.len()).ok_or("a section behind its rest")?.copy_from_slice(data);
        }
        let squeezed = file.section_by_name(SQUEEZED).and_then(|section| section.data().ok()).map(<[u8]>::to_vec);
        // Where it runs from its own first byte on, what is stored must not reach what is unpacked.
        let room = if stub == rest { usize::from(u16::MAX) } else { rest };
        let rest = bytes.split_off(rest);
        bytes.truncate(stub);
        Ok(Linked { machine, big_endian, stub: bytes, rest, squeezed, room, run_size })
    }
}

/// The linked shim as images get it: its calls relative, the number of its strings and the last word of its rest in their places,
/// and that rest squeezed by `squeeze`, as a section that is not loaded.
///
/// # Errors
/// It is no shim, or would not run wherever it is put.
pub fn squeezed(shim: &[u8], squeeze: impl FnOnce(&[u8], bool) -> Vec<u8>) -> Result<Vec<u8>> {
    let failed = |error: object::build::Error| broken(error.to_string());
    let (shim, rest, big_endian) = finished(shim).map_err(broken)?;
    let stream = squeeze(&rest, big_endian);
    if halves::unpack(&stream, rest.len(), big_endian).as_ref() != Some(&rest) {
        return Err(broken("what was squeezed does not come back").into());
    }
    let mut file = build::elf::Builder::read(&*shim).map_err(failed)?;
    for section in file.sections.iter_mut().filter(|section| *section.name == *SQUEEZED.as_bytes()) {
        section.delete = true;
    }
    let section = file.sections.add();
    section.name = SQUEEZED.into();
    section.sh_type = elf::SHT_PROGBITS;
    section.sh_addralign = 1;
    section.data = build::elf::SectionData::Data(stream.into());
    let mut bytes = Vec::new();
    file.write(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// The shim before it is squeezed, its rest, and whether it is big-endian.
fn finished(shim: &[u8]) -> Parsed<(Vec<u8>, Vec<u8>, bool)> {
    let file = File::parse(shim).map_err(|error| error.to_string())?;
    let mut bytes = shim.to_vec();
    if file.architecture() == Architecture::Mips {
        make_calls_relative(&file, &mut bytes)?;
    }
    if let Ok(table) = symbol(&file, TABLE) {
        let number = strings::number(shim);
        bytes[place(&file, table, number.len())?].copy_from_slice(&number);
    }
    let linked = Linked::of(&bytes)?;
    let content = &linked.rest[..linked.rest.len() - WORD];
    let last = symbol(&file, "__params")? - WORD;
    bytes[place(&file, last, WORD)?].copy_from_slice(&closing(content, linked.big_endian));
    holds_no_address(&bytes)?;
    let linked = Linked::of(&bytes)?;
    Ok((bytes, linked.rest, linked.big_endian))
}

fn word(bytes: &[u8], big_endian: bool) -> u32 {
    let mut one = [0];
    words(&mut one, bytes, big_endian);
    one[0]
}

fn symbol(file: &File<'_>, name: &str) -> Parsed<usize> {
    let found = file.symbols().find(|symbol| symbol.name() == Ok(name));
    found.map(|symbol| symbol.address() as usize).ok_or(format!("no symbol {name}"))
}

/// The sections that have bytes of the running shim, and these.
fn loaded<'data, 'file>(
    file: &'file File<'data>,
) -> impl Iterator<Item = (object::Section<'data, 'file>, &'data [u8])> {
    let with_bytes = |section: object::Section<'data, 'file>| {
        let data = section.data().ok().filter(|data| is_loaded(&section) && !data.is_empty())?;
        Some((section, data))
    };
    file.sections().filter_map(with_bytes)
}

fn is_loaded<'data>(section: &impl ObjectSection<'data>) -> bool {
    matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & elf::SHF_ALLOC.0 != 0)
}

/// Where in the file the bytes of an address are.
fn place(file: &File<'_>, address: usize, size: usize) -> Parsed<Range<usize>> {
    let all = loaded(file).find_map(|(section, data)| {
        let at = address.checked_sub(section.address() as usize)?;
        let start = section.file_range()?.0 as usize + at;
        (at + size <= data.len()).then_some(start..start + size)
    });
    all.ok_or(format!("no bytes at 0x{address:x}"))
}

/// Absolute calls and jumps of the compiler become the same instructions with a distance.
fn make_calls_relative(file: &File<'_>, bytes: &mut [u8]) -> Parsed<()> {
    let big_endian = !file.is_little_endian();
    for (address, relocation) in loaded(file).flat_map(|(section, _)| section.relocations().collect::<Vec<_>>()) {
        if !matches!(relocation.flags(), RelocationFlags::Elf { r_type: elf::R_MIPS_26 }) {
            continue;
        }
        let field = &mut bytes[place(file, address as usize, WORD)?];
        let old = word(field, big_endian);
        if CALLS.iter().any(|(_, relative)| *relative == old >> 16) {
            continue;
        }
        // Linked at 0: the target's upper bits are zeros, and it counts from the delay slot.
        let distance = i64::from((old & 0x03ff_ffff) << 2) - (address as i64 + 4);
        let distance = i16::try_from(distance / 4).map_err(|_| format!("the call at 0x{address:x} goes too far"))?;
        let call = CALLS.iter().find(|(absolute, _)| *absolute == old >> 26);
        let (_, relative) = call.ok_or(format!("0x{old:08x} at 0x{address:x} is no call"))?;
        put(field, relative << 16 | u32::from(distance as u16), big_endian);
    }
    Ok(())
}

/// Whatever is wider than what an instruction holds is an address, which would be wrong anywhere but where it was linked (System V
/// ABI: MIPS RISC processor supplement, chapter 4; ELF for the Arm 64-bit architecture, chapter 5). Numbers of defmt's strings are
/// not: they are symbols of a section that is not loaded.
fn holds_no_address(shim: &[u8]) -> Parsed<()> {
    let file = File::parse(shim).map_err(|error| error.to_string())?;
    let big_endian = !file.is_little_endian();
    for (address, relocation) in loaded(&file).flat_map(|(section, _)| section.relocations().collect::<Vec<_>>()) {
        let RelocationFlags::Elf { r_type } = relocation.flags() else { continue };
        let holds = match file.architecture() {
            Architecture::Aarch64 => {
                matches!(r_type, elf::R_AARCH64_ABS64 | elf::R_AARCH64_ABS32 | elf::R_AARCH64_ABS16)
            }
            _ => match r_type {
                // A low half is a distance from the shim's first byte, since there is no high one with it.
                elf::R_MIPS_NONE | elf::R_MIPS_PC16 | elf::R_MIPS_GPREL16 | elf::R_MIPS_LO16 => false,
                elf::R_MIPS_26 => {
                    let call = word(&shim[place(&file, address as usize, WORD)?], big_endian);
                    CALLS.iter().all(|(_, relative)| *relative != call >> 16)
                }
                _ => !is_number(&file, relocation.target()),
            },
        };
        if holds {
            return Err(format!("an address at 0x{address:x}: relocation type {}", r_type.0));
        }
    }
    Ok(())
}

fn is_number(file: &File<'_>, target: RelocationTarget) -> bool {
    let RelocationTarget::Symbol(index) = target else { return false };
    let section = file.symbol_by_index(index).ok().and_then(|symbol| symbol.section_index());
    section.and_then(|index| file.section_by_index(index).ok()).is_some_and(|section| !is_loaded(&section))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use crate::shim_image::tests::all;
    use crate::shim_image::{Variant, prebuilt};

    #[test]
    fn no_shim_holds_an_address_and_every_call_is_relative() {
        for (arch, variant, shim) in all() {
            holds_no_address(shim).unwrap_or_else(|fact| panic!("{arch} {}: {fact}", variant.name()));
        }
    }

    #[test]
    fn a_call_that_is_still_absolute_is_an_address() {
        for arch in [Machine::MipsBe, Machine::MipsLe] {
            let shim = prebuilt(arch, Variant::Full).unwrap();
            let file = File::parse(shim).unwrap();
            let calls = loaded(&file).flat_map(|(section, _)| section.relocations().collect::<Vec<_>>());
            let is_call = |flags| matches!(flags, RelocationFlags::Elf { r_type: elf::R_MIPS_26 });
            let calls: Vec<u64> = calls.filter(|(_, it)| is_call(it.flags())).map(|(at, _)| at).collect();
            assert!(calls.len() > 50, "{arch}: only {} calls", calls.len());
            let mut bytes = shim.to_vec();
            let field = &mut bytes[place(&file, calls[7] as usize, WORD).unwrap()];
            put(field, 3 << 26, arch == Machine::MipsBe);
            let fact = holds_no_address(&bytes).unwrap_err();
            assert!(fact.contains(&format!("0x{:x}", calls[7])), "{fact}");
        }
    }

    #[test]
    fn a_traced_shim_says_which_strings_it_needs_and_others_have_none() {
        for (arch, variant, shim) in all() {
            let file = File::parse(shim).unwrap();
            let field = symbol(&file, TABLE);
            assert_eq!(field.is_ok(), variant == Variant::Trace, "{arch} {}", variant.name());
            if let Ok(field) = field {
                assert_eq!(shim[place(&file, field, 2).unwrap()], strings::number(shim), "{arch}");
            }
        }
        assert!(prebuilt(Machine::Arm64, Variant::Trace).is_err());
    }

    #[test]
    fn a_shim_whose_squeezed_rest_is_another_one_s_is_refused() {
        for (_, _, shim) in all() {
            for wrong in [Vec::new(), halves::plain(b"another rest", true)] {
                let failure = squeezed(shim, |_, _| wrong).unwrap_err();
                assert!(failure.to_string().contains("does not come back"), "{failure}");
            }
        }
    }
}
