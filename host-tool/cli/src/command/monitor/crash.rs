//! `--crash-log`: where the logs of a crash are kept.

use std::path::Path;

use crate::{Result, ui};
use stoop_lab::crash_log::{self, CrashLogs};
use stoop_lab::notes::Annotator;

/// Keeps what it finds in `folder`, which is made if it is not there.
///
/// # Errors
/// It cannot be made.
pub(super) fn logs(folder: &Path) -> Result<impl Annotator + use<>> {
    std::fs::create_dir_all(folder).map_err(|error| crate::Error::file(folder, error))?;
    let folder = folder.to_owned();
    Ok(CrashLogs::new(move |name: &str, text: &str| match crash_log::keep(&folder, name, text) {
        Ok(path) => vec![format!("the crash log {name} is kept as {}", path.display())],
        Err(failure) => vec![format!("the crash log {name} is not kept: {}", ui::in_full(&failure))],
    }))
}
