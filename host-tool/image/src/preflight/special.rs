//! The requirements that take more than the value of a symbol.

use super::finding::{Context, Finding, Level};
use crate::format::codec::Codec;
use crate::input::Kernel;
use crate::input::initrd::compressor;
use crate::input::rootfs::Compressor;
use crate::kconfig::Value;
use crate::machine::Machine;
use crate::platform::TreeFrom;

/// Which source the kernel takes its command line from: one Kconfig choice (arch/mips/Kconfig, setup.c:bootcmdline_init).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    Override,
    FromTree,
    TreeThenArgs,
    FromArgs,
    BuiltInThenArgs,
    Unknown,
}

const LINES: [(&str, Line); 5] = [
    // Consulted first, whatever the choice says.
    ("CMDLINE_OVERRIDE", Line::Override),
    ("MIPS_CMDLINE_FROM_DTB", Line::FromTree),
    ("MIPS_CMDLINE_DTB_EXTEND", Line::TreeThenArgs),
    ("MIPS_CMDLINE_FROM_BOOTLOADER", Line::FromArgs),
    ("MIPS_CMDLINE_BUILTIN_EXTEND", Line::BuiltInThenArgs),
];

fn line(context: &Context) -> (&'static str, Line) {
    LINES
        .into_iter()
        .find(|(symbol, _)| context.config.is_yes(symbol))
        .unwrap_or(("MIPS_CMDLINE_FROM_DTB", Line::Unknown))
}

fn overridden() -> Finding {
    Finding::of(Level::No, "CMDLINE_OVERRIDE", &Value::Yes, "only CONFIG_CMDLINE counts, whatever is passed")
        .fix("build the kernel without CONFIG_CMDLINE_OVERRIDE")
}

fn unknown_line(context: &Context) -> Finding {
    let symbol = "MIPS_CMDLINE_FROM_DTB";
    Finding::of(
        Level::Unknown,
        symbol,
        &context.config.get(symbol),
        "none of the four sources of the command line is set",
    )
    .fix("give the configuration that the kernel was built with, not a fragment of it")
}

/// CONFIG_CMDLINE is appended last, so for parameters of which the last one wins it beats everything passed.
fn built_in_line(context: &Context) -> Option<Finding> {
    let value = context.config.get("CMDLINE");
    match &value {
        Value::Text(text) if !text.is_empty() && context.config.is_yes("CMDLINE_BOOL") => Some(Finding::of(
            Level::Warn,
            "CMDLINE",
            &value,
            "is appended to the command line and wins over the same parameter before it",
        )),
        _ => None,
    }
}

pub(super) fn line_from_tree(context: &Context) -> Vec<Finding> {
    let (symbol, line) = line(context);
    let takes = |says| Finding::of(Level::Ok, symbol, &Value::Yes, says);
    let mut findings = vec![match line {
        Line::Override => overridden(),
        Line::Unknown => unknown_line(context),
        Line::FromTree => takes("takes the command line from the device tree"),
        Line::TreeThenArgs => takes("takes the command line from the device tree first"),
        Line::FromArgs | Line::BuiltInThenArgs => Finding::of(
            Level::No,
            symbol,
            &Value::Yes,
            "ignores the device tree's bootargs: by UHI its command line would be empty, without a word",
        )
        .fix(instead_of_uhi(context)),
    }];
    findings.extend(built_in_line(context));
    findings
}

/// arm64 takes /chosen/bootargs, and CONFIG_CMDLINE only when they are empty, or always (drivers/of/fdt.c:
/// early_init_dt_scan_chosen).
pub(super) fn line_from_arm64_tree(context: &Context) -> Vec<Finding> {
    let (force, value) = ("CMDLINE_FORCE", Value::Yes);
    vec![match context.config.is_yes(force) {
        true => Finding::of(Level::No, force, &value, "only CONFIG_CMDLINE counts, whatever is passed")
            .fix("build the kernel without CONFIG_CMDLINE_FORCE"),
        false => {
            Finding::of(Level::Ok, force, &context.config.get(force), "takes the command line from the device tree")
        }
    }]
}

/// The handoff that still works when the command line must come as argv.
fn instead_of_uhi(context: &Context) -> String {
    let build = "build the kernel with CONFIG_MIPS_CMDLINE_FROM_DTB=y";
    match context.platform.map(|platform| platform.tree) {
        _ if context.kernel.appended_dtb.is_some() => format!("use --handoff appended, or {build}"),
        Some(TreeFrom::UhiOrEnv) => format!("use --handoff argv (the device tree goes in env fdt_start), or {build}"),
        Some(TreeFrom::BuiltIn | TreeFrom::Nowhere) => "use --handoff argv".into(),
        _ => build.into(),
    }
}

pub(super) fn tree_by_uhi(context: &Context) -> Vec<Finding> {
    let Some(platform) = context.platform else {
        return vec![
            Finding::of(
                Level::Warn,
                "MIPS_GENERIC_KERNEL",
                &context.config.get("MIPS_GENERIC_KERNEL"),
                UNKNOWN_PLATFORM,
            )
            .fix("try it with `stoop run`, and look for its console before flashing"),
        ];
    };
    let finding = |level, says| Finding::of(level, platform.symbol, &Value::Yes, says);
    vec![match platform.tree {
        TreeFrom::Uhi | TreeFrom::UhiOrEnv => finding(Level::Ok, "this platform takes a device tree by UHI"),
        TreeFrom::BuiltIn => finding(Level::No, "this platform uses the device tree inside the kernel and ignores UHI")
            .fix("use --handoff argv, or build the kernel for MIPS_GENERIC_KERNEL"),
        TreeFrom::Other => finding(Level::No, "this platform has a boot protocol of its own and ignores UHI")
            .fix("build the kernel for a platform that takes UHI"),
        TreeFrom::Nowhere => finding(Level::No, "this platform has no device tree").fix("use --handoff argv"),
    }]
}

const UNKNOWN_PLATFORM: &str = "the kernel's platform is none that stoop knows";

pub(super) fn line_from_argv(context: &Context) -> Vec<Finding> {
    let (symbol, line) = line(context);
    let finding = |level, says| Finding::of(level, symbol, &Value::Yes, says);
    let mut findings = vec![match line {
        Line::Override => overridden(),
        Line::Unknown => unknown_line(context),
        Line::FromArgs | Line::BuiltInThenArgs => finding(Level::Ok, "takes the command line from argv"),
        Line::TreeThenArgs if context.platform.is_some_and(|platform| platform.tree == TreeFrom::UhiOrEnv) => {
            finding(Level::No, "would join argv to the same line in the device tree").fix("use --handoff uhi")
        }
        Line::TreeThenArgs => finding(Level::Ok, "takes the command line from argv when it sees no device tree"),
        Line::FromTree => finding(Level::Warn, "takes argv only when its device tree has no bootargs")
            .fix("use --handoff uhi if the kernel takes it"),
    }];
    if line != Line::BuiltInThenArgs {
        findings.extend(built_in_line(context));
    }
    findings
}

pub(super) fn tree_beside_argv(context: &Context) -> Vec<Finding> {
    let Some(platform) = context.platform else {
        let symbol = "MIPS_GENERIC_KERNEL";
        return vec![Finding::of(Level::Warn, symbol, &context.config.get(symbol), UNKNOWN_PLATFORM)];
    };
    let symbols = &context.kernel.symbols;
    let built_in = symbols.get("__dtb_start") < symbols.get("__dtb_end");
    let finding = |level, says| Finding::of(level, platform.symbol, &Value::Yes, says);
    vec![match platform.tree {
        TreeFrom::UhiOrEnv => finding(Level::Ok, "takes the device tree from env fdt_start"),
        TreeFrom::Nowhere => finding(Level::Ok, "needs no device tree"),
        TreeFrom::BuiltIn => finding(Level::Ok, "uses the device tree inside the kernel; a packed one is not seen"),
        TreeFrom::Uhi if built_in => {
            finding(Level::Warn, "uses the device tree inside the kernel; a packed one is not seen by argv")
        }
        TreeFrom::Uhi => finding(Level::No, "gets no device tree by argv, and there is none inside the kernel")
            .fix("use --handoff uhi or appended"),
        TreeFrom::Other => finding(Level::No, "this platform has a boot protocol of its own")
            .fix("build the kernel for a platform that takes UHI"),
    }]
}

pub(super) fn line_from_either(context: &Context) -> Vec<Finding> {
    let (symbol, line) = line(context);
    match line {
        Line::Override => vec![overridden()],
        Line::Unknown => vec![unknown_line(context)],
        Line::FromTree | Line::TreeThenArgs => {
            vec![Finding::of(Level::Ok, symbol, &Value::Yes, "takes the command line from that tree")]
        }
        _ => vec![Finding::of(Level::Ok, symbol, &Value::Yes, "the shim passes the line in the tree and as argv")],
    }
}

const APPENDED: [&str; 2] = ["MIPS_RAW_APPENDED_DTB", "MIPS_ELF_APPENDED_DTB"];

pub(super) fn slot_is_known(context: &Context) -> Vec<Finding> {
    let Some(symbol) = APPENDED.into_iter().find(|symbol| context.config.is_yes(symbol)) else { return Vec::new() };
    if let Some(platform) = context.platform
        && !matches!(platform.tree, TreeFrom::Uhi | TreeFrom::UhiOrEnv)
    {
        // mti-malta/malta-setup.c: plat_get_fdt has its own idea; others look for none or speak a protocol of their own.
        let says = "this platform does not look into the appended slot";
        return vec![Finding::of(Level::No, platform.symbol, &Value::Yes, says).fix("use --handoff argv")];
    }
    vec![match context.kernel.appended_dtb {
        Some((at, _)) => Finding::of(Level::Ok, symbol, &Value::Yes, format!("the slot is at 0x{at:x}")),
        None => Finding::of(Level::No, symbol, &Value::Yes, "where the slot lies is not in this file")
            .fix("give the vmlinux with its symbols"),
    }]
}

pub(super) fn appended_wins(context: &Context) -> Vec<Finding> {
    let symbol = APPENDED.into_iter().find(|symbol| context.config.is_yes(symbol));
    let warning = |symbol| {
        Finding::of(Level::Warn, symbol, &Value::Yes, "a device tree in the kernel's appended slot would win over UHI")
            .fix("leave the slot empty; stoop zeroes it")
    };
    symbol.map(warning).into_iter().collect()
}

pub(super) fn relocates(context: &Context) -> Vec<Finding> {
    let Some(relocation) = &context.kernel.relocation else { return Vec::new() };
    let region = &relocation.region;
    let says = format!("the kernel moves itself into [0x{:x}, 0x{:x}); pack keeps that free", region.start, region.end);
    let symbol = if relocation.random { "RANDOMIZE_BASE" } else { "RELOCATABLE" };
    let finding = Finding::of(Level::Warn, symbol, &Value::Yes, says);
    vec![if relocation.random { finding.fix("to save that room put nokaslr on the command line") } else { finding }]
}

/// A phram node needs a kernel that looks for it, and a way to show the kernel our tree.
pub(super) fn phram_by_tree(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let since = "phram in the device tree came with Linux 5.19";
    let finding =
        |level, says: String| Finding { value: context.version_text(), ..Finding::new(level, "version", says) };
    findings.push(match context.version {
        Some(version) if version >= (5, 19) => finding(Level::Ok, format!("{since} or soon after")),
        Some(_) => finding(Level::No, since.into()).fix("use --phram cmdline, or a newer kernel"),
        None => finding(Level::Unknown, format!("{since}, but this kernel's version was not found"))
            .fix("give a vmlinux, or use --phram cmdline"),
    });
    let tree = context.platform.map(|platform| platform.tree);
    if matches!(tree, Some(TreeFrom::BuiltIn | TreeFrom::Nowhere)) && context.kernel.appended_dtb.is_none() {
        let symbol = context.platform.map_or("", |platform| platform.symbol);
        findings.push(
            Finding::of(Level::No, symbol, &Value::Yes, "the kernel never sees a packed device tree")
                .fix("use --phram cmdline"),
        );
    }
    findings
}

/// The parameter maps memory but keeps nobody out of it.
pub(super) fn phram_memory(context: &Context) -> Vec<Finding> {
    if context.kernel.arch == Machine::Arm64 {
        let says = "on arm64 phram.phram= cannot map RAM (arch/arm64/mm/ioremap.c)";
        return vec![Finding::new(Level::No, "memory", says).fix("use --phram dt")];
    }
    let says = "its memory must be reserved too: phram.phram= does not";
    vec![
        Finding::new(Level::Warn, "memory", says)
            .fix("put memmap=SIZE$START on the command line, or reserve it in the tree"),
    ]
}

/// fs/squashfs/super.c: a page may not be larger than a block.
fn block_and_pages(context: &Context, block: u32) -> Option<Finding> {
    const PAGES: [(&str, u32); 7] = [
        ("PAGE_SIZE_8KB", 0x2000),
        ("PAGE_SIZE_16KB", 0x4000),
        ("PAGE_SIZE_32KB", 0x8000),
        ("PAGE_SIZE_64KB", 0x1_0000),
        ("PAGE_SIZE_256KB", 0x4_0000),
        ("ARM64_16K_PAGES", 0x4000),
        ("ARM64_64K_PAGES", 0x1_0000),
    ];
    let (symbol, page) = PAGES.into_iter().find(|(symbol, page)| context.config.is_yes(symbol) && *page > block)?;
    let says = format!("the blocks of the root filesystem, 0x{block:x} bytes, are smaller than the kernel's pages");
    let finding = Finding::of(Level::No, symbol, &Value::Yes, says);
    Some(finding.fix(format!("make it with mksquashfs -b {page} or larger blocks")))
}

pub(super) fn squashfs_details(context: &Context) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(rootfs) = context.rootfs else { return findings };
    let symbol = match rootfs.compressor {
        Compressor::Zlib => "SQUASHFS_ZLIB",
        Compressor::Lzo => "SQUASHFS_LZO",
        Compressor::Xz => "SQUASHFS_XZ",
        Compressor::Lz4 => "SQUASHFS_LZ4",
        Compressor::Zstd => "SQUASHFS_ZSTD",
        Compressor::Lzma => {
            findings.push(
                Finding::new(Level::No, "squashfs", "no mainline kernel reads lzma in squashfs")
                    .fix("make the root filesystem with mksquashfs -comp xz"),
            );
            return findings;
        }
    };
    let value = context.config.get(symbol);
    let name = rootfs.compressor.name();
    findings.push(match value {
        Value::Yes => Finding::of(Level::Ok, symbol, &value, format!("{name} in squashfs")),
        _ => Finding::of(Level::No, symbol, &value, format!("{name} in squashfs: missing")).fix(format!(
            "build the kernel with CONFIG_{symbol}=y, or make the root filesystem with a compressor it has"
        )),
    });
    if rootfs.compressor == Compressor::Xz {
        let again = "make the root filesystem again with mksquashfs -comp xz, without -Xbcj";
        findings.extend(rootfs.filters().map(|symbol| xz_filter(context, symbol, again)));
    }
    findings.extend(block_and_pages(context, rootfs.block_size));
    // fs/squashfs/super.c: squashfs_fill_super makes the cache only for fragments, and fails without one.
    let cache = context.config.get("SQUASHFS_FRAGMENT_CACHE_SIZE");
    if rootfs.fragments > 0 && cache.as_u64() == Some(0) {
        let says = "the root filesystem has fragments, and the kernel caches none: it cannot mount it";
        findings.push(
            Finding::of(Level::No, "SQUASHFS_FRAGMENT_CACHE_SIZE", &cache, says)
                .fix("build the kernel with CONFIG_SQUASHFS_FRAGMENT_CACHE_SIZE=3, or use mksquashfs -no-fragments"),
        );
    }
    if rootfs.xattrs && !context.config.is_yes("SQUASHFS_XATTR") {
        let value = context.config.get("SQUASHFS_XATTR");
        findings.push(
            Finding::of(
                Level::Warn,
                "SQUASHFS_XATTR",
                &value,
                "the extended attributes of the root filesystem are not seen",
            )
            .fix("set CONFIG_SQUASHFS_XATTR=y, or make it with mksquashfs -no-xattrs"),
        );
    }
    findings
}

/// The kernel's decoders of ramdisks.
const RAMDISKS: [(Codec, &str); 7] = [
    (Codec::Gzip, "RD_GZIP"),
    (Codec::Xz, "RD_XZ"),
    (Codec::Lzma, "RD_LZMA"),
    (Codec::Lz4, "RD_LZ4"),
    (Codec::Zstd, "RD_ZSTD"),
    (Codec::Bzip2, "RD_BZIP2"),
    (Codec::Lzo, "RD_LZO"),
];

pub(super) fn initrd_codec(context: &Context) -> Vec<Finding> {
    let needs = context.initrd;
    let mut findings = Vec::new();
    if let Some((_, symbol)) = RAMDISKS.iter().find(|(codec, _)| needs.codec == Some(*codec)) {
        let value = context.config.get(symbol);
        let has = RAMDISKS.iter().filter(|(_, symbol)| context.config.is_yes(symbol));
        let has: Vec<_> = has.map(|(codec, _)| format!("`{}`", compressor(*codec))).collect();
        let other = if has.is_empty() {
            "leave it uncompressed".into()
        } else {
            format!("compress it with {}", has.join(" or "))
        };
        findings.push(match value {
            Value::Yes => Finding::of(Level::Ok, symbol, &value, "this compression of ramdisks"),
            _ => Finding::of(Level::No, symbol, &value, "this compression of ramdisks: missing")
                .fix(format!("build the kernel with CONFIG_{symbol}=y, or {other}")),
        });
    }
    if let Some(symbol) = needs.filter {
        findings.push(xz_filter(context, symbol, "pack the ramdisk without it: xz --check=crc32 --lzma2=dict=1MiB"));
    }
    if let Some(image) = needs.image {
        // init/initramfs.c: populate_rootfs keeps what is no archive for a RAM disk, or drops it.
        let value = context.config.get("BLK_DEV_RAM");
        findings.push(match value {
            Value::Yes => Finding::of(
                Level::Warn,
                "BLK_DEV_RAM",
                &value,
                format!("the ramdisk is {image}: the kernel mounts it with root=/dev/ram0 if it has room and the file system"),
            ),
            _ => Finding::of(Level::No, "BLK_DEV_RAM", &value, format!("the ramdisk is {image}, and there is no RAM disk"))
                .fix("give a cpio archive: (cd DIR && find . | cpio -o -H newc) | gzip -9 > initrd.cpio.gz"),
        });
    }
    findings
}

/// A branch filter of xz (lib/xz/Kconfig).
fn xz_filter(context: &Context, symbol: &str, otherwise: &str) -> Finding {
    let value = context.config.get(symbol);
    match value {
        Value::Yes => Finding::of(Level::Ok, symbol, &value, "this filter of xz"),
        _ => Finding::of(Level::No, symbol, &value, "this filter of xz: missing")
            .fix(format!("build the kernel with CONFIG_{symbol}=y, or {otherwise}")),
    }
}

/// Without a configuration: what the words in the kernel tell of its platform, where that decides.
pub(super) fn by_words(set: &str, kernel: &Kernel) -> Option<Finding> {
    let (platform, words) = kernel.platform?;
    let says = |what: &str| format!("{what}: it is for this platform by its own words, {words:?}");
    let finding = |level, what: &str| Finding::new(level, &format!("CONFIG_{}", platform.symbol), says(what));
    let blind = matches!(platform.tree, TreeFrom::BuiltIn | TreeFrom::Nowhere);
    Some(match set {
        "uhi" | "appended" if blind => {
            finding(Level::No, "the kernel looks at no device tree that is passed").fix("use --handoff argv")
        }
        "uhi" | "appended" | "argv" if platform.tree == TreeFrom::Other => {
            finding(Level::No, "the kernel has a boot protocol of its own")
                .fix("build it for a platform that takes UHI")
        }
        "argv" if blind => finding(Level::Warn, "the kernel is taken to read argc and argv, as is usual there")
            .fix("give its configuration with --config to be sure"),
        "phram-dt" if blind => {
            finding(Level::No, "the kernel never sees a packed device tree").fix("use --phram cmdline")
        }
        _ => return None,
    })
}

/// kexec_load fails with EINVAL on an SMP kernel whose smp_ops cannot stop the other CPUs (machine_kexec.c).
pub(super) fn kexec_smp(context: &Context) -> Vec<Finding> {
    if !context.config.is_yes("SMP") || context.kernel.arch == Machine::Arm64 {
        return Vec::new();
    }
    const CAN: [&str; 4] = ["MIPS_CPS", "BMIPS_GENERIC", "CAVIUM_OCTEON_SOC", "MACH_LOONGSON64"];
    let can = CAN.into_iter().find(|symbol| context.config.is_yes(symbol));
    vec![match can {
        Some(symbol) => Finding::of(Level::Ok, symbol, &Value::Yes, "can stop the other CPUs"),
        None => {
            Finding::of(Level::No, "SMP", &Value::Yes, "cannot stop the other CPUs, so kexec_load fails with EINVAL")
                .fix("build the kernel with CONFIG_MIPS_CPS=y or without CONFIG_SMP")
        }
    }]
}
