//! The phases of a run's boots as a picture: a bar for each boot, and beside it that of another run.

use std::fmt::Write;
use std::path::Path;

use stoop_samples::failure::Result;

use super::boots::{self, Boot, Phase};
use crate::cache;

/// In pixels.
const LABEL: f64 = 330.0;
const BAR: f64 = 760.0;
const ROW: f64 = 18.0;
const NOTE: f64 = 150.0;

/// Draws the boots of a job's folder into its `boots.svg`, beside those of the same names in `earlier`.
///
/// # Errors
/// A log cannot be read, or the file not be written.
pub fn draw_run(folder: &Path, earlier: Option<&Path>) -> Result<()> {
    let before = earlier.map(boots::of_folder).transpose()?.unwrap_or_default();
    let picture = svg(&boots::of_folder(folder)?, &before);
    cache::write(&folder.join("boots.svg"), picture.as_bytes())
}

/// The picture.
pub fn svg(boots: &[Boot], before: &[Boot]) -> String {
    let longest = boots.iter().chain(before).map(Boot::total).fold(0.1, f64::max);
    let scale = BAR / longest;
    let mut rows = String::new();
    let mut top = 2.0 * ROW;
    for boot in boots {
        let earlier = before.iter().find(|earlier| earlier.name == boot.name);
        row(&mut rows, boot, top, scale, &note(boot, earlier), false);
        top += ROW;
        if let Some(earlier) = earlier {
            row(&mut rows, earlier, top, scale, &format!("{:.2} s before", earlier.total()), true);
            top += ROW;
        }
    }
    let (width, height) = (LABEL + BAR + NOTE, top + ROW);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{}{rows}</svg>\n",
        legend()
    )
}

fn colour(phase: Phase) -> &'static str {
    match phase {
        Phase::Bootloader => "#8da0cb",
        Phase::Transfer => "#66c2a5",
        Phase::Shim => "#fc8d62",
        Phase::Kernel => "#e5c494",
        Phase::Init => "#b3b3b3",
    }
}

fn legend() -> String {
    let mut text = String::new();
    for (number, phase) in Phase::ALL.into_iter().enumerate() {
        let left = LABEL + 110.0 * number as f64;
        let _ = writeln!(
            text,
            "<rect x=\"{left}\" y=\"6\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"16\">{}</text>",
            colour(phase),
            left + 16.0,
            phase.name()
        );
    }
    text
}

fn note(boot: &Boot, earlier: Option<&Boot>) -> String {
    match earlier {
        Some(earlier) => format!("{:.2} s ({:+.2})", boot.total(), boot.total() - earlier.total()),
        None => format!("{:.2} s", boot.total()),
    }
}

fn row(out: &mut String, boot: &Boot, top: f64, scale: f64, note: &str, pale: bool) {
    let line = top + 13.0;
    let opacity = if pale { 0.45 } else { 1.0 };
    let label = if pale { String::new() } else { escaped(&boot.name) };
    let _ = writeln!(out, "<g opacity=\"{opacity}\"><text x=\"4\" y=\"{line}\">{label}</text>");
    for (phase, start, end) in boot.spans() {
        let (left, width) = (LABEL + start * scale, ((end - start) * scale).max(0.5));
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{}\"><title>{}</title></rect>",
            top + 2.0,
            ROW - 4.0,
            colour(phase),
            escaped(&title(boot, phase, end - start))
        );
    }
    let behind = LABEL + boot.total() * scale + 6.0;
    let _ = writeln!(out, "<text x=\"{behind:.1}\" y=\"{line}\">{}</text></g>", escaped(note));
}

/// What hovering over a phase shows.
fn title(boot: &Boot, phase: Phase, seconds: f64) -> String {
    let mut text = format!("{}: {seconds:.3} s", phase.name());
    match phase {
        Phase::Shim => {
            if let Some(ticks) = boot.ticks {
                let _ = write!(text, "; the shim counted {ticks} ticks");
            }
            if let Some(shim) = boot.shim() {
                let _ = write!(text, ", {:.1} ms", shim * 1000.0);
            }
        }
        Phase::Kernel => {
            if let Some(clock) = boot.kernel_clock {
                let _ = write!(text, "; {clock:.3} s by the kernel's own clock");
            }
        }
        _ => {}
    }
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boot(name: &str, shim: f64) -> Boot {
        let ends = vec![(Phase::Bootloader, 1.0), (Phase::Shim, 1.0 + shim), (Phase::Kernel, 2.0 + shim)];
        Boot { name: name.into(), ends, ticks: Some(5000), frequency: Some(1e6), kernel_clock: Some(0.9) }
    }

    #[test]
    fn a_bar_has_its_phases_and_how_much_longer_it_is_than_before() {
        let picture = svg(&[boot("a<b #1", 0.5), boot("new #1", 0.1)], &[boot("a<b #1", 0.25), boot("gone #1", 0.1)]);
        for part in [
            "a&lt;b #1</text>",
            "2.50 s (+0.25)</text>",
            "2.25 s before</text>",
            "2.10 s</text>",
            "<title>shim: 0.500 s; the shim counted 5000 ticks, 5.0 ms</title>",
            "<title>kernel: 1.000 s; 0.900 s by the kernel&#39;s own clock</title>",
        ] {
            let part = part.replace("&#39;", "'");
            assert!(picture.contains(&part), "{part}: {picture}");
        }
        assert!(!picture.contains("gone"), "{picture}");
    }
}
