//! Flash's bytes through the console: `md.b` is the one way that every U-Boot has.

use super::Error;
use super::step::sum;
use crate::Result;
use crate::bootloader::Bootloader;
use std::time::Duration;

/// Bytes by one command: a second or two at 115200 bits a second.
const PIECE: usize = 0x1000;

/// How often a piece is read until its sum is right.
const TRIES: usize = 3;

/// Reads `size` bytes at `at`, as typed; tells `progress` of each piece.
pub fn range(
    bootloader: &mut Bootloader<'_>,
    at: usize,
    size: usize,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<u8>> {
    let mut all = Vec::with_capacity(size);
    while all.len() < size {
        let (from, count) = (at + all.len(), PIECE.min(size - all.len()));
        let piece = (0..TRIES).find_map(|_| piece(bootloader, from, count).transpose());
        let piece = piece.transpose()?.ok_or(Error::ReadBack { at: from, size: count })?;
        all.extend(piece);
        progress(count);
    }
    Ok(all)
}

/// One piece; `None` when what came does not have the sum that the bootloader says.
fn piece(bootloader: &mut Bootloader<'_>, at: usize, size: usize) -> Result<Option<Vec<u8>>> {
    let line = format!("md.b 0x{at:08x} 0x{size:x}");
    bootloader.enter(&line)?;
    let printed = bootloader.finish(&line, Duration::from_secs(60))?;
    let bytes = dumped(&printed, at);
    let summed = bootloader.needed(&format!("crc32 0x{at:08x} 0x{size:x}"))?;
    let is_right = bytes.len() == size && summed.contains(&format!("==> {:08x}", sum(&bytes)));
    Ok(is_right.then_some(bytes))
}

/// `be000000: 0f f0 00 04 …    ....`: as long as the addresses follow one another.
fn dumped(printed: &str, at: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in printed.lines() {
        let Some((address, rest)) = line.split_once(": ") else { continue };
        if usize::from_str_radix(address.trim(), 16) != Ok(at + bytes.len()) {
            continue;
        }
        // Four blanks stand between the numbers and the text.
        let numbers = rest.split("    ").next().unwrap_or_default();
        bytes.extend(numbers.split(' ').map_while(|number| u8::from_str_radix(number, 16).ok()));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::dumped;

    #[test]
    fn a_dump_is_read_without_its_text() {
        let printed = "be000000: 0f f0 00 04 00 00 00 00 0f f0 00 04 00 00 00 00    ................\nbe000010: 41 42 20 20    AB  \n";
        let bytes = dumped(printed, 0xbe00_0000);
        assert_eq!((bytes.len(), &bytes[16..]), (20, &b"AB  "[..]));
        assert_eq!(dumped(printed, 0xbe00_0010), b"AB  ");
    }
}
