//! The figures as a page for people, next to the peers'.

use std::fmt::Write;

use stoop_image::shim_image::Variant;

use super::figures::{BUDGET, Figures, Reported, ShimFigures};
use super::machine::SMALL;
use crate::sizes;

/// The page: a table for each family.
pub fn of(all: &[Figures]) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut page, all);
    page
}

fn write(page: &mut String, all: &[Figures]) -> std::fmt::Result {
    writeln!(
        page,
        "# What the shim costs\n\n\
         Written by `cargo ci bench`. Instructions in QEMU (`-icount shift=0`), not times: QEMU has neither caches nor a\n\
         pipeline. Machines in one table got the same payload, whatever their byte order. What is over its budget is bold."
    )?;
    all.iter().try_for_each(|figures| table(page, figures))
}

fn table(page: &mut String, figures: &Figures) -> std::fmt::Result {
    let (family, shims) = (figures.family, &figures.shims);
    writeln!(
        page,
        "\n## {}\n\nQEMU's {}, {} instructions per tick of {}. Payload: {}.\n",
        figures.name, family.emulated, family.per_tick, family.counter, figures.payload
    )?;
    let Some(first) = shims.first() else { return Ok(()) };
    let columns: String = shims.iter().map(|shim| format!(" {} |", shim.shim)).collect();
    writeln!(page, "| |{columns} budget | peers |")?;
    writeln!(page, "|---|{}---:|---|", "---:|".repeat(shims.len()))?;
    let mut row = |name: &str, show: fn(u64) -> String, figure: &dyn Fn(&ShimFigures) -> u64, budget, peers: &str| {
        let cell = |figure: u64| match budget {
            Some(budget) if figure > budget => format!("**{}**", show(figure)),
            _ => show(figure),
        };
        let cells: String = shims.iter().map(|shim| format!(" {} |", cell(figure(shim)))).collect();
        let budget = budget.map(show).unwrap_or_default();
        writeln!(page, "| {name} |{cells} {} | {peers} |", budget.trim_end_matches(".00"))
    };
    let size = |variant| Some(sizes::budget(variant, first.machine) as u64);
    let [report, crc, lzma, unpacking] = BUDGET.map(|(_, budget)| Some(budget));
    let [loaders, lzma_peers @ ..] = family.peers;
    let bytes = |variant: usize| move |shim: &ShimFigures| shim.shim_bytes[variant] as u64;
    row("shim and params in an image, without decoders", thousands, &bytes(0), size(Variant::Store), "")?;
    row("with LZ4 and LZMA", thousands, &bytes(1), size(Variant::Full), loaders)?;
    let unpack = |variant: usize| move |shim: &ShimFigures| shim.unpack[variant];
    row("entry to params (unpacking itself), without decoders", thousands, &unpack(0), unpacking, "")?;
    row("the same with decoders", thousands, &unpack(1), unpacking, "")?;
    row("entry to report, no payload to speak of", thousands, &|shim| shim.entry_to_report.instructions, None, "")?;
    let to_report = |tree: Reported, whose| {
        format!("params to report, {whose} device tree, finally {} bytes", thousands(tree.tree as u64))
    };
    let malta = |shim: &ShimFigures| shim.params_to_report(shim.entry_to_report);
    row(&to_report(first.entry_to_report, "Malta's"), thousands, &malta, report, "")?;
    if let Some(tree) = first.with_own_tree {
        let own = |shim: &ShimFigures| shim.with_own_tree.map_or(0, |own| shim.params_to_report(own));
        row(&to_report(tree, "QEMU's own"), thousands, &own, report, "")?;
    }
    let to_kernel = |payload: usize| move |shim: &ShimFigures| shim.report_to_kernel[payload];
    row("report to kernel (caches)", thousands, &to_kernel(0), None, "")?;
    row("the same with all of the payload", thousands, &to_kernel(1), None, "")?;
    row("CRC-32, per stored byte", milli, &|shim| shim.crc_milli, crc, "")?;
    for (index, decode) in first.decode.iter().enumerate() {
        let name = format!(
            "{}, per byte of {} ({} stored)",
            decode.codec.to_uppercase(),
            thousands(decode.decoded as u64),
            thousands(decode.stored as u64)
        );
        let figure = |shim: &ShimFigures| shim.decode.get(index).map_or(0, |decode| decode.milli);
        let (budget, peers) = match decode.codec {
            "lzma" => (lzma, lzma_peers[usize::from(decode.decoded != SMALL)]),
            _ => (None, ""),
        };
        row(&name, milli, &figure, budget, peers)?;
    }
    for (index, total) in first.totals.iter().enumerate() {
        let name = format!("first instruction to the kernel's: {} of {}", total.codec, thousands(total.decoded as u64));
        let figure = |shim: &ShimFigures| shim.totals.get(index).map_or(0, |total| total.instructions);
        let peer = family.totals.iter().find(|(codec, decoded, _)| (*codec, *decoded) == (total.codec, total.decoded));
        let budget = total.budget().filter(|_| !family.own_tree);
        row(&name, thousands, &figure, budget, peer.map_or("", |(.., figure)| figure))?;
    }
    times(page, figures)
}

/// Bytes of NOR flash that are read in a second, and the CPU's clock: those of many routers with MIPS cores.
const FLASH: f64 = 3e6;
const CLOCK: f64 = 580e6;
/// Cycles for an instruction. Nobody has counted them on a board; `--codec auto` counts with the second.
const CYCLES: [f64; 2] = [1.5, 2.0];
/// Instructions for a byte that is copied from flash (shim/src/arch/mips/mem.S: memcpy), which the totals have not.
const COPYING: f64 = 11.0 / 16.0;

/// What the totals are in seconds when the kernel is read once from flash.
fn times(page: &mut String, figures: &Figures) -> std::fmt::Result {
    let Some(shim) = figures.shims.first().filter(|_| !figures.family.own_tree) else { return Ok(()) };
    let [few, many] = CYCLES;
    writeln!(
        page,
        "\nAn estimate of seconds from these, for a slot of a `nor` image: stored bytes / {:.1} MB/s + (instructions + {COPYING:.1} x\n\
         stored bytes) x cycles / {:.0} MHz. Nobody has counted the cycles of an instruction on a board.\n\n\
         | | {few:.1} cycles | {many:.1} cycles |\n|---|---:|---:|",
        FLASH / 1e6,
        CLOCK / 1e6
    )?;
    for total in &shim.totals {
        let stored = total.stored as f64;
        let instructions = total.instructions as f64 + COPYING * stored;
        let [few, many] = CYCLES.map(|cycles| stored / FLASH + instructions * cycles / CLOCK);
        writeln!(page, "| {} of {} | {few:.2} s | {many:.2} s |", total.codec, thousands(total.decoded as u64))?;
    }
    Ok(())
}

fn milli(value: u64) -> String {
    format!("{}.{:02}", value / 1000, value % 1000 / 10)
}

fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index != 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::figures::{Decode, Total};
    use super::super::machine::FAMILIES;
    use super::*;

    #[test]
    fn figures_have_commas_and_two_places() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(999), "999");
        assert_eq!(milli(78_709), "78.70");
        assert_eq!(milli(4_050), "4.05");
    }

    fn figures(names: &[&'static str], milli: u64) -> Figures {
        let [family, _] = &FAMILIES;
        let shim = |shim: &&'static str| ShimFigures {
            machine: stoop_image::machine::Machine::Arm64,
            shim,
            shim_bytes: [6000, 8000],
            unpack: [1, 2],
            entry_to_report: Reported { tree: 1, instructions: 2 },
            with_own_tree: Some(Reported { tree: 3, instructions: 4 }),
            report_to_kernel: [3; 2],
            crc_milli: 4,
            decode: vec![Decode { codec: "lzma", stored: 1, decoded: SMALL, milli }],
            totals: vec![Total { codec: "lz4", stored: 3_000_000, decoded: SMALL, instructions: 577_937_500 }],
        };
        Figures { family, name: "x", payload: "a kernel".into(), shims: names.iter().map(shim).collect() }
    }

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let page = of(&[figures(&["le", "be"], 5)]);
        let (page, times) = page.split_once("\nAn estimate").unwrap();
        assert!(times.contains("| lz4 of 8,388,608 | 2.50 s | 3.00 s |"), "{times}");
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 14, "{page}");
        assert!(rows.iter().all(|row| row.matches('|').count() == 6), "{page}");
    }

    #[test]
    fn only_what_is_over_its_budget_is_bold() {
        let [_, _, (_, lzma), ..] = BUDGET;
        let page = of(&[figures(&["arm64"], lzma)]);
        assert!(page.contains(" | 74.00 | 74 |") && !page.contains("**"), "{page}");
        assert!(of(&[figures(&["arm64"], lzma + 10)]).contains(" | **74.01** | 74 |"));
    }
}
