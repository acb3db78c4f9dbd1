//! What `--json` prints: one type for each verb, from which the schema in `docs/schema` is made. Keys are kebab-case; addresses, sizes
//! and registers are numbers, checksums and hashes strings.

mod check;
mod event;
mod image;
mod kernel;
mod lines;
mod modules;
mod pack;
mod simulate;

use std::sync::atomic::{AtomicBool, Ordering};

use crate::Result;
use schemars::JsonSchema;
use serde::Serialize;
use stoop_core::Region;
use stoop_image::explain::Explanation;

pub use check::{BoardCheck, BoardFinding, CheckedKernel, Chosen, Finding, KernelCheck, Range, Requirement};
pub use event::Event;
pub use image::{
    Addition, Check, Configuration, CookieParams, FitImage, ForeignFirmware, ForeignFit, ForeignUimage, Inspected,
    InspectedShim, Params, Piece, Slot, UartParams, WatchdogParams,
};
pub use kernel::{Built, Patches};
pub use lines::ConsoleLines;
pub use modules::{Bundled, Dependencies, ModuleCheck, ModuleFinding, NamedRequirement, Resolved, Service};
pub use pack::{Cookie, Flash, FlashWrite, Handoff, Included, Kernel, Packed, UBoot, Used, Watchdog};
pub use simulate::{Booted, FailedSlot, Phram, Registers, ShimError, Simulated};

/// A piece of memory with a name, physical.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct NamedRegion {
    /// What lies there.
    pub name: String,
    /// First address.
    pub start: usize,
    /// Bytes.
    pub size: usize,
}

impl NamedRegion {
    /// Of a region.
    pub fn new(name: &str, region: &Region) -> Self {
        NamedRegion { name: name.to_owned(), start: region.start(), size: region.size() }
    }
}

/// A piece of memory.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Extent {
    /// First address.
    pub start: usize,
    /// Bytes.
    pub size: usize,
}

impl From<Region> for Extent {
    fn from(region: Region) -> Self {
        Extent { start: region.start(), size: region.size() }
    }
}

/// Bytes that the shim delivers.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Payload {
    /// `kernel`, `dtb`, `initrd`, `rootfs` or `overlay`.
    pub name: String,
    /// `store`, `lz4` or `lzma`.
    pub codec: String,
    /// Why it is stored so; only when it is packed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Bytes in the image.
    pub stored: usize,
    /// Bytes that it decodes to.
    pub decoded: usize,
    /// CRC-32 of the stored bytes, as `0x` and eight digits.
    pub crc: String,
    /// Where it goes; 0 when it is read where it lies.
    pub start: usize,
    /// Bytes there, what is filled with zeros included.
    pub size: usize,
}

/// What a code means.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Explained {
    /// `E12`, `H061`, `L010`.
    pub code: String,
    /// One line.
    pub title: String,
    /// What it means.
    pub meaning: String,
    /// Likely causes.
    pub causes: String,
    /// What to do.
    pub advice: String,
}

impl From<&Explanation> for Explained {
    fn from(from: &Explanation) -> Self {
        Explained {
            code: from.code.clone(),
            title: from.title.into(),
            meaning: from.meaning.into(),
            causes: from.causes.into(),
            advice: from.advice.into(),
        }
    }
}

/// One mistake in a board file.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct BoardProblem {
    /// The board's file, or its SoC's.
    pub file: String,
    /// The line, counted from 1, when the key is there.
    pub line: Option<usize>,
    /// The key, as `flash.partitions[2]`.
    pub key: String,
    /// What is wrong.
    pub fact: String,
    /// What to do about it.
    pub next: String,
}

impl From<&stoop_image::board::Problem> for BoardProblem {
    fn from(from: &stoop_image::board::Problem) -> Self {
        let stoop_image::board::Problem { file, line, key, fact, next } = from.clone();
        BoardProblem { file, line, key, fact, next }
    }
}

/// A failure: what every verb prints instead of its result.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Failed {
    /// What went wrong.
    pub error: Error,
}

/// What went wrong. Verbs that have a result all the same (`"ok": false`) print it as the result's member `error`.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Error {
    /// The stable code, which `stoop explain` takes.
    pub code: String,
    /// The fact, in one sentence.
    pub message: String,
    /// What to do about it.
    pub next: Option<String>,
}

impl<E: stoop_image::Explained> From<&E> for Error {
    fn from(error: &E) -> Self {
        Error { code: error.code().to_owned(), message: error.to_string(), next: error.next_step() }
    }
}

/// Whether this run has printed its result, with its failure in it.
static IS_TOLD: AtomicBool = AtomicBool::new(false);
/// Whether results come one behind the other, each in a line.
static IS_IN_LINES: AtomicBool = AtomicBool::new(false);

/// A run begins, one of several if stoop.toml asks for several images: then each result is one line.
pub fn begin(is_one_of_several: bool) {
    IS_TOLD.store(false, Ordering::Relaxed);
    IS_IN_LINES.store(is_one_of_several, Ordering::Relaxed);
}

/// The text of a value, with an end of line.
///
/// # Errors
/// Never for the types of this room: they have no maps with keys other than text.
pub fn text(value: &impl Serialize) -> Result<String> {
    let text = match IS_IN_LINES.load(Ordering::Relaxed) {
        true => serde_json::to_string(value),
        false => serde_json::to_string_pretty(value),
    };
    text.map(|text| text + "\n").map_err(|reason| crate::command::Error::Json { reason }.into())
}

/// The text of a result that is about to be printed, with the run's failure in it if there is one.
///
/// # Errors
/// As of [`text`].
pub fn result(value: &impl Serialize) -> Result<String> {
    IS_TOLD.store(true, Ordering::Relaxed);
    text(value)
}

/// Prints a result on stdout.
///
/// # Errors
/// stdout cannot be written; a reader that has gone away is no failure.
pub fn put(value: &impl Serialize) -> Result<()> {
    crate::ui::put(&result(value)?)
}

/// Whether the user wants JSON; also known when the command line is wrong.
pub fn is_asked() -> bool {
    std::env::args_os().any(|word| word == "--json")
}

/// Prints a failure on stdout, in one line, unless a result with it is there already.
pub fn put_failure(failure: &crate::Error) {
    if !IS_TOLD.load(Ordering::Relaxed) {
        put_line(&Failed { error: failure.into() });
    }
}

/// Prints one line of a verb that goes on. Who does not listen misses it; the exit code is the same.
pub fn put_line(value: &impl Serialize) {
    if let Ok(line) = serde_json::to_string(value) {
        let _ = crate::ui::put(&(line + "\n"));
    }
}

/// The JSON Schema of everything that `--json` prints: each definition is one verb's result, [`Failed`] any verb's failure.
pub fn schema() -> serde_json::Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut any_of = Vec::new();
    macro_rules! add {
        ($($verb:literal: $type:ty),* $(,)?) => { $(
            let mut schema = generator.subschema_for::<$type>();
            schema.insert("title".into(), $verb.into());
            any_of.push(schema.to_value());
        )* };
    }
    add! {
        "stoop pack": Packed,
        "stoop inspect, an image of stoop's": Inspected,
        "stoop inspect, another uImage": ForeignUimage,
        "stoop inspect, another FIT": ForeignFit,
        "stoop inspect, a vendor's firmware": ForeignFirmware,
        "stoop simulate": Simulated,
        "stoop check, a kernel": KernelCheck,
        "stoop check, an image": BoardCheck,
        "stoop explain CODE": Explained,
        "stoop explain": Vec<Explained>,
        "stoop boards list": Vec<stoop_image::board::Board>,
        "stoop boards show": stoop_image::board::Board,
        "stoop boards check": Vec<BoardProblem>,
        "stoop modules resolve": Resolved,
        "stoop modules resolve --all": Dependencies,
        "stoop modules check": ModuleCheck,
        "stoop modules bundle": Bundled,
        "stoop modules requirements": Vec<NamedRequirement>,
        "stoop netboot, flash, run, monitor and kernel build, a line": Event,
        "any verb that fails": Failed,
    }
    serde_json::json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "what stoop prints with --json",
        "anyOf": any_of,
        "$defs": generator.take_definitions(true),
    })
}

#[cfg(test)]
mod tests {
    /// `STOOP_WRITE_SCHEMA=1 cargo test -p stoop json` writes the file anew.
    #[test]
    fn the_schema_in_docs_is_that_of_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/schema/stoop.json");
        let schema = super::text(&super::schema()).unwrap();
        if std::env::var_os("STOOP_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap() == schema, "run the test once with STOOP_WRITE_SCHEMA=1");
    }
}
