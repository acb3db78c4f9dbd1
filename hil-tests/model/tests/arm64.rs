//! Every arm64 board of `boards/` on a core with caches: each container that its bootloader takes, at each exception level,
//! with the bootloader's tree and with a packed one, with each codec, and damaged.

use std::path::{Path, PathBuf};

use stoop::board::{self, Board};
use stoop::device_tree;
use stoop::image::{self, Built, Opened, open};
use stoop::plan::{CodecWish, Format, Plan, Request};
use stoop::simulate::{self, Entry, Input, Outcome};
use stoop::ui::Quiet;
use stoop_core::Region;
use stoop_core::params::Policy;
use stoop_model::aarch64::Level;
use stoop_model::aarch64::boot::{Boot, End, Setup, Way, header_field};
use stoop_model::machine::Event;
use vm_fdt::FdtWriter;

/// Enough for every kind of root.
const CONFIG: &str = "CONFIG_ARM64=y\nCONFIG_OF=y\nCONFIG_MTD=y\nCONFIG_MTD_PHRAM=y\nCONFIG_MTD_BLOCK=y\nCONFIG_BLOCK=y\n\
    CONFIG_SQUASHFS=y\nCONFIG_SQUASHFS_XZ=y\nCONFIG_DEVTMPFS=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\n";
const LEVELS: [Level; 3] = [Level::El1, Level::El2, Level::El2Host];
const CODECS: [CodecWish; 3] = [CodecWish::Store, CodecWish::Lz4, CodecWish::Lzma];
const COOKIE: &[u8] = b"console=ttyS0,115200 liminix x.y=1";
const VENDOR: &[u8] = b"console=ttyS0,115200 root=/dev/mmcblk0p65 rootwait ubi.mtd=ubi";

/// A kernel, a root file system and a tree to pack, and where they are.
struct Parts {
    folder: tempfile::TempDir,
}

impl Parts {
    fn new() -> Parts {
        let parts = Parts { folder: tempfile::tempdir().unwrap() };
        parts.put("Image", &kernel());
        parts.put("config", CONFIG.as_bytes());
        parts.put("root.squashfs", &squashfs(0x2345));
        parts.put("initrd", b"070701 is what a cpio archive begins with");
        parts.put("board.dtb", &tree(b"console=ttyS0 own.word=1"));
        parts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn request(&self, board: &str, format: Format, codec: CodecWish, packed_tree: bool) -> Request {
        Request {
            board: board.into(),
            kernel: self.path("Image"),
            config: Some(self.path("config")),
            rootfs: Some(self.path("root.squashfs")),
            initrd: Some(self.path("initrd")),
            dtb: packed_tree.then(|| self.path("board.dtb")),
            bootloader_dtb: !packed_tree,
            codec,
            format: Some(format),
            ..Request::default()
        }
    }
}

/// An Image (Documentation/arch/arm64/booting.rst) of something that compresses, with a bss behind it.
fn kernel() -> Vec<u8> {
    let mut image = vec![0; 64];
    image.extend(b"Linux version 6.12.117 (test)\0");
    image.extend((0..0x5fff_u32).flat_map(|at| [(at / 5) as u8 ^ (at * at >> 9) as u8]));
    let size = (image.len() as u64).next_multiple_of(0x1000) + 0x3000;
    for (at, field) in [(16, size), (24, 0xa)] {
        image[at..at + 8].copy_from_slice(&field.to_le_bytes());
    }
    image[56..60].copy_from_slice(b"ARM\x64");
    image
}

/// A squashfs superblock, and bytes.
fn squashfs(size: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..size).map(|at| (at * 31 / 7) as u8).collect();
    bytes[..96].fill(0);
    bytes[..4].copy_from_slice(b"hsqs");
    bytes[12..16].copy_from_slice(&0x2_0000u32.to_le_bytes());
    bytes[20..24].copy_from_slice(&[4, 0, 17, 0]);
    bytes[28..32].copy_from_slice(&[4, 0, 0, 0]);
    bytes[40..48].copy_from_slice(&(size as u64).to_le_bytes());
    bytes[56..64].fill(0xff);
    bytes
}

/// A tree with these bootargs and memory, as arm64 has them.
fn tree(bootargs: &[u8]) -> Vec<u8> {
    let write = || -> Result<Vec<u8>, vm_fdt::Error> {
        let mut tree = FdtWriter::new()?;
        let root = tree.begin_node("")?;
        tree.property_u32("#address-cells", 2)?;
        tree.property_u32("#size-cells", 2)?;
        let memory = tree.begin_node("memory@40000000")?;
        tree.property_string("device_type", "memory")?;
        tree.property_array_u64("reg", &[0x4000_0000, 0x1000_0000])?;
        tree.end_node(memory)?;
        let chosen = tree.begin_node("chosen")?;
        tree.property("bootargs", &[bootargs, b"\0"].concat())?;
        tree.end_node(chosen)?;
        tree.end_node(root)?;
        tree.finish()
    };
    write().unwrap()
}

/// The arm64 boards, from the data files.
fn boards() -> impl Iterator<Item = Board> {
    board::names().map(|name| board::load(name).unwrap()).filter(|board| board.arch == board::Arch::Arm64)
}

/// What stoop writes of what the bootloader takes.
fn formats(board: &Board) -> Vec<Format> {
    let all = [Format::Image, Format::Uimage, Format::Fit, Format::Raw];
    let takes = |container| board.bootloader.containers.contains(&container);
    all.into_iter().filter(|format| format.container().is_some_and(takes)).collect()
}

fn packed(request: &Request) -> (Plan, Built) {
    let plan = Plan::resolve(request, &mut Quiet).unwrap_or_else(|failure| panic!("{failure}"));
    let built = image::build(&plan, &mut Quiet).unwrap_or_else(|failure| panic!("{failure}"));
    (plan, built)
}

/// One boot of a table.
struct Case<'a> {
    board: &'a Board,
    plan: &'a Plan,
    image: &'a Opened<'a>,
    file: &'a [u8],
    tree: Option<&'a [u8]>,
    way: Way,
    level: Level,
    moved: usize,
    seed: u32,
}

/// What the shim says on the UART about this outcome, to the last byte.
fn said(outcome: &Outcome) -> String {
    let mut text = String::new();
    for (slot, error) in &outcome.failed {
        text += &format!("stoop: {error}, slot {slot}\r\n");
    }
    if let Ok(booted) = &outcome.result {
        let version = env!("CARGO_PKG_VERSION");
        let (entry, slot, verdict) = (booted.entry, booted.slot, booted.verdict);
        text += &format!("stoop {version}: entry {entry}, slot {slot}, bootargs {verdict}\r\n");
    }
    text
}

impl Case<'_> {
    /// What is not as it should be.
    fn wrong(&self) -> Vec<String> {
        let setup = Setup {
            board: self.board,
            image: self.image,
            size: header_field(self.image.image, 16) as usize,
            moved: self.moved,
            way: self.way,
            level: self.level,
            tree: self.tree,
            large_cache: self.seed.is_multiple_of(2),
            seed: self.seed,
            patches: &[],
        };
        let mut boot = Boot::new(&setup).unwrap_or_else(|failure| panic!("{failure}"));
        let entry = self.tree.map_or(Entry::None, |tree| Entry::Uhi(tree.to_vec()));
        let load = self.image.load.wrapping_add(self.moved);
        let outcome = simulate::run(self.file, &Input { entry, load: Some(load) }).unwrap();
        let end = match boot.run(|_, _, _| ()) {
            Ok(end) => end,
            Err(wrong) => return vec![wrong],
        };
        let mut wrong = boot.handed_over(self.level);
        let console = String::from_utf8_lossy(&boot.machine.said).into_owned();
        let line = self.tree.map(|tree| device_tree::Facts::of(tree).unwrap().bootargs.unwrap_or_default());
        let mut expected = said(&outcome);
        match &outcome.result {
            Err(_) => {
                // Nothing was handed over.
                wrong.clear();
                let (foretold, events) = match self.board.defaults.policy {
                    Policy::Reset => (End::Reset, vec![Event::Reset]),
                    Policy::Return => (End::Waits, Vec::new()),
                    Policy::Halt => (End::Loops, Vec::new()),
                };
                if (&end, &boot.events()) != (&foretold, &events) {
                    wrong.push(format!("it ended with {end:?} {:?}, not {foretold:?}", boot.events()));
                }
            }
            Ok(booted) => {
                if let Some(line) = line.filter(|line| !line.is_empty()) {
                    let shown = String::from_utf8_lossy(&line[..line.len().min(56)]).into_owned();
                    let more = if line.len() > 56 { "..." } else { "" };
                    expected += &format!("stoop: {}: {shown}{more}\r\n", booted.verdict);
                }
                if end != End::Left(booted.handoff.entry_point as u64) {
                    wrong.push(format!("it ended with {end:x?}, not at 0x{:x}", booted.handoff.entry_point));
                    return wrong;
                }
                let registers = &boot.core.registers.x[..4];
                if registers != booted.handoff.registers {
                    wrong.push(format!("x0 to x3 are {registers:x?}, not {:x?}", booted.handoff.registers));
                }
                let region = |name: &str| booted.regions.iter().find(|(known, _)| *known == name).map(|(_, at)| *at);
                let kernel = region("kernel").expect("a kernel");
                let seen = boot.ram(Region::new(kernel.start(), self.plan.kernel.memory_size as usize).unwrap());
                let (code, bss) = seen.split_at(self.plan.kernel.image.len());
                if code != &self.plan.kernel.image[..] || bss.iter().any(|byte| *byte != 0) {
                    wrong.push("the kernel is not what was packed, with zeros behind it".into());
                }
                let in_place = [
                    ("initrd", self.plan.initrd.as_deref()),
                    ("rootfs", self.plan.rootfs.as_ref().map(|rootfs| &rootfs.bytes[..])),
                ];
                for (name, bytes) in in_place {
                    let seen = region(name).map(|at| boot.ram(at)).unwrap_or_default();
                    if !bytes.is_some_and(|bytes| seen.starts_with(bytes)) {
                        wrong.push(format!("the {name} is not what was packed"));
                    }
                }
                let seen = boot.ram(region("dtb").expect("a tree"));
                let counts = counts(&seen);
                if without_counts(&seen) != without_counts(&booted.tree) {
                    wrong.push("the final tree is not the simulated one".into());
                }
                if !matches!(counts[..], [first, last] if first < last) {
                    wrong.push(format!("the counts are {counts:?}"));
                }
            }
        }
        if console != expected {
            wrong.push(format!("the UART said {console:?}, not {expected:?}"));
        }
        if let Some(tree) = self.tree
            && boot.ram(boot.tree) != tree
        {
            wrong.push("the bootloader's tree was written to".into());
        }
        wrong
    }
}

/// Where a tree has the values of `count-entry` and `count-handoff` (Devicetree Specification 5.4).
fn counted(tree: &[u8]) -> Vec<usize> {
    let word = |at: usize| tree[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word) as usize);
    let (mut at, strings) = (word(8), word(12));
    let mut found = Vec::new();
    loop {
        match word(at) {
            1 => at = (at + 4 + tree[at + 4..].iter().position(|byte| *byte == 0).unwrap() + 1).next_multiple_of(4),
            3 => {
                let name = &tree[strings + word(at + 8)..];
                if name.starts_with(b"count-entry\0") || name.starts_with(b"count-handoff\0") {
                    found.push(at + 12);
                }
                at = (at + 12 + word(at + 4)).next_multiple_of(4);
            }
            2 | 4 => at += 4,
            _ => return found,
        }
    }
}

fn counts(tree: &[u8]) -> Vec<u32> {
    counted(tree).iter().map(|at| u32::from_be_bytes(*tree[*at..].first_chunk().unwrap())).collect()
}

fn without_counts(tree: &[u8]) -> Vec<u8> {
    let mut bytes = tree.to_vec();
    for at in counted(tree) {
        bytes[at..at + 4].fill(0);
    }
    bytes
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

/// Runs every boot that `board` has, and fails with all that was wrong.
fn every_way(board: &Board, cases: impl Fn(&Plan, &Built, &mut dyn FnMut(&str, &[u8], Option<&[u8]>, bool))) {
    let parts = Parts::new();
    let (mut boots, mut all) = (0, Vec::new());
    for format in formats(board) {
        for codec in CODECS {
            for packed_tree in [false, true] {
                let (plan, built) = packed(&parts.request(&board.name, format, codec, packed_tree));
                cases(&plan, &built, &mut |what, file, tree, running| {
                    let image = open(file).unwrap_or_else(|failure| panic!("{failure}"));
                    for level in LEVELS {
                        boots += 1;
                        let way = if running { Way::Running } else { Way::Cleaned };
                        let moved = if boots % 3 == 0 { 0x20_0000 } else { 0 };
                        let case = Case {
                            board,
                            plan: &plan,
                            image: &image,
                            file,
                            tree,
                            way,
                            level,
                            moved,
                            seed: boots,
                        };
                        let title = format!("{} {format:?} {codec:?} {what} {level:?} {way:?}", board.name);
                        all.extend(case.wrong().into_iter().map(|wrong| format!("{title}: {wrong}")));
                    }
                });
            }
        }
    }
    println!("{}: {boots} boots", board.name);
    assert!(boots >= 36, "{} boots of {}", boots, name(Path::new(&board.name)));
    assert!(all.is_empty(), "{} wrong of {boots}\n{}", all.len(), all[..all.len().min(20)].join("\n"));
}

#[test]
fn every_arm64_board_hands_over_what_simulate_says_from_every_container_at_every_level() {
    for board in boards() {
        every_way(&board, |plan, built, boot| {
            let (cookie, vendor) = (tree(COOKIE), tree(VENDOR));
            boot("cookie", &built.file, Some(&cookie), false);
            boot("vendor's line", &built.file, Some(&vendor), false);
            if plan.dtb.is_some() {
                boot("no tree", &built.file, None, false);
                boot("go", &built.file, None, true);
            }
        });
    }
}

#[test]
fn an_image_damaged_anywhere_in_a_payload_says_so_and_does_what_the_policy_wants() {
    for board in boards() {
        every_way(&board, |_, built, boot| {
            let cookie = tree(COOKIE);
            let mut file = built.file.clone();
            // Near the end there is kernel, packed or not.
            let at = file.len() - 0x400;
            file[at] ^= 0x10;
            boot("damaged", &file, Some(&cookie), false);
        });
    }
}
