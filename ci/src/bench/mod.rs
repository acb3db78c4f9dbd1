//! `cargo ci bench`: what the shim costs, in bytes and in instructions. QEMU counts (`-icount shift=0`: a CPU's counter ticks
//! once in so many instructions), so the figures are the same on every machine and can be compared exactly. They are no times:
//! QEMU has neither caches nor a pipeline.

mod machine;
mod measure;
mod table;

use std::path::Path;

use serde::Serialize;
use stoop_image::{ErrorCode, Failure, Result};

use crate::cache;
use crate::lab::Lab;
use crate::prebuilt::Machine;
use machine::{FAMILIES, Family};

/// Of machines that were counted alike, with the same payload.
#[derive(Serialize)]
pub struct Figures {
    #[serde(skip)]
    family: &'static Family,
    /// `MIPS` or `arm64`.
    pub name: &'static str,
    /// What the payload's code was taken from.
    pub payload: String,
    /// By machine.
    pub shims: Vec<ShimFigures>,
}

/// One machine's shims.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct ShimFigures {
    #[serde(skip)]
    machine: Machine,
    /// `le`, `be` or `arm64`.
    pub shim: &'static str,
    /// Bytes of the shim in an image: without decoders and with both.
    pub shim_bytes: [usize; 2],
    /// Instructions from the shim's first one until it finds that its params are blank: moving and unpacking itself, where
    /// it does, clearing its memory and the CRC's table. Without decoders and with both.
    pub unpack: [u64; 2],
    /// From its first instruction to the report, with a kernel of a few words and no decoders, unpacking included.
    pub entry_to_report: Reported,
    /// The same with the machine's own, larger device tree, where it passes one.
    pub with_own_tree: Option<Reported>,
    /// Instructions from there to the kernel's first: caches and the jump. With a kernel of a few words and with all of
    /// the payload, which count where caches are cleaned by address.
    pub report_to_kernel: [u64; 2],
    /// Instructions per stored byte of a payload that is checked where it lies, times a thousand.
    pub crc_milli: u64,
    /// By codec and size.
    pub decode: Vec<Decode>,
}

/// A way to the report, most of which is writing the device tree.
#[derive(Clone, Copy, Serialize, PartialEq, Eq, Debug)]
pub struct Reported {
    /// Bytes of the final tree.
    pub tree: usize,
    /// Instructions.
    pub instructions: u64,
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

/// Measures, prints the tables and, when asked, puts tables and JSON into files.
///
/// # Errors
/// The lab is not there, or a machine does not answer.
pub fn run(table: Option<&Path>, json: Option<&Path>) -> Result<()> {
    let lab = Lab::open()?;
    let figures = FAMILIES.iter().map(|family| of(family, &lab)).collect::<Result<Vec<_>>>()?;
    let text = table::of(&figures);
    print!("{text}");
    if let Some(path) = table {
        cache::write(path, text.as_bytes())?;
    }
    if let Some(path) = json {
        let mut text = serde_json::to_vec_pretty(&figures)
            .map_err(|error| Failure::new(ErrorCode::Repository, format!("the figures have no JSON form: {error}")))?;
        text.push(b'\n');
        cache::write(path, &text)?;
    }
    figures.iter().flat_map(|figures| &figures.shims).try_for_each(ShimFigures::within_ceiling)
}

fn of(family: &'static Family, lab: &Lab) -> Result<Figures> {
    let payload = family.payload(lab)?;
    let shims = family.machines.iter().map(|machine| measure::shim(family, *machine, &payload));
    Ok(Figures { family, name: family.name, shims: shims.collect::<Result<_>>()?, payload: payload.name })
}

/// The most that it may cost (docs/sizes.md): instructions from params to report, and thousandths of an instruction per byte of
/// CRC-32 and of LZMA.
const BUDGET: [(&str, u64); 3] = [("params to report", 100_000), ("CRC-32", 6_000), ("LZMA", 74_000)];

/// The most that it costs today: the [`BUDGET`], or what may only go down until it is.
fn ceiling(machine: Machine) -> [u64; 3] {
    let budget = BUDGET.map(|(_, budget)| budget);
    match machine {
        Machine::Mips(_) => [budget[0], CEILING_CRC, budget[2]],
        Machine::Arm64 => [CEILING_ARM64_REPORT, CEILING_CRC, CEILING_ARM64_LZMA],
    }
}

/// QEMU's tree for virt is three times as large as Malta's.
const CEILING_ARM64_REPORT: u64 = 185_000;
/// Debian's arm64 kernel is denser than its MIPS kernel: 14 % more stored bytes for as many decoded ones.
const CEILING_ARM64_LZMA: u64 = 86_000;
/// The Rust of it; assembly would take 5.9, but is not called through a pointer in a shim without absolute addresses.
const CEILING_CRC: u64 = 6_800;

impl ShimFigures {
    /// What is neither unpacking, CRC nor decoding.
    fn params_to_report(&self, reported: Reported) -> u64 {
        reported.instructions.saturating_sub(self.unpack[0])
    }

    fn within_ceiling(&self) -> Result<()> {
        let lzma = self.decode.iter().filter(|decode| decode.codec == "lzma").map(|decode| decode.milli);
        let report = self.with_own_tree.unwrap_or(self.entry_to_report);
        let spent = [self.params_to_report(report), self.crc_milli, lzma.max().unwrap_or_default()];
        for (((name, _), ceiling), spent) in BUDGET.into_iter().zip(ceiling(self.machine)).zip(spent) {
            if spent > ceiling {
                return Err(Failure::new(
                    ErrorCode::Repository,
                    format!("{name} of the {} shim costs {spent}, more than {ceiling}", self.shim),
                )
                .next("see which commit since the last docs/bench.md made it slower"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(machine: Machine, [report, crc_milli, milli]: [u64; 3]) -> ShimFigures {
        let decode = vec![Decode { codec: "lzma", stored: 1, decoded: 1, milli }];
        ShimFigures {
            machine,
            shim: machine.name(),
            shim_bytes: [1, 1],
            unpack: [100, 200],
            entry_to_report: Reported { tree: 1, instructions: report + 100 },
            with_own_tree: None,
            report_to_kernel: [1; 2],
            crc_milli,
            decode,
        }
    }

    #[test]
    fn what_costs_just_its_ceiling_passes_and_one_more_is_named() {
        for machine in Machine::ALL {
            let most = ceiling(machine);
            figures(machine, most).within_ceiling().unwrap();
            for (index, (name, budget)) in BUDGET.into_iter().enumerate() {
                let mut spent = most;
                spent[index] += 1;
                let failure = figures(machine, spent).within_ceiling().unwrap_err();
                assert!(failure.fact().starts_with(name), "{failure}");
                assert!(most[index] >= budget);
            }
        }
    }
}
