//! Whether the bootloader takes the file: checksums, machine, container, sizes, and the vendor's decoder.

use super::facts::{Facts, MadeFor};
use super::finding::{Finding, found, no, ok};
use crate::Explained as _;
use crate::board::{Board, Container};
use crate::format::codec::Codec;
use crate::format::uimage;
use crate::image::Opened;
use crate::machine::Machine;
use crate::preflight::Level;

pub(super) fn checksums(facts: &Facts<'_>) -> Finding {
    let of = |opened: &Opened<'_>| {
        let checks = opened.checks().into_iter();
        checks.filter_map(|check| Some(format!("{}: {}", check.of, check.wrong?))).collect::<Vec<_>>()
    };
    let mut wrong = facts.wrong.clone();
    wrong.extend(facts.stoop.as_ref().map(of).unwrap_or_default());
    let mut checked = facts.checked.clone();
    checked.extend(facts.stoop.is_some().then(|| "CRC-32 of stoop's params, manifest and payloads".to_owned()));
    let again = "build it with a hash that stoop knows: crc32, sha1, sha256, sha384 or sha512";
    match wrong.is_empty() {
        true if !facts.unchecked.is_empty() => {
            let says = format!("not checked, of a kind not known here: {}", facts.unchecked.join(", "));
            let level = if checked.is_empty() { Level::Unknown } else { Level::Warn };
            found(level, "checksums", says, again)
        }
        true if checked.is_empty() => found(
            Level::Unknown,
            "checksums",
            format!("{} has none", facts.form),
            "compare it with where it comes from",
        ),
        true => ok("checksums", format!("every one holds: {}", checked.join(", "))),
        false => no("checksums", wrong.join("; "), "pack or download it again"),
    }
}

pub(super) fn arch(facts: &Facts<'_>, board: &Board) -> Finding {
    let big = board.arch.is_big_endian();
    let order = |big| if big { "big" } else { "little" };
    let other = |says: &str| {
        let says = format!("it is for {says}, {} is {}", board.name, board.arch);
        no("arch", says, "give an image that was built for this board")
    };
    match facts.big_endian {
        _ if facts.no_code.is_some() => found(Level::Unknown, "arch", "it is no code".into(), "see containers"),
        _ if let MadeFor::Other(machine) = &facts.machine => other(machine),
        _ if facts.machine == MadeFor::Arm64 && board.arch != Machine::Arm64 => other("arm64"),
        _ if facts.machine == MadeFor::Mips && board.arch == Machine::Arm64 => other("MIPS"),
        _ if facts.machine == MadeFor::Arm64 => ok("arch", "arm64"),
        _ if board.arch == Machine::Arm64 => {
            found(Level::Unknown, "arch", "nothing in it says that it is for arm64".into(), "try it with `stoop run`")
        }
        Some(code) if code == big => ok("arch", format!("MIPS, {} endian", order(big))),
        Some(code) => no(
            "arch",
            format!("the code is {} endian, {} is {} endian", order(code), board.name, order(big)),
            "build or pack it for this board's byte order",
        ),
        None => found(
            Level::Unknown,
            "arch",
            "its byte order cannot be told from its bytes".into(),
            "make sure that it was built for this board",
        ),
    }
}

pub(super) fn containers(facts: &Facts<'_>, board: &Board) -> Finding {
    let bootloader = &board.bootloader;
    if let Some(failure) = &facts.no_kernel {
        let says = format!("{} does not start it as a kernel: {}", bootloader.name, failure);
        return no("containers", says, failure.next_step().as_deref().unwrap_or("give a kernel"));
    }
    if let Some(what) = facts.no_code {
        let says = format!("it is {what}, no code that {} could start", bootloader.name);
        return no("containers", says, "give an image that the bootloader starts; `stoop pack` makes one of a kernel");
    }
    let known = |container| bootloader.containers.contains(&container);
    let unpacks = known(Container::UimageLzma) || known(Container::UimageGzip);
    match facts.container {
        Some(container) if known(container) => ok("containers", format!("{} starts {}", bootloader.name, facts.form)),
        Some(Container::UimageNone) if unpacks => found(
            Level::Warn,
            "containers",
            format!("{} is known to start compressed uImages, this is {}", bootloader.name, facts.form),
            "try it over TFTP before it is written to flash",
        ),
        None if uimage::is_one(facts.file) && uimage::vendor_magic(facts.file).is_some() => found(
            Level::Warn,
            "containers",
            format!("{} starts it only if it is that vendor's own, this is {}", bootloader.name, facts.form),
            "let stoop pack the kernel inside: `stoop pack --kernel` takes this file",
        ),
        _ => no(
            "containers",
            format!("{} is not known to start {}", bootloader.name, facts.form),
            "pack with another --format: see `stoop boards show`",
        ),
    }
}

pub(super) fn image_limit(facts: &Facts<'_>, board: &Board) -> Option<Finding> {
    let (limit, size) = (board.bootloader.image_limit?, facts.started());
    Some(match size > limit {
        true => no(
            "image-limit",
            format!("the image has 0x{size:x} bytes, {} takes 0x{limit:x}", board.bootloader.name),
            "pack it smaller: --codec lzma, or less in it",
        ),
        false => ok("image-limit", format!("0x{size:x} of 0x{limit:x} bytes")),
    })
}

/// The vendor's own decoder, if it gets anything to decode.
pub(super) fn decoder(facts: &Facts<'_>, board: &Board) -> Vec<Finding> {
    let (bootloader, mut findings) = (&board.bootloader, Vec::new());
    let Some((codec, data)) = facts.compressed else {
        if bootloader.decompression_limit.is_some() {
            findings.push(ok("decompression-limit", "the bootloader has nothing to decode"));
        }
        return findings;
    };
    let (size, fix) = (facts.bytes.len(), "let the shim decode it: `stoop pack` with the kernel inside");
    if let Some(limit) = bootloader.decompression_limit {
        findings.push(match size > limit {
            true => {
                let says = format!("it decodes to 0x{size:x} bytes, {} can do 0x{limit:x}", bootloader.name);
                no("decompression-limit", says, fix)
            }
            false => ok("decompression-limit", format!("0x{size:x} of 0x{limit:x} bytes")),
        });
    }
    // LZMA "alone": a byte of properties, then the dictionary's size, little endian.
    let dictionary = data.get(1..5).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    if let (Codec::Lzma, Some(limit), Some(dictionary)) = (codec, bootloader.dictionary_limit, dictionary) {
        findings.push(match dictionary as usize > limit {
            true => {
                let says = format!("its dictionary has 0x{dictionary:x} bytes, {} takes 0x{limit:x}", bootloader.name);
                no("dictionary-limit", says, fix)
            }
            false => ok("dictionary-limit", format!("0x{dictionary:x} of 0x{limit:x} bytes")),
        });
    }
    findings
}
