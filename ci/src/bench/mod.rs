//! `cargo ci bench`: what the shim costs, in bytes and in instructions. QEMU counts (`-icount shift=0`: a CPU's counter ticks
//! once in so many instructions), so the figures are the same on every machine and can be compared exactly. They are no times:
//! QEMU has neither caches nor a pipeline.

mod figures;
mod machine;
mod measure;
mod table;

use std::path::Path;

use stoop_samples::failure::{Failure, Result};

use crate::cache;
use crate::lab::Lab;
use figures::{Figures, ShimFigures};
use machine::{FAMILIES, Family};

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
            .map_err(|error| Failure::new(format!("the figures have no JSON form: {error}")))?;
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

#[cfg(test)]
mod tests {
    use super::figures::{BUDGET, Decode, Reported, Total, ceiling};
    use super::*;
    use stoop_image::machine::Machine;

    fn figures(machine: Machine, [report, crc_milli, milli, unpack]: [u64; 4]) -> ShimFigures {
        let decode = vec![Decode { codec: "lzma", stored: 1, decoded: 1, milli }];
        ShimFigures {
            machine,
            shim: machine.name(),
            shim_bytes: [1, 1],
            unpack: [100, unpack],
            entry_to_report: Reported { tree: 1, instructions: report + 100 },
            with_own_tree: None,
            report_to_kernel: [1; 2],
            crc_milli,
            decode,
            totals: vec![],
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

    #[test]
    fn a_whole_way_that_costs_just_its_budget_passes_and_one_more_is_named() {
        for (codec, budget) in [("store", 6 * 1000 + 600_000), ("lzma", 76 * 2000)] {
            let total = |instructions| Total { codec, stored: 1000, decoded: 2000, instructions };
            let with = |instructions| ShimFigures {
                totals: vec![total(instructions)],
                ..figures(Machine::ALL[0], ceiling(Machine::ALL[0]))
            };
            with(budget).within_ceiling().unwrap();
            let failure = with(budget + 1).within_ceiling().unwrap_err();
            assert!(failure.fact().starts_with(codec), "{failure}");
        }
    }
}
