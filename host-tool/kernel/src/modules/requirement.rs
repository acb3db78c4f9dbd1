//! Requirements: what a kernel must have for a purpose, as data (`requirements/*.toml`), and the plan that a list of
//! module names and requirements leads to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::resolve::{Resolution, resolve};
use super::tree::Tree;
use crate::Result;
use crate::modules::Error;
use stoop_image::board::nearest;
use stoop_image::input::read_text;
use stoop_image::kconfig::{Kconfig, Value};

/// The requirements that the tool knows, by name.
const SHIPPED: [(&str, &str); 7] = [
    ("firewall", include_str!("../../requirements/firewall.toml")),
    ("phram-root", include_str!("../../requirements/phram-root.toml")),
    ("ppp", include_str!("../../requirements/ppp.toml")),
    ("squashfs-root", include_str!("../../requirements/squashfs-root.toml")),
    ("usb-storage", include_str!("../../requirements/usb-storage.toml")),
    ("wifi-ath9k", include_str!("../../requirements/wifi-ath9k.toml")),
    ("wifi-mt76", include_str!("../../requirements/wifi-mt76.toml")),
];

/// The service of the modules that were asked for by their own names.
pub const PLAIN_SERVICE: &str = "modules";

/// As what a symbol is needed.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, Debug)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Built in.
    Y,
    /// As a module.
    M,
    /// Built in or as a module.
    Either,
}

impl Need {
    /// Whether a value satisfies the need.
    pub fn is_met_by(self, value: &Value) -> bool {
        match self {
            Need::Y => *value == Value::Yes,
            Need::M => *value == Value::Module,
            Need::Either => matches!(value, Value::Yes | Value::Module),
        }
    }
}

impl std::fmt::Display for Need {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Need::Y => "y",
            Need::M => "m",
            Need::Either => "y or m",
        })
    }
}

/// One requirement.
#[derive(Clone, Deserialize, Debug)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Requirement {
    /// Its name, which is its file's; also the name of its service.
    #[serde(skip)]
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Other requirements that come first.
    #[serde(default)]
    pub requires: Vec<String>,
    /// Modules to load, unless built in.
    #[serde(default)]
    pub modules: Vec<String>,
    /// Modules to load if the kernel has them.
    #[serde(default)]
    pub modules_if_present: Vec<String>,
    /// The kernel symbols needed, without `CONFIG_`.
    #[serde(default)]
    pub symbols: BTreeMap<String, Need>,
    /// Lists of symbols of which one at least must be set.
    #[serde(default)]
    pub any_of: Vec<Vec<String>>,
}

impl Requirement {
    /// Reads the text of a requirement.
    ///
    /// # Errors
    /// No TOML, an unknown key, a missing description, or a name that is no service name.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let valid = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if name.is_empty() || !name.chars().all(valid) || name == PLAIN_SERVICE {
            return Err(Error::RequirementName { name: name.to_owned() }.into());
        }
        let mut requirement: Requirement = toml::from_str(text).map_err(|error| Error::RequirementText {
            name: name.to_owned(),
            why: error.to_string().trim_end().to_owned(),
        })?;
        requirement.name = name.to_owned();
        let symbols = requirement.symbols.keys().chain(requirement.any_of.iter().flatten());
        let names = requirement.requires.iter().chain(&requirement.modules).chain(&requirement.modules_if_present);
        let what = if requirement.any_of.iter().any(Vec::is_empty) {
            "a list of any-of is empty"
        } else if symbols.chain(names).any(String::is_empty) {
            "a name is empty"
        } else {
            return Ok(requirement);
        };
        Err(Error::RequirementEmpty { name: name.to_owned(), what }.into())
    }

    /// The symbols that the configuration does not set as needed, each as `CONFIG_X is n, needs y`.
    pub fn unmet(&self, config: &Kconfig) -> Vec<String> {
        let mut unmet: Vec<String> = self
            .symbols
            .iter()
            .map(|(symbol, need)| (symbol, need, config.get(symbol)))
            .filter(|(_, need, value)| !need.is_met_by(value))
            .map(|(symbol, need, value)| format!("CONFIG_{symbol} is {value}, @{} needs {need}", self.name))
            .collect();
        for group in &self.any_of {
            if !group.iter().any(|symbol| Need::Either.is_met_by(&config.get(symbol))) {
                let group: Vec<String> = group.iter().map(|symbol| format!("CONFIG_{symbol}")).collect();
                unmet.push(format!("none of {} is set, @{} needs one", group.join(", "), self.name));
            }
        }
        unmet
    }
}

/// The requirements that can be asked for.
#[derive(Default, Debug)]
pub struct Catalogue {
    own: Vec<Requirement>,
}

impl Catalogue {
    /// The shipped ones and those in files. A file of a shipped one's name takes its place.
    ///
    /// # Errors
    /// A file cannot be read or understood, or two of them have one name.
    pub fn with_files(files: &[PathBuf]) -> Result<Self> {
        let mut own: Vec<Requirement> = Vec::new();
        for (number, path) in files.iter().enumerate() {
            let requirement = Requirement::parse(&stem(path), &read_text(path)?)?;
            if let Some(earlier) = own.iter().position(|earlier| earlier.name == requirement.name) {
                let (one, other) = (files[earlier].clone(), files[number].clone());
                return Err(Error::RequirementTwice { name: requirement.name, one, other }.into());
            }
            own.push(requirement);
        }
        Ok(Catalogue { own })
    }

    /// The names of all, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.own.iter().map(|own| own.name.as_str()).collect();
        shipped().for_each(|name| names.push(name));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The requirement of this name, without `@`.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn get(&self, wanted: &str) -> Result<Requirement> {
        if let Some(own) = self.own.iter().find(|own| own.name == wanted) {
            return Ok(own.clone());
        }
        match SHIPPED.iter().find(|(name, _)| *name == wanted) {
            Some((name, text)) => Requirement::parse(name, text),
            None => {
                let known = self.names().into_iter().map(|name| name.to_string()).collect();
                let near = nearest(wanted, self.names()).map(|near| near.to_string());
                Err(Error::NoSuchRequirement { name: wanted.to_owned(), near, known }.into())
            }
        }
    }

    /// Adds a requirement and, before it, all that it requires.
    fn collect(&self, wanted: &str, way: &mut Vec<String>, found: &mut Vec<Requirement>) -> Result<()> {
        if found.iter().any(|requirement| requirement.name == wanted) {
            return Ok(());
        }
        if way.iter().any(|on_way| on_way == wanted) {
            return Err(
                Error::RequirementCircle { names: way.iter().cloned().chain([wanted.to_owned()]).collect() }.into()
            );
        }
        let requirement = self.get(wanted)?;
        way.push(wanted.to_owned());
        for first in &requirement.requires {
            self.collect(first.trim_start_matches('@'), way, found)?;
        }
        way.pop();
        found.push(requirement);
        Ok(())
    }
}

/// The names of the requirements that the tool knows.
pub fn shipped() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|(name, _)| *name)
}

/// The name that a requirement's file gives it; stdin's is `stdin`.
pub fn stem(path: &Path) -> String {
    if path.as_os_str() == "-" {
        return "stdin".to_owned();
    }
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What one service loads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Service {
    /// The requirement's name, or [`PLAIN_SERVICE`].
    pub name: String,
    /// Services that must be up before it.
    pub after: Vec<String>,
    /// Its modules in load order. A module that two services need belongs to the first of them.
    pub modules: Vec<u32>,
}

/// What a list of names comes to.
#[derive(Debug)]
pub struct Plan {
    /// All modules in load order.
    pub resolution: Resolution,
    /// The same by service, in the order in which the services come up.
    pub services: Vec<Service>,
}

/// Resolves module names and `@requirements`.
///
/// # Errors
/// A requirement that does not exist or whose symbols are not set, and what [`resolve`] reports.
pub fn plan(tree: &Tree, names: &[String], catalogue: &Catalogue, config: Option<&Kconfig>) -> Result<Plan> {
    let mut requirements = Vec::new();
    for name in names.iter().filter_map(|name| name.strip_prefix('@')) {
        catalogue.collect(name, &mut Vec::new(), &mut requirements)?;
    }
    check_symbols(&requirements, config)?;
    let mut services: Vec<Service> = Vec::new();
    let mut wanted: Vec<String> = Vec::new();
    let mut wanted_by: Vec<usize> = Vec::new();
    for requirement in &requirements {
        let present = requirement.modules_if_present.iter().filter(|module| tree.by_name(module).is_some());
        for module in requirement.modules.iter().chain(present) {
            wanted.push(module.clone());
            wanted_by.push(services.len());
        }
        let after = requirement.requires.iter().map(|first| first.trim_start_matches('@').to_owned()).collect();
        services.push(Service { name: requirement.name.clone(), after, modules: Vec::new() });
    }
    let plain: Vec<&String> = names.iter().filter(|name| !name.starts_with('@')).collect();
    if !plain.is_empty() {
        wanted_by.resize(wanted_by.len() + plain.len(), services.len());
        wanted.extend(plain.into_iter().cloned());
        services.push(Service { name: PLAIN_SERVICE.to_owned(), after: Vec::new(), modules: Vec::new() });
    }
    let mut resolution = resolve(tree, &wanted)?;
    resolution.notes.extend(tree.doubt());
    for (module, request) in resolution.order.iter().zip(&resolution.wanted_by) {
        services[wanted_by[*request]].modules.push(*module);
    }
    order_after_owners(tree, &mut services, &wanted, &wanted_by)?;
    Ok(Plan { resolution, services })
}

/// A service that uses a module which an earlier service owns comes after that one, and goes down before it.
fn order_after_owners(tree: &Tree, services: &mut [Service], wanted: &[String], wanted_by: &[usize]) -> Result<()> {
    for at in 1..services.len() {
        let own: Vec<&String> =
            wanted.iter().zip(wanted_by).filter(|(_, by)| **by == at).map(|(name, _)| name).collect();
        let all = resolve(tree, &own)?.order;
        let (before, rest) = services.split_at_mut(at);
        for earlier in before {
            if earlier.modules.iter().any(|module| all.contains(module)) && !rest[0].after.contains(&earlier.name) {
                rest[0].after.push(earlier.name.clone());
            }
        }
        rest[0].after.sort();
    }
    Ok(())
}

fn check_symbols(requirements: &[Requirement], config: Option<&Kconfig>) -> Result<()> {
    let needing =
        requirements.iter().find(|requirement| !requirement.symbols.is_empty() || !requirement.any_of.is_empty());
    let Some(needing) = needing else { return Ok(()) };
    let Some(config) = config else {
        return Err(Error::ConfigUnknown { name: needing.name.clone() }.into());
    };
    let unmet: Vec<String> = requirements.iter().flat_map(|requirement| requirement.unmet(config)).collect();
    if unmet.is_empty() {
        return Ok(());
    }
    Err(Error::Unmet { source_name: config.source().to_owned(), unmet }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stoop_image::Explained as _;

    #[test]
    fn every_shipped_requirement_reads_and_is_listed_once() {
        let catalogue = Catalogue::default();
        assert_eq!(catalogue.names().len(), SHIPPED.len());
        for name in catalogue.names() {
            let requirement = catalogue.get(name).unwrap();
            assert!(!requirement.modules.is_empty() && !requirement.symbols.is_empty(), "{name}");
        }
    }

    #[test]
    fn an_unmet_symbol_names_its_value_and_the_need() {
        let text = "description = ''\nany-of = [['C', 'D']]\n[symbols]\nA = 'y'\nB = 'either'\n";
        let requirement = Requirement::parse("x", text).unwrap();
        let config = Kconfig::parse("CONFIG_A=m\n# CONFIG_B is not set\n", "test").unwrap();
        assert_eq!(
            requirement.unmet(&config),
            [
                "CONFIG_A is m, @x needs y",
                "CONFIG_B is n, @x needs y or m",
                "none of CONFIG_C, CONFIG_D is set, @x needs one",
            ]
        );
        let config = Kconfig::parse("CONFIG_A=y\nCONFIG_B=m\nCONFIG_D=y\n", "test").unwrap();
        assert!(requirement.unmet(&config).is_empty());
    }

    #[test]
    fn a_misspelled_key_and_a_misspelled_name_are_told() {
        let wrong_key = Requirement::parse("x", "description = ''\nmoduls = []\n").unwrap_err();
        assert!(wrong_key.to_string().contains("moduls"), "{wrong_key}");
        let wrong_name = Catalogue::default().get("firewal").unwrap_err();
        assert_eq!(wrong_name.next_step().as_deref(), Some("did you mean @firewall?"));
    }
}
