//! Images for NOR flash: what goes where, that nothing protected is ever named, and that no interrupted update leaves anything but
//! the old or the new system.

use stoop_core::{Code, Region};
use stoop_image::Explained as _;
use stoop_image::board::{self, Board};
use stoop_image::image::flash::{Area, Map};
use stoop_image::image::{Built, open};
use stoop_image::plan::{CodecChoice, Format, Request, RootfsIn};
use stoop_image::simulate::{Entry, Input, Outcome, run, run_from_flash};

use crate::bench::{Bench, Kernel, booted, packed, squashfs, tree};

const BOARD: &str = "qemu-malta-le";

/// For slot `slot`, told apart by its command line.
fn request(bench: &Bench, slot: char, line: &str) -> Request {
    Request {
        initrd: None,
        format: Some(Format::Nor),
        slot: Some(slot),
        append: Some(line.into()),
        codec: CodecChoice::Store,
        ..bench.full()
    }
}

fn built(bench: &Bench, slot: char, line: &str) -> Built {
    packed(&request(bench, slot, line)).1
}

/// A flash, as the CPU reads it: erased but for what is put there.
struct Flash {
    board: Board,
    bytes: Vec<u8>,
}

impl Flash {
    fn new() -> Flash {
        let board = board::load(BOARD).unwrap();
        let bytes = vec![0xff; board.flash_window().size()];
        Flash { board, bytes }
    }

    fn install(&mut self, built: &Built) {
        let flash = built.flash.as_ref().unwrap();
        for write in [&flash.boot].into_iter().chain(&flash.update) {
            let bytes = &built.file[write.from..][..write.area.size()];
            self.bytes[write.area.offset()..][..bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Every byte of the slot is there, its root filesystem included.
    fn holds(&self, built: &Built) -> bool {
        let update = &built.flash.as_ref().unwrap().update;
        update.iter().all(|write| {
            self.bytes[write.area.offset()..][..write.area.size()] == built.file[write.from..][..write.area.size()]
        })
    }

    fn start(&self) -> Outcome {
        let at = Map::of(&self.board).unwrap().boot.offset();
        run_from_flash(&self.bytes[at..], &Input { entry: Entry::None, load: None }, &self.bytes).unwrap()
    }

    /// Which system boots, completely: by its command line; or the error of the last slot.
    fn boots(&self) -> Result<String, stoop_core::Error> {
        self.start().result.map(|booted| {
            let line = String::from_utf8(booted.cmdline).unwrap();
            line.split(' ').find_map(|word| word.strip_prefix("system=")).unwrap().to_owned()
        })
    }
}

#[test]
fn the_file_has_the_container_and_the_slot_in_whole_erase_blocks() {
    let bench = Bench::new();
    let (plan, built) = packed(&request(&bench, 'b', "x"));
    let flash = built.flash.unwrap();
    assert_eq!((flash.slot, flash.boot.area.offset(), flash.boot.from), ('b', 0x8_0000, 0));
    assert_eq!((flash.update.len(), flash.update[0].area.offset(), flash.update[0].from), (1, 0x23_0000, 0x1_0000));
    assert_eq!(
        flash.before.iter().map(|area| (area.offset(), area.size())).collect::<Vec<_>>(),
        [(0x9_0000, 0x1_0000)]
    );
    assert_eq!(built.file.len(), 0x1_0000 + flash.update[0].area.size());
    assert!(!built.reads_twice && !built.places.copies.is_empty());
    let opened = open(&built.file).unwrap();
    assert!(opened.checks().iter().all(|check| check.wrong.is_none()));
    assert_eq!((opened.format, opened.manifest_at()), (Format::Nor, 0x1e23_0000));
    let booted = booted(&built.file, Entry::Argv(b"root=31:03".to_vec()));
    assert_eq!((booted.slot, booted.verdict.text()), ('b', "ignored"));
    assert_eq!(booted.phram.unwrap().region.size(), plan.rootfs.unwrap().size.next_multiple_of(0x1000));
}

#[test]
fn the_container_is_the_same_for_every_slot_and_kernel() {
    let bench = Bench::new();
    let boot = |request: &Request| packed(request).1.file[..0x1_0000].to_vec();
    let one = boot(&request(&bench, 'a', "x"));
    assert!(one == boot(&request(&bench, 'b', "y")));
    let larger = Kernel { filler: 0x2_0000, bss: 0x10_0000, ..Kernel::new(false) };
    let other = Request { kernel: bench.put("larger", &larger.elf()), ..request(&bench, 'a', "x") };
    assert!(one == boot(&Request { rootfs: None, ..other }));
}

#[test]
fn no_erase_or_write_of_any_board_touches_a_protected_byte_or_half_a_block() {
    let mut maps = 0;
    for board in board::all().unwrap() {
        let Ok(map) = Map::of(&board) else { continue };
        maps += 1;
        let flash = board.flash.as_ref().unwrap();
        let slots = map.slots.iter().flat_map(|slot| [Some(&slot.area), slot.rootfs.as_ref()]).flatten();
        let areas: Vec<&Area> = [&map.boot].into_iter().chain(slots).collect();
        for (index, area) in areas.iter().enumerate() {
            let range = Region::new(area.offset(), area.size()).unwrap();
            let whole = range.start().is_multiple_of(flash.erase_size) && range.size().is_multiple_of(flash.erase_size);
            assert!(whole && !range.is_empty(), "{}: {range:?}", board.name);
            let protected = flash.partitions.iter().filter(|partition| partition.protected);
            assert!(protected.into_iter().all(|it| !it.range().overlaps(&range)), "{}: {range:?}", board.name);
            let earlier = areas[..index].iter().map(|area| Region::new(area.offset(), area.size()).unwrap());
            assert!(earlier.into_iter().all(|other| !other.overlaps(&range)), "{}: {range:?}", board.name);
        }
    }
    assert!(maps >= 10, "{maps}");
}

#[test]
fn an_area_outside_its_partition_protected_or_cutting_a_block_cannot_be_made() {
    let board = board::load(BOARD).unwrap();
    let flash = board.flash.as_ref().unwrap();
    let area = |name: &str, start: usize, size: usize| {
        Area::within(flash, flash.partition(name).unwrap(), Region::new(start, size).unwrap())
    };
    assert!(area("firmware-a", 0x9_0000, 0x18_0000).is_ok());
    for (name, start, size, fact) in [
        ("u-boot", 0, 0x1_0000, "is protected"),
        ("u-boot-env", 0x3e_0000, 0x1_0000, "is protected"),
        ("data", 0x3d_0000, 0x1_0000, "is protected"),
        ("stoop", 0x7_0000, 0x2_0000, "protected flash partition u-boot"),
        ("firmware-a", 0x8_0000, 0x1_0000, "is not inside"),
        ("firmware-a", 0x9_0000, 0x19_0000, "is not inside"),
        ("firmware-a", 0x9_0000, 0, "is not inside"),
        ("firmware-a", 0x9_0000, 0x8000, "cuts an erase block"),
        ("firmware-a", 0x9_8000, 0x1_0000, "cuts an erase block"),
    ] {
        let failure = area(name, start, size).unwrap_err();
        assert!(failure.to_string().contains(fact) && failure.next_step().is_some(), "{failure}");
    }
    let mut short = flash.clone();
    short.window = Region::new(0x1e00_0000, 0x10_0000).unwrap();
    let partition = short.partition("firmware-b").unwrap();
    assert!(
        Area::within(&short, partition, partition.range())
            .unwrap_err()
            .to_string()
            .contains("[0x230000, 0x3b0000) lies behind what the CPU reads of the flash, its first 0x100000 bytes")
    );
}

#[test]
fn slots_are_tried_in_order_and_each_that_fails_says_why() {
    let bench = Bench::new();
    let mut flash = Flash::new();
    flash.install(&built(&bench, 'a', "system=one"));
    flash.install(&built(&bench, 'b', "system=two"));
    assert_eq!(flash.boots(), Ok("one".into()));
    flash.bytes[0x9_0400] ^= 1;
    let outcome = flash.start();
    assert_eq!((outcome.failed[0].0, outcome.failed[0].1.code(), outcome.result.unwrap().slot), ('a', Code::Crc, 'b'));
    flash.bytes[0x23_0000] ^= 1;
    let failed: Vec<_> = flash.start().failed.iter().map(|(slot, error)| (*slot, error.code())).collect();
    assert_eq!(failed, [('a', Code::Crc), ('b', Code::NoManifest)]);
    // A slot of the other byte order is named as what it is.
    flash.install(&built(&bench, 'b', "system=two"));
    let big = Request {
        board: "qemu-malta-be".into(),
        kernel: bench.put("big", &Kernel::new(true).elf()),
        ..request(&bench, 'a', "system=big")
    };
    flash.install(&packed(&big).1);
    flash.install(&Built { file: built(&bench, 'b', "system=two").file, ..built(&bench, 'b', "system=two") });
    let outcome = flash.start();
    assert_eq!((outcome.failed[0].1.code(), outcome.result.unwrap().slot), (Code::Foreign, 'b'));
}

#[test]
fn a_root_filesystem_stays_in_its_own_partition_and_belongs_to_the_slot() {
    let bench = Bench::new();
    let in_flash = |slot, line: &str| Request { rootfs_in: RootfsIn::Flash, ..request(&bench, slot, line) };
    let (_, a) = packed(&in_flash('a', "system=one"));
    let write = &a.flash.as_ref().unwrap().update[0];
    assert_eq!((write.what, write.area.offset(), write.area.size()), ("rootfs", 0x21_0000, 0x2_0000));
    assert_eq!(a.file[write.from..][..0x1_2345], squashfs(0x1_2345));
    let booted = booted(&a.file, Entry::None);
    assert_eq!((booted.phram, booted.slot), (None, 'a'));
    assert!(String::from_utf8(booted.cmdline).unwrap().contains("root=/dev/mtdblock99 rootfstype=squashfs"));
    let aliases = stoop_image::format::device_tree::Facts::of(&booted.tree).unwrap().aliases;
    assert!(
        aliases.contains(&("mtd99".into(), "/soc/flash@1e000000/partitions/partition@210000".into())),
        "{aliases:?}"
    );
    // A flipped bit of what the kernel would mount: not this slot.
    let mut flash = Flash::new();
    flash.install(&a);
    flash.install(&packed(&in_flash('b', "system=two")).1);
    assert_eq!(flash.boots(), Ok("one".into()));
    flash.bytes[0x21_0000 + 0x1_2344] ^= 1;
    assert_eq!(flash.boots(), Ok("two".into()));
    assert_eq!(flash.start().failed[0].1.to_string().split(' ').nth(1), Some("rootfs"));
}

/// Every state that flash passes through while `built` is written by U-Boot's erase and cp.b or by mtd-utils: after each erase and
/// each word, half-way through each, and with the manifest's block first or last.
fn states(flash: &mut Flash, built: &Built, manifest_first: bool, see: &mut dyn FnMut(&Flash, &str)) -> (usize, usize) {
    let flashing = built.flash.as_ref().unwrap();
    let (mut erases, mut words) = (0, 0);
    for write in &flashing.update {
        let (start, block, size) = (write.area.offset(), write.area.erase_size(), write.area.size());
        let mut blocks: Vec<usize> = (start..start + size).step_by(block).collect();
        for at in &blocks {
            // An erase that is cut off leaves some bits set and others not, here and there.
            for pattern in [0x5555_5555u32, 0xffff_0000, 0x0f0f_00ff] {
                let before = flash.bytes.clone();
                for word in flash.bytes[*at..at + block].chunks_exact_mut(4) {
                    let set = u32::from_be_bytes(word.try_into().unwrap()) | pattern;
                    word.copy_from_slice(&set.to_be_bytes());
                }
                see(flash, "half an erase");
                flash.bytes = before;
            }
            flash.bytes[*at..at + block / 2].fill(0xff);
            see(flash, "half a block erased");
            flash.bytes[*at..at + block].fill(0xff);
            erases += 1;
            see(flash, "an erase");
        }
        if !manifest_first {
            blocks.rotate_left(1);
        }
        for at in blocks {
            for offset in (0..block).step_by(4) {
                let from = write.from + at - start + offset;
                let word: [u8; 4] = built.file[from..from + 4].try_into().unwrap();
                if word == [0xff; 4] {
                    continue;
                }
                words += 1;
                // Half of its bits are there yet.
                for (byte, new) in flash.bytes[at + offset..][..4].iter_mut().zip(word) {
                    *byte = new | 0x55;
                }
                // After every word once, and inside of every eighth; in the other order of blocks those of the manifest, and
                // one of sixteen.
                let near = !manifest_first || offset < 0x200 || offset % 0x40 == 0;
                if near && offset % 0x20 == 0 {
                    see(flash, "half a word");
                }
                flash.bytes[at + offset..][..4].copy_from_slice(&word);
                if near {
                    see(flash, "a word");
                }
            }
        }
    }
    see(flash, "the last word");
    for area in &flashing.before {
        for part in [area.erase_size() / 2, area.erase_size()] {
            flash.bytes[area.offset()..area.offset() + part].fill(0xff);
            see(flash, "the switch");
        }
        erases += 1;
    }
    (erases, words)
}

#[test]
fn an_update_that_loses_power_anywhere_leaves_the_old_or_the_new_system() {
    let bench = Bench::new();
    // Small, so that every state can be tried.
    let kernel = bench.put("small", &Kernel { filler: 0x100, ..Kernel::new(false) }.elf());
    let small = |slot, line: &str| {
        let base = request(&bench, slot, line);
        let rootfs = Some(bench.put("small.squashfs", &squashfs(0x200)));
        packed(&Request { kernel: kernel.clone(), rootfs, rootfs_in: RootfsIn::Flash, ..base }).1
    };
    for manifest_first in [false, true] {
        let mut flash = Flash::new();
        let [first, second, third] =
            [('a', "system=old"), ('b', "system=new"), ('a', "system=newer")].map(|(slot, line)| small(slot, line));
        flash.install(&first);
        flash.install(&small('b', "system=older"));
        // Slot a runs, b is written, then a's front is erased. What boots is there to its last byte.
        let (mut old, mut new) = (0, 0);
        let mut see = |flash: &Flash, what: &str| match flash.boots().as_deref() {
            Ok("old") if new == 0 && flash.holds(&first) => old += 1,
            Ok("new") if flash.holds(&second) => new += 1,
            other => panic!("{what}: {other:?} boots after {old} times old, {new} times new"),
        };
        let (erases, words) = states(&mut flash, &second, manifest_first, &mut see);
        assert!(erases == 3 && words > 500 && old > words / 32 && new >= 1, "{erases} {words} {old} {new}");
        // Slot b runs, a is written: as soon as it is whole, it boots.
        let (mut old, mut new) = (0, 0);
        let mut see = |flash: &Flash, what: &str| match flash.boots().as_deref() {
            Ok("new") if new == 0 && flash.holds(&second) => old += 1,
            Ok("newer") if flash.holds(&third) => new += 1,
            other => panic!("{what}: {other:?} boots after {old} times new, {new} times newer"),
        };
        states(&mut flash, &third, manifest_first, &mut see);
        assert!(old > 50 && new >= 1, "{old} {new}");
        assert_eq!(flash.boots(), Ok("newer".into()));
    }
}

#[test]
fn maps_that_do_not_fit_and_images_that_are_too_large_are_refused_with_the_numbers() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    bench.put("root.squashfs", &squashfs(0x18_0000));
    bench.put("x.dtb", &tree(Some(b"x")));
    let refused = |board: &str, more: &[&str], code: i32| {
        let words = ["pack", "--kernel", "vmlinux", "--format", "nor", "-o", "image", "--board", board];
        let output = bench.stoop(&[&words[..], more].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}");
        assert!(text.contains("\n  next: ") && !bench.files().contains(&"image".to_owned()), "{text}");
        text
    };
    let text = refused(BOARD, &["--rootfs", "root.squashfs"], 1);
    assert!(text.contains("do not fit the flash partition firmware-a, 0x180000 bytes at 0x90000"), "{text}");
    let text = refused(BOARD, &["--rootfs", "root.squashfs", "--rootfs-in", "flash"], 1);
    assert!(text.contains("0x180000 bytes do not fit the flash partition rootfs-a, 0x20000 bytes"), "{text}");
    let text = refused(BOARD, &["--slot", "c"], 2);
    assert!(text.contains("there is no slot c") && text.contains("name one of: a, b"), "{text}");
    let text = refused("zbt-wg3526", &["--dtb", "x.dtb"], 2);
    assert!(text.contains("CPU does not read its flash as memory"), "{text}");
    let small = board::load("ens202ext-v1").unwrap();
    let text = Map::of(&small).unwrap_err().to_string();
    assert!(text.contains("0x10000 of the 0x10000 bytes of the flash partition loader: no room for a slot"), "{text}");
    let mut words = vec!["pack", "--kernel", "vmlinux", "-o", "image", "--board", BOARD, "--slot", "b"];
    assert_eq!(bench.stoop(&words).status.code(), Some(2), "a slot without --format nor");
    words[7..].copy_from_slice(&["--rootfs-in", "flash"]);
    assert_eq!(bench.stoop(&words).status.code(), Some(2));

    let malta = std::fs::read_to_string(format!("{}/../../boards/{BOARD}.toml", env!("CARGO_MANIFEST_DIR"))).unwrap();
    for (from, to, code, fact) in [
        (
            "bootm 0xbe080000",
            "bootm 0xbe090000",
            2,
            "starts what is at 0xbe090000, the map's container is at 0x9e080000",
        ),
        ("offset = 0x9_0000, size = 0x18_0000", "offset = 0x9_0000, size = 0x19_0000", 2, "overlaps"),
        ("offset = 0x9_0000, size = 0x18_0000", "offset = 0x9_0000, size = 0x17_8000", 2, "erase blocks"),
        ("offset = 0x3b_0000, size = 0x2_0000", "offset = 0x3b_0000, size = 0x200_0000", 2, "not inside the flash"),
        ("role = \"firmware\", slot = \"b\"", "role = \"firmware\", slot = \"a\"", 2, "a second partition"),
        ("handoff = \"uhi\"", "handoff = \"uhi\"\npolicy = \"halt\"", 2, "halt"),
    ] {
        assert!(malta.contains(from), "{from}");
        bench.put("own.toml", malta.replace(from, to).replace("dtb = \"qemu-malta\"\n", "").as_bytes());
        let text = refused("./own.toml", &["--dtb", "x.dtb"], code);
        assert!(text.contains(fact), "{fact}: {text}");
    }
}

#[test]
fn the_commands_name_exactly_the_slots_blocks_and_the_manifests_block_comes_last() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    bench.put("root.squashfs", &squashfs(0x1_2345));
    let words = ["pack", "--kernel", "vmlinux", "--rootfs", "root.squashfs", "--board", BOARD, "--codec", "store"];
    let words = [&words[..], &["--format", "nor", "--slot", "b", "-o", "image.bin", "--json"]].concat();
    let output = bench.stoop(&words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let lines = |name: &str| {
        let lines = value["flash"]["u-boot"][name].as_array().unwrap().iter();
        lines.map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let size = value["flash"]["writes"][1]["size"].as_u64().unwrap();
    assert_eq!(size, 0x3_0000);
    let update = [
        "tftpboot 0x81000000 image.bin",
        "protect off 0xbe230000 +0x30000",
        "erase 0xbe230000 +0x30000",
        "cp.b 0x81020000 0xbe240000 0x20000",
        "cp.b 0x81010000 0xbe230000 0x10000",
        "cmp.b 0x81010000 0xbe230000 0x30000",
    ];
    assert_eq!(lines("update"), update);
    assert_eq!(lines("switch"), ["protect off 0xbe090000 +0x10000", "erase 0xbe090000 +0x10000"]);
    assert_eq!(lines("install")[2], "erase 0xbe080000 +0x10000");
    let from_linux = [
        "mtd_debug erase $mtd 0x0 0x30000",
        "tail -c +131073 image.bin | head -c 131072 > /tmp/slot",
        "mtd_debug write $mtd 0x10000 0x20000 /tmp/slot",
        "tail -c +65537 image.bin | head -c 65536 > /tmp/slot",
        "mtd_debug write $mtd 0x0 0x10000 /tmp/slot",
    ];
    assert_eq!(value["flash"]["linux"].as_array().unwrap()[1..6], from_linux);
    assert_eq!(value["flash"]["start"], "bootm 0xbe080000");
    let check = bench.stoop(&["check", "image.bin", "--board", BOARD]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    let other = bench.stoop(&["check", "image.bin", "--board", "gl-mt300n-v2"]);
    assert!(String::from_utf8_lossy(&other.stdout).contains("its boot belongs to") || !other.status.success());
    for verb in ["inspect", "simulate"] {
        assert!(bench.stoop(&[verb, "image.bin"]).status.success(), "{verb}");
    }
}

#[test]
fn boards_without_a_partition_for_the_shim_share_what_the_bootloader_starts() {
    let bench = Bench::new();
    let request = Request {
        board: "gl-ar750".into(),
        kernel: bench.put("vmlinux", &Kernel { load: 0x8006_0000, ..Kernel::new(true) }.elf()),
        dtb: Some(bench.put("board.dtb", &tree(Some(b"console=ttyS0")))),
        rootfs: Some(bench.put("root.squashfs", &squashfs(0x1_2345))),
        format: Some(Format::Nor),
        slot: Some('b'),
        ..Request::default()
    };
    let (_, built) = packed(&request);
    let flash = built.flash.unwrap();
    // The firmware partition is [0x60000, 0x1000000): a block, and two halves of 0x7c0000.
    assert_eq!((flash.boot.area.offset(), flash.boot.area.size()), (0x6_0000, 0x1_0000));
    assert_eq!((flash.update[0].area.offset(), flash.before[0].offset()), (0x83_0000, 0x7_0000));
    let outcome = run(&built.file, &Input::default()).unwrap();
    assert_eq!(outcome.result.unwrap().slot, 'b');
}
