//! From the prebuilt shim to the front of an image, and back. What is stored is the same on every machine:
//!
//! | part | |
//! |---|---|
//! | stub | as it was linked, but for the numbers in its header |
//! | rest | squeezed when the shim was built ([`squeezed`], [`halves`]) |
//! | params | as they are, words |
//! | zeros | up to what is summed at a time |
//! | last word | makes the [`sum`] over all of it 0 |
//!
//! Nothing in it but the params and the numbers in the header depends on the image, so its size is known before anything is laid out.

mod error;

mod linked;
pub mod strings;
mod sum;

use crate::machine::Machine;
use stoop_core::bytes::put;
use stoop_core::codec::Codec;
use stoop_core::params::MAX_SIZE;

use self::sum::{WORD, broken, closing};
pub use linked::squeezed;
pub use sum::sum;

use self::linked::Linked;
use crate::format::arm64;
pub use error::Error;

use crate::{Result, halves};

/// `STPS`: how tools know a shim.
const MARK: u32 = 0x5354_5053;

/// The first bytes of an image: what the bootloader enters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShimFront {
    /// As they are stored.
    pub bytes: Vec<u8>,
    /// Bytes that they become: stub, rest and room for the params.
    pub unpacked: usize,
}

/// What the header of one image's shim says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Header {
    /// Where the shim runs, in KSEG0.
    Mips {
        /// Virtual.
        run_address: usize,
    },
    /// What the loader is asked for (Documentation/arch/arm64/booting.rst).
    Arm64 {
        /// From a multiple of 2 MiB to the image.
        text_offset: usize,
        /// RAM from the image's first byte on.
        image_size: usize,
    },
}

/// How the rest is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Form {
    /// By [`halves`].
    #[default]
    Squeezed,
    /// As one run of literals: the code can be read in the image, and the stub is the same.
    Plain,
}

/// Where the stub has what (shim/src/arch/*/start.S).
struct Places {
    mark: usize,
    /// Two half words: bytes that are stored, and where in them the params are.
    numbers: usize,
    /// The first byte of what is summed. On MIPS 16..20 are not: Malta puts its revision there.
    summed: usize,
    /// The header's own numbers.
    header: usize,
}

const MIPS: Places = Places { mark: 8, numbers: 20, summed: 20, header: 24 };
const ARM64: Places = Places { mark: 4, numbers: arm64::HEADER, summed: 0, header: arm64::TEXT_OFFSET };
/// Bytes that the stub sums at a time.
const SUMMED: usize = 4 * WORD;

/// Which decoders a shim has: each takes bytes of every image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variant {
    /// None: for payloads that are stored as they are.
    Store,
    /// LZ4 and LZMA.
    Full,
    /// These, and it says by defmt what it decides and why. Only when asked for.
    Trace,
}

impl Variant {
    /// The smallest first.
    pub const ALL: [Variant; 3] = [Variant::Store, Variant::Full, Variant::Trace];

    /// There is such a shim for this architecture.
    pub fn exists(self, arch: Machine) -> bool {
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
pub fn prebuilt(arch: Machine, variant: Variant) -> Result<&'static [u8]> {
    Ok(match (arch, variant) {
        (Machine::MipsBe, Variant::Store) => include_bytes!("../prebuilt/shim-mips-be-store.elf"),
        (Machine::MipsBe, Variant::Full) => include_bytes!("../prebuilt/shim-mips-be.elf"),
        (Machine::MipsBe, Variant::Trace) => aligned!("../prebuilt/shim-mips-be-trace.elf"),
        (Machine::MipsLe, Variant::Store) => include_bytes!("../prebuilt/shim-mips-le-store.elf"),
        (Machine::MipsLe, Variant::Full) => include_bytes!("../prebuilt/shim-mips-le.elf"),
        (Machine::MipsLe, Variant::Trace) => aligned!("../prebuilt/shim-mips-le-trace.elf"),
        (Machine::Arm64, Variant::Store) => include_bytes!("../prebuilt/shim-arm64-store.elf"),
        (Machine::Arm64, Variant::Full) => include_bytes!("../prebuilt/shim-arm64.elf"),
        (Machine::Arm64, Variant::Trace) => {
            return Err(Error::NoTrace.into());
        }
    })
}

/// The front of an image: what is stored of the shim.
///
/// # Errors
/// The params are larger than the shim's room for them. Anything else is a mistake of this tool, not of its user: a file that is
/// no shim, or one for another machine than the header.
pub fn front(shim: &[u8], header: Header, params: &[u8], form: Form) -> Result<ShimFront> {
    if params.len() > MAX_SIZE {
        return Err(Error::Params { size: params.len() }.into());
    }
    let linked = Linked::of(shim).map_err(broken)?;
    let big_endian = linked.big_endian;
    let places = match header {
        Header::Mips { .. } => MIPS,
        Header::Arm64 { .. } => ARM64,
    };
    let at = places.header;
    let stream = match form {
        Form::Squeezed => linked.squeezed.ok_or("it is not squeezed").map_err(broken)?,
        Form::Plain => halves::plain(&linked.rest, big_endian),
    };
    let mut bytes = linked.stub;
    let unpacked = bytes.len() + linked.rest.len() + MAX_SIZE;
    bytes.extend(stream);
    bytes.resize(bytes.len().next_multiple_of(WORD), 0);
    let params_at = bytes.len();
    bytes.extend(params);
    let summed = (bytes.len() + WORD - places.summed).next_multiple_of(SUMMED);
    bytes.resize(places.summed + summed - WORD, 0);
    let stored = bytes.len() + WORD;
    if stored > linked.room {
        return Err(
            broken(format!("it takes 0x{stored:x} bytes of the image, there is room for 0x{:x}", linked.room)).into()
        );
    }
    match header {
        Header::Mips { run_address } => put(&mut bytes[at..at + WORD], run_address as u32, big_endian),
        Header::Arm64 { text_offset, image_size } => {
            let fields = [text_offset, image_size].map(|number| (number as u64).to_le_bytes());
            bytes[at..at + 16].copy_from_slice(fields.as_flattened());
        }
    }
    // Both fit: the room is below 64 KiB.
    let half = |number: usize| if big_endian { (number as u16).to_be_bytes() } else { (number as u16).to_le_bytes() };
    bytes[places.numbers..places.numbers + WORD].copy_from_slice([half(stored), half(params_at)].as_flattened());
    let last = closing(&bytes[places.summed..], big_endian);
    bytes.extend(last);
    if parts(&bytes).is_none_or(|parts| !parts.whole) {
        return Err(broken("its header is another machine's").into());
    }
    Ok(ShimFront { bytes, unpacked })
}

/// Bytes of every front with params of that length: their content and the header's change nothing.
///
/// # Errors
/// As for [`front`].
pub fn stored_size(shim: &[u8], params: usize, form: Form) -> Result<usize> {
    let header = match Linked::of(shim).map_err(broken)?.machine {
        Machine::Arm64 => Header::Arm64 { text_offset: 0, image_size: 0 },
        _ => Header::Mips { run_address: 0 },
    };
    Ok(front(shim, header, &vec![0; params], form)?.bytes.len())
}

/// RAM that the shim needs wherever it runs, in bytes.
///
/// # Errors
/// The file is no shim.
pub fn run_size(shim: &[u8]) -> Result<usize> {
    Ok(Linked::of(shim).map_err(broken)?.run_size)
}

/// What an image's front says of itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parts<'a> {
    /// Whom it is for.
    pub machine: Machine,
    /// The params block, and zeros behind it.
    pub params: &'a [u8],
    /// The sum over what is stored is right.
    pub whole: bool,
}

/// Takes an image's front apart; `None` when these bytes do not begin with one, or are cut.
pub fn parts(image: &[u8]) -> Option<Parts<'_>> {
    let (machine, places, big_endian, [stored, params]) = front_of(image)?;
    let summed = image.get(places.summed..stored)?;
    let params = image.get(params..stored.checked_sub(WORD)?)?;
    Some(Parts { machine, params, whole: summed.len().is_multiple_of(SUMMED) && sum(summed, big_endian) == 0 })
}

/// Makes the sum over what is stored right again, in an image that was changed on purpose; nothing when it is none.
pub fn close(image: &mut [u8]) {
    let found = front_of(image).map(|(_, places, big_endian, [stored, _])| (places, big_endian, stored));
    if let Some((places, big_endian, stored)) = found
        && let Some((content, last)) = image.get_mut(..stored).and_then(<[u8]>::split_last_chunk_mut)
    {
        *last = closing(&content[places.summed..], big_endian);
    }
}

/// The machine of an image's front, where it has what, its byte order, and its numbers.
fn front_of(image: &[u8]) -> Option<(Machine, Places, bool, [usize; 2])> {
    let machine = machine(image)?;
    let (places, big_endian) = (if machine == Machine::Arm64 { ARM64 } else { MIPS }, machine == Machine::MipsBe);
    let half = |at: usize| {
        let bytes = *image.get(at..)?.first_chunk()?;
        Some(usize::from(if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
    };
    let numbers = [half(places.numbers)?, half(places.numbers + 2)?];
    Some((machine, places, big_endian, numbers))
}

/// The machine of the shim that these bytes begin with.
pub fn machine(image: &[u8]) -> Option<Machine> {
    if arm64::is_image(image) && crate::format::bytes::le32(image, ARM64.mark) == Some(MARK) {
        return Some(Machine::Arm64);
    }
    match crate::format::bytes::be32(image, MIPS.mark)? {
        MARK => Some(Machine::MipsBe),
        mark if mark == MARK.swap_bytes() => Some(Machine::MipsLe),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every prebuilt shim.
    pub(super) fn all() -> impl Iterator<Item = (Machine, Variant, &'static [u8])> {
        let archs = [Machine::MipsBe, Machine::MipsLe, Machine::Arm64].into_iter();
        let both = archs.flat_map(|arch| Variant::ALL.map(|variant| (arch, variant)));
        both.filter(|(arch, variant)| variant.exists(*arch))
            .map(|(arch, variant)| (arch, variant, prebuilt(arch, variant).unwrap()))
    }

    fn header(arch: Machine) -> Header {
        match arch {
            Machine::Arm64 => Header::Arm64 { text_offset: 0x1f_0000, image_size: 0x123_4000 },
            _ => Header::Mips { run_address: 0x81fe_0000 },
        }
    }

    fn packed(arch: Machine, shim: &[u8], form: Form) -> Vec<u8> {
        front(shim, header(arch), &[0x5a; 160], form).unwrap().bytes
    }

    /// What the stub does (shim/src/arch/*/unpack.S): what it has unpacked and the params, or `None`, which means that it gives up.
    fn unpacked(image: &[u8], linked: &Linked) -> Option<(Vec<u8>, Vec<u8>)> {
        let parts = parts(image)?;
        let params_at = image.len() - WORD - parts.params.len();
        let rest = rest(&image[linked.stub.len()..params_at], linked).filter(|_| parts.whole)?;
        Some((rest, parts.params.to_vec()))
    }

    /// What the stub does once what is stored was found whole.
    fn rest(stream: &[u8], linked: &Linked) -> Option<Vec<u8>> {
        let rest = halves::unpack(stream, linked.rest.len(), linked.big_endian)?;
        (rest.len() == linked.rest.len() && sum(&rest, linked.big_endian) == 0).then_some(rest)
    }

    #[test]
    fn the_smallest_shim_that_decodes_everything_is_taken() {
        assert_eq!(Variant::smallest([Codec::Store, Codec::Store]), Variant::Store);
        assert_eq!(Variant::smallest([]), Variant::Store);
        for codec in [Codec::Lz4, Codec::Lzma] {
            assert_eq!(Variant::smallest([Codec::Store, codec]), Variant::Full);
        }
        for arch in [Machine::MipsBe, Machine::MipsLe, Machine::Arm64] {
            let [store, full] = [Variant::Store, Variant::Full]
                .map(|variant| stored_size(prebuilt(arch, variant).unwrap(), 0, Form::Squeezed).unwrap());
            assert!(store + 1024 < full, "{arch}: {store} and {full}");
        }
    }

    #[test]
    fn the_stub_is_as_linked_but_for_its_numbers_and_the_rest_and_the_params_come_back() {
        for (arch, _, shim) in all() {
            let linked = Linked::of(shim).unwrap();
            for form in [Form::Squeezed, Form::Plain] {
                let image = packed(arch, shim, form);
                let changed: Vec<usize> = (0..linked.stub.len()).filter(|at| image[*at] != linked.stub[*at]).collect();
                let may = |at: &usize| match arch {
                    Machine::Arm64 => (8..24).contains(at) || (64..68).contains(at),
                    _ => (20..28).contains(at),
                };
                assert!(changed.iter().all(may), "{arch}: {changed:?}");
                let (rest, params) = unpacked(&image, &linked).unwrap();
                let zeros = params.strip_prefix(&[0x5a; 160]).is_some_and(|zeros| zeros.iter().all(|byte| *byte == 0));
                assert!(rest == linked.rest && zeros, "{arch}");
            }
            let code = linked.rest.windows(64).next().unwrap();
            let shows = |form| packed(arch, shim, form).windows(64).step_by(4).any(|bytes| bytes == code);
            assert!(shows(Form::Plain) && !shows(Form::Squeezed), "{arch}: a plain shim can be read, word by word");
        }
    }

    #[test]
    fn the_params_content_and_the_header_change_no_size() {
        for (arch, _, shim) in all() {
            let size = stored_size(shim, 160, Form::Squeezed).unwrap();
            assert_eq!(packed(arch, shim, Form::Squeezed).len(), size, "{arch}");
            let zeros = front(shim, header(arch), &[0; 160], Form::Squeezed).unwrap().bytes;
            assert_eq!(zeros.len(), size, "{arch}");
            assert_eq!(stored_size(shim, MAX_SIZE, Form::Squeezed).unwrap(), size + MAX_SIZE - 160);
        }
    }

    /// Bytes of the header that the sum does not have, or that the stub does not read.
    fn is_not_the_stub_s(arch: Machine, at: usize) -> bool {
        arch != Machine::Arm64 && at < 20
    }

    #[test]
    fn every_bit_of_the_shim_and_its_params_that_flips_is_noticed_before_anything_is_unpacked() {
        for (arch, variant, shim) in all() {
            let good = packed(arch, shim, Form::Squeezed);
            // Whatever a wrong length reads behind it.
            let mut image = [&good[..], &[0xa5; 0x1_0000]].concat();
            for bit in 0..good.len() * 8 {
                image[bit / 8] ^= 1 << (bit % 8);
                let noticed = parts(&image).is_none_or(|parts| !parts.whole);
                assert!(noticed || is_not_the_stub_s(arch, bit / 8), "{arch} {}: bit {bit}", variant.name());
                image[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn a_bit_of_the_stream_that_flips_behind_the_back_of_the_first_sum_is_noticed_by_the_second() {
        for (arch, variant, shim) in all().filter(|(_, variant, _)| *variant == Variant::Store) {
            let linked = Linked::of(shim).unwrap();
            let mut stream = linked.squeezed.clone().unwrap();
            for bit in (0..stream.len() * 8).step_by(3) {
                stream[bit / 8] ^= 1 << (bit % 8);
                // Of the last byte's bits not all are used.
                let came = rest(&stream, &linked);
                assert!(came.is_none_or(|rest| rest == linked.rest), "{arch} {}: bit {bit}", variant.name());
                stream[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn every_bit_of_what_was_unpacked_counts_and_so_does_the_order_of_words() {
        for (arch, _, shim) in all() {
            let linked = Linked::of(shim).unwrap();
            let mut rest = linked.rest.clone();
            assert_eq!(sum(&rest, linked.big_endian), 0, "{arch}");
            for bit in 0..rest.len() * 8 {
                rest[bit / 8] ^= 1 << (bit % 8);
                assert_ne!(sum(&rest, linked.big_endian), 0, "{arch}: bit {bit}");
                rest[bit / 8] ^= 1 << (bit % 8);
            }
            rest.chunks_exact_mut(8).for_each(|pair| pair.rotate_left(4));
            assert_ne!(sum(&rest, linked.big_endian), 0, "{arch}");
        }
    }

    #[test]
    fn params_that_are_too_large_and_what_is_no_shim_are_refused() {
        for (arch, _, shim) in all() {
            assert!(front(shim, header(arch), &[1; MAX_SIZE], Form::Plain).is_ok(), "{arch}");
            let failure = front(shim, header(arch), &[1; MAX_SIZE + 1], Form::Squeezed).unwrap_err();
            assert!(matches!(failure, crate::Error::ShimImage(Error::Params { size: 0x201 })), "{failure}");
            let other = if arch == Machine::Arm64 { Machine::MipsBe } else { Machine::Arm64 };
            assert!(front(shim, header(other), b"", Form::Squeezed).is_err(), "{arch}");
        }
        assert!(front(b"\x7fELF", header(Machine::MipsBe), b"", Form::Squeezed).is_err());
        assert_eq!(parts(&[0; 64]), None);
    }

    #[test]
    fn what_is_cut_is_no_image() {
        for (arch, _, shim) in all() {
            let image = packed(arch, shim, Form::Squeezed);
            for length in [0, 8, 15, 16, 64, 300, image.len() - 1] {
                assert_eq!(parts(&image[..length]), None, "{arch}: {length}");
            }
        }
    }

    #[test]
    fn the_run_region_holds_the_shim_its_params_and_its_stack() {
        for (arch, _, shim) in all() {
            let front = front(shim, header(arch), &[0; MAX_SIZE], Form::Squeezed).unwrap();
            let size = run_size(shim).unwrap();
            assert!(size > front.unpacked + 4096, "{arch}: 0x{:x} of 0x{size:x}", front.unpacked);
        }
    }
}
