//! RAM in which the kernel keeps its last log over a reset: Linux's pstore with the backend ramoops (fs/pstore/ram.c), by the
//! binding Documentation/devicetree/bindings/reserved-memory/ramoops.yaml.
//!
//! The log is found again only if its place is the same at the next boot and nothing has written there meanwhile. So the place
//! depends on the board and the size alone, not on what is packed, and pack's layout keeps everything else away from it: the
//! file as it is fetched, the image, the shim, the kernel.

mod error;

use stoop_core::Region;
use stoop_core::fdt::Ramoops;

use crate::board::Board;
use crate::format::device_tree::Facts;
use crate::kconfig::{Kconfig, Value};
use crate::layout::GRAIN;
use crate::machine::KSEG_SIZE;
pub use error::Error;

use crate::Result;

/// The least and the most bytes that may be asked for. Below there is no room for a console and two records.
pub const SIZES: std::ops::RangeInclusive<usize> = 0x1_0000..=0x100_0000;

/// Bytes below what the bootloader keeps at the top of RAM that are left to it: U-Boot puts the device tree that it passes there
/// (boot/image-fdt.c: boot_relocate_fdt takes the highest free address below its stack).
const DISTANCE: usize = 0x10_0000;

/// Of Reed-Solomon code for each 128 bytes: what most device trees of Linux have.
const ECC: u32 = 16;

/// The larger of the powers of two that kernels round to anyway for a record (ramoops_probe): more than a dump fills.
const LARGEST_RECORD: usize = 0x1_0000;

/// Reads a size: bytes, or with K or M behind it.
///
/// # Errors
/// It is no number, outside of [`SIZES`], or no multiple of 64 KiB, which is a whole number of pages for every kernel.
pub fn size(text: &str) -> Result<usize> {
    let (digits, unit) = match text.char_indices().last() {
        Some((at, 'k' | 'K')) => (&text[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&text[..at], 1 << 20),
        _ => (text, 1),
    };
    let number = match digits.strip_prefix("0x") {
        Some(digits) => usize::from_str_radix(digits, 16),
        None => digits.parse(),
    };
    let size = number.ok().and_then(|number| number.checked_mul(unit));
    size.filter(|size| SIZES.contains(size) && size.is_multiple_of(GRAIN))
        .ok_or_else(|| Error::Size { text: text.to_owned() }.into())
}

/// Where it goes on this board, and how it is divided: a quarter for the console, records in the rest.
///
/// # Errors
/// The device tree has one of its own, or there is no room.
pub fn place(size: usize, board: &Board, facts: &Facts) -> Result<Ramoops> {
    if let Some((name, range)) = facts.reserved.iter().find(|(name, _)| name.starts_with("ramoops")) {
        return Err(Error::Taken { node: name.clone(), at: range.start }.into());
    }
    let ram = board.shim_ram();
    let end = if board.arch.is_mips() { ram.end().min(KSEG_SIZE) } else { ram.end() };
    let reserved = facts.reserved.iter().map(|(_, range)| range.start as usize..range.end as usize);
    let mut taken: Vec<std::ops::Range<usize>> = reserved.collect();
    taken.extend(board.bootloader.staging.map(|staging| staging.start()..staging.end()));
    taken.sort_by_key(|range| std::cmp::Reverse(range.end));
    let down = |end: usize| end.checked_sub(size).map(|start| start / GRAIN * GRAIN);
    let mut start = down(ram.end().saturating_sub(board.bootloader.reserved_top + DISTANCE).min(end));
    for range in taken {
        if start.is_some_and(|start| start < range.end && range.start < start + size) {
            start = down(range.start);
        }
    }
    let region = start.filter(|start| *start > ram.start()).and_then(|start| Region::new(start, size));
    let region = region.ok_or(Error::NoRoom { size })?;
    let largest = |bytes: usize| 1 << bytes.ilog2();
    let record = largest(size / 8).min(LARGEST_RECORD);
    Ok(Ramoops { region, record: record as u32, console: largest(size / 4) as u32, ecc: ECC })
}

/// What a kernel lacks to keep its log there; nothing, if its configuration is not known.
pub fn warnings(config: Option<&Kconfig>) -> Vec<String> {
    let Some(config) = config else { return Vec::new() };
    let has = |symbol: &str| matches!(config.get(symbol), Value::Yes | Value::Module);
    let mut warnings = Vec::new();
    if !has("PSTORE_RAM") {
        warnings.push(
            "CONFIG_PSTORE_RAM is not set: the kernel keeps no log in RAM; build it with CONFIG_PSTORE=y and \
             CONFIG_PSTORE_RAM=y"
                .to_owned(),
        );
    } else if !config.is_yes("PSTORE_CONSOLE") {
        warnings.push(
            "CONFIG_PSTORE_CONSOLE is not set: an oops or panic leaves its log, a watchdog's reset leaves none"
                .to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;
    use crate::board;

    #[test]
    fn sizes_are_read_with_their_units_and_others_refused() {
        for (text, bytes) in
            [("64K", 0x1_0000), ("131072", 0x2_0000), ("0x20000", 0x2_0000), ("1m", 0x10_0000), ("16M", 0x100_0000)]
        {
            assert_eq!(size(text).unwrap(), bytes, "{text}");
        }
        for text in ["", "K", "32K", "96K", "17M", "-1", "64 K", "64G", "99999999999999999999"] {
            let failure = size(text).unwrap_err();
            assert_eq!(failure.exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn on_every_board_it_lies_below_the_bootloader_and_is_divided_into_powers_of_two() {
        for board in board::all().unwrap() {
            for size in [0x1_0000, 0x2_0000, 0x3_0000, 0x10_0000] {
                let Ramoops { region, record, console, .. } = place(size, &board, &Facts::default()).unwrap();
                assert_eq!(region.size(), size);
                assert!(region.end() + board.bootloader.reserved_top <= board.ram.end(), "{}", board.name);
                assert!(board.ram.contains(&region) && region.start().is_multiple_of(GRAIN), "{}", board.name);
                assert!(board.bootloader.staging.is_none_or(|staging| !staging.overlaps(&region)), "{}", board.name);
                assert!(record.is_power_of_two() && console.is_power_of_two());
                assert!((console + 2 * record) as usize <= size, "a console and two records");
            }
        }
    }

    #[test]
    fn what_the_device_tree_reserves_is_gone_around() {
        let board = board::load("qemu-malta-le").unwrap();
        let free = place(0x2_0000, &board, &Facts::default()).unwrap().region;
        let range = free.start() as u64 + 0x1000..free.end() as u64 + 0x1000;
        let facts = Facts { reserved: vec![("keep".into(), range.clone())], ..Facts::default() };
        let moved = place(0x2_0000, &board, &facts).unwrap().region;
        assert!(moved.end() as u64 <= range.start && moved.end() as u64 + GRAIN as u64 > range.start - GRAIN as u64);
    }

    #[test]
    fn a_second_ramoops_is_refused() {
        let board = board::load("qemu-malta-le").unwrap();
        let own = ("ramoops@42ff0000".to_owned(), 0x42ff_0000..0x4300_0000);
        let failure = place(0x2_0000, &board, &Facts { reserved: vec![own], ..Facts::default() }).unwrap_err();
        assert!(matches!(failure, crate::Error::Ramoops(Error::Taken { at: 0x42ff_0000, .. })), "{failure}");
    }
}
