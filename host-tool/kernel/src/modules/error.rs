//! Why modules cannot be used.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use stoop_image::Explained;

stoop_image::explained! {
    /// Why modules cannot be found, read, checked or bundled. Offsets and sizes are bytes of a file.
    pub enum Error {
        /// `near` is the name that is spelled most like it.
        #[error("{wanted} is no module, alias or built-in of {version}")]
        NoSuchModule { wanted: String, version: String, near: Option<String> } => NoSuchModule, (match near {
            Some(near) => format!("did you mean {near}?"),
            None => "see which symbol builds it, and set that symbol to m or y in the kernel's configuration".to_owned(),
        });

        #[error("{path}: {source}")]
        NoDirectory { path: PathBuf, source: io::Error }
            => File, "give the directory lib/modules/VERSION of the kernel's modules";
        #[error("{path}: there is no module in it")]
        NoModule { path: PathBuf } => ModuleTree, "give the directory lib/modules/VERSION itself";
        /// `tree` is the modules' directory; lines count from 1.
        #[error("{tree}/modules.dep line {line}: {what}", tree = tree.display())]
        DepFile { tree: PathBuf, line: usize, what: String }
            => ModuleTree, "run depmod again, or remove modules.dep so that the module files decide";
        #[error("{tree}: {path:?} is no path of a module in it", tree = tree.display())]
        PathOutside { tree: PathBuf, path: String, next: &'static str } => ModuleTree, "{next}";
        /// `release` is what the modules say; `inner` the directory of that name, if it is there.
        #[error("{tree}: {version:?} is no kernel's release, its modules are built for {release}", tree = tree.display())]
        NoRelease { tree: PathBuf, version: String, release: String, inner: Option<PathBuf> } => ModuleTree, (match inner {
            Some(inner) => format!("give {}", inner.display()),
            None => format!("give the directory lib/modules/{release} itself"),
        });
        /// `other` is there instead, compressed otherwise.
        #[error("{tree}/modules.dep names {path}, which is not \
            there{}", other.as_ref().map_or(String::new(), |other| format!(", only {other} is")), tree = tree.display())]
        NotThere { tree: PathBuf, path: String, other: Option<String> }
            => ModuleTree, "run depmod again, or remove modules.dep so that the module files decide";
        #[error("the modules need each other in a circle: {}", names.join(" -> "))]
        Circle { names: Vec<String> } => ModuleTree,
            "build one of them into the kernel, or move the shared symbols into a module of their own";
        /// That it cannot be read was seen when the tree was.
        #[error("{problem}")]
        Unreadable { problem: Arc<dyn Explained + Send + Sync> } => ModuleTree, [problem.next_step()];

        /// `reason` is the decoder's.
        #[error("{path}: its {format} data is damaged: {reason}")]
        Stream { path: PathBuf, format: &'static str, reason: io::Error }
            => ModuleDamaged, "take the module again from the kernel's build";
        #[error("{path}: its {format} data decompresses to more than {most:#x} bytes")]
        StreamTooLong { path: PathBuf, format: &'static str, most: u64 }
            => ModuleDamaged, "take the module again from the kernel's build";
        #[error("{path}: more than {most:#x} bytes, no module has so many")]
        ModuleTooLarge { path: PathBuf, most: u64 } => ModuleDamaged, "take the module again from the kernel's build";
        #[error("not an ELF file ({size:#x} bytes)")]
        NotElf { size: usize } => ModuleDamaged, "take the module again from the kernel's build";
        #[error("ELF type {kind:#x}, a module is a relocatable file (type 0x1)")]
        Kind { kind: u16 } => ModuleDamaged, "give the .ko file, not a program";
        /// `part` is a table or a section.
        #[error("its {part} cannot be read: {reason} (the file is cut off or damaged)")]
        Part { part: String, reason: object::Error } => ModuleDamaged, "take the module again from the kernel's build";
        #[error("its symbol table was stripped, so nobody can tell what it needs")]
        Stripped => ModuleDamaged,
            "install modules with INSTALL_MOD_STRIP=1 or strip them with `strip -g`, which keeps the table";
        #[error("its symbol table names a symbol that is no text")]
        SymbolName => ModuleDamaged, "take the module again from the kernel's build";
        #[error("its __versions section has {size:#x} bytes, which is no multiple of {record:#x}")]
        VersionsSize { size: usize, record: usize } => ModuleDamaged, "take the module again from the kernel's build";
        #[error("its __versions section names a symbol that is no text")]
        VersionsName => ModuleDamaged, "take the module again from the kernel's build";
        #[error("its __version_ext_crcs and __version_ext_names name a symbol that is no text")]
        ExtendedName => ModuleDamaged, "take the module again from the kernel's build";
        #[error("its __version_ext_crcs and __version_ext_names have {crcs} CRCs for {names} names")]
        ExtendedCount { crcs: usize, names: usize } => ModuleDamaged, "take the module again from the kernel's build";

        /// Each on a line of its own.
        #[error("the kernel would refuse these modules:{}", lines.concat())]
        Refused { lines: Vec<String>, next: String } => ModulesRefused, "{next}";

        #[error("{path} line {line}: {text:?} is no symbol record")]
        SymbolRecord { path: PathBuf, line: usize, text: String }
            => KernelSymbols, "take Module.symvers from the build that made the kernel";
        #[error("{path}: no table of exported symbols is found in it")]
        NoExports { path: PathBuf }
            => KernelSymbols, "give the vmlinux of the build, or its Module.symvers with --symvers";
        #[error("not an ELF file")]
        KernelNotElf => KernelSymbols, "give the vmlinux of the build, or its Module.symvers";
        #[error("{path}: the kernel exports no symbol")]
        NoSymbol { path: PathBuf }
            => KernelSymbols, "set CONFIG_MODULES=y, or give the Module.symvers of the whole build";
        #[error("the ELF file is damaged: {reason}")]
        KernelElf { reason: object::Error } => KernelSymbols, "take the vmlinux again from its build";
        #[error("record {index:#x} of {table} names a symbol outside of the file")]
        ExportOutside { index: usize, table: String } => KernelSymbols, "take the vmlinux again from its build";

        #[error("{name:?} cannot name a requirement, since it becomes a service")]
        RequirementName { name: String } => Requirement USAGE,
            "name the file with letters, digits, - and _, and not modules.toml";
        /// `why` is the TOML reader's.
        #[error("requirement {name}: {why}")]
        RequirementText { name: String, why: String }
            => Requirement USAGE, "see the table of keys in host-tool/kernel/requirements/README.md";
        #[error("requirement {name}: {what}")]
        RequirementEmpty { name: String, what: &'static str } => Requirement USAGE, "remove it, or fill it in";
        #[error("{one} and {other} are both the requirement @{name}, since its file's name is its own")]
        RequirementTwice { name: String, one: PathBuf, other: PathBuf } => Requirement USAGE, "give one of them, or rename one";
        #[error("there is no requirement @{name}")]
        NoSuchRequirement { name: String, near: Option<String>, known: Vec<String> } => Requirement, (match near {
            Some(near) => format!("did you mean @{near}?"),
            None => format!("there are {}; --requirement FILE adds your own", known.join(", ")),
        });
        #[error("the requirements need each other in a circle: @{}", names.join(" -> @"))]
        RequirementCircle { names: Vec<String> } => Requirement USAGE, "remove one of the entries of `requires`";
        #[error("@{name} needs symbols of the kernel, and its configuration is not known")]
        ConfigUnknown { name: String } => Requirement, "give the kernel's .config with --config";
        /// `source_name` is the configuration's.
        #[error("{source_name} does not fit:\n  {}", unmet.join("\n  "))]
        Unmet { source_name: String, unmet: Vec<String> } => Requirement,
            "set these symbols in a fragment and build kernel and modules again (stoop kernel build --config FRAGMENT)";

        #[error("{prefix:?} is no place for a bundle")]
        BundlePrefix { prefix: String }
            => Bundle USAGE, "give an absolute path of letters, digits, dots, - and _";
        #[error("{path}: a bundle is no file of that kind", path = path.display())]
        BundleKind { path: PathBuf } => Bundle USAGE, "end it in .cpio or .cpio.gz, or name a directory";
        #[error("{path} is there already and is no bundle")]
        NotABundle { path: PathBuf } => Bundle, "remove it, or write the bundle elsewhere";
        #[error("{path}: {source}")]
        BundleFolder { path: PathBuf, source: io::Error } => File, "write the bundle to a directory that exists";
        /// `why` is what else it is.
        #[error("no archive of modules can be put in front of this initrd: {why}")]
        NotInFront { why: String } => Initrd, "give a cpio archive (newc), plain or compressed";
        #[error("it has a /{path} of its own, which is {what} of the bundle of modules")]
        Conflict { path: String, what: &'static str } => Initrd,
            "rename it in the initrd, or unpack `stoop modules bundle` into the initrd yourself";
        #[error("the plan asked for no initrd")]
        NoInitrd => Internal, "report this";
    }
}
