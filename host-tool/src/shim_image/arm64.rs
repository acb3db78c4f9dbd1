//! The arm64 shim: it runs wherever the loader puts the image, so it is not moved; its front and the params are stored as they
//! are, the rest squeezed by `cargo ci shim`, since nothing in it depends on the image.

use object::read::elf::ElfFile64;
use object::{Endianness, Object, ObjectSection, ObjectSymbol, RelocationFlags, build, elf};
use stoop_core::params::MAX_SIZE;

use super::{Fact, MARK, ShimFront, loaded, put_params};
use crate::input::arm64::{HEADER, IMAGE_SIZE, TEXT_OFFSET, is_image};
use crate::input::le32;
use crate::{Failure, Result, zx0};

/// In the header's second word.
const MARK_AT: usize = 4;
/// Behind the header: the size of the front.
const FRONT_AT: usize = HEADER;

/// The section of a prebuilt shim that has its rest in squeezed form.
const SQUEEZED: &str = ".squeezed";

/// Whether these bytes begin with an arm64 shim.
pub(super) fn is_marked(image: &[u8]) -> bool {
    is_image(image) && le32(image, MARK_AT) == Some(MARK)
}

/// Whether this ELF is for arm64.
pub(super) fn is_shim(shim: &[u8]) -> bool {
    object::File::parse(shim).is_ok_and(|file| file.architecture() == object::Architecture::Aarch64)
}

/// The front of an arm64 image: the shim with the params in their place, and in the header what the loader is asked for.
///
/// # Errors
/// The params are larger than the shim's room for them; or the shim is broken, which is no mistake of the user.
pub fn image_front(shim: &[u8], params: &[u8], text_offset: usize, image_size: usize) -> Result<ShimFront> {
    let linked = Linked::of(shim).map_err(broken)?;
    let squeezed = linked.squeezed.ok_or("it is not squeezed").map_err(broken)?;
    if zx0::unpack(&squeezed, linked.rest.len()).as_ref() != Some(&linked.rest) {
        return Err(broken("what was squeezed does not come back"));
    }
    let mut bytes = linked.front;
    for (at, value) in [(TEXT_OFFSET, text_offset), (IMAGE_SIZE, image_size)] {
        bytes[at..at + 8].copy_from_slice(&(value as u64).to_le_bytes());
    }
    let at = bytes.len();
    bytes.resize(at + MAX_SIZE, 0);
    put_params(&mut bytes[at..], params)?;
    bytes.extend_from_slice(&squeezed);
    if bytes.len() > linked.stored_size {
        let fact =
            format!("it takes 0x{:x} bytes of the image, there is room for 0x{:x}", bytes.len(), linked.stored_size);
        return Err(broken(fact));
    }
    Ok(ShimFront { bytes, unpacked: linked.rest.len() + MAX_SIZE, run_size: linked.run_size })
}

/// The linked shim with its rest squeezed by `squeeze`, as a section that is not loaded.
///
/// # Errors
/// It is no arm64 shim.
pub fn squeezed(shim: &[u8], squeeze: impl FnOnce(&[u8]) -> Vec<u8>) -> Result<Vec<u8>> {
    let linked = Linked::of(shim).map_err(broken)?;
    let mut file = build::elf::Builder::read64(shim).map_err(|error| broken(error.to_string()))?;
    for section in file.sections.iter_mut().filter(|section| *section.name == *SQUEEZED.as_bytes()) {
        section.delete = true;
    }
    let section = file.sections.add();
    section.name = SQUEEZED.into();
    section.sh_type = elf::SHT_PROGBITS;
    section.sh_addralign = 1;
    section.data = build::elf::SectionData::Data(squeeze(&linked.rest).into());
    let mut bytes = Vec::new();
    file.write(&mut bytes).map_err(|error| broken(error.to_string()))?;
    Ok(bytes)
}

/// The front's code, the params and the rest, from an image; the params at the end.
pub(super) fn unpack(image: &[u8], size: usize) -> Option<Vec<u8>> {
    let (params, stream) = image.get(le32(image, FRONT_AT)? as usize..)?.split_at_checked(MAX_SIZE)?;
    let rest = size.checked_sub(params.len())?;
    let mut unpacked = zx0::unpack(stream, rest).filter(|unpacked| unpacked.len() == rest)?;
    unpacked.extend_from_slice(params);
    Some(unpacked)
}

fn broken(fact: impl Into<String>) -> Failure {
    Failure::new(format!("the arm64 shim is broken: {}", fact.into())).next("report this: this copy of stoop is broken")
}

/// The shim as it was linked.
pub(super) struct Linked {
    front: Vec<u8>,
    /// What is squeezed.
    rest: Vec<u8>,
    /// Its squeezed form, in a prebuilt shim.
    squeezed: Option<Vec<u8>>,
    /// Bytes that front, params and the squeezed rest may take.
    stored_size: usize,
    pub(super) run_size: usize,
}

impl Linked {
    pub(super) fn of(shim: &[u8]) -> Fact<Linked> {
        let file = ElfFile64::<Endianness>::parse(shim).map_err(|error| error.to_string())?;
        let symbol = |name: &str| {
            let found = file.symbols().find(|symbol| symbol.name() == Ok(name));
            found.map(|symbol| symbol.address() as usize).ok_or(format!("no symbol {name}"))
        };
        let (params, stored_size, end) = (symbol("__params")?, symbol("__rest")?, symbol("__rest_end")?);
        let run_size = symbol("__run_end")?;
        let is_ordered = symbol("__squeezed")? == params + MAX_SIZE && params < stored_size && stored_size < end;
        if !(is_ordered && end < run_size) {
            return Err("its parts are not in their order".into());
        }
        let mut bytes = vec![0; end];
        for loaded in loaded(&file) {
            let (section, data) = loaded?;
            // Whatever is wider than what an instruction holds is an address; it would be wrong anywhere but at 0.
            let absolute = section.relocations().find(|(_, relocation)| {
                matches!(
                    relocation.flags(),
                    RelocationFlags::Elf { r_type: elf::R_AARCH64_ABS64 | elf::R_AARCH64_ABS32 | elf::R_AARCH64_ABS16 }
                )
            });
            if let Some((at, _)) = absolute {
                return Err(format!("an absolute address at 0x{at:x}"));
            }
            let at = section.address() as usize;
            let room = bytes.get_mut(at..at + data.len()).ok_or("a section behind it")?;
            room.copy_from_slice(data);
        }
        let rest = bytes.split_off(stored_size);
        bytes.truncate(params);
        if !is_marked(&bytes) || le32(&bytes, FRONT_AT) != Some(params as u32) {
            return Err("no header".into());
        }
        let squeezed = file.section_by_name(SQUEEZED).and_then(|section| section.data().ok()).map(<[u8]>::to_vec);
        Ok(Linked { front: bytes, rest, squeezed, stored_size, run_size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::Arch;
    use crate::shim_image::{Variant, prebuilt};

    fn all() -> impl Iterator<Item = &'static [u8]> {
        let there = Variant::ALL.into_iter().filter(|variant| variant.exists(Arch::Arm64));
        there.map(|variant| prebuilt(Arch::Arm64, variant).unwrap())
    }

    #[test]
    fn the_front_is_as_linked_but_for_its_header_and_the_rest_comes_back_with_the_params_behind_it() {
        for shim in all() {
            let linked = Linked::of(shim).unwrap();
            let front = image_front(shim, b"params", 0x1f_0000, 0x123_0000).unwrap();
            assert_eq!(front.bytes[..TEXT_OFFSET], linked.front[..TEXT_OFFSET]);
            assert_eq!(front.bytes[TEXT_OFFSET..IMAGE_SIZE], 0x1f_0000u64.to_le_bytes());
            assert_eq!(front.bytes[IMAGE_SIZE..IMAGE_SIZE + 8], 0x123_0000u64.to_le_bytes());
            assert_eq!(front.bytes[IMAGE_SIZE + 8..linked.front.len()], linked.front[IMAGE_SIZE + 8..]);
            let unpacked = unpack(&front.bytes, front.unpacked).unwrap();
            let (rest, params) = unpacked.split_at(linked.rest.len());
            assert!(rest == linked.rest);
            assert!(params.starts_with(b"params\0\0") && params.len() == MAX_SIZE);
            assert!(front.bytes.len() < linked.front.len() + linked.rest.len(), "squeezing is worth its unpacker");
        }
    }

    #[test]
    fn params_that_are_too_large_are_refused() {
        for shim in all() {
            assert!(image_front(shim, &[1; MAX_SIZE], 0, 0).is_ok());
            assert!(image_front(shim, &[1; MAX_SIZE + 1], 0, 0).unwrap_err().fact().contains("0x201 bytes"));
        }
    }

    #[test]
    fn a_shim_whose_squeezed_rest_is_damaged_or_another_ones_is_refused() {
        for shim in all() {
            for wrong in [Vec::new(), zx0::tests::pack(b"another rest")] {
                let failure = image_front(&squeezed(shim, |_| wrong).unwrap(), b"", 0, 0).unwrap_err();
                assert!(failure.fact().contains("does not come back"), "{failure}");
            }
        }
    }

    #[test]
    fn what_is_cut_does_not_unpack() {
        for shim in all() {
            let front = image_front(shim, b"", 0, 0).unwrap();
            for length in [0, 64, 68, 500, front.bytes.len() - 1] {
                assert_eq!(unpack(&front.bytes[..length], front.unpacked), None, "{length}");
            }
            assert_eq!(unpack(&front.bytes, front.unpacked - 1), None);
        }
    }
}
