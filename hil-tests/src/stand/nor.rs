//! NOR flash and the commands of a bootloader that writes it, played: what is in flash when power goes at a certain byte.

use std::fmt::Write as _;

use stoop_core::crc32::Crc32;

/// Where the CPU reads flash, as typed.
const FLASH: usize = 0xbe00_0000;

/// What a bootloader says first when its board starts anew.
const STARTS: &str = "\r\nU-Boot SPL 2023.01 (played)\r\n";

/// A board's flash, and its RAM from where a file was fetched to.
#[derive(Clone, Default)]
pub struct Nor {
    /// Flash.
    pub flash: Vec<u8>,
    /// What `tftpboot` fetches.
    pub file: Vec<u8>,
    /// Each `erase` and `cp.b` that was begun.
    pub changes: Vec<String>,
    /// Which of them power fails in, after half of its bytes; it comes back at once.
    pub cut: Option<usize>,
    /// Where it fetched that to.
    pub fetched: usize,
}

impl Nor {
    /// Erased flash of that size.
    pub fn erased(size: usize) -> Nor {
        Nor { flash: vec![0xff; size], ..Nor::default() }
    }

    /// What the bootloader says to a line; `None` when it is none of these commands.
    pub fn answer(&mut self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split(' ').collect();
        let number =
            |at: usize| usize::from_str_radix(words.get(at)?.trim_start_matches('+').strip_prefix("0x")?, 16).ok();
        Some(match words[0] {
            "tftpboot" => {
                self.fetched = number(1)?;
                format!("Bytes transferred = {0} ({0:x} hex)\r\n", self.file.len())
            }
            "crc32" => {
                let (at, size) = (number(1)?, number(2)?);
                format!(
                    "crc32 for {at:08x} ... {:08x} ==> {:08x}\r\n",
                    at + size - 1,
                    Crc32::new().of(self.bytes(at, size)?)
                )
            }
            "md.b" => dump(number(1)?, self.bytes(number(1)?, number(2)?)?),
            "cmp.b" => compared(
                number(1)?,
                number(2)?,
                self.bytes(number(1)?, number(3)?)?,
                self.bytes(number(2)?, number(3)?)?,
            ),
            "erase" => {
                let size = number(2)?;
                self.change(line, number(1)?, &vec![0xff; size], |_, _| 0xff)?
                    .unwrap_or("\r\n. done\r\nErased 1 sectors\r\n")
                    .into()
            }
            "cp.b" => {
                let bytes = self.bytes(number(1)?, number(3)?)?.to_vec();
                // Programming makes ones zeros, and never zeros ones.
                self.change(line, number(2)?, &bytes, |is, shall| is & shall)?
                    .unwrap_or("Copy to Flash... done\r\n")
                    .into()
            }
            _ => return None,
        })
    }

    /// Gives what is said when power fails in it.
    fn change(&mut self, line: &str, at: usize, bytes: &[u8], byte: fn(u8, u8) -> u8) -> Option<Option<&'static str>> {
        let is_cut = self.cut == Some(self.changes.len());
        self.changes.push(line.to_owned());
        let count = if is_cut { bytes.len() / 2 } else { bytes.len() };
        let there = self.flash.get_mut(at.checked_sub(FLASH)?..)?.get_mut(..bytes.len())?;
        for (is, shall) in there.iter_mut().zip(bytes).take(count) {
            *is = byte(*is, *shall);
        }
        Some(is_cut.then_some(STARTS))
    }

    fn bytes(&self, at: usize, size: usize) -> Option<&[u8]> {
        match at.checked_sub(FLASH) {
            Some(offset) => self.flash.get(offset..)?.get(..size),
            None => self.file.get(at.checked_sub(self.fetched)?..)?.get(..size),
        }
    }
}

fn dump(at: usize, bytes: &[u8]) -> String {
    let mut text = String::new();
    for (row, bytes) in bytes.chunks(16).enumerate() {
        let numbers: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = write!(text, "{:08x}: {}    {}\r\n", at + row * 16, numbers.join(" "), ".".repeat(bytes.len()));
    }
    text
}

fn compared(from: usize, to: usize, shall: &[u8], is: &[u8]) -> String {
    match shall.iter().zip(is).position(|(shall, is)| shall != is) {
        None => format!("Total of {} byte(s) were the same\r\n", is.len()),
        Some(at) => format!(
            "byte at 0x{:08x} (0x{:02x}) != byte at 0x{:08x} (0x{:02x})\r\nTotal of {at} byte(s) were the same\r\n",
            from + at,
            shall[at],
            to + at,
            is[at]
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flash_that_was_not_erased_keeps_its_zeros_and_a_power_loss_leaves_half() {
        let mut nor = Nor { file: vec![0x5a; 8], cut: Some(2), ..Nor::erased(0x20) };
        assert_eq!(nor.answer("tftpboot 0x81000000 f").as_deref(), Some("Bytes transferred = 8 (8 hex)\r\n"));
        assert_eq!(nor.answer("cp.b 0x81000000 0xbe000008 0x8").as_deref(), Some("Copy to Flash... done\r\n"));
        nor.file = vec![0xa5; 8];
        assert!(nor.answer("cp.b 0x81000000 0xbe000008 0x8").is_some_and(|said| said.contains("done")));
        assert_eq!(nor.flash[8..16], [0; 8]);
        assert_eq!(nor.answer("erase 0xbe000008 +0x8").as_deref(), Some(STARTS));
        assert_eq!(nor.flash[8..16], [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]);
        assert_eq!(nor.answer("version"), None);
        assert!(
            nor.answer("cmp.b 0x81000000 0xbe000008 0x8")
                .is_some_and(|said| said.starts_with("byte at 0x81000000 (0xa5)"))
        );
    }
}
