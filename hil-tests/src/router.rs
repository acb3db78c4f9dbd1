//! A router that runs: the lab's kernel with Debian's kexec-tools, an image, and the script of `stoop kexec` for it.

use std::path::PathBuf;

use stoop::Result;
use stoop::kexec::Loadable;
use stoop::plan::{Format, Request};
use stoop_ci::lab::{Endian, Flavour, Lab};

use crate::Packed;
use crate::packed::board;

/// The root= that the router runs with. Nothing else has it, so that it shows where it is inherited.
pub const OLD_ROOT: &str = "root=/dev/mtdblock7";

/// The files' names on the router.
pub const IMAGE: &str = "next.elf";
/// As [`IMAGE`].
pub const SCRIPT: &str = "next.sh";

/// The router with `packed` and its script on it; it runs the shell words `commands` and then waits.
/// `kernel`: instead of the lab's.
///
/// # Errors
/// As for [`Packed::of`], or kexec cannot load `packed`.
pub fn router(lab: &Lab, kernel: Option<PathBuf>, packed: &Packed, commands: &str) -> Result<Packed> {
    let script = Loadable::of(&packed.built.file)?.script(IMAGE);
    let files =
        [(IMAGE, packed.built.file.as_slice()), (SCRIPT, script.as_bytes()), ("router.sh", commands.as_bytes())];
    let initramfs = crate::packed::file(&lab.router(&files)?)?;
    Packed::of(&Request {
        board: board(Endian::Little).into(),
        kernel: kernel.unwrap_or_else(|| lab.vmlinux(Endian::Little, Flavour::Lab)),
        initrd: Some(initramfs.path().into()),
        append: Some(OLD_ROOT.into()),
        format: Some(Format::Elf),
        ..Request::default()
    })
}

/// The shell words that start the image with these bootargs.
pub fn start(bootargs: Option<&str>) -> String {
    let bootargs = bootargs.map(|line| format!(" '{}'", line.replace('\'', "'\\''"))).unwrap_or_default();
    format!("sh /{SCRIPT} /{IMAGE}{bootargs}\n")
}

/// What the script makes of them for kexec-tools, with the blank that those add.
pub fn words(packed: &Packed, bootargs: Option<&str>) -> String {
    let line = String::from_utf8_lossy(&packed.built.line).into_owned();
    let root = line.split(' ').rfind(|word| word.starts_with("root=")).unwrap_or_default();
    match bootargs {
        Some(bootargs) if bootargs.contains("root=") => format!("{bootargs} "),
        Some(bootargs) => format!("{bootargs} {root} "),
        None => format!("{root} "),
    }
}
