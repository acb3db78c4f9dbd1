//! How large the shims are, and that nothing in them can panic.

use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use stoop::{Failure, Result};

use crate::cache;
use crate::lab::Endian;
use crate::prebuilt::{Program, path};

/// The most bytes a shim may have, everything that the board loads.
pub const CEILING: u64 = 6_144;

/// What is known of one shim.
#[derive(Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Sections that take bytes of the image or of RAM, in the order of their addresses: name, bytes, in the image or not.
    pub sections: Vec<(String, u64, bool)>,
    /// From the first to the last byte of the image, as `objcopy -O binary` writes it.
    pub raw: u64,
    /// Symbols of a panicking path.
    pub panicking: Vec<String>,
    /// What the linker script reserves behind the image for params, in bytes.
    pub params: Option<u64>,
}

impl Sizes {
    /// Of a linked shim.
    ///
    /// # Errors
    /// When it is no ELF.
    pub fn of(elf: &[u8]) -> Result<Sizes> {
        let file = object::File::parse(elf).map_err(|error| Failure::new(format!("the shim: {error}")))?;
        let loaded = |kind| {
            matches!(
                kind,
                SectionKind::Text | SectionKind::Data | SectionKind::ReadOnlyData | SectionKind::ReadOnlyString
            )
        };
        let mut sections: Vec<_> = file
            .sections()
            .filter(|section| section.size() > 0)
            .filter(|section| loaded(section.kind()) || section.kind() == SectionKind::UninitializedData)
            .map(|section| {
                (section.address(), section.name().unwrap_or("?").to_owned(), section.size(), loaded(section.kind()))
            })
            .collect();
        sections.sort();
        let inside = || sections.iter().filter(|section| section.3);
        let from = inside().map(|section| section.0).min().unwrap_or_default();
        let to = inside().map(|section| section.0 + section.2).max().unwrap_or_default();
        let symbol = |name| file.symbols().find(|symbol| symbol.name() == Ok(name)).map(|symbol| symbol.address());
        let params = || {
            // Seen as MIPS sees it, in 32 bits: absolute symbols may be sign-extended.
            let [start, params, size] =
                [symbol("__run_start")?, symbol("__params")?, symbol("__move_size")?].map(|a| a as u32);
            size.checked_sub(params.wrapping_sub(start)).map(u64::from)
        };
        Ok(Sizes {
            raw: to - from,
            panicking: panicking(file.symbols().filter_map(|symbol| symbol.name().ok())),
            params: params(),
            sections: sections.into_iter().map(|(_, name, size, loaded)| (name, size, loaded)).collect(),
        })
    }

    /// The budget's verdict.
    ///
    /// # Errors
    /// When the image exceeds the ceiling, can panic, or keeps another room for params than stoop-core says.
    pub fn check(&self, name: &str, ceiling: u64) -> Result<()> {
        if !self.panicking.is_empty() {
            return Err(Failure::new(format!("{name} can panic: {}", self.panicking.join(", ")))
                .next("replace the indexing, unwrap or division that leads there"));
        }
        if self.raw > ceiling {
            return Err(Failure::new(format!(
                "{name} has {} bytes, {} more than {ceiling}",
                self.raw,
                self.raw - ceiling
            ))
            .next("read the sections above, and `nm --size-sort` of the ELF"));
        }
        let wanted = stoop_core::params::MAX_SIZE as u64;
        match self.params {
            Some(room) if room == wanted => Ok(()),
            room => {
                let room = room.map_or("none".to_owned(), |room| format!("{room:#x} bytes"));
                Err(Failure::new(format!("{name} keeps {room} for params, stoop-core needs {wanted:#x}"))
                    .next("correct PARAMS_SIZE in linker/mips.ld"))
            }
        }
    }
}

/// The symbols by which a panic would be reached.
fn panicking<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let bad = ["panic", "unwrap_failed", "expect_failed", "slice_index_fail", "slice_error_fail"];
    names.filter(|name| bad.iter().any(|part| name.contains(part))).map(str::to_owned).collect()
}

/// Prints the sizes of both stored shims, and checks them.
///
/// # Errors
/// Those of [`Sizes::check`], after everything was printed.
pub fn print() -> Result<()> {
    let mut verdict = Ok(());
    for endian in Endian::ALL {
        let path = path(Program::Shim, endian);
        let sizes = Sizes::of(&cache::read(&path)?)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("{name}");
        for (section, size, loaded) in &sizes.sections {
            println!("  {section:<12} {size:>6}{}", if *loaded { "" } else { "  RAM only" });
        }
        println!("  {:<12} {:>6}  of {CEILING}, {} left", "image", sizes.raw, CEILING as i64 - sizes.raw as i64);
        verdict = verdict.and(sizes.check(&name, CEILING));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(raw: u64, panicking: &[&str]) -> Sizes {
        let panicking = self::panicking(panicking.iter().copied());
        Sizes { sections: vec![], raw, panicking, params: Some(stoop_core::params::MAX_SIZE as u64) }
    }

    #[test]
    fn the_ceiling_itself_is_allowed_and_one_byte_more_is_not() {
        assert!(sizes(CEILING, &[]).check("shim", CEILING).is_ok());
        let failure = sizes(CEILING + 1, &[]).check("shim", CEILING).unwrap_err();
        assert!(failure.fact().contains("1 more"), "{failure}");
    }

    #[test]
    fn a_panicking_path_is_named() {
        let failure = sizes(1, &["main", "_ZN4core9panicking5panic17hE"]).check("shim", CEILING).unwrap_err();
        assert!(failure.fact().contains("panicking"), "{failure}");
    }

    #[test]
    fn another_room_for_params_is_an_error() {
        let sizes = Sizes { params: Some(1), ..sizes(1, &[]) };
        assert!(sizes.check("shim", CEILING).is_err());
    }
}
