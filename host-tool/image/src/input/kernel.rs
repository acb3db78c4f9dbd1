//! One neutral value for every way a kernel comes.

mod error;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::relocation::Relocation;
use super::zboot;
use crate::format::bytes::find;
use crate::format::codec::Codec;
use crate::kconfig::Kconfig;
use crate::machine::Machine;
use crate::platform::Platform;
pub use error::Error;

use crate::Result;

/// How the kernel came; containers name what was inside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Form {
    /// ELF, linked where it runs.
    Vmlinux,
    /// ELF or flat, decompresses itself.
    Vmlinuz,
    /// Bytes without headers.
    Flat,
    /// None: only its configuration is known.
    Configuration,
    /// arm64's own format.
    Image,
    /// U-Boot's legacy format.
    UImage(Box<Form>),
    /// U-Boot's flattened image tree.
    Fit(Box<Form>),
    /// A Debian package.
    Deb(Box<Form>),
    /// An EFI program that unpacks its kernel.
    EfiZboot(Codec, Box<Form>),
    /// A compressed file.
    Compressed(Codec, Box<Form>),
}

impl Form {
    /// What is inside all containers.
    pub fn innermost(&self) -> &Form {
        match self {
            Form::UImage(inner)
            | Form::Fit(inner)
            | Form::Deb(inner)
            | Form::EfiZboot(_, inner)
            | Form::Compressed(_, inner) => inner.innermost(),
            Form::Vmlinux | Form::Vmlinuz | Form::Flat | Form::Image | Form::Configuration => self,
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Vmlinux => f.write_str("vmlinux"),
            Form::Vmlinuz => f.write_str("vmlinuz"),
            Form::Flat => f.write_str("flat binary"),
            Form::Configuration => f.write_str("its configuration alone"),
            Form::Image => f.write_str("arm64 Image"),
            Form::UImage(inner) => write!(f, "{inner} in a uImage"),
            Form::Fit(inner) => write!(f, "{inner} in a FIT"),
            Form::Deb(inner) => write!(f, "{inner} in a Debian package"),
            Form::EfiZboot(codec, inner) => write!(f, "{inner} in an EFI zboot image, {}", codec.name()),
            Form::Compressed(codec, inner) => write!(f, "{inner}, {}", codec.name()),
        }
    }
}

/// What the user says about a kernel that does not say it itself. Addresses as in KSEG0, KSEG1 or physical.
#[derive(Clone, Default, Debug)]
pub struct Overrides {
    /// Where a flat binary is linked.
    pub load_address: Option<u64>,
    /// Where a flat binary is entered; by default at its load address, if there is a jump.
    pub entry_point: Option<u64>,
    /// The configuration it was built with; counts before one found in the kernel or its package.
    pub config: Option<Kconfig>,
}

/// The kernel inside a vmlinuz.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inner {
    /// Physical addresses from its load address to the end of its bss; the vmlinuz writes here.
    pub region: Range<u64>,
    /// The end of the bss was read from its code. If not, the region ends with the file-backed part.
    pub exact: bool,
    /// Physical.
    pub entry_point: u64,
    /// The compression it was in.
    pub codec: Codec,
}

/// A kernel, wherever it came from. All addresses are physical; those of an arm64 kernel count from a multiple of 2 MiB.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// The machine it is for.
    pub arch: Machine,
    /// How it came.
    pub form: Form,
    /// Where the first byte of `image` belongs.
    pub load_address: u64,
    /// Where the CPU goes.
    pub entry_point: u64,
    /// All of its bytes, gaps filled with zeros. What follows up to `memory_size` must be zeroed.
    pub image: Vec<u8>,
    /// Bytes from `load_address` that it needs: bss included, of a vmlinuz also the heap.
    pub memory_size: u64,
    /// `memory_size` is from headers or from the kernel's own code. If not, it is the size of the image and the bss is unknown.
    pub memory_exact: bool,
    /// For a vmlinuz: what it writes when it runs. `None` with a note when it could not be found out.
    pub decompresses_to: Option<Inner>,
    /// The kernel moves itself at boot.
    pub relocation: Option<Relocation>,
    /// Where a device tree can be put instead of passing it: physical address and room in bytes.
    pub appended_dtb: Option<(u64, u64)>,
    /// Interesting symbols such as `__appended_dtb`, physical.
    pub symbols: BTreeMap<String, u64>,
    /// From IKCONFIG or the package.
    pub config: Option<Kconfig>,
    /// The platform by the words in it, and those words: for a MIPS kernel whose configuration is not known.
    pub platform: Option<(&'static Platform, &'static str)>,
    /// What follows "Linux version ", up to the compiler: such as `6.1.0-50-mips32r2el`.
    pub version: Option<String>,
    /// The size of its pages when that is not 4 KiB; of arm64 kernels, whose headers tell.
    pub foreign_pages: Option<&'static str>,
    /// What the user should know, whole sentences without a full stop.
    pub notes: Vec<String>,
}

impl Kernel {
    /// What a configuration tells of a kernel that is not there: no bytes and no addresses.
    ///
    /// # Errors
    /// It says nothing of a byte order that stoop knows.
    pub fn of_config(config: Kconfig) -> Result<Kernel> {
        let arches =
            [("CPU_BIG_ENDIAN", Machine::MipsBe), ("CPU_LITTLE_ENDIAN", Machine::MipsLe), ("ARM64", Machine::Arm64)];
        let Some((_, arch)) = arches.into_iter().rfind(|(symbol, _)| config.is_yes(symbol)) else {
            return Err(Error::ConfigMachine { source_name: config.source().to_owned() }.into());
        };
        Ok(Kernel {
            arch,
            form: Form::Configuration,
            load_address: 0,
            entry_point: 0,
            image: Vec::new(),
            memory_size: 0,
            memory_exact: false,
            decompresses_to: None,
            relocation: None,
            appended_dtb: None,
            symbols: BTreeMap::new(),
            platform: None,
            version: config.version().map(str::to_owned),
            config: Some(config),
            foreign_pages: None,
            notes: Vec::new(),
        })
    }

    /// Where the kernel proper runs before it moves itself: of a vmlinuz the inner kernel's region.
    pub fn runs_at(&self) -> Range<u64> {
        match &self.decompresses_to {
            Some(inner) => inner.region.clone(),
            None => self.load_address..self.load_address + self.memory_size,
        }
    }

    /// The bytes of the kernel proper and the physical address of the first: of a vmlinuz, what it decompresses to.
    /// Nothing when that could not be found out.
    pub fn proper(&self) -> Option<(Cow<'_, [u8]>, u64)> {
        match (self.form.innermost(), &self.decompresses_to) {
            (Form::Vmlinuz, None) => None,
            (Form::Vmlinuz, Some(inner)) => {
                let payload = zboot::payload(&self.image)?;
                Some((Cow::Owned(payload.image), inner.region.start))
            }
            _ => Some((Cow::Borrowed(&self.image), self.load_address)),
        }
    }
}

/// The word behind "Linux version ". The banner proper has the build number; other strings look alike.
pub(super) fn version(image: &[u8]) -> Option<String> {
    const BANNER: &[u8] = b"Linux version ";
    let mut from = 0;
    while let Some(at) = find(&image[from..], BANNER) {
        from += at + BANNER.len();
        let word: Vec<u8> = image[from..].iter().take(64).take_while(|byte| byte.is_ascii_graphic()).copied().collect();
        if word.first().is_some_and(u8::is_ascii_digit) {
            return String::from_utf8(word).ok();
        }
    }
    None
}

/// The configuration is of another kernel.
pub(super) fn contradicts(arch: Machine, config: &Kconfig) -> Error {
    Error::Contradicts { machine: arch, source_name: config.source().to_owned() }
}
