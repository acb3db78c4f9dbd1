//! The kernel's release, which a tree is named after, and whether its modules agree.

use std::path::Path;

use crate::Result;
use crate::modules::{Error, file, ko};

/// `6.12.117-mips32`: what `uname -r` says begins with a version.
fn is_release(name: &str) -> bool {
    let version: String = name.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    name.starts_with(|c: char| c.is_ascii_digit()) && version.contains('.') && !name.contains(char::is_control)
}

/// What a directory is called: by the name that was given, which may be a link, or else by what that leads to.
pub(super) fn name(given: &Path, directory: &Path) -> String {
    let of = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let given = std::path::absolute(given).map(|path| of(&path)).unwrap_or_default();
    let real = of(directory);
    if given.is_empty() || (!is_release(&given) && is_release(&real)) { real } else { given }
}

/// The release that a module is built for, if it can be read and says one.
fn of_module(path: &Path) -> Option<String> {
    let bytes = file::read(path).ok()?;
    let vermagic = ko::Module::parse(&bytes).ok()?.info("vermagic").next()?;
    vermagic.split(' ').next().map(str::to_owned)
}

/// A directory such as `lib/modules` or `lib/modules/VERSION/kernel` is none of a release; `version` is its name, `module` its first module.
///
/// # Errors
/// Its name is no release, and its modules are built for one.
pub(super) fn check(directory: &Path, version: &str, module: Option<&Path>) -> Result<()> {
    if is_release(version) {
        return Ok(());
    }
    let Some(release) = module.and_then(of_module) else { return Ok(()) };
    let inner = Some(directory.join(&release)).filter(|inner| inner.is_dir());
    Err(Error::NoRelease { tree: directory.to_owned(), version: version.to_owned(), release, inner }.into())
}

/// What to know when the modules are built for another release than the directory is named after.
pub(super) fn doubt(version: &str, module: &Path) -> Option<String> {
    let release = of_module(module).filter(|release| release != version)?;
    Some(format!(
        "the directory is of {version}, and its modules are built for {release}: a kernel looks for them under its own release"
    ))
}
