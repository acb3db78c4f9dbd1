//! `--crash-log`: where the logs of a crash are kept.

use std::path::{Path, PathBuf};

use crate::{Result, ui};
use stoop_image::output::Output;
use stoop_lab::crash_log::CrashLogs;
use stoop_lab::notes::Annotator;

/// As many files of one name as are kept.
const MOST: usize = 1000;

/// Keeps what it finds in `folder`, which is made if it is not there.
///
/// # Errors
/// It cannot be made.
pub(super) fn logs(folder: &Path) -> Result<impl Annotator + use<>> {
    std::fs::create_dir_all(folder).map_err(|error| crate::Error::file(folder, error))?;
    let folder = folder.to_owned();
    Ok(CrashLogs::new(move |name: &str, text: &str| match keep(&folder, name, text) {
        Ok(path) => vec![format!("the crash log {name} is kept as {}", path.display())],
        Err(failure) => vec![format!("the crash log {name} is not kept: {}", ui::in_full(&failure))],
    }))
}

/// Never over an earlier one: each crash is evidence.
fn keep(folder: &Path, name: &str, text: &str) -> Result<PathBuf> {
    let numbered = (1..MOST).map(|number| folder.join(format!("{name}.{number}")));
    let path = [folder.join(name)].into_iter().chain(numbered).find(|path| !path.exists());
    let path = path.ok_or_else(|| crate::Error::file(folder.join(name), std::io::ErrorKind::AlreadyExists.into()))?;
    Output::new(&path, [])?.write(text.as_bytes())?;
    Ok(path)
}
