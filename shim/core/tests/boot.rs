//! Whole boots on a small machine: from registers and an image to a kernel in place, or an error that says why.

use std::cell::Cell;

use crate::common::*;
use crate::fdt_support::{Edits, bootargs_in, fixture, write};
use stoop_core::abi::Abi;
use stoop_core::boot::{Board, Buffers, Handoff, Loader, Report};
use stoop_core::bootargs::{EntryKind, LIMIT};
use stoop_core::codec::{Codec, Tables};
use stoop_core::cookie::{Judgement, Refusal, Verdict};
use stoop_core::crc32::Crc32;
use stoop_core::fdt::{COUNT_ENTRY, COUNT_HANDOFF};
use stoop_core::manifest::{self, HandoffKind, Kind, Listing};
use stoop_core::mips::Mips;
use stoop_core::params::{CookieRule, Params, Settings, SlotAt};
use stoop_core::{Code, Error, Region};

/// A change to a listing that the test is about.
type Change = Box<dyn Fn(&mut Listing)>;

const IMAGE: usize = 0x10_0000;

/// A tree with a line of its own.
fn dtb(line: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 0x3000];
    let edits = Edits { bootargs: Some(&[line]), ..Edits::default() };
    let (size, _) = write(fixture("minimal"), &edits, &mut out).unwrap();
    out.truncate(size);
    out
}

struct Boot {
    memory: Machinery,
    result: Result<(Handoff, Report), Error>,
    failed: Vec<(u8, Error)>,
    /// How often the watchdog was fed.
    fed: usize,
}

fn boot_with(memory: Machinery, settings: &Settings, registers: [u32; 4]) -> Boot {
    let crc = Crc32::new();
    let block = params_block(settings, false);
    let params = Params::check(&block, false, &crc).unwrap();
    let loader = Loader { image: IMAGE, run: memory.run };
    let mut buffers = Box::new(Buffers::new());
    buffers.crc.fill();
    let fed = Cell::new(0);
    let feed = || fed.set(fed.get() + 1);
    let mut board = Board { memory, loader, buffers: &mut buffers, tables: &mut Box::new(Tables::new()), feed: &feed };
    let mut failed = vec![];
    let registers = registers.map(|register| register as usize);
    let result = board.boot::<Mips<false>>(&params, registers, &mut |slot, error| failed.push((slot, *error)));
    Boot { memory: board.memory, result, failed, fed: fed.get() }
}

/// A machine with the image at `IMAGE` and `a0..a3` for these arguments.
fn machine(image: &[u8], bootargs: Option<&[u8]>) -> (Machinery, [u32; 4]) {
    let mut memory = Machinery::new();
    memory.put(IMAGE, image);
    let Some(line) = bootargs else { return (memory, [0; 4]) };
    memory.put(0x8000, &[0, 0, 0, 0, 0, 0x90, 0, 0x80]);
    memory.put(0x9000, line);
    memory.put(0x9000 + line.len(), b"\0");
    (memory, [2, 0x8000_8000, 0, 0])
}

fn boot(image: &[u8], bootargs: Option<&[u8]>) -> Boot {
    let (memory, registers) = machine(image, bootargs);
    boot_with(memory, &settings(CookieRule::Contains, b"liminix", b"keep\0"), registers)
}

impl Boot {
    fn line(&self) -> Vec<u8> {
        let (handoff, _) = self.result.as_ref().expect("it boots");
        bootargs_in(self.memory.at(handoff.tree))
    }

    fn verdict(&self) -> Verdict {
        self.result.as_ref().expect("it boots").1.bootargs.verdict
    }

    fn code(&self) -> Code {
        self.result.as_ref().expect_err("it does not boot").code()
    }

    /// The error as it would be printed, without its value.
    fn said(&self) -> String {
        let text = self.result.as_ref().expect_err("it does not boot").to_string();
        text.rsplit_once(' ').expect("a value").0.to_owned()
    }
}

#[test]
fn everything_is_put_in_its_place_and_the_rest_zeroed() {
    let boot = boot(&image(&dtb(b"console=x"), |_| {}), None);
    let (handoff, report) = boot.result.as_ref().unwrap();
    assert_eq!(handoff.entry_point, 0x1_0000);
    assert_eq!(handoff.tree.start(), TREE_AT);
    assert_eq!(
        handoff.registers,
        [0xffff_fffe, 0x8000_0000 | TREE_AT, 0, 0].map(|register: usize| register as u32 as usize)
    );
    assert_eq!(*report, Report { bootargs: Judgement::NONE, entry: EntryKind::None, slot: b'a' });
    for (at, bytes, size) in
        [(KERNEL_AT, KERNEL, 0x100), (ROOTFS_AT, ROOTFS, 0x1000), (INITRD_AT, INITRD, INITRD.len())]
    {
        let place = boot.memory.at(region(at, size + 1));
        assert_eq!(&place[..bytes.len()], bytes);
        assert!(place[bytes.len()..size].iter().all(|byte| *byte == 0));
        assert_eq!(place[size], 0xa5, "nothing behind it");
    }
    assert!(boot.failed.is_empty());
}

#[test]
fn the_watchdog_is_fed_while_a_payload_is_checked_and_while_it_is_moved() {
    let boot = boot(&image(&dtb(b"console=x"), |_| {}), None);
    assert!(boot.result.is_ok());
    // Kernel, root filesystem and ramdisk are checked and moved, the tree is checked; all are short.
    assert!(boot.fed >= 7, "fed {} times", boot.fed);
}

#[test]
fn the_tree_has_report_phram_initrd_and_memory() {
    let boot = boot(&image(&dtb(b"console=x"), |_| {}), Some(b"a liminix"));
    let (handoff, _) = boot.result.unwrap();
    let mut expected = vec![0; TREE_ROOM];
    let base = dtb(b"console=x");
    let edits = Edits {
        bootargs: Some(&[b"console=x", b" ", b"a liminix"]),
        phram: Some((region(ROOTFS_AT, 0x1000), 7)),
        initrd: Some(region(INITRD_AT, INITRD.len())),
        memory: Some(region(0, 0x40_0000)),
        ramoops: None,
        report: Some(crate::fdt_support::Report {
            version: "9.8.7",
            verdict: b"accepted",
            entry: b"argv",
            slot: b'a',
            count_entry: 0,
        }),
    };
    let (size, count_at) = write(&base, &edits, &mut expected).unwrap();
    assert_eq!(handoff.tree, region(TREE_AT, size));
    assert_eq!(handoff.slot_at + COUNT_HANDOFF, TREE_AT + count_at);
    assert_eq!(boot.memory.at(handoff.tree), &expected[..size]);
    let loader = Loader { image: IMAGE, run: boot.memory.run };
    let (buffers, tables) = (&mut Box::new(Buffers::new()), &mut Box::new(Tables::new()));
    let mut board = Board { memory: boot.memory, loader, buffers, tables, feed: &|| () };
    board.stamp(&handoff, [0x1234_5678, 0xcafe_f00d]);
    let memory = board.memory;
    assert_eq!(memory.at(region(handoff.slot_at + COUNT_ENTRY, 4)), [0x12, 0x34, 0x56, 0x78]);
    assert_eq!(memory.at(region(handoff.slot_at + COUNT_HANDOFF, 4)), [0xca, 0xfe, 0xf0, 0x0d]);
}

#[test]
fn verdicts_decide_what_is_joined() {
    let image = image(&dtb(b"console=x"), |_| {});
    for (bootargs, verdict, line) in [
        (None, Verdict::None, "console=x"),
        (Some("root=31:03"), Verdict::Ignored, "console=x"),
        (Some("root=31:03 liminix"), Verdict::Accepted, "console=x root=31:03 liminix"),
        (Some("root=31:03 keep=1"), Verdict::Kept, "console=x keep=1"),
    ] {
        let boot = boot(&image, bootargs.map(str::as_bytes));
        assert_eq!((boot.verdict(), boot.line()), (verdict, line.into()), "{bootargs:?}");
    }
    let boot = boot(&crate::common::image(&dtb(b""), |_| {}), Some(b"liminix"));
    assert_eq!(boot.line(), b"liminix", "no blank in front of it");
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn a_line_of_4095_bytes_passes_and_one_of_4096_is_refused_whole() {
    let image = image(&dtb(b"console=x"), |_| {});
    let bootargs = |length: usize| [&b"liminix "[..], &vec![b'x'; length - 8]].concat();
    let fits = bootargs(4095 - 10);
    let booted = boot(&image, Some(&fits));
    assert_eq!(booted.verdict(), Verdict::Accepted);
    assert_eq!(booted.line(), [&b"console=x "[..], &fits].concat());
    for length in [4096 - 10, 4095, 4096, 5000] {
        let booted = boot(&image, Some(&bootargs(length)));
        assert_eq!((booted.verdict(), booted.line()), (Verdict::Refused, b"console=x".to_vec()), "{length}");
    }
}

#[test]
fn without_a_packed_tree_the_bootloaders_is_the_base_and_its_line_counts_as_bootargs() {
    let image = image(b"", |_| {});
    let uhi = |line: &[u8]| {
        let (mut memory, _) = machine(&image, None);
        memory.put(0x6_0000, &dtb(line));
        let settings = settings(CookieRule::Contains, b"liminix", b"");
        boot_with(memory, &settings, [0xffff_fffe, 0x8006_0000, 0, 0])
    };
    let boot = uhi(b"a liminix");
    assert_eq!((boot.verdict(), boot.line()), (Verdict::Accepted, b"a liminix".to_vec()));
    let boot = uhi(b"a");
    assert_eq!((boot.verdict(), boot.line()), (Verdict::Ignored, vec![]));
    assert_eq!(self::boot(&image, Some(b"a")).said(), "E20 dtb missing");
}

/// Tables for an image's kernel, with that environment.
fn table(env: &[&[u8]]) -> Vec<u8> {
    let mut block = vec![0xee; 0x1000];
    let length = manifest::argv::encode(&mut block, 0x8000_0000 | TABLE_AT as u32, env, false).unwrap();
    block.truncate(length);
    block
}

fn argv_image(line: &[u8], env: &[&[u8]], edit: impl Fn(&mut Listing)) -> Vec<u8> {
    image_with(&dtb(line), &table(env), |listing| {
        listing.handoff = HandoffKind::Argv;
        edit(listing);
    })
}

/// The kernel's registers, and what it reads behind pointers.
struct Called<'a> {
    registers: [u32; 4],
    memory: &'a Machinery,
}

impl Called<'_> {
    fn of(boot: &Boot) -> Called<'_> {
        let registers = boot.result.as_ref().unwrap().0.registers.map(|register| register as u32);
        Called { registers, memory: &boot.memory }
    }

    fn word(&self, at: u32) -> u32 {
        let bytes = self.memory.at(region((at & 0x1fff_ffff) as usize, 4));
        u32::from_le_bytes(bytes.try_into().unwrap())
    }

    fn text(&self, at: u32) -> &[u8] {
        let bytes = &self.memory.ram[(at & 0x1fff_ffff) as usize..];
        &bytes[..bytes.iter().position(|byte| *byte == 0).unwrap()]
    }

    /// The strings of a list that ends with NULL.
    fn list(&self, at: u32) -> Vec<&[u8]> {
        let pointers = (0..).map(|index| self.word(at + 4 * index)).take_while(|pointer| *pointer != 0);
        pointers.map(|pointer| self.text(pointer)).collect()
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn argv_kernels_get_the_line_as_one_argument_and_the_packed_environment() {
    for handoff in [HandoffKind::Argv, HandoffKind::Appended] {
        for env in [&[] as &[&[u8]], &[b"memsize=0x4000000"], &[b"fdt_start=0x81000000", b"x=", b"y=z"]] {
            let boot = boot(&argv_image(b"console=x", env, |listing| listing.handoff = handoff), Some(b"liminix"));
            let called = Called::of(&boot);
            let [argc, argv, environment, zero] = called.registers;
            assert_eq!((argc, argv, zero), (2, 0x8000_0000 | TABLE_AT as u32, 0));
            assert_eq!(called.list(argv), [&b""[..], b"console=x liminix"]);
            assert_eq!(called.list(environment), env);
        }
    }
}

/// A machine whose bootloader has that environment at 0xa000, as [`machine`] has the line.
fn machine_with_env(image: &[u8], env: &[u8]) -> Machinery {
    let (mut memory, _) = machine(image, Some(b"liminix"));
    memory.put(0xa000, &[0, 0xb0, 0, 0x80, 8, 0xb0, 0, 0xa0, 0, 0, 0, 0]);
    memory.put(0xb000, env);
    memory
}

#[test]
fn without_a_packed_environment_the_bootloaders_is_passed_on_if_it_is_one() {
    const A2: u32 = 0xa000_a000;
    let boot_with_env = |image: &[u8], env: &[u8], a2| {
        let settings = settings(CookieRule::Contains, b"liminix", b"");
        boot_with(machine_with_env(image, env), &settings, [2, 0x8000_8000, a2, 0])
    };
    let (none, some) = (argv_image(b"x", &[], |_| {}), argv_image(b"x", &[b"memsize=64"], |_| {}));
    let good = &[&b"memsize\0"[..], b"64\0"].concat()[..];
    let boot = boot_with_env(&none, good, A2);
    let called = Called::of(&boot);
    assert_eq!((called.registers[2], called.list(A2)), (A2, vec![&b"memsize"[..], b"64"]));

    let packed = boot_with_env(&some, good, A2);
    let called = Called::of(&packed);
    assert_eq!(called.list(called.registers[2]), [b"memsize=64"], "what is packed wins");

    let own = 0x8000_0000 | (TABLE_AT + manifest::argv::ENV) as u32;
    for (env, a2) in [(good, 0), (good, A2 + 1), (good, 0x2000), (good, 0xc000_a000), (b"memsize\x006\x01\0\0", A2)] {
        let boot = boot_with_env(&none, env, a2);
        let called = Called::of(&boot);
        assert_eq!((called.registers[2], called.word(own)), (own, 0), "{a2:x}");
    }
    // Pointers without an end: to the end of what can be read.
    let mut memory = machine_with_env(&none, good);
    let end = memory.run.start();
    memory.put(end - 8, &[0, 0xb0, 0, 0x80, 0, 0xb0, 0, 0x80]);
    let settings = settings(CookieRule::Contains, b"liminix", b"");
    let boot = boot_with(memory, &settings, [2, 0x8000_8000, 0x8000_0000 | (end as u32 - 8), 0]);
    assert_eq!(Called::of(&boot).registers[2], own);
}

#[test]
fn an_environment_of_more_bytes_than_a_line_may_have_is_not_passed_on() {
    const A2: usize = 0xa000;
    let image = argv_image(b"x", &[], |_| {});
    for (more, passed) in [(0, true), (1, false)] {
        let (mut memory, _) = machine(&image, Some(b"liminix"));
        // Two strings that end, with their NULs as long as the limit and one byte longer.
        let texts = [vec![b'a'; LIMIT / 2 - 1], vec![b'b'; LIMIT - LIMIT / 2 - 1 + more]];
        let (first, second) = (0x30_0000, 0x30_0000 + LIMIT / 2);
        for (at, text) in [(first, &texts[0]), (second, &texts[1])] {
            memory.put(at, &[&text[..], b"\0"].concat());
        }
        for (at, pointer) in [(A2, 0x8000_0000 | first), (A2 + 4, 0x8000_0000 | second), (A2 + 8, 0)] {
            memory.put(at, &(pointer as u32).to_le_bytes());
        }
        let settings = settings(CookieRule::Contains, b"liminix", b"");
        let boot = boot_with(memory, &settings, [2, 0x8000_8000, 0x8000_0000 | A2 as u32, 0]);
        let env = Called::of(&boot).registers[2];
        assert_eq!(env == 0x8000_0000 | A2 as u32, passed, "{more} bytes more");
    }
}

#[test]
fn the_line_that_argv_points_to_is_the_one_in_the_tree() {
    let boot = boot(&argv_image(b"console=x", &[], |_| {}), Some(b"liminix"));
    let called = Called::of(&boot);
    let line = called.word(called.registers[1] + 4) & 0x1fff_ffff;
    let tree = boot.result.as_ref().unwrap().0.tree;
    assert!(tree.contains(&region(line as usize, b"console=x liminix\0".len())), "{line:x} in {tree:x?}");
}

#[test]
fn without_tables_every_kernel_is_called_as_by_uhi() {
    for handoff in [HandoffKind::Uhi, HandoffKind::Appended] {
        let boot = boot(&image(&dtb(b"console=x"), |listing| listing.handoff = handoff), None);
        assert_eq!(Called::of(&boot).registers, [0xffff_fffe, 0x8000_0000 | TREE_AT as u32, 0, 0]);
    }
}

#[test]
fn tables_without_room_for_the_line_are_an_error() {
    for table in [&b"\0"[..], &[0; 7]] {
        let image = image_with(&dtb(b"console=x"), table, |listing| listing.handoff = HandoffKind::Argv);
        assert_eq!(boot(&image, None).said(), "E30 argv room");
    }
}

#[test]
fn tables_overlap_nothing() {
    let said = |edit: &dyn Fn(&mut Listing)| boot(&argv_image(b"x", &[], edit), None).said();
    let table = |at| move |listing: &mut Listing| place(Kind::Env, at)(listing);
    assert_eq!(said(&table(IMAGE + STORED[4])), "E17 env overlaps dtb");
    assert_eq!(said(&table(0x3f_7fff)), "E16 env not ram");
    assert_eq!(said(&table(ROOTFS_AT + 0xfff)), "E17 rootfs overlaps env");
    assert_eq!(said(&table(KERNEL_AT + 0xff)), "E17 kernel overlaps env");
}

#[test]
fn tables_fit_to_the_byte_and_only_whole() {
    let env = [&b"a=b"[..], b"c=dd"];
    let encode = |size: usize, big_endian| {
        let mut block = vec![0xee; size];
        manifest::argv::encode(&mut block, 0x8000_1000, &env, big_endian).map(|length| {
            block.truncate(length);
            block
        })
    };
    let words = [0x8000_1018u32, 0, 0, 0x8000_1019, 0x8000_101d, 0];
    let strings = b"\0a=b\0c=dd\0\0\0";
    let whole: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).chain(*strings).collect();
    assert_eq!(encode(whole.len(), true), Some(whole.clone()));
    let little: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).chain(*strings).collect();
    assert_eq!(encode(0x100, false), Some(little));
    for size in 0..whole.len() {
        assert_eq!(encode(size, true), None, "{size}");
    }
    assert_eq!(table(&[]).len(), manifest::argv::NO_ENV);
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn every_flipped_bit_of_every_payload_is_found_before_anything_moves() {
    let image = argv_image(b"x", &[b"a=b"], |_| {});
    let listed = manifest(&image, IMAGE);
    let settings = settings(CookieRule::Contains, b"liminix", b"");
    let (mut memory, registers) = machine(&image, None);
    // Every place is in front of that.
    let places = ..TABLE_AT + 0x1_0000;
    let before = memory.ram[places].to_vec();
    let mut flipped = 0;
    for kind in Kind::ALL {
        let source = listed.payload(kind).source;
        for bit in 0..source.size() * 8 {
            let at = source.start() + bit / 8;
            memory.ram[at] ^= 1 << (bit % 8);
            let boot = boot_with(memory, &settings, registers);
            assert_eq!(boot.said(), format!("E12 {} crc", kind.subject().text()), "bit {bit}");
            memory = boot.memory;
            assert!(memory.ram[places] == before, "{kind:?}, bit {bit}: something moved");
            memory.ram[at] ^= 1 << (bit % 8);
            flipped += 1;
        }
    }
    assert!(flipped > 8 * 500, "{flipped}");
    assert!(boot_with(memory, &settings, registers).result.is_ok());
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn payloads_outside_memory_are_unreadable() {
    for kind in [Kind::Kernel, Kind::Initrd, Kind::Rootfs, Kind::Dtb, Kind::Overlay] {
        for (start, size) in [(0x3f_0000 - IMAGE, 4), (0x3f_0000 - IMAGE - 4, 8), (0x1e00_0000, 4), (0, 0x8000_0000)] {
            let image = image(&dtb(b"x"), |listing| {
                let entry = listing.payloads[kind as usize].as_mut().unwrap();
                entry.source = region(start, size);
            });
            assert_eq!(boot(&image, None).said(), format!("E11 {} unreadable", kind.subject().text()), "{start:#x}");
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn places_outside_ram_are_refused() {
    for kind in [Kind::Kernel, Kind::Initrd, Kind::Rootfs] {
        for at in [0x40_0000, 0x3f_fff0, 0x1f00_0000] {
            let image = image(&dtb(b"x"), |listing| {
                let entry = listing.payloads[kind as usize].as_mut().unwrap();
                entry.destination = region(at, entry.destination.size());
            });
            assert_eq!(boot(&image, None).said(), format!("E16 {} not ram", kind.subject().text()), "{at:#x}");
        }
    }
    let tree = |at| image(&dtb(b"x"), |listing| listing.tree = region(at, TREE_ROOM));
    // The overlay waits at the end of the tree's room.
    assert_eq!(boot(&tree(0x40_0000), None).said(), "E16 overlay not ram");
}

#[test]
fn a_slot_without_a_kernel_does_not_boot() {
    let image = image(&dtb(b"x"), |listing| listing.payloads[Kind::Kernel as usize] = None);
    assert_eq!(boot(&image, None).said(), "E10 kernel missing");
}

#[test]
fn stored_and_delivered_sizes_must_agree() {
    let image = image(&dtb(b"x"), |listing| {
        let entry = listing.payloads[Kind::Rootfs as usize].as_mut().unwrap();
        entry.destination = region(ROOTFS_AT, ROOTFS.len() + 1);
    });
    assert_eq!(boot(&image, None).said(), "E15 rootfs length");
}

/// Moves a part of the image onto `at` and says what comes of it.
fn overlapping(edit: impl Fn(&mut Listing)) -> String {
    match boot(&image(&dtb(b"x"), edit), None).result {
        Ok(_) => "boots".into(),
        Err(error) => error.to_string(),
    }
}

fn place(kind: Kind, at: usize) -> impl Fn(&mut Listing) {
    move |listing| {
        let entry = listing.payloads[kind as usize].as_mut().unwrap();
        entry.destination = region(at, entry.destination.size());
    }
}

#[test]
fn overlaps_name_both_sides_and_the_address_and_the_loader_is_no_ram() {
    let run = 0x3f_0000;
    let table: [(&str, Change); 10] = [
        ("E16 overlay not ram 0x003f3f00", Box::new(|l| l.tree = region(0x3e_ff00, TREE_ROOM))),
        ("E16 kernel not ram 0x003eff01", Box::new(place(Kind::Kernel, run - 0xff))),
        ("boots", Box::new(place(Kind::Kernel, run - 0x100))),
        ("E17 kernel overlaps initrd 0x0002ff01", Box::new(place(Kind::Kernel, INITRD_AT - 0xff))),
        ("E17 kernel overlaps rootfs 0x00020fff", Box::new(place(Kind::Kernel, ROOTFS_AT + 0xfff))),
        ("E17 initrd overlaps rootfs 0x00020000", Box::new(place(Kind::Initrd, ROOTFS_AT))),
        ("E17 kernel overlaps initrd 0x00100590", Box::new(place(Kind::Kernel, IMAGE + 0x590))),
        ("E17 kernel overlaps rootfs 0x00100701", Box::new(place(Kind::Kernel, IMAGE + 0x701))),
        ("E17 rootfs overlaps dtb 0x000ffc01", Box::new(place(Kind::Rootfs, IMAGE + STORED[4] - 0xfff))),
        ("E17 initrd overlaps dtb 0x00100c01", Box::new(place(Kind::Initrd, IMAGE + STORED[4] + 1))),
    ];
    for (index, (expected, edit)) in table.iter().enumerate() {
        assert_eq!(overlapping(edit), *expected, "row {index}");
    }
}

#[test]
fn a_payload_may_move_over_its_own_source_but_not_be_decoded_there() {
    assert_eq!(overlapping(place(Kind::Kernel, IMAGE + STORED[0] - 8)), "boots");
    assert_eq!(overlapping(place(Kind::Kernel, IMAGE + STORED[0])), "boots", "it is there already");
    let decoded = overlapping(|listing| {
        place(Kind::Kernel, IMAGE + STORED[0] - 8)(listing);
        listing.payloads[0].as_mut().unwrap().codec = Codec::Lz4;
    });
    assert_eq!(decoded, "E17 kernel overlaps 0x001003f8");
    // Delivered later, so a source that was read before is free.
    assert_eq!(overlapping(place(Kind::Rootfs, IMAGE + STORED[0] - 0xff0)), "boots");
}

#[test]
fn an_appended_tree_lies_in_the_kernel() {
    let image = image_with(&dtb(b"x"), &table(&[]), |listing| {
        listing.handoff = HandoffKind::Appended;
        listing.payloads[0].as_mut().unwrap().memory_size = 0x4000;
        listing.tree = region(KERNEL_AT + 0x100, 0x3000);
    });
    let boot = boot(&image, None);
    assert_eq!(boot.result.as_ref().unwrap().0.tree.start(), KERNEL_AT + 0x100);
    assert_eq!(boot.memory.at(region(KERNEL_AT, KERNEL.len())), KERNEL);
    assert_eq!(boot.line(), b"x");
}

#[test]
fn a_tree_that_does_not_fit_is_an_error() {
    let image = image(&dtb(b"x"), |listing| listing.tree = region(TREE_AT, 0x40));
    assert_eq!(boot(&image, None).code(), Code::TreeRoom);
}

#[test]
fn a_damaged_tree_is_an_error_though_its_crc_is_right() {
    assert_eq!(boot(&image(b"no tree at all", |_| {}), None).said(), "E21 dtb header");
}

const TWO: &[SlotAt] =
    &[SlotAt { name: b'a', relative: true, address: 0 }, SlotAt { name: b'b', relative: false, address: 0x20_0000 }];

#[test]
fn slots_fall_through_in_their_order() {
    let mut settings = settings(CookieRule::Off, b"", b"");
    settings.slots = TWO;
    let good = image(&dtb(b"x"), |_| {});
    let mut bad = good.clone();
    bad[STORED[2]] ^= 1;
    let with = |first: &[u8], second: &[u8]| {
        let mut memory = Machinery::new();
        memory.put(IMAGE, first);
        memory.put(0x20_0000, second);
        boot_with(memory, &settings, [0; 4])
    };
    let said = |boot: &Boot| boot.failed.iter().map(|(slot, error)| (*slot, error.code())).collect::<Vec<_>>();
    let boot = with(&good, &bad);
    assert_eq!((boot.result.unwrap().1.slot, boot.failed), (b'a', vec![]));
    let boot = with(&bad, &good);
    assert_eq!(said(&boot), [(b'a', Code::Crc)]);
    assert_eq!(boot.result.unwrap().1.slot, b'b');
    let boot = with(&bad, b"");
    assert_eq!(said(&boot), [(b'a', Code::Crc), (b'b', Code::NoManifest)]);
    assert_eq!((boot.code(), boot.result.unwrap_err().value), (Code::NoManifest, 0x20_0000));
    settings.slots = &[];
    let boot = boot_with(Machinery::new(), &settings, [0; 4]);
    assert_eq!((boot.said(), boot.failed), ("E02 manifest missing".into(), vec![]));
}

#[test]
fn the_report_says_why_a_line_is_refused() {
    let image = image(&dtb(b"console=x"), |_| {});
    let why = |bootargs: &[u8]| boot(&image, Some(bootargs)).result.unwrap().1.bootargs;
    assert_eq!(why(b"liminix a\x07"), Judgement::refused(Refusal::Control));
    assert_eq!(why(&[&b"liminix "[..], &[b'x'; 4085]].concat()), Judgement::refused(Refusal::TooLong));
    assert_eq!(why("liminix caf\u{e9}".as_bytes()), Verdict::Accepted.into());
}

/// A machine whose slot `-` is in flash.
fn in_flash(image: Vec<u8>, registers: [u32; 4], put: &[(usize, &[u8])]) -> Boot {
    let mut settings = settings(CookieRule::Off, b"", b"");
    settings.slots = &[SlotAt { name: b'-', relative: false, address: 0x1f00_0000 }];
    let mut memory = Machinery::new();
    put.iter().for_each(|(at, bytes)| memory.put(*at, bytes));
    memory.flash = image;
    boot_with(memory, &settings, registers)
}

#[test]
fn an_image_in_flash_boots_from_flash() {
    let boot = in_flash(image(&dtb(b"x"), |_| {}), [0; 4], &[]);
    assert_eq!(boot.result.as_ref().unwrap().1.slot, b'-');
    assert_eq!(boot.memory.at(region(KERNEL_AT, KERNEL.len())), KERNEL);
}

const COPIES: usize = 0x8_0000;

/// The kernel in one LZ4 sequence of literals.
fn packed_kernel() -> Vec<u8> {
    [&[0xf0, (KERNEL.len() - 15) as u8], KERNEL].concat()
}

/// In flash, with a kernel that has to be decoded.
fn packed(copies: usize) -> Vec<u8> {
    packed_with(&dtb(b"x"), copies)
}

fn packed_with(dtb: &[u8], copies: usize) -> Vec<u8> {
    let packed = packed_kernel();
    let mut bytes = image(dtb, |listing| {
        let kernel = listing.payloads[0].as_mut().unwrap();
        kernel.codec = Codec::Lz4;
        kernel.crc = Crc32::new().of(&packed);
        kernel.source = region(STORED[0], packed.len());
        listing.copies = region(COPIES, copies);
    });
    bytes[STORED[0]..][..packed.len()].copy_from_slice(&packed);
    bytes
}

/// Bytes of room that [`packed`] needs: kernel, device tree and overlay.
fn needed() -> usize {
    let size = |bytes: usize| bytes.next_multiple_of(manifest::COPY_ALIGN);
    size(KERNEL.len() + 2) + size(dtb(b"x").len()) + overlay(&dtb(b"x")).len()
}

#[test]
fn what_was_checked_is_what_is_used_though_flash_changes_behind_it() {
    for copies in [needed(), 0x1_0000] {
        let mut settings = settings(CookieRule::Off, b"", b"");
        settings.slots = &[SlotAt { name: b'-', relative: false, address: 0x1f00_0000 }];
        let mut memory = Machinery::new();
        memory.flash = packed(copies);
        memory.fades = true;
        let boot = boot_with(memory, &settings, [0; 4]);
        assert_eq!(boot.result.as_ref().unwrap().1.slot, b'-', "0x{copies:x}");
        for (at, bytes) in [(KERNEL_AT, KERNEL), (ROOTFS_AT, ROOTFS), (INITRD_AT, INITRD)] {
            assert_eq!(boot.memory.at(region(at, bytes.len())), bytes);
        }
        assert_eq!(boot.line(), b"x");
        assert_eq!(boot.memory.at(region(COPIES + copies, 1)), [0xa5], "nothing behind the room");
    }
}

#[test]
#[cfg_attr(miri, ignore = "too slow there")]
fn copies_lie_one_behind_the_other_at_multiples_of_their_alignment() {
    // One tree that ends at such a multiple, and one that does not.
    let trees = (1..64).map(|length| dtb(&vec![b'x'; length]));
    let (even, odd): (Vec<_>, Vec<_>) = trees.partition(|tree| tree.len().is_multiple_of(manifest::COPY_ALIGN));
    for tree in [&even[0], &odd[0]] {
        let boot = in_flash(packed_with(tree, 0x1_0000), [0; 4], &[]);
        let mut at = COPIES;
        for bytes in [&packed_kernel(), tree, &overlay(tree)] {
            assert_eq!(boot.memory.at(region(at, bytes.len())), bytes, "0x{at:x}");
            at += bytes.len().next_multiple_of(manifest::COPY_ALIGN);
        }
    }
}

#[test]
fn without_room_for_copies_flash_is_read_twice() {
    for copies in [0, 8, needed() - 1] {
        let boot = in_flash(packed(copies), [0; 4], &[]);
        assert_eq!(boot.line(), b"x", "0x{copies:x}");
        assert_eq!(boot.memory.at(region(KERNEL_AT, KERNEL.len())), KERNEL);
        assert_eq!(boot.memory.at(region(COPIES + copies, 1)), [0xa5], "nothing behind the room");
    }
}

#[test]
fn the_room_for_copies_overlaps_nothing_and_leaves_the_bootloaders_tree_alone() {
    let said = |at: usize| {
        let image = packed(0x1_0000);
        let mut listing = manifest_words(&image);
        listing[82 + 1] = at as u32;
        in_flash(with_words(&image, &listing), [0; 4], &[]).said()
    };
    assert_eq!(said(0x3f_0000 - 8), "E16 kernel not ram");
    assert_eq!(said(KERNEL_AT + 0x80), "E17 kernel overlaps");
    // The kernel's copy is not needed any more when the root filesystem's last zeros are written; the tree's is.
    assert_eq!(said(ROOTFS_AT + 0xfd0), "E17 rootfs overlaps dtb");
    // A tree of the bootloader's in the middle of it: it boots, and reads flash twice.
    let tree = dtb(b"from the bootloader");
    let mut image = packed(0x1_0000);
    let mut words = manifest_words(&image);
    words[10 + 4 * 12 + 5] = 0;
    image = with_words(&image, &words);
    let boot = in_flash(image, [0xffff_fffe, 0x8008_0100, 0, 0], &[(0x8_0100, &tree)]);
    assert_eq!(boot.line(), b"x from the bootloader");
}

/// The words of an image's manifest.
fn manifest_words(image: &[u8]) -> Vec<u32> {
    image[..manifest::SIZE].as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect()
}

/// The image with these words, and the CRC-32 of them.
fn with_words(image: &[u8], words: &[u32]) -> Vec<u8> {
    let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let end = bytes.len() - 4;
    let sum = Crc32::new().of(&bytes[..end]);
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    [&bytes, &image[bytes.len()..]].concat()
}

#[test]
fn a_kernel_is_never_delivered_over_the_bootloaders_tree() {
    let image = image(b"", |_| {});
    let uhi = |at: usize| {
        let (mut memory, _) = machine(&image, None);
        memory.put(at, &dtb(b"its own"));
        let settings = settings(CookieRule::Off, b"", b"");
        boot_with(memory, &settings, [0xffff_fffe, 0x8000_0000 | at as u32, 0, 0])
    };
    assert_eq!(uhi(KERNEL_AT + 0x80).said(), "E17 kernel overlaps dtb");
    assert_eq!(uhi(ROOTFS_AT - 0x10).said(), "E17 rootfs overlaps dtb");
    assert_eq!(uhi(TREE_AT + TREE_ROOM + 0x10).said(), "E17 dtb overlaps", "the overlay waits there");
    assert_eq!(uhi(TREE_AT - 0x10).said(), "E17 dtb overlaps");
    let boot = uhi(KERNEL_AT + 0x100);
    assert_eq!(boot.line(), b"its own");
}

#[test]
fn the_command_line_limit_is_the_kernels() {
    assert_eq!(Mips::<true>::COMMAND_LINE_SIZE, 4096);
    assert_eq!(Region::EMPTY.size(), 0);
}

#[test]
fn ram_smaller_than_stated_is_found_with_its_size_before_anything_moves() {
    let image = image(&dtb(b"x"), |_| {});
    let settings = settings(CookieRule::Off, b"", b"");
    for (real, size) in
        [(0x20_0000, Some(0x20_0000)), (0x10_0000, Some(0x10_0000)), (0x40_0000, None), (0x80_0000, None)]
    {
        let (mut memory, registers) = machine(&image, None);
        memory.real = Some(real);
        let before = memory.ram.clone();
        let boot = boot_with(memory, &settings, registers);
        let error = boot.result.as_ref().err().map(|error| (error.code(), error.value));
        assert_eq!(error, size.map(|size| (Code::RamSize, size)), "0x{real:x}");
        if let Err(error) = &boot.result {
            assert_eq!(error.to_string(), format!("E18 ram smaller 0x{real:08x}"));
            assert!(boot.memory.ram == before, "0x{real:x}: something moved");
        }
    }
}

#[test]
fn ram_smaller_than_any_is_said_to_be_the_smallest() {
    let (mut memory, registers) = machine(&image(&dtb(b"x"), |_| {}), None);
    memory.real = Some(0x8_0000);
    let boot = boot_with(memory, &settings(CookieRule::Off, b"", b""), registers);
    assert_eq!(boot.result.unwrap_err().value, 0x10_0000);
}

#[test]
fn the_words_that_are_looked_at_are_never_the_loaders_and_all_bytes_come_back() {
    let image = image(b"", |_| {});
    for run in [0x3f_0000, 0x2_0000, 0x1_0000, 0x1_0080, 0x20_0000, 0x21_0000, 0x31_0000, 0x38_0000, 0x8_1000] {
        let (mut memory, _) = machine(&image, None);
        (memory.run, memory.real) = (region(run, 0x8000), Some(0x10_0000));
        memory.put(0x6_0000, &dtb(b"its own"));
        let before = memory.ram.clone();
        let settings = settings(CookieRule::Off, b"", b"");
        let boot = boot_with(memory, &settings, [0xffff_fffe, 0x8006_0000, 0, 0]);
        assert_eq!(boot.code(), Code::RamSize);
        assert!(boot.memory.ram == before, "with the loader at 0x{run:x} something was lost");
        assert!(boot.memory.probed.len() >= 2, "nothing was looked at");
        for at in &boot.memory.probed {
            assert!(*at >= 0x1000, "0x{at:x} is the bootloader's vectors");
            // Nor where the loader would be in RAM of 1 MiB.
            let distance = at.wrapping_sub(run) & 0xf_ffff;
            assert!((0x8000..=0xf_ff00).contains(&distance), "0x{at:x} may be the loader's");
        }
    }
}

#[test]
fn ram_of_any_stated_size_is_looked_at_inside_of_itself() {
    let image = image(&dtb(b"x"), |_| {});
    for size in [0x40_0000, 0x3f_8000, 0x30_0000, 0x21_1000, 0x20_0000, 0x1f_0000] {
        let mut settings = settings(CookieRule::Off, b"", b"");
        settings.ram = region(0, size);
        let (mut memory, registers) = machine(&image, None);
        memory.real = Some(0x10_0000);
        memory.run = region(0x1e_0000, 0x8000);
        let boot = boot_with(memory, &settings, registers);
        assert!(boot.memory.probed.iter().all(|at| *at < size), "0x{size:x}: {:x?}", boot.memory.probed);
        let found = boot.result.err().map(|error| (error.code(), error.value));
        assert_eq!(found, Some((Code::RamSize, 0x10_0000)), "0x{size:x}");
    }
}

#[test]
fn ram_that_is_all_there_is_not_looked_for_behind_its_end() {
    // Behind it, a controller that lets addresses wrap shows the same words again.
    let (mut memory, registers) = machine(&image(&dtb(b"x"), |_| {}), None);
    (memory.real, memory.run) = (Some(0x20_0000), region(0x1e_0000, 0x8000));
    let mut settings = settings(CookieRule::Off, b"", b"");
    settings.ram = region(0, 0x20_0000);
    let boot = boot_with(memory, &settings, registers);
    assert_ne!(boot.result.err().map(|error| error.code()), Some(Code::RamSize));
    assert_eq!(boot.memory.probed.len(), 2, "the word and the one 1 MiB behind it: {:x?}", boot.memory.probed);
}
