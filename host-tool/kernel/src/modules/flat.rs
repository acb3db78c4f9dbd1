//! The exports of a kernel that was stripped to its bare image, as a vmlinuz has it: no section says where the tables are,
//! so they are found by what they look like.
//!
//! `include/asm-generic/vmlinux.lds.h` (`RO_DATA`) puts `__ksymtab`, `__ksymtab_gpl`, `__kcrctab`, `__kcrctab_gpl` and
//! `__ksymtab_strings` one behind the other, each table sorted by name. On 32-bit MIPS a record is three words: the value,
//! and the addresses of the name and of the namespace.

use std::collections::HashMap;

use super::exports::{Kernel, KernelSymbol, find_vermagic};

/// A run of records this long that is sorted by name is no accident; a kernel with modules exports thousands.
const FEWEST: usize = 24;
const RECORD: usize = 12;
/// Longer than any symbol's name (`KSYM_NAME_LEN` is 512).
const LONGEST_NAME: usize = 512;

/// Finds what the image of a 32-bit MIPS kernel exports; `base` is the virtual address of its first byte. Nothing if
/// there are no such tables in it.
pub fn exports(image: &[u8], base: u32, is_big: bool) -> Option<Kernel> {
    let image = Image { bytes: image, base, is_big };
    let runs = image.runs();
    // Plain symbols, directly followed by the GPL-only ones.
    let (plain, gpl) = runs
        .iter()
        .zip(runs.iter().skip(1))
        .filter(|(plain, gpl)| plain.end == gpl.start)
        .max_by_key(|(plain, gpl)| plain.len() + gpl.len())?;
    let counts = (plain.len() / RECORD, gpl.len() / RECORD);
    let strings = (plain.start..gpl.end).step_by(RECORD).filter_map(|at| image.offset(image.word(at + 4)?)).min()?;
    let has_crcs = match strings.checked_sub(gpl.end)? {
        0 => false,
        bytes if bytes == 4 * (counts.0 + counts.1) => true,
        _ => return None,
    };
    let mut symbols = HashMap::with_capacity(counts.0 + counts.1);
    for (index, at) in (plain.start..gpl.end).step_by(RECORD).enumerate() {
        let namespace = image.word(at + 8).filter(|address| *address != 0).and_then(|address| image.text(address));
        let symbol = KernelSymbol {
            crc: if has_crcs { image.word(gpl.end + 4 * index) } else { None },
            gpl_only: at >= gpl.start,
            namespace: namespace.unwrap_or_default().to_owned(),
        };
        symbols.insert(image.name(at)?.to_owned(), symbol);
    }
    let vermagic = find_vermagic(image.bytes).map(str::to_owned);
    Some(Kernel { symbols, has_crcs, vermagic, ..Kernel::default() })
}

struct Image<'a> {
    bytes: &'a [u8],
    base: u32,
    is_big: bool,
}

impl<'a> Image<'a> {
    fn word(&self, at: usize) -> Option<u32> {
        let word = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.is_big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    fn offset(&self, address: u32) -> Option<usize> {
        let offset = address.checked_sub(self.base)? as usize;
        (offset < self.bytes.len()).then_some(offset)
    }

    fn text(&self, address: u32) -> Option<&'a str> {
        let text = self.bytes.get(self.offset(address)?..)?;
        let length = text.iter().take(LONGEST_NAME).position(|byte| *byte == 0)?;
        std::str::from_utf8(text.get(..length)?).ok()
    }

    /// The name of the record at an offset, if there can be a record.
    fn name(&self, at: usize) -> Option<&'a str> {
        let namespace = self.word(at + 8)?;
        if namespace != 0 {
            self.offset(namespace)?;
        }
        let name = self.text(self.word(at + 4)?)?;
        let is_identifier = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (!name.is_empty() && name.bytes().all(is_identifier)).then_some(name)
    }

    /// The longest runs of records whose names ascend, in the order of the image.
    fn runs(&self) -> Vec<std::ops::Range<usize>> {
        let mut runs = Vec::new();
        let mut at = 0;
        // Of each of the three ways in which records can lie: a run that is too short ends here, and so do its ends.
        let mut short = [0; RECORD / 4];
        while at + RECORD <= self.bytes.len() {
            let way = at / 4 % short.len();
            if at < short[way] {
                at += 4;
                continue;
            }
            let mut end = at;
            let mut last = "";
            while let Some(name) = self.name(end).filter(|name| *name > last) {
                last = name;
                end += RECORD;
            }
            if end - at >= FEWEST * RECORD {
                runs.push(at..end);
                at = end;
            } else {
                short[way] = end;
                at += 4;
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: u32 = 0x8010_0000;

    /// An image with noise in front, 30 plain and 40 GPL-only exports.
    fn image(is_big: bool, with_crcs: bool) -> Vec<u8> {
        let names: Vec<String> =
            (0..30).map(|n| format!("plain_{n:02}")).chain((0..40).map(|n| format!("gpl_{n:02}"))).collect();
        let tables = 0x100 + names.len() * RECORD;
        let strings = tables + if with_crcs { 4 * names.len() } else { 0 };
        let word = |value: u32| if is_big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut text = Vec::new();
        let mut bytes = vec![0x41; 0x100];
        for name in &names {
            let at = BASE + (strings + text.len()) as u32;
            text.extend(name.as_bytes());
            text.push(0);
            let space = BASE + (strings + text.len()) as u32;
            text.extend(if name == "gpl_07" { b"SPACE\0".as_slice() } else { b"\0" });
            for field in [BASE, at, space] {
                bytes.extend(word(field));
            }
        }
        for crc in (0..names.len() as u32).filter(|_| with_crcs) {
            bytes.extend(word(0xa000_0000 | crc));
        }
        bytes.extend(text);
        bytes.extend(b"6.1.0 SMP mod_unload modversions MIPS32_R2 32BIT \0");
        bytes
    }

    #[test]
    fn tables_are_found_in_both_byte_orders_with_and_without_crcs() {
        for (is_big, with_crcs) in [(true, true), (false, true), (true, false)] {
            let kernel = exports(&image(is_big, with_crcs), BASE, is_big).unwrap();
            assert_eq!((kernel.symbols.len(), kernel.has_crcs), (70, with_crcs));
            let crc = |crc| with_crcs.then_some(crc);
            let expected = KernelSymbol { crc: crc(0xa000_0001), gpl_only: false, namespace: String::new() };
            assert_eq!(kernel.symbols["plain_01"], expected);
            let expected = KernelSymbol { crc: crc(0xa000_0000 + 37), gpl_only: true, namespace: "SPACE".to_owned() };
            assert_eq!(kernel.symbols["gpl_07"], expected);
            assert!(kernel.vermagic.unwrap().starts_with("6.1.0 SMP"));
        }
    }

    #[test]
    fn an_image_without_tables_or_cut_in_them_has_none() {
        let whole = image(true, true);
        assert!(exports(&whole, BASE, false).is_none(), "the wrong byte order");
        assert!(exports(&whole, BASE + 4, true).is_none(), "the wrong address");
        for length in 0..0x100 + 70 * RECORD {
            assert!(exports(&whole[..length], BASE, true).is_none(), "{length:#x}");
        }
    }
}
