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
    /// Bytes of the shim in an image: without decoders and with both.
    pub shim_bytes: [usize; 2],
    /// Instructions from the shim's first one until it finds that its params are blank: moving and unpacking itself.
    /// Without decoders and with both.
    pub unpack: [u64; 2],
    /// Instructions from its first one to the report, with a kernel of a few words and no decoders, unpacking included.
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
    figures.endians.iter().try_for_each(EndianFigures::within_budget)
}

/// The most that it may cost (docs/sizes.md): instructions from entry to report without unpacking, and thousandths of an
/// instruction per byte of CRC-32 and of LZMA.
const BUDGET: [(&str, u64); 3] = [("entry to report", 300_000), ("CRC-32", 16_000), ("LZMA", 79_000)];

impl EndianFigures {
    fn within_budget(&self) -> Result<()> {
        let lzma = self.decode.iter().filter(|decode| decode.codec == "lzma").map(|decode| decode.milli);
        let spent =
            [self.entry_to_report.saturating_sub(self.unpack[0]), self.crc_milli, lzma.max().unwrap_or_default()];
        for ((name, budget), spent) in BUDGET.into_iter().zip(spent) {
            if spent > budget {
                return Err(Failure::new(format!(
                    "{name} of the {} shim costs {spent}, more than {budget}",
                    self.endian
                ))
                .next("see which commit since the last docs/bench.md made it slower"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(report: u64, crc_milli: u64, milli: u64) -> EndianFigures {
        let decode = vec![Decode { codec: "lzma", stored: 1, decoded: 1, milli }];
        EndianFigures {
            endian: "le",
            shim_bytes: [1, 1],
            unpack: [100, 200],
            entry_to_report: report + 100,
            report_to_kernel: 1,
            crc_milli,
            decode,
        }
    }

    #[test]
    fn what_costs_just_its_budget_passes_and_one_more_is_named() {
        figures(300_000, 16_000, 79_000).within_budget().unwrap();
        for (over, name) in [((300_001, 0, 0), "entry"), ((0, 16_001, 0), "CRC"), ((0, 0, 79_001), "LZMA")] {
            let failure = figures(over.0, over.1, over.2).within_budget().unwrap_err();
            assert!(failure.fact().starts_with(name), "{failure}");
        }
    }
}
