//! The requirement sets as data: which symbols a use needs, why, and what to do when one is missing.

use super::finding::{Context, Finding, Level};
use super::special;
use crate::kconfig::Value;
use crate::machine::Machine;

/// What a kernel can be asked for, by the name that `--for` takes.
pub struct Set {
    /// The name.
    pub name: &'static str,
    /// What it means, a few words.
    pub about: &'static str,
    pub(super) rules: &'static [Rule],
}

impl Set {
    /// Kernels of this architecture can be asked for it.
    pub(super) fn is_for(&self, arch: Machine) -> bool {
        match self.name {
            "arm64" => arch == Machine::Arm64,
            "uhi" | "argv" | "appended" => arch != Machine::Arm64,
            _ => true,
        }
    }

    /// What to do with a kernel that it is not for.
    pub(super) fn elsewhere(&self, arch: Machine) -> &'static str {
        match arch {
            Machine::Arm64 => "omit it: arm64 kernels take the arm64 handoff only",
            Machine::MipsBe | Machine::MipsLe => "omit it: MIPS kernels take uhi, appended or argv",
        }
    }
}

/// One line of a set.
pub(super) enum Rule {
    /// One of these symbols must be `=y`; `=m` will do when an initramfs can load it and the flag says so.
    Yes(&'static [&'static str], Modular, &'static str),
    /// Better `=y`: what for, what its lack means, what to do.
    Better(&'static str, &'static str, &'static str, &'static str),
    /// Must not be `=y`: why, and what to do.
    Not(&'static str, &'static str, &'static str),
    /// What takes more than a symbol.
    Special(fn(&Context) -> Vec<Finding>),
}

/// Whether a module will do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Modular {
    /// With an initramfs.
    WithInitramfs,
    /// Never: Kconfig has no `m` for it, or it is needed before any file is.
    Never,
}

use Modular::{Never, WithInitramfs};
use Rule::{Better, Not, Special, Yes};

const EVA: Rule = Not("EVA", "with EVA the kernel runs outside KSEG0", "build the kernel without CONFIG_EVA");

/// For the choice between the two, and in [`SETS`].
pub(super) const PHRAM_DT: Set = Set {
    name: "phram-dt",
    about: "root filesystem in RAM, named by the device tree",
    rules: &[
        Yes(&["OF"], Never, "device trees"),
        Yes(&["MTD"], WithInitramfs, "MTD"),
        Yes(&["MTD_PHRAM"], WithInitramfs, "RAM as an MTD device"),
        Yes(&["BLOCK"], Never, "block devices"),
        Yes(&["MTD_BLOCK", "MTD_BLOCK_RO"], WithInitramfs, "MTD devices as block devices"),
        Special(special::phram_by_tree),
    ],
};

/// For the choice between the two, and in [`SETS`].
pub(super) const PHRAM_CMDLINE: Set = Set {
    name: "phram-cmdline",
    about: "root filesystem in RAM, named by phram.phram=",
    rules: &[
        Yes(&["MTD"], WithInitramfs, "MTD"),
        Yes(&["MTD_PHRAM"], WithInitramfs, "RAM as an MTD device"),
        Yes(&["BLOCK"], Never, "block devices"),
        Yes(&["MTD_BLOCK", "MTD_BLOCK_RO"], WithInitramfs, "MTD devices as block devices"),
        Special(special::phram_memory),
    ],
};

/// Every set there is.
pub static SETS: &[Set] = &[
    Set {
        name: "uhi",
        about: "device tree and command line by the UHI handoff",
        rules: &[
            Special(special::tree_by_uhi),
            Special(special::line_from_tree),
            Yes(&["OF", "USE_OF"], Never, "device trees"),
            EVA,
            Special(special::appended_wins),
            Special(special::relocates),
        ],
    },
    Set {
        name: "argv",
        about: "command line by argc and argv",
        rules: &[
            Special(special::line_from_argv),
            Special(special::tree_beside_argv),
            EVA,
            Special(special::relocates),
        ],
    },
    Set {
        name: "appended",
        about: "device tree at the kernel's appended slot",
        rules: &[
            Yes(&["MIPS_RAW_APPENDED_DTB", "MIPS_ELF_APPENDED_DTB"], Never, "looks for an appended device tree"),
            Special(special::slot_is_known),
            Special(special::line_from_either),
            EVA,
            Special(special::relocates),
        ],
    },
    Set {
        name: "arm64",
        about: "device tree and command line by the arm64 handoff",
        rules: &[Special(special::line_from_arm64_tree), Yes(&["OF"], Never, "device trees")],
    },
    PHRAM_DT,
    PHRAM_CMDLINE,
    Set {
        name: "squashfs",
        about: "a squashfs root",
        rules: &[SQUASHFS, Special(special::squashfs_details), DEVTMPFS],
    },
    Set { name: "squashfs-zlib", about: "a squashfs root, gzip", rules: &[SQUASHFS, ZLIB, DEVTMPFS] },
    Set { name: "squashfs-lzo", about: "a squashfs root, lzo", rules: &[SQUASHFS, LZO, DEVTMPFS] },
    Set { name: "squashfs-xz", about: "a squashfs root, xz", rules: &[SQUASHFS, XZ, DEVTMPFS] },
    Set { name: "squashfs-lz4", about: "a squashfs root, lz4", rules: &[SQUASHFS, LZ4, DEVTMPFS] },
    Set { name: "squashfs-zstd", about: "a squashfs root, zstd", rules: &[SQUASHFS, ZSTD, DEVTMPFS] },
    Set {
        name: "initramfs",
        about: "an initial ramdisk",
        rules: &[Yes(&["BLK_DEV_INITRD"], Never, "initial ramdisks"), Special(special::initrd_codec)],
    },
    Set {
        name: "kexec",
        about: "start the next image from this kernel",
        rules: &[
            Special(|context| {
                let (any, what): (&'static [_], _) = match context.kernel.arch {
                    Machine::Arm64 => (&["KEXEC", "KEXEC_FILE"], "kexec_load or kexec_file_load"),
                    Machine::MipsBe | Machine::MipsLe => (&["KEXEC"], "kexec_load"),
                };
                Yes(any, Never, what).apply(context)
            }),
            Yes(&["PROC_FS"], Never, "/proc/iomem, which kexec-tools reads"),
            Special(special::kexec_smp),
            Special(|context| if context.kernel.arch == Machine::Arm64 { Vec::new() } else { UHI_BOOT.apply(context) }),
        ],
    },
    Set {
        name: "mtdparts",
        about: "flash partitions from mtdparts=",
        rules: &[Yes(&["MTD"], Never, "MTD"), Yes(&["MTD_CMDLINE_PARTS"], Never, "partitions from the command line")],
    },
    Set {
        name: "console",
        about: "messages on a serial console",
        rules: &[Yes(
            &["SERIAL_8250_CONSOLE", "SERIAL_AR933X_CONSOLE", "SERIAL_LANTIQ_CONSOLE", "SERIAL_BCM63XX_CONSOLE"],
            Never,
            "a serial console",
        )],
    },
];

const UHI_BOOT: Rule = Better(
    "UHI_BOOT",
    "tells the next image its command line and device tree",
    "without it the next image gets neither arguments nor device tree",
    "build the kernel for CONFIG_MIPS_GENERIC_KERNEL, or rely on what is packed into the next image",
);
const SQUASHFS: Rule = Yes(&["SQUASHFS"], WithInitramfs, "squashfs");
const ZLIB: Rule = Yes(&["SQUASHFS_ZLIB"], Never, "zlib in squashfs");
const LZO: Rule = Yes(&["SQUASHFS_LZO"], Never, "lzo in squashfs");
const XZ: Rule = Yes(&["SQUASHFS_XZ"], Never, "xz in squashfs");
const LZ4: Rule = Yes(&["SQUASHFS_LZ4"], Never, "lz4 in squashfs");
const ZSTD: Rule = Yes(&["SQUASHFS_ZSTD"], Never, "zstd in squashfs");
const DEVTMPFS: Rule = Better(
    "DEVTMPFS",
    "device nodes in /dev",
    "without it the device nodes must be in the root filesystem",
    "set CONFIG_DEVTMPFS=y",
);

/// The set called `name`.
pub fn set(name: &str) -> Option<&'static Set> {
    SETS.iter().find(|set| set.name == name)
}

impl Rule {
    pub(super) fn apply(&self, context: &Context) -> Vec<Finding> {
        let get = |symbol: &str| context.config.get(symbol);
        match self {
            Yes(symbols, modular, what) => vec![yes(context, symbols, *modular, what)],
            Better(symbol, what, lack, fix) => vec![match get(symbol) {
                Value::Yes => Finding::of(Level::Ok, symbol, &Value::Yes, *what),
                value => Finding::of(Level::Warn, symbol, &value, *lack).fix(*fix),
            }],
            Not(symbol, why, fix) => match get(symbol) {
                Value::Yes => vec![Finding::of(Level::No, symbol, &Value::Yes, *why).fix(*fix)],
                _ => Vec::new(),
            },
            Special(check) => check(context),
        }
    }
}

fn yes(context: &Context, symbols: &[&str], modular: Modular, what: &str) -> Finding {
    let found = |value: Value| symbols.iter().copied().find(|symbol| context.config.get(symbol) == value);
    if let Some(symbol) = found(Value::Yes) {
        return Finding::of(Level::Ok, symbol, &Value::Yes, what);
    }
    if let Some(symbol) = found(Value::Module) {
        let finding = |level, says| Finding::of(level, symbol, &Value::Module, format!("{what}: {says}"));
        return match modular {
            Modular::WithInitramfs if context.initramfs => {
                finding(Level::Warn, "a module, which the initramfs must load")
            }
            Modular::WithInitramfs => finding(Level::No, "a module, and there is no initramfs to load it from")
                .fix(format!("set CONFIG_{symbol}=y, or add an initramfs that loads it")),
            Modular::Never => {
                finding(Level::No, "a module, which comes too late").fix(format!("set CONFIG_{symbol}=y"))
            }
        };
    }
    let alternatives: Vec<String> = symbols.iter().map(|symbol| format!("CONFIG_{symbol}=y")).collect();
    Finding::of(Level::No, symbols[0], &context.config.get(symbols[0]), format!("{what}: missing"))
        .fix(format!("build the kernel with {}", alternatives.join(" or ")))
}
