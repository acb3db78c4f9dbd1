//! `stoop simulate`.

use schemars::JsonSchema;
use serde::Serialize;

use super::NamedRegion;

/// What the shim will decide. When it gives up, everything behind `warnings` but `error` is missing.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Simulated {
    /// Whether the kernel starts.
    pub ok: bool,
    /// Slots that do not boot.
    pub failed: Vec<FailedSlot>,
    /// What the shim does about the watchdog, in words.
    pub watchdog: Option<String>,
    /// What may go wrong.
    pub warnings: Vec<String>,
    /// What the kernel gets.
    #[serde(flatten)]
    pub booted: Option<Booted>,
    /// Why the bootargs do not reach the kernel although no missing cookie forbids it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why the shim gives up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ShimError>,
}

/// What the kernel gets.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Booted {
    /// The command line that it will see.
    pub cmdline: String,
    /// What becomes of the bootargs: `accepted`, `ignored`, `kept`, `refused` or `none`.
    pub verdict: String,
    /// Why they are refused.
    pub refusal: Option<String>,
    /// How the bootloader calls: `argv`, `uhi`, `arm64` or `none`.
    pub entry: String,
    /// The slot that boots; `-` for an image without slots.
    pub slot: String,
    /// How the kernel is called.
    pub handoff: Registers,
    /// The root filesystem in RAM.
    pub phram: Option<Phram>,
    /// What lies where when the kernel starts.
    pub regions: Vec<NamedRegion>,
}

/// How the kernel is called.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Registers {
    /// `uhi`, `argv`, `appended` or `arm64`.
    pub kind: String,
    /// Physical address of the first instruction.
    pub entry_point: usize,
    /// a0 to a3, or x0 to x3.
    pub registers: [u64; 4],
    /// The environment's strings, for argv.
    pub env: Vec<String>,
}

/// The root filesystem as an MTD device.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Phram {
    /// First physical address.
    pub start: usize,
    /// Bytes.
    pub size: usize,
    /// The number of the MTD device, if the device tree gives it one.
    pub alias: Option<u8>,
}

/// A slot that does not boot.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct FailedSlot {
    /// Its name.
    pub slot: String,
    /// The shim's code.
    pub code: String,
    /// The shim's words.
    pub message: String,
}

/// What the shim says when it gives up.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct ShimError {
    /// The shim's code.
    pub code: String,
    /// The shim's words.
    pub message: String,
    /// What to do.
    pub next: Option<String>,
}
