//! What is typed at a U-Boot prompt to fetch and start an image: printed by pack, typed by `run` and by the tests.

mod error;

use crate::board::Board;
use crate::board_check;
use crate::bootloader::image::Image;
use crate::format::fit;
use crate::image::{self, Built};
use crate::plan::{Format, Plan};
pub use error::Error;

use crate::Result;

/// The command that starts an image which lies in RAM.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Start {
    /// A uImage or FIT.
    Bootm,
    /// An arm64 Image.
    Booti,
    /// Bytes that run where they are.
    Go,
    /// An ELF file, by its program headers: where it is built by section headers alone, U-Boot ignores the option.
    Bootelf,
}

impl Start {
    /// For images of this format; `None` for those that are written to flash.
    pub fn of(format: Format) -> Option<Start> {
        Some(match format {
            Format::Uimage | Format::Fit => Start::Bootm,
            Format::Image => Start::Booti,
            Format::Raw => Start::Go,
            Format::Elf => Start::Bootelf,
            Format::Nor => return None,
        })
    }

    /// The lines to type. `image` is behind the address: [`configuration`]; `tree` is the device tree to pass on, by address or
    /// name; `words` stand behind the address of what is called like a program.
    pub fn lines(self, at: u64, image: &str, tree: Option<&str>, words: &str) -> Vec<String> {
        let tree = tree.map_or(String::new(), |tree| format!(" - {tree}"));
        match self {
            Start::Bootm => vec![format!("bootm 0x{at:08x}{image}{tree}")],
            Start::Booti => vec![format!("booti 0x{at:08x}{tree}")],
            Start::Go => go(at, words),
            // Without autostart bootelf does nothing, silently; with it tftpboot would start what it fetched.
            Start::Bootelf => vec!["setenv autostart yes".into(), format!("bootelf -p 0x{at:08x}{words}")],
        }
    }
}

/// Bytes within which the shim cleans the caches (linker/mips.ld holds it to that).
const FIRST_BYTES: u64 = 0x400;

/// `go` jumps and cleans no cache (U-Boot cmd/boot.c), and what the CPU has copied to KSEG0 (tftpboot, cp, nand read) may still
/// be in its data cache, where instructions are not fetched from. The shim cleans the caches, but not for its own first
/// instructions: on MIPS these go to memory by way of KSEG1, and run there. arm64 has no such way, but U-Boot commands.
fn go(at: u64, words: &str) -> Vec<String> {
    match at & !0x1fff_ffff {
        0x8000_0000 => {
            let uncached = at | 0x2000_0000;
            let copied = format!("cp.l 0x{at:08x} 0x{uncached:08x} 0x{:x}", FIRST_BYTES / 4);
            vec![copied, format!("go 0x{uncached:08x}{words}")]
        }
        0xa000_0000 => vec![format!("go 0x{at:08x}{words}")],
        _ => vec!["dcache flush".into(), "icache flush".into(), format!("go 0x{at:08x}{words}")],
    }
}

/// Everything to type for an image that the bootloader fetches by this name; nothing for one that is written to flash.
pub fn printed(plan: &Plan, built: &Built, name: &str) -> Vec<String> {
    let at = plan.board.typed(built.places.download) as u64;
    let Some(start) = Start::of(plan.format.value) else { return Vec::new() };
    let own_tree = plan.board.bootloader.own_dtb.as_deref();
    let mut lines = vec![fetch(at, None, name)];
    lines.extend(start.lines(at, &configuration(&built.file, own_tree), own_tree, ""));
    lines
}

/// The same for a finished image: what [`printed`] said when it was packed.
///
/// # Errors
/// It is for flash, or as for [`board_check::fetched`].
pub fn of_image(board: &Board, file: &[u8], name: &str) -> Result<Vec<String>> {
    let image = Image::of(file)?;
    if image::open(file).is_ok_and(|opened| opened.format == Format::Nor) {
        return Err(Error::ForFlash.into());
    }
    let start = match image {
        Image::Uimage { .. } | Image::Fit { .. } => Start::Bootm,
        Image::Elf { .. } => Start::Bootelf,
        Image::Arm64 { .. } => Start::Booti,
        Image::Raw => Start::Go,
    };
    let at = board.typed(board_check::fetched(board, file)?.at) as u64;
    let own_tree = board.bootloader.own_dtb.as_deref();
    let mut lines = vec![fetch(at, None, name)];
    lines.extend(start.lines(at, &configuration(file, own_tree), own_tree, ""));
    Ok(lines)
}

/// Behind the address of a FIT for a bootloader with a tree of its own, by which it might look for another configuration.
pub fn configuration(file: &[u8], own_tree: Option<&str>) -> String {
    match (own_tree, fit::read(file)) {
        (Some(_), Ok(fit)) => format!("#{}", fit.configuration),
        _ => String::new(),
    }
}

/// Fetches a file; without a server the one that the bootloader knows.
pub fn fetch(at: u64, server: Option<&str>, name: &str) -> String {
    let server = server.map_or(String::new(), |server| format!("{server}:"));
    format!("tftpboot 0x{at:08x} {server}{name}")
}
