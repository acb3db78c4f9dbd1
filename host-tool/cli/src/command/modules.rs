//! `stoop modules`: which modules a kernel needs for a purpose, whether they fit it, and the files that load them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

use crate::Result;
use crate::command::Error;
use crate::json;
use crate::ui::{self, Stderr};
use stoop_image::kconfig::Kconfig;
use stoop_image::output::Output;
use stoop_kernel::modules::bundle::{Bundle, Form};
use stoop_kernel::modules::check::{check, refuse};
use stoop_kernel::modules::requirement::{Catalogue, Plan, Requirement, plan, stem};
use stoop_kernel::modules::symbols::Kernel;
use stoop_kernel::modules::tree::{Source, Tree};

/// What to do with modules.
#[derive(Subcommand, Debug)]
pub enum Verb {
    /// List what must be loaded, in load order
    Resolve(ResolveArgs),
    /// Prove that the modules fit the kernel
    Check(CheckArgs),
    /// Collect the modules, scripts that load and unload them, and s6-rc services
    Bundle(BundleArgs),
    /// List the requirements that can be named, and what each needs
    Requirements(RequirementsArgs),
}

/// Which modules.
#[derive(ClapArgs, Debug)]
pub struct Selection {
    /// The kernel's lib/modules/VERSION
    #[arg(long, value_name = "DIR")]
    modules: PathBuf,
    /// Read the module files even if there is a modules.dep
    #[arg(long)]
    scan: bool,
    /// A requirement of your own; it is selected, and @NAME of the file's name can be used
    #[arg(long, value_name = "FILE")]
    requirement: Vec<PathBuf>,
    /// The kernel's .config [default: found beside the modules]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Modules, aliases or requirements (@firewall)
    #[arg(value_name = "NAME", value_parser = super::suggest::requirements_among_modules(), hide_possible_values = true)]
    names: Vec<String>,
}

/// `stoop modules resolve`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:\n  stoop modules resolve --modules lib/modules/6.12.117 squashfs")]
pub struct ResolveArgs {
    #[command(flatten)]
    selection: Selection,
    /// Every module of the tree: prints what depmod writes to modules.dep
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `stoop modules check`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:\n  stoop modules check --modules lib/modules/6.12.117 --kernel vmlinux @firewall")]
pub struct CheckArgs {
    #[command(flatten)]
    selection: Selection,
    /// The kernel that will load them: vmlinux, vmlinuz, uImage or linux-image-*.deb
    #[arg(long, value_name = "VMLINUX", conflicts_with = "symvers")]
    kernel: Option<PathBuf>,
    /// The kernel's Module.symvers [default: found beside the modules]
    #[arg(long, value_name = "FILE")]
    symvers: Option<PathBuf>,
    /// Every module of the tree
    #[arg(long, conflicts_with = "names")]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `stoop modules bundle`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:\n  stoop modules bundle --modules lib/modules/6.12.117 @firewall -o modules.cpio.gz")]
pub struct BundleArgs {
    #[command(flatten)]
    selection: Selection,
    /// What to write: a directory, an archive if it ends in .cpio or .cpio.gz, or - for an archive on stdout
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Where the bundle will lie on the board
    #[arg(long, value_name = "PATH", default_value = "/")]
    prefix: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `stoop modules requirements`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:\n  stoop modules requirements")]
pub struct RequirementsArgs {
    /// A requirement of your own
    #[arg(long, value_name = "FILE")]
    requirement: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl RequirementsArgs {
    fn run(self) -> Result<()> {
        let catalogue = Catalogue::with_files(&self.requirement)?;
        let all = catalogue.names().into_iter().map(|name| catalogue.get(name)).collect::<Result<Vec<_>, _>>()?;
        if self.json {
            let value = |requirement: &Requirement| json::NamedRequirement {
                name: requirement.name.clone(),
                description: requirement.description.clone(),
                requires: requirement.requires.clone(),
                modules: requirement.modules.clone(),
                modules_if_present: requirement.modules_if_present.clone(),
                symbols: requirement.symbols.iter().map(|(name, need)| (name.clone(), need.to_string())).collect(),
                any_of: requirement.any_of.clone(),
            };
            return json::put(&all.iter().map(value).collect::<Vec<_>>());
        }
        let text = |requirement: &Requirement| {
            let mut text = format!("@{}: {}\n", requirement.name, requirement.description);
            let mut line = |what: &str, words: Vec<String>| {
                if !words.is_empty() {
                    text += &format!("  {what:<20} {}\n", words.join(" "));
                }
            };
            line("requires", requirement.requires.iter().map(|name| format!("@{name}")).collect());
            line("modules", requirement.modules.clone());
            line("modules if present", requirement.modules_if_present.clone());
            line("symbols", requirement.symbols.iter().map(|(name, need)| format!("CONFIG_{name}={need};")).collect());
            requirement.any_of.iter().for_each(|group| line("one of", group.clone()));
            text
        };
        ui::put(&all.iter().map(text).collect::<String>())
    }
}

impl Verb {
    /// Does it.
    ///
    /// # Errors
    /// What the user asked for does not exist, cannot be read, or does not fit the kernel.
    pub fn run(self) -> Result<()> {
        match self {
            Verb::Resolve(args) => args.run(),
            Verb::Check(args) => args.run(),
            Verb::Bundle(args) => args.run(),
            Verb::Requirements(args) => args.run(),
        }
    }
}

impl Selection {
    fn tree(&self) -> Result<Tree> {
        Ok(Tree::open(&self.modules, if self.scan { Source::Files } else { Source::Auto })?)
    }

    fn config(&self, tree: &Tree) -> Result<Option<Kconfig>> {
        match &self.config {
            Some(path) => Ok(Some(Kconfig::read(path)?)),
            None => Ok(tree.config_beside()?),
        }
    }

    fn plan(&self, tree: &Tree, config: Option<&Kconfig>) -> Result<Plan> {
        let mut names = self.names.clone();
        names.extend(self.requirement.iter().map(|file| format!("@{}", stem(file))));
        if names.is_empty() {
            return Err(Error::NoModule.into());
        }
        let plan = plan(tree, &names, &Catalogue::with_files(&self.requirement)?, config)?;
        for note in &plan.resolution.notes {
            ui::tell(note);
        }
        Ok(plan)
    }
}

impl ResolveArgs {
    fn run(self) -> Result<()> {
        let tree = self.selection.tree()?;
        if self.all {
            return print_all(&tree, self.json);
        }
        let config = self.selection.config(&tree)?;
        let plan = self.selection.plan(&tree, config.as_ref())?;
        let order = paths(&tree, &plan.resolution.order);
        if self.json {
            return json::put(&json::Resolved {
                version: tree.version().to_owned(),
                order,
                builtin: plan.resolution.builtin.clone(),
                services: services(&tree, &plan),
                notes: plan.resolution.notes.clone(),
            });
        }
        ui::put(&order.iter().map(|path| format!("{path}\n")).collect::<String>())
    }
}

fn paths(tree: &Tree, modules: &[u32]) -> Vec<String> {
    modules.iter().map(|module| tree.path(*module).to_owned()).collect()
}

fn services(tree: &Tree, plan: &Plan) -> Vec<json::Service> {
    let value = |service: &stoop_kernel::modules::requirement::Service| json::Service {
        name: service.name.clone(),
        after: service.after.clone(),
        modules: paths(tree, &service.modules),
    };
    plan.services.iter().map(value).collect()
}

/// What each module needs: in the form of `modules.dep` (users first), or as JSON in load order.
fn print_all(tree: &Tree, as_json: bool) -> Result<()> {
    let mut text = String::new();
    let mut dependencies = BTreeMap::new();
    for (module, path) in (0..).zip(tree.paths()) {
        let mut needs = paths(tree, tree.needs(module)?);
        if as_json {
            needs.reverse();
            dependencies.insert(path.clone(), needs);
        } else {
            text.push_str(path);
            text.push(':');
            for needed in needs {
                text.push(' ');
                text.push_str(&needed);
            }
            text.push('\n');
        }
    }
    match as_json {
        true => json::put(&json::Dependencies { version: tree.version().to_owned(), dependencies }),
        false => ui::put(&text),
    }
}

impl CheckArgs {
    fn run(self) -> Result<()> {
        let tree = self.selection.tree()?;
        let config = self.selection.config(&tree)?;
        let kernel = match (&self.kernel, &self.symvers) {
            (Some(path), _) => Kernel::from_any(path, &mut Stderr::default())?,
            (None, Some(path)) => Kernel::from_symvers(path)?,
            (None, None) => match tree.symvers_beside() {
                Some(path) => Kernel::from_symvers(&path)?,
                None => {
                    return Err(Error::NoSymbols.into());
                }
            },
        };
        let order = if self.all {
            (0..tree.paths().len() as u32).collect()
        } else {
            self.selection.plan(&tree, config.as_ref())?.resolution.order
        };
        let findings = check(&tree, &order, &kernel, config.as_ref())?;
        let refused = refuse(&findings);
        if self.json {
            json::put(&json::ModuleCheck {
                ok: findings.is_empty(),
                version: tree.version().to_owned(),
                kernel: kernel.source.clone(),
                config: config.as_ref().map(|config| config.source().to_owned()),
                modules: paths(&tree, &order),
                findings: findings.iter().map(Into::into).collect(),
                error: refused.as_ref().err().map(Into::into),
            })?;
        } else if findings.is_empty() {
            ui::put(&format!("{} modules fit {}\n", order.len(), kernel.source))?;
        }
        Ok(refused?)
    }
}

impl BundleArgs {
    fn run(self) -> Result<()> {
        let form = Form::of(&self.output)?;
        let tree = self.selection.tree()?;
        let config = self.selection.config(&tree)?;
        let plan = self.selection.plan(&tree, config.as_ref())?;
        let bundle = Bundle::new(&tree, &plan, &self.prefix)?;
        let written = bundle.write(&self.output)?;
        let tree_bytes = tree_size(&tree)?;
        if self.json {
            let said = json::result(&json::Bundled {
                output: self.output.display().to_string(),
                form: match form {
                    Form::Directory => "directory",
                    Form::Cpio => "cpio",
                    Form::CpioGz => "cpio.gz",
                }
                .to_owned(),
                version: tree.version().to_owned(),
                order: bundle.order.clone(),
                builtin: plan.resolution.builtin.clone(),
                services: services(&tree, &plan),
                notes: plan.resolution.notes.clone(),
                module_bytes: bundle.module_bytes,
                written_bytes: written,
                tree_modules: tree.paths().len(),
                tree_bytes,
            })?;
            return self.put(form, &said);
        }
        let said = format!(
            "{}: {written:#x} bytes, {} of {} modules, {} unpacked; the tree's files have {}\n",
            self.output.display(),
            bundle.order.len(),
            tree.paths().len(),
            kib(bundle.module_bytes),
            kib(tree_bytes),
        );
        self.put(form, &said)
    }

    /// Beside the bundle when that is on stdout.
    fn put(&self, form: Form, said: &str) -> Result<()> {
        match form {
            Form::Directory => ui::put(said),
            Form::Cpio | Form::CpioGz => ui::put_of(&Output::new(&self.output, [])?, said),
        }
    }
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

/// The size of all module files of the tree, as they lie there.
fn tree_size(tree: &Tree) -> Result<u64> {
    let size = |path: &String| {
        let path = tree.directory().join(path);
        // A file that modules.dep only claims has no size; who needs it has been told already.
        Ok(std::fs::metadata(path).map_or(0, |metadata| metadata.len()))
    };
    tree.paths().iter().map(size).sum()
}
