//! Whether it is the right board: what a bootloader says about itself, against the board file.
//!
//! A wrong image in the wrong board's flash is the dearest mistake of a lab, so a difference refuses the board before anything
//! is written. What the bootloader does not say proves nothing and is told as unproven.

use std::sync::LazyLock;

use regex::Regex;
use stoop_image::board::{Board, printed};

use super::typing::is_unknown;
use super::{Bootloader, Error};

/// What a bootloader says about itself and its board.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Identity {
    /// Its version, one line.
    pub version: Option<String>,
    /// Bytes of RAM.
    pub ram: Option<u64>,
    /// Bytes of flash.
    pub flash: Option<u64>,
}

impl Bootloader<'_> {
    /// Asks it: `version`, `bdinfo`, `flinfo`, and what it said when it started. Commands that it does not have tell nothing.
    ///
    /// # Errors
    /// As for [`Bootloader::command`].
    pub fn identify(&mut self) -> Result<Identity, Error> {
        let mut said = self.console().transcript();
        for line in ["version", "bdinfo", "flinfo"] {
            let printed = self.command(line)?;
            if !is_unknown(&printed) {
                said += &format!("\n{line}\n{printed}");
            }
        }
        Ok(Identity::read(&said))
    }
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a constant pattern")
}

/// `DRAM:  128 MiB`, `Flash: 16 MB`: with one blank or several in front of the size.
static BANNER: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^ *(DRAM|Flash|FLASH): +([0-9].*)$"));
/// `memsize     = 0x10000000`, `flashsize   = 0x00400000` (`cmd/bdinfo.c`).
static BDINFO: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^(memsize|flashsize) *= *0x([0-9a-fA-F]+)"));
/// `-> size     = 0x10000000` after `DRAM bank   = 0x00000000`.
static BANK: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?m)^DRAM bank *= *0x([0-9a-fA-F]+).*\n-> start *=.*\n-> size *= *0x([0-9a-fA-F]+)"));
/// The first line of `version` or of the start.
static VERSION: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?m)^(?:U-Boot|Ralink UBoot Version:) .*$"));

impl Identity {
    /// Finds it in what the console showed; what comes last counts.
    pub fn read(said: &str) -> Identity {
        let mut found = Identity::default();
        for line in BANNER.captures_iter(said) {
            let Some(size) = printed::size(&line[2]) else { continue };
            *(if &line[1] == "DRAM" { &mut found.ram } else { &mut found.flash }) = Some(size);
        }
        let mut banks = None;
        for bank in BANK.captures_iter(said) {
            // The first one begins another answer.
            let before = if hex(&bank[1]) == Some(0) { None } else { banks };
            banks = before.unwrap_or(0_u64).checked_add(hex(&bank[2]).unwrap_or(0));
        }
        found.ram = banks.or(found.ram);
        for line in BDINFO.captures_iter(said) {
            match (&line[1], hex(&line[2])) {
                (_, None | Some(0)) => {}
                ("memsize", size) => found.ram = size,
                (_, size) => found.flash = size,
            }
        }
        found.version = VERSION.find_iter(said).last().map(|version| version.as_str().trim().to_owned());
        found
    }

    /// Compares it with the board file; gives what the bootloader did not say.
    ///
    /// # Errors
    /// [`Error::WrongBoard`].
    pub fn check(&self, board: &Board) -> Result<Vec<&'static str>, Error> {
        let mut unproven = Vec::new();
        let wrong = |what: &str, says: u64, expected: usize| {
            let difference = format!("it reports 0x{says:x} bytes of {what}, the board file says 0x{expected:x}");
            Err(Error::WrongBoard { board: board.name.clone(), difference })
        };
        match self.ram {
            // Of a larger RAM the shim may use only a part on MIPS, and the board file says that part.
            Some(ram) if board.arch.is_mips() && board.ram.size() == LOW && ram > LOW as u64 => {}
            Some(ram) if ram != board.ram.size() as u64 => return wrong("RAM", ram, board.ram.size()),
            Some(_) => {}
            None => unproven.push("the size of its RAM"),
        }
        match (self.flash, &board.flash) {
            (Some(size), Some(flash)) if size != flash.size as u64 => return wrong("flash", size, flash.size),
            (None, Some(_)) => unproven.push("the size of its flash"),
            _ => {}
        }
        Ok(unproven)
    }
}

/// What KSEG0 reaches.
const LOW: usize = 0x2000_0000;

fn hex(text: &str) -> Option<u64> {
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use stoop_image::board;

    use super::{Error, Identity};

    #[test]
    fn the_start_of_old_and_new_bootloaders_is_understood() {
        let two_banks = "DRAM bank   = 0x00000000\n-> start    = 0x40000000\n-> size     = 0x20000000\n\
            DRAM bank   = 0x00000001\n-> start    = 0x80000000\n-> size     = 0x10000000\n";
        for (said, ram, flash) in [
            ("U-Boot 1.1.4 (Jun 6 2015)\n\nDRAM:  128 MB\nFlash: 16 MB\n", Some(0x800_0000), Some(0x100_0000)),
            ("DRAM:  256 MiB\nFlash: 4 MiB\n", Some(0x1000_0000), Some(0x40_0000)),
            ("DRAM:  64 MB\nid read: 0x1\nflash:  8 MB\n", Some(0x400_0000), None),
            ("memsize     = 0x10000000\nflashsize   = 0x00400000\n", Some(0x1000_0000), Some(0x40_0000)),
            ("DRAM bank   = 0x00000000\n-> start    = 0x40000000\n-> size     = 0x20000000\n", Some(0x2000_0000), None),
            ("Starting kernel ...\n", None, None),
            (&two_banks.repeat(2), Some(0x3000_0000), None),
        ] {
            let found = Identity::read(said);
            assert_eq!((found.ram, found.flash), (ram, flash), "{said}");
        }
        let both = Identity::read("U-Boot SPL 2023\nU-Boot 2023.01+dfsg-2 (Jan 10 2023)\nversion\nmips-gcc 12\n");
        assert_eq!(both.version.as_deref(), Some("U-Boot 2023.01+dfsg-2 (Jan 10 2023)"));
    }

    #[test]
    fn a_board_with_another_ram_or_flash_is_refused_and_silence_is_told() {
        let board = board::load("gl-ar750").expect("a board");
        let check = |ram, flash| Identity { ram, flash, version: None }.check(&board);
        assert_eq!(check(Some(0x800_0000), Some(0x100_0000)).expect("right"), [""; 0]);
        assert_eq!(check(None, None).expect("unproven"), ["the size of its RAM", "the size of its flash"]);
        for (ram, flash) in [(0x400_0000, 0x100_0000), (0x800_0000, 0x80_0000)] {
            let wrong = check(Some(ram), Some(flash)).expect_err("wrong");
            assert!(matches!(wrong, Error::WrongBoard { .. }), "{wrong}");
        }
        let wrong = check(Some(0x400_0000), None).expect_err("wrong").to_string();
        let text = "this is not the board gl-ar750: it reports 0x4000000 bytes of RAM, the board file says 0x8000000";
        assert_eq!(wrong, text);
    }
}
