//! What bootloaders print about their boards, as far as more than one reader needs it.

/// A size in bytes at the front of a text, as bootloaders print RAM and flash: `128 MB`, `256 MiB`, `1.5 GiB`, `32 MBytes`. Bits (`Mb`,
/// `Mbit`), nothing, and sizes that are no whole number of bytes are none.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let count: f64 = text[..end].parse().ok()?;
    let unit: String = text[end..].trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let mut letters = unit.chars();
    let shift = match letters.next()?.to_ascii_lowercase() {
        'k' => 10,
        'm' => 20,
        'g' => 30,
        _ => return None,
    };
    let is_bytes = matches!(letters.as_str(), "" | "B" | "iB") || letters.as_str().eq_ignore_ascii_case("bytes");
    let bytes = count * f64::from(1 << shift);
    (is_bytes && bytes >= 1.0 && bytes.fract() == 0.0 && bytes < 2_f64.powi(53)).then_some(bytes as u64)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_read_as_bootloaders_print_them_and_bits_are_none() {
        for (text, bytes) in [
            (" 128 MB", Some(0x800_0000)),
            ("256 MiB (effective 3 GiB)", Some(0x1000_0000)),
            ("32 MBytes", Some(0x200_0000)),
            ("64 Mbytes", Some(0x400_0000)),
            ("64 k, page size: 2048", Some(0x1_0000)),
            ("1.5 GiB", Some(0x6000_0000)),
            ("128 KiB, page size", Some(0x2_0000)),
            ("256 Mbit", None),
            ("256 Mb", None),
            ("0 MB", None),
            ("*** failed ***", None),
            ("16", None),
            ("1.2.3 MB", None),
            ("99999999999 GB", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
