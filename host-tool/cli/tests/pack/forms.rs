//! Choices: flag before board before kernel, and what each of them puts into the image.

use stoop_core::Region;
use stoop_core::manifest::HandoffKind;
use stoop_core::params::CookieRule;
use stoop_image::plan::{Cookie, CookieMatch, HandoffChoice, Origin, Phram, PhramChoice, Request};
use stoop_image::simulate::Entry;

use crate::bench::{Bench, FROM_BOOTLOADER, Kernel, booted, packed, plan, tree};

/// Malta's own kernel has its tree inside and takes its line from the bootloader.
const MALTA: &str = "CONFIG_MIPS_GENERIC_KERNEL=n\nCONFIG_MIPS_MALTA=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=n\n\
    CONFIG_MIPS_CMDLINE_FROM_BOOTLOADER=y\n";

fn with_config(bench: &Bench, config: &str) -> Request {
    let kernel = Kernel { config: config.into(), ..Kernel::new(false) };
    Request { kernel: bench.put("other", &kernel.elf()), ..bench.full() }
}

#[test]
fn the_flag_beats_the_board_and_the_kernel_beats_a_board_that_cannot_know() {
    let bench = Bench::new();
    let handoff = |request: &Request| {
        let plan = plan(request);
        (plan.handoff.value, plan.handoff.origin)
    };
    assert_eq!(handoff(&bench.full()), (HandoffKind::Uhi, Origin::Board));
    let flag = Request { handoff: HandoffChoice::Uhi, ..bench.full() };
    assert_eq!(handoff(&flag), (HandoffKind::Uhi, Origin::Flag));
    let mut bootloader = Request { phram: PhramChoice::Cmdline, ..with_config(&bench, MALTA) };
    assert_eq!(handoff(&bootloader), (HandoffKind::Argv, Origin::Kernel));
    bootloader.handoff = HandoffChoice::Argv;
    assert_eq!(handoff(&bootloader), (HandoffKind::Argv, Origin::Flag));
}

#[test]
fn a_kernel_that_takes_its_line_from_argv_gets_it_there() {
    let bench = Bench::new();
    let request = Request { handoff: HandoffChoice::Argv, phram: PhramChoice::Cmdline, ..with_config(&bench, MALTA) };
    let (_, built) = packed(&request);
    let booted = booted(&built.file, Entry::Argv(b"liminix x=1".to_vec()));
    assert_eq!(booted.handoff.kind.name(), "argv");
    assert_eq!(booted.handoff.registers[0], 2);
    assert_eq!(booted.handoff.registers[1] as usize, built.places.argv.start() | 0x8000_0000);
    let line = String::from_utf8(booted.cmdline.clone()).unwrap();
    assert!(line.ends_with("liminix x=1"), "{line}");
    // What the tree would tell: the kernel does not see it.
    let (start, size) = (built.places.initrd.start() | 0x8000_0000, b"070701 is what a cpio archive begins with".len());
    assert!(line.contains(&format!("rootfstype=squashfs rd_start=0x{start:08x} rd_size=0x{size:08x} ")), "{line}");
    assert_eq!(booted.handoff.env, [b"memsize=0x10000000"]);
}

#[test]
fn ath79_finds_the_final_tree_by_its_environment_and_needs_no_other_words() {
    let bench = Bench::new();
    let request = with_config(&bench, &MALTA.replace("MIPS_MALTA", "ATH79"));
    let (plan, built) = packed(&request);
    assert_eq!((plan.handoff.value, plan.handoff.origin), (HandoffKind::Argv, Origin::Kernel));
    assert!(plan.handoff_reason.contains("fdt_start"), "{}", plan.handoff_reason);
    let booted = booted(&built.file, Entry::Argv(b"liminix x=1".to_vec()));
    let tree = built.places.tree.start() | 0x8000_0000;
    assert_eq!(booted.handoff.env, [format!("fdt_start=0x{tree:08x}").into_bytes()]);
    assert!(!String::from_utf8(booted.cmdline).unwrap().contains("rd_start="));
}

#[test]
fn a_kernel_that_reads_no_known_environment_gets_the_bootloaders() {
    let bench = Bench::new();
    let request = with_config(&bench, &MALTA.replace("MIPS_MALTA", "BCM47XX"));
    let (_, built) = packed(&Request { phram: PhramChoice::Cmdline, ..request });
    let booted = booted(&built.file, Entry::Argv(b"liminix x=1".to_vec()));
    assert_eq!(booted.handoff.env, Vec::<Vec<u8>>::new());
    let table = built.places.argv.start() + stoop_core::manifest::argv::ENV;
    assert_ne!(booted.handoff.registers[2] as usize, table | 0x8000_0000, "not the empty one of its own");
}

#[test]
fn a_kernel_that_finds_the_tree_in_its_slot_gets_no_foreign_environment_and_no_line_twice() {
    let bench = Bench::new();
    let extend = "CONFIG_MIPS_CMDLINE_FROM_DTB=n\nCONFIG_MIPS_CMDLINE_DTB_EXTEND=y\n";
    for (config, by_argv) in [("", false), (FROM_BOOTLOADER, true), (extend, false)] {
        let config = format!("{config}CONFIG_MIPS_RAW_APPENDED_DTB=y\n");
        let mut plan = plan(&with_config(&bench, &config));
        plan.handoff.value = HandoffKind::Appended;
        plan.kernel.appended_dtb = Some((0x11_0000, 0x8000));
        plan.kernel.memory_size = 0x2_0000;
        let built = stoop_image::image::build(&plan, &mut stoop_image::progress::Quiet).unwrap();
        let booted = booted(&built.file, Entry::Argv(b"liminix x=1".to_vec()));
        let table = built.places.argv.start() | 0x8000_0000;
        let expected = match by_argv {
            true => [2, table, table + stoop_core::manifest::argv::ENV, 0],
            false => [0xffff_fffe, 0x8011_0000, 0, 0],
        };
        assert_eq!(booted.handoff.registers.map(|register| register as usize), expected, "{config}");
        assert!(booted.cmdline.ends_with(b" liminix x=1"));
        let slot = Region::new(0x11_0000, 0x8000).unwrap();
        assert!(booted.regions.iter().any(|(name, at)| *name == "dtb" && slot.contains(at)), "{:x?}", booted.regions);
    }
}

#[test]
fn cmdline_replaces_append_extends_and_a_root_of_their_own_stays_alone() {
    let bench = Bench::new();
    let dtb = bench.put("own.dtb", &tree(Some(b"console=ttyS0")));
    let line = |cmdline: Option<&str>, append: Option<&str>| {
        let (cmdline, append) = (cmdline.map(str::to_owned), append.map(str::to_owned));
        let request = Request { dtb: Some(dtb.clone()), cmdline, append, ..bench.full() };
        String::from_utf8(packed(&request).1.line).unwrap()
    };
    let root = "root=/dev/mtdblock99 rootfstype=squashfs";
    assert_eq!(line(None, None), format!("console=ttyS0 {root}"));
    assert_eq!(line(Some("quiet"), None), format!("quiet {root}"));
    assert_eq!(line(Some(""), None), root);
    assert_eq!(line(None, Some("quiet")), format!("console=ttyS0 quiet {root}"));
    assert_eq!(line(None, Some("root=/dev/sda1")), "console=ttyS0 root=/dev/sda1");
    assert_eq!(line(Some("x root=/dev/sda1"), None), "x root=/dev/sda1");
    assert_eq!(line(Some("noroot=1"), None), format!("noroot=1 {root}"));
}

#[test]
fn without_a_root_filesystem_the_line_stays_as_it_is() {
    let bench = Bench::new();
    let request = Request { rootfs: None, ..bench.full() };
    let (plan, built) = packed(&request);
    assert_eq!(plan.phram.value, Phram::Off);
    assert_eq!(built.line, b"console=ttyS0,115200 earlycon panic=1");
    let off = Request { phram: PhramChoice::Off, ..bench.full() };
    let (_, built) = packed(&off);
    assert_eq!(built.line, b"console=ttyS0,115200 earlycon panic=1");
    assert_eq!(booted(&built.file, Entry::None).phram, None);
}

#[test]
fn nokaslr_frees_the_memory_that_a_kernel_could_move_to() {
    let bench = Bench::new();
    let config = "CONFIG_RELOCATABLE=y\nCONFIG_RANDOMIZE_BASE=y\nCONFIG_RANDOMIZE_BASE_MAX_OFFSET=0x01000000\n";
    let request = with_config(&bench, config);
    let moves = |request: &Request| {
        packed(request).1.places.regions.iter().any(|named| named.what == stoop_image::layout::RegionKind::Relocation)
    };
    assert!(moves(&request));
    assert!(!moves(&Request { append: Some("nokaslr".into()), ..request.clone() }));
    let (_, built) = packed(&request);
    let kernel_end = 0x10_0000 + Kernel::new(false).bytes().len() + 0x8000;
    let least = kernel_end + 0x100_0000 - 0x2_0000;
    assert!(built.places.rootfs.start() > least, "0x{:x}", built.places.rootfs.start());
}

#[test]
fn the_cookie_is_liminix_anywhere_unless_said_otherwise() {
    let bench = Bench::new();
    let default = Cookie { rule: CookieRule::Contains, text: "liminix".into(), keep: vec![] };
    assert_eq!(plan(&bench.full()).cookie, default);
    let off = Request { no_cookie: true, ..bench.full() };
    assert_eq!(plan(&off).cookie.rule, CookieRule::Off);
    let (_, built) = packed(&off);
    assert_eq!(booted(&built.file, Entry::Argv(b"anything".to_vec())).verdict.text(), "accepted");
}

#[test]
fn a_cookie_that_is_in_what_bootloaders_pass_anyway_is_warned_of() {
    let bench = Bench::new();
    let warned = |cookie: &str, cookie_match| {
        let request = Request { cookie: Some(cookie.into()), cookie_match, ..bench.full() };
        plan(&request).warnings.iter().any(|warning| warning.contains("as with --no-cookie"))
    };
    for cookie in [" ", "=", "root=", "console", "ttyS0"] {
        assert!(warned(cookie, CookieMatch::Contains), "{cookie:?}");
    }
    assert!(!warned("liminix", CookieMatch::Contains));
    assert!(!warned("console", CookieMatch::Word), "no line has that word");
    assert!(warned("init=/sbin/init", CookieMatch::Word));
}

#[test]
fn a_key_that_is_given_twice_is_kept_once() {
    let bench = Bench::new();
    let request = Request { keep: ["a", "b", "a"].map(str::to_owned).to_vec(), ..bench.full() };
    assert_eq!(plan(&request).cookie.keep, ["a", "b"]);
}

#[test]
fn the_bootloaders_own_tree_can_be_the_base() {
    let bench = Bench::new();
    let request = Request { bootloader_dtb: true, ..bench.full() };
    let (plan, built) = packed(&request);
    assert!(plan.warnings.iter().any(|warning| warning.contains("root= is not set")), "{:?}", plan.warnings);
    let booted = booted(&built.file, Entry::Uhi(tree(Some(b"liminix root=/dev/mtdblock99"))));
    // Its bootargs count as bootargs, not as the tree's own.
    assert_eq!((booted.verdict.text(), &booted.cmdline[..]), ("accepted", &b"liminix root=/dev/mtdblock99"[..]));
    let none = stoop_image::simulate::run(&built.file, &stoop_image::simulate::Input::default()).unwrap();
    assert_eq!(none.result.unwrap_err().code(), stoop_core::Code::NoTree);
}

#[test]
fn accepted_bootargs_that_override_the_root_are_said() {
    let bench = Bench::new();
    let (_, built) = packed(&bench.full());
    let entry = Entry::Argv(b"liminix root=31:03 mem=64M".to_vec());
    let outcome = stoop_image::simulate::run(&built.file, &stoop_image::simulate::Input { entry, load: None }).unwrap();
    assert_eq!(outcome.warnings.len(), 2);
    assert_eq!(outcome.warnings[0], "bootargs' root=31:03 overrides the image's root=/dev/mtdblock99");
    assert!(outcome.warnings[1].contains("mem="));
}
