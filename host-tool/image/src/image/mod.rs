//! From a plan to the bytes of an image: the tree with its command line, stored payloads, layout, params, manifest, and the
//! container around them.

mod argv;
mod arm64;
mod auto;
mod codec;
pub mod container;
mod fit;
pub mod nor;
mod note;
pub mod open;

use std::borrow::Cow;

use stoop_core::Region;
use stoop_core::abi::Abi;
use stoop_core::arm64::Arm64;
use stoop_core::boot;
use stoop_core::codec::Codec;
use stoop_core::crc32::Crc32;
use stoop_core::fdt::Additions;
use stoop_core::manifest::{self, Entry, HandoffKind, Kind, Listing, Machine};
use stoop_core::mips::Mips;
use stoop_core::params::{CookieRule, MAX_SIZE, Settings, SlotAt};

use self::auto::{Speed, Way};
use crate::input::{Arch, Form};
use crate::kexec::BEHIND_SHIM;
use crate::layout::{self, GRAIN, KernelNeed, Need, PAGE, Places, Shape};
use crate::plan::{ALIAS, CodecWish, Format, Phram, Plan, RootfsIn, add_words};
use crate::progress::Progress;
use crate::shim_image::{self, Header};
use crate::{Failure, Result, device_tree};

pub use codec::checksum;
pub use note::{FlashNote, Note};
pub use open::{Opened, is_foreign, open, open_container};

/// The final tree may be larger than its base and the additions by accepted bootargs and padding.
const TREE_GROWTH: usize = 4096 + 64;
/// The most that the additions' size depends on the digits of addresses in it, and on what that moves.
const ADDITIONS_SLACK: usize = 256;
/// Room for the final tree when it is made from one that is not known yet.
const UNKNOWN_TREE: usize = 0x2_0000;
/// Clears what a kernel whose bss is unknown may clear: an appended tree's slot of 1 MiB and as much again.
const UNKNOWN_BSS: usize = 0x20_0000;
/// The longest command line that a MIPS kernel takes, in bytes without NUL.
pub const LONGEST_LINE: usize = <Mips<true> as Abi>::COMMAND_LINE_SIZE - 1;

/// The longest command line that a kernel takes, in bytes without NUL (its uapi/asm/setup.h: COMMAND_LINE_SIZE).
pub fn longest_line(arch: Arch) -> usize {
    match arch {
        Arch::MipsBe | Arch::MipsLe => LONGEST_LINE,
        Arch::Arm64 => <Arm64 as Abi>::COMMAND_LINE_SIZE - 1,
    }
}

/// A payload as it is packed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    /// What it is.
    pub kind: Kind,
    /// How it is stored.
    pub codec: Codec,
    /// Why so.
    pub why: String,
    /// Bytes in the file.
    pub stored: usize,
    /// Bytes after decoding.
    pub decoded: usize,
    /// Of the stored bytes.
    pub crc: u32,
    /// Where it goes; empty when it is read where it is.
    pub place: Region,
}

/// A finished image.
#[derive(Clone, Debug)]
pub struct Built {
    /// The file.
    pub file: Vec<u8>,
    /// Where everything is.
    pub places: Places,
    /// Bytes of the shim with its params, as stored.
    pub shim: usize,
    /// Bytes from the load address on, of ELF the first segment's.
    pub image: usize,
    /// In the order of delivery.
    pub payloads: Vec<Packed>,
    /// The kernel's command line before bootargs.
    pub line: Vec<u8>,
    /// Physical.
    pub entry_point: usize,
    /// For flash: where its stretches go.
    pub flash: Option<nor::Flashing>,
    /// For flash: RAM has no room for copies, so the shim reads what it decodes once to check it and once more to use it.
    pub reads_twice: bool,
}

/// Makes the image.
///
/// # Errors
/// A command line that is too long, too little RAM, overlaps, params that do not fit.
pub fn build(plan: &Plan, progress: &mut dyn Progress) -> Result<Built> {
    let asked = |codec| (codec, "asked for".to_owned());
    let (codec, why) = match plan.codec {
        CodecWish::Store => asked(Codec::Store),
        CodecWish::Lz4 => asked(Codec::Lz4),
        CodecWish::Lzma => asked(Codec::Lzma),
        CodecWish::Auto => match Budget::of(plan)? {
            Err(why) => (Codec::Store, why.into()),
            Ok(budget) => match build_best(plan, &budget, progress)? {
                Some(built) => return Ok(built),
                None => {
                    let name = &budget.partition;
                    (Codec::Store, format!("the fastest: the flash partition {name} is too small in any case"))
                }
            },
        },
    };
    progress.step(if codec == Codec::Store { "packing" } else { "compressing the kernel" }, None);
    build_with(plan, codec::encode(codec, &plan.kernel.image, why)?)
}

/// Seconds from the shim's first instruction to the kernel's, by the board's data, if they say how fast its CPU is and, when
/// flash is read as memory, that; estimated as for `--codec auto`.
pub fn seconds(plan: &Plan, built: &Built) -> Option<f64> {
    let board = &plan.board;
    // What is not in a slot the bootloader has copied to RAM.
    let speed = match &built.flash {
        Some(_) => Speed::of(board, 2)?,
        None => Speed { read: u64::MAX, clock: board.cpu_clock.filter(|_| board.arch.is_mips())? as u64, times: 0 },
    };
    let way = |packed: &Packed| Way { codec: packed.codec, stored: packed.stored, decoded: packed.decoded };
    let micros: u64 = built.payloads.iter().map(|packed| way(packed).time(&speed)).sum();
    Some(micros as f64 / 1e6)
}

/// The image with the codec that is wanted most of those with which it fits; `None` when it fits with none.
fn build_best(plan: &Plan, budget: &Budget, progress: &mut dyn Progress) -> Result<Option<Built>> {
    progress.step("compressing the kernel", None);
    // The shim reads a slot once, if RAM has room for copies; a bootloader copies the whole image to RAM.
    match best(plan, budget, 1)? {
        Some(built) if built.reads_twice => best(plan, budget, 2),
        built => Ok(built),
    }
}

/// The same, when flash is read so many times.
fn best(plan: &Plan, budget: &Budget, times: u64) -> Result<Option<Built>> {
    let kernel = &plan.kernel.image;
    let all = [Codec::Store, Codec::Lz4, Codec::Lzma].map(|codec| codec::encode(codec, kernel, String::new()));
    let mut all = all.into_iter().collect::<Result<Vec<_>>>()?;
    let way =
        |stored: &codec::Stored<'_>| Way { codec: stored.codec, stored: stored.bytes.len(), decoded: kernel.len() };
    let speed = Speed::of(&plan.board, times);
    all.sort_by_key(|stored| way(stored).rank(speed.as_ref()));
    let ways: Vec<Way> = all.iter().map(way).collect();
    let mut smallest = (usize::MAX, None);
    for (number, mut stored) in all.into_iter().enumerate() {
        stored.why = auto::why(&ways, number, speed.as_ref(), &budget.partition);
        match build_with(plan, stored) {
            Ok(built) if built.file.len() <= budget.size => return Ok(Some(built)),
            Ok(_) => {}
            // A slot counts its blocks itself.
            Err(failure) if budget.is_slot => {
                if ways[number].stored < smallest.0 {
                    smallest = (ways[number].stored, Some(failure));
                }
            }
            Err(failure) => return Err(failure),
        }
    }
    smallest.1.map_or(Ok(None), Err)
}

const COMPRESSED: &str = "a vmlinuz is compressed already";

/// Where the image has to fit.
struct Budget {
    /// The name of the partition that it would be flashed to.
    partition: String,
    /// Most bytes of the file.
    size: usize,
    /// A slot, which the shim reads where it lies.
    is_slot: bool,
}

impl Budget {
    /// The inner error: why no codec but store can make a difference.
    fn of(plan: &Plan) -> Result<std::result::Result<Budget, &'static str>> {
        if plan.format.value == Format::Elf {
            return Ok(Err("ELF segments are loaded where they belong"));
        }
        if matches!(plan.kernel.form.innermost(), Form::Vmlinuz) {
            return Ok(Err(COMPRESSED));
        }
        if plan.format.value == Format::Nor {
            let map = nor::Map::of(&plan.board)?;
            let partition = map.slot(plan.slot)?.area.partition().to_owned();
            return Ok(Ok(Budget { partition, size: usize::MAX, is_slot: true }));
        }
        let flash = plan.board.flash.as_ref().and_then(|flash| flash.image(None));
        let Some(partition) = flash else { return Ok(Err("the board has no flash to fit into")) };
        let others =
            plan.initrd.as_ref().map_or(0, Vec::len) + plan.rootfs.as_ref().map_or(0, |rootfs| rootfs.bytes.len());
        Ok(match others < partition.size {
            true => Ok(Budget { partition: partition.name.clone(), size: partition.size, is_slot: false }),
            false => Err("the fastest: what else is packed does not fit the flash anyway"),
        })
    }
}

fn build_with(plan: &Plan, kernel: codec::Stored<'_>) -> Result<Built> {
    if plan.arch() == Arch::Arm64 {
        return arm64::build(plan, kernel);
    }
    if plan.format.value == Format::Nor {
        return nor::build(plan, kernel);
    }
    // The loader of an ELF file can put a kernel that needs no decoder where it belongs; kexec only by whole pages.
    let elf = plan.format.value == Format::Elf;
    let apart = elf && kernel.codec == Codec::Store && plan.kernel.load_address.is_multiple_of(GRAIN as u64);
    let others = plan.initrd.as_ref().map_or(0, Vec::len) + plan.rootfs.as_ref().map_or(0, |rootfs| rootfs.bytes.len());
    // What kexec copies behind the shim pushes it out of the data cache; if there is too little, zeros.
    let least = if elf && others < BEHIND_SHIM { BEHIND_SHIM } else { 0 };
    // The addresses in it have a fixed width: the line's length does not depend on the layout.
    let mut line = command_line(plan, &Places::default())?;
    let dtb = plan.dtb.as_ref().map(|dtb| &dtb.value[..]);
    let additions_size = additions(plan, &line, &Places::default())?.len() + ADDITIONS_SLACK;
    // Everything but the kernel is stored as it is.
    let variant = plan.shim([kernel.codec]);
    let shim = shim_image::prebuilt(plan.arch(), variant)?;
    let crc = Crc32::new();

    let run_size = shim_image::run_size(shim)?;
    // Its addresses have a fixed width, too.
    let tables_size = argv::tables(plan, &Places::default(), 0)?.map_or(0, |(block, _)| block.len());
    let slots = |manifest_at| [SlotAt { name: b'-', relative: true, address: manifest_at }];
    // Numbers have fixed widths in the params.
    let params_size = params(plan, &slots(0), &crc)?.len();
    let manifest_at = shim_image::stored_size(shim, params_size, plan.shim_form())?.next_multiple_of(16);
    let params = params(plan, &slots(manifest_at), &crc)?;
    let mut skew = 0;
    loop {
        let dtb_at = (manifest_at + manifest::SIZE + note::SIZE + note::BOARD_SIZE).next_multiple_of(16);
        let additions_at = (dtb_at + dtb.map_or(0, <[u8]>::len)).next_multiple_of(16);
        let tables_at = (additions_at + additions_size).next_multiple_of(16);
        let tables_end = tables_at + tables_size;
        let kernel_at = tables_end.next_multiple_of(16) + skew;
        let head = if apart { tables_end } else { kernel_at + kernel.bytes.len() };
        let head = head.max(least);
        let places = layout::place(&need(plan, head, run_size, additions_size)?)?;
        let load = places.head.start();
        if !apart && fakes_a_wrap(load + kernel_at, plan.kernel.load_address as usize) {
            skew += 16;
            continue;
        }
        let header = Header::Mips { run_address: stoop_core::mips::kseg0(places.run.start()) };
        let front = shim_image::front(shim, header, &params, plan.shim_form())?;
        line = command_line(plan, &places)?;
        let additions = additions(plan, &line, &places)?;
        if additions.len() > additions_size {
            let size = additions.len();
            return Err(
                Failure::new(format!("the additions to the device tree grew to 0x{size:x} bytes")).next("report this")
            );
        }
        let (tree, additions_place) = tree_room(plan, &places, additions.len())?;
        let kernel_place = Region::new(plan.kernel.load_address as usize, plan.kernel.image.len());
        let kernel_place = kernel_place.unwrap_or(Region::EMPTY);
        let initrd = plan.initrd.as_deref().map(Cow::Borrowed);
        let rootfs = plan.rootfs.as_ref().map(|rootfs| Cow::Borrowed(&rootfs.bytes[..]));
        let kernel_source = if apart { kernel_place.start() } else { load + kernel_at };
        let memory = plan.kernel.memory_size as usize;
        let tables = argv::tables(plan, &places, places.tree.start())?;
        let parts = [
            Some(Part::new(Kind::Kernel, kernel.clone(), kernel_source, kernel_place, memory)),
            initrd.map(|bytes| Part::in_place(Kind::Initrd, bytes, places.initrd)),
            rootfs.map(|bytes| Part::in_place(Kind::Rootfs, bytes, places.rootfs)),
            dtb.map(|dtb| Part::new(Kind::Dtb, codec::stored(Cow::Borrowed(dtb)), load + dtb_at, Region::EMPTY, 0)),
            tables.map(|(bytes, place)| {
                Part::new(Kind::Env, codec::stored(Cow::Owned(bytes)), load + tables_at, place, place.size())
            }),
            Some(Part::new(
                Kind::Additions,
                codec::stored(Cow::Borrowed(&additions)),
                load + additions_at,
                additions_place,
                additions.len(),
            )),
        ];
        let parts: Vec<Part> = parts.into_iter().flatten().collect();
        let listing = listing(plan, tree, &parts, load + manifest_at);
        let note = Note { big_endian: plan.arch().big_endian(), run: places.run, load, manifest: manifest_at, variant };
        let mut head = front.bytes.clone();
        head.resize(manifest_at, 0);
        head.extend_from_slice(&listing.encode(&crc));
        head.extend_from_slice(&note.encode(&crc));
        head.extend_from_slice(&note::board(&plan.board.name, &crc));
        let pieces = pieces(load, head, &parts);
        let image = pieces[0].1.len();
        let (shim, entry_point) = (front.bytes.len(), plan.kernel.entry_point as usize);
        let payloads = parts.iter().map(Part::packed).collect();
        let file = container::wrap(plan, places.head, pieces)?;
        return Ok(Built { file, shim, image, payloads, line, entry_point, places, flash: None, reads_twice: false });
    }
}

/// One payload on its way into the image.
struct Part<'a> {
    kind: Kind,
    stored: codec::Stored<'a>,
    source: usize,
    destination: Region,
    place: Region,
    /// Where it lies does not depend on where the manifest does.
    absolute: bool,
}

impl<'a> Part<'a> {
    fn new(kind: Kind, stored: codec::Stored<'a>, source: usize, destination: Region, memory: usize) -> Self {
        let place = Region::new(destination.start(), memory).unwrap_or(destination);
        Part { kind, stored, source, destination, place, absolute: false }
    }

    /// It lies where it is needed as soon as the image is where it belongs.
    fn in_place(kind: Kind, bytes: Cow<'a, [u8]>, place: Region) -> Self {
        let destination = Region::new(place.start(), bytes.len()).unwrap_or(place);
        Part { kind, source: place.start(), destination, place, stored: codec::stored(bytes), absolute: false }
    }

    fn packed(&self) -> Packed {
        let stored = &self.stored;
        let decoded = if self.destination.is_empty() { stored.bytes.len() } else { self.destination.size() };
        let (codec, why, crc) = (stored.codec, stored.why.clone(), stored.crc);
        Packed { kind: self.kind, codec, why, stored: stored.bytes.len(), decoded, crc, place: self.place }
    }
}

/// A copy of the kernel at 2^n bytes from the kernel looks to arch/mips/kernel/setup.c (detect_memory_region) like the end of
/// RAM.
fn fakes_a_wrap(copy: usize, kernel: usize) -> bool {
    let distance = copy.abs_diff(kernel);
    distance.is_power_of_two() && distance >= 0x20_0000
}

fn need(plan: &Plan, head: usize, run: usize, additions: usize) -> Result<Need> {
    let kernel = &plan.kernel;
    let slack = |exact: bool| if exact { 0 } else { UNKNOWN_BSS as u64 };
    let start = kernel.load_address;
    let place = crate::plan::region(&(start..start + kernel.memory_size + slack(kernel.memory_exact)))?;
    let inner = kernel.decompresses_to.as_ref();
    let decompressed =
        inner.map(|inner| crate::plan::region(&(inner.region.start..inner.region.end + slack(inner.exact))));
    let moves = kernel.relocation.as_ref().filter(|relocation| !(relocation.random && plan.stays()));
    let bootloader = &plan.board.bootloader;
    let reserved = plan.facts.reserved.iter().filter_map(|(_, range)| crate::plan::region(range).ok());
    Ok(Need {
        ram: plan.board.ram,
        bootloader: bootloader.reserved_top,
        staging: bootloader.staging,
        download: bootloader.tftp_address.map(|address| plan.board.physical(address)),
        reserved: reserved.collect(),
        ramoops: plan.ramoops.map_or(Region::EMPTY, |ramoops| ramoops.region),
        dynamic: dynamic(plan),
        kernel: KernelNeed {
            place,
            decompressed: decompressed.transpose()?,
            relocation: moves.map(|relocation| crate::plan::region(&relocation.region)).transpose()?,
        },
        run,
        tree: match plan.handoff.value {
            HandoffKind::Appended => 0,
            // The additions are in it twice: merged, and on their way.
            _ => {
                let base = plan.dtb.as_ref().map_or(UNKNOWN_TREE, |dtb| dtb.value.len());
                (base + TREE_GROWTH + 2 * additions).next_multiple_of(PAGE)
            }
        },
        argv: plan.called_with_argv(),
        head,
        initrd: plan.initrd.as_ref().map_or(0, Vec::len),
        rootfs: plan.rootfs.as_ref().map_or(0, |rootfs| rootfs.bytes.len()),
        // nor.rs knows them.
        copies: 0,
        shape: match plan.format.value {
            Format::Uimage => Shape::Copied { header: container::UIMAGE_HEADER },
            Format::Fit => Shape::Copied { header: fit::ROOM },
            Format::Raw | Format::Image => Shape::Direct,
            Format::Elf => Shape::Segments,
            // nor.rs puts the places there.
            Format::Nor => Shape::Flash { load: Region::EMPTY, run: Region::EMPTY },
        },
    })
}

/// What the kernel looks for a place for.
fn dynamic(plan: &Plan) -> Vec<layout::Room> {
    let room = |dynamic: &device_tree::Dynamic| layout::Room {
        name: dynamic.name.clone(),
        size: dynamic.size as usize,
        align: dynamic.align as usize,
        within: dynamic.within.iter().filter_map(|range| crate::plan::region(range).ok()).collect(),
    };
    plan.facts.dynamic.iter().map(room).collect()
}

/// The base line with the words for what the device tree cannot tell. With `places` of nothing the addresses in it mean
/// nothing, but the length is right.
fn command_line(plan: &Plan, places: &Places) -> Result<Vec<u8>> {
    let mut line = plan.line.clone();
    let (start, size) = (places.rootfs.start(), places.rootfs.size());
    let root =
        |name: String| if plan.line_takes_root { format!("root={name} rootfstype=squashfs") } else { String::new() };
    if plan.has_line() {
        let words = match plan.phram.value {
            Phram::Off if plan.rootfs_in == RootfsIn::Flash && plan.rootfs.is_some() => {
                root(format!("/dev/mtdblock{ALIAS}"))
            }
            Phram::Off => String::new(),
            Phram::Tree => root(format!("/dev/mtdblock{ALIAS}")),
            Phram::CommandLine => {
                let root = root("/dev/mtdblock0".into());
                let blank = if root.is_empty() { "" } else { " " };
                // Nobody else reserves its memory: memmap=SIZE$START adds the range and reserves it.
                format!("phram.phram=rootfs,0x{start:08x},0x{size:08x} memmap=0x{size:08x}$0x{start:08x}{blank}{root}")
            }
        };
        add_words(&mut line, words.as_bytes());
    }
    if let Some(initrd) = plan.initrd.as_ref().filter(|_| plan.dtb.is_some() && !plan.tree_is_seen()) {
        // A virtual address (arch/mips/kernel/setup.c: rd_start_early).
        let start = stoop_core::mips::kseg0(places.initrd.start()) as u32;
        add_words(&mut line, format!("rd_start=0x{start:08x} rd_size=0x{:08x}", initrd.len()).as_bytes());
    }
    let longest = longest_line(plan.arch());
    if line.len() > longest {
        return Err(Failure::new(format!("the command line has {} bytes, the kernel takes {longest}", line.len()))
            .next("shorten --cmdline, --append or the device tree's bootargs"));
    }
    Ok(line)
}

/// The tree as given; with an alias for the partition that the kernel mounts, so that its number is known.
fn own_tree(plan: &Plan, rootfs: Option<Region>) -> Result<Option<Cow<'_, [u8]>>> {
    let Some(dtb) = &plan.dtb else { return Ok(None) };
    let (Some(rootfs), true) = (rootfs, plan.line_takes_root) else { return Ok(Some(Cow::Borrowed(&dtb.value))) };
    if !plan.tree_is_seen() {
        return Err(Failure::usage(
            "the kernel does not see the device tree: which number its flash partition has is not known",
        )
        .next("name the root with `--append root=/dev/mtdblockN`"));
    }
    let bytes = rootfs.start() as u64..rootfs.end() as u64;
    let path = plan.facts.partitions.iter().find(|(_, range)| *range == bytes).map(|(path, _)| path);
    let path = path.ok_or_else(|| {
        Failure::new(format!(
            "the device tree has no flash partition [0x{:x}, 0x{:x}) for the root filesystem",
            bytes.start, bytes.end
        ))
        .next("add it to the fixed-partitions of the flash, or name the root with `--append root=/dev/mtdblockN`")
    })?;
    let alias = format!("mtd{ALIAS}");
    if let Some((_, other)) = plan.facts.aliases.iter().find(|(name, other)| *name == alias && other != path) {
        return Err(Failure::new(format!("the device tree has an alias {alias} of its own, for {other}"))
            .next("take another number for it"));
    }
    let tree = device_tree::with_alias(&dtb.value, &alias, path);
    let damaged = || Failure::new("the device tree is damaged").next("compile it again with dtc -I dts -O dtb");
    Ok(Some(Cow::Owned(tree.ok_or_else(damaged)?)))
}

/// What the final tree has that its base has not.
fn additions(plan: &Plan, line: &[u8], places: &Places) -> Result<Vec<u8>> {
    additions_of(plan, line, places, false).map(|(bytes, _)| bytes)
}

/// The same, and where there are addresses that count from the image.
fn additions_of(plan: &Plan, line: &[u8], places: &Places, relative: bool) -> Result<(Vec<u8>, [u16; 3])> {
    let packed = plan.dtb.is_some();
    let (initrd, rootfs) = (places.initrd, places.rootfs);
    let pages = Region::new(rootfs.start(), rootfs.size().next_multiple_of(boot::PAGE)).unwrap_or(rootfs);
    let initrd = Region::new(initrd.start(), plan.initrd.as_ref().map_or(0, Vec::len)).unwrap_or(initrd);
    let what = Additions {
        cells: plan.facts.cells,
        line: Some(line),
        initrd: plan.initrd.is_some().then_some(initrd),
        phram: (plan.phram.value == Phram::Tree).then_some((pages, ALIAS)),
        // Whether the bootloader's tree has RAM is seen on the board.
        memory: (!packed || plan.facts.memory.is_empty()).then_some(plan.board.ram),
        ramoops: plan.ramoops,
        report: Some(env!("CARGO_PKG_VERSION")),
        relative,
    };
    let mut bytes = vec![0; line.len() + 4096];
    let (size, relative) = what.encode_relative(&mut bytes).ok_or_else(|| {
        let [address, size] = plan.facts.cells;
        Failure::new(format!("the device tree has {address} cells for addresses and {size} for sizes, too few"))
            .next("give its root node #address-cells = <2> and #size-cells = <2>, and change every `reg`")
    })?;
    bytes.truncate(size);
    Ok((bytes, relative))
}

/// Room for the final tree, and behind it the place of the additions.
fn tree_room(plan: &Plan, places: &Places, additions: usize) -> Result<(Region, Region)> {
    let slot = plan.kernel.appended_dtb.filter(|_| plan.handoff.value == HandoffKind::Appended);
    let slot = slot.and_then(|(at, room)| Region::new(at as usize, room as usize));
    let whole = slot.unwrap_or(places.tree);
    let split = whole.end().saturating_sub(additions).max(whole.start()) & !7;
    let (tree, place) = (Region::between(whole.start(), split), Region::new(split, additions));
    tree.zip(place).filter(|(tree, _)| !tree.is_empty()).ok_or_else(|| {
        Failure::new(format!("0x{:x} bytes are too few for the final device tree", whole.size()))
            .next("give a kernel with a larger slot for its device tree")
    })
}

/// The params block.
fn params(plan: &Plan, slots: &[SlotAt], crc: &Crc32) -> Result<Vec<u8>> {
    let board = &plan.board;
    let keep: Vec<u8> = plan.cookie.keep.iter().flat_map(|key| key.bytes().chain([0])).collect();
    let settings = Settings {
        ram: board.shim_ram(),
        flash: board.flash_window(),
        uart: board.uart,
        cookie_rule: plan.cookie.rule,
        cookie: if plan.cookie.rule == CookieRule::Off { b"" } else { plan.cookie.text.as_bytes() },
        keep: &keep,
        policy: board.defaults.policy,
        reset: board.reset.map_or((0, 0), |reset| (reset.address, reset.value)),
        led: board.led.unwrap_or_default(),
        slots,
        care: plan.watchdog.care,
        watchdog: [&plan.watchdog.begin, &plan.watchdog.feed, &plan.watchdog.back],
    };
    let mut block = [0; MAX_SIZE];
    let length = settings.encode(&mut block, plan.arch().big_endian(), crc).ok_or_else(|| {
        let bytes = plan.cookie.text.len() + keep.len();
        Failure::usage(format!("cookie and kept keys take {bytes} bytes, too many for the params' {MAX_SIZE}"))
            .next("give a shorter cookie or fewer --keep")
    })?;
    Ok(block[..length].to_vec())
}

fn listing(plan: &Plan, tree: Region, parts: &[Part<'_>], manifest: usize) -> Listing {
    let mut payloads = [None; manifest::PAYLOADS];
    for part in parts {
        // Kernel and root filesystem of an ELF file lie where they belong, whoever loads the rest.
        let store = part.stored.codec == Codec::Store;
        let elf = plan.format.value == Format::Elf && store;
        let segment =
            elf && (part.kind == Kind::Rootfs || part.kind == Kind::Kernel && part.source == part.place.start());
        let absolute = part.absolute || segment;
        let source = if absolute { part.source } else { part.source - manifest };
        payloads[part.kind as usize] = Some(Entry {
            codec: part.stored.codec,
            source_relative: !absolute,
            destination_relative: false,
            crc: part.stored.crc,
            source: Region::new(source, part.stored.bytes.len()).unwrap_or(Region::EMPTY),
            destination: part.destination,
            memory_size: part.place.size(),
        });
    }
    Listing {
        machine: match plan.arch() {
            Arch::MipsBe => Machine::MipsBe,
            Arch::MipsLe => Machine::MipsLe,
            Arch::Arm64 => Machine::Arm64,
        },
        handoff: plan.handoff.value,
        tree,
        entry_point: plan.kernel.entry_point as usize,
        relative: [0; 3],
        copies: Region::EMPTY,
        payloads,
    }
}

/// What lies where: the head with everything near it in one piece, in the order of addresses from the load address.
fn pieces(load: usize, head: Vec<u8>, parts: &[Part<'_>]) -> Vec<(usize, Vec<u8>)> {
    let mut pieces = vec![(load, head)];
    let mut sources: Vec<_> = parts.iter().map(|part| (part.source, part)).collect();
    sources.sort_by_key(|(at, _)| *at);
    for (at, part) in sources {
        let bytes = &part.stored.bytes;
        // What stays in place ends with a whole page of its own.
        let padded = match part.kind {
            Kind::Initrd | Kind::Rootfs => part.place.size(),
            _ => bytes.len(),
        };
        let end = load + pieces[0].1.len();
        if at >= end && at < end + GRAIN {
            let piece = &mut pieces[0].1;
            piece.resize(at - load, 0);
            piece.extend_from_slice(bytes);
            piece.resize(at - load + padded, 0);
        } else {
            let mut bytes = bytes.to_vec();
            bytes.resize(padded, 0);
            pieces.push((at, bytes));
        }
    }
    pieces
}
