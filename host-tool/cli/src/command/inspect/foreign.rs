//! Files that stoop did not pack: what the headers of U-Boot's containers say, and what pieces of a vendor's firmware are known.

use crate::Result;
use crate::command::Error;
use stoop_image::format::bytes::be32;
use stoop_image::format::checksum::checksum;
use stoop_image::format::{device_tree, fit, uimage};
use stoop_image::input::firmware;

use crate::json;
use crate::ui::on_one_line;

/// A part of a container, to be taken out.
pub(super) struct Part<'a> {
    pub(super) name: String,
    pub(super) data: &'a [u8],
}

/// What was found.
pub(super) struct Foreign<'a> {
    /// The stable form.
    pub(super) value: Value,
    /// For people.
    pub(super) text: String,
    /// What does not hold, each in a few words.
    pub(super) wrong: Vec<String>,
    pub(super) parts: Vec<Part<'a>>,
}

/// The stable form of either.
pub(super) enum Value {
    Uimage(json::ForeignUimage),
    Fit(json::ForeignFit),
    Firmware(json::ForeignFirmware),
}

impl Value {
    /// As it is printed, with the failure if there is one.
    pub(super) fn text(self, failure: Option<&Error>) -> Result<String> {
        let (ok, error) = (failure.is_none(), failure.map(Into::into));
        match self {
            Value::Uimage(value) => json::result(&json::ForeignUimage { ok, error, ..value }),
            Value::Fit(value) => json::result(&json::ForeignFit { ok, error, ..value }),
            Value::Firmware(value) => json::result(&value),
        }
    }
}

/// Names by number (U-Boot include/image.h: IH_OS_…, IH_ARCH_…, IH_TYPE_…, IH_COMP_…).
const SYSTEMS: &[(u8, &str)] = &[(5, "Linux"), (17, "U-Boot"), (2, "NetBSD"), (14, "VxWorks"), (29, "OpenRTOS")];
const MACHINES: &[(u8, &str)] = &[
    (5, "MIPS"),
    (6, "MIPS64"),
    (2, "ARM"),
    (22, "AArch64"),
    (3, "x86"),
    (7, "PowerPC"),
    (24, "x86_64"),
    (26, "RISC-V"),
];
const KINDS: &[(u8, &str)] = &[
    (1, "standalone"),
    (2, "kernel"),
    (3, "ramdisk"),
    (4, "multi-file"),
    (5, "firmware"),
    (6, "script"),
    (7, "filesystem"),
    (8, "device tree"),
    (14, "kernel without a load address"),
];
const CODECS: &[(u8, &str)] =
    &[(0, "none"), (1, "gzip"), (2, "bzip2"), (3, "lzma"), (4, "lzo"), (5, "lz4"), (6, "zstd")];

fn named(names: &[(u8, &str)], number: u8) -> String {
    let name = names.iter().find(|(known, _)| *known == number).map(|(_, name)| (*name).to_owned());
    name.unwrap_or_else(|| format!("number {number}"))
}

/// Looks into a uImage, a FIT or a vendor's firmware; `None` when it is none of them.
///
/// # Errors
/// A uImage cut within its header, or a FIT whose structure makes no sense.
pub(super) fn open(file: &[u8]) -> Result<Option<Foreign<'_>>> {
    if uimage::is_one(file) {
        if file.len() < uimage::HEADER {
            return Err(Error::UimageCut { size: file.len() }.into());
        }
        return Ok(Some(uimage_file(file)));
    }
    if device_tree::is_fit(file) {
        fit_image(file).map(Some)
    } else {
        Ok(firmware::pieces(file).map(|pieces| firmware_file(file, &pieces)))
    }
}

fn firmware_file<'a>(file: &'a [u8], pieces: &[firmware::Piece<'a>]) -> Foreign<'a> {
    let is = firmware::called(file);
    let named = named_pieces(pieces);
    let text = format!("image        {is}, not packed by stoop\n") + &named.iter().map(line_of).collect::<String>();
    let value = Value::Firmware(json::ForeignFirmware {
        ok: true,
        format: "firmware".into(),
        stoop: false,
        size: file.len(),
        is: is.into(),
        pieces: named,
    });
    Foreign { value, text, wrong: Vec::new(), parts: parts_of(pieces) }
}

/// As many pieces have names: of those of one kind the first is called as the kind, the second has a 2 in front, and so on.
fn names<'a>(pieces: &'a [firmware::Piece<'_>]) -> impl Iterator<Item = String> + 'a {
    pieces.iter().enumerate().map(|(at, piece)| {
        match 1 + pieces[..at].iter().filter(|before| before.name == piece.name).count() {
            1 => piece.name.to_owned(),
            number => format!("{number}-{}", piece.name),
        }
    })
}

fn named_pieces(pieces: &[firmware::Piece<'_>]) -> Vec<json::Piece> {
    let with_name = names(pieces).zip(pieces);
    with_name
        .map(|(name, piece)| json::Piece { name, is: piece.what.into(), start: piece.start, size: piece.bytes.len() })
        .collect()
}

fn parts_of<'a>(pieces: &[firmware::Piece<'a>]) -> Vec<Part<'a>> {
    names(pieces).zip(pieces).map(|(name, piece)| Part { name, data: piece.bytes }).collect()
}

fn line_of(piece: &json::Piece) -> String {
    format!("at {:<10}{}, 0x{:x} bytes: {}\n", format!("0x{:x}", piece.start), piece.is, piece.size, piece.name)
}

fn uimage_file(file: &[u8]) -> Foreign<'_> {
    let (header, behind) = file.split_at(uimage::HEADER);
    let word = |at| be32(header, at).unwrap_or_default();
    let name = header[32..].split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    let (size, load, entry, time) = (word(12) as usize, word(16), word(20), word(8));
    let data = &behind[..size.min(behind.len())];
    let mut pieces = firmware::behind(file, uimage::HEADER + data.len());
    // The name of the uImage's own data.
    pieces.iter_mut().filter(|piece| piece.name == "data").for_each(|piece| piece.name = "behind");
    let mut wrong = Vec::new();
    for (what, computed, stored) in
        [("uImage header", uimage::header_crc(header), word(4)), ("uImage data", checksum(data), word(24))]
    {
        if computed != stored {
            wrong.push(format!("{what}: CRC-32 0x{computed:08x}, the header says 0x{stored:08x}"));
        }
    }
    if data.len() < size {
        wrong.push(format!("uImage data: 0x{size:x} bytes are promised, 0x{:x} are there", data.len()));
    }
    let [system, machine, kind, codec] = [(SYSTEMS, 28), (MACHINES, 29), (KINDS, 30), (CODECS, 31)]
        .map(|(names, at): (&[(u8, &str)], usize)| named(names, header[at]));
    let value = Value::Uimage(json::ForeignUimage {
        ok: wrong.is_empty(),
        format: "uimage".into(),
        stoop: false,
        size: file.len(),
        name: name.clone(),
        created: time,
        os: system.clone(),
        arch: machine.clone(),
        r#type: kind.clone(),
        compression: codec.clone(),
        data_size: size,
        load_address: load,
        entry_point: entry,
        behind: named_pieces(&pieces),
        error: None,
    });
    let mut text = String::from("image        uimage, not packed by stoop\n");
    let mut line = |what: &str, value: String| text += &format!("{what:<13}{}\n", on_one_line(&value));
    line("name", name);
    if let Some(magic) = uimage::vendor_magic(file) {
        line("magic", format!("0x{magic:08x}, a vendor's own"));
    }
    line("created", format!("{time} s after 1970 began"));
    line("is", format!("{kind}, {machine}, {system}, compression {codec}"));
    line("data", format!("0x{size:x} bytes"));
    line("load address", format!("0x{load:08x}"));
    line("entry point", format!("0x{entry:08x}"));
    if !pieces.is_empty() {
        text += "\nbehind the data, padding left out\n";
        text.extend(named_pieces(&pieces).iter().map(line_of));
    }
    let mut parts = vec![Part { name: "data".into(), data }];
    parts.extend(parts_of(&pieces));
    Foreign { value, text, wrong, parts }
}

fn fit_image(file: &[u8]) -> Result<Foreign<'_>> {
    let all = fit::list(file)?;
    let images = all.images.iter().map(|image| json::FitImage {
        name: image.name.to_owned(),
        r#type: image.kind.to_owned(),
        arch: image.arch.to_owned(),
        compression: if image.compression.is_empty() { "none" } else { image.compression }.to_owned(),
        size: image.data.len(),
        load_address: image.load,
        entry_point: image.entry,
        hashes: image.hashes.iter().map(|name| (*name).to_owned()).collect(),
        wrong: image.wrong.clone(),
    });
    let configurations = all.configurations.iter().map(|(name, parts)| json::Configuration {
        name: (*name).to_owned(),
        images: parts.iter().map(|(role, image)| ((*role).to_owned(), (*image).to_owned())).collect(),
    });
    let value = Value::Fit(json::ForeignFit {
        ok: all.images.iter().all(|image| image.wrong.is_empty()),
        format: "fit".into(),
        stoop: false,
        size: file.len(),
        default: all.default.map(str::to_owned),
        images: images.collect(),
        configurations: configurations.collect(),
        error: None,
    });
    let mut text = String::from("image        fit, not packed by stoop\n");
    for image in &all.images {
        let compression = if image.compression.is_empty() { "none" } else { image.compression };
        text += &format!(
            "\nimage {}\n  is           {}\n",
            image.name,
            on_one_line(&format!("{}, {}, compression {compression}", image.kind, image.arch))
        );
        text += &format!("  data         0x{:x} bytes\n", image.data.len());
        for (what, address) in [("load address", image.load), ("entry point", image.entry)] {
            if let Some(address) = address {
                text += &format!("  {what:<13}0x{address:08x}\n");
            }
        }
        if !image.hashes.is_empty() {
            text += &format!("  hashes       {}: ok\n", image.hashes.join(", "));
        }
    }
    for (name, parts) in &all.configurations {
        let default = if all.default == Some(*name) { ", the default" } else { "" };
        let parts: Vec<String> = parts.iter().map(|(key, image)| format!("{key} {image}")).collect();
        text += &format!("\nconfiguration {name}{default}\n  {}\n", on_one_line(&parts.join(", ")));
    }
    let wrong = all.images.iter().flat_map(|image| image.wrong.iter().cloned()).collect();
    let parts = all.images.iter().map(|image| Part { name: image.name.to_owned(), data: image.data }).collect();
    Ok(Foreign { value, text, wrong, parts })
}
