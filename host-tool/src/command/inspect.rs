//! `stoop inspect`: what is inside an image, every checksum, and where it will lie.

use std::path::PathBuf;

use serde_json::{Value, json};
use stoop_core::Region;
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{Kind, Machine, Manifest};
use stoop_core::params::Params;

use super::pack::amount;
use crate::image::{self, Opened};
use crate::input::read_file;
use crate::shim_image::Variant;
use crate::simulate::shown;
use crate::ui::put;
use crate::{Failure, Result, board, device_tree, modules, watchdog};

/// What the user typed.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The image: uImage, FIT, ELF, raw or arm64 Image
    image: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints it.
///
/// # Errors
/// No stoop image, or a damaged one.
pub fn run(args: &Args) -> Result<()> {
    let file = read_file(&args.image)?;
    let opened = image::open(&file).map_err(|failure| failure.within(args.image.display()))?;
    put(&if args.json { format!("{:#}\n", value(&opened, file.len())) } else { text(&opened, file.len()) })?;
    let damaged: Vec<String> =
        opened.checks().into_iter().filter_map(|check| Some(format!("{}: {}", check.of, check.wrong?))).collect();
    match damaged.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!("{}: damaged: {}", args.image.display(), damaged.join("; ")))
            .next("pack or download it again")),
    }
}

/// Payloads that are there.
fn payloads(manifest: &Manifest) -> impl Iterator<Item = (&'static str, stoop_core::manifest::Payload)> {
    let all = Kind::ALL.map(|kind| (kind.subject().text(), manifest.payload(kind)));
    all.into_iter().filter(|(_, payload)| !payload.source.is_empty())
}

fn regions(opened: &Opened<'_>, manifest: Option<&Manifest>) -> Vec<(&'static str, Region)> {
    let mut regions = vec![("shim", opened.note.run)];
    let mut head = opened.image.len();
    if let Some(manifest) = manifest {
        regions.push(("dtb", manifest.tree()));
        for (name, payload) in payloads(manifest) {
            regions.push((name, payload.place));
            // What is used where it lies is no part of the image's own region.
            if payload.source.start() == payload.place.start() && payload.source.start() > opened.load {
                head = head.min(payload.source.start() - opened.load);
            }
        }
    }
    regions.extend(Region::new(opened.load, head).map(|region| ("image", region)));
    regions.retain(|(_, region)| !region.is_empty());
    regions.sort_by_key(|(_, region)| region.start());
    regions
}

/// The modules in the initrd that pack put there, in load order.
fn modules(opened: &Opened<'_>, manifest: &Manifest) -> Option<Vec<String>> {
    modules::initrd::order_in(opened.bytes(manifest.payload(Kind::Initrd).source)?)
}

/// What the shim adds to the device tree, apart from what it learns on the board.
fn additions(opened: &Opened<'_>, manifest: &Manifest) -> Option<Vec<(String, String)>> {
    device_tree::listed(opened.bytes(manifest.payload(Kind::Additions).source)?)
}

fn keep(params: &Params<'_>) -> Vec<String> {
    params.keep().split(|byte| *byte == 0).filter(|key| !key.is_empty()).map(shown).collect()
}

/// The codecs of a shim.
fn decodes(variant: Variant) -> Vec<&'static str> {
    let all = [Codec::Store, Codec::Lz4, Codec::Lzma];
    all.into_iter().filter(|codec| variant.decodes(*codec)).map(Codec::name).collect()
}

/// The stable form.
fn value(opened: &Opened<'_>, size: usize) -> Value {
    let crc = Crc32::new();
    let (params, manifest) = (opened.params(&crc).ok(), opened.manifest(&crc).ok());
    let checks = opened.checks();
    let at = |(name, region): &(&str, Region)| json!({"name": name, "start": region.start(), "size": region.size()});
    let payload = |(name, payload): (&str, stoop_core::manifest::Payload)| {
        json!({
            "name": name,
            "codec": payload.codec.name(),
            "stored": payload.source.size(),
            "decoded": if payload.destination.is_empty() { payload.source.size() } else { payload.destination.size() },
            "crc": format!("0x{:08x}", payload.crc),
            "start": payload.place.start(),
            "size": payload.place.size(),
        })
    };
    json!({
        "ok": checks.iter().all(|check| check.wrong.is_none()),
        "format": opened.format.name(),
        "size": size,
        "big-endian": opened.note.big_endian,
        "load-address": opened.typed(opened.load),
        "slot": opened.flash.map(|flash| json!({
            "name": char::from(flash.slot).to_string(),
            "start": flash.at,
            "size": flash.size,
        })),
        "shim": {"variant": opened.note.variant.name(), "decodes": decodes(opened.note.variant)},
        "checks": checks.iter().map(|check| json!({
            "of": check.of,
            "ok": check.wrong.is_none(),
            "wrong": check.wrong,
        })).collect::<Vec<_>>(),
        "params": params.as_ref().map(|params| json!({
            "ram": {"start": params.ram().start(), "size": params.ram().size()},
            "flash": {"start": params.flash().start(), "size": params.flash().size()},
            "uart": {"kind": board::uart_kind(params.uart().kind), "address": params.uart().address},
            "watchdog": {"care": params.care().name(), "does": watchdog::told(params)},
            "cookie": {"rule": params.cookie_rule().name(), "text": shown(params.cookie()), "keep": keep(params)},
        })),
        "handoff": manifest.as_ref().map(|manifest| manifest.handoff().name()),
        "entry-point": manifest.as_ref().map(|manifest| opened.typed(manifest.entry_point())),
        "modules": manifest.as_ref().and_then(|manifest| modules(opened, manifest)),
        "additions": manifest.as_ref().and_then(|manifest| additions(opened, manifest)).map(|additions| {
            additions.into_iter().map(|(path, value)| json!({"path": path, "value": value})).collect::<Vec<_>>()
        }),
        "payloads": manifest.as_ref().map(|manifest| payloads(manifest).map(payload).collect::<Vec<_>>()),
        "regions": regions(opened, manifest.as_ref()).iter().map(at).collect::<Vec<_>>(),
    })
}

fn text(opened: &Opened<'_>, size: usize) -> String {
    let crc = Crc32::new();
    let (params, manifest) = (opened.params(&crc).ok(), opened.manifest(&crc).ok());
    let mut text = String::new();
    let mut line = |name: &str, value: String| text += &format!("{name:<13}{value}\n");
    let machine = match opened.machine {
        Machine::MipsBe => "MIPS big-endian",
        Machine::MipsLe => "MIPS little-endian",
        Machine::Arm64 => "arm64",
    };
    line("image", format!("{}, {machine}, {}", opened.format.name(), amount(size)));
    let chosen = match opened.machine {
        Machine::Arm64 => ", or wherever the loader puts it",
        _ => "",
    };
    line("load address", format!("0x{:08x}, which is the entry point too{chosen}", opened.typed(opened.load)));
    if let Some(flash) = opened.flash {
        let rootfs = match flash.rootfs.is_empty() {
            true => String::new(),
            false => format!("; root filesystem at 0x{:08x}", flash.rootfs.start()),
        };
        let slot = char::from(flash.slot);
        line("slot", format!("{slot}, 0x{:x} bytes of flash at 0x{:08x}{rootfs}", flash.size, flash.at));
    }
    let (run, variant) = (opened.note.run, opened.note.variant);
    let start = opened.typed(run.start());
    line(
        "shim",
        format!(
            "{}, 0x{:x} bytes of RAM at 0x{start:08x}, decodes {}",
            variant.name(),
            run.size(),
            decodes(variant).join(", ")
        ),
    );
    if let Some(params) = &params {
        line("RAM", format!("0x{:08x}..0x{:08x}", params.ram().start(), params.ram().end()));
        let uart = params.uart();
        line("UART", format!("{} at 0x{:08x}", board::uart_kind(uart.kind), uart.address));
        line("watchdog", watchdog::told(params).unwrap_or_else(|| "left alone".into()));
        let keep = keep(params);
        let kept = if keep.is_empty() { String::new() } else { format!("; kept without it: {}", keep.join(" ")) };
        line("cookie", format!("{:?}, {}{kept}", shown(params.cookie()), params.cookie_rule().name()));
    }
    if let Some(manifest) = &manifest {
        let entry = opened.typed(manifest.entry_point());
        line("handoff", format!("{} to 0x{entry:08x}", manifest.handoff().name()));
        if let Some(modules) = modules(opened, manifest) {
            let file = |path: &String| path.rsplit('/').next().unwrap_or(path).to_owned();
            line("modules", modules.iter().map(file).collect::<Vec<_>>().join(" "));
        }
        text += "\npayload   codec     stored    decoded   goes to\n";
        for (name, payload) in payloads(manifest) {
            let to = match payload.place.is_empty() {
                true => "read where it is".into(),
                false => format!("0x{:08x}, 0x{:x} bytes", payload.place.start(), payload.place.size()),
            };
            let decoded =
                payload.destination.size().max(if payload.place.is_empty() { payload.source.size() } else { 0 });
            text += &format!(
                "{name:<10}{:<10}{:<10}{:<10}{to}\n",
                payload.codec.name(),
                format!("0x{:x}", payload.source.size()),
                format!("0x{decoded:x}")
            );
        }
    }
    if let Some(additions) = manifest.as_ref().and_then(|manifest| additions(opened, manifest)) {
        text += "\nadded to the device tree, apart from accepted bootargs and the report's values\n";
        for (path, value) in additions {
            text += &format!("  {path} = {value}\n");
        }
    }
    text += "\nchecks\n";
    for check in opened.checks() {
        text += &format!("  {:<14}{}\n", check.of, check.wrong.as_deref().unwrap_or("ok"));
    }
    text += "\nmemory, physical\n";
    text + &picture(&regions(opened, manifest.as_ref()))
}

/// Boxes in the order of addresses; their height grows slowly with their size.
fn picture(regions: &[(&str, Region)]) -> String {
    const WIDTH: usize = 22;
    let rule = "-".repeat(WIDTH);
    let mut text = String::new();
    let mut end = None;
    for (name, region) in regions {
        if let Some(end) = end.filter(|end| *end != region.start()) {
            text += &format!("0x{end:08x} +{rule}+\n           :{:WIDTH$}:\n", "");
        }
        text += &format!("0x{:08x} +{rule}+\n", region.start());
        text += &format!("           | {name:<width$}|  {}\n", amount(region.size()), width = WIDTH - 1);
        for _ in 0..(region.size() / 0x10_0000).checked_ilog2().map_or(0, |log| log / 2 + 1) {
            text += &format!("           |{:WIDTH$}|\n", "");
        }
        end = Some(region.end());
    }
    end.map_or(text.clone(), |end| format!("{text}0x{end:08x} +{rule}+\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_shows_gaps_and_neighbours() {
        let region = |start, size| Region::new(start, size).unwrap();
        let drawn =
            picture(&[("a", region(0x1000, 0x1000)), ("b", region(0x2000, 0x10)), ("c", region(0x3000, 0x20_0000))]);
        let edge = "+----------------------+";
        let expected = [
            format!("0x00001000 {edge}"),
            "           | a                    |  0x1000 bytes (4.0 KiB)".into(),
            format!("0x00002000 {edge}"),
            "           | b                    |  0x10 bytes (0.0 KiB)".into(),
            format!("0x00002010 {edge}"),
            "           :                      :".into(),
            format!("0x00003000 {edge}"),
            "           | c                    |  0x200000 bytes (2.0 MiB)".into(),
            "           |                      |".into(),
            format!("0x00203000 {edge}"),
        ];
        assert_eq!(drawn.lines().collect::<Vec<_>>(), expected);
    }
}
