//! Where built things live outside git. A name carries the hash of what it was made from, and appears by rename.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};
use stoop_samples::failure::{Failure, Result};

/// `$STOOP_CACHE`, else `$XDG_CACHE_HOME/stoop`, else `~/.cache/stoop`.
///
/// # Errors
/// When none of the three variables is set.
pub fn root() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    variable("STOOP_CACHE")
        .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("stoop")))
        .or_else(|| Some(variable("HOME")?.join(".cache/stoop")))
        .ok_or_else(|| {
            Failure::new("there is no place for a cache: HOME is not set").next("set STOOP_CACHE to a folder")
        })
}

/// Keeps other processes from building in the same cache until it is dropped.
pub struct Lock(#[allow(dead_code, reason = "holding it is its use")] File);

impl Lock {
    /// Waits for its turn, and says so through `waiting` when it has to.
    ///
    /// # Errors
    /// When the lock file cannot be made.
    pub fn take(folder: &Path, waiting: impl FnOnce()) -> Result<Lock> {
        create_dir(folder)?;
        let path = folder.join("lock");
        let file = File::create(&path).map_err(|error| Failure::io(&path, &error))?;
        if file.try_lock().is_err() {
            waiting();
            file.lock().map_err(|error| Failure::io(&path, &error))?;
        }
        Ok(Lock(file))
    }
}

/// The first 16 hex digits of the SHA-256 of `parts`, each preceded by its length so that they cannot run together.
pub fn key(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize())[..16].to_owned()
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The SHA-256 of a file in hex, remembered in `memory` by the file's path, size and time of change.
///
/// # Errors
/// When the file cannot be read.
pub fn hash_of_file(path: &Path, memory: &Path) -> Result<String> {
    let io = |error| Failure::io(path, &error);
    let data = fs::metadata(path).map_err(io)?;
    let changed = data.modified().map_err(io)?.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let name = key(&[path.as_os_str().as_encoded_bytes(), &data.len().to_le_bytes(), &changed.to_le_bytes()]);
    let note = memory.join("hashes").join(name);
    if let Ok(known) = fs::read_to_string(&note) {
        return Ok(known);
    }
    let mut file = File::open(path).map_err(io)?;
    let mut hash = Sha256::new();
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block).map_err(io)? {
            0 => break,
            len => hash.update(&block[..len]),
        }
    }
    let hash = hex(&hash.finalize());
    write(&note, hash.as_bytes())?;
    Ok(hash)
}

/// Makes a folder and its parents.
///
/// # Errors
/// What the system says.
pub fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(|error| Failure::io(path, &error))
}

/// Reads a whole file.
///
/// # Errors
/// What the system says, with the path.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Failure::io(path, &error))
}

/// Writes a whole file by rename, in folders made as needed; readable by everybody, and executable when `bytes` is an ELF.
///
/// # Errors
/// What the system says, with the path.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let io = |error| Failure::io(path, &error);
    let folder = path.parent().unwrap_or(Path::new("."));
    create_dir(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    std::io::Write::write_all(&mut file, bytes).map_err(io)?;
    let mode = if bytes.starts_with(b"\x7fELF") { 0o755 } else { 0o644 };
    file.as_file().set_permissions(fs::Permissions::from_mode(mode)).map_err(io)?;
    file.persist(path).map_err(|error| Failure::io(path, &error.error))?;
    Ok(())
}

/// A folder that `fill` fills, unless it is there: it appears when `fill` succeeded, or not at all.
///
/// # Errors
/// Those of `fill`.
pub fn folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    if path.exists() {
        return Ok(());
    }
    let io = |error| Failure::io(path, &error);
    let parent = path.parent().unwrap_or(Path::new("."));
    create_dir(parent)?;
    let draft = tempfile::Builder::new().prefix(".draft-").tempdir_in(parent).map_err(io)?;
    fill(draft.path())?;
    fs::set_permissions(draft.path(), fs::Permissions::from_mode(0o755)).map_err(io)?;
    fs::rename(draft.path(), path).map_err(io)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_where_one_part_ends() {
        assert_ne!(key(&[b"ab", b"c"]), key(&[b"a", b"bc"]));
    }

    #[test]
    fn a_folder_that_could_not_be_filled_does_not_appear() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("kernel");
        let failed = folder(&path, |draft| {
            write(&draft.join("vmlinux"), b"half")?;
            Err(Failure::new("the disk is full"))
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_changed_file_has_a_new_hash() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("source");
        write(&file, b"one").unwrap();
        let one = hash_of_file(&file, place.path()).unwrap();
        assert_eq!(one, hash_of_file(&file, place.path()).unwrap());
        write(&file, b"three").unwrap();
        assert_ne!(one, hash_of_file(&file, place.path()).unwrap());
    }
}
