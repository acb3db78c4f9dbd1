//! Files and lines, from a kernel's debug information.

use std::sync::Arc;

use addr2line::Context;
use gimli::{Dwarf, EndianArcSlice, RunTimeEndian, SectionId};
use object::{Object, ObjectSection};

type Reader = EndianArcSlice<RunTimeEndian>;

/// What DWARF says of a kernel.
pub struct Sources {
    context: Context<Reader>,
    /// The folder in which the kernel was built, and a slash: in front of most names.
    folder: String,
}

impl Sources {
    /// Nothing, if the file has no debug information, or none that can be read.
    pub fn of(file: &object::File<'_>) -> Option<Sources> {
        file.section_by_name(".debug_info")?;
        let endian = if file.is_little_endian() { RunTimeEndian::Little } else { RunTimeEndian::Big };
        let section = |id: SectionId| -> Result<Reader, object::Error> {
            let data = match file.section_by_name(id.name()) {
                Some(section) => section.uncompressed_data()?,
                None => Default::default(),
            };
            Ok(EndianArcSlice::new(Arc::from(data.as_ref()), endian))
        };
        let dwarf = Dwarf::load(section).ok()?;
        let folder = folder(&dwarf).map_or_else(String::new, |folder| folder + "/");
        Some(Sources { context: Context::from_dwarf(dwarf).ok()?, folder })
    }

    /// `file:line`; where functions were put into others, `(inner) file:line, in outer file:line`.
    pub fn at(&self, address: u64) -> Option<String> {
        let mut frames = self.context.find_frames(address).skip_all_loads().ok()?;
        let mut said: Vec<(Option<String>, String)> = Vec::new();
        while let Ok(Some(frame)) = frames.next() {
            let location = frame.location?;
            let file = location.file?;
            let file = file.strip_prefix(&self.folder).unwrap_or(file);
            let name = frame.function.and_then(|function| Some(function.raw_name().ok()?.into_owned()));
            said.push((name, format!("{file}:{}", location.line.unwrap_or(0))));
        }
        let ((inner, first), outer) = said.split_first()?;
        if outer.is_empty() {
            return Some(first.clone());
        }
        let mut text = format!("({}) {first}", inner.as_deref().unwrap_or("?"));
        for (name, place) in outer {
            text += &format!(", in {} {place}", name.as_deref().unwrap_or("?"));
        }
        Some(text)
    }
}

/// The first unit's `DW_AT_comp_dir`.
fn folder(dwarf: &Dwarf<Reader>) -> Option<String> {
    let header = dwarf.units().next().ok()??;
    let unit = dwarf.unit(header).ok()?;
    Some(String::from_utf8_lossy(&unit.comp_dir?).into_owned())
}
