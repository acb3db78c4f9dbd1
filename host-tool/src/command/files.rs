//! Files that appear whole or not at all.

use std::io::Write;
use std::path::Path;

use crate::{Failure, Result};

/// Writes `bytes` beside `path` and renames it, so that nobody ever sees half of it.
///
/// # Errors
/// The folder is missing or not writable; nothing is left behind.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let failed = |error: std::io::Error| {
        Failure::io(path, &error).next("name a file in a folder that exists and that you may write")
    };
    if path.is_dir() {
        return Err(Failure::new(format!("{}: is a directory", path.display())).next("name a file in it"));
    }
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    // As the umask would have it, not as private as a temporary file.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_or(0o644, |meta| meta.permissions().mode() & 0o777);
        file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        replace(&path, b"one").unwrap();
        replace(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(replace(&folder.path().join("none/f"), b"").unwrap_err().next_step().is_some());
        assert!(replace(folder.path(), b"").unwrap_err().fact().contains("is a directory"));
    }
}
