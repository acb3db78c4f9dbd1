//! An image, read as a bootloader reads it.

use std::borrow::Cow;

use stoop_core::Region;

use crate::Result;
use crate::board::Container;
use crate::bootloader::image::{Image, physical};
use crate::format::bytes::be32;
use crate::format::checksum::checksum;
use crate::format::codec::Codec;
use crate::format::uimage::{self, header};
use crate::format::{bootm, fit};
use crate::image::{self, Opened};
use crate::input::{mips_byte_order, recognised};
use crate::machine::KSEG_SIZE;

/// An image as a bootloader sees it.
pub(super) struct Facts<'a> {
    pub(super) file: &'a [u8],
    pub(super) image: Image,
    /// Says its container, for people.
    pub(super) form: String,
    /// `None` for a codec that no board's list has.
    pub(super) container: Option<Container>,
    /// Checksums that do not hold.
    pub(super) wrong: Vec<String>,
    /// What the bootloader's decoder gets; `None` when it decodes nothing.
    pub(super) compressed: Option<(Codec, &'a [u8])>,
    /// Decoded or as it is; empty when it does not decode.
    pub(super) bytes: Cow<'a, [u8]>,
    /// Where the bootloader puts it; empty when that is where it was fetched to.
    pub(super) load: Region,
    /// What the headers call it, and the address of it that no loader on MIPS reaches: outside KSEG0 and KSEG1.
    pub(super) unreachable: Option<(&'static str, u64)>,
    /// Why the bootloader does not start it as a kernel, whatever its container.
    pub(super) no_kernel: Option<crate::Error>,
    /// What it is by its first bytes, when a bootloader could only run them as code.
    pub(super) no_code: Option<&'static str>,
    /// Physical.
    pub(super) entry: Option<usize>,
    pub(super) big_endian: Option<bool>,
    /// By its headers.
    pub(super) machine: MadeFor,
    /// Checksums that were computed.
    pub(super) checked: Vec<String>,
    /// Checksums of kinds that are not known here.
    pub(super) unchecked: Vec<String>,
    pub(super) stoop: Option<Opened<'a>>,
}

/// What an image's headers say it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum MadeFor {
    /// Nothing.
    Unsaid,
    /// 32-bit MIPS, of either byte order.
    Mips,
    /// arm64.
    Arm64,
    /// None that stoop knows, in a few words.
    Other(String),
}

impl MadeFor {
    /// By the numbers of U-Boot's include/image.h (IH_ARCH_*).
    fn of_uimage(arch: u8) -> MadeFor {
        match arch {
            5 => MadeFor::Mips,
            22 => MadeFor::Arm64,
            6 => MadeFor::Other("64-bit MIPS".into()),
            2 => MadeFor::Other("32-bit ARM".into()),
            other => MadeFor::Other(format!("architecture {other} of U-Boot's list")),
        }
    }

    /// By U-Boot's names.
    fn of_fit(arch: &str) -> MadeFor {
        match arch {
            "" => MadeFor::Unsaid,
            "mips" => MadeFor::Mips,
            "arm64" => MadeFor::Arm64,
            other => MadeFor::Other(format!("{:?}", other)),
        }
    }

    /// By class and e_machine.
    fn of_elf(file: &[u8], little_endian: bool) -> MadeFor {
        let half = file.get(18..20).map_or(0, |half| u16::from_be_bytes([half[0], half[1]]));
        let machine = if little_endian { half.swap_bytes() } else { half };
        match (machine, file.get(4)) {
            (8, Some(1)) => MadeFor::Mips,
            (8, _) => MadeFor::Other("64-bit MIPS".into()),
            (183, _) => MadeFor::Arm64,
            (other, _) => MadeFor::Other(format!("ELF machine {other}")),
        }
    }
}

impl Facts<'_> {
    /// Where its headers put and enter it, as virtual addresses; `load` is `None` for what runs where it is put. Its size comes later.
    fn put(&mut self, load: Option<u64>, entry: Option<u64>) {
        let Some(load) = load else { return };
        let entry = entry.unwrap_or(load);
        let unmapped = |address: u64| u32::try_from(address).ok().and_then(stoop_core::mips::physical).is_some();
        if self.machine == MadeFor::Mips {
            let all = [("load address", load), ("entry point", entry)];
            self.unreachable = all.into_iter().find(|(_, address)| !unmapped(*address));
        }
        if self.unreachable.is_none() {
            let low = |address: u64| usize::try_from(physical(address)).ok();
            self.entry = low(entry);
            self.load = low(load).and_then(|load| Region::new(load, 0)).unwrap_or(Region::EMPTY);
        }
    }

    /// Bytes that the bootloader itself handles: of an image for flash only the container.
    pub(super) fn started(&self) -> usize {
        let flash = self.stoop.as_ref().filter(|opened| opened.flash.is_some());
        flash.map_or(self.file.len(), |opened| opened.note.manifest)
    }
}

/// Takes the file apart as far as starting it needs.
///
/// # Errors
/// It is empty, or ends within its own header.
pub(super) fn of(file: &[u8]) -> Result<Facts<'_>> {
    let stoop = image::open(file).ok();
    let image = Image::of(file)?;
    let mut facts = Facts {
        file,
        image,
        form: String::new(),
        container: None,
        wrong: Vec::new(),
        compressed: None,
        bytes: Cow::Borrowed(&[]),
        load: Region::EMPTY,
        unreachable: None,
        no_kernel: None,
        no_code: None,
        entry: None,
        big_endian: None,
        machine: MadeFor::Unsaid,
        checked: Vec::new(),
        unchecked: Vec::new(),
        stoop: None,
    };
    let (codec, data) = match image {
        Image::Uimage { load, entry, size, compression } => {
            let (front, data) = file.split_at(uimage::HEADER);
            let mut data = &data[..size as usize];
            let header = header(file);
            if header.as_ref().is_none_or(|header| !header.header_good) {
                facts.wrong.push("the uImage header's CRC-32 does not match".into());
            }
            if header.is_some_and(|header| header.data_crc != checksum(data)) {
                facts.wrong.push("the CRC-32 of the uImage's data does not match".into());
            }
            facts.checked.push("CRC-32 of the uImage's header and data".into());
            facts.machine = MadeFor::of_uimage(front[29]);
            facts.no_kernel = bootm::uimage_header(front).err();
            if front[30] == bootm::MULTI {
                match bootm::first_file(data) {
                    Ok(first) => data = first,
                    Err(failure) => facts.no_kernel = Some(failure),
                }
            }
            facts.put(load.map(u64::from), Some(entry.into()));
            let codec = uimage::codec(compression);
            (facts.form, facts.container) = match codec {
                Some(None) => ("a uImage, not compressed".into(), Some(Container::UimageNone)),
                Some(Some(Codec::Gzip)) => ("a uImage, gzip".into(), Some(Container::UimageGzip)),
                Some(Some(Codec::Lzma)) => ("a uImage, lzma".into(), Some(Container::UimageLzma)),
                Some(Some(codec)) => (format!("a uImage, {}", codec.name()), None),
                None => (format!("a uImage with the unknown compression {compression}"), None),
            };
            if let Some(magic) = uimage::vendor_magic(file) {
                facts.form += &format!(", with the magic 0x{magic:08x} of a vendor");
                facts.container = None;
            }
            (codec.flatten(), data)
        }
        Image::Fit { load, .. } => {
            let kernel = fit::read(file)?.kernel;
            facts.no_kernel = bootm::fit_image(&kernel).err();
            facts.wrong.extend(kernel.wrong);
            facts.checked.extend(kernel.hashes.iter().map(|hash| format!("{hash} of the FIT's {}", kernel.name)));
            facts.unchecked.extend(kernel.unchecked.iter().map(|hash| format!("{hash} of the FIT's {}", kernel.name)));
            facts.machine = MadeFor::of_fit(kernel.arch);
            facts.put(load.map(u64::from), kernel.entry);
            (facts.form, facts.container) = ("a FIT".into(), Some(Container::Fit));
            (fit::codec(kernel.compression).unwrap_or_default(), kernel.data)
        }
        Image::Elf { little_endian, load } => {
            (facts.form, facts.container) = ("an ELF file".into(), Some(Container::Elf));
            facts.big_endian = Some(!little_endian);
            facts.machine = MadeFor::of_elf(file, little_endian);
            let word = be32(file, 24).map(|word| if little_endian { word.swap_bytes() } else { word });
            facts.put(load.map(|(start, _)| start), word.map(u64::from));
            if let (Some((start, end)), None) = (load, facts.unreachable) {
                facts.load = Region::new(facts.load.start(), (end - start) as usize).unwrap_or(Region::EMPTY);
            }
            (None, file)
        }
        Image::Arm64 { .. } => {
            (facts.form, facts.container) = ("an arm64 Image".into(), Some(Container::Image));
            facts.machine = MadeFor::Arm64;
            // Where its loader would put it is where it was laid out for.
            if let Some(opened) = &stoop {
                facts.load = Region::new(opened.load, file.len()).unwrap_or(Region::EMPTY);
                facts.entry = Some(opened.load);
            }
            (None, file)
        }
        Image::Raw => {
            (facts.form, facts.container) = ("bytes without a header".into(), Some(Container::Raw));
            facts.no_code = if stoop.is_none() { recognised(file) } else { None };
            (None, file)
        }
    };
    facts.compressed = codec.map(|codec| (codec, data));
    facts.bytes = match codec {
        None => Cow::Borrowed(data),
        Some(codec) => match codec.decode(data, KSEG_SIZE as u64) {
            Ok(decoded) => Cow::Owned(decoded),
            Err(failure) => {
                facts.wrong.push(failure.to_string());
                Cow::Borrowed(&[])
            }
        },
    };
    let what = match image {
        Image::Uimage { .. } => Some("a uImage"),
        Image::Fit { .. } => Some("a FIT"),
        _ => None,
    };
    if let Some(what) = what {
        facts.no_kernel = facts.no_kernel.or_else(|| bootm::content(&facts.bytes, what).err());
    }
    if matches!(image, Image::Uimage { load: Some(_), .. } | Image::Fit { load: Some(_), .. })
        && facts.unreachable.is_none()
    {
        facts.load = Region::new(facts.load.start(), facts.bytes.len()).unwrap_or(Region::EMPTY);
    }
    facts.big_endian = match &stoop {
        Some(opened) => Some(opened.note.big_endian),
        None => facts.big_endian.or_else(|| mips_byte_order(&facts.bytes)),
    };
    facts.stoop = stoop;
    Ok(facts)
}
