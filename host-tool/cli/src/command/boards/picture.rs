//! A board's flash map as a picture.

use std::fmt::Write;

use stoop_image::board::{Board, Flash, Partition, Role};
use stoop_image::{ErrorCode, Failure, Result};

use super::{kind, mebibytes};

/// Pixels of the whole picture, and of the bar in it.
const WIDTH: f64 = 720.0;
const BAR: (f64, f64) = (20.0, 680.0);
/// Where the bar's top is, and the first line of text below it.
const TOP: f64 = 44.0;
const HEIGHT: f64 = 36.0;
const LINE: f64 = 20.0;
/// No partition is narrower than this, so that one can see it.
const LEAST: f64 = 3.0;

/// The map as SVG: one bar by size, and a line of text for each partition.
///
/// # Errors
/// The board has no flash map.
pub fn flash(board: &Board) -> Result<String> {
    let Some(flash) = &board.flash else {
        return Err(Failure::new(ErrorCode::BoardLacks, format!("{} has no flash map", board.name))
            .next("`stoop boards show` says in `quirks` what it starts from"));
    };
    let below = TOP + HEIGHT + 28.0;
    let height = below + LINE * flash.partitions.len() as f64;
    let title = format!("{}: {} {}", board.title, mebibytes(flash.size), kind(flash));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<title>{0}</title>\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"{1}\" y=\"24\" font-size=\"15\">{0}</text>\n\
         <rect x=\"{1}\" y=\"{TOP}\" width=\"{2}\" height=\"{HEIGHT}\" fill=\"#eee\" stroke=\"#888\"/>\n",
        escaped(&title),
        BAR.0,
        BAR.1
    );
    for (number, part) in flash.partitions.iter().enumerate() {
        let (x, width) = place(flash, part);
        let colour = colour(part);
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{HEIGHT}\" fill=\"{colour}\"><title>{}</title></rect>",
            escaped(&part.name)
        );
        let y = below + LINE * number as f64;
        let _ =
            writeln!(svg, "<rect x=\"{}\" y=\"{}\" width=\"12\" height=\"12\" fill=\"{colour}\"/>", BAR.0, y - 11.0);
        let slot = part.slot.map_or(String::new(), |slot| format!(", slot {slot}"));
        let never = if part.protected { ", never written" } else { "" };
        let text = format!("0x{:08x}  {}  0x{:x} bytes, {}{slot}{never}", part.offset, part.name, part.size, part.role);
        let _ =
            writeln!(svg, "<text x=\"{}\" y=\"{y}\" xml:space=\"preserve\">{}</text>", BAR.0 + 20.0, escaped(&text));
    }
    Ok(svg + "</svg>\n")
}

/// Where in the bar a partition is, and how wide.
fn place(flash: &Flash, part: &Partition) -> (f64, f64) {
    let scale = BAR.1 / flash.size as f64;
    let width = (part.size as f64 * scale).max(LEAST).min(BAR.1);
    ((BAR.0 + part.offset as f64 * scale).min(BAR.0 + BAR.1 - width), width)
}

fn colour(part: &Partition) -> &'static str {
    match part.role {
        Role::Bootloader => "#b33",
        Role::Environment => "#d83",
        Role::Calibration => "#a3a",
        Role::Vendor => "#999",
        Role::Boot => "#06a",
        Role::Firmware | Role::Kernel => "#39c",
        Role::Rootfs => "#6b9",
        Role::Data => "#8b4",
    }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '&' => escaped += "&amp;",
            '"' => escaped += "&quot;",
            c if c.is_control() => escaped.extend(c.escape_default()),
            c => escaped.push(c),
        }
    }
    escaped
}
