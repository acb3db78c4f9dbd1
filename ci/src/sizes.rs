//! How large the shims are, and that nothing in them can panic.

use object::{Architecture, Object, ObjectSection, ObjectSymbol, SectionKind};
use stoop_image::machine::Machine;
use stoop_image::shim_image::{self, Form, Header, Variant};
use stoop_samples::failure::{Failure, Result};

use crate::cache;
use crate::prebuilt::shim;

/// The most bytes of an image that a shim may take: what they take, and a few words.
pub fn budget(variant: Variant, machine: Machine) -> usize {
    match variant {
        Variant::Store if machine.is_mips() => 10_240,
        Variant::Store => 10_496,
        Variant::Full if machine.is_mips() => 12_800,
        Variant::Full => 12_880,
        Variant::Trace => TRACE,
    }
}

/// Of a shim that is traced, for which there is no budget.
const TRACE: usize = 14_592;

/// Bytes of the params that are counted: those with the default cookie and no kept keys.
const PARAMS: usize = 152;

/// What is known of one shim.
#[derive(Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Sections that take bytes of the image or of RAM, in the order of their addresses: name, bytes, in the image or not.
    pub sections: Vec<(String, u64, bool)>,
    /// Bytes at the run address, the room for params included.
    pub unpacked: usize,
    /// Bytes in an image, with params.
    pub stored: usize,
    /// Symbols of a panicking path.
    pub panicking: Vec<String>,
}

impl Sizes {
    /// Of a linked shim.
    ///
    /// # Errors
    /// When it is no ELF of a shim.
    pub fn of(elf: &[u8]) -> Result<Sizes> {
        let file = object::File::parse(elf).map_err(|error| Failure::new(format!("the shim: {error}")))?;
        let mut sections: Vec<_> = file
            .sections()
            .filter(|section| section.size() > 0)
            .map(|section| {
                (section.address(), section.name().unwrap_or("?").to_owned(), section.size(), section.kind())
            })
            .filter(|section| LOADED.contains(&section.3) || section.3 == SectionKind::UninitializedData)
            .collect();
        sections.sort_by_key(|section| section.0);
        let header = match file.architecture() {
            Architecture::Aarch64 => Header::Arm64 { text_offset: 0, image_size: 0 },
            _ => Header::Mips { run_address: 0 },
        };
        let front = shim_image::front(elf, header, &[0; PARAMS], Form::Squeezed)?;
        Ok(Sizes {
            sections: sections.into_iter().map(|(_, name, size, kind)| (name, size, LOADED.contains(&kind))).collect(),
            unpacked: front.unpacked,
            stored: front.bytes.len(),
            panicking: panicking(file.symbols().filter_map(|symbol| symbol.name().ok())),
        })
    }

    /// The budget's verdict.
    ///
    /// # Errors
    /// When the image exceeds the budget, or can panic.
    pub fn check(&self, name: &str, budget: usize) -> Result<()> {
        if !self.panicking.is_empty() {
            return Err(Failure::new(format!("{name} can panic: {}", self.panicking.join(", ")))
                .next("replace the indexing, unwrap or division that leads there"));
        }
        if self.stored > budget {
            let over = self.stored - budget;
            return Err(Failure::new(format!(
                "{name} takes {} bytes of an image, {over} more than {budget}",
                self.stored
            ))
            .next("read the sections above, and `nm --size-sort` of the ELF"));
        }
        Ok(())
    }
}

/// Kinds of sections that are in the image.
const LOADED: [SectionKind; 4] =
    [SectionKind::Text, SectionKind::Data, SectionKind::ReadOnlyData, SectionKind::ReadOnlyString];

/// The symbols by which a panic would be reached.
fn panicking<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let bad = ["panic", "unwrap_failed", "expect_failed", "slice_index_fail", "slice_error_fail"];
    names.filter(|name| bad.iter().any(|part| name.contains(part))).map(str::to_owned).collect()
}

/// Prints the sizes of all stored shims, and checks them.
///
/// # Errors
/// Those of [`Sizes::check`], after everything was printed.
pub fn print() -> Result<()> {
    let mut verdict = Ok(());
    let all = Machine::ALL.into_iter().flat_map(|machine| Variant::ALL.map(|variant| (variant, machine)));
    let all = all.filter(|(variant, machine)| variant.exists(*machine));
    for (variant, machine) in all {
        let (path, budget) = (shim(variant, machine), budget(variant, machine));
        let sizes = Sizes::of(&cache::read(&path)?)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        println!("{name}");
        for (section, size, loaded) in &sizes.sections {
            println!("  {section:<12} {size:>6}{}", if *loaded { "" } else { "  RAM only" });
        }
        println!("  {:<12} {:>6}  with room for params", "unpacked", sizes.unpacked);
        println!("  {:<12} {:>6}  squeezed, with {PARAMS} bytes of params, of {budget}", "in an image", sizes.stored);
        verdict = verdict.and(sizes.check(&name, budget));
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 8_192;

    fn sizes(stored: usize, panicking: &[&str]) -> Sizes {
        Sizes { sections: vec![], unpacked: 0, stored, panicking: self::panicking(panicking.iter().copied()) }
    }

    #[test]
    fn the_budget_itself_is_allowed_and_one_byte_more_is_not() {
        assert!(sizes(MOST, &[]).check("shim", MOST).is_ok());
        let failure = sizes(MOST + 1, &[]).check("shim", MOST).unwrap_err();
        assert!(failure.fact().contains("1 more"), "{failure}");
    }

    #[test]
    fn a_panicking_path_is_named() {
        let failure = sizes(1, &["main", "_ZN4core9panicking5panic17hE"]).check("shim", MOST).unwrap_err();
        assert!(failure.fact().contains("panicking"), "{failure}");
    }
}
