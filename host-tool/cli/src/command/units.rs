//! Addresses as people type them, sizes as people read them.

/// An address as people type it.
pub(super) fn address(text: &str) -> std::result::Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.map_err(|error| format!("{error}; write it as 0x80100000"))
}

/// Bytes in hex, and for people.
pub(super) fn amount(bytes: usize) -> String {
    match bytes {
        0..0x10_0000 => format!("0x{bytes:x} bytes ({:.1} KiB)", bytes as f64 / 1024.0),
        _ => format!("0x{bytes:x} bytes ({:.1} MiB)", bytes as f64 / 1_048_576.0),
    }
}
