//! The value of a property in device tree source.

use super::cursor::Cursor;
use crate::Result;

/// The cell for what cannot be known without headers.
pub const UNKNOWN: u32 = u32::MAX;

/// Everything up to the semicolon, as dtc would write it; what only headers know is [`UNKNOWN`].
pub(super) fn read(at: &mut Cursor<'_>) -> Result<Vec<u8>> {
    let mut value = Vec::new();
    let mut bytes = 4;
    loop {
        at.labels();
        if at.is_next(b'"') {
            value.extend(unescaped(at.text()).bytes().chain([0]));
        } else if at.takes("/bits/") {
            bytes = at.name().parse::<usize>().unwrap_or(32) / 8;
            continue;
        } else if at.takes("<") {
            cells(at, bytes.clamp(1, 8), &mut value)?;
            bytes = 4;
        } else if at.takes("[") {
            value.extend(hex(at.until(b']')));
            at.expect("]")?;
        } else if at.takes("&") {
            // The path of a node, as text.
            at.skip_reference();
            value.push(0);
        } else if !at.name().is_empty() {
            // A macro that stands for a value.
            if at.is_called() {
                at.parenthesised();
            }
            value.extend(UNKNOWN.to_be_bytes());
        } else {
            return Err(at.wrong("a value").into());
        }
        if !at.takes(",") {
            return Ok(value);
        }
    }
}

fn cells(at: &mut Cursor<'_>, bytes: usize, value: &mut Vec<u8>) -> Result<()> {
    while !at.takes(">") {
        if at.is_at_end() || at.is_next(b';') {
            return Err(at.wrong("`>`").into());
        }
        let cell = match () {
            () if at.takes("&") => {
                at.skip_reference();
                None
            }
            () if at.is_next(b'(') => number(at.parenthesised()),
            () => {
                let name = at.name();
                match name.is_empty() {
                    // A label, or an operator outside of parentheses, which dtc does not take either.
                    true => at.skip(),
                    false if at.is_called() => drop(at.parenthesised()),
                    false => {}
                }
                if name.is_empty() || at.takes(":") {
                    continue;
                }
                number(&name)
            }
        };
        let cell = cell.unwrap_or(u64::from(UNKNOWN));
        value.extend(&cell.to_be_bytes()[8 - bytes..]);
    }
    Ok(())
}

/// A literal number, in C's spelling, perhaps negative.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let (text, is_negative) = text.strip_prefix('-').map_or((text, false), |text| (text.trim_start(), true));
    let text = text.trim_end_matches(['u', 'U', 'l', 'L']);
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok()?,
        None if text.len() > 1 && text.starts_with('0') => u64::from_str_radix(text, 8).ok()?,
        None => text.parse().ok()?,
    };
    Some(if is_negative { number.wrapping_neg() } else { number })
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

/// Without the backslashes of C that hide a character; the others do not occur in names.
fn unescaped(text: &str) -> String {
    let mut chars = text.chars();
    std::iter::from_fn(|| match chars.next()? {
        '\\' => chars.next(),
        c => Some(c),
    })
    .collect()
}
