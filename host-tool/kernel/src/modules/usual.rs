//! What a module of a kernel looks like, where the kernel alone does not say it.

use std::collections::{HashMap, HashSet};

use super::file;
use super::ko::{Module, Target};
use super::symbols::Kernel;
use super::tree::Tree;
use stoop_image::kconfig::{Kconfig, Value};

/// How many modules outside of the set are asked what most modules of this tree look like.
const WITNESSES: usize = 8;

/// What a module of this kernel looks like: from the kernel where it says so, else from what most modules of the tree
/// have in common.
pub(super) struct Usual {
    /// What it runs on.
    pub target: Option<Target>,
    /// Its vermagic string.
    pub vermagic: Option<String>,
    /// The size of its `struct module`, in bytes.
    pub size: Option<u64>,
}

impl Usual {
    /// Finds it out for a set of modules.
    pub fn of(tree: &Tree, order: &[u32], members: &[Module], kernel: &Kernel, config: Option<&Kconfig>) -> Self {
        let in_set: HashSet<u32> = order.iter().copied().collect();
        let others = (0..tree.paths().len() as u32).filter(|index| !in_set.contains(index)).take(WITNESSES);
        // A witness that cannot be read says nothing; it is not what was asked about.
        let others: Vec<Vec<u8>> = others.filter_map(|index| file::read(&tree.file(index).ok()?).ok()).collect();
        let others: Vec<Module> = others.iter().filter_map(|bytes| Module::parse(bytes).ok()).collect();
        let all = || members.iter().chain(&others);
        Usual {
            target: kernel.target.or_else(|| most(all().map(|module| module.target))),
            vermagic: kernel
                .vermagic
                .clone()
                .or_else(|| vermagic_of(config?, tree.version()))
                .or_else(|| most(all().filter_map(|module| module.info("vermagic").next())).map(str::to_owned)),
            size: most(all().filter_map(|module| module.this_module_size)),
        }
    }
}

/// The value that comes most often; of several, the first to come.
fn most<T: Eq + std::hash::Hash + Copy>(values: impl Iterator<Item = T>) -> Option<T> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    let mut first = Vec::new();
    for value in values {
        let count = counts.entry(value).or_insert(0);
        if *count == 0 {
            first.push(value);
        }
        *count += 1;
    }
    first.into_iter().rev().max_by_key(|value| counts.get(value).copied())
}

/// The vermagic string that a configuration leads to (`include/linux/vermagic.h`, `asm/vermagic.h`), if it leads to one
/// that can be known.
fn vermagic_of(config: &Kconfig, release: &str) -> Option<String> {
    let is_set = |name: &str| config.get(name) == Value::Yes;
    if is_set("RANDSTRUCT") {
        return None;
    }
    let mut magic = format!("{release} ");
    if is_set("SMP") {
        magic.push_str("SMP ");
    }
    if is_set("PREEMPT_BUILD") {
        magic.push_str("preempt ");
    } else if is_set("PREEMPT_RT") {
        magic.push_str("preempt_rt ");
    }
    if is_set("MODULE_UNLOAD") {
        magic.push_str("mod_unload ");
    }
    if is_set("MODVERSIONS") {
        magic.push_str("modversions ");
    }
    if is_set("ARM64") {
        magic.push_str("aarch64");
    } else if is_set("MIPS") {
        const FAMILIES: [&str; 26] = [
            "BMIPS",
            "MIPS32_R1",
            "MIPS32_R2",
            "MIPS32_R5",
            "MIPS32_R6",
            "MIPS64_R1",
            "MIPS64_R2",
            "MIPS64_R5",
            "MIPS64_R6",
            "R3000",
            "R4300",
            "R4X00",
            "TX49XX",
            "R5000",
            "R5500",
            "NEVADA",
            "R10000",
            "RM7000",
            "SB1",
            "LOONGSON32",
            "LOONGSON2EF",
            "LOONGSON64",
            "CAVIUM_OCTEON",
            "P5600",
            "TX39XX",
            "VR41XX",
        ];
        let family = FAMILIES.into_iter().find(|family| is_set(&format!("CPU_{family}")))?;
        magic.push_str(if family == "CAVIUM_OCTEON" { "OCTEON" } else { family });
        magic.push_str(if is_set("64BIT") { " 64BIT " } else { " 32BIT " });
    } else {
        return None;
    }
    Some(magic)
}
