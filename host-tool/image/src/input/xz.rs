//! What an .xz file asks of its decoder: the check and the filters of its first block (The .xz File Format 1.2, sections 2.1.1
//! and 3.1), and what Linux can do (lib/xz/xz_dec_stream.c of 6.12).

use super::initrd::Error;
use crate::Result;

/// What a decoder must have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Demands {
    /// The integrity check: 0 none, 1 CRC32, 4 CRC64, 10 SHA-256.
    pub check: u8,
    /// Filter numbers, in their order; 0x21 is LZMA2.
    pub filters: Vec<u64>,
    /// Bytes of LZMA2's dictionary, which Linux lays out beside what it unpacks.
    pub dictionary: u64,
}

/// A larger dictionary than any preset of `xz` has (-9: 64 MiB) is no accident that boards have RAM for.
const LARGEST_DICTIONARY: u64 = 128 << 20;

/// LZMA2's number.
const LZMA2: u64 = 0x21;
/// Branch filters by number: xz's name, and the symbol that a kernel needs.
const BRANCH: &[(u64, &str, &str)] = &[
    (0x04, "x86", "XZ_DEC_X86"),
    (0x05, "powerpc", "XZ_DEC_POWERPC"),
    (0x06, "ia64", "XZ_DEC_IA64"),
    (0x07, "arm", "XZ_DEC_ARM"),
    (0x08, "armthumb", "XZ_DEC_ARMTHUMB"),
    (0x09, "sparc", "XZ_DEC_SPARC"),
    (0x0a, "arm64", "XZ_DEC_ARM64"),
    (0x0b, "riscv", "XZ_DEC_RISCV"),
];

impl Demands {
    /// Reads both headers; `None` when they are cut off or make no sense.
    pub fn of(bytes: &[u8]) -> Option<Demands> {
        let check = bytes.get(7)? & 0xf;
        let size = usize::from(*bytes.get(12)?) * 4 + 4;
        let header = bytes.get(12..12 + size)?;
        let flags = header.get(1)?;
        let mut at = 2;
        for _ in 0..(flags >> 6 & 1) + (flags >> 7) {
            number(header, &mut at)?;
        }
        let (mut filters, mut dictionary) = (Vec::new(), 0);
        for _ in 0..(flags & 3) + 1 {
            filters.push(number(header, &mut at)?);
            let properties = number(header, &mut at)?;
            // Section 5.3.1; of LZMA2 the last one counts, which is the only one.
            dictionary = header.get(at).map_or(0, |bits| match bits {
                0..40 => u64::from(2 | bits & 1) << (bits / 2 + 11),
                _ => u64::from(u32::MAX),
            });
            at = at.checked_add(usize::try_from(properties).ok()?)?;
        }
        Some(Demands { check, filters, dictionary })
    }

    /// The symbol that a kernel needs for them beyond those for xz itself; `Ok(None)` when there is none.
    ///
    /// # Errors
    /// No kernel decodes it. `again` is the command that makes a right one.
    pub fn symbol(&self, again: &str) -> Result<Option<&'static str>> {
        let again = again.to_owned();
        if self.check > 1 {
            let check = match self.check {
                4 => "CRC64".to_owned(),
                10 => "SHA-256".to_owned(),
                other => format!("number {other}"),
            };
            return Err(Error::XzCheck { check, again }.into());
        }
        if self.filters.last() == Some(&LZMA2) && self.dictionary > LARGEST_DICTIONARY {
            return Err(Error::XzDictionary { dictionary: self.dictionary, again }.into());
        }
        let branch = |filter: &u64| BRANCH.iter().find(|(number, ..)| number == filter);
        match &self.filters[..] {
            [LZMA2] => Ok(None),
            [filter, LZMA2] if branch(filter).is_some() => Ok(branch(filter).map(|(.., symbol)| *symbol)),
            filters => {
                let names = filters.iter().map(|filter| match filter {
                    &LZMA2 => "lzma2".to_owned(),
                    3 => "delta".to_owned(),
                    other => branch(other).map_or(format!("0x{other:x}"), |(_, name, _)| (*name).to_owned()),
                });
                Err(Error::XzFilters { filters: names.collect(), again }.into())
            }
        }
    }
}

/// A multibyte integer (section 1.2).
fn number(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::Explained as _;
    use std::io::Write;

    use liblzma::stream::{Check, Filters, LzmaOptions, Stream};

    use super::*;

    fn packed(filters: &Filters, check: Check) -> Vec<u8> {
        let stream = Stream::new_stream_encoder(filters, check).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(&[7; 1000]).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn check_and_filters_are_those_that_the_encoder_wrote() {
        let options = LzmaOptions::new_preset(1).unwrap();
        let plain = || {
            let mut filters = Filters::new();
            filters.lzma2(&options);
            filters
        };
        let demands = |filters: &Filters, check| Demands::of(&packed(filters, check)).unwrap();
        assert_eq!(demands(&plain(), Check::Crc32).symbol("").unwrap(), None);
        assert_eq!(demands(&plain(), Check::None).symbol("").unwrap(), None);
        for (check, name) in [(Check::Crc64, "CRC64"), (Check::Sha256, "SHA-256")] {
            let failure = demands(&plain(), check).symbol("xz --check=crc32").unwrap_err();
            assert!(
                failure.to_string().contains(name) && failure.next_step().as_deref() == Some("xz --check=crc32"),
                "{failure}"
            );
        }
        let mut arm = Filters::new();
        arm.arm().lzma2(&options);
        assert_eq!(demands(&arm, Check::Crc32).symbol("").unwrap(), Some("XZ_DEC_ARM"));
        let mut three = Filters::new();
        three.x86().arm().lzma2(&options);
        assert!(demands(&three, Check::Crc32).symbol("").unwrap_err().to_string().contains("x86 arm lzma2"));
    }

    #[test]
    fn a_dictionary_for_which_no_board_has_ram_is_refused() {
        let mut whole = packed(Filters::new().lzma2(&LzmaOptions::new_preset(9).unwrap()), Check::Crc32);
        assert_eq!(Demands::of(&whole).unwrap().dictionary, 64 << 20);
        // The properties of the only filter: 256 MiB.
        whole[16] += 4;
        let demands = Demands::of(&whole).unwrap();
        assert!(demands.symbol("").unwrap_err().to_string().contains("a dictionary of 0x10000000 bytes"));
    }

    #[test]
    fn headers_cut_anywhere_are_none() {
        let mut filters = Filters::new();
        filters.lzma2(&LzmaOptions::new_preset(1).unwrap());
        let whole = packed(&filters, Check::Crc32);
        for length in 0..20 {
            assert_eq!(Demands::of(&whole[..length]), None);
        }
    }
}
