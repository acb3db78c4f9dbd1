//! A conversation with U-Boot: wait for its prompt, fetch files over TFTP, set bootargs byte for byte, start an image.
//!
//! It never types before the prompt (U-Boot would take it for the key that stops it) and never sleeps. Bootargs travel in a
//! file that `env import` reads: the console's line buffer has 256 bytes, and its shell would expand `$`, `;` and quotes.

use std::time::Duration;

use super::Console;
use super::error::Error;
use crate::Result;
use stoop_image::board::{Board, Interrupt};
use stoop_image::bootloader::image::{Image, download, physical};
use stoop_image::bootloader::uboot::{BOOTM_WORDS, argv};
use stoop_image::commands::{self, Start};

/// What the conversation needs to know of the board.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Facts {
    /// The prompt without the blank at its end; literal text.
    pub prompt: String,
    /// How to stop it from booting by itself, where it does.
    pub interrupt: Option<Interrupt>,
    /// The TFTP server's address, as U-Boot reaches it.
    pub server: String,
    /// How long one command, or the way from power on to the prompt, may take.
    pub patience: Duration,
    /// Where it fetches files to without harm, as typed (KSEG0).
    pub tftp_address: u32,
    /// The end of the RAM that it leaves free, physical.
    pub free_end: u64,
    /// Addresses are typed in KSEG0.
    pub kseg0: bool,
    /// What it calls its own device tree; where it has a name, that is passed on.
    pub own_tree: Option<String>,
}

impl Facts {
    /// Takes the facts from the board's data; the board reaches the TFTP server at `server`.
    ///
    /// # Errors
    /// Usage: the board's data lack a prompt or an address to fetch files to.
    pub fn of(board: &Board, server: &str, patience: Duration) -> Result<Facts> {
        let (Some(prompt), Some(tftp_address)) = (&board.bootloader.prompt, board.bootloader.tftp_address) else {
            return Err(Error::NoPrompt { board: board.name.clone() }.into());
        };
        let tftp_address = u32::try_from(tftp_address)
            .map_err(|_| Error::TftpAddress { board: board.name.clone(), address: tftp_address })?;
        Ok(Facts {
            prompt: prompt.clone(),
            interrupt: board.bootloader.interrupt.clone(),
            server: server.to_owned(),
            patience,
            tftp_address,
            free_end: board.free_ram().end() as u64,
            kseg0: board.arch.is_mips(),
            own_tree: board.bootloader.own_dtb.clone(),
        })
    }

    /// Where to fetch an image to: the board's address, or behind what bootm or bootelf will write if these overlap.
    ///
    /// # Errors
    /// As for [`download`].
    pub fn image_address(&self, image: &Image, size: usize) -> Result<u32> {
        let preferred = u64::from(self.tftp_address);
        let preferred = if self.kseg0 { physical(preferred) } else { preferred };
        let at = download(image, size, preferred, image.load_range(), self.free_end)?;
        let at = u32::try_from(at).unwrap_or_default();
        Ok(if self.kseg0 { KSEG0 | at } else { at })
    }
}

/// Cached, unmapped: how mainline and vendor bootloaders on MIPS want addresses of RAM typed.
const KSEG0: u32 = 0x8000_0000;

/// How the image is entered. Addresses are virtual, as typed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StartCommand<'a> {
    /// `bootm`, the image fetched to `at`: entered with argc, argv, env; or with a device tree (UHI: -2, tree).
    Bootm {
        /// Where the uImage is fetched to.
        at: u32,
        /// A device tree and where it is fetched to. U-Boot puts its bootargs and memory into it only if it was built with
        /// `CONFIG_MIPS_BOOT_FDT`; mainline's Malta was not and passes the tree as it is (`arch/mips/lib/bootm.c`).
        tree: Option<(u32, &'a [u8])>,
    },
    /// `go` to the first byte: entered with argc, argv, `argv[0]` being the address. Its shell has dropped the bootargs' quotes
    /// and backslashes, and limits their number (`CONFIG_SYS_MAXARGS`).
    Go {
        /// Where the bytes are fetched to and run.
        at: u32,
    },
    /// `bootelf -p` (by program headers; section headers are U-Boot's default): entered with argc, argv of the words behind
    /// the address, so that the first of the bootargs is `argv[0]`. Its shell has dropped their quotes and backslashes.
    Bootelf {
        /// Where the ELF file is fetched to.
        at: u32,
    },
    /// `booti`, the arm64 Image fetched to `at`: entered with a device tree, into which U-Boot has put its bootargs.
    Booti {
        /// Where the Image is fetched to.
        at: u32,
        /// A device tree and where it is fetched to; without one U-Boot's own.
        tree: Option<(u32, &'a [u8])>,
    },
    /// This command, for what is in flash; the image is not fetched.
    Command {
        /// As typed.
        line: &'a str,
        /// Where the bootargs are fetched to.
        at: u32,
    },
}

/// The longest command that may be typed (`CONFIG_SYS_CBSIZE` less the NUL).
const COMMAND_LIMIT: usize = 255;

/// Waits for the prompt of a board that was just switched on, and stops it from booting where it would.
///
/// # Errors
/// As for [`Console::expect`].
pub fn attach(console: &mut Console, facts: &Facts) -> Result<()> {
    let prompt = prompt(facts);
    let listens =
        facts.interrupt.as_ref().and_then(|interrupt| Some((regex::escape(interrupt.on.as_ref()?), interrupt)));
    let attached = match listens {
        None => console.expect(&prompt, facts.patience).map(drop),
        Some((on, interrupt)) => {
            console.expect_any(&[&prompt, &on], facts.patience).and_then(|seen| match seen.which {
                0 => Ok(()),
                _ => {
                    console.send(interrupt.send.as_bytes())?;
                    console.expect(&prompt, facts.patience).map(drop)
                }
            })
        }
    };
    attached.map_err(|failure| failure.within("waiting for the bootloader"))
}

/// Types one command at the prompt and returns what it printed, when the prompt is back.
///
/// After an error the prompt is still to come: [`attach`] again before the next command.
///
/// # Errors
/// The command is too long to be typed, the prompt does not return in time, or a fatal line comes.
pub fn command(console: &mut Console, facts: &Facts, line: &str) -> Result<String> {
    type_line(console, line)?;
    let seen = console.expect(&prompt(facts), facts.patience).map_err(|failure| failure.within(format!("`{line}`")))?;
    // The echo of what was typed ends with the first line.
    let printed = seen.before.split_once('\n').map_or("", |(_, printed)| printed);
    Ok(printed.to_owned())
}

/// Gets an address by DHCP, fetching nothing.
///
/// # Errors
/// As for [`command`], and when no lease came.
pub fn network(console: &mut Console, facts: &Facts) -> Result<()> {
    command(console, facts, "setenv autoload no")?;
    let printed = command(console, facts, "dhcp")?;
    if printed.contains("DHCP client bound to address") {
        return Ok(());
    }
    Err(Error::NoLease { tail: console.tail() }.into())
}

/// Fetches a staged file of `size` bytes to `at`.
///
/// # Errors
/// As for [`command`], and when another number of bytes arrived.
pub fn fetch(console: &mut Console, facts: &Facts, at: u32, name: &str, size: usize) -> Result<()> {
    let line = commands::fetch(at.into(), Some(&facts.server), name);
    let printed = command(console, facts, &line)?;
    let wanted = format!("Bytes transferred = {size} ({size:x} hex)");
    if printed.contains(&wanted) {
        return Ok(());
    }
    Err(Error::NotFetched { line, size, tail: console.tail() }.into())
}

/// A variable as a line of U-Boot's text environment (`lib/hashtable.c`, `himport_r`: a backslash takes the next byte as it is).
pub fn env_text(name: &str, value: &[u8]) -> Vec<u8> {
    let mut line = format!("{name}=").into_bytes();
    for &byte in value {
        if byte == b'\\' || byte == b'\n' {
            line.push(b'\\');
        }
        line.push(byte);
    }
    line.push(b'\n');
    line
}

/// What is to be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boot<'a> {
    /// The image file's bytes.
    pub image: &'a [u8],
    /// The bootargs, byte for byte; `None` leaves the variable unset, and so does an empty line: U-Boot knows no difference.
    pub bootargs: Option<&'a [u8]>,
    /// Other files to fetch, and where to: an initrd that a device tree names.
    pub files: &'a [(u32, &'a [u8])],
    /// How the image is entered.
    pub how: StartCommand<'a>,
}

/// A [`Boot`] whose files the TFTP server has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    bootargs: Option<File>,
    /// In the order to fetch them.
    files: Vec<File>,
    /// What enters the image, in the order to be typed.
    commands: Vec<String>,
}

/// A file to fetch.
#[derive(Clone, PartialEq, Eq, Debug)]
struct File {
    name: String,
    size: usize,
    at: u32,
}

/// Puts a file where the TFTP server finds it: gets its name and bytes, gives the name to fetch it by. Its errors are the caller's.
pub type Put<'a, E> = dyn FnMut(&str, &[u8]) -> Result<String, E> + 'a;

/// Puts the files of `boot` where the TFTP server finds them.
///
/// # Errors
/// Usage: U-Boot cannot deliver these bootargs. Otherwise what `put` reports.
pub fn stage<E: From<crate::Error>>(facts: &Facts, boot: &Boot<'_>, put: &mut Put<'_, E>) -> Result<Plan, E> {
    let mut file = |name: &str, bytes: &[u8], at| -> Result<File, E> {
        Ok(File { name: put(name, bytes)?, size: bytes.len(), at })
    };
    let bootargs = boot.bootargs.unwrap_or_default();
    let words = argv(bootargs).len();
    let own_tree = facts.own_tree.as_deref();
    let named = commands::configuration(boot.image, own_tree);
    let as_words =
        facts.kseg0 && matches!(boot.how, StartCommand::Bootm { tree: None, .. } | StartCommand::Command { .. });
    if as_words && words > BOOTM_WORDS {
        return Err(crate::Error::from(Error::TooManyWords { words, most: BOOTM_WORDS }).into());
    }
    if bootargs.contains(&0) {
        return Err(crate::Error::from(Error::Nul).into());
    }
    // U-Boot's shell cuts the variable into words, so that the typed line stays short.
    let typed = if words == 0 { "" } else { " ${bootargs}" };
    let image = Some(boot.image);
    let (at, image, tree, commands) = match boot.how {
        StartCommand::Bootm { at, tree: None } => {
            (at, image, None, Start::Bootm.lines(at.into(), &named, own_tree, ""))
        }
        StartCommand::Booti { at, tree: None } => (at, image, None, Start::Booti.lines(at.into(), "", own_tree, "")),
        StartCommand::Bootm { at, tree: Some((tree_at, tree)) } => {
            (at, image, Some((tree_at, tree)), Start::Bootm.lines(at.into(), "", Some(&format!("{tree_at:#x}")), ""))
        }
        StartCommand::Booti { at, tree: Some((tree_at, tree)) } => {
            (at, image, Some((tree_at, tree)), Start::Booti.lines(at.into(), "", Some(&format!("{tree_at:#x}")), ""))
        }
        StartCommand::Go { at } => (at, image, None, Start::Go.lines(at.into(), "", None, typed)),
        StartCommand::Bootelf { at } => (at, image, None, Start::Bootelf.lines(at.into(), "", None, typed)),
        StartCommand::Command { line, at } => (at, None, None, vec![line.to_owned()]),
    };
    let bootargs = boot.bootargs.map(|value| file("bootargs.txt", &env_text("bootargs", value), at)).transpose()?;
    let mut files = Vec::new();
    for (number, &(at, bytes)) in boot.files.iter().enumerate() {
        files.push(file(&format!("file{number}"), bytes, at)?);
    }
    if let Some(image) = image {
        files.push(file("image", image, at)?);
    }
    if let Some((at, tree)) = tree {
        files.push(file("tree.dtb", tree, at)?);
    }
    Ok(Plan { bootargs, files, commands })
}

/// Carries out a plan from the prompt. Returns once the last command is typed: what comes next on the console is the
/// image's.
///
/// # Errors
/// As for [`fetch`].
pub fn start(console: &mut Console, facts: &Facts, plan: &Plan) -> Result<()> {
    network(console, facts)?;
    let get = |console: &mut Console, file: &File| fetch(console, facts, file.at, &file.name, file.size);
    match &plan.bootargs {
        Some(file) => {
            get(console, file)?;
            command(console, facts, &format!("env import -t {:#x} {:#x}", file.at, file.size))?;
        }
        None => drop(command(console, facts, "setenv bootargs")?),
    }
    for file in &plan.files {
        get(console, file)?;
    }
    let Some((last, before)) = plan.commands.split_last() else { return Ok(()) };
    for line in before {
        command(console, facts, line)?;
    }
    type_line(console, last)
}

/// The prompt as a pattern: only at the start of a line, where a file name or an echo cannot be mistaken for it.
fn prompt(facts: &Facts) -> String {
    format!("^{}", regex::escape(&facts.prompt))
}

fn type_line(console: &mut Console, line: &str) -> Result<()> {
    if line.len() > COMMAND_LIMIT {
        return Err(Error::CommandTooLong { length: line.len() }.into());
    }
    console.send(format!("{line}\n").as_bytes())
}

#[cfg(test)]
mod tests;
