//! From an image to a running kernel, the same way for every test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use stoop_ci::{Failure, Result};
use stoop_image::bootloader::image::Image;
use stoop_lab::qemu::uboot::{self, StartCommand};

use crate::seen::{END, Seen};
use crate::{Cap, Rig};

/// How the image gets to run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Via {
    /// Fetched over TFTP, `bootm`: argc, argv, env.
    Bootm,
    /// Fetched over TFTP with this device tree, `bootm`: UHI. Malta's U-Boot does not put its bootargs into the tree.
    BootmTree(Vec<u8>),
    /// Fetched over TFTP, `booti` with U-Boot's own device tree, into which it puts its bootargs.
    Booti,
    /// The same with this device tree.
    BootiTree(Vec<u8>),
    /// Fetched over TFTP, `go` to its first byte.
    Go,
    /// Fetched over TFTP, `bootelf`.
    Bootelf,
    /// This command starts what is in flash; the image file is not looked at.
    Command(String),
    /// No bootloader.
    Direct,
    /// From this image's running Linux, which has the image already ([`crate::router`]).
    Kexec(PathBuf),
}

/// What to boot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Boot<'a> {
    /// The image file.
    pub image: &'a Path,
    /// The bootargs, byte for byte; `None` for none at all.
    pub bootargs: Option<&'a str>,
    /// Other files that U-Boot fetches, and where to, as typed.
    pub files: &'a [(u32, &'a [u8])],
    /// How.
    pub via: Via,
}

/// Switches the board on (off first, if need be), gets the image running and waits until its console shows `until`. Returns
/// what the console said from the start command to the match and leaves the board on.
///
/// # Errors
/// The bootloader or the image gave up, or `timeout` passed; the message has the console's last lines.
pub fn boot(rig: &mut dyn Rig, boot: &Boot<'_>, until: &str, timeout: Duration) -> Result<String> {
    begin(rig, boot)?;
    let seen = rig.console()?.expect(until, timeout).map_err(|failure| rig.explain(failure.into()))?;
    let matched = seen.groups.first().map_or("", String::as_str);
    Ok(seen.before + matched)
}

/// As [`boot()`], on a board that has reset itself: its power stays on, so that what is in RAM stays too.
///
/// # Errors
/// As for [`boot()`].
pub fn boot_again(rig: &mut dyn Rig, boot: &Boot<'_>, until: &str, timeout: Duration) -> Result<String> {
    by_uboot(rig, boot).map_err(|failure| rig.explain(failure))?;
    let seen = rig.console()?.expect(until, timeout).map_err(|failure| rig.explain(failure.into()))?;
    Ok(seen.before + seen.groups.first().map_or("", String::as_str))
}

/// Boots an image whose root has the lab's init, and returns what this saw. Leaves the board on.
///
/// # Errors
/// As for [`boot()`], or the report is damaged.
pub fn see(rig: &mut dyn Rig, what: &Boot<'_>, timeout: Duration) -> Result<Seen> {
    // With the line's end: without it the match could end in the middle of the last number.
    let said = boot(rig, what, &format!("{END}\n"), timeout)?;
    Seen::read(&said).map_err(|damage| Failure::new(damage.to_string()).next("look at the console's log"))
}

/// As [`boot()`], but only until the image was entered.
///
/// # Errors
/// As for [`boot()`].
pub fn begin(rig: &mut dyn Rig, boot: &Boot<'_>) -> Result<()> {
    rig.power_off()?;
    if boot.via == Via::Direct {
        return rig.power_on_with(boot.image, boot.bootargs);
    }
    if let Via::Kexec(router) = &boot.via {
        if rig.caps().contains(&Cap::Direct) {
            return rig.power_on_with(router, None);
        }
        let via = if rig.board().arch.is_mips() { Via::Bootelf } else { Via::Booti };
        return begin(rig, &Boot { image: router, bootargs: None, files: &[], via });
    }
    rig.power_on()?;
    by_uboot(rig, boot).map_err(|failure| rig.explain(failure))
}

fn by_uboot(rig: &mut dyn Rig, boot: &Boot<'_>) -> Result<()> {
    let facts = rig.bootloader().clone();
    let read = || std::fs::read(boot.image).map_err(|error| Failure::io(boot.image, &error));
    let image = if matches!(boot.via, Via::Command(_)) { Vec::new() } else { read()? };
    let at = || facts.image_address(&Image::of(&image)?, image.len());
    let how = match &boot.via {
        Via::Bootm => StartCommand::Bootm { at: at()?, tree: None },
        Via::BootmTree(tree) => {
            let at = at()?;
            StartCommand::Bootm { at, tree: Some((behind(at, image.len())?, tree)) }
        }
        Via::Booti => StartCommand::Booti { at: at()?, tree: None },
        Via::BootiTree(tree) => {
            let at = at()?;
            // Behind all that the image's header asks for; 32 MiB are more than any kernel here needs beyond its file.
            StartCommand::Booti { at, tree: Some((behind(at, image.len() + (32 << 20))?, tree)) }
        }
        Via::Go => StartCommand::Go { at: at()? },
        Via::Bootelf => StartCommand::Bootelf { at: at()? },
        Via::Command(line) => StartCommand::Command { line, at: facts.tftp_address },
        Via::Direct | Via::Kexec(_) => {
            return Err(Failure::new("a direct start needs no bootloader"));
        }
    };
    let wanted = uboot::Boot { image: &image, bootargs: boot.bootargs.map(str::as_bytes), files: boot.files, how };
    let plan = uboot::stage(&facts, &wanted, &mut |name, bytes| rig.stage(name, bytes))?;
    let console = rig.console()?;
    uboot::attach(console, &facts)?;
    Ok(uboot::start(console, &facts, &plan)?)
}

/// The next MiB behind an image; both are copied before anything is entered.
fn behind(at: u32, size: usize) -> Result<u32> {
    let behind = (u64::from(at) + size as u64).next_multiple_of(0x10_0000);
    u32::try_from(behind).map_err(|_| Failure::new("the device tree would be fetched behind 4 GiB"))
}
