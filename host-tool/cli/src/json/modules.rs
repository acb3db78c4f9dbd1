//! `stoop modules`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use stoop_kernel::modules::check;

use super::Error;

/// What has to be loaded for what was named.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Resolved {
    /// The kernel's version.
    pub version: String,
    /// Paths in the tree, in load order.
    pub order: Vec<String>,
    /// What is built into the kernel.
    pub builtin: Vec<String>,
    /// What is loaded for what.
    pub services: Vec<Service>,
    /// What to know.
    pub notes: Vec<String>,
}

/// The modules of one requirement.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Services that come first.
    pub after: Vec<String>,
    /// Paths in the tree, in load order.
    pub modules: Vec<String>,
}

/// What every module of the tree needs.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Dependencies {
    /// The kernel's version.
    pub version: String,
    /// Path to the paths that have to be loaded first, in load order.
    pub dependencies: BTreeMap<String, Vec<String>>,
}

/// Whether the kernel would take the modules.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct ModuleCheck {
    /// Whether it would.
    pub ok: bool,
    /// The version of the tree.
    pub version: String,
    /// What they were checked against.
    pub kernel: String,
    /// The configuration.
    pub config: Option<String>,
    /// What was checked: paths in the tree, in load order.
    pub modules: Vec<String>,
    /// Why it would not.
    pub findings: Vec<ModuleFinding>,
    /// The same as a failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// One reason why the kernel would refuse a module.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct ModuleFinding {
    /// The module's path in the tree.
    pub module: String,
    /// The rule that it breaks, such as `missing-symbol`.
    #[schemars(with = "String")]
    pub rule: check::Rule,
    /// The symbol, where the rule is about one.
    pub symbol: Option<String>,
    /// What the kernel (or the exporter) has.
    pub kernel: String,
    /// What the module has.
    pub found: String,
    /// What to do.
    pub next: String,
}

impl From<&check::Finding> for ModuleFinding {
    fn from(from: &check::Finding) -> Self {
        let check::Finding { module, rule, symbol, kernel, found, next } = from.clone();
        ModuleFinding { module, rule, symbol, kernel, found, next }
    }
}

/// A bundle that was written.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct Bundled {
    /// The directory or archive.
    pub output: String,
    /// `directory`, `cpio` or `cpio.gz`.
    pub form: String,
    /// The kernel's version.
    pub version: String,
    /// Paths in the bundle, in load order.
    pub order: Vec<String>,
    /// What is built into the kernel.
    pub builtin: Vec<String>,
    /// What is loaded for what.
    pub services: Vec<Service>,
    /// What to know.
    pub notes: Vec<String>,
    /// Bytes of the modules in it.
    pub module_bytes: u64,
    /// Bytes that were written.
    pub written_bytes: u64,
    /// How many modules the tree has.
    pub tree_modules: usize,
    /// Bytes of all of them.
    pub tree_bytes: u64,
}

/// A requirement that can be named.
#[derive(Serialize, JsonSchema, Debug)]
#[serde(rename_all = "kebab-case")]
pub struct NamedRequirement {
    /// Its name, without the `@`.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Other requirements that it needs.
    pub requires: Vec<String>,
    /// Modules that it loads.
    pub modules: Vec<String>,
    /// Modules that it loads where the tree has them.
    pub modules_if_present: Vec<String>,
    /// Symbols of the kernel's configuration to the values that do.
    pub symbols: BTreeMap<String, String>,
    /// Groups of modules of which one is enough.
    pub any_of: Vec<Vec<String>>,
}
