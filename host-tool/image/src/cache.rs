//! Compressed kernels, kept by their content: the reference encoders take tens of seconds for the last percent, and most packs are
//! of a kernel that was packed before. The bytes of an image are the same with and without it.
//!
//! A file is named by the SHA-256 of the codec's name and settings and of the kernel's bytes; it has the SHA-256 of what follows,
//! then the compressed bytes. Whatever cannot be read or written is as if it were not there.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use stoop_core::codec::Codec;

use crate::unfinished::UnfinishedFile;

/// Changes with the encoders and their settings (`image/codec.rs`).
const SETTINGS: &str = "1";
/// Smaller kernels are compressed in no time.
const LEAST: usize = 1 << 20;
/// Bytes of the sum in front.
const SUM: usize = 32;

/// A folder of compressed kernels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cache {
    folder: PathBuf,
    /// Bytes of all its files, at most.
    most: u64,
}

impl Cache {
    /// Kept in `folder`, which is made when it is needed; beyond `most` bytes the files that were used longest ago go.
    pub fn new(folder: &Path, most: u64) -> Cache {
        Cache { folder: folder.to_owned(), most }
    }

    /// What `encode` makes of the bytes, from the cache if they were there before.
    ///
    /// # Errors
    /// Those of `encode`.
    pub fn encoded<E>(
        &self,
        codec: Codec,
        bytes: &[u8],
        encode: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Vec<u8>, E> {
        if codec == Codec::Store || bytes.len() < LEAST {
            return encode();
        }
        let path = self.folder.join(name(codec, bytes));
        if let Some(kept) = read(&path) {
            return Ok(kept);
        }
        let made = encode()?;
        // A full disk or a folder that may not be written costs time, and nothing else.
        let _ = self.keep(&path, &made);
        Ok(made)
    }

    fn keep(&self, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = UnfinishedFile::new(tempfile::Builder::new().prefix(".kernel-"), &self.folder)?;
        file.file().write_all(&Sha256::digest(bytes))?;
        file.file().write_all(bytes)?;
        file.persist(path)?;
        self.trim(path)
    }

    /// Removes the files that were used longest ago, but not the one that was just made.
    fn trim(&self, newest: &Path) -> std::io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let (path, data) = entry.and_then(|entry| Ok((entry.path(), entry.metadata()?)))?;
            if data.is_file() && path.extension().is_some_and(|extension| extension == EXTENSION) {
                files.push((data.modified()?, data.len(), path));
            }
        }
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files.into_iter().filter(|(.., path)| path != newest) {
            if total <= self.most {
                break;
            }
            fs::remove_file(path)?;
            total -= size;
        }
        Ok(())
    }
}

const EXTENSION: &str = "kernel";

fn name(codec: Codec, bytes: &[u8]) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{SETTINGS} {}\n", codec.name()));
    hash.update(bytes);
    let name: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name}.{EXTENSION}")
}

/// The bytes of a whole file, which is marked as used now.
fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs::read(path).ok()?;
    let (sum, kept) = bytes.split_at_checked(SUM)?;
    if Sha256::digest(kept)[..] != *sum {
        return None;
    }
    let file = fs::File::options().write(true).open(path).ok();
    let _ = file.map(|file| file.set_modified(SystemTime::now()));
    Some(bytes.split_off(SUM))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> Result<Vec<u8>, String> {
        Err("the encoder was called".into())
    }

    fn kernel(first: u8) -> Vec<u8> {
        let mut bytes = vec![7; LEAST];
        bytes[0] = first;
        bytes
    }

    #[test]
    fn the_second_time_the_encoder_is_not_called_but_for_another_kernel_or_codec() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(&folder.path().join("kernels"), 1 << 20);
        let made = || Ok::<_, String>(vec![1, 2, 3]);
        assert_eq!(cache.encoded(Codec::Lzma, &kernel(0), made), Ok(vec![1, 2, 3]));
        assert_eq!(cache.encoded(Codec::Lzma, &kernel(0), never), Ok(vec![1, 2, 3]));
        assert!(cache.encoded(Codec::Lz4, &kernel(0), never).is_err());
        assert!(cache.encoded(Codec::Lzma, &kernel(1), never).is_err());
    }

    #[test]
    fn a_damaged_or_cut_file_is_as_if_it_were_not_there_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), 1 << 20);
        let made = || Ok::<_, String>(vec![1, 2, 3]);
        let path = folder.path().join(name(Codec::Lz4, &kernel(0)));
        for damaged in [&b""[..], &[0; SUM], &[0; SUM + 3]] {
            fs::write(&path, damaged).unwrap();
            assert!(cache.encoded(Codec::Lz4, &kernel(0), never).is_err());
            cache.encoded(Codec::Lz4, &kernel(0), made).unwrap();
            assert_eq!(cache.encoded(Codec::Lz4, &kernel(0), never), Ok(vec![1, 2, 3]));
        }
    }

    #[test]
    fn the_file_that_was_used_longest_ago_goes_first_and_the_folder_may_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path(), 2 * 1000);
        for number in 0..3 {
            cache.encoded(Codec::Lzma, &kernel(number), || Ok::<_, String>(vec![number; 900])).unwrap();
            let path = folder.path().join(name(Codec::Lzma, &kernel(number)));
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(u64::from(number));
            fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
        }
        assert!(cache.encoded(Codec::Lzma, &kernel(0), never).is_err(), "0 was used longest ago");
        assert!(cache.encoded(Codec::Lzma, &kernel(1), never).is_ok());
        assert!(cache.encoded(Codec::Lzma, &kernel(2), never).is_ok());
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        assert!(Cache::new(&file, 1000).encoded(Codec::Lzma, &kernel(0), || Ok::<_, String>(vec![1])).is_ok());
    }
}
