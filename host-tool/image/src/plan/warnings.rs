//! What pack warns of in a plan that holds: doubts that the user can settle, and pack cannot.

use stoop_core::params::CookieRule;

use crate::board::{self, Board};
use crate::format::device_tree::Facts;
use crate::input::Kernel;

use super::line::last_value;
use super::request::{ALIAS, Cookie, Format, Phram};

/// What the board is not known for.
pub(super) fn board_warnings(board: &Board, kernel: &Kernel, format: Format) -> Vec<String> {
    let mut warnings = Vec::new();
    let runs_at = kernel.runs_at().start as usize;
    let mut links = board.load_addresses.values().map(|address| board.physical(*address));
    if !board.load_addresses.is_empty() && !links.any(|link| link == runs_at) {
        let known: Vec<_> = board.load_addresses.iter().map(|(family, at)| format!("0x{at:08x} ({family})")).collect();
        warnings.push(format!(
            "the kernel is linked at 0x{:08x}, kernels for {} usually at {}",
            board.typed(runs_at),
            board.name,
            known.join(" or ")
        ));
    }
    if let (Format::Nor, Some(vendor)) = (format, &board.bootloader.vendor_container) {
        warnings.push(format!(
            "the vendor's own flash images are {vendor}: make sure that {} starts a plain container from flash before you erase anything",
            board.bootloader.name
        ));
    }
    if format.container().is_some_and(|container| !board.bootloader.containers.contains(&container)) {
        warnings.push(format!("{} is not known to start {} images", board.bootloader.name, format.name()));
    }
    warnings
}

/// A configuration of another version than the kernel's.
pub(super) fn another_version(kernel: &Kernel) -> Option<String> {
    let config = kernel.config.as_ref().filter(|config| !config.may_be_of(kernel.version.as_deref()))?;
    let (of_kernel, of_config) = (kernel.version.as_deref()?, config.version()?);
    Some(format!(
        "the kernel is {of_kernel}, its configuration ({}) is of {of_config}: what is said of the kernel by it may be wrong",
        config.source()
    ))
}

/// What bootloaders pass without anybody's asking, in the words of most vendors.
const USUAL_BOOTARGS: &str = "console=ttyS0,115200n8 root=/dev/mtdblock2 rootfstype=squashfs init=/sbin/init mtdparts=spi0.0:256k(u-boot),-(firmware) mem=64M";

/// A cookie that is in bootargs which nobody wrote for this image.
pub(super) fn cookie_of_all(cookie: &Cookie) -> Option<String> {
    let is_usual = match cookie.rule {
        CookieRule::Off => false,
        CookieRule::Contains => USUAL_BOOTARGS.contains(&cookie.text),
        CookieRule::Word => USUAL_BOOTARGS.split(' ').any(|word| word == cookie.text),
    };
    is_usual.then(|| {
        format!(
            "what a bootloader passes by itself may contain the cookie {:?}, and counts then as with --no-cookie: choose a word of your own",
            cookie.text
        )
    })
}

/// A board file of the user's own, `named` as it was typed, which a board that comes with stoop is called like and differs from.
pub(super) fn namesake(named: &str, board: &Board) -> Option<String> {
    // A board that was asked for by its name is that one.
    let is_taken = named != board.name && board::names().any(|name| name == board.name);
    let differs = is_taken && board::load(&board.name).is_ok_and(|shipped| shipped != *board);
    differs.then(|| {
        format!(
            "a board that comes with stoop is called {} too, and has other data: an image's board is found by its name, so give `check`, \
             `netboot` and `flash` --board as well, or call the board file something else",
            board.name
        )
    })
}

/// A root= that may name another device, or is missing; `ours` is whether pack adds it.
pub(super) fn root_warnings(phram: Phram, packed: bool, ours: bool) -> Option<String> {
    match phram {
        Phram::CommandLine if ours => Some(
            "root=/dev/mtdblock0 is right only if no flash registers before the root filesystem in RAM; if one does, \
             give the right root= with --append"
                .into(),
        ),
        Phram::Tree if !packed => Some(format!(
            "root= is not set: with the bootloader's device tree it has to come from accepted bootargs, as \
             root=/dev/mtdblock{ALIAS}"
        )),
        Phram::CommandLine if !packed => {
            Some("phram.phram= is not set: without a packed device tree there is no line to put it on".into())
        }
        _ => None,
    }
}

/// A root= that is not the packed root filesystem.
pub(super) fn another_root(phram: Phram, line: &[u8]) -> Option<String> {
    let packed = format!("/dev/mtdblock{ALIAS}");
    let root = last_value(line, b"root=").filter(|_| phram == Phram::Tree)?;
    (root != packed.as_bytes()).then(|| {
        format!(
            "root={} is not the packed root filesystem, which is {packed}: leave root= away, or pack without --rootfs",
            root.escape_ascii()
        )
    })
}

/// Linux would reserve what it runs from, or give it to somebody else.
pub(super) fn reserved_kernel(facts: &Facts, kernel: &Kernel) -> Vec<String> {
    // Where an arm64 kernel runs is known on the board only.
    let place = if kernel.arch.is_mips() { kernel.runs_at() } else { 0..0 };
    let overlaps = |range: &std::ops::Range<u64>| range.start < place.end && place.start < range.end;
    let all = facts.reserved.iter().filter(|(_, range)| overlaps(range));
    all.map(|(name, range)| {
        format!(
            "the device tree reserves [0x{:x}, 0x{:x}) ({}), where the kernel runs: [0x{:x}, 0x{:x}); move one of them",
            range.start,
            range.end,
            name.escape_default(),
            place.start,
            place.end
        )
    })
    .collect()
}
