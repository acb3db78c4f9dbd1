//! The results of a build, out of the tree. Kernel and modules are linked: a second name for the same bytes, since the
//! linker makes a new file each time. Small lists, which the next build writes over in place, are copied.

use std::path::{Path, PathBuf};

use crate::Result;
use crate::kernel_build::Error;
use crate::modules::tree::{Source, Tree};
use stoop_image::unfinished::UnfinishedFolder;

/// What lies in the output directory.
#[derive(Clone, Default, Debug)]
pub struct Collected {
    /// Files besides the modules, relative to the output directory.
    pub files: Vec<String>,
    /// The `lib/modules/VERSION`, relative to the output directory, when modules were built.
    pub modules: Option<String>,
    /// How many modules.
    pub module_count: usize,
    /// Bytes that were copied: changed lists, and all when the tree is on another file system.
    pub copied: u64,
}

struct Links<'a> {
    out: &'a Path,
    collected: Collected,
}

/// Links the results of the tree into `out`. Each file is the old or the new one at any time, and so are the modules as
/// a whole.
///
/// # Errors
/// A result is missing or cannot be linked.
pub fn collect(tree: &Path, architecture: &str, out: &Path, release: Option<&str>) -> Result<Collected> {
    let mut links = Links { out, collected: Collected::default() };
    links.file(&tree.join("vmlinux"), "vmlinux")?;
    links.copy(&tree.join("System.map"), "System.map")?;
    links.copy(&tree.join(".config"), "config")?;
    let symvers = ["Module.symvers", "vmlinux.symvers"].iter().map(|name| tree.join(name)).find(|path| path.is_file());
    if let Some(symvers) = symvers {
        links.copy(&symvers, "Module.symvers")?;
    }
    let vmlinuz = tree.join("vmlinuz");
    if architecture == "mips" && vmlinuz.is_file() {
        links.copy(&vmlinuz, "vmlinuz")?;
    }
    let image = tree.join("arch").join(architecture).join("boot/Image");
    if architecture == "arm64" && image.is_file() {
        links.file(&image, "Image")?;
    }
    let dts = tree.join("arch").join(architecture).join("boot/dts");
    for dtb in device_trees(&dts) {
        let name = dtb.strip_prefix(&dts).unwrap_or(&dtb).to_string_lossy().into_owned();
        links.copy(&dtb, &format!("dtbs/{name}"))?;
    }
    if let Some(release) = release {
        links.modules(tree, release)?;
    }
    Ok(links.collected)
}

impl Links<'_> {
    fn file(&mut self, from: &Path, to: &str) -> Result<()> {
        let target = self.out.join(to);
        let parent = target.parent().unwrap_or(self.out);
        std::fs::create_dir_all(parent).map_err(|e| crate::Error::file(parent, e))?;
        self.collected.files.push(to.to_owned());
        if is_same(from, &target) {
            return Ok(());
        }
        let temporary = UnfinishedFolder::new(parent).map_err(|e| crate::Error::file(parent, e))?;
        let new = temporary.path().join("new");
        self.link(from, &new)?;
        std::fs::rename(&new, &target).map_err(|e| crate::Error::file(&target, e))
    }

    /// Copies a small file, if it changed.
    fn copy(&mut self, from: &Path, to: &str) -> Result<()> {
        let target = self.out.join(to);
        self.collected.files.push(to.to_owned());
        if same_bytes(from, &target) {
            return Ok(());
        }
        let parent = target.parent().unwrap_or(self.out);
        std::fs::create_dir_all(parent).map_err(|e| crate::Error::file(parent, e))?;
        let temporary = UnfinishedFolder::new(parent).map_err(|e| crate::Error::file(parent, e))?;
        let new = temporary.path().join("new");
        self.collected.copied += std::fs::copy(from, &new).map_err(|e| crate::Error::file(from, e))?;
        std::fs::rename(&new, &target).map_err(|e| crate::Error::file(&target, e))
    }

    /// Links, or copies to another file system.
    fn link(&mut self, from: &Path, to: &Path) -> Result<()> {
        let failed = |e: std::io::Error| Error::NotBuilt { path: from.into(), source: e };
        match std::fs::hard_link(from, to) {
            Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
                self.collected.copied += std::fs::copy(from, to).map_err(failed)?;
                Ok(())
            }
            other => Ok(other.map_err(failed)?),
        }
    }

    fn modules(&mut self, tree: &Path, release: &str) -> Result<()> {
        let order_file = tree.join("modules.order");
        let order = std::fs::read_to_string(&order_file).map_err(|e| crate::Error::file(&order_file, e))?;
        // Kernels since 6.2 list objects (.o), earlier ones modules (.ko) with or without kernel/ in front.
        let modules: Vec<String> = order
            .lines()
            .map(|line| line.trim().trim_start_matches("kernel/"))
            .filter(|line| !line.is_empty())
            .map(|line| format!("{}.ko", line.trim_end_matches(".ko").trim_end_matches(".o")))
            .map(|module| if tree.join(&module).is_file() { module } else { format!("kernel/{module}") })
            .collect();
        let relative = format!("lib/modules/{release}");
        let target = self.out.join(&relative);
        let parent = self.out.join("lib/modules");
        std::fs::create_dir_all(&parent).map_err(|e| crate::Error::file(&parent, e))?;
        self.collected.module_count = modules.len();
        self.collected.modules = Some(relative);
        let installed: String = modules.iter().map(|module| format!("kernel/{module}\n")).collect();
        let unchanged = std::fs::read_to_string(target.join("modules.order")).is_ok_and(|known| known == installed)
            && modules.iter().all(|module| is_same(&tree.join(module), &target.join("kernel").join(module)))
            && same_bytes(&tree.join("modules.builtin"), &target.join("modules.builtin"));
        if unchanged {
            return Ok(());
        }
        let temporary = UnfinishedFolder::new(&parent).map_err(|e| crate::Error::file(&parent, e))?;
        let new = temporary.path().join(release);
        std::fs::create_dir(&new).map_err(|e| crate::Error::file(&new, e))?;
        let write = |name: &str, text: &[u8]| {
            let path = new.join(name);
            std::fs::write(&path, text).map_err(|e| crate::Error::file(&path, e))
        };
        write("modules.order", installed.as_bytes())?;
        for module in &modules {
            let to = new.join("kernel").join(module);
            let directory = to.parent().unwrap_or(&new);
            std::fs::create_dir_all(directory).map_err(|e| crate::Error::file(directory, e))?;
            self.link(&tree.join(module), &to)?;
        }
        for name in ["modules.builtin", "modules.builtin.modinfo"] {
            if let Ok(bytes) = std::fs::read(tree.join(name)) {
                write(name, &bytes)?;
            }
        }
        if !modules.is_empty() {
            write("modules.dep", dependencies(&new)?.as_bytes())?;
        }
        temporary.persist(&new, &target).map_err(|e| crate::Error::file(&target, e))
    }
}

/// The text of `modules.dep`.
fn dependencies(directory: &Path) -> Result<String> {
    let tree = Tree::open(directory, Source::Files)?;
    let mut text = String::new();
    for (module, path) in (0..).zip(tree.paths()) {
        text.push_str(path);
        text.push(':');
        for needed in tree.needs(module)? {
            text.push(' ');
            text.push_str(tree.path(*needed));
        }
        text.push('\n');
    }
    Ok(text)
}

/// All device trees that were built.
fn device_trees(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![directory.to_owned()];
    while let Some(here) = left.pop() {
        for entry in std::fs::read_dir(&here).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|extension| extension == "dtb") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Two names of one file.
#[cfg(unix)]
fn is_same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    match (std::fs::metadata(one), std::fs::metadata(other)) {
        (Ok(one), Ok(other)) => one.dev() == other.dev() && one.ino() == other.ino(),
        _ => false,
    }
}

#[cfg(not(unix))]
fn is_same(_one: &Path, _other: &Path) -> bool {
    false
}

fn same_bytes(one: &Path, other: &Path) -> bool {
    matches!((std::fs::read(one), std::fs::read(other)), (Ok(one), Ok(other)) if one == other)
}
