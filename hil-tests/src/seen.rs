//! What the kernel saw: reads the lab init's lines (`init/src/line.rs` has their format) out of a console's output.

use std::collections::BTreeMap;
use std::fmt;

use crc::{CRC_32_ISO_HDLC, Crc};

/// What every line begins with; kernel messages may stand before it.
const MARKER: &str = "@stoop ";

/// A regular expression for the console that matches the last line.
pub const END: &str = "@stoop [0-9a-f]{4} [0-9a-f]{8} end =[0-9a-f]+";

/// One boot's values, by key: `cmdline`, `mtd`, `mounts`, `iomem`, `version`, `system`, `chosen/NAME`, `chosen/stoop/NAME`,
/// `fdt`, `root`, `root/type`, `root/name`, `root/data`, `big`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seen(BTreeMap<String, Vec<u8>>);

/// Size and CRC-32 of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sum {
    /// In bytes.
    pub size: u32,
    /// As zlib computes it.
    pub crc: u32,
}

/// Why the output cannot be trusted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Damage {
    /// No line at all: init did not run, or printed to another console.
    Nothing,
    /// The last line is not there: init died, or the console was cut off.
    NoEnd,
    /// Lines that are missing or damaged, by number.
    Lost(Vec<u32>),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Nothing => write!(f, "the console has no line of the lab's init"),
            Damage::NoEnd => write!(f, "the lab's init did not finish what it prints"),
            Damage::Lost(lines) => write!(f, "lines {lines:x?} of the lab's init are missing or damaged"),
        }
    }
}

impl std::error::Error for Damage {}

/// One intact line.
struct Line<'a> {
    number: u32,
    key: &'a str,
    last: bool,
    value: Vec<u8>,
}

impl Seen {
    /// Reads the last boot that `console` shows.
    ///
    /// # Errors
    /// When anything that init printed is not there or not intact.
    pub fn read(console: &str) -> Result<Seen, Damage> {
        let mut lines: Vec<Line> = console.lines().filter_map(read_line).collect();
        // A restart begins to count anew.
        let start = lines.iter().rposition(|line| line.number == 0);
        lines.drain(..start.unwrap_or(0));
        let last = lines.last().ok_or(Damage::Nothing)?;
        if last.key != "end" {
            return Err(Damage::NoEnd);
        }
        let count = number(&String::from_utf8_lossy(&last.value), 1..=8).ok_or(Damage::NoEnd)?;
        let lost: Vec<u32> = (0..count).filter(|number| !lines.iter().any(|line| line.number == *number)).collect();
        if !lost.is_empty() {
            return Err(Damage::Lost(lost));
        }
        let mut values: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut open = false;
        for line in lines.iter().filter(|line| line.key != "end") {
            let value = values.entry(line.key.to_owned()).or_default();
            if !open {
                value.clear();
            }
            value.extend(&line.value);
            open = !line.last;
        }
        Ok(Seen(values))
    }

    /// A value's bytes; a device tree's strings end in NUL, files of `/proc` in a line feed.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(Vec::as_slice)
    }

    /// A value as text, without what ends it; empty when there is none.
    pub fn text(&self, key: &str) -> String {
        let bytes = self.bytes(key).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\0").or_else(|| bytes.strip_suffix(b"\n")).unwrap_or(bytes);
        String::from_utf8_lossy(bytes).into_owned()
    }

    /// `/proc/cmdline` to the last blank, without its line feed.
    pub fn cmdline(&self) -> String {
        self.text("cmdline")
    }

    /// A value that is a checksum: `fdt`, `big`, `root/data`.
    pub fn sum(&self, key: &str) -> Option<Sum> {
        let text = self.text(key);
        let (size, crc) = text.split_once(' ')?;
        Some(Sum { size: number(size, 1..=8)?, crc: number(crc, 1..=8)? })
    }

    /// A 32-bit cell, as device trees store it.
    pub fn cell(&self, key: &str) -> Option<u32> {
        self.bytes(key)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The sizes in bytes of the MTD devices by their names in quotes, from `/proc/mtd`.
    pub fn mtd(&self) -> Vec<(String, u32)> {
        let text = self.text("mtd");
        let device = |line: &str| {
            let (fields, name) = line.trim_end().strip_suffix('"')?.split_once('"')?;
            Some((name.to_owned(), number(fields.split_whitespace().nth(1)?, 1..=8)?))
        };
        text.lines().filter_map(device).collect()
    }
}

fn read_line(line: &str) -> Option<Line<'_>> {
    let line = line.trim_end_matches('\r');
    let (_, line) = line.rsplit_once(MARKER)?;
    let (count, rest) = line.split_once(' ')?;
    let (crc, rest) = rest.split_once(' ')?;
    let count = number(count, 4..=4)?;
    let mut digest = CRC32.digest();
    digest.update(&count.to_be_bytes());
    digest.update(rest.as_bytes());
    if number(crc, 8..=8)? != digest.finalize() {
        return None;
    }
    let (key, value) = rest.split_once(' ')?;
    let last = match value.as_bytes().first()? {
        b'=' => true,
        b'+' => false,
        _ => return None,
    };
    Some(Line { number: count, key, last, value: unescape(&value.as_bytes()[1..])? })
}

static CRC32: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// Hex digits without a prefix, and not fewer or more than `digits`.
fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let right = digits.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if right { u32::from_str_radix(text, 16).ok() } else { None }
}

fn unescape(mut text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some((&first, rest)) = text.split_first() {
        text = rest;
        if first == b'\\' {
            let (digits, rest) = text.strip_prefix(b"x")?.split_at_checked(2)?;
            bytes.push(u8::try_from(number(std::str::from_utf8(digits).ok()?, 2..=2)?).ok()?);
            text = rest;
        } else {
            bytes.push(first);
        }
    }
    Some(bytes)
}

#[cfg(test)]
#[path = "../init/src/line.rs"]
mod line;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::line::Lines;
    use super::*;

    /// What init's own code prints for these values.
    fn printed(values: &[(&str, &[u8])]) -> String {
        let mut console = Vec::new();
        let mut lines = Lines::new(|line| console.extend_from_slice(line));
        for (key, value) in values {
            lines.value(key.as_bytes(), value);
        }
        lines.finish();
        String::from_utf8(console).unwrap()
    }

    #[test]
    fn a_command_line_of_4095_bytes_survives() {
        let cmdline: Vec<u8> = (0..4095).map(|at| b' ' + (at % 95) as u8).chain([b'\n']).collect();
        let seen = Seen::read(&printed(&[("cmdline", &cmdline)])).unwrap();
        assert_eq!(seen.bytes("cmdline"), Some(cmdline.as_slice()));
        assert_eq!(seen.cmdline().len(), 4095);
    }

    #[test]
    fn a_trailing_blank_of_the_command_line_is_kept() {
        let seen = Seen::read(&printed(&[("cmdline", b"root=/dev/ram \n")])).unwrap();
        assert_eq!(seen.cmdline(), "root=/dev/ram ");
    }

    #[test]
    fn kernel_messages_before_and_between_lines_do_not_matter() {
        let console = printed(&[("a", b"one"), ("b", b"two")]).replace('\n', "\r\n[    1.0] random: ready\r\n");
        let seen = Seen::read(&format!("[    0.9] Run /init as init process[    1.0] x{console}")).unwrap();
        assert_eq!((seen.text("a").as_str(), seen.text("b").as_str()), ("one", "two"));
    }

    #[test]
    fn a_kernel_message_inside_a_line_is_told_by_its_number() {
        let console = printed(&[("a", b"one"), ("b", b"two"), ("c", b"three")]).replace("two", "t[    1.0] oops\nwo");
        assert_eq!(Seen::read(&console), Err(Damage::Lost(vec![1])));
    }

    #[test]
    fn a_console_that_was_cut_off_is_not_a_result() {
        let console = printed(&[("a", b"one")]);
        let (kept, _) = console.rsplit_once(MARKER).unwrap();
        assert_eq!(Seen::read(kept), Err(Damage::NoEnd));
        assert_eq!(Seen::read("Kernel panic - not syncing"), Err(Damage::Nothing));
    }

    #[test]
    fn the_last_of_two_boots_counts() {
        let both = printed(&[("a", b"first"), ("b", b"gone")]) + &printed(&[("a", b"second")]);
        let seen = Seen::read(&both).unwrap();
        assert_eq!(seen.text("a"), "second");
        assert_eq!(seen.bytes("b"), None);
    }

    #[test]
    fn sums_cells_and_mtd_devices_are_read() {
        let mtd = b"dev:    size   erasesize  name\nmtd0: 00400000 00010000 \"1e000000.flash\"\nmtd9: 00202000 00001000 \"root fs\"\n";
        let seen =
            Seen::read(&printed(&[("big", b"200000 ffd1b5a2"), ("chosen/n", &[0, 0, 1, 2]), ("mtd", mtd)])).unwrap();
        assert_eq!(seen.sum("big"), Some(Sum { size: 0x20_0000, crc: 0xffd1_b5a2 }));
        assert_eq!(seen.cell("chosen/n"), Some(0x102));
        assert_eq!(seen.mtd(), [("1e000000.flash".to_owned(), 0x40_0000), ("root fs".to_owned(), 0x20_2000)]);
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(value in proptest::collection::vec(any::<u8>(), 0..600)) {
            let seen = Seen::read(&printed(&[("value", &value)])).unwrap();
            prop_assert_eq!(seen.bytes("value"), Some(value.as_slice()));
        }

        #[test]
        fn a_flipped_bit_never_gives_another_value(bit in 0usize..8, at in any::<prop::sample::Index>()) {
            let console = printed(&[("cmdline", b"console=ttyS0 root=/dev/mtdblock9 ro\n")]);
            let mut damaged = console.clone().into_bytes();
            let at = at.index(damaged.len());
            damaged[at] ^= 1 << bit;
            if let Ok(seen) = Seen::read(&String::from_utf8_lossy(&damaged)) {
                prop_assert_eq!(seen, Seen::read(&console).unwrap());
            }
        }
    }
}
