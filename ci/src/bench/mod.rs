//! `cargo ci bench`: what the shim costs, in bytes and in instructions. QEMU counts (`-icount shift=0`: CP0 Count ticks once
//! every six instructions), so the figures are the same on every machine and can be compared exactly. They are no times:
//! QEMU has neither caches nor a pipeline.

mod measure;
mod table;

use std::path::Path;

use serde::Serialize;
use stoop::{Failure, Result};

use crate::cache;
use crate::lab::{Endian, Lab};

pub use measure::PER_TICK;

/// All of it.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct Figures {
    /// What the payload's code was taken from.
    pub payload: String,
    /// By byte order.
    pub endians: Vec<EndianFigures>,
}

/// One shim's.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct EndianFigures {
    /// `le` or `be`.
    pub endian: &'static str,
    /// Bytes of the shim in an image.
    pub shim_bytes: usize,
    /// Instructions from the shim's first one until it finds that its params are blank: moving and unpacking itself.
    pub unpack: u64,
    /// Instructions from its first one to the report, with a kernel of a few words, unpacking included.
    pub entry_to_report: u64,
    /// Instructions from there to the kernel's first: caches and the jump.
    pub report_to_kernel: u64,
    /// Instructions per stored byte of a payload that is checked where it lies, times a thousand.
    pub crc_milli: u64,
    /// By codec and size.
    pub decode: Vec<Decode>,
}

/// A decoder's.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct Decode {
    /// `lz4` or `lzma`.
    pub codec: &'static str,
    /// Bytes in the image.
    pub stored: usize,
    /// Bytes after decoding.
    pub decoded: usize,
    /// Instructions per decoded byte without the CRC, times a thousand.
    pub milli: u64,
}

/// Measures, prints the table and, when asked, puts table and JSON into files.
///
/// # Errors
/// The lab is not there, or a machine does not answer.
pub fn run(table: Option<&Path>, json: Option<&Path>) -> Result<()> {
    let lab = Lab::open()?;
    let payload = measure::Payload::of(&lab)?;
    let endians = Endian::ALL.map(|endian| measure::endian(endian, &payload));
    let figures = Figures { payload: payload.name, endians: endians.into_iter().collect::<Result<_>>()? };
    let text = table::of(&figures);
    print!("{text}");
    if let Some(path) = table {
        cache::write(path, text.as_bytes())?;
    }
    if let Some(path) = json {
        let mut text = serde_json::to_vec_pretty(&figures)
            .map_err(|error| Failure::new(format!("the figures have no JSON form: {error}")))?;
        text.push(b'\n');
        cache::write(path, &text)?;
    }
    Ok(())
}
