//! A checked board: the values pack, run and the shim's params are made from.
//!
//! Addresses are physical unless a field says "as typed": those are what people type at the bootloader's prompt and what
//! kernels are linked to, on MIPS in KSEG0.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use stoop_core::Region;
use stoop_core::params::{Led, Policy, Uart};

use super::json;
use crate::machine::{KSEG_SIZE, Machine};

/// One board, complete and checked.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Board {
    /// As in `--board`, for example `gl-ar750`.
    pub name: String,
    /// For people.
    pub title: String,
    /// Other names for it: OpenWrt's profile name.
    pub aliases: Vec<String>,
    /// Name of the SoC's file.
    pub soc: String,
    /// The SoC family for people.
    pub soc_title: String,
    /// The very SoC, for example `QCA9531`.
    pub chip: String,
    /// Instruction set and byte order.
    #[serde(with = "crate::machine::names")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub arch: Machine,
    /// What the CPU runs at when the bootloader starts an image, in hertz.
    pub cpu_clock: Option<usize>,
    /// RAM that the shim may use: at most the low 512 MiB on MIPS.
    #[serde(serialize_with = "json::region")]
    #[cfg_attr(feature = "schema", schemars(with = "json::Range"))]
    pub ram: Region,
    /// Parts of RAM that firmware keeps for itself and protects (TF-A): not even speculation may read them.
    #[serde(serialize_with = "json::regions")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<json::Range>"))]
    pub firmware: Vec<Region>,
    /// Kernel family (`generic`, `ath79` …) to link address, as typed; empty for position-independent kernels.
    pub load_addresses: BTreeMap<String, usize>,
    /// The console.
    #[serde(serialize_with = "json::uart")]
    #[cfg_attr(feature = "schema", schemars(with = "json::UartForm"))]
    pub uart: Uart,
    /// What restarts the SoC.
    pub reset: Option<Reset>,
    /// The LED for error codes.
    #[serde(serialize_with = "json::led")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<json::LedForm>"))]
    pub led: Option<Led>,
    /// What resets the board unless it is fed.
    pub watchdog: Option<Watchdog>,
    /// What pack does unless told otherwise.
    pub defaults: Defaults,
    /// The vendor's bootloader.
    pub bootloader: Bootloader,
    /// The flash that the bootloader starts from.
    pub flash: Option<Flash>,
    /// The root's `compatible` of its device trees, any of these; empty when not known.
    pub compatible: Vec<String>,
    /// The device tree that comes with the board's data.
    pub dtb: Option<Dtb>,
    /// How to run it in QEMU.
    pub qemu: Option<Qemu>,
    /// What to know about it.
    pub quirks: Vec<Quirk>,
    /// Where the figures come from.
    pub sources: Vec<String>,
    /// Figures that nobody checked against a board or a primary source.
    pub unverified: Vec<String>,
}

impl Board {
    /// RAM below what the bootloader occupies at the top.
    pub fn free_ram(&self) -> Region {
        let size = self.ram.size().saturating_sub(self.bootloader.reserved_top);
        Region::new(self.ram.start(), size).unwrap_or(Region::EMPTY)
    }

    /// The largest part of RAM without firmware's, by the blocks of 2 MiB in which the shim maps it: what the shim may use.
    pub fn shim_ram(&self) -> Region {
        const BLOCK: usize = 0x20_0000;
        let mut taken: Vec<(usize, usize)> = self
            .firmware
            .iter()
            .map(|part| (part.start() / BLOCK * BLOCK, part.end().next_multiple_of(BLOCK)))
            .collect();
        taken.push((self.ram.end(), self.ram.end()));
        taken.sort_unstable();
        let (mut at, mut largest) = (self.ram.start(), Region::EMPTY);
        for (start, end) in taken {
            let part = Region::between(at, start).unwrap_or(Region::EMPTY);
            if part.size() > largest.size() {
                largest = part;
            }
            at = at.max(end);
        }
        largest
    }

    /// Flash that the CPU reads like memory; empty when there is none.
    pub fn flash_window(&self) -> Region {
        self.flash.as_ref().map_or(Region::EMPTY, |flash| flash.window)
    }

    /// The physical address of `address` as typed at the bootloader or in an ELF file.
    pub fn physical(&self, address: usize) -> usize {
        if self.arch.is_mips() { address & (KSEG_SIZE - 1) } else { address }
    }

    /// How to type the physical `address`: in KSEG0 on MIPS.
    pub fn typed(&self, address: usize) -> usize {
        if self.arch.is_mips() { address | 0x8000_0000 } else { address }
    }
}

/// A register to write so that the SoC starts again.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Its address.
    pub address: usize,
    /// What to write, as one 32-bit word in the CPU's byte order.
    pub value: u32,
}

/// What resets the board unless somebody feeds it: the writes to its registers, each list in its order.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Watchdog {
    /// What to call it.
    pub title: String,
    /// The kernel's option with its driver, without `CONFIG_`.
    pub driver: Option<String>,
    /// Most seconds that it counts when it is started, or fed by a number.
    pub longest: Option<u32>,
    /// Feeds it; without effect while it does not run.
    #[serde(default)]
    pub feed: Vec<Register>,
    /// Stops it; empty when nothing does, or nobody knows what.
    #[serde(default)]
    pub stop: Vec<Register>,
    /// Starts it.
    #[serde(default)]
    pub start: Vec<Register>,
}

/// A write to a 32-bit register: of what it holds the bits `keep`, exclusive or `value` plus seconds times `per-second`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Register {
    /// Its physical address.
    pub address: u32,
    /// Bits that stay; 0 when it is not read.
    #[serde(default)]
    pub keep: u32,
    /// Bits to set where `keep` has 0, to invert where it has 1.
    #[serde(default)]
    pub value: u32,
    /// What a second counts.
    #[serde(default)]
    pub per_second: u32,
}

/// What pack does unless told otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Defaults {
    /// After the last slot failed.
    #[serde(serialize_with = "json::policy")]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub policy: Policy,
    /// How to call the kernel.
    pub handoff: Handoff,
    /// How the kernel learns of the root filesystem in RAM.
    pub phram: Phram,
}

/// How to call the kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Handoff {
    /// Chosen from the kernel's configuration.
    #[default]
    Auto,
    /// a0 = -2, a1 = device tree.
    Uhi,
    /// argc, argv, env.
    Argv,
    /// Device tree at `__appended_dtb`.
    Appended,
    /// x0 = device tree.
    Arm64,
}

/// How the kernel learns of the root filesystem in RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Phram {
    /// Whichever the kernel supports.
    #[default]
    Auto,
    /// A node under /reserved-memory.
    Dt,
    /// `phram.phram=` on the command line.
    Cmdline,
    /// Not at all.
    Off,
}

/// The largest TFTP window, in blocks: U-Boot 2023.01 behind QEMU's network hangs with 32 blocks on their way, whoever sends them.
pub const MOST_TFTP_BLOCKS: u16 = 8;

/// The vendor's bootloader: what it accepts and where it is in the way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Bootloader {
    /// Name and version.
    pub name: String,
    /// What its prompt looks like, without trailing blanks.
    pub prompt: Option<String>,
    /// How to reach the prompt.
    pub interrupt: Option<Interrupt>,
    /// Image formats that it starts.
    pub containers: Vec<Container>,
    /// What the vendor's own flash image is wrapped in, beyond `containers`.
    pub vendor_container: Option<String>,
    /// The command that starts the image in flash.
    pub flash_command: Option<String>,
    /// `bootm IMAGE - DTB` works.
    pub bootm_dtb: bool,
    /// What to type for the device tree that it has itself, such as `${fdtcontroladdr}`; booti wants one.
    pub own_dtb: Option<String>,
    /// Where `tftpboot` puts a file without harm, as typed.
    pub tftp_address: Option<usize>,
    /// Blocks that its network driver takes at once, 1 to [`MOST_TFTP_BLOCKS`] (RFC 7440); `None` when nobody measured it.
    pub tftp_window: Option<u16>,
    /// RAM that it copies the flash image to before it starts it.
    #[serde(serialize_with = "json::optional_region")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<json::Range>"))]
    pub staging: Option<Region>,
    /// Bytes at the top of RAM that it occupies: code, stack, argv and environment.
    pub reserved_top: usize,
    /// Most bytes that its own decoder puts out; a longer kernel needs the shim's decoder.
    pub decompression_limit: Option<usize>,
    /// Largest LZMA dictionary, in bytes, that its own decoder takes.
    pub dictionary_limit: Option<usize>,
    /// Most bytes of an image that it starts.
    pub image_limit: Option<usize>,
    /// Seconds after which the watchdog fires that it leaves running; 0 when it leaves none, `None` when nobody knows.
    pub watchdog: Option<u32>,
}

impl Bootloader {
    /// The address in `flash_command`, as typed.
    pub fn started_from(&self) -> Option<usize> {
        let word = self.flash_command.as_deref()?.split_whitespace().nth(1)?;
        usize::from_str_radix(word.strip_prefix("0x")?, 16).ok()
    }
}

/// How to reach the bootloader's prompt.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Interrupt {
    /// What it prints just before it listens.
    pub on: Option<String>,
    /// What to send then.
    pub send: String,
}

/// Image formats that a bootloader starts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Container {
    /// Legacy uImage, not compressed.
    UimageNone,
    /// Legacy uImage, LZMA.
    UimageLzma,
    /// Legacy uImage, gzip.
    UimageGzip,
    /// Flattened image tree.
    Fit,
    /// ELF, by `bootelf` or from a filesystem.
    Elf,
    /// Bytes in RAM, by `go`.
    Raw,
    /// arm64 Image, by `booti`.
    Image,
}

/// The flash chip that the bootloader starts from.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub struct Flash {
    /// NOR or NAND.
    pub kind: FlashKind,
    /// Bytes.
    pub size: usize,
    /// Bytes that are erased together.
    pub erase_size: usize,
    /// Bytes in a second that the bootloader or the CPU gets out of it.
    pub read_speed: Option<usize>,
    /// Where the CPU reads it like memory; empty when it cannot.
    #[serde(serialize_with = "json::region")]
    #[cfg_attr(feature = "schema", schemars(with = "json::Range"))]
    pub window: Region,
    /// In the order of their offsets.
    pub partitions: Vec<Partition>,
}

impl Flash {
    /// The partition of that name.
    pub fn partition(&self, name: &str) -> Option<&Partition> {
        self.partitions.iter().find(|partition| partition.name == name)
    }

    /// Where an image goes: the first writable partition that the bootloader starts, or the one of `slot`.
    pub fn image(&self, slot: Option<char>) -> Option<&Partition> {
        self.partitions
            .iter()
            .filter(|partition| !partition.protected && matches!(partition.role, Role::Firmware | Role::Kernel))
            .find(|partition| slot.is_none() || partition.slot == slot)
    }

    /// Where the CPU reads `partition`, when it can.
    pub fn mapped(&self, partition: &Partition) -> Option<Region> {
        let region = Region::new(self.window.start().checked_add(partition.offset)?, partition.size)?;
        self.window.contains(&region).then_some(region)
    }
}

/// The kind of flash.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FlashKind {
    /// Random reads, no bad blocks.
    Nor,
    /// Pages, bad blocks.
    Nand,
}

/// A range of flash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Partition {
    /// As in the vendor's or OpenWrt's map.
    pub name: String,
    /// Bytes from the start of the flash.
    pub offset: usize,
    /// Bytes.
    pub size: usize,
    /// What it is for.
    pub role: Role,
    /// The bootable copy it belongs to.
    pub slot: Option<char>,
    /// Never written by stoop.
    pub protected: bool,
}

impl Partition {
    /// Its bytes as a range of flash offsets.
    pub fn range(&self) -> Region {
        Region::new(self.offset, self.size).unwrap_or(Region::EMPTY)
    }
}

/// What a partition is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The bootloader's code. Always protected.
    Bootloader,
    /// The bootloader's settings. Always protected.
    Environment,
    /// Radio calibration and MAC addresses, one of a kind. Always protected.
    Calibration,
    /// Other data of the vendor. Always protected.
    Vendor,
    /// The container with the shim that the bootloader starts: written once, never by an update of a slot.
    Boot,
    /// Kernel and root filesystem.
    Firmware,
    /// What the bootloader starts.
    Kernel,
    /// A root filesystem.
    Rootfs,
    /// Space for data: UBI, JFFS2.
    Data,
}

impl Role {
    /// No tool may write it, whatever the file says.
    pub fn is_protected(self) -> bool {
        matches!(self, Role::Bootloader | Role::Environment | Role::Calibration | Role::Vendor)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Role::Bootloader => "bootloader",
            Role::Environment => "environment",
            Role::Calibration => "calibration",
            Role::Vendor => "vendor",
            Role::Boot => "boot",
            Role::Firmware => "firmware",
            Role::Kernel => "kernel",
            Role::Rootfs => "rootfs",
            Role::Data => "data",
        })
    }
}

/// A device tree that comes with the board's data.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Dtb {
    /// Its name under `dts/`, without `.dtb`.
    pub name: String,
    /// The blob.
    #[serde(skip)]
    pub bytes: Cow<'static, [u8]>,
}

/// How to run the board in QEMU. RAM, flash size and flash address are the board's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Qemu {
    /// The emulator, for example `qemu-system-mips`.
    pub binary: String,
    /// `-machine`.
    pub machine: String,
    /// `-cpu`.
    pub cpu: String,
    /// `-m`, in MiB.
    pub memory: usize,
    /// The flash file holds every 32-bit word with its bytes reversed.
    #[serde(default)]
    pub word_swapped: bool,
    /// `-nic model=`.
    pub network: String,
    /// A bootloader for the flash, as installed by a package.
    pub u_boot: Option<String>,
}

/// What to know about a board.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Quirk {
    /// One or two sentences.
    pub text: String,
    /// Who reported it.
    pub source: String,
}

impl fmt::Display for Quirk {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} ({})", self.text, self.source)
    }
}
