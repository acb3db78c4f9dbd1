//! What would go wrong with an image on a board: everything the board's data know of its bootloader, RAM and flash, asked of a
//! finished file. The file may be stoop's or anybody's.

use crate::machine::{KSEG_SIZE, Machine};
use stoop_core::Region;
use stoop_core::crc32::Crc32;
use stoop_core::manifest::Kind;

use crate::board::{Board, Container};
use crate::bootloader::image::{Image, physical, staging};
use crate::format::bytes::be32;
use crate::format::checksum::checksum;
use crate::format::codec::Codec;
use crate::format::device_tree;
use crate::format::fit;
use crate::format::uimage::{self, header};
use crate::image;
use crate::image::flash::Map;
use crate::image::{FlashNote, Opened};
use crate::input::mips_byte_order;
use crate::preflight::Level;
use crate::simulate::{self, Entry, Input};
use crate::{Result, board};

/// One thing found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How well it holds; [`Level::No`] means that the image does not boot.
    pub level: Level,
    /// The key of the board's data that it is about, or `checksums`, `arch`, `shim`.
    pub what: &'static str,
    /// The fact, with numbers.
    pub says: String,
    /// What to do, when it does not hold.
    pub fix: Option<String>,
}

/// An image as a bootloader sees it.
struct Facts<'a> {
    file: &'a [u8],
    /// Says its container, for people.
    form: String,
    /// `None` for a codec that no board's list has.
    container: Option<Container>,
    /// Checksums that do not hold.
    wrong: Vec<String>,
    /// What the bootloader's decoder gets; `None` when it decodes nothing.
    compressed: Option<(Codec, &'a [u8])>,
    /// Decoded or as it is; empty when it does not decode.
    bytes: Vec<u8>,
    /// Where the bootloader puts it; empty when that is where it was fetched to.
    load: Region,
    /// Physical.
    entry: Option<usize>,
    big_endian: Option<bool>,
    /// By its headers.
    machine: MadeFor,
    /// Checksums that were computed.
    checked: Vec<String>,
    /// Checksums of kinds that are not known here.
    unchecked: Vec<String>,
    stoop: Option<Opened<'a>>,
}

/// What an image's headers say it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum MadeFor {
    /// Nothing.
    Unsaid,
    /// 32-bit MIPS, of either byte order.
    Mips,
    /// arm64.
    Arm64,
    /// None that stoop knows, in a few words.
    Other(String),
}

impl MadeFor {
    /// By the numbers of U-Boot's include/image.h (IH_ARCH_*).
    fn of_uimage(arch: u8) -> MadeFor {
        match arch {
            5 => MadeFor::Mips,
            22 => MadeFor::Arm64,
            6 => MadeFor::Other("64-bit MIPS".into()),
            2 => MadeFor::Other("32-bit ARM".into()),
            other => MadeFor::Other(format!("architecture {other} of U-Boot's list")),
        }
    }

    /// By U-Boot's names.
    fn of_fit(arch: &str) -> MadeFor {
        match arch {
            "" => MadeFor::Unsaid,
            "mips" => MadeFor::Mips,
            "arm64" => MadeFor::Arm64,
            other => MadeFor::Other(format!("{:?}", other)),
        }
    }

    /// By class and e_machine.
    fn of_elf(file: &[u8], little_endian: bool) -> MadeFor {
        let half = file.get(18..20).map_or(0, |half| u16::from_be_bytes([half[0], half[1]]));
        let machine = if little_endian { half.swap_bytes() } else { half };
        match (machine, file.get(4)) {
            (8, Some(1)) => MadeFor::Mips,
            (8, _) => MadeFor::Other("64-bit MIPS".into()),
            (183, _) => MadeFor::Arm64,
            (other, _) => MadeFor::Other(format!("ELF machine {other}")),
        }
    }
}

impl Facts<'_> {
    /// Bytes that the bootloader itself handles: of an image for flash only the container.
    fn started(&self) -> usize {
        let flash = self.stoop.as_ref().filter(|opened| opened.flash.is_some());
        flash.map_or(self.file.len(), |opened| opened.note.manifest)
    }
}

/// Looks for everything that could go wrong.
///
/// # Errors
/// The file is empty, or ends within its own header.
pub fn examine(file: &[u8], board: &Board) -> Result<Vec<Finding>> {
    let facts = facts(file)?;
    let mut findings = vec![checksums(&facts), arch(&facts, board), containers(&facts, board)];
    findings.extend(image_limit(&facts, board));
    findings.extend(decoder(&facts, board));
    findings.push(ram(&facts, board));
    findings.push(reserved_top(&facts, board));
    findings.extend(staging_buffer(&facts, board));
    findings.push(tftp(&facts, board));
    findings.extend(partition(&facts, board));
    if let Some(opened) = &facts.stoop {
        findings.extend(shim(&facts, opened, board));
    }
    Ok(findings)
}

fn ok(what: &'static str, says: impl Into<String>) -> Finding {
    Finding { level: Level::Ok, what, says: says.into(), fix: None }
}

fn found(level: Level, what: &'static str, says: String, fix: &str) -> Finding {
    Finding { level, what, says, fix: Some(fix.to_owned()) }
}

fn no(what: &'static str, says: String, fix: &str) -> Finding {
    found(Level::No, what, says, fix)
}

fn span(region: Region) -> String {
    format!("[0x{:08x}, 0x{:08x})", region.start(), region.end())
}

fn facts(file: &[u8]) -> Result<Facts<'_>> {
    let stoop = image::open(file).ok();
    let low = |address: u64| usize::try_from(physical(address)).ok();
    let region = |start: Option<usize>, size: usize| Region::new(start?, size);
    let mut facts = Facts {
        file,
        form: String::new(),
        container: None,
        wrong: Vec::new(),
        compressed: None,
        bytes: Vec::new(),
        load: Region::EMPTY,
        entry: None,
        big_endian: None,
        machine: MadeFor::Unsaid,
        checked: Vec::new(),
        unchecked: Vec::new(),
        stoop: None,
    };
    let (codec, data) = match Image::of(file)? {
        Image::Uimage { load, entry, size, compression } => {
            let data = &file[64..64 + size as usize];
            let header = header(file);
            if header.as_ref().is_none_or(|header| !header.header_good) {
                facts.wrong.push("the uImage header's CRC-32 does not match".into());
            }
            if header.is_some_and(|header| header.data_crc != checksum(data)) {
                facts.wrong.push("the CRC-32 of the uImage's data does not match".into());
            }
            facts.checked.push("CRC-32 of the uImage's header and data".into());
            facts.machine = MadeFor::of_uimage(file[29]);
            facts.entry = low(entry.into());
            facts.load = Region::new(low(load.into()).unwrap_or(0), 0).unwrap_or(Region::EMPTY);
            let codec = uimage::codec(compression);
            (facts.form, facts.container) = match codec {
                Some(None) => ("a uImage, not compressed".into(), Some(Container::UimageNone)),
                Some(Some(Codec::Gzip)) => ("a uImage, gzip".into(), Some(Container::UimageGzip)),
                Some(Some(Codec::Lzma)) => ("a uImage, lzma".into(), Some(Container::UimageLzma)),
                Some(Some(codec)) => (format!("a uImage, {}", codec.name()), None),
                None => (format!("a uImage with the unknown compression {compression}"), None),
            };
            (codec.flatten(), data)
        }
        Image::Fit { load, .. } => {
            let kernel = fit::read(file)?.kernel;
            facts.wrong.extend(kernel.wrong);
            facts.checked.extend(kernel.hashes.iter().map(|hash| format!("{hash} of the FIT's {}", kernel.name)));
            facts.unchecked.extend(kernel.unchecked.iter().map(|hash| format!("{hash} of the FIT's {}", kernel.name)));
            facts.machine = MadeFor::of_fit(kernel.arch);
            facts.entry = low(kernel.entry.unwrap_or(load.into()));
            facts.load = Region::new(low(load.into()).unwrap_or(0), 0).unwrap_or(Region::EMPTY);
            (facts.form, facts.container) = ("a FIT".into(), Some(Container::Fit));
            (fit::codec(kernel.compression).unwrap_or_default(), kernel.data)
        }
        Image::Elf { little_endian, load } => {
            (facts.form, facts.container) = ("an ELF file".into(), Some(Container::Elf));
            facts.big_endian = Some(!little_endian);
            facts.machine = MadeFor::of_elf(file, little_endian);
            if let Some((start, end)) = load {
                facts.load = region(low(start), (end - start) as usize).unwrap_or(Region::EMPTY);
            }
            let word = be32(file, 24).map(|word| if little_endian { word.swap_bytes() } else { word });
            facts.entry = word.and_then(|word| low(word.into()));
            (None, file)
        }
        Image::Arm64 { .. } => {
            (facts.form, facts.container) = ("an arm64 Image".into(), Some(Container::Image));
            facts.machine = MadeFor::Arm64;
            // Where its loader would put it is where it was laid out for.
            if let Some(opened) = &stoop {
                facts.load = region(Some(opened.load), file.len()).unwrap_or(Region::EMPTY);
                facts.entry = Some(opened.load);
            }
            (None, file)
        }
        Image::Raw => {
            (facts.form, facts.container) = ("bytes without a header".into(), Some(Container::Raw));
            (None, file)
        }
    };
    facts.compressed = codec.map(|codec| (codec, data));
    facts.bytes = match codec {
        None => data.to_vec(),
        Some(codec) => codec.decode(data, KSEG_SIZE as u64).unwrap_or_else(|failure| {
            facts.wrong.push(failure.fact().to_owned());
            Vec::new()
        }),
    };
    if !matches!(facts.container, Some(Container::Elf | Container::Raw | Container::Image)) {
        facts.load = region(Some(facts.load.start()), facts.bytes.len()).unwrap_or(Region::EMPTY);
    }
    facts.big_endian = match &stoop {
        Some(opened) => Some(opened.note.big_endian),
        None => facts.big_endian.or_else(|| mips_byte_order(&facts.bytes)),
    };
    facts.stoop = stoop;
    Ok(facts)
}

fn checksums(facts: &Facts<'_>) -> Finding {
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

fn arch(facts: &Facts<'_>, board: &Board) -> Finding {
    let big = board.arch.is_big_endian();
    let order = |big| if big { "big" } else { "little" };
    let other = |says: &str| {
        let says = format!("it is for {says}, {} is {}", board.name, board.arch);
        no("arch", says, "give an image that was built for this board")
    };
    match facts.big_endian {
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

fn containers(facts: &Facts<'_>, board: &Board) -> Finding {
    let bootloader = &board.bootloader;
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
        _ => no(
            "containers",
            format!("{} is not known to start {}", bootloader.name, facts.form),
            "pack with another --format: see `stoop boards show`",
        ),
    }
}

fn image_limit(facts: &Facts<'_>, board: &Board) -> Option<Finding> {
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
fn decoder(facts: &Facts<'_>, board: &Board) -> Vec<Finding> {
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

fn ram(facts: &Facts<'_>, board: &Board) -> Finding {
    let fix = "pack it for this board";
    if facts.load.is_empty() {
        return ok("ram", "it runs where it is fetched to");
    }
    let entry = Region::new(facts.entry.unwrap_or(0), 4).unwrap_or(Region::EMPTY);
    if !board.ram.contains(&facts.load) {
        let says = format!("it is loaded to {}, RAM is {}", span(facts.load), span(board.ram));
        return no("ram", says, fix);
    }
    if !facts.load.contains(&entry) {
        let says = format!("its entry point 0x{:08x} is not in {}", entry.start(), span(facts.load));
        return no("ram", says, "build or pack it again");
    }
    ok("ram", format!("it is loaded to {}", span(facts.load)))
}

fn reserved_top(facts: &Facts<'_>, board: &Board) -> Finding {
    let free = board.free_ram();
    let top = Region::between(free.end(), board.ram.end()).unwrap_or(Region::EMPTY);
    match facts.load.overlaps(&top) {
        true => no(
            "reserved-top",
            format!("it is loaded to {}, where the bootloader itself runs: {}", span(facts.load), span(top)),
            "pack it for this board",
        ),
        false => ok("reserved-top", format!("the bootloader keeps {}", span(top))),
    }
}

fn staging_buffer(facts: &Facts<'_>, board: &Board) -> Option<Finding> {
    let buffer = board.bootloader.staging?;
    let copied = Region::new(buffer.start(), facts.started()).unwrap_or(buffer);
    Some(if copied.end() > buffer.end() {
        let says = format!("0x{:x} bytes do not fit the staging buffer {}", facts.started(), span(buffer));
        no("staging", says, "pack it smaller: --codec lzma, or less in it")
    } else if facts.load.overlaps(&copied) {
        let says = format!("it is loaded to {}, over its own copy in {}", span(facts.load), span(copied));
        no("staging", says, "pack it for this board: stoop keeps off the staging buffer")
    } else {
        ok("staging", format!("its copy in {} is not overwritten", span(copied)))
    })
}

/// Fetching it: to the usual address, or to a better one.
fn tftp(facts: &Facts<'_>, board: &Board) -> Finding {
    let Some(typed) = board.bootloader.tftp_address else {
        return found(Level::Unknown, "tftp-address", "where it fetches files to is not known".into(), "ask the board");
    };
    let (usual, size, free) = (board.physical(typed), facts.file.len(), board.free_ram());
    let load = (!facts.load.is_empty()).then(|| facts.load.start() as u64..facts.load.end() as u64);
    let fits = |at: usize| Region::new(at, size).is_some_and(|file| free.contains(&file));
    match staging(usual as u64, size as u64, load, free.end() as u64).map(|at| at as usize) {
        Ok(at) if at == usual && fits(at) => ok("tftp-address", format!("tftpboot 0x{typed:08x} overwrites nothing")),
        Ok(at) if fits(at) => found(
            Level::Warn,
            "tftp-address",
            format!("fetched to 0x{typed:08x}, it is overwritten while it is loaded to {}", span(facts.load)),
            &format!("fetch it to 0x{:08x}", board.typed(at)),
        ),
        _ => found(
            // What is written to flash can come from elsewhere.
            if facts.started() < size { Level::Warn } else { Level::No },
            "tftp-address",
            format!("0x{size:x} bytes fetched to 0x{typed:08x} do not fit RAM below 0x{:08x}", board.typed(free.end())),
            "pack it smaller, or start it from flash",
        ),
    }
}

fn partition(facts: &Facts<'_>, board: &Board) -> Option<Finding> {
    if let Some(opened) = &facts.stoop
        && let Some(note) = opened.flash
    {
        return Some(flash_map(opened, note, board).unwrap_or_else(|says| no("flash", says, "pack it for this board")));
    }
    let partition = board.flash.as_ref()?.image(None)?;
    let (size, room) = (facts.file.len(), partition.size);
    Some(match size > room {
        true => found(
            Level::Warn,
            "flash",
            format!("0x{size:x} bytes do not fit the partition {}, 0x{room:x} bytes", partition.name),
            "start it over the network, or pack it smaller",
        ),
        false => ok("flash", format!("0x{size:x} of the partition {}'s 0x{room:x} bytes", partition.name)),
    })
}

/// Whether every stretch of an image for flash has its place in the board's map, and no other.
fn flash_map(opened: &Opened<'_>, note: FlashNote, board: &Board) -> std::result::Result<Finding, String> {
    let map = Map::of(board).map_err(|failure| failure.fact().to_owned())?;
    let slot = map.slot(Some(char::from(note.slot))).map_err(|failure| failure.fact().to_owned())?;
    let rootfs = slot.rootfs.as_ref();
    let rootfs = (!note.rootfs.is_empty()).then_some(("rootfs", note.rootfs.start(), note.rootfs.size(), rootfs));
    let boot = ("boot", map.boot.address(), opened.note.manifest, Some(&map.boot));
    for (what, at, size, area) in [boot, ("slot", note.at, note.size, Some(&slot.area))].into_iter().chain(rootfs) {
        let area = area.ok_or_else(|| format!("the map has no partition for the {what} of slot {}", slot.name))?;
        if at != area.address() {
            return Err(format!("its {what} belongs to 0x{at:08x}, the map has it at 0x{:08x}", area.address()));
        }
        if size > area.size() {
            let (name, room) = (area.partition(), area.size());
            return Err(format!("its {what} has 0x{size:x} bytes, the flash partition {name} 0x{room:x}"));
        }
    }
    let params = opened.params(&Crc32::new()).map_err(|error| error.to_string())?;
    if params.slots().ne(map.listed()) {
        return Err("its shim looks for other slots than the map has".into());
    }
    Ok(ok("flash", format!("slot {}, 0x{:x} of 0x{:x} bytes", slot.name, note.size, slot.area.size())))
}

/// What the shim was told about its board, and what it would do.
fn shim(facts: &Facts<'_>, opened: &Opened<'_>, board: &Board) -> Vec<Finding> {
    let mut findings = Vec::new();
    let (crc, again) = (Crc32::new(), "pack it for this board");
    // Damaged params are among the checksums.
    let Ok(params) = opened.params(&crc) else { return findings };
    if !board.ram.contains(&params.ram()) {
        let says = format!("the shim was told that RAM is {}, it is {}", span(params.ram()), span(board.ram));
        findings.push(no("ram", says, again));
    }
    if !params.flash().is_empty() && params.flash() != board.flash_window() {
        let says = format!("the shim reads flash at {}, it is at {}", span(params.flash()), span(board.flash_window()));
        findings.push(no("flash-window", says, again));
    }
    if params.uart() != board.uart {
        let (ours, theirs) = (params.uart(), board.uart);
        let kind = |uart: stoop_core::params::Uart| board::uart_kind(uart.kind);
        let says = format!(
            "the shim talks to {} at 0x{:08x}, the board has {} at 0x{:08x}",
            kind(ours),
            ours.address,
            kind(theirs),
            theirs.address
        );
        findings.push(found(Level::Warn, "uart", says, again));
    }
    let Ok(manifest) = opened.manifest(&crc) else { return findings };
    let places = Kind::ALL.map(|kind| (kind.subject().text(), manifest.payload(kind).place));
    let all = places.into_iter().chain([("shim", opened.note.run), ("dtb", manifest.tree())]);
    for (name, place) in all.filter(|(_, place)| !place.is_empty() && !board.ram.contains(place)) {
        let says = format!("the {name} goes to {}, RAM is {}", span(place), span(board.ram));
        findings.push(no("ram", says, again));
    }
    let free = board.free_ram();
    if opened.note.run.end() > free.end() {
        let says = format!("the shim runs at {}, in the bootloader's own RAM", span(opened.note.run));
        findings.push(no("reserved-top", says, again));
    }
    let packed = !manifest.payload(Kind::Dtb).source.is_empty();
    let entry = if packed { Entry::None } else { Entry::Uhi(device_tree::empty()) };
    let outcome = simulate::run(facts.file, &Input { entry, load: None });
    findings.push(match outcome.map(|outcome| outcome.result) {
        Ok(Ok(booted)) => ok("shim", format!("it boots slot {}", booted.slot)),
        Ok(Err(error)) => {
            no("shim", format!("it gives up: {error}"), &format!("see `stoop explain E{:02}`", error.number()))
        }
        Err(failure) => no("shim", failure.fact().to_owned(), again),
    });
    findings
}
