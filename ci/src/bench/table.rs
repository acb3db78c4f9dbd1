//! The figures as a page for people, next to the peers'.

use std::fmt::Write;

use super::{Decode, EndianFigures, Figures, PER_TICK};

/// The page.
pub fn of(figures: &Figures) -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write(&mut page, figures);
    page
}

fn write(page: &mut String, figures: &Figures) -> std::fmt::Result {
    writeln!(page, "# What the shim costs\n")?;
    writeln!(
        page,
        "Written by `cargo ci bench`. Instructions in QEMU's Malta (24Kf, `-icount shift=0`, {PER_TICK} instructions per tick of\n\
         CP0 Count), not times: QEMU has neither caches nor a pipeline. Payload: {}, also for\n\
         the big-endian shim.\n",
        figures.payload
    )?;
    let columns: String = figures.endians.iter().map(|shim| format!(" {} |", shim.endian)).collect();
    writeln!(page, "| |{columns} budget | peers |")?;
    writeln!(page, "|---|{}---|---|", "---:|".repeat(figures.endians.len()))?;
    let mut row = |name: &str, figure: &dyn Fn(&EndianFigures) -> String, budget: &str, peers: &str| {
        let cells: String = figures.endians.iter().map(|shim| format!(" {} |", figure(shim))).collect();
        writeln!(page, "| {name} |{cells} {budget} | {peers} |")
    };
    let loaders = "OpenWrt 5,724 to 5,884; rt-loader 12,263";
    row("shim and params in an image, without decoders", &|shim| thousands(shim.shim_bytes[0] as u64), "6,144", "")?;
    row("with LZ4 and LZMA", &|shim| thousands(shim.shim_bytes[1] as u64), "8,192", loaders)?;
    row("unpacking itself, without decoders", &|shim| thousands(shim.unpack[0]), "", "")?;
    row("unpacking itself, with decoders", &|shim| thousands(shim.unpack[1]), "", "")?;
    row("entry to report, no payload to speak of", &|shim| thousands(shim.entry_to_report), "", "")?;
    let rest = |shim: &EndianFigures| thousands(shim.entry_to_report.saturating_sub(shim.unpack[0]));
    row("the same without unpacking", &rest, "300,000", "")?;
    row("report to kernel (caches)", &|shim| thousands(shim.report_to_kernel), "", "")?;
    row("CRC-32, per stored byte", &|shim| milli(shim.crc_milli), "16", "")?;
    let Some(first) = figures.endians.first() else { return Ok(()) };
    for (index, decode) in first.decode.iter().enumerate() {
        let name = format!(
            "{}, per byte of {} ({} stored)",
            decode.codec.to_uppercase(),
            thousands(decode.decoded as u64),
            thousands(decode.stored as u64)
        );
        let figure = |shim: &EndianFigures| shim.decode.get(index).map_or(String::new(), |decode| milli(decode.milli));
        row(&name, &figure, if decode.codec == "lzma" { "79" } else { "" }, peers(decode))?;
    }
    Ok(())
}

/// Measured in the same way on the same kernel's code; see docs/codecs.md.
fn peers(decode: &Decode) -> &'static str {
    match (decode.codec, decode.decoded == 8 << 20) {
        ("lzma", true) => "OpenWrt 77.6",
        ("lzma", false) => "OpenWrt 79.2; rt-loader 156.5",
        _ => "",
    }
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
    use super::*;

    #[test]
    fn figures_have_commas_and_two_places() {
        assert_eq!(thousands(1_234_567), "1,234,567");
        assert_eq!(thousands(999), "999");
        assert_eq!(milli(78_709), "78.70");
        assert_eq!(milli(4_050), "4.05");
    }

    #[test]
    fn every_row_has_as_many_cells_as_the_head() {
        let shim = |endian| EndianFigures {
            endian,
            shim_bytes: [6000, 8000],
            unpack: [1, 2],
            entry_to_report: 2,
            report_to_kernel: 3,
            crc_milli: 4,
            decode: vec![Decode { codec: "lzma", stored: 1, decoded: 8 << 20, milli: 5 }],
        };
        let page = of(&Figures { payload: "a kernel".into(), endians: vec![shim("le"), shim("be")] });
        let rows: Vec<_> = page.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(rows.len(), 11, "{page}");
        assert!(rows.iter().all(|row| row.matches('|').count() == 6), "{page}");
    }
}
