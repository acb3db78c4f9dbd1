//! `stoop pack`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Payload;

/// The image that was made, or with `--dry-run` would be.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Packed {
    /// The file; `null` when none was written.
    pub image: Option<String>,
    /// `uimage`, `fit`, `raw`, `elf`, `image` or `nor`.
    pub format: String,
    /// Bytes of the file.
    pub size: usize,
    /// The board's name.
    pub board: String,
    /// Where the bootloader has to put the image, as typed.
    pub load_address: usize,
    /// Where it has to start it, as typed.
    pub entry_point: usize,
    /// Bytes of the shim as stored.
    pub shim: usize,
    /// The kernel.
    pub kernel: Kernel,
    /// How the kernel is called.
    pub handoff: Handoff,
    /// How the root filesystem in RAM becomes an MTD device: `dt`, `cmdline` or `off`.
    pub phram: String,
    /// The number of the MTD device, if the device tree gives it one.
    pub alias: Option<u8>,
    /// When bootargs count.
    pub cookie: Cookie,
    /// What the shim does about the watchdog.
    pub watchdog: Watchdog,
    /// Estimated seconds to check and deliver, where the board's figures are known.
    pub seconds: Option<f64>,
    /// The command line without bootargs.
    pub cmdline: String,
    /// The modules that were put into the initrd.
    pub modules: Option<Included>,
    /// What the shim delivers.
    pub payloads: Vec<Payload>,
    /// The memory map.
    pub regions: Vec<Used>,
    /// What to type at the bootloader.
    pub commands: Vec<String>,
    /// How to write it to flash, of a `nor` image.
    pub flash: Option<Flash>,
    /// What may go wrong.
    pub warnings: Vec<String>,
}

/// A region of the memory map.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Used {
    /// What lies there.
    pub name: String,
    /// First physical address.
    pub start: usize,
    /// Bytes.
    pub size: usize,
    /// In which phases of the boot its bytes matter.
    pub when: Vec<String>,
}

/// The kernel in the image.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Kernel {
    /// The form in which it was given.
    pub form: String,
    /// Its version.
    pub version: Option<String>,
    /// Where its configuration comes from.
    pub config: Option<String>,
    /// Where it goes, as typed.
    pub load_address: usize,
    /// Where it starts, as typed.
    pub entry_point: usize,
}

/// How the kernel is called.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Handoff {
    /// `uhi`, `argv`, `appended` or `arm64`.
    pub kind: String,
    /// Who chose it.
    pub origin: String,
    /// Why.
    pub reason: String,
}

/// When bootargs count.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Cookie {
    /// `contains`, `word` or `off`.
    pub rule: String,
    /// The cookie.
    pub text: String,
    /// Keys that pass without it.
    pub keep: Vec<String>,
}

/// What the shim does about the watchdog.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Watchdog {
    /// `leave`, `feed`, `stop` or `start`.
    pub care: String,
    /// The period of one that is started.
    pub seconds: Option<u32>,
    /// The period of one that the bootloader leaves running; 0 when it leaves none, `null` when that is not known.
    pub left_running: Option<u32>,
}

/// The modules in the initrd.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Included {
    /// The kernel's version.
    pub version: String,
    /// Paths, in load order.
    pub order: Vec<String>,
    /// What is built into the kernel.
    pub builtin: Vec<String>,
    /// The s6-rc services.
    pub services: Vec<String>,
    /// What they were checked against.
    pub symbols: String,
    /// The configuration.
    pub config: Option<String>,
    /// Bytes of the modules.
    pub module_bytes: u64,
    /// Bytes of the archive.
    pub archive_bytes: usize,
}

/// How to write an image to flash.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Flash {
    /// The slot.
    pub slot: String,
    /// The bootloader's command that starts it.
    pub start: Option<String>,
    /// What to write where.
    pub writes: Vec<FlashWrite>,
    /// By U-Boot.
    pub u_boot: UBoot,
    /// By Linux with mtd-utils.
    pub linux: Vec<String>,
}

/// One extent to write.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct FlashWrite {
    /// `boot`, `slot` or `rootfs`.
    pub what: String,
    /// The partition.
    pub partition: String,
    /// Offset in the flash.
    pub offset: usize,
    /// Physical address.
    pub address: usize,
    /// Bytes.
    pub size: usize,
    /// Blocks to erase.
    pub erase_blocks: usize,
    /// Where its bytes are in the file.
    pub file_offset: usize,
}

/// Lines to type at U-Boot; empty when it has no RAM for the file.
#[derive(Serialize, JsonSchema, Debug, Default)]
#[serde(rename_all = "kebab-case")]
pub struct UBoot {
    /// Once: the shim.
    pub install: Vec<String>,
    /// For each update.
    pub update: Vec<String>,
    /// At last, so that the slot boots.
    pub switch: Vec<String>,
}
