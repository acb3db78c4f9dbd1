//! From the prebuilt shim to the front of an image: moved to its run address, the params in their place, squeezed.

mod arm64;

use object::read::elf::ElfFile32;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionFlags, elf};
use stoop_core::codec::Codec;
use stoop_core::manifest::Machine;
use stoop_core::params;

pub use arm64::{image_front, squeezed};

use crate::input::Arch;
use crate::squeeze::{squeeze, unsqueeze};
use crate::{Failure, Result, monitor};

/// The shim's code can only be moved by multiples of this: then a low half never carries into its high half.
pub const GRAIN: usize = 0x1_0000;
/// The mark `STPS` in the third word of every shim, and behind it the size of what is stored as it is (start.S).
const MARK: u32 = 0x5354_5053;
const MARK_AT: usize = 8;

/// The first bytes of an image: what the bootloader enters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShimFront {
    /// As they are stored.
    pub bytes: Vec<u8>,
    /// Bytes that they unpack to at the run address.
    pub unpacked: usize,
    /// RAM that the shim needs at its run address: code, params, tables, stack.
    pub run_size: usize,
}

/// Which decoders a shim has: each takes bytes of every image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// None: for payloads that are stored as they are.
    Store,
    /// LZ4 and LZMA.
    Full,
    /// These, and it says by defmt what it decides and why: [`crate::monitor`]. Only when asked for.
    Trace,
}

impl Variant {
    /// The smallest first.
    pub const ALL: [Variant; 3] = [Variant::Store, Variant::Full, Variant::Trace];

    /// There is such a shim for this architecture.
    pub fn exists(self, arch: Arch) -> bool {
        prebuilt(arch, self).is_ok()
    }

    /// Can deliver a payload that is stored so.
    pub fn decodes(self, codec: Codec) -> bool {
        self != Variant::Store || codec == Codec::Store
    }

    /// The smallest that can deliver payloads stored by all of these.
    pub fn smallest(codecs: impl IntoIterator<Item = Codec>) -> Variant {
        match codecs.into_iter().all(|codec| Variant::Store.decodes(codec)) {
            true => Variant::Store,
            false => Variant::Full,
        }
    }

    /// As in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Variant::Store => "store",
            Variant::Full => "full",
            Variant::Trace => "trace",
        }
    }
}

/// A file as bytes where an ELF header may be: defmt's decoder wants that of the shim whose strings it reads.
macro_rules! aligned {
    ($file:literal) => {{
        #[repr(C, align(8))]
        struct Aligned<T: ?Sized>(T);
        static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!($file));
        &FILE.0
    }};
}

/// The shim that comes with this tool.
///
/// # Errors
/// None exists for the architecture.
pub fn prebuilt(arch: Arch, variant: Variant) -> Result<&'static [u8]> {
    Ok(match (arch, variant) {
        (Arch::MipsBe, Variant::Store) => include_bytes!("../prebuilt/shim-mips-be-store.elf"),
        (Arch::MipsBe, Variant::Full) => include_bytes!("../prebuilt/shim-mips-be.elf"),
        (Arch::MipsBe, Variant::Trace) => aligned!("../prebuilt/shim-mips-be-trace.elf"),
        (Arch::MipsLe, Variant::Store) => include_bytes!("../prebuilt/shim-mips-le-store.elf"),
        (Arch::MipsLe, Variant::Full) => include_bytes!("../prebuilt/shim-mips-le.elf"),
        (Arch::MipsLe, Variant::Trace) => aligned!("../prebuilt/shim-mips-le-trace.elf"),
        (Arch::Arm64, Variant::Store) => include_bytes!("../prebuilt/shim-arm64-store.elf"),
        (Arch::Arm64, Variant::Full) => include_bytes!("../prebuilt/shim-arm64.elf"),
        (Arch::Arm64, Variant::Trace) => {
            return Err(Failure::usage("there is no traced shim for arm64").next("pack without `--trace`"));
        }
    })
}

/// The image's front for a shim that runs at the virtual address `run_address` with `params`.
///
/// # Errors
/// The params are larger than the shim's room for them. Anything else is a mistake of this tool, not of its user: an
/// address that is no multiple of [`GRAIN`], or a file that is no shim.
pub fn front(shim: &[u8], run_address: usize, params: &[u8]) -> Result<ShimFront> {
    let broken = |fact: String| {
        Failure::new(format!("the shim cannot be moved to 0x{run_address:x}: {fact}"))
            .next("report this: the shim in this copy of stoop is broken")
    };
    let mut moved = Moved::of(shim, run_address).map_err(broken)?;
    put_params(&mut moved.bytes[moved.params..], params)?;
    let (front, rest) = moved.bytes.split_at(moved.front);
    let bytes = [front, &squeeze(&words(rest, moved.big_endian), moved.big_endian)].concat();
    if unpack(&bytes, moved.bytes.len()).as_ref() != Some(&moved.bytes) {
        return Err(broken("what was squeezed does not come back".into()));
    }
    Ok(ShimFront { bytes, unpacked: moved.bytes.len(), run_size: moved.run_size })
}

fn put_params(room: &mut [u8], params: &[u8]) -> Result<()> {
    let size = room.len();
    let block = room.get_mut(..params.len()).ok_or_else(|| {
        Failure::usage(format!("the params take 0x{:x} bytes, the shim has 0x{size:x}", params.len()))
            .next("give a shorter cookie or fewer kept keys")
    })?;
    block.copy_from_slice(params);
    Ok(())
}

/// RAM that the shim needs wherever it runs, in bytes.
///
/// # Errors
/// The file is no shim.
pub fn run_size(shim: &[u8]) -> Result<usize> {
    let size = match arm64::is_shim(shim) {
        true => arm64::Linked::of(shim).map(|linked| linked.run_size),
        false => Moved::of(shim, LINKED_AT).map(|moved| moved.run_size),
    };
    size.map_err(|fact| Failure::new(format!("the shim is broken: {fact}")).next("report this"))
}

/// The machine of the shim that these bytes begin with.
pub fn machine(image: &[u8]) -> Option<Machine> {
    if arm64::is_marked(image) {
        return Some(Machine::Arm64);
    }
    mark(image).map(|(big_endian, _)| if big_endian { Machine::MipsBe } else { Machine::MipsLe })
}

/// In the trace build: the number of its strings, [`monitor::number`].
const TABLE: &str = "__trace_table";

/// Writes it.
fn number(shim: &[u8], field: &mut [u8]) {
    field.iter_mut().zip(monitor::number(shim)).for_each(|(to, byte)| *to = byte);
}

/// Where linker/mips.ld puts the shim.
const LINKED_AT: usize = 0x8000_0000;

/// What the front of an image becomes where it runs, the params at the end; `None` when it is no shim or damaged.
pub fn unpack(image: &[u8], size: usize) -> Option<Vec<u8>> {
    if arm64::is_marked(image) {
        return arm64::unpack(image, size);
    }
    let (big_endian, front) = mark(image)?;
    let (front, stream) = image.split_at_checked(front)?;
    let rest = size.checked_sub(front.len()).filter(|size| size.is_multiple_of(4))?;
    let words = unsqueeze(stream, rest / 4, big_endian)?;
    let word = |word: u32| if big_endian { word.to_be_bytes() } else { word.to_le_bytes() };
    Some(front.iter().copied().chain(words.into_iter().flat_map(word)).collect())
}

/// As the machine reads them.
fn words(bytes: &[u8], big_endian: bool) -> Vec<u32> {
    let word = |word: &[u8; 4]| if big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) };
    bytes.as_chunks().0.iter().map(word).collect()
}

/// The params block in what [`unpack`] gives: the shim's last bytes.
pub fn params(unpacked: &[u8]) -> Option<&[u8]> {
    unpacked.get(unpacked.len().checked_sub(params::MAX_SIZE)?..)
}

/// Whether these bytes begin with a shim: its byte order, big-endian or not, and the size of its front.
pub fn mark(image: &[u8]) -> Option<(bool, usize)> {
    let word = |at| crate::input::be32(image, at);
    let big_endian = match word(MARK_AT)? {
        MARK => true,
        mark if mark == MARK.swap_bytes() => false,
        _ => return None,
    };
    let size = word(MARK_AT + 4)?;
    Some((big_endian, if big_endian { size } else { size.swap_bytes() } as usize))
}

/// The shim as it will lie at its run address.
struct Moved {
    /// With room for the params at the end.
    bytes: Vec<u8>,
    /// Bytes that are stored as they are.
    front: usize,
    /// Where the params go.
    params: usize,
    run_size: usize,
    big_endian: bool,
}

type Fact<T> = std::result::Result<T, String>;

impl Moved {
    fn of(shim: &[u8], run_address: usize) -> Fact<Moved> {
        let file = ElfFile32::<Endianness>::parse(shim).map_err(|error| error.to_string())?;
        let symbol = |name: &str| {
            let found = file.symbols().find(|symbol| symbol.name() == Ok(name));
            // Seen as the CPU sees it: in 32 bits.
            found.map(|symbol| symbol.address() as u32 as usize).ok_or(format!("no symbol {name}"))
        };
        let (start, run_end) = (symbol("__run_start")?, symbol("__run_end")?);
        let inside = |name: &str| symbol(name)?.checked_sub(start).ok_or(format!("{name} in front of it"));
        let (front, params, end) = (inside("__front_end")?, inside("__params")?, inside("__move_end")?);
        if !(front < params && params + params::MAX_SIZE == end && (end - front).is_multiple_of(4)) {
            return Err("its parts are not in their order".into());
        }
        let delta = run_address.wrapping_sub(start) as u32;
        if !(delta as usize).is_multiple_of(GRAIN) {
            return Err(format!("0x{GRAIN:x} does not divide the distance"));
        }
        if run_end.wrapping_sub(1).wrapping_add(delta as usize) as u32 >> 28 != run_address as u32 >> 28 {
            return Err("it would cross a 256 MiB boundary".into());
        }
        let mut bytes = vec![0; end];
        for loaded in loaded(&file) {
            let (section, data) = loaded?;
            let at = (section.address() as u32 as usize).checked_sub(start).ok_or("a section in front of it")?;
            let room = bytes.get_mut(at..at + data.len()).ok_or("a section behind it")?;
            room.copy_from_slice(data);
            relocate(&file, &section, room, delta)?;
        }
        if let Ok(table) = inside(TABLE) {
            number(shim, bytes.get_mut(table..).ok_or("its number of strings behind it")?);
        }
        let big_endian = file.endian() == Endianness::Big;
        Ok(Moved { bytes, front, params, run_size: run_end - start, big_endian })
    }
}

/// The sections that have bytes of the running shim, and these.
fn loaded<'data: 'file, 'file, F: Object<'data>>(
    file: &'file F,
) -> impl Iterator<Item = Fact<(F::Section<'file>, &'data [u8])>> {
    let is_loaded = |section: &F::Section<'file>| matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & elf::SHF_ALLOC.0 != 0);
    let with_bytes = |section: F::Section<'file>| match section.data() {
        Ok([]) => None,
        Ok(data) => Some(Ok((section, data))),
        Err(error) => Some(Err(error.to_string())),
    };
    file.sections().filter(is_loaded).filter_map(with_bytes)
}

/// Adds `delta` to every absolute address in one section (System V ABI, MIPS RISC processor supplement, chapter 4).
fn relocate<'data>(
    file: &ElfFile32<'data, Endianness>,
    section: &impl ObjectSection<'data>,
    bytes: &mut [u8],
    delta: u32,
) -> Fact<()> {
    let big_endian = file.endian() == Endianness::Big;
    for (address, relocation) in section.relocations() {
        let RelocationFlags::Elf { r_type } = relocation.flags() else { continue };
        if absolute(file, relocation.target()) {
            continue;
        }
        // In a linked file the offset is an address.
        let at = (address as u32).wrapping_sub(section.address() as u32) as usize;
        let field = bytes.get_mut(at..at + 4).ok_or(format!("a relocation at 0x{address:x}"))?;
        let word = [field[0], field[1], field[2], field[3]];
        let old = if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
        let replaced = |mask: u32, add: u32| old & !mask | old.wrapping_add(add) & mask;
        let new = match r_type {
            elf::R_MIPS_32 => old.wrapping_add(delta),
            elf::R_MIPS_HI16 => replaced(0xffff, delta >> 16),
            elf::R_MIPS_26 => replaced(0x03ff_ffff, delta >> 2),
            // Low halves stay for multiples of 64 KiB; distances stay in any case.
            elf::R_MIPS_NONE | elf::R_MIPS_LO16 | elf::R_MIPS_PC16 => continue,
            other => return Err(format!("relocation type {} at 0x{address:x}", other.0)),
        };
        field.copy_from_slice(&if big_endian { new.to_be_bytes() } else { new.to_le_bytes() });
    }
    Ok(())
}

/// Sizes and other numbers that the linker script defines do not move, nor the numbers of defmt's strings, which are the
/// addresses of symbols in a section that is not loaded.
fn absolute(file: &ElfFile32<'_, Endianness>, target: RelocationTarget) -> bool {
    let RelocationTarget::Symbol(index) = target else { return true };
    let Ok(symbol) = file.symbol_by_index(index) else { return false };
    let section = symbol.section_index().and_then(|index| file.section_by_index(index).ok());
    let not_loaded = |section: &_| matches!(ObjectSection::flags(section), SectionFlags::Elf { sh_flags, .. } if sh_flags.0 & elf::SHF_ALLOC.0 == 0);
    symbol.section() == object::SymbolSection::Absolute || section.is_some_and(|section| not_loaded(&section))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = &'static [u8]> {
        let both = |arch| Variant::ALL.map(|variant| prebuilt(arch, variant).unwrap());
        [Arch::MipsBe, Arch::MipsLe].into_iter().flat_map(both)
    }

    #[test]
    fn the_smallest_shim_that_decodes_everything_is_taken() {
        assert_eq!(Variant::smallest([Codec::Store, Codec::Store]), Variant::Store);
        assert_eq!(Variant::smallest([]), Variant::Store);
        for codec in [Codec::Lz4, Codec::Lzma] {
            assert_eq!(Variant::smallest([Codec::Store, codec]), Variant::Full);
        }
        for arch in [Arch::MipsBe, Arch::MipsLe] {
            let [store, full] = [Variant::Store, Variant::Full]
                .map(|variant| front(prebuilt(arch, variant).unwrap(), LINKED_AT, b"").unwrap().bytes.len());
            assert!(store + 1024 < full, "{arch}: {store} and {full}");
        }
    }

    #[test]
    fn moved_by_nothing_the_shim_is_what_was_linked() {
        for shim in all() {
            let file = ElfFile32::<Endianness>::parse(shim).unwrap();
            let code = [".front", ".text"].map(|name| file.section_by_name(name).unwrap().data().unwrap()).concat();
            let front = front(shim, LINKED_AT, b"params").unwrap();
            let unpacked = unpack(&front.bytes, front.unpacked).unwrap();
            assert!(unpacked.starts_with(&code));
            assert!(super::params(&unpacked).unwrap().starts_with(b"params\0\0"));
            assert!(front.bytes.len() < front.unpacked - params::MAX_SIZE, "0x{:x}", front.bytes.len());
        }
    }

    #[test]
    fn moving_changes_high_halves_jumps_and_pointers_only() {
        for shim in all() {
            let [here, there] = [0, 0x123_0000].map(|delta| Moved::of(shim, LINKED_AT + delta).unwrap().bytes);
            assert_eq!(here.len(), there.len());
            let big = mark(&here).unwrap().0;
            let word = |bytes: &[u8]| {
                let word = bytes.try_into().unwrap();
                if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
            };
            let mut changed = 0;
            for (old, new) in here.chunks_exact(4).zip(there.chunks_exact(4)).map(|(a, b)| (word(a), word(b))) {
                if old != new {
                    changed += 1;
                    let lui = old >> 26 == 0x0f && new.wrapping_sub(old) == 0x123;
                    let jump = matches!(old >> 26, 2 | 3) && new.wrapping_sub(old) == 0x123_0000 >> 2;
                    let pointer = old >> 16 == 0x8000 && new.wrapping_sub(old) == 0x123_0000;
                    assert!(lui || jump || pointer, "{old:08x} became {new:08x}");
                }
            }
            assert!(changed > 50, "only {changed} words moved");
        }
    }

    #[test]
    fn the_numbers_of_a_traced_shim_s_strings_do_not_move() {
        for arch in [Arch::MipsBe, Arch::MipsLe] {
            let shim = prebuilt(arch, Variant::Trace).unwrap();
            let file = ElfFile32::<Endianness>::parse(shim).unwrap();
            let strings = file.section_by_name(".defmt").unwrap().index();
            let is_string = |target| {
                let RelocationTarget::Symbol(index) = target else { return false };
                file.symbol_by_index(index).unwrap().section_index() == Some(strings)
            };
            let text = file.section_by_name(".text").unwrap();
            let numbers = text.relocations().filter(|(_, relocation)| is_string(relocation.target()));
            let places: Vec<usize> = numbers.map(|(at, _)| at as u32 as usize - LINKED_AT).collect();
            assert!(places.len() > 20, "{arch}: only {} numbers", places.len());
            let [here, there] = [0, 0x123_0000].map(|delta| Moved::of(shim, LINKED_AT + delta).unwrap().bytes);
            for at in places {
                assert_eq!(here[at..at + 4], there[at..at + 4], "{arch}: the number at 0x{at:x}");
            }
        }
    }

    #[test]
    fn a_traced_shim_says_which_strings_it_needs_and_others_have_none() {
        for (arch, variant) in
            [Arch::MipsBe, Arch::MipsLe].into_iter().flat_map(|arch| Variant::ALL.map(|all| (arch, all)))
        {
            let shim = prebuilt(arch, variant).unwrap();
            let file = ElfFile32::<Endianness>::parse(shim).unwrap();
            let field = file.symbols().find(|symbol| symbol.name() == Ok(TABLE));
            assert_eq!(field.is_some(), variant == Variant::Trace, "{arch} {}", variant.name());
            if let Some(field) = field {
                let at = field.address() as u32 as usize - LINKED_AT;
                let bytes = Moved::of(shim, LINKED_AT).unwrap().bytes;
                assert_eq!(bytes[at..at + 2], monitor::number(shim), "{arch}");
            }
        }
        assert!(prebuilt(Arch::Arm64, Variant::Trace).is_err());
    }

    #[test]
    fn what_cannot_be_moved_exactly_is_refused() {
        for shim in all() {
            assert!(front(shim, LINKED_AT + 0x8000, b"").unwrap_err().fact().contains("does not divide"));
            assert!(front(shim, LINKED_AT, &[0; params::MAX_SIZE + 1]).unwrap_err().fact().contains("0x201 bytes"));
        }
        assert!(front(b"\x7fELF", LINKED_AT, b"").is_err());
    }

    #[test]
    fn the_run_region_holds_the_shim_its_params_and_its_stack() {
        for shim in all() {
            let front = front(shim, LINKED_AT, &[0; params::MAX_SIZE]).unwrap();
            assert!(front.run_size > front.unpacked + 4096, "0x{:x} of 0x{:x}", front.unpacked, front.run_size);
            assert_eq!(run_size(shim).unwrap(), front.run_size);
            // What the front saves on the stack lies behind its weights.
            assert!(front.run_size >= front.unpacked + stoop_core::squeeze::WEIGHTS + 64, "0x{:x}", front.run_size);
        }
    }

    #[test]
    fn what_is_no_shim_does_not_unpack() {
        for shim in all() {
            let front = front(shim, LINKED_AT, b"").unwrap();
            for length in [0, 8, 15, 16, 300, front.bytes.len() - 1] {
                assert_eq!(unpack(&front.bytes[..length], front.unpacked), None, "{length}");
            }
            assert_eq!(unpack(&front.bytes, 4), None);
            assert_eq!(mark(&[0; 64]), None);
        }
    }
}
