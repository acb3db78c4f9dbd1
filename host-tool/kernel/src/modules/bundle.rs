//! The files that bring modules to a board: the modules of a plan, scripts that load and unload them, one s6-rc service
//! for each requirement.
//!
//! ```text
//! lib/modules/VERSION/…   the modules, not compressed, under their own paths
//! load.sh  unload.sh      all of it, or the services named as arguments; unload.sh in reverse
//! order                   the modules' paths, one a line, in load order, for an init without a shell
//! s6-rc/SERVICE/          type, up, down, dependencies.d/
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use super::check::{check, refuse};
use super::cpio::{self, Kind};
use super::requirement::{Plan, Service};
use super::symbols::Kernel;
use super::tree::Tree;
use super::{file, name};
use crate::Result;
use crate::modules::Error;
use stoop_image::kconfig::Kconfig;
use stoop_image::output::Output;
use stoop_image::shell::quoted;
use stoop_image::unfinished::UnfinishedFolder;

/// A bundle in memory.
#[derive(Debug)]
pub struct Bundle {
    entries: BTreeMap<String, Kind>,
    /// The modules' paths in the bundle, in load order.
    pub order: Vec<String>,
    /// How many bytes the modules have, not compressed.
    pub module_bytes: u64,
}

/// What a bundle is written as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// A directory.
    Directory,
    /// A cpio archive.
    Cpio,
    /// A cpio archive, compressed with gzip.
    CpioGz,
}

/// Endings by which people ask for a file, not for a directory.
const OF_FILES: [&str; 13] =
    ["cpio", "gz", "xz", "zst", "lzma", "lz4", "lzo", "bz2", "tar", "tgz", "txz", "zip", "img"];

impl Form {
    /// What a path's ending asks for; `-` for an archive on stdout.
    ///
    /// # Errors
    /// It is the ending of a file that no bundle is written as.
    pub fn of(path: &Path) -> Result<Self> {
        let text = path.to_string_lossy();
        if text == "-" || text.ends_with(".cpio") {
            return Ok(Form::Cpio);
        }
        if text.ends_with(".cpio.gz") {
            return Ok(Form::CpioGz);
        }
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
        match ending.filter(|ending| OF_FILES.contains(&ending.as_str())) {
            Some(_) => Err(Error::BundleKind { path: path.into() }.into()),
            None => Ok(Form::Directory),
        }
    }
}

impl Bundle {
    /// Collects what a plan needs. `prefix` is where the bundle will lie on the board, `/` when it is unpacked as (part
    /// of) an initrd; the services call the scripts there.
    ///
    /// # Errors
    /// A module cannot be read, or the prefix is not an absolute path that a service file can hold.
    pub fn new(tree: &Tree, plan: &Plan, prefix: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        if !prefix.starts_with('/') || !prefix.chars().all(plain) {
            return Err(Error::BundlePrefix { prefix: prefix.to_owned() }.into());
        }
        let prefix = prefix.trim_end_matches('/');
        let mut bundle = Bundle { entries: BTreeMap::new(), order: Vec::new(), module_bytes: 0 };
        for module in &plan.resolution.order {
            let bytes = file::read(&tree.file(*module)?)?;
            bundle.module_bytes += bytes.len() as u64;
            let path = path_of(tree, *module);
            bundle.put(&path, Kind::File(bytes));
            bundle.order.push(path);
        }
        let order = bundle.order.iter().fold(String::new(), |text, path| text + path + "\n");
        bundle.put("order", Kind::File(order.into_bytes()));
        bundle.put("load.sh", Kind::Script(load_script(tree, &plan.services).into_bytes()));
        bundle.put("unload.sh", Kind::Script(unload_script(tree, &plan.services).into_bytes()));
        for service in &plan.services {
            let name = &service.name;
            let file = |text: String| Kind::File(text.into_bytes());
            bundle.put(&format!("s6-rc/{name}/type"), file("oneshot\n".to_owned()));
            bundle.put(&format!("s6-rc/{name}/up"), file(format!("{prefix}/load.sh {name}\n")));
            bundle.put(&format!("s6-rc/{name}/down"), file(format!("{prefix}/unload.sh {name}\n")));
            for first in &service.after {
                bundle.put(&format!("s6-rc/{name}/dependencies.d/{first}"), file(String::new()));
            }
        }
        Ok(bundle)
    }

    /// As [`Bundle::new`] for an initrd, after proving that the kernel takes every module.
    ///
    /// # Errors
    /// As [`Bundle::new`], and each reason why the kernel would refuse a module.
    pub fn checked(tree: &Tree, plan: &Plan, kernel: &Kernel, config: Option<&Kconfig>) -> Result<Self> {
        refuse(&check(tree, &plan.resolution.order, kernel, config)?)?;
        Bundle::new(tree, plan, "/")
    }

    /// Its entries, sorted by path; a directory comes before what is in it.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Kind)> {
        self.entries.iter().map(|(path, kind)| (path.as_str(), kind))
    }

    /// The bundle as a cpio archive, which the kernel unpacks also when it lies in front of another initrd.
    pub fn cpio(&self) -> Vec<u8> {
        cpio::archive(self.entries())
    }

    /// Writes it as the path's ending asks for and gives the number of bytes written. An earlier bundle is replaced;
    /// `out` is the old or the new one at any time, never a part.
    ///
    /// # Errors
    /// It cannot be written, or `out` is a directory that is no bundle, or ends as a file of another kind.
    pub fn write(&self, out: &Path) -> Result<u64> {
        let parent = match out.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        match Form::of(out)? {
            Form::Directory => self.write_directory(out, parent),
            Form::Cpio => write_file(out, &self.cpio()),
            Form::CpioGz => {
                let mut encoder = flate2::GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::best());
                let packed = encoder.write_all(&self.cpio()).and_then(|()| encoder.finish());
                write_file(out, &packed.map_err(|e| crate::Error::file(out, e))?)
            }
        }
    }

    fn put(&mut self, path: &str, kind: Kind) {
        for (at, _) in path.match_indices('/') {
            self.entries.insert(path[..at].to_owned(), Kind::Directory);
        }
        self.entries.insert(path.to_owned(), kind);
    }

    fn write_directory(&self, out: &Path, parent: &Path) -> Result<u64> {
        if out.exists() && !(out.join("load.sh").is_file() && out.join("order").is_file()) {
            return Err(Error::NotABundle { path: out.into() }.into());
        }
        fn failed(path: &Path) -> impl Fn(std::io::Error) -> crate::Error {
            move |e| crate::Error::file(path, e)
        }
        let temporary =
            UnfinishedFolder::new(parent).map_err(|e| Error::BundleFolder { path: parent.into(), source: e })?;
        let new = temporary.path().join("new");
        std::fs::create_dir(&new).map_err(failed(&new))?;
        set_mode(&new, 0o755)?;
        let mut written = 0;
        for (path, kind) in &self.entries {
            let path = new.join(path);
            match kind {
                Kind::Directory => std::fs::create_dir(&path).map_err(failed(&path))?,
                Kind::File(data) | Kind::Script(data) => {
                    written += data.len() as u64;
                    std::fs::write(&path, data).map_err(failed(&path))?;
                }
            }
            set_mode(&path, kind.permissions())?;
        }
        temporary.persist(&new, out).map_err(failed(out))?;
        Ok(written)
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(|e| crate::Error::file(path, e))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: u32) -> Result<()> {
    Ok(())
}

fn write_file(out: &Path, bytes: &[u8]) -> Result<u64> {
    Output::new(out, [])?.write(bytes)?;
    Ok(bytes.len() as u64)
}

/// A module's path in the bundle. The module is not compressed there: the image it goes into is, and not every insmod
/// decompresses.
fn path_of(tree: &Tree, module: u32) -> String {
    format!("lib/modules/{}/{}", tree.version(), file::plain_path(tree.path(module)))
}

/// Whether a module is loaded, by its name as the kernel spells it. In plain sh, since the board may have no more.
const IS_LOADED: &str = "is_loaded() {
    while read -r name rest; do
        [ \"$name\" = \"$1\" ] && return 0
    done 2>/dev/null </proc/modules
    return 1
}
";

fn load_script(tree: &Tree, services: &[Service]) -> String {
    let mut text = String::from(
        "#!/bin/sh
# Loads the modules of this bundle in order: all of them, or those of the services named as arguments.
case $0 in
*/*) here=${0%/*} ;;
*) here=. ;;
esac
",
    );
    text.push_str(IS_LOADED);
    text.push_str(
        "load() {
    is_loaded \"$1\" && return 0
    insmod \"$here/$2\" || {
        echo \"load.sh: $2 was refused\" >&2
        exit 1
    }
}
",
    );
    let names = services.iter().map(|service| service.name.as_str());
    per_service(&mut text, "load.sh", names, services.iter(), |text, service| {
        for module in &service.modules {
            let path = path_of(tree, *module);
            let _ = writeln!(text, "        load {} {}", quoted(&name::of_path(&path)), quoted(&path));
        }
    });
    text
}

fn unload_script(tree: &Tree, services: &[Service]) -> String {
    let mut text = String::from(
        "#!/bin/sh
# Unloads the modules of this bundle in reverse order, as far as nobody uses them: all of them, or those of the services
# named as arguments.
",
    );
    text.push_str(IS_LOADED);
    text.push_str(
        "unload() {
    is_loaded \"$1\" || return 0
    rmmod \"$1\" || echo \"unload.sh: $1 stays loaded\" >&2
}
",
    );
    let names = services.iter().rev().map(|service| service.name.as_str());
    per_service(&mut text, "unload.sh", names, services.iter(), |text, service| {
        for module in service.modules.iter().rev() {
            let _ = writeln!(text, "        unload {}", quoted(&name::of_path(tree.path(*module))));
        }
    });
    text
}

fn per_service<'a>(
    text: &mut String,
    script: &str,
    names: impl Iterator<Item = &'a str>,
    services: impl Iterator<Item = &'a Service>,
    body: impl Fn(&mut String, &Service),
) {
    let names: Vec<&str> = names.collect();
    let _ = writeln!(text, "[ $# -gt 0 ] || set -- {}\nfor service; do\n    case $service in", names.join(" "));
    for service in services {
        let _ = writeln!(text, "    {})", service.name);
        body(text, service);
        text.push_str("        ;;\n");
    }
    let _ = write!(
        text,
        "    *)
        echo \"{script}: there is no service $service in this bundle\" >&2
        exit 2
        ;;
    esac
done
"
    );
}
