//! Stdin as an input.

use std::path::Path;

use crate::Result;
use crate::command::Error;

/// Refuses to take stdin for two inputs.
///
/// # Errors
/// Two of them are `-`.
pub(super) fn stdin_once<'a>(inputs: impl IntoIterator<Item = &'a (impl AsRef<Path> + ?Sized + 'a)>) -> Result<()> {
    let dashes = inputs.into_iter().filter(|path| path.as_ref().as_os_str() == "-").count();
    if dashes > 1 {
        return Err(Error::StdinTwice.into());
    }
    Ok(())
}
