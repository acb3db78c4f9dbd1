//! `stoop inspect`: what is inside an image, every checksum, and where it will lie.

mod foreign;
mod map;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use stoop_image::machine::Machine;

use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::{Kind, Manifest};
use stoop_core::params::Params;

use self::map::payloads;
use super::picture;
use super::units::amount;
use crate::Result;
use crate::command::Error;
use crate::json;
use crate::ui::{self, put};
use stoop_image::format::device_tree;
use stoop_image::image::{self, Opened};
use stoop_image::input::{container, read_file};
use stoop_image::output::{self, Output};
use stoop_image::shim_image::Variant;
use stoop_image::simulate::shown;
use stoop_image::unfinished::UnfinishedFolder;
use stoop_image::{board, shell, watchdog};
use stoop_kernel::modules;

/// What the user typed.
#[derive(clap::Args, Debug)]
#[command(after_help = "Example:\n  stoop inspect image.bin\n  stoop inspect image.bin --svg")]
pub struct Args {
    /// The image: uImage, FIT, ELF, raw or arm64 Image; if stoop did not make it, uImage, FIT or firmware
    image: PathBuf,
    /// Write what is in it to files of this new directory, decoded
    #[arg(long, value_name = "DIR")]
    extract: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Print a picture as SVG: memory in each phase of the boot and, of an image for flash, the flash with its slots
    #[arg(long, conflicts_with = "json")]
    svg: bool,
}

/// Prints it.
///
/// # Errors
/// No stoop image, or a damaged one.
pub fn run(args: &Args) -> Result<()> {
    let file = read_file(&args.image)?;
    let opened = match image::open(&file) {
        Ok(opened) => opened,
        Err(failure) => {
            let within = |failure: crate::Error| failure.within(args.image.display());
            return match foreign::open(&file).map_err(within)? {
                Some(_) if args.svg && image::is_foreign(&file) => {
                    Err(Error::NoPicture { image: args.image.clone() }.into())
                }
                Some(found) if image::is_foreign(&file) => show_foreign(args, found),
                _ => Err(within(match failure {
                    // Not to try again what was tried just now.
                    stoop_image::Error::Image(image::Error::Foreign { likeness })
                        if container::is_searched(likeness) =>
                    {
                        Error::NothingKnown { likeness }.into()
                    }
                    failure => failure.into(),
                })),
            };
        }
    };
    if let Some(directory) = &args.extract {
        extract(directory, decoded(&opened)?)?;
    }
    let damaged: Vec<String> =
        opened.checks().into_iter().filter_map(|check| Some(format!("{}: {}", check.of, check.wrong?))).collect();
    let failure = damage(args, &damaged, "pack or download it again");
    match args {
        Args { json: true, .. } => put(&json::result(&value(&opened, file.len(), failure.as_ref().map(Into::into)))?)?,
        Args { svg: true, .. } => put(&map::svg(&opened, file.len()))?,
        _ => {
            put(&text(&opened, file.len()))?;
            // Nothing in it is from the file but numbers: it may have colours.
            ui::put_raw(memory(&opened, file.len(), ui::is_styled(&io::stdout())).as_bytes())?;
        }
    }
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// The failure that tells what is wrong, if anything is.
fn damage(args: &Args, wrong: &[String], next: &'static str) -> Option<Error> {
    (!wrong.is_empty()).then(|| Error::Damaged { image: args.image.clone(), wrong: wrong.to_vec(), next })
}

fn show_foreign(args: &Args, found: foreign::Foreign<'_>) -> Result<()> {
    if let Some(directory) = &args.extract {
        extract(directory, found.parts.iter().map(|part| (part.name.clone(), Cow::Borrowed(part.data))).collect())?;
    }
    let failure = damage(args, &found.wrong, "build or download it again");
    put(&match args.json {
        true => found.value.text(failure.as_ref())?,
        false => found.text,
    })?;
    failure.map_or(Ok(()), |failure| Err(failure.into()))
}

/// Writes each to a file of its name; the directory is made, and appears with all of them or not at all.
fn extract(directory: &Path, parts: Vec<(String, Cow<'_, [u8]>)>) -> Result<()> {
    let failed = |error: std::io::Error| Error::FolderExists { path: directory.into(), source: error };
    if directory.symlink_metadata().is_ok() {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()).into());
    }
    let unfinished = UnfinishedFolder::new(output::folder(directory)).map_err(failed)?;
    // The temporary folder is for nobody else; this one has the permissions of any new folder.
    let new = unfinished.path().join("new");
    std::fs::create_dir(&new).map_err(failed)?;
    for (name, (_, bytes)) in file_names(parts.iter().map(|(name, _)| &**name)).iter().zip(&parts) {
        Output::new(&new.join(name), [])?.write(bytes).map_err(|error| error.within(directory.display()))?;
    }
    Ok(unfinished.persist_new(&new, directory).map_err(failed)?)
}

/// Bytes of a file's name that every file system takes, with a number in front.
const LONGEST_NAME: usize = 200;

/// A file for each, by its name: that of the second one that would be called alike has a 2 in front, and so on.
fn file_names<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let (mut taken, mut alike) = (HashSet::new(), HashMap::new());
    let mut file_name = |name: &str| {
        let mut plain = shell::served_name(Path::new(&name.replace('/', "_")));
        plain.truncate(LONGEST_NAME);
        let number: &mut usize = alike.entry(plain.clone()).or_default();
        loop {
            *number += 1;
            let file = if *number == 1 { plain.clone() } else { format!("{number}-{plain}") };
            if taken.insert(file.clone()) {
                return file;
            }
        }
    };
    names.map(&mut file_name).collect()
}

/// Every payload as the board gets it.
fn decoded<'a>(opened: &'a Opened<'_>) -> Result<Vec<(String, Cow<'a, [u8]>)>> {
    let manifest = opened.manifest(&Crc32::new()).map_err(|_| Error::Manifest)?;
    let there = Kind::ALL.into_iter().filter(|kind| !manifest.payload(*kind).source.is_empty());
    there.map(|kind| Ok((kind.subject().text().to_owned(), opened.payload(&manifest, kind)?))).collect()
}

/// The modules in the initrd that pack put there, in load order.
fn modules(opened: &Opened<'_>, manifest: &Manifest) -> Option<Vec<String>> {
    modules::initrd::order_in(opened.bytes(manifest.payload(Kind::Initrd).source)?)
}

/// What the shim adds to the device tree, apart from what it learns on the board.
fn overlay_listed(opened: &Opened<'_>, manifest: &Manifest) -> Option<Vec<(String, String)>> {
    device_tree::listed(opened.bytes(manifest.payload(Kind::Overlay).source)?)
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
fn value(opened: &Opened<'_>, size: usize, error: Option<json::Error>) -> json::Inspected {
    let crc = Crc32::new();
    let (params, manifest) = (opened.params(&crc).ok(), opened.manifest(&crc).ok());
    let check = |check: image::open::Check| json::Check { of: check.of, ok: check.wrong.is_none(), wrong: check.wrong };
    let regions = map::own(opened, manifest.as_ref()).into_iter().chain(map::of_the_board(opened, size));
    let strings = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect();
    json::Inspected {
        ok: error.is_none(),
        format: opened.format.name().to_owned(),
        size,
        big_endian: opened.note.big_endian,
        load_address: opened.typed(opened.load),
        slot: opened.flash.map(|flash| json::Slot {
            name: char::from(flash.slot).to_string(),
            start: flash.at,
            size: flash.size,
        }),
        shim: json::InspectedShim {
            variant: opened.note.variant.name().to_owned(),
            decodes: strings(decodes(opened.note.variant)),
        },
        checks: opened.checks().into_iter().map(check).collect(),
        params: params.as_ref().map(params_value),
        board: opened.board().map(str::to_owned),
        handoff: manifest.as_ref().map(|manifest| manifest.handoff().name().to_owned()),
        entry_point: manifest.as_ref().map(|manifest| opened.typed(manifest.entry_point())),
        modules: manifest.as_ref().and_then(|manifest| modules(opened, manifest)),
        overlay: manifest
            .as_ref()
            .and_then(|manifest| overlay_listed(opened, manifest))
            .map(|listed| listed.into_iter().map(|(path, value)| json::Addition { path, value }).collect()),
        payloads: manifest.as_ref().map(|manifest| payloads(manifest).map(payload_value).collect()),
        regions: regions.map(|named| json::NamedRegion::new(named.name, &named.region)).collect(),
        error,
    }
}

fn payload_value((name, payload): (&str, stoop_core::manifest::Payload)) -> json::Payload {
    let stored = payload.source.size();
    json::Payload {
        name: name.to_owned(),
        codec: payload.codec.name().to_owned(),
        reason: None,
        stored,
        decoded: if payload.destination.is_empty() { stored } else { payload.destination.size() },
        crc: format!("0x{:08x}", payload.crc),
        start: payload.place.start(),
        size: payload.place.size(),
    }
}

fn params_value(params: &Params<'_>) -> json::Params {
    json::Params {
        ram: params.ram().into(),
        flash: params.flash().into(),
        uart: json::UartParams {
            kind: board::uart_kind(params.uart().kind).to_owned(),
            address: params.uart().address,
        },
        watchdog: json::WatchdogParams { care: params.care().name().to_owned(), does: watchdog::told(params) },
        cookie: json::CookieParams {
            rule: params.cookie_rule().name().to_owned(),
            text: shown(params.cookie()),
            keep: keep(params),
        },
    }
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
    if let Some(board) = opened.board() {
        line("board", board.to_owned());
    }
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
    if let Some(listed) = manifest.as_ref().and_then(|manifest| overlay_listed(opened, manifest)) {
        text += "\nadded to the device tree, apart from accepted bootargs and the report's values\n";
        for (path, value) in listed {
            text += &format!("  {path} = {value}\n");
        }
    }
    text += "\nchecks\n";
    for check in opened.checks() {
        text += &format!("  {:<14}{}\n", check.of, check.wrong.as_deref().unwrap_or("ok"));
    }
    text
}

/// The map: the image's own regions as boxes, those of others as lines.
fn memory(opened: &Opened<'_>, size: usize, styled: bool) -> String {
    let own = map::own(opened, opened.manifest(&Crc32::new()).ok().as_ref());
    let mut text = format!("\nmemory, physical\n{}", picture::boxes(&own, styled));
    let others = map::of_the_board(opened, size);
    if !others.is_empty() {
        text += "\nnot the image's own: where it is fetched and copied to on the way,\nand what the bootloader keeps\n";
    }
    for other in others {
        let (region, name) = (other.region, other.name);
        text += &format!("  0x{:08x}  0x{:08x}  {name}\n", region.start(), region.end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::file_names;

    #[test]
    fn no_part_is_written_over_another_that_would_be_called_alike() {
        let names = ["kernel@1", "kernel;1", "2-kernel_1", "kernel_1", "..", "", "a/b", "dtb"];
        let files = ["kernel_1", "2-kernel_1", "2-2-kernel_1", "3-kernel_1", "image", "2-image", "a_b", "dtb"];
        assert_eq!(file_names(names.into_iter()), files);
        let long = ["n".repeat(1000), "n".repeat(1001)];
        let files = file_names(long.iter().map(String::as_str));
        assert!(files[0] != files[1] && files.iter().all(|name| name.len() < 256), "{files:?}");
    }
}
