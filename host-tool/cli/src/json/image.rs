//! `stoop inspect`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Error, Extent, NamedRegion, Payload};

/// An image of stoop's.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Inspected {
    /// Whether every checksum is right.
    pub ok: bool,
    /// `uimage`, `fit`, `raw`, `elf`, `image` or `nor`.
    pub format: String,
    /// Bytes of the file.
    pub size: usize,
    /// The byte order.
    pub big_endian: bool,
    /// Load address and entry point, as typed.
    pub load_address: usize,
    /// The slot of an image for flash.
    pub slot: Option<Slot>,
    /// The shim in it.
    pub shim: InspectedShim,
    /// Every checksum.
    pub checks: Vec<Check>,
    /// What the shim knows; `null` when they are damaged.
    pub params: Option<Params>,
    /// The board it was packed for.
    pub board: Option<String>,
    /// How the kernel is called.
    pub handoff: Option<String>,
    /// The kernel's entry point, as typed.
    pub entry_point: Option<usize>,
    /// Modules in the initrd that pack put there, in load order.
    pub modules: Option<Vec<String>>,
    /// What the overlay adds to the device tree.
    pub overlay: Option<Vec<Addition>>,
    /// What the shim delivers.
    pub payloads: Option<Vec<Payload>>,
    /// The memory map.
    pub regions: Vec<NamedRegion>,
    /// What is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// A slot of flash.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// First physical address.
    pub start: usize,
    /// Bytes.
    pub size: usize,
}

/// The shim in an image.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct InspectedShim {
    /// `store`, `full` or `trace`.
    pub variant: String,
    /// The codecs that it decodes.
    pub decodes: Vec<String>,
}

/// One checksum.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Check {
    /// What it is over.
    pub of: String,
    /// Whether it is right.
    pub ok: bool,
    /// What is wrong.
    pub wrong: Option<String>,
}

/// The block that pack wrote for the shim.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Params {
    /// RAM that the shim may use.
    pub ram: Extent,
    /// Flash that it reads as memory.
    pub flash: Extent,
    /// Its console.
    pub uart: UartParams,
    /// What it does about the watchdog.
    pub watchdog: WatchdogParams,
    /// When bootargs count.
    pub cookie: CookieParams,
}

/// A console.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct UartParams {
    /// `ns16550`, `pl011` or `none`.
    pub kind: String,
    /// Physical address of its registers.
    pub address: usize,
}

/// What the shim does about the watchdog.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct WatchdogParams {
    /// `leave`, `feed`, `stop` or `start`.
    pub care: String,
    /// In words.
    pub does: Option<String>,
}

/// When bootargs count.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct CookieParams {
    /// `contains`, `word` or `off`.
    pub rule: String,
    /// The cookie.
    pub text: String,
    /// Keys that pass without it.
    pub keep: Vec<String>,
}

/// A property that the overlay adds.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Addition {
    /// Node and property.
    pub path: String,
    /// Its value, as in a device tree's source.
    pub value: String,
}

/// A uImage of somebody else's.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct ForeignUimage {
    /// Whether the checksums are right.
    pub ok: bool,
    /// `uimage`.
    pub format: String,
    /// `false`.
    pub stoop: bool,
    /// Bytes of the file.
    pub size: usize,
    /// The header's name.
    pub name: String,
    /// Seconds since 1970.
    pub created: u32,
    /// The operating system.
    pub os: String,
    /// The machine.
    pub arch: String,
    /// What it holds.
    pub r#type: String,
    /// How it is compressed.
    pub compression: String,
    /// Bytes behind the header.
    pub data_size: usize,
    /// Load address.
    pub load_address: u32,
    /// Entry point.
    pub entry_point: u32,
    /// What lies behind the data, padding left out.
    pub behind: Vec<Piece>,
    /// What is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// A vendor's container, or a copy of a flash, of which pieces are known.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct ForeignFirmware {
    /// `true`: of the container nothing is checked.
    pub ok: bool,
    /// `firmware`.
    pub format: String,
    /// `false`.
    pub stoop: bool,
    /// Bytes of the file.
    pub size: usize,
    /// What its first bytes tell.
    pub is: String,
    /// What was found in it, padding left out.
    pub pieces: Vec<Piece>,
}

/// A piece of a file of somebody else's.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Piece {
    /// What `--extract` calls it.
    pub name: String,
    /// What it is.
    pub is: String,
    /// Where it begins, in bytes from the start of the file.
    pub start: usize,
    /// Bytes.
    pub size: usize,
}

/// A FIT of somebody else's.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct ForeignFit {
    /// Whether the hashes are right.
    pub ok: bool,
    /// `fit`.
    pub format: String,
    /// `false`.
    pub stoop: bool,
    /// Bytes of the file.
    pub size: usize,
    /// The configuration that is used unless another one is named.
    pub default: Option<String>,
    /// The parts.
    pub images: Vec<FitImage>,
    /// Which parts belong together.
    pub configurations: Vec<Configuration>,
    /// What is damaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// A part of a FIT.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct FitImage {
    /// Its node.
    pub name: String,
    /// `kernel`, `flat_dt`, `ramdisk`, …
    pub r#type: String,
    /// The machine.
    pub arch: String,
    /// How it is compressed.
    pub compression: String,
    /// Bytes.
    pub size: usize,
    /// Load address.
    pub load_address: Option<u64>,
    /// Entry point.
    pub entry_point: Option<u64>,
    /// The algorithms of the hashes that were checked.
    pub hashes: Vec<String>,
    /// Hashes that do not hold.
    pub wrong: Vec<String>,
}

/// A configuration of a FIT.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Configuration {
    /// Its node.
    pub name: String,
    /// Role (`kernel`, `fdt`, …) to the part's name.
    pub images: BTreeMap<String, String>,
}
