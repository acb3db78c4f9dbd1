//! What was asked for, and what was chosen by whom.

use std::fmt;
use std::path::{Path, PathBuf};

use stoop_core::params::CookieRule;

use crate::board::Container;
use crate::cache::Cache;
use crate::input::Kernel;
use crate::input::initrd::Initrd;
use crate::progress::Progress;
use crate::{Result, watchdog};

/// N of the `mtdN` alias that names the root filesystem in RAM: no kernel counts this far by itself, so it is free
/// whatever else registers (drivers/mtd/mtdcore.c: add_mtd_device).
pub const ALIAS: u8 = 99;
/// The cookie unless another is given.
pub const COOKIE: &str = "liminix";

/// A container for the image.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Format {
    /// Legacy U-Boot image, for `bootm`
    Uimage,
    /// Flattened image tree, for `bootm` of bootloaders that have it
    Fit,
    /// ELF, for `bootelf`, kexec and QEMU
    Elf,
    /// The bytes alone, for `go`
    Raw,
    /// For NOR flash: the shim, and one slot by the board's flash map
    Nor,
    /// arm64 Image, for `booti`, kexec and QEMU
    Image,
}

impl Format {
    /// As in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Format::Uimage => "uimage",
            Format::Fit => "fit",
            Format::Elf => "elf",
            Format::Raw => "raw",
            Format::Nor => "nor",
            Format::Image => "image",
        }
    }

    /// What the bootloader has to understand; `None` when the board's data choose.
    pub fn container(self) -> Option<Container> {
        Some(match self {
            Format::Uimage => Container::UimageNone,
            Format::Fit => Container::Fit,
            Format::Elf => Container::Elf,
            Format::Raw => Container::Raw,
            Format::Image => Container::Image,
            Format::Nor => return None,
        })
    }
}

/// How the kernel is stored; a ramdisk or root filesystem is used where it lies.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum CodecChoice {
    /// The fastest that fits the flash, estimated from the board's read speed and CPU clock; the smallest if the board's file lacks these
    #[default]
    Auto,
    /// Not compressed
    Store,
    /// LZ4: about half the size
    Lz4,
    /// LZMA: the smallest
    Lzma,
}

/// How the cookie must appear.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum CookieMatch {
    /// Anywhere in the bootargs
    #[default]
    Contains,
    /// As a word of its own
    Word,
}

/// How to call the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum HandoffChoice {
    /// Chosen from the kernel's configuration
    #[default]
    Auto,
    /// Device tree in a1
    Uhi,
    /// argc, argv
    Argv,
    /// Device tree in the place that the kernel has for an appended one
    Appended,
}

/// How the kernel learns of the root filesystem in RAM.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum PhramChoice {
    /// Whichever the kernel supports
    #[default]
    Auto,
    /// By the device tree
    Dt,
    /// By phram.phram= on the command line
    Cmdline,
    /// Not at all
    Off,
}

/// Where the root filesystem is when the kernel mounts it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum RootfsIn {
    /// In RAM, as phram
    #[default]
    Ram,
    /// In its own flash partition, with --format nor
    Flash,
}

/// What the user asked for.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Name or file.
    pub board: String,
    /// Any form of kernel.
    pub kernel: PathBuf,
    /// Its configuration, when it does not carry it.
    pub config: Option<PathBuf>,
    /// Of a flat binary.
    pub load_address: Option<u64>,
    /// Of a flat binary.
    pub entry_point: Option<u64>,
    /// Instead of the board's.
    pub dtb: Option<PathBuf>,
    /// Changes to it, in this order.
    pub overlays: Vec<PathBuf>,
    /// The bootloader passes a device tree, so none is packed.
    pub bootloader_dtb: bool,
    /// A squashfs.
    pub rootfs: Option<PathBuf>,
    /// Any initial ramdisk.
    pub initrd: Option<PathBuf>,
    /// Replaces the tree's bootargs.
    pub cmdline: Option<String>,
    /// Extends them.
    pub append: Option<String>,
    /// Instead of [`COOKIE`].
    pub cookie: Option<String>,
    /// How it must appear.
    pub cookie_match: CookieMatch,
    /// Bootargs always count.
    pub no_cookie: bool,
    /// Keys that pass without the cookie.
    pub keep: Vec<String>,
    /// How payloads are stored.
    pub codec: CodecChoice,
    /// `None`: the first of the board's that stoop writes.
    pub format: Option<Format>,
    /// How the kernel learns of the root filesystem.
    pub phram: PhramChoice,
    /// Where the root filesystem stays.
    pub rootfs_in: RootfsIn,
    /// The slot of a flash image; `None`: the first.
    pub slot: Option<char>,
    /// Where compressed kernels are kept.
    pub cache: Option<Cache>,
    /// How to call the kernel.
    pub handoff: HandoffChoice,
    /// The shim says what it decides and why.
    pub trace: bool,
    /// The shim is stored as it runs, for debuggers.
    pub plain_shim: bool,
    /// What is done about the watchdog; `None`: fed if the board's data say how.
    pub watchdog: Option<watchdog::WatchdogChoice>,
    /// Bytes of RAM in which the kernel keeps its log over a reset ([`crate::ramoops::size`]).
    pub ramoops: Option<usize>,
}

impl Request {
    /// Every file that is read.
    pub fn inputs(&self) -> impl Iterator<Item = &Path> {
        let files = [&self.config, &self.dtb, &self.rootfs, &self.initrd].into_iter().flatten();
        [&self.kernel]
            .into_iter()
            .chain(files)
            .chain(&self.overlays)
            .map(PathBuf::as_path)
            .chain([Path::new(&self.board)])
    }
}

/// Makes the initial ramdisk: gets the kernel, and the user's own ramdisk if there is one. Its errors are the caller's.
pub type MakeRamdisk<'a, E = crate::Error> =
    dyn FnMut(&Kernel, Option<Initrd>, &mut dyn Progress) -> Result<Option<Initrd>, E> + 'a;

/// Where a choice comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Origin {
    /// The command line.
    Flag,
    /// The board's data.
    Board,
    /// What the kernel is.
    Kernel,
    /// Nobody said otherwise.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Origin::Flag => "asked for",
            Origin::Board => "the board's",
            Origin::Kernel => "by the kernel",
            Origin::Default => "default",
        })
    }
}

/// A choice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chosen<T> {
    /// What.
    pub value: T,
    /// Who chose.
    pub origin: Origin,
}

/// How the root filesystem gets its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phram {
    /// No root filesystem, or none of our doing.
    Off,
    /// A node in the device tree.
    Tree,
    /// Words on the command line.
    CommandLine,
}

impl Phram {
    /// As in messages and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Phram::Off => "off",
            Phram::Tree => "dt",
            Phram::CommandLine => "cmdline",
        }
    }
}

/// When bootargs count.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cookie {
    /// The rule.
    pub rule: CookieRule,
    /// Empty when the rule is off.
    pub text: String,
    /// Keys that pass without it.
    pub keep: Vec<String>,
}
