//! ELF files and flat binaries as one value, before it is asked what kernel they are.

use crate::machine::{KSEG_SIZE, Machine, physical};
use std::collections::BTreeMap;

use super::kernel::Error;
use super::mips::{self, Code};
use super::{Form, elf, looks_like};
use crate::Result;

/// Before the questions that every form answers the same way.
pub(super) struct Raw {
    pub(super) arch: Machine,
    pub(super) form: Form,
    pub(super) load: u64,
    pub(super) entry: u64,
    pub(super) image: Vec<u8>,
    pub(super) memory_size: u64,
    pub(super) memory_exact: bool,
    pub(super) symbols: BTreeMap<String, u64>,
    pub(super) single_segment: bool,
    pub(super) appended: Option<(u64, u64)>,
    pub(super) notes: Vec<String>,
}

pub(super) fn from_elf(flat: elf::Flat) -> Raw {
    Raw {
        arch: flat.arch,
        form: Form::Vmlinux,
        load: flat.load,
        entry: flat.entry,
        image: flat.image,
        memory_size: flat.memory_size,
        memory_exact: true,
        symbols: flat.symbols,
        single_segment: flat.segments == 1,
        appended: flat.appended,
        notes: Vec::new(),
    }
}

pub(super) fn from_flat(image: Vec<u8>, load: u64, entry: Option<u64>) -> Result<Raw> {
    let Some(base) = physical(load).filter(|base| base + image.len() as u64 <= KSEG_SIZE as u64) else {
        return Err(Error::NotInKseg0 { size: image.len(), load }.into());
    };
    let Some(big_endian) = mips::big_endian(&image) else {
        return Err(Error::NoCode { likeness: looks_like(&image) }.into());
    };
    let code = Code { bytes: &image, base, big_endian };
    let mut notes = Vec::new();
    let entry = match entry {
        Some(entry) => physical(entry)
            .filter(|at| (base..base + image.len() as u64).contains(at) && at % 4 == 0)
            .ok_or_else(|| Error::EntryOutside { entry, start: base, end: base + image.len() as u64 })?,
        None => {
            let starts_here = code.zboot(base).is_some()
                || code.real_entry(base).is_some_and(|entry| entry != base && code.bss(entry).is_some());
            if !starts_here && code.bss(base).is_none() {
                return Err(Error::EntryUnknown { load }.into());
            }
            base
        }
    };
    let end = match code.zboot(entry) {
        Some(vmlinuz) => Some(vmlinuz.end),
        None => code.bss(entry).map(|bss| bss.end),
    };
    let end = end.filter(|end| *end >= base + image.len() as u64);
    if end.is_none() {
        notes.push(
            "how much bss the kernel clears is unknown: a flat binary does not tell, and its code was not recognised"
                .into(),
        );
    }
    Ok(Raw {
        arch: if big_endian { Machine::MipsBe } else { Machine::MipsLe },
        form: Form::Flat,
        load: base,
        entry,
        memory_size: end.map_or(image.len() as u64, |end| end - base),
        memory_exact: end.is_some(),
        symbols: BTreeMap::new(),
        single_segment: true,
        appended: None,
        notes,
        image,
    })
}
