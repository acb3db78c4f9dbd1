//! A router that runs: the lab's kernel with Debian's kexec-tools, an image, and the script of `stoop kexec` for it.

use stoop_ci::Result;
use stoop_ci::lab::arm64::Arm64;
use stoop_ci::lab::{Endian, Flavour, Lab};
use stoop_image::kexec::Loadable;
use stoop_image::plan::{Format, Request};

use crate::Packed;
use crate::packed::{ARM64_BOARD, board};

/// The root= that the router runs with. Nothing else has it, so that it shows where it is inherited.
pub const OLD_ROOT: &str = "root=/dev/mtdblock7";

/// The files' names on the router.
pub const IMAGE: &str = "next.img";
/// As [`IMAGE`].
pub const SCRIPT: &str = "next.sh";

/// A lab that has a router.
pub trait Host {
    /// What it is packed from, without its ramdisk.
    fn request(&self) -> Request;

    /// Its ramdisk with these files.
    ///
    /// # Errors
    /// When it cannot be read.
    fn initramfs(&self, files: &[(&str, &[u8])]) -> Result<Vec<u8>>;
}

impl Host for Lab {
    fn request(&self) -> Request {
        Request {
            board: board(Endian::Little).into(),
            kernel: self.vmlinux(Endian::Little, Flavour::Lab),
            append: Some(OLD_ROOT.into()),
            format: Some(Format::Elf),
            ..Request::default()
        }
    }

    fn initramfs(&self, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        self.router(files)
    }
}

impl Host for Arm64 {
    fn request(&self) -> Request {
        Request { board: ARM64_BOARD.into(), kernel: self.image(), append: Some(OLD_ROOT.into()), ..Request::default() }
    }

    fn initramfs(&self, files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        self.router(files)
    }
}

/// The router with `packed` and its script on it; it runs the shell words `commands` and then waits.
///
/// # Errors
/// As for [`Packed::of`], or kexec cannot load `packed`.
pub fn router(lab: &impl Host, packed: &Packed, commands: &str) -> Result<Packed> {
    router_of(lab, lab.request(), packed, commands)
}

/// As [`router`], made from another request than the lab's.
///
/// # Errors
/// As for [`router`].
pub fn router_of(lab: &impl Host, request: Request, packed: &Packed, commands: &str) -> Result<Packed> {
    let script = Loadable::of(&packed.built.file)?.script(SCRIPT);
    let files =
        [(IMAGE, packed.built.file.as_slice()), (SCRIPT, script.as_bytes()), ("router.sh", commands.as_bytes())];
    let initramfs = crate::packed::file(&lab.initramfs(&files)?)?;
    Packed::of(&Request { initrd: Some(initramfs.path().into()), ..request })
}

/// The shell words that start the image with these bootargs by the script.
pub fn start(bootargs: Option<&str>) -> String {
    format!("sh /{SCRIPT} /{IMAGE}{}\n", bootargs.map(|line| format!(" {}", quoted(line))).unwrap_or_default())
}

/// The shell words that start the image with these options of kexec's and bootargs, without the script.
pub fn start_by_hand(options: &str, bootargs: Option<&str>) -> String {
    let append = bootargs.map(|line| format!(" --append={}", quoted(line))).unwrap_or_default();
    format!("kexec {options} /{IMAGE}{append} && kexec -e\n")
}

fn quoted(line: &str) -> String {
    format!("'{}'", line.replace('\'', "'\\''"))
}
