//! What stock kexec-tools and a running kernel ask of an image, checked on the finished file, and the script that checks
//! the rest on the router.
//!
//! `script.sh` has what is the same for all machines; `mips.sh` and `arm64.sh` have its functions `machine`, `memory`, `load`.

mod error;

mod arm64;
mod mips;
mod rule;

use rule::TREE_ROOM;
use stoop_core::Region;

use crate::machine::Machine;

use crate::image;
use crate::plan::Format;
use crate::simulate::{self, Entry, Input};
pub use error::Error;

use crate::Result;

pub use arm64::Image;
pub use mips::Elf;

/// An image that kexec can load.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Loadable {
    /// Bytes of the file.
    pub size: usize,
    /// By machine.
    pub what: KexecImage,
}

/// What is loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum KexecImage {
    /// On MIPS.
    Elf(Elf),
    /// On arm64.
    Image(Image),
}

impl Loadable {
    /// Looks at an image.
    ///
    /// # Errors
    /// No image, a damaged one, in another format than kexec takes, or one that breaks a rule of kexec; the rule and the
    /// numbers.
    pub fn of(file: &[u8]) -> Result<Loadable> {
        let opened = image::open(file)?;
        let is_arm64 = opened.machine == Machine::Arm64;
        let wanted = if is_arm64 { Format::Image } else { Format::Elf };
        if opened.format != wanted {
            return Err(
                Error::Format { format: opened.format.name(), machine: opened.machine, wanted: wanted.name() }.into()
            );
        }
        if let Some(damaged) = opened.checks().into_iter().find_map(|check| Some((check.of, check.wrong?))) {
            return Err(Error::Checksum { of: damaged.0, wrong: damaged.1 }.into());
        }
        // On arm64 there is always a device tree, without bootargs if none are given.
        let entry = if is_arm64 { Entry::Argv(Vec::new()) } else { Entry::None };
        let outcome = simulate::run(file, &Input { entry, load: None })?;
        let booted = outcome.result.map_err(|error| Error::GivesUp { reason: error })?;
        let what = match is_arm64 {
            true => KexecImage::Image(Image::of(file, &opened, &booted)?),
            false => KexecImage::Elf(Elf::of(file, &opened, &booted)?),
        };
        Ok(Loadable { size: file.len(), what })
    }

    /// What the kernel has to keep until it starts the image, in KiB.
    pub fn loaded_kib(&self) -> usize {
        let image = match &self.what {
            KexecImage::Elf(elf) => elf.segments.iter().map(Region::size).sum(),
            KexecImage::Image(image) => image.memory,
        };
        (image + TREE_ROOM).div_ceil(1024)
    }

    /// What is loaded, for people.
    pub fn summary(&self) -> String {
        match &self.what {
            KexecImage::Elf(elf) => format!("{} segments", elf.segments.len()),
            KexecImage::Image(image) => {
                format!("0x{:x} bytes of RAM from a multiple of 2 MiB + 0x{:x} on", image.memory, image.offset)
            }
        }
    }

    /// A POSIX shell script for the running router; `name` is the script's file name.
    pub fn script(&self, name: &str) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let name: String = name.chars().map(|c| if plain(c) { c } else { '_' }).collect();
        let (functions, own) = match &self.what {
            KexecImage::Elf(elf) => (include_str!("mips.sh"), elf.values()),
            KexecImage::Image(image) => (include_str!("arm64.sh"), image.values()),
        };
        let mut values = vec![
            ("@FUNCTIONS@\n", functions.to_owned()),
            ("@VERSION@", env!("CARGO_PKG_VERSION").to_owned()),
            ("@NAME@", name),
            ("@SIZE@", self.size.to_string()),
            ("@LOADED@", self.loaded_kib().to_string()),
            ("@FILE@", self.size.div_ceil(1024).to_string()),
        ];
        values.extend(own);
        values.iter().fold(include_str!("script.sh").to_owned(), |text, (from, to)| text.replace(from, to))
    }
}
