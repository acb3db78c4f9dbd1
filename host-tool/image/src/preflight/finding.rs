//! What a rule finds, and what it looks at.

use crate::input::{Kernel, initrd, rootfs::SquashfsInfo};
use crate::kconfig::{Kconfig, Value};
use crate::platform::{self, Platform};
use stoop_core::manifest::HandoffKind;

/// How well a requirement holds, from best to worst.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// It holds.
    Ok,
    /// It works, with something to know.
    Warn,
    /// There is no configuration to tell.
    Unknown,
    /// It does not hold.
    No,
}

impl Level {
    /// As in tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Level::Ok => "ok",
            Level::Warn => "warn",
            Level::Unknown => "unknown",
            Level::No => "no",
        }
    }
}

/// One thing found out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How well it holds.
    pub level: Level,
    /// What it is about: `CONFIG_MTD_PHRAM`, or another word such as `version`.
    pub symbol: String,
    /// Its value, as in a configuration; `absent` when the configuration does not name it; empty when there is none.
    pub value: String,
    /// What that means.
    pub says: String,
    /// What to do.
    pub fix: Option<String>,
}

impl Finding {
    pub(super) fn new(level: Level, symbol: &str, says: impl Into<String>) -> Self {
        Finding { level, symbol: symbol.into(), value: String::new(), says: says.into(), fix: None }
    }

    pub(super) fn of(level: Level, symbol: &str, value: &Value, says: impl Into<String>) -> Self {
        Finding { value: value.to_string(), ..Finding::new(level, &format!("CONFIG_{symbol}"), says) }
    }

    pub(super) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// One requirement set, applied.
#[derive(Clone, Debug)]
pub struct Requirement {
    /// The set's name.
    pub name: &'static str,
    /// What the set means.
    pub about: &'static str,
    /// The user asked for it.
    pub needed: bool,
    /// Never empty.
    pub findings: Vec<Finding>,
}

impl Requirement {
    /// Its worst finding.
    pub fn level(&self) -> Level {
        self.findings.iter().map(|finding| finding.level).max().unwrap_or(Level::Ok)
    }

    /// The first finding as bad as the level.
    pub(super) fn worst(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.level == self.level())
    }
}

/// How the root filesystem in RAM is to be named.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum PhramMode {
    /// By the device tree if the kernel can, else by the command line.
    #[default]
    Auto,
    /// By a node in the device tree.
    Tree,
    /// By `phram.phram=`.
    CommandLine,
    /// Not at all.
    Off,
}

/// What is going to be packed.
#[derive(Clone, Copy, Default, Debug)]
pub struct Wants {
    /// `None`: choose.
    pub handoff: Option<HandoffKind>,
    /// Only looked at with a root filesystem.
    pub phram: PhramMode,
    /// The root filesystem for phram.
    pub rootfs: Option<SquashfsInfo>,
    /// There is an initial ramdisk.
    pub initrd: bool,
    /// What it asks of the kernel.
    pub initrd_needs: initrd::Needs,
}

/// What the rules look at.
pub struct Context<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) config: &'a Kconfig,
    pub(super) platform: Option<&'static Platform>,
    pub(super) version: Option<(u32, u32)>,
    pub(super) initramfs: bool,
    pub(super) initrd: initrd::Needs,
    pub(super) rootfs: Option<SquashfsInfo>,
}

impl<'a> Context<'a> {
    pub(super) fn new(kernel: &'a Kernel, wants: &Wants) -> Option<Self> {
        let config = kernel.config.as_ref()?;
        Some(Context {
            kernel,
            config,
            platform: platform::of(config),
            version: kernel.version.as_deref().and_then(version),
            initramfs: wants.initrd,
            initrd: wants.initrd_needs,
            rootfs: wants.rootfs,
        })
    }

    /// As the kernel has it; that of a uImage is its name, with any character in it.
    pub(super) fn version_text(&self) -> String {
        self.kernel.version.as_deref().unwrap_or("unknown").to_owned()
    }
}

/// Major and minor of `6.1.0-50-mips32r2el`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|character: char| !character.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
