//! Will this kernel take the handoff, the root filesystem in RAM, the initial ramdisk: findings, and the best choice.

mod error;

mod finding;
mod rules;
mod special;

use stoop_core::manifest::HandoffKind;

use crate::input::Kernel;
use crate::machine::{Machine, described};
pub use error::Error;

use finding::Context;

pub use finding::{Finding, Level, PhramMode, Requirement, Wants};
pub use rules::{SETS, Set, set};

/// What preflight says.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// The handoff, wished or chosen, and why. `None`: no handoff would work, or nothing is known to choose by.
    pub handoff: Option<(HandoffKind, String)>,
    /// [`PhramMode::Tree`], [`PhramMode::CommandLine`] or [`PhramMode::Off`].
    pub phram: PhramMode,
    /// What was looked at.
    pub requirements: Vec<Requirement>,
}

impl Assessment {
    /// The first needed requirement that does not hold, as an error for `pack`.
    ///
    /// A choice that cannot be checked for want of a configuration is the user's to decide and no failure.
    pub fn refusal(&self) -> Option<Error> {
        let needed = || self.requirements.iter().filter(|requirement| requirement.needed);
        let failed = needed().find(|requirement| requirement.level() == Level::No);
        let requirement = match (failed, &self.handoff) {
            (Some(failed), _) => failed,
            (None, None) => needed().max_by_key(|requirement| requirement.level())?,
            (None, Some(_)) => return None,
        };
        let finding = requirement.worst()?;
        let symbol = match finding.value.as_str() {
            "" => finding.symbol.clone(),
            value => format!("{}={value}", finding.symbol),
        };
        Some(Error::Unsuited {
            known: finding.level != Level::Unknown,
            about: requirement.about.to_string(),
            symbol,
            says: finding.says.clone(),
            fix: finding.fix.clone(),
        })
    }

    /// Every finding that is not ok, of the needed requirements.
    pub fn warnings(&self) -> impl Iterator<Item = &Finding> {
        let needed = self.requirements.iter().filter(|requirement| requirement.needed);
        needed.flat_map(|requirement| &requirement.findings).filter(|finding| finding.level != Level::Ok)
    }
}

/// Applies one set; without a configuration the one finding is that nothing is known.
pub fn apply(set: &'static Set, kernel: &Kernel, wants: &Wants, needed: bool) -> Requirement {
    let findings = match Context::new(kernel, wants) {
        _ if !set.is_for(kernel.arch) => {
            let says = format!("the kernel is {}", described(kernel.arch));
            vec![Finding::new(Level::No, "architecture", says).fix(set.elsewhere(kernel.arch))]
        }
        Some(context) => set.rules.iter().flat_map(|rule| rule.apply(&context)).collect(),
        None if set.name == HandoffKind::Appended.name() && kernel.appended_dtb.is_none() => vec![
            Finding::new(Level::No, "__appended_dtb", "where the slot lies is not in this file")
                .fix("give the vmlinux with its symbols, built with CONFIG_MIPS_RAW_APPENDED_DTB=y"),
        ],
        None if let Some(finding) = special::by_words(set.name, kernel) => vec![finding],
        None => vec![
            Finding::new(Level::Unknown, "configuration", "no IKCONFIG in the kernel and no configuration given")
                .fix("give the .config or /boot/config-* that the kernel was built with, as --config"),
        ],
    };
    Requirement { name: set.name, about: set.about, needed, findings }
}

/// Their names are those of their requirement sets. In this order: UHI passes everything one way, the appended slot needs its address, argv passes no tree on most platforms.
const HANDOFFS: [HandoffKind; 3] = [HandoffKind::Uhi, HandoffKind::Appended, HandoffKind::Argv];

/// The requirement for a root filesystem in RAM, by the device tree if that works, else by the command line.
pub fn phram_root(kernel: &Kernel, wants: &Wants) -> (PhramMode, Requirement) {
    let (tree, line) =
        (apply(&rules::PHRAM_DT, kernel, wants, true), apply(&rules::PHRAM_CMDLINE, kernel, wants, true));
    match wants.phram {
        PhramMode::CommandLine => (PhramMode::CommandLine, line),
        PhramMode::Auto if tree.level() == Level::No && line.level() < Level::No => (PhramMode::CommandLine, line),
        _ => (PhramMode::Tree, tree),
    }
}

/// Looks at everything that `wants` needs, and chooses what it leaves open.
pub fn assess(kernel: &Kernel, wants: &Wants) -> Assessment {
    let only = (kernel.arch == Machine::Arm64).then_some(HandoffKind::Arm64);
    let by_name = |name: &str| set(name).map(|set| apply(set, kernel, wants, true));
    let mut requirements = Vec::new();

    let handoff = match wants.handoff.or(only) {
        Some(kind) => {
            requirements.extend(by_name(kind.name()));
            let reason = if only.is_some() { "arm64 kernels have no other" } else { "asked for" };
            Some((kind, reason.to_owned()))
        }
        None => {
            let tried: Vec<_> = HANDOFFS.iter().filter_map(|kind| Some((*kind, by_name(kind.name())?))).collect();
            let chosen = tried.iter().find(|(_, requirement)| requirement.level() < Level::Unknown);
            // Without a choice the first one's findings say what to change.
            requirements.extend(chosen.or(tried.first()).map(|(_, requirement)| requirement.clone()));
            chosen.map(|(kind, requirement)| (*kind, reason(&tried, requirement)))
        }
    };

    let mut phram = PhramMode::Off;
    if wants.rootfs.is_some() && wants.phram != PhramMode::Off {
        let (mode, requirement) = phram_root(kernel, wants);
        phram = mode;
        requirements.push(requirement);
        requirements.extend(by_name("squashfs"));
    }
    if wants.initrd {
        requirements.extend(by_name("initramfs"));
    }
    Assessment { handoff, phram, requirements }
}

/// Why this one: what it says itself, after what ruled out those before it.
fn reason(tried: &[(HandoffKind, Requirement)], chosen: &Requirement) -> String {
    let before = tried.iter().take_while(|(_, requirement)| requirement.name != chosen.name);
    let ruled_out = before.filter_map(|(_, requirement)| requirement.worst().map(|worst| (requirement.name, worst)));
    let mut parts: Vec<String> =
        ruled_out.map(|(name, worst)| format!("not {name}: {}: {}", worst.symbol, worst.says)).collect();
    let good = chosen.findings.iter().filter(|finding| finding.level == Level::Ok).take(2);
    parts.extend(good.map(|finding| format!("{}: {}", finding.symbol, finding.says)));
    parts.join("; ")
}

#[cfg(test)]
mod tests;
