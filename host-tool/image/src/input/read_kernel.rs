//! Every way a kernel comes, read: vmlinux, vmlinuz, arm64 Image, flat binary, uImage, FIT, Debian package.

use crate::machine::{KSEG_SIZE, Machine};
use std::path::Path;

use super::kernel::Error;
use super::kernel::{Form, Inner, Kernel, Overrides, contradicts, version};
use super::mips::Code;
use super::raw::{Raw, from_elf, from_flat};
use super::relocation::relocation;
use super::{arm64, beside, deb, efi, elf, fit, looks_like, read_file, uimage, zboot};
use crate::Result;
use crate::format::arm64::is_image;
use crate::format::bootm;
use crate::format::bytes::be32;
use crate::format::codec::Codec;
use crate::format::codec::LARGEST;
use crate::kconfig::Kconfig;
use crate::platform;
use crate::progress::Progress;

/// Room behind a kernel with CONFIG_MIPS_RAW_APPENDED_DTB or _ELF_ (vmlinux.lds.S, setup.c).
const APPENDED_ROOM: u64 = 0x10_0000;

impl Kernel {
    /// Reads any form of kernel.
    ///
    /// # Errors
    /// Everything that makes the file no bootable 32-bit MIPS or arm64 kernel, each with its next step.
    pub fn read(path: &Path, overrides: Overrides, progress: &mut dyn Progress) -> Result<Kernel> {
        let within = |failure: crate::Error| failure.within(path.display());
        let bytes = read_file(path)?;
        if bytes.starts_with(b"!<arch>\n") {
            let contents = deb::read(&bytes, progress).map_err(within)?;
            let config = match (&overrides.config, &contents.config) {
                (None, Some((name, text))) => {
                    Some(Kconfig::parse(text, &format!("{name} of the package")).map_err(within)?)
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
            return Err(failure.into());
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
        if is_image(&bytes) {
            if overrides.load_address.is_some() || overrides.entry_point.is_some() {
                return Err(Error::ImageHasAddresses.into());
            }
            return arm64::read(bytes, overrides.config);
        }
        if bytes.starts_with(b"\x7fELF") {
            if overrides.load_address.is_some() || overrides.entry_point.is_some() {
                return Err(Error::ElfHasAddresses.into());
            }
            return finish(from_elf(elf::read(&bytes)?), overrides.config, progress);
        }
        if crate::format::uimage::is_one(&bytes) {
            return from_uimage(&bytes, overrides, progress);
        }
        if crate::format::device_tree::is_fit(&bytes) {
            return from_fit(&bytes, overrides, progress);
        }
        if let Some(codec) = Codec::detect(&bytes) {
            progress.step("decompressing the kernel", None);
            let inner = codec.decode(&bytes, KSEG_SIZE as u64)?;
            if Codec::detect(&inner).is_some() {
                return Err(Error::CompressedTwice { outer: codec.name() }.into());
            }
            let mut kernel = Kernel::from_bytes(inner, overrides, progress)?;
            kernel.form = Form::Compressed(codec, Box::new(kernel.form));
            return Ok(kernel);
        }
        let Some(load) = overrides.load_address else {
            return Err(Error::Unknown { likeness: looks_like(&bytes) }.into());
        };
        finish(from_flat(bytes, load, overrides.entry_point)?, overrides.config, progress)
    }
}

/// Files that belong to other options, and kernels of other machines.
fn not_a_kernel(bytes: &[u8]) -> Option<Error> {
    let is = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    // Documentation/arch/x86/boot.rst, /arch/arm/booting.rst, /arch/riscv/boot-image-header.rst.
    let other = [(0x202, &b"HdrS"[..], "x86"), (0x24, b"\x18\x28\x6f\x01", "32-bit ARM"), (0x38, b"RSC\x05", "RISC-V")];
    if let Some((.., machine)) = other.into_iter().find(|(at, magic, _)| is(*at, magic)) {
        return Some(Error::OtherMachine { machine });
    }
    if be32(bytes, 0) == Some(crate::format::device_tree::MAGIC) && !crate::format::device_tree::is_fit(bytes) {
        return Some(Error::DeviceTree);
    }
    is(0, b"hsqs").then_some(Error::Squashfs)
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
        kernel.notes.push(format!(
            "0x{:x} bytes behind the uImage's data are left out: `stoop inspect` tells what they are",
            header.behind
        ));
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
    arch: Option<Machine>,
    /// Load address and entry point; `None` when it runs wherever it is put.
    addresses: Option<(u64, u64)>,
    codec: Option<Codec>,
    data: &'a [u8],
}

impl Stored<'_> {
    /// Decompressed and taken apart; `what` is the container's name.
    fn kernel(&self, what: &'static str, overrides: Overrides, progress: &mut dyn Progress) -> Result<Kernel> {
        if let Some((load, entry)) = self.addresses
            && (overrides.load_address.is_some() || overrides.entry_point.is_some())
        {
            return Err(Error::ContainerHasAddresses { container: what, load, entry }.into());
        }
        let image = match self.codec {
            Some(codec) => {
                progress.step("decompressing the kernel", None);
                codec.decode(self.data, KSEG_SIZE as u64).map_err(|failure| failure.within(what))?
            }
            None => self.data.to_vec(),
        };
        let inside = |failure: crate::Error| failure.within(format!("in the {what}"));
        bootm::packaged(&image, &format!("a {what}"))?;
        if is_image(&image) {
            return arm64::read(image, overrides.config).map_err(inside);
        }
        if self.arch == Some(Machine::Arm64) {
            return Err(Error::NoImageInside { container: what, likeness: looks_like(&image) }.into());
        }
        if image.starts_with(b"\x7fELF") {
            return finish(from_elf(elf::read(&image).map_err(inside)?), overrides.config, progress);
        }
        let Some((load, entry)) = self.addresses else {
            let load = overrides.load_address.ok_or(Error::NoAddresses { container: what })?;
            let raw = from_flat(image, load, overrides.entry_point).map_err(|failure| failure.within(what))?;
            return finish(raw, overrides.config, progress);
        };
        // The header's addresses are not the user's: what is wrong with them is a failure of the file.
        let raw = from_flat(image, load, Some(entry))
            .map_err(|failure| Error::ContainerAddresses { container: what, why: failure.to_string() })?;
        finish(raw, overrides.config, progress)
    }
}

/// Recognises a vmlinuz, then asks the uncompressed kernel for version, configuration and relocation.
fn finish(raw: Raw, config: Option<Kconfig>, progress: &mut dyn Progress) -> Result<Kernel> {
    let big_endian = raw.arch.is_big_endian();
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
        Some(payload) => {
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
        None => kernel.notes.push(
            "the kernel inside the vmlinuz was not found: its size, version and configuration are unknown".into(),
        ),
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
    if config.is_yes("ARM64") {
        return Err(contradicts(kernel.arch, config).into());
    }
    if config.is_yes("64BIT") {
        return Err(Error::Config64Bit.into());
    }
    let says = (config.is_yes("CPU_BIG_ENDIAN"), config.is_yes("CPU_LITTLE_ENDIAN"));
    if says == (!kernel.arch.is_big_endian(), kernel.arch.is_big_endian()) {
        return Err(contradicts(kernel.arch, config).into());
    }
    if config.is_yes("CPU_MIPSR6") {
        return Err(Error::Release6.into());
    }
    Ok(())
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
#[path = "read_kernel_tests.rs"]
mod tests;
