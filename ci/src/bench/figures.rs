//! What was counted, and the most that it may be.

use serde::Serialize;
use stoop_image::machine::Machine;
use stoop_samples::failure::{Failure, Result};

use super::machine::Family;

/// Of machines that were counted alike, with the same payload.
#[derive(Serialize)]
pub struct Figures {
    #[serde(skip)]
    pub(super) family: &'static Family,
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
    pub(super) machine: Machine,
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
    /// From the shim's first instruction to the kernel's, all included, by codec and size.
    pub totals: Vec<Total>,
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

/// A whole way to a kernel.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct Total {
    /// `store`, `lz4` or `lzma`.
    pub codec: &'static str,
    /// Bytes in the image.
    pub stored: usize,
    /// Bytes after decoding.
    pub decoded: usize,
    /// Instructions.
    pub instructions: u64,
}

impl Total {
    /// The most that it may be (docs/sizes.md), on MIPS; there is none for LZ4.
    pub(super) fn budget(&self) -> Option<u64> {
        match self.codec {
            "store" => Some(6 * self.stored as u64 + 600_000),
            "lzma" => Some(76 * self.decoded as u64),
            _ => None,
        }
    }
}

/// The most that it may cost (docs/sizes.md): instructions from params to report, thousandths of an instruction per byte of
/// CRC-32 and of LZMA, and instructions up to the params, with decoders.
pub(super) const BUDGET: [(&str, u64); 4] =
    [("params to report", 100_000), ("CRC-32", 6_000), ("LZMA", 74_000), ("self-unpacking", 300_000)];

/// The most that it costs today: the [`BUDGET`], or what may only go down until it is.
pub(super) fn ceiling(machine: Machine) -> [u64; 4] {
    let [report, crc, lzma, unpack] = BUDGET.map(|(_, budget)| budget);
    match machine {
        Machine::MipsLe | Machine::MipsBe => [report, crc, lzma, unpack],
        Machine::Arm64 => [CEILING_ARM64_REPORT, crc, CEILING_ARM64_LZMA, unpack],
    }
}

/// QEMU's tree for virt is three times as large as Malta's.
const CEILING_ARM64_REPORT: u64 = 163_000;

/// Debian's arm64 kernel is denser than its MIPS kernel: 14 % more stored bytes for as many decoded ones.
const CEILING_ARM64_LZMA: u64 = 86_000;

impl ShimFigures {
    /// What is neither unpacking, CRC nor decoding.
    pub(super) fn params_to_report(&self, reported: Reported) -> u64 {
        reported.instructions.saturating_sub(self.unpack[0])
    }

    pub(super) fn within_ceiling(&self) -> Result<()> {
        let lzma = self.decode.iter().filter(|decode| decode.codec == "lzma").map(|decode| decode.milli);
        let report = self.with_own_tree.unwrap_or(self.entry_to_report);
        let spent = [self.params_to_report(report), self.crc_milli, lzma.max().unwrap_or_default(), self.unpack[1]];
        for (((name, _), ceiling), spent) in BUDGET.into_iter().zip(ceiling(self.machine)).zip(spent) {
            if spent > ceiling {
                return Err(Failure::new(format!(
                    "{name} of the {} shim costs {spent}, more than {ceiling}",
                    self.shim
                ))
                .next("see which commit since the last docs/bench.md made it slower"));
            }
        }
        for total in self.totals.iter().filter(|_| self.machine != Machine::Arm64) {
            if let Some(budget) = total.budget().filter(|budget| total.instructions > *budget) {
                let (codec, bytes, spent) = (total.codec, total.decoded, total.instructions);
                return Err(Failure::new(format!(
                    "{codec} of {bytes} bytes costs the {} shim {spent} in all, more than {budget}",
                    self.shim
                ))
                .next("see which commit since the last docs/bench.md made it slower"));
            }
        }
        Ok(())
    }
}
