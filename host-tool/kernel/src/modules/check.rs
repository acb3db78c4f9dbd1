//! Whether modules fit a kernel, by the kernel's own rules (`kernel/module/main.c`, `kernel/module/version.c`).

use std::collections::{HashMap, HashSet};

use serde::Serialize;

use super::file;
use super::ko::{Module, Signature};
use super::symbols::{Kernel, KernelSymbol};
use super::tree::Tree;
use super::usual::Usual;
use crate::Result;
use crate::modules::Error;
use stoop_image::kconfig::{Kconfig, Value};

/// Which rule a module breaks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Built for another processor, word size or endianness (`elf_validity_check`).
    Target,
    /// The vermagic strings differ (`same_magic`).
    Vermagic,
    /// `module_layout` has another CRC: the structures of the module loader differ (`check_modstruct_version`).
    ModuleLayout,
    /// A symbol has another CRC: its type changed (`check_version`).
    Crc,
    /// The module carries no CRC for a symbol that has one (`check_version`).
    NoCrc,
    /// Nobody exports the symbol.
    MissingSymbol,
    /// The symbol is for GPL-compatible licences only.
    GplOnly,
    /// The symbol's namespace is not imported (`verify_namespace_is_imported`).
    Namespace,
    /// `struct module` has another size (`elf_validity_cache_index_mod`).
    ModuleSize,
    /// The kernel contains the module already.
    BuiltIn,
    /// The symbol is exported by someone else too (`verify_exported_symbols`).
    DuplicateExport,
    /// The kernel wants signatures (`CONFIG_MODULE_SIG_FORCE`).
    Signature,
    /// The kernel loads no modules at all.
    NoModules,
}

/// One reason why the kernel would refuse a module.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub struct Finding {
    /// The module's path in the tree.
    pub module: String,
    /// The rule it breaks.
    pub rule: Rule,
    /// The symbol, where the rule is about one.
    pub symbol: Option<String>,
    /// What the kernel (or the exporter) has.
    pub kernel: String,
    /// What the module has.
    pub found: String,
    /// What to do.
    pub next: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: ", self.module)?;
        if let Some(symbol) = &self.symbol {
            write!(f, "{symbol}: ")?;
        }
        write!(f, "the kernel has {}, the module {}", self.kernel, self.found)
    }
}

/// Who exports a symbol, and how.
struct Exporter<'a> {
    /// Index into the members; nothing for the kernel.
    member: Option<usize>,
    crc: Option<u32>,
    gpl_only: bool,
    namespace: &'a str,
}

/// Checks a set of modules, given in load order, against a kernel and each other. No finding means that the kernel
/// takes every one of them.
///
/// # Errors
/// A module cannot be read or parsed. What a module does wrong is a [`Finding`], not an error.
pub fn check(tree: &Tree, order: &[u32], kernel: &Kernel, config: Option<&Kconfig>) -> Result<Vec<Finding>> {
    let bytes = order.iter().map(|module| file::read(&tree.file(*module)?)).collect::<Result<Vec<_>>>()?;
    let members = order
        .iter()
        .zip(&bytes)
        .map(|(index, bytes)| Module::parse(bytes).map_err(|failure| failure.within(tree.path(*index))))
        .collect::<Result<Vec<_>>>()?;
    let usual = Usual::of(tree, order, &members, kernel, config);
    let mut out = Findings { tree, order, list: Vec::new() };
    if let Some(config) = config
        && config.get("MODULES") != Value::Yes
    {
        for member in 0..members.len() {
            let found = "is a module".to_owned();
            out.add(member, Rule::NoModules, None, "CONFIG_MODULES not set".to_owned(), found, "set CONFIG_MODULES=y");
        }
        return Ok(out.in_order());
    }
    let exporters = collect_exports(&members, kernel, &mut out);
    let mut proprietary = HashSet::new();
    for (at, member) in members.iter().enumerate() {
        check_file(at, member, &usual, config, &mut out);
        if usual.target.is_none_or(|target| target == member.target) {
            check_imports(at, member, kernel, config, &exporters, &mut proprietary, &mut out);
        }
    }
    Ok(out.in_order())
}

/// An error that tells all findings, the first few of each module; nothing when there are none.
///
/// # Errors
/// There is a finding.
pub fn refuse(findings: &[Finding]) -> Result<()> {
    const SHOWN: usize = 5;
    let Some(first) = findings.first() else { return Ok(()) };
    let mut lines = Vec::new();
    for group in findings.chunk_by(|a, b| a.module == b.module) {
        lines.extend(group.iter().take(SHOWN).map(|finding| format!("\n  {finding}")));
        if group.len() > SHOWN {
            lines.push(format!("\n  {}: {} more", group[0].module, group.len() - SHOWN));
        }
    }
    Err(Error::Refused { lines, next: first.next.clone() }.into())
}

struct Findings<'a> {
    tree: &'a Tree,
    order: &'a [u32],
    /// Each with the index of its member.
    list: Vec<(usize, Finding)>,
}

impl Findings<'_> {
    fn add(&mut self, member: usize, rule: Rule, symbol: Option<&str>, kernel: String, found: String, next: &str) {
        let module = self.path(member).to_owned();
        let finding = Finding { module, rule, symbol: symbol.map(str::to_owned), kernel, found, next: next.to_owned() };
        self.list.push((member, finding));
    }

    /// What belongs to one module together, in load order.
    fn in_order(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|(member, _)| *member);
        self.list.into_iter().map(|(_, finding)| finding).collect()
    }

    fn path(&self, member: usize) -> &str {
        self.tree.path(self.order[member])
    }
}

const REBUILD: &str = "build kernel and modules in one tree, in one go, and take both from there";

/// All exports by name. The kernel's own come first: a module that repeats one is refused.
fn collect_exports<'a>(
    members: &[Module<'a>],
    kernel: &'a Kernel,
    out: &mut Findings,
) -> HashMap<&'a str, Exporter<'a>> {
    let mut exporters: HashMap<&str, Exporter> = kernel
        .symbols
        .iter()
        .map(|(name, symbol)| {
            let KernelSymbol { crc, gpl_only, namespace } = symbol;
            (name.as_str(), Exporter { member: None, crc: *crc, gpl_only: *gpl_only, namespace })
        })
        .collect();
    for (at, member) in members.iter().enumerate() {
        for export in &member.exports {
            if let Some(earlier) = exporters.get(export.name) {
                let owner = match earlier.member {
                    Some(earlier) => format!("it from {} already", out.path(earlier)),
                    None => "it itself".to_owned(),
                };
                let next = "leave one of the two out";
                out.add(at, Rule::DuplicateExport, Some(export.name), owner, "exports it again".to_owned(), next);
                continue;
            }
            exporters.insert(
                export.name,
                Exporter {
                    member: Some(at),
                    crc: export.crc.filter(|_| kernel.has_crcs),
                    gpl_only: export.gpl_only,
                    namespace: export.namespace,
                },
            );
        }
    }
    exporters
}

/// Namespaces that begin so name the modules that may use them (`verify_module_namespace`, Linux 6.16).
const MODULE_NAMESPACE: &str = "module:";

/// The module is among those that a namespace such as `module:kvm,kvm-*` names. Patterns end with a star or not at all, and `-`
/// is `_`.
fn is_named_by(namespace: &str, module: &str) -> bool {
    let Some(patterns) = namespace.strip_prefix(MODULE_NAMESPACE) else { return false };
    patterns.replace('-', "_").split(',').any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => module.starts_with(start),
        None => module == pattern,
    })
}

/// The rules about the module as a whole.
fn check_file(at: usize, member: &Module, usual: &Usual, config: Option<&Kconfig>, out: &mut Findings) {
    if let Some(target) = usual.target
        && target != member.target
    {
        let (kernel, found) = (target.to_string(), format!("is for {}", member.target));
        out.add(at, Rule::Target, None, kernel, found, "take the modules from this kernel's own build");
        return;
    }
    let name = out.tree.name(out.order[at]);
    if out.tree.is_builtin(&name) {
        let next = "leave the module out, or set its symbol to m and build again";
        out.add(at, Rule::BuiltIn, None, format!("{name} built in"), "is a second one".to_owned(), next);
    }
    let vermagic = member.info("vermagic").next().unwrap_or_default();
    if let Some(wanted) = &usual.vermagic
        && !same_magic(wanted, vermagic, member.versions.is_some())
    {
        out.add(at, Rule::Vermagic, None, format!("{wanted:?}"), format!("{vermagic:?}"), REBUILD);
    }
    if let (Some(wanted), Some(size)) = (usual.size, member.this_module_size)
        && wanted != size
    {
        let (kernel, found) = (format!("a struct module of {wanted:#x} bytes"), format!("one of {size:#x} bytes"));
        out.add(at, Rule::ModuleSize, None, kernel, found, REBUILD);
    }
    let is_set = |symbol: &str| config.is_some_and(|config| config.get(symbol) == Value::Yes);
    if is_set("MODULE_SIG_FORCE") && member.signature == Signature::None {
        let next = "sign it with scripts/sign-file and the build's key, or unset CONFIG_MODULE_SIG_FORCE";
        out.add(at, Rule::Signature, None, "CONFIG_MODULE_SIG_FORCE=y".to_owned(), "has no signature".to_owned(), next);
    }
    if is_set("MODULE_SIG") && member.signature == Signature::Malformed {
        let (kernel, found) = ("CONFIG_MODULE_SIG=y".to_owned(), "has a signature that makes no sense".to_owned());
        out.add(
            at,
            Rule::Signature,
            None,
            kernel,
            found,
            "sign it again with scripts/sign-file, or take it from the build",
        );
    }
    if let Some(namespace) = member.info("import_ns").find(|namespace| namespace.starts_with(MODULE_NAMESPACE)) {
        let next = format!("remove MODULE_IMPORT_NS(\"{namespace}\") from its source");
        let kernel = format!("namespace {namespace}, which nobody imports");
        out.add(at, Rule::Namespace, None, kernel, "imports it".to_owned(), &next);
    }
}

/// The rules about what the module imports.
fn check_imports<'a>(
    at: usize,
    member: &Module<'a>,
    kernel: &Kernel,
    config: Option<&Kconfig>,
    exporters: &HashMap<&'a str, Exporter<'a>>,
    proprietary: &mut HashSet<usize>,
    out: &mut Findings,
) {
    let licence = member.info("license").next().unwrap_or("none");
    let is_gpl = is_gpl_compatible(licence);
    let lenient = config.is_some_and(|config| config.get("MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS") == Value::Yes);
    let namespaces: Vec<&str> = member.info("import_ns").collect();
    let crcs: HashMap<&str, u32> = member.versions.iter().flatten().copied().collect();
    let mut uses_gpl_only = false;
    let mut uses_proprietary = None;
    if kernel.has_crcs {
        let layout = kernel.symbols.get("module_layout").and_then(|symbol| symbol.crc);
        if let (Some(wanted), Some(found)) = (layout, crcs.get("module_layout"))
            && wanted != *found
        {
            let (wanted, found) = (format!("CRC {wanted:#010x}"), format!("expects {found:#010x}"));
            out.add(at, Rule::ModuleLayout, Some("module_layout"), wanted, found, REBUILD);
        }
        if member.versions.is_none() {
            let found = "carries none".to_owned();
            out.add(at, Rule::NoCrc, None, "CRCs (CONFIG_MODVERSIONS)".to_owned(), found, REBUILD);
        }
    }
    for import in &member.imports {
        let name = import.name;
        let Some(exporter) = exporters.get(name) else {
            // The module loader itself provides this one; a weak symbol may stay undefined.
            if !import.weak && name != "_GLOBAL_OFFSET_TABLE_" {
                let next = "build the kernel with the symbol that provides it, or add the module that exports it";
                out.add(at, Rule::MissingSymbol, Some(name), "no such export".to_owned(), "needs it".to_owned(), next);
            }
            continue;
        };
        if exporter.gpl_only && !is_gpl {
            let next = "use a module under a GPL-compatible licence";
            let found = format!("has the licence {licence:?}");
            out.add(at, Rule::GplOnly, Some(name), "it for GPL-compatible licences only".to_owned(), found, next);
        }
        uses_gpl_only |= exporter.gpl_only;
        if let Some(owner) = exporter.member.filter(|owner| proprietary.contains(owner)) {
            uses_proprietary = Some((owner, name));
        }
        let (namespace, own) = (exporter.namespace, out.tree.name(out.order[at]));
        if namespace.starts_with(MODULE_NAMESPACE) {
            if !lenient && !is_named_by(namespace, &own) {
                let (kernel, next) =
                    (format!("it for {namespace} only"), "leave the module out: the symbol is not for it");
                out.add(at, Rule::Namespace, Some(name), kernel, format!("is {own}"), next);
            }
        } else if !namespace.is_empty() && !lenient && !namespaces.contains(&namespace) {
            let found =
                format!("imports {}", if namespaces.is_empty() { "none".to_owned() } else { namespaces.join(", ") });
            let next = format!("add MODULE_IMPORT_NS({namespace}) to the module's source");
            out.add(at, Rule::Namespace, Some(name), format!("it in namespace {namespace}"), found, &next);
        }
        let (Some(wanted), true) = (exporter.crc, member.versions.is_some()) else { continue };
        match crcs.get(name) {
            Some(found) if *found == wanted => {}
            Some(found) => {
                let owner = exporter.member.map(|owner| format!(" from {}", out.path(owner))).unwrap_or_default();
                let (wanted, found) = (format!("CRC {wanted:#010x}{owner}"), format!("expects {found:#010x}"));
                out.add(at, Rule::Crc, Some(name), wanted, found, REBUILD);
            }
            None => {
                let wanted = format!("CRC {wanted:#010x}");
                out.add(at, Rule::NoCrc, Some(name), wanted, "carries none for it".to_owned(), REBUILD);
            }
        }
    }
    if let Some((owner, name)) = uses_proprietary {
        if uses_gpl_only {
            let kernel = format!("it from the proprietary {}", out.path(owner));
            let next = "use a module under a GPL-compatible licence in place of the proprietary one";
            out.add(at, Rule::GplOnly, Some(name), kernel, "uses GPL-only symbols as well".to_owned(), next);
        }
        proprietary.insert(at);
    }
    if !is_gpl {
        proprietary.insert(at);
    }
}

/// `same_magic`: with CRCs, the release (the first word) does not count.
fn same_magic(kernel: &str, module: &str, has_crcs: bool) -> bool {
    let rest = |magic: &str| magic.find(' ').map_or(String::new(), |blank| magic[blank..].to_owned());
    if has_crcs { rest(kernel) == rest(module) } else { kernel == module }
}

/// The licences that `license_is_gpl_compatible` (`include/linux/license.h`) knows.
fn is_gpl_compatible(licence: &str) -> bool {
    matches!(licence, "GPL" | "GPL v2" | "GPL and additional rights" | "Dual BSD/GPL" | "Dual MIT/GPL" | "Dual MPL/GPL")
}
