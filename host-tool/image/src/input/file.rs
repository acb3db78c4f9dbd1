//! Files and stdin, read whole.

mod error;

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;

pub use error::Error;

use crate::Result;
use crate::format::codec::LARGEST;

/// Stdin, read once however often it is asked for.
fn stdin() -> Result<Vec<u8>> {
    static STDIN: OnceLock<std::result::Result<Vec<u8>, String>> = OnceLock::new();
    let read = || {
        let mut bytes = Vec::new();
        let read = std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes);
        read.map(|_| bytes).map_err(|error| error.to_string())
    };
    STDIN.get_or_init(read).clone().map_err(|error| Error::Stdin { reason: error }.into())
}

/// Reads a whole file; `-` is stdin.
///
/// # Errors
/// It is missing, a directory, empty, or larger than any input can be.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let bytes = stdin()?;
        return match bytes.len() as u64 {
            0 => Err(Error::StdinEmpty.into()),
            size if size > LARGEST => Err(Error::StdinTooLarge { most: LARGEST }.into()),
            _ => Ok(bytes),
        };
    }
    let bytes = read_whole(path)?;
    if bytes.is_empty() {
        return Err(empty(path).into());
    }
    Ok(bytes)
}

/// The same for a file that may be empty; `-` is a file of that name.
///
/// # Errors
/// It is missing, a directory, or larger than any input can be.
pub fn read_whole(path: &Path) -> Result<Vec<u8>> {
    at_most(path, open_file(path)?, LARGEST)
}

/// A file has more bytes than it said when it grows, or is none: a pipe, a device.
fn at_most(path: &Path, file: File, most: u64) -> Result<Vec<u8>> {
    let said = file.metadata().map_or(0, |meta| meta.len()).min(most);
    let (mut bytes, failed) = (Vec::new(), |error| crate::Error::file(path, error));
    bytes.try_reserve_exact(said as usize).map_err(|error| failed(error.into()))?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(Error::Endless { path: path.into(), most }.into());
    }
    Ok(bytes)
}

/// Reads a whole text file; `-` is stdin.
///
/// # Errors
/// As for [`read_file`], and bytes that are no UTF-8.
pub fn read_text(path: &Path) -> Result<String> {
    String::from_utf8(read_file(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::NotText { path: path.into(), at }.into()
    })
}

pub(super) fn empty(path: &Path) -> Error {
    Error::Empty { path: path.into() }
}

/// Opens a file that may be an input.
///
/// # Errors
/// It is missing, a directory, or larger than any input can be.
pub(super) fn open_file(path: &Path) -> Result<File> {
    let meta = std::fs::metadata(path).map_err(|error| Error::NotFound { path: path.into(), source: error })?;
    if meta.is_dir() {
        return Err(Error::Directory { path: path.into() }.into());
    }
    if meta.len() > LARGEST {
        return Err(Error::TooLarge { path: path.into(), size: meta.len(), most: LARGEST }.into());
    }
    File::open(path).map_err(|error| crate::Error::file(path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_an_empty_file_and_a_missing_one_each_have_their_message() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read_file(folder.path()).unwrap_err().to_string().contains("is a directory"));
        let empty = folder.path().join("empty");
        std::fs::write(&empty, b"").unwrap();
        assert!(read_file(&empty).unwrap_err().to_string().contains("is empty"));
        assert!(read_file(&folder.path().join("none")).unwrap_err().to_string().contains("none"));
    }

    #[test]
    fn a_file_larger_than_any_input_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let huge = folder.path().join("huge");
        // Sparse: takes no room.
        std::fs::File::create(&huge).unwrap().set_len(LARGEST + 1).unwrap();
        assert!(read_file(&huge).unwrap_err().to_string().contains("0x40000001 bytes"));
    }

    #[test]
    fn what_does_not_say_how_long_it_is_is_read_to_the_largest_size_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("growing");
        std::fs::write(&path, [1; 0x1001]).unwrap();
        let refused = at_most(&path, File::open(&path).unwrap(), 0x1000).unwrap_err();
        assert!(refused.to_string().contains("more than the 0x1000 bytes of any input"), "{refused}");
        assert_eq!(at_most(&path, File::open(&path).unwrap(), 0x1001).unwrap().len(), 0x1001);
        let endless = Path::new("/dev/zero");
        assert!(at_most(endless, File::open(endless).unwrap(), 0x1000).is_err());
    }
}
