//! `stoop check`.

use schemars::JsonSchema;
use serde::Serialize;

use super::Error;

/// What a kernel is and can do.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct KernelCheck {
    /// Whether everything that is needed holds.
    pub ok: bool,
    /// The kernel.
    pub kernel: CheckedKernel,
    /// How it would be called.
    pub handoff: Option<Chosen>,
    /// How a root filesystem in RAM would become an MTD device.
    pub phram: Option<String>,
    /// What was asked for, then what else the kernel can do.
    pub requirements: Vec<Requirement>,
    /// What does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// A kernel.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct CheckedKernel {
    /// The form in which it was given.
    pub form: String,
    /// The architecture.
    pub arch: String,
    /// Its version.
    pub version: Option<String>,
    /// Where its configuration comes from.
    pub config: Option<String>,
    /// The kernel's symbol for its platform.
    pub platform: Option<String>,
    /// Physical load address; like those behind it `null` for a configuration alone.
    pub load_address: Option<u64>,
    /// Physical entry point.
    pub entry_point: Option<u64>,
    /// Bytes of the file that are loaded.
    pub image_size: Option<usize>,
    /// Bytes of memory.
    pub memory_size: Option<u64>,
    /// Where it unpacks itself to.
    pub decompresses_to: Option<Range>,
    /// Where it may move itself.
    pub relocates_to: Option<Range>,
    /// Where a device tree may be appended.
    pub appended_dtb: Option<u64>,
    /// What else is known of it.
    pub notes: Vec<String>,
}

/// Half-open physical addresses.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Range {
    /// The first.
    pub start: u64,
    /// The first that does not belong to it.
    pub end: u64,
}

impl From<&std::ops::Range<u64>> for Range {
    fn from(range: &std::ops::Range<u64>) -> Self {
        Range { start: range.start, end: range.end }
    }
}

/// A handoff.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Chosen {
    /// `uhi`, `argv`, `appended` or `arm64`.
    pub kind: String,
    /// Why.
    pub reason: String,
}

/// Something that a kernel has to be able to do.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Requirement {
    /// Its name, as `--for` takes it.
    pub name: String,
    /// Whether it was asked for.
    pub needed: bool,
    /// `ok`, `warn`, `unknown` or `no`.
    pub result: String,
    /// Symbol by symbol.
    pub findings: Vec<Finding>,
}

/// What a symbol's value means.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// `ok`, `warn`, `unknown` or `no`.
    pub result: String,
    /// The symbol of the kernel's configuration.
    pub symbol: String,
    /// Its value.
    pub value: String,
    /// What that means.
    pub says: String,
    /// What to change.
    pub fix: Option<String>,
}

/// What would go wrong with an image on a board.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct BoardCheck {
    /// Whether nothing would.
    pub ok: bool,
    /// The board.
    pub board: String,
    /// What was looked at.
    pub findings: Vec<BoardFinding>,
    /// What would not boot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// One thing that was looked at.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct BoardFinding {
    /// `ok`, `warn`, `unknown` or `no`.
    pub result: String,
    /// What was looked at.
    pub what: String,
    /// What was found.
    pub says: String,
    /// What to do.
    pub fix: Option<String>,
}
