//! Configurations and what must be said about them. Each test changes one thing of a kernel that is good.
use super::*;
use crate::Explained as _;
use crate::format::codec::Codec;
use crate::input::Form;
use crate::input::initrd;
use crate::input::rootfs::Compressor;
use crate::input::rootfs::SquashfsInfo;
use crate::kconfig::Kconfig;
use crate::machine::Machine;
use crate::platform;

/// A generic kernel that takes everything.
const GOOD: &str = "CONFIG_MIPS_GENERIC_KERNEL=y\nCONFIG_OF=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=y\nCONFIG_MTD=y\n\
    CONFIG_MTD_PHRAM=y\nCONFIG_MTD_BLOCK=y\nCONFIG_BLOCK=y\nCONFIG_SQUASHFS=y\nCONFIG_SQUASHFS_XZ=y\nCONFIG_DEVTMPFS=y\n\
    CONFIG_BLK_DEV_INITRD=y\nCONFIG_RD_GZIP=y\nCONFIG_KEXEC=y\nCONFIG_PROC_FS=y\nCONFIG_UHI_BOOT=y\n";
const XZ: SquashfsInfo = SquashfsInfo {
    compressor: Compressor::Xz,
    block_size: 0x2_0000,
    bytes_used: 4096,
    xattrs: false,
    fragments: 0,
    branch: 0,
};

/// `changes` are lines of a configuration that replace those of [`GOOD`].
fn kernel(changes: &str) -> Kernel {
    Kernel {
        arch: Machine::MipsBe,
        form: Form::Vmlinux,
        load_address: 0x10_0000,
        entry_point: 0x10_0000,
        image: Vec::new(),
        memory_size: 0x40_0000,
        memory_exact: true,
        decompresses_to: None,
        relocation: None,
        appended_dtb: None,
        symbols: Default::default(),
        config: Some(Kconfig::parse(&format!("{GOOD}{changes}"), "test").unwrap()),
        version: Some("6.12.1".into()),
        platform: None,
        foreign_pages: None,
        notes: Vec::new(),
    }
}

fn needs(codec: Option<Codec>) -> initrd::Needs {
    initrd::Needs { codec, ..initrd::Needs::default() }
}

/// A root filesystem, and a ramdisk if `initrd`.
fn wants(initrd: bool) -> Wants {
    Wants { rootfs: Some(XZ), initrd, ..Wants::default() }
}

fn level(kernel: &Kernel, name: &str, initrd: bool) -> Level {
    apply(set(name).unwrap(), kernel, &wants(initrd), true).level()
}

#[test]
fn an_arm64_console_is_a_pl011_or_an_8250() {
    let arm64 = |changes: &str| Kernel { arch: Machine::Arm64, ..kernel(changes) };
    assert_eq!(level(&arm64(""), "console", false), Level::No);
    // MediaTek's driver alone has no console: the 8250's is it.
    assert_eq!(level(&arm64("CONFIG_SERIAL_8250_MT6577=y\n"), "console", false), Level::No);
    for symbol in ["SERIAL_AMBA_PL011_CONSOLE", "SERIAL_8250_CONSOLE"] {
        assert_eq!(level(&arm64(&format!("CONFIG_{symbol}=y\n")), "console", false), Level::Ok, "{symbol}");
    }
    // MIPS boards have no PL011.
    assert_eq!(level(&kernel("CONFIG_SERIAL_AMBA_PL011_CONSOLE=y\n"), "console", false), Level::No);
}

#[test]
fn a_good_kernel_gets_uhi_and_phram_by_the_tree_without_a_warning() {
    let assessment = assess(&kernel(""), &wants(true));
    assert_eq!(assessment.handoff.as_ref().unwrap().0, HandoffKind::Uhi);
    assert_eq!(assessment.phram, PhramMode::Tree);
    assert!(assessment.refusal().is_none());
    assert_eq!(assessment.warnings().count(), 0);
}

#[test]
fn every_symbol_of_a_good_kernel_is_needed_by_something() {
    for line in GOOD.lines() {
        let symbol = line.strip_suffix("=y").unwrap();
        let without = kernel(&format!("# {symbol} is not set\n"));
        let worse = ["uhi", "phram-dt", "squashfs", "initramfs", "kexec"].into_iter().any(|name| {
            let codec = Wants { initrd_needs: needs(Some(Codec::Gzip)), ..wants(true) };
            apply(set(name).unwrap(), &without, &codec, true).level() > Level::Ok
        });
        assert!(worse, "{symbol}");
    }
}

#[test]
fn uhi_with_the_line_from_the_bootloader_is_no_and_names_the_alternative() {
    let line = "CONFIG_MIPS_CMDLINE_FROM_DTB=n\nCONFIG_MIPS_CMDLINE_FROM_BOOTLOADER=y\n";
    let forced = |kernel: &Kernel| {
        let wants = Wants { handoff: Some(HandoffKind::Uhi), ..Wants::default() };
        assess(kernel, &wants).refusal().expect("refused")
    };
    let generic = kernel(line);
    let failure = forced(&generic);
    assert!(failure.to_string().contains("CONFIG_MIPS_CMDLINE_FROM_BOOTLOADER=y"), "{failure}");
    assert!(failure.to_string().contains("would be empty"), "{failure}");
    assert_eq!(failure.next_step().as_deref(), Some("build the kernel with CONFIG_MIPS_CMDLINE_FROM_DTB=y"));
    // Nothing else works for a generic kernel either: no tree by argv, no slot.
    assert!(assess(&generic, &Wants::default()).handoff.is_none());
    assert!(assess(&generic, &Wants::default()).refusal().is_some());

    let ath79 = kernel(&format!("{line}CONFIG_MIPS_GENERIC_KERNEL=n\nCONFIG_ATH79=y\n"));
    assert!(forced(&ath79).next_step().unwrap().contains("--handoff argv"));
    let (kind, reason) = assess(&ath79, &Wants::default()).handoff.unwrap();
    assert_eq!(kind, HandoffKind::Argv);
    assert!(reason.contains("not uhi: CONFIG_MIPS_CMDLINE_FROM_BOOTLOADER"), "{reason}");

    let mut slot = kernel(&format!("{line}CONFIG_MIPS_RAW_APPENDED_DTB=y\n"));
    slot.appended_dtb = Some((0x50_0000, 0x10_0000));
    assert!(forced(&slot).next_step().unwrap().contains("--handoff appended"));
    assert_eq!(assess(&slot, &Wants::default()).handoff.unwrap().0, HandoffKind::Appended);
}

#[test]
fn the_built_in_line_alone_is_refused_for_every_handoff() {
    let overridden = kernel("CONFIG_CMDLINE_OVERRIDE=y\nCONFIG_MIPS_RAW_APPENDED_DTB=y\n");
    for name in ["uhi", "argv", "appended"] {
        assert_eq!(level(&overridden, name, false), Level::No, "{name}");
    }
}

#[test]
fn a_built_in_line_that_wins_is_a_warning() {
    let with = kernel("CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"root=/dev/sda\"\n");
    assert_eq!(level(&with, "uhi", false), Level::Warn);
    let empty = kernel("CONFIG_CMDLINE_BOOL=y\nCONFIG_CMDLINE=\"\"\n");
    assert_eq!(level(&empty, "uhi", false), Level::Ok);
}

#[test]
fn malta_takes_argv_and_phram_by_the_command_line() {
    let malta = kernel(
        "CONFIG_MIPS_GENERIC_KERNEL=n\nCONFIG_MIPS_MALTA=y\nCONFIG_MIPS_CMDLINE_FROM_DTB=n\n\
         CONFIG_MIPS_CMDLINE_FROM_BOOTLOADER=y\n",
    );
    let assessment = assess(&malta, &wants(false));
    assert_eq!(assessment.handoff.as_ref().unwrap().0, HandoffKind::Argv);
    assert_eq!(assessment.phram, PhramMode::CommandLine);
    assert!(assessment.refusal().is_none());
    assert!(assessment.warnings().any(|finding| finding.says.contains("reserved")));
    let by_tree = assess(&malta, &Wants { phram: PhramMode::Tree, ..wants(false) });
    assert!(by_tree.refusal().unwrap().next_step().unwrap().contains("--phram cmdline"));
}

#[test]
fn a_kernel_older_than_phram_in_the_tree_gets_the_command_line() {
    let mut old = kernel("");
    old.version = Some("5.15.167".into());
    assert_eq!(assess(&old, &wants(false)).phram, PhramMode::CommandLine);
    old.version = Some("5.19".into());
    assert_eq!(assess(&old, &wants(false)).phram, PhramMode::Tree);
    old.version = None;
    assert_eq!(level(&old, "phram-dt", false), Level::Unknown);
}

#[test]
fn a_module_will_do_only_with_an_initramfs() {
    for (symbol, name) in [("MTD_PHRAM", "phram-dt"), ("MTD", "phram-dt"), ("SQUASHFS", "squashfs")] {
        let modular = kernel(&format!("CONFIG_{symbol}=m\n"));
        assert_eq!(level(&modular, name, false), Level::No, "{symbol}");
        assert_eq!(level(&modular, name, true), Level::Warn, "{symbol}");
    }
    assert_eq!(level(&kernel("CONFIG_MTD_CMDLINE_PARTS=m\n"), "mtdparts", true), Level::No);
}

#[test]
fn either_block_driver_will_do() {
    assert_eq!(level(&kernel("CONFIG_MTD_BLOCK=n\nCONFIG_MTD_BLOCK_RO=y\n"), "phram-dt", false), Level::Ok);
    assert_eq!(level(&kernel("CONFIG_MTD_BLOCK=n\n"), "phram-dt", false), Level::No);
}

#[test]
fn the_root_filesystems_own_compressor_is_what_counts() {
    let of = |compressor, xattrs| {
        let wants = Wants { rootfs: Some(SquashfsInfo { compressor, xattrs, ..XZ }), ..Wants::default() };
        assess(&kernel(""), &wants)
    };
    assert!(of(Compressor::Xz, false).refusal().is_none());
    let failure = of(Compressor::Zstd, false).refusal().unwrap();
    assert!(matches!(&failure, Error::Unsuited { symbol, .. } if symbol == "CONFIG_SQUASHFS_ZSTD=absent"), "{failure}");
    assert!(of(Compressor::Lzma, false).refusal().unwrap().to_string().contains("lzma"));
    assert!(of(Compressor::Xz, true).warnings().any(|finding| finding.symbol == "CONFIG_SQUASHFS_XATTR"));
}

#[test]
fn the_ramdisks_own_compression_is_what_counts() {
    let of = |codec| assess(&kernel(""), &Wants { initrd: true, initrd_needs: needs(codec), ..Wants::default() });
    assert!(of(None).refusal().is_none());
    assert!(of(Some(Codec::Gzip)).refusal().is_none());
    assert!(of(Some(Codec::Zstd)).refusal().unwrap().to_string().contains("CONFIG_RD_ZSTD"));
}

#[test]
fn a_filter_or_an_image_in_the_ramdisk_needs_its_symbol() {
    let of = |changes: &str, needs| {
        assess(&kernel(changes), &Wants { initrd: true, initrd_needs: needs, ..Wants::default() })
    };
    let filter = initrd::Needs { codec: Some(Codec::Xz), filter: Some("XZ_DEC_ARM"), image: None };
    let xz = "CONFIG_RD_XZ=y\n";
    assert!(of(xz, filter).refusal().unwrap().to_string().contains("CONFIG_XZ_DEC_ARM"));
    assert!(of(&format!("{xz}CONFIG_XZ_DEC_ARM=y\n"), filter).refusal().is_none());
    let image = initrd::Needs { image: Some("a romfs"), ..initrd::Needs::default() };
    let failure = of("", image).refusal().unwrap();
    assert!(failure.to_string().contains("CONFIG_BLK_DEV_RAM") && failure.to_string().contains("a romfs"), "{failure}");
    assert!(of("CONFIG_BLK_DEV_RAM=y\n", image).refusal().is_none());
}

#[test]
fn a_missing_decompressor_names_those_that_the_kernel_has() {
    let failure = assess(
        &kernel("CONFIG_RD_LZ4=y\n"),
        &Wants { initrd: true, initrd_needs: needs(Some(Codec::Zstd)), ..Wants::default() },
    );
    let next = failure.refusal().unwrap().next_step().unwrap().to_owned();
    assert!(next.contains("gzip -9") && next.contains("lz4 -l") && !next.contains("xz"), "{next}");
}

#[test]
fn squashfs_is_held_against_pages_filters_and_the_fragment_cache() {
    let level = |changes: &str, rootfs| {
        apply(set("squashfs").unwrap(), &kernel(changes), &Wants { rootfs: Some(rootfs), ..Wants::default() }, true)
            .level()
    };
    let small = SquashfsInfo { block_size: 0x2000, ..XZ };
    assert_eq!(level("", small), Level::Ok);
    assert_eq!(level("CONFIG_PAGE_SIZE_16KB=y\n", small), Level::No);
    assert_eq!(level("CONFIG_PAGE_SIZE_16KB=y\n", XZ), Level::Ok);
    let branch = SquashfsInfo { branch: 1 << 3, ..XZ };
    assert_eq!(level("", branch), Level::No);
    assert_eq!(level("CONFIG_XZ_DEC_ARM=y\n", branch), Level::Ok);
    let fragments = SquashfsInfo { fragments: 7, ..XZ };
    assert_eq!(level("CONFIG_SQUASHFS_FRAGMENT_CACHE_SIZE=3\n", fragments), Level::Ok);
    assert_eq!(level("CONFIG_SQUASHFS_FRAGMENT_CACHE_SIZE=0\n", fragments), Level::No);
}

#[test]
fn a_set_of_another_architecture_does_not_hold() {
    assert_eq!(level(&kernel(""), "arm64", false), Level::No);
    let arm64 = Kernel { arch: Machine::Arm64, ..kernel("CONFIG_ARM64=y\n") };
    for name in ["uhi", "argv", "appended"] {
        assert_eq!(level(&arm64, name, false), Level::No, "{name}");
        let without = Kernel { config: None, ..arm64.clone() };
        assert_eq!(level(&without, name, false), Level::No, "{name}");
    }
}

#[test]
fn without_a_configuration_the_kernels_own_words_rule_out_what_its_platform_cannot() {
    let with = |image: &[u8]| Kernel { config: None, platform: platform::by_words(image), ..kernel("") };
    let (malta, generic) = (&b"x\0MIPS Malta\0y"[..], &b"Failed to apply FDT fixup \"%s\"\n\0"[..]);
    let assessment = assess(&with(malta), &wants(false));
    assert_eq!(assessment.handoff.as_ref().unwrap().0, HandoffKind::Argv);
    assert_eq!(assessment.phram, PhramMode::CommandLine);
    assert!(assessment.handoff.unwrap().1.contains("MIPS Malta"));
    assert!(assess(&with(generic), &wants(false)).handoff.is_none(), "its configuration is needed for the line");
    assert!(assess(&with(&[malta, generic].concat()), &wants(false)).handoff.is_none(), "two platforms tell nothing");
}

#[test]
fn kexec_on_smp_needs_a_way_to_stop_the_other_cpus() {
    assert_eq!(level(&kernel("CONFIG_SMP=y\n"), "kexec", false), Level::No);
    assert_eq!(level(&kernel("CONFIG_SMP=y\nCONFIG_MIPS_CPS=y\n"), "kexec", false), Level::Ok);
    assert_eq!(level(&kernel("CONFIG_UHI_BOOT=n\n"), "kexec", false), Level::Warn);
}

#[test]
fn kexec_on_arm64_takes_either_system_call() {
    let arm64 =
        |config: &str| Kernel { arch: Machine::Arm64, ..kernel(&format!("CONFIG_SMP=y\nCONFIG_UHI_BOOT=n\n{config}")) };
    assert_eq!(level(&arm64(""), "kexec", false), Level::Ok);
    assert_eq!(level(&arm64("CONFIG_KEXEC=n\nCONFIG_KEXEC_FILE=y\n"), "kexec", false), Level::Ok);
    assert_eq!(level(&arm64("CONFIG_KEXEC=n\n"), "kexec", false), Level::No);
    assert_eq!(level(&kernel("CONFIG_KEXEC=n\nCONFIG_KEXEC_FILE=y\n"), "kexec", false), Level::No, "not on MIPS");
}

#[test]
fn without_a_configuration_nothing_is_guessed() {
    let mut unknown = kernel("");
    unknown.config = None;
    let assessment = assess(&unknown, &wants(true));
    assert!(assessment.handoff.is_none());
    assert!(assessment.requirements.iter().all(|requirement| requirement.level() == Level::Unknown));
    let failure = assessment.refusal().unwrap();
    assert!(matches!(failure, Error::Unsuited { known: false, .. }), "{failure}");
    assert!(failure.next_step().unwrap().contains("--config"), "{failure}");
    // What the user decides is taken, but for what the file itself rules out.
    let forced = |kind| assess(&unknown, &Wants { handoff: Some(kind), ..wants(true) });
    assert!(forced(HandoffKind::Uhi).refusal().is_none());
    assert!(forced(HandoffKind::Appended).refusal().unwrap().to_string().contains("__appended_dtb"));
}

#[test]
fn a_kernel_that_moves_is_a_warning_with_its_range() {
    let mut moving = kernel("");
    let region = 0x100_0000..0x140_0000;
    moving.relocation = Some(crate::input::Relocation { region, random: true, assumed: false });
    let assessment = assess(&moving, &Wants::default());
    let warning = assessment.warnings().next().unwrap();
    assert!(warning.says.contains("[0x1000000, 0x1400000)") && warning.fix.as_ref().unwrap().contains("nokaslr"));
}

#[test]
fn an_appended_tree_that_would_win_over_uhi_is_a_warning() {
    for symbol in ["MIPS_RAW_APPENDED_DTB", "MIPS_ELF_APPENDED_DTB"] {
        assert_eq!(level(&kernel(&format!("CONFIG_{symbol}=y\n")), "uhi", false), Level::Warn);
    }
}

#[test]
fn platforms_with_another_protocol_take_nothing() {
    for symbol in ["MACH_LOONGSON64", "CAVIUM_OCTEON_SOC"] {
        let other = kernel(&format!("CONFIG_MIPS_GENERIC_KERNEL=n\nCONFIG_{symbol}=y\n"));
        assert!(assess(&other, &Wants::default()).handoff.is_none(), "{symbol}");
    }
}

#[test]
fn every_finding_that_is_no_says_what_to_do_and_every_set_has_a_name_of_its_own() {
    let nothing = kernel("").config.map(|_| Kconfig::parse("CONFIG_X=y\n", "test").unwrap());
    let nothing = Kernel { config: nothing, ..kernel("") };
    for (index, set) in SETS.iter().enumerate() {
        assert!(SETS[..index].iter().all(|other| other.name != set.name));
        let requirement = apply(set, &nothing, &wants(false), true);
        assert!(requirement.level() > Level::Ok, "{}", set.name);
        for finding in requirement.findings.iter().filter(|finding| finding.level == Level::No) {
            assert!(finding.fix.is_some(), "{}: {finding:?}", set.name);
        }
    }
}

#[test]
fn a_slot_that_the_platform_does_not_look_into_is_no() {
    let mut slot = kernel("CONFIG_MIPS_RAW_APPENDED_DTB=y\n");
    slot.appended_dtb = Some((0x50_0000, 0x10_0000));
    assert_eq!(level(&slot, "appended", false), Level::Ok);
    for symbol in ["MIPS_MALTA", "MACH_LOONGSON64", "BCM47XX"] {
        let config = format!("CONFIG_MIPS_GENERIC_KERNEL=n\nCONFIG_{symbol}=y\nCONFIG_MIPS_RAW_APPENDED_DTB=y\n");
        let other = Kernel { appended_dtb: slot.appended_dtb, ..kernel(&config) };
        assert_eq!(level(&other, "appended", false), Level::No, "{symbol}");
    }
}

#[test]
fn a_line_that_would_be_seen_twice_is_no() {
    let extend = "CONFIG_MIPS_CMDLINE_FROM_DTB=n\nCONFIG_MIPS_CMDLINE_DTB_EXTEND=y\nCONFIG_MIPS_GENERIC_KERNEL=n\n";
    let ath79 = kernel(&format!("{extend}CONFIG_ATH79=y\n"));
    assert_eq!(level(&ath79, "argv", false), Level::No);
    assert_eq!(assess(&ath79, &Wants::default()).handoff.unwrap().0, HandoffKind::Uhi);
    // Malta does not see the tree.
    assert_eq!(level(&kernel(&format!("{extend}CONFIG_MIPS_MALTA=y\n")), "argv", false), Level::Ok);
}
