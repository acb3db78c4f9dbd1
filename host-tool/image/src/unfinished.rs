//! Temporary files and folders that become results by a rename, and what removes them when the process is told to end in between.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use tempfile::{Builder, NamedTempFile, TempDir};

/// All of the process.
static ALL: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn all() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    ALL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes everything that is unfinished. From then on nothing is begun and nothing gets its name: who tries waits for the end of the
/// process, which is the caller's to bring about.
pub fn remove_all() {
    let all = all();
    for path in &*all {
        // What cannot be removed is found by its name.
        let _ = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    }
    std::mem::forget(all);
}

/// Without the temporary name, which `tempfile` puts into what it says and nobody gave.
fn unnamed(error: io::Error) -> io::Error {
    error.kind().into()
}

/// An entry of the list.
#[derive(Debug)]
struct Listed(PathBuf);

impl Drop for Listed {
    fn drop(&mut self) {
        all().remove(&self.0);
    }
}

/// A temporary file, removed when this goes out of scope.
#[derive(Debug)]
pub struct UnfinishedFile {
    // Before its entry: fields go in this order.
    file: NamedTempFile,
    listed: Listed,
}

impl UnfinishedFile {
    /// A new file in the folder, with the builder's prefix and permissions.
    ///
    /// # Errors
    /// It cannot be made there.
    pub fn new(builder: &Builder<'_, '_>, folder: &Path) -> io::Result<UnfinishedFile> {
        // Until it is listed nobody removes what is listed.
        let mut all = all();
        let file = builder.tempfile_in(folder).map_err(unnamed)?;
        all.insert(file.path().to_owned());
        let listed = Listed(file.path().to_owned());
        Ok(UnfinishedFile { file, listed })
    }

    /// To be written.
    pub fn file(&mut self) -> &mut std::fs::File {
        self.file.as_file_mut()
    }

    /// Gives it its name, in place of what had it.
    ///
    /// # Errors
    /// As of `rename(2)`.
    pub fn persist(self, path: &Path) -> io::Result<()> {
        let UnfinishedFile { file, listed } = self;
        let all = all();
        let done = file.persist(path).map(drop).map_err(|error| error.error);
        drop((all, listed));
        done
    }
}

/// A temporary folder, removed with all in it when this goes out of scope.
#[derive(Debug)]
pub struct UnfinishedFolder {
    folder: TempDir,
    _listed: Listed,
}

impl UnfinishedFolder {
    /// A new folder in `parent`.
    ///
    /// # Errors
    /// It cannot be made there.
    pub fn new(parent: &Path) -> io::Result<UnfinishedFolder> {
        let mut all = all();
        let folder = Builder::new().prefix(".stoop-").tempdir_in(parent).map_err(unnamed)?;
        all.insert(folder.path().to_owned());
        let listed = Listed(folder.path().to_owned());
        Ok(UnfinishedFolder { folder, _listed: listed })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Gives a file or folder that was made here its name, which nothing has.
    ///
    /// # Errors
    /// As of `rename(2)`; `AlreadyExists` when something has the name by now.
    pub fn persist_new(&self, made: &Path, path: &Path) -> io::Result<()> {
        let _all = all();
        match renameat_with(CWD, made, CWD, path, RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            done => return Ok(done?),
        }
        match path.symlink_metadata() {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(_) => std::fs::rename(made, path),
        }
    }

    /// Gives a file or folder that was made here its name, in place of what had it. The old one goes with this folder.
    ///
    /// # Errors
    /// As of `rename(2)`; the old one keeps its name then.
    pub fn persist(self, made: &Path, path: &Path) -> io::Result<()> {
        let _all = all();
        match path.symlink_metadata() {
            Ok(_) => exchange(made, &self.path().join("old"), path),
            Err(_) => std::fs::rename(made, path),
        }
    }
}

/// Gives `new` the name of what is at `path`, in one step. Where the file system cannot do that, the old one becomes `old` first, and
/// the caller sees to it that no signal ends the process between the two.
fn exchange(new: &Path, old: &Path, path: &Path) -> io::Result<()> {
    match renameat_with(CWD, new, CWD, path, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        done => return Ok(done?),
    }
    std::fs::rename(path, old)?;
    std::fs::rename(new, path).inspect_err(|_| drop(std::fs::rename(old, path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the list has anything in this folder; other tests list theirs meanwhile.
    fn lists(folder: &Path) -> bool {
        all().iter().any(|path| path.starts_with(folder))
    }

    #[test]
    fn what_is_begun_is_listed_until_it_has_its_name_or_is_gone() {
        let place = tempfile::tempdir().unwrap();
        let begun = UnfinishedFile::new(&Builder::new(), place.path()).unwrap();
        assert!(lists(place.path()));
        begun.persist(&place.path().join("result")).unwrap();
        assert!(!lists(place.path()) && place.path().join("result").is_file());
        let begun = UnfinishedFolder::new(place.path()).unwrap();
        let path = begun.path().to_owned();
        assert!(lists(place.path()) && path.is_dir());
        drop(begun);
        assert!(!lists(place.path()) && !path.exists());
    }

    #[test]
    fn a_folder_takes_the_place_of_another_and_leaves_nothing_beside_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("result");
        for text in ["first", "second"] {
            let begun = UnfinishedFolder::new(place.path()).unwrap();
            let made = begun.path().join("made");
            std::fs::create_dir(&made).unwrap();
            std::fs::write(made.join(text), text).unwrap();
            begun.persist(&made, &path).unwrap();
            assert_eq!(std::fs::read_to_string(path.join(text)).unwrap(), text);
        }
        assert!(!path.join("first").exists(), "the old one is gone");
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_new_folder_takes_no_others_name_not_even_an_empty_ones() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("result");
        let begun = UnfinishedFolder::new(place.path()).unwrap();
        let made = begun.path().join("made");
        std::fs::create_dir(&made).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(begun.persist_new(&made, &path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_dir(&path).unwrap();
        begun.persist_new(&made, &path).unwrap();
        assert!(path.is_dir() && !made.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_replaced_keeps_its_name() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("result");
        std::fs::create_dir(&path).unwrap();
        let begun = UnfinishedFolder::new(place.path()).unwrap();
        let made = begun.path().join("made");
        assert!(begun.persist(&made, &path).is_err(), "nothing was made");
        assert!(path.is_dir());
    }
}
