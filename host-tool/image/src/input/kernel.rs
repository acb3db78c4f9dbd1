//! One neutral value for every way a kernel comes: vmlinux, vmlinuz, arm64 Image, flat binary, uImage, FIT, Debian package.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use super::codec::Codec;
use super::mips::Code;
use super::raw::{Raw, from_elf, from_flat};
use super::relocation::{Relocation, relocation};
use super::{
    Arch, KSEG0_SIZE, LARGEST, arm64, be32, beside, deb, efi, elf, find, fit, looks_like, read_file, uimage, zboot,
};
use crate::kconfig::Kconfig;
use crate::preflight::platform::{self, Platform};
use crate::progress::Progress;
use crate::{ErrorCode, Failure, Result};

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
    pub arch: Arch,
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

/// Room behind a kernel with CONFIG_MIPS_RAW_APPENDED_DTB or _ELF_ (vmlinux.lds.S, setup.c).
const APPENDED_ROOM: u64 = 0x10_0000;

impl Kernel {
    /// What a configuration tells of a kernel that is not there: no bytes and no addresses.
    ///
    /// # Errors
    /// It says nothing of a byte order that stoop knows.
    pub fn of_config(config: Kconfig) -> Result<Kernel> {
        let arches = [("CPU_BIG_ENDIAN", Arch::MipsBe), ("CPU_LITTLE_ENDIAN", Arch::MipsLe), ("ARM64", Arch::Arm64)];
        let Some((_, arch)) = arches.into_iter().rfind(|(symbol, _)| config.is_yes(symbol)) else {
            return Err(Failure::new(
                ErrorCode::KernelMachine,
                format!("{}: it is for no machine that stoop knows", config.source()),
            )
            .next("give the whole configuration of a 32-bit MIPS kernel, not a fragment of it"));
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

    /// Reads any form of kernel.
    ///
    /// # Errors
    /// Everything that makes the file no bootable 32-bit MIPS or arm64 kernel, each with its next step.
    pub fn read(path: &Path, overrides: Overrides, progress: &mut dyn Progress) -> Result<Kernel> {
        let within = |failure: Failure| failure.within(path.display());
        let bytes = read_file(path)?;
        if bytes.starts_with(b"!<arch>\n") {
            let contents = deb::read(&bytes, progress).map_err(within)?;
            let config = match (&overrides.config, &contents.config) {
                (None, Some((name, text))) => {
                    Some(Kconfig::parse(text, &format!("boot/{name} of the package")).map_err(within)?)
                }
                _ => overrides.config.clone(),
            };
            let overrides = Overrides { config, ..overrides };
            let mut kernel = Kernel::from_bytes(contents.kernel, overrides, progress)
                .map_err(|failure| failure.within(&contents.name))
                .map_err(within)?;
            kernel.form = Form::Deb(Box::new(kernel.form));
            return Ok(kernel);
        }
        let kernel = Kernel::from_bytes(bytes, overrides.clone(), progress).map_err(within)?;
        if kernel.config.is_some() {
            return Ok(kernel);
        }
        // What is found without being asked for may be another kernel's: then the kernel is as it was.
        let found = beside::configurations(path, kernel.version.as_deref());
        Ok(found
            .into_iter()
            .find_map(|config| {
                let overrides = Overrides { config: Some(config), ..overrides.clone() };
                Kernel::from_bytes(read_file(path).ok()?, overrides, progress).ok()
            })
            .unwrap_or(kernel))
    }

    fn from_bytes(bytes: Vec<u8>, overrides: Overrides, progress: &mut dyn Progress) -> Result<Kernel> {
        if let Some(failure) = not_a_kernel(&bytes) {
            return Err(failure);
        }
        if efi::is_zboot(&bytes) {
            let (codec, payload) = efi::zboot(&bytes)?;
            progress.step("decompressing the kernel", None);
            let inner = codec.decode(payload, LARGEST).map_err(|failure| failure.within("in the EFI zboot image"))?;
            let mut kernel = Kernel::from_bytes(inner, overrides, progress)
                .map_err(|failure| failure.within("in the EFI zboot image"))?;
            kernel.form = Form::EfiZboot(codec, Box::new(kernel.form));
            return Ok(kernel);
        }
        if arm64::is_image(&bytes) {
            if overrides.load_address.is_some() || overrides.entry_point.is_some() {
                return Err(Failure::usage(
                    ErrorCode::KernelAddresses,
                    "an arm64 Image runs at any multiple of 2 MiB, and says so itself",
                )
                .next("leave --load-address and --entry-point away"));
            }
            return arm64::read(bytes, overrides.config);
        }
        if bytes.starts_with(b"\x7fELF") {
            if overrides.load_address.is_some() || overrides.entry_point.is_some() {
                return Err(Failure::usage(
                    ErrorCode::KernelAddresses,
                    "an ELF kernel has its own load address and entry point",
                )
                .next("leave --load-address and --entry-point away"));
            }
            return finish(from_elf(elf::read(&bytes)?), overrides.config, progress);
        }
        if uimage::is_one(&bytes) {
            return from_uimage(&bytes, overrides, progress);
        }
        if super::dtb::is_fit(&bytes) {
            return from_fit(&bytes, overrides, progress);
        }
        if let Some(codec) = Codec::detect(&bytes) {
            progress.step("decompressing the kernel", None);
            let inner = codec.decode(&bytes, KSEG0_SIZE)?;
            if Codec::detect(&inner).is_some() {
                return Err(Failure::new(ErrorCode::KernelForm, format!("compressed twice, {} outside", codec.name()))
                    .next("decompress it once"));
            }
            let mut kernel = Kernel::from_bytes(inner, overrides, progress)?;
            kernel.form = Form::Compressed(codec, Box::new(kernel.form));
            return Ok(kernel);
        }
        let Some(load) = overrides.load_address else {
            return Err(Failure::usage(ErrorCode::KernelForm, format!("not an ELF kernel, a uImage or a package, but {}", looks_like(&bytes)))
                .next("if it is a flat binary such as vmlinux.bin, give --load-address, and --entry-point if it starts elsewhere"));
        };
        finish(from_flat(bytes, load, overrides.entry_point)?, overrides.config, progress)
    }

    /// Where the kernel proper runs before it moves itself: of a vmlinuz the inner kernel's region.
    pub fn runs_at(&self) -> Range<u64> {
        match &self.decompresses_to {
            Some(inner) => inner.region.clone(),
            None => self.load_address..self.load_address + self.memory_size,
        }
    }
}

impl Kernel {
    /// The bytes of the kernel proper and the physical address of the first: of a vmlinuz, what it decompresses to.
    /// Nothing when that could not be found out.
    pub fn proper(&self) -> Option<(Cow<'_, [u8]>, u64)> {
        match (self.form.innermost(), &self.decompresses_to) {
            (Form::Vmlinuz, None) => None,
            (Form::Vmlinuz, Some(inner)) => {
                let payload = zboot::payload(&self.image).ok()?;
                Some((Cow::Owned(payload.image), inner.region.start))
            }
            _ => Some((Cow::Borrowed(&self.image), self.load_address)),
        }
    }
}

/// Files that belong to other options, and kernels of other machines.
fn not_a_kernel(bytes: &[u8]) -> Option<Failure> {
    let is = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    // Documentation/arch/x86/boot.rst, /arch/arm/booting.rst, /arch/riscv/boot-image-header.rst.
    let other = [(0x202, &b"HdrS"[..], "x86"), (0x24, b"\x18\x28\x6f\x01", "32-bit ARM"), (0x38, b"RSC\x05", "RISC-V")];
    if let Some((.., machine)) = other.into_iter().find(|(at, magic, _)| is(*at, magic)) {
        return Some(
            Failure::new(ErrorCode::KernelMachine, format!("this is a kernel for {machine}"))
                .next("give a kernel built for MIPS or arm64"),
        );
    }
    let (fact, next) = if be32(bytes, 0) == Some(super::dtb::MAGIC) && !super::dtb::is_fit(bytes) {
        ("a device tree blob", "give it with --dtb, and a kernel with --kernel")
    } else if is(0, b"hsqs") {
        ("a squashfs", "give it with --rootfs, and a kernel with --kernel")
    } else {
        return None;
    };
    Some(Failure::new(ErrorCode::KernelForm, format!("this is {fact}")).next(next))
}

fn from_uimage(bytes: &[u8], overrides: Overrides, progress: &mut dyn Progress) -> Result<Kernel> {
    let header = uimage::read(bytes)?;
    let addresses = header.addresses(&overrides);
    let stored = Stored { arch: header.arch, addresses, codec: header.codec, data: header.data };
    let mut kernel = stored.kernel("uImage", overrides, progress)?;
    kernel.notes.extend(header.vendor.map(|magic| {
        format!("the uImage has a vendor's magic, 0x{magic:08x}: the bootloader may want it of an image in flash, too")
    }));
    if header.behind > 0 {
        kernel.notes.push(format!("0x{:x} bytes behind the uImage's data are left out", header.behind));
    }
    if !header.name.is_empty() && kernel.version.is_none() {
        kernel.version = Some(header.name);
    }
    kernel.form = Form::UImage(Box::new(kernel.form));
    Ok(kernel)
}

fn from_fit(bytes: &[u8], overrides: Overrides, progress: &mut dyn Progress) -> Result<Kernel> {
    let fit::Kernel { addresses, codec, data, arch, notes } = fit::kernel(bytes)?;
    let mut kernel = Stored { arch, addresses, codec, data }.kernel("FIT", overrides, progress)?;
    kernel.notes.extend(notes);
    kernel.form = Form::Fit(Box::new(kernel.form));
    Ok(kernel)
}

/// A kernel as one of U-Boot's containers describes it.
struct Stored<'a> {
    /// `None` for MIPS.
    arch: Option<Arch>,
    /// Load address and entry point; `None` when it runs wherever it is put.
    addresses: Option<(u64, u64)>,
    codec: Option<Codec>,
    data: &'a [u8],
}

impl Stored<'_> {
    /// Decompressed and taken apart; `what` is the container's name.
    fn kernel(&self, what: &str, overrides: Overrides, progress: &mut dyn Progress) -> Result<Kernel> {
        if let Some((load, entry)) = self.addresses
            && (overrides.load_address.is_some() || overrides.entry_point.is_some())
        {
            return Err(Failure::usage(
                ErrorCode::KernelAddresses,
                format!("the {what} says where it belongs: load address 0x{load:x}, entry point 0x{entry:x}"),
            )
            .next("leave --load-address and --entry-point away"));
        }
        let image = match self.codec {
            Some(codec) => {
                progress.step("decompressing the kernel", None);
                codec.decode(self.data, KSEG0_SIZE).map_err(|failure| failure.within(what))?
            }
            None => self.data.to_vec(),
        };
        let inside = |failure: Failure| failure.within(format!("in the {what}"));
        if arm64::is_image(&image) {
            return arm64::read(image, overrides.config).map_err(inside);
        }
        if self.arch == Some(Arch::Arm64) {
            return Err(Failure::new(
                ErrorCode::KernelForm,
                format!("the {what} is for arm64 and holds {}", looks_like(&image)),
            )
            .next("give arch/arm64/boot/Image of the kernel's build"));
        }
        if image.starts_with(b"\x7fELF") {
            return finish(from_elf(elf::read(&image).map_err(inside)?), overrides.config, progress);
        }
        let Some((load, entry)) = self.addresses else {
            let load = overrides.load_address.ok_or_else(|| {
                Failure::usage(
                    ErrorCode::KernelAddresses,
                    format!("the {what} does not say where its kernel is linked: it runs where it is put"),
                )
                .next("give --load-address, and --entry-point if it starts elsewhere")
            })?;
            let raw = from_flat(image, load, overrides.entry_point).map_err(|failure| failure.within(what))?;
            return finish(raw, overrides.config, progress);
        };
        // The header's addresses are not the user's: what is wrong with them is a failure of the file.
        let raw = from_flat(image, load, Some(entry)).map_err(|failure| {
            Failure::new(ErrorCode::KernelAddresses, failure.fact())
                .within(what)
                .next(format!("build the {what} again with the kernel's own addresses"))
        })?;
        finish(raw, overrides.config, progress)
    }
}

/// Recognises a vmlinuz, then asks the uncompressed kernel for version, configuration and relocation.
fn finish(raw: Raw, config: Option<Kconfig>, progress: &mut dyn Progress) -> Result<Kernel> {
    let big_endian = raw.arch.big_endian();
    let code = Code { bytes: &raw.image, base: raw.load, big_endian };
    let start = if raw.single_segment { code.zboot(code.real_entry(raw.entry).unwrap_or(raw.entry)) } else { None };
    let mut kernel = Kernel {
        arch: raw.arch,
        form: raw.form,
        load_address: raw.load,
        entry_point: raw.entry,
        image: Vec::new(),
        memory_size: raw.memory_size,
        memory_exact: raw.memory_exact,
        decompresses_to: None,
        relocation: None,
        appended_dtb: None,
        symbols: raw.symbols,
        config,
        platform: None,
        version: None,
        foreign_pages: None,
        notes: raw.notes,
    };
    let Some(start) = start else {
        describe(&mut kernel, &raw.image)?;
        let (load, size) = (kernel.load_address, kernel.memory_size);
        kernel.relocation = relocation(load, size, kernel.config.as_ref(), &raw.image);
        kernel.appended_dtb = appended_slot(&kernel, raw.appended, raw.image.len() as u64);
        kernel.image = raw.image;
        return Ok(kernel);
    };

    kernel.form = Form::Vmlinuz;
    progress.step("decompressing the kernel", None);
    match zboot::payload(&raw.image) {
        Ok(payload) => {
            describe(&mut kernel, &payload.image)?;
            let platform = kernel.config.as_ref().and_then(platform::link_address);
            match zboot::place(&payload.image, &start, raw.load, big_endian, platform) {
                Some(place) => {
                    let region = place.load..place.load + place.memory_size;
                    if !place.exact {
                        kernel.notes.push(format!(
                            "the bss of the kernel inside the vmlinuz is unknown; at least [0x{:x}, 0x{:x}) is written",
                            region.start, region.end
                        ));
                    }
                    kernel.relocation =
                        relocation(place.load, place.memory_size, kernel.config.as_ref(), &payload.image);
                    kernel.decompresses_to =
                        Some(Inner { region, exact: place.exact, entry_point: start.entry, codec: payload.codec });
                }
                None => kernel.notes.push(format!(
                    "where the vmlinuz decompresses its kernel to is unknown; its entry point is 0x{:x}",
                    start.entry
                )),
            }
        }
        Err(codec) => kernel.notes.push(match codec {
            Some(codec) => format!("the kernel inside the vmlinuz is {} data, which is not looked into", codec.name()),
            None => {
                "the kernel inside the vmlinuz was not found: its size, version and configuration are unknown".into()
            }
        }),
    }
    let raw_appended = kernel.config.as_ref().is_some_and(|config| config.is_yes("MIPS_RAW_APPENDED_DTB"));
    kernel.appended_dtb = raw.appended.filter(|_| raw_appended);
    kernel.image = raw.image;
    Ok(kernel)
}

/// Version and configuration from the uncompressed kernel.
fn describe(kernel: &mut Kernel, image: &[u8]) -> Result<()> {
    kernel.version = version(image);
    if kernel.config.is_none() {
        kernel.config = Kconfig::from_image(image, "the kernel")?;
    }
    let Some(config) = &kernel.config else {
        kernel.platform = platform::by_words(image);
        return Ok(());
    };
    if config.is_yes("64BIT") {
        return Err(Failure::new(ErrorCode::KernelMachine, "the kernel is 64-bit (CONFIG_64BIT=y) in a 32-bit file")
            .next("build it with CONFIG_32BIT=y: stoop starts 32-bit MIPS kernels"));
    }
    let says = (config.is_yes("CPU_BIG_ENDIAN"), config.is_yes("CPU_LITTLE_ENDIAN"));
    if says == (!kernel.arch.big_endian(), kernel.arch.big_endian()) {
        return Err(Failure::new(
            ErrorCode::KernelConfig,
            format!("the kernel is {} but its configuration ({}) says otherwise", kernel.arch, config.source()),
        )
        .next("give the configuration that this kernel was built with"));
    }
    Ok(())
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

fn appended_slot(kernel: &Kernel, section: Option<(u64, u64)>, size: u64) -> Option<(u64, u64)> {
    if section.is_some() {
        return section;
    }
    // The linker script has this symbol only with CONFIG_MIPS_RAW_APPENDED_DTB.
    let raw = kernel.config.as_ref().is_some_and(|config| config.is_yes("MIPS_RAW_APPENDED_DTB"));
    let behind = (kernel.load_address + size).next_multiple_of(8);
    let at = kernel.symbols.get("__appended_dtb").copied().or(raw.then_some(behind))?;
    Some((at, APPENDED_ROOM))
}

#[cfg(test)]
#[path = "kernel_tests.rs"]
mod tests;
