//! Where results go: a regular file appears whole or not at all; to anything else (a pipe, a device, stdout) the bytes are written.

mod error;

use std::fs::{self, Metadata, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

pub use error::Error;

use crate::Result;
use crate::unfinished::UnfinishedFile;

/// A place for a result, checked before the work begins.
#[derive(Clone, Debug)]
pub struct Output {
    path: PathBuf,
    target: Target,
}

#[derive(Clone, Debug)]
enum Target {
    Stdout,
    /// Written to as it is.
    Stream,
    /// A regular file or none yet: the end of all links.
    File(PathBuf),
}

/// As many links in a row as Linux follows.
const LINKS: usize = 40;

impl Output {
    /// The place that `path` names, `-` for stdout.
    ///
    /// # Errors
    /// It is a directory, in a folder that is not there, a file that may not be written, or one of `inputs`.
    pub fn new<'a>(path: &Path, inputs: impl IntoIterator<Item = &'a Path>) -> Result<Output> {
        let output = |target| Output { path: path.to_owned(), target };
        if path.as_os_str() == "-" {
            return Ok(output(Target::Stdout));
        }
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => Err(Error::Directory { path: path.into() }.into()),
            Ok(there) if fs::metadata("/dev/stdout").is_ok_and(|stdout| is_same(&stdout, &there)) => {
                Ok(output(Target::Stdout))
            }
            Ok(there) if there.is_file() => {
                let is_it = |input: &&Path| fs::metadata(input).is_ok_and(|input| is_same(&input, &there));
                if let Some(input) = inputs.into_iter().find(is_it) {
                    return Err(Error::IsInput { path: path.into(), input: input.into() }.into());
                }
                let unreachable = |source| Error::Unreachable { path: path.into(), source };
                let path = path.canonicalize().map_err(unreachable)?;
                // Renaming would replace it without asking whether it may be written.
                match OpenOptions::new().write(true).open(&path) {
                    Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(unreachable(error).into()),
                    _ => Ok(output(Target::File(path))),
                }
            }
            Ok(_) => Ok(output(Target::Stream)),
            Err(error) if error.kind() == ErrorKind::NotFound => match end_of_links(path) {
                None => Err(crate::Error::file(path, error)),
                Some(end) if !folder(&end).is_dir() => Err(Error::NoFolder { path: path.into(), source: error }.into()),
                Some(end) => Ok(output(Target::File(end))),
            },
            Err(error) => Err(Error::Unreachable { path: path.into(), source: error }.into()),
        }
    }

    /// As the user named it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is printed besides belongs on stderr.
    pub fn is_stdout(&self) -> bool {
        matches!(self.target, Target::Stdout)
    }

    /// Writes it all.
    ///
    /// # Errors
    /// The place cannot be written, or has too little room; of a file nothing is left behind then.
    pub fn write(&self, bytes: &[u8]) -> Result<()> {
        let failed = |error| failed_to_write(&self.path, bytes.len(), error);
        match &self.target {
            Target::Stdout => stdout(bytes),
            Target::Stream => {
                let mut stream = OpenOptions::new().write(true).open(&self.path).map_err(failed)?;
                Ok(stream.write_all(bytes).map_err(failed)?)
            }
            Target::File(path) => Ok(replace(path, bytes).map_err(failed)?),
        }
    }
}

/// A reader that has gone away is no failure.
fn stdout(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Error::Stdout { source: error }.into()),
        _ => Ok(()),
    }
}

/// Writes the bytes beside the file and renames that, so that nobody ever sees half of it. An old file's permissions stay; a new
/// one's are what the umask leaves.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    let all = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(all);
    let mut unfinished = UnfinishedFile::new(builder.prefix(".stoop-"), folder(path))?;
    unfinished.file().write_all(bytes)?;
    if let Ok(old) = fs::metadata(path) {
        unfinished.file().set_permissions(old.permissions())?;
    }
    unfinished.persist(path)
}

/// The folder that a path's last name is in; `.` for a bare name.
pub fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Where a name that is not there leads by links; `None` when they lead in a circle.
fn end_of_links(path: &Path) -> Option<PathBuf> {
    let mut end = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&end) {
            Ok(next) => end = folder(&end).join(next),
            Err(_) => return Some(end),
        }
    }
    None
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_one: &Metadata, _other: &Metadata) -> bool {
    false
}

fn failed_to_write(path: &Path, size: usize, source: std::io::Error) -> Error {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            Error::Full { path, source, size }
        }
        ErrorKind::BrokenPipe => Error::ReaderGone { path, source },
        _ => Error::Unwritable { path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Explained as _;

    fn write(path: &Path, bytes: &[u8]) -> Result<()> {
        Output::new(path, [])?.write(bytes)
    }

    #[test]
    fn a_file_is_replaced_whole_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let missing = write(&folder.path().join("none/f"), b"").unwrap_err();
        assert!(missing.next_step().is_some() && !folder.path().join("none").exists(), "{missing}");
        assert!(write(folder.path(), b"").unwrap_err().to_string().contains("is a directory"));
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_to_their_end_whether_it_is_there_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("d")).unwrap();
        std::os::unix::fs::symlink("d/end", at("middle")).unwrap();
        std::os::unix::fs::symlink("middle", at("link")).unwrap();
        for bytes in [b"one", b"two"] {
            write(&at("link"), bytes).unwrap();
            assert!(fs::symlink_metadata(at("link")).unwrap().is_symlink());
            assert!(fs::symlink_metadata(at("d/end")).unwrap().is_file());
            assert_eq!(fs::read(at("d/end")).unwrap(), bytes);
        }
        std::os::unix::fs::symlink("circle", at("circle")).unwrap();
        assert!(write(&at("circle"), b"").is_err());
    }

    #[test]
    #[cfg(unix)]
    fn an_old_files_permissions_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
    }

    #[test]
    fn a_file_that_may_not_be_written_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, b"kept").unwrap();
        let mut only_read = fs::metadata(&path).unwrap().permissions();
        only_read.set_readonly(true);
        fs::set_permissions(&path, only_read).unwrap();
        // Root may.
        let may = OpenOptions::new().write(true).open(&path).is_ok();
        assert_eq!(Output::new(&path, []).is_ok(), may);
    }

    #[test]
    fn a_name_that_is_too_long_is_said_to_be() {
        let refused = Output::new(Path::new(&"n".repeat(300)), []).unwrap_err();
        assert_eq!(refused.next_step().as_deref(), Some("give it a shorter name"), "{refused}");
    }

    #[test]
    fn an_input_is_never_the_output_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input");
        fs::write(&input, b"kept").unwrap();
        let other = folder.path().join("./input");
        let refused = Output::new(&other, [Path::new("-"), &input]).unwrap_err();
        assert_eq!(refused.exit_code(), 2);
        assert!(matches!(refused, crate::Error::Output(Error::IsInput { .. })), "{refused}");
    }

    #[test]
    fn a_full_disk_says_so() {
        let full = std::io::Error::from(ErrorKind::StorageFull);
        let full = failed_to_write(Path::new("f"), 0x1000, full);
        assert!(matches!(full, Error::Full { size: 0x1000, .. }), "{full}");
        assert!(full.to_string().contains("no storage space"), "{full}");
        assert_eq!(full.next_step().unwrap(), "make room for 0x1000 bytes there, or name a file elsewhere");
    }
}
