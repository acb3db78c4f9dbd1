//! The source tree: a directory that is used where it lies, or an archive that is unpacked once.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use crate::Result;
use crate::kernel_build::Error;
use stoop_image::progress::Progress;
use stoop_image::unfinished::UnfinishedFolder;

/// Where a tree keeps what stoop knows about it.
pub const STATE: &str = ".stoop";

/// The tree to build in.
#[derive(Clone, Debug)]
pub struct SourceTree {
    /// The directory.
    pub directory: PathBuf,
    /// It was unpacked just now.
    pub is_new: bool,
}

/// Gives the tree of `source`; an archive is unpacked to `OUT/tree`, unless that was done before.
///
/// # Errors
/// No kernel source, a damaged archive, or `OUT/tree` came from another archive.
pub fn source_tree(source: &Path, out: &Path, progress: &mut dyn Progress) -> Result<SourceTree> {
    if source.as_os_str() == "-" {
        return Err(Error::SourceStdin.into());
    }
    let metadata = std::fs::metadata(source).map_err(|e| Error::NoSource { path: source.into(), source: e })?;
    if metadata.is_dir() {
        let directory = source.canonicalize().map_err(|e| crate::Error::file(source, e))?;
        return is_kernel(&directory, source).map(|()| SourceTree { directory, is_new: false });
    }
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let identity = format!("{name} {:#x} bytes\n", metadata.len());
    let directory = out.join("tree");
    let record = directory.join(STATE).join("source");
    if let Ok(known) = std::fs::read_to_string(&record) {
        if known == identity {
            let directory = directory.canonicalize().map_err(|e| crate::Error::file(&directory, e))?;
            return Ok(SourceTree { directory, is_new: false });
        }
        return Err(Error::OtherSource {
            path: directory,
            known: known.trim().to_owned(),
            given: identity.trim().to_owned(),
        }
        .into());
    }
    if directory.exists() {
        return Err(Error::ForeignTree { path: directory }.into());
    }
    progress.step(&format!("unpack {name}"), Some(metadata.len()));
    std::fs::create_dir_all(out).map_err(|e| crate::Error::file(out, e))?;
    let temporary = UnfinishedFolder::new(out).map_err(|e| crate::Error::file(out, e))?;
    unpack(source, temporary.path(), progress)?;
    let top = single_directory(temporary.path()).ok_or_else(|| Error::NotOneDirectory { path: source.into() })?;
    is_kernel(&top, source)?;
    only_links_inside(&top)?;
    let state = top.join(STATE);
    // What stoop knows of a tree does not come with the tree.
    let old = std::fs::symlink_metadata(&state).map(|old| old.is_dir());
    let removed = match old {
        Ok(true) => std::fs::remove_dir_all(&state),
        Ok(false) => std::fs::remove_file(&state),
        Err(_) => Ok(()),
    };
    removed.map_err(|e| crate::Error::file(&state, e))?;
    std::fs::create_dir(&state).map_err(|e| crate::Error::file(&state, e))?;
    let record = state.join("source");
    std::fs::write(&record, identity).map_err(|e| crate::Error::file(&record, e))?;
    std::fs::rename(&top, &directory).map_err(|e| crate::Error::file(&directory, e))?;
    let directory = directory.canonicalize().map_err(|e| crate::Error::file(&directory, e))?;
    Ok(SourceTree { directory, is_new: true })
}

fn is_kernel(directory: &Path, source: &Path) -> Result<()> {
    if ["Kconfig", "Makefile", "kernel", "scripts/kconfig"].iter().all(|part| directory.join(part).exists()) {
        return Ok(());
    }
    Err(Error::NotAKernel { path: source.into() }.into())
}

fn single_directory(parent: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(parent).ok()?;
    let only = entries.next()?.ok()?.path();
    let is_directory = std::fs::symlink_metadata(&only).is_ok_and(|only| only.is_dir());
    (entries.next().is_none() && is_directory).then_some(only)
}

/// Refuses a tree with a link that leads out of it: what is written there later would be written elsewhere.
fn only_links_inside(top: &Path) -> Result<()> {
    let top = top.canonicalize().map_err(|e| crate::Error::file(top, e))?;
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| crate::Error::file(&folder, e))? {
            let entry = entry.map_err(|e| crate::Error::file(&folder, e))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(|e| crate::Error::file(&folder, e))?);
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() && !stays_inside(&path, &top) {
                let shown = path.strip_prefix(&top).unwrap_or(&path).display();
                return Err(Error::LinkOutside { link: shown.to_string() }.into());
            }
        }
    }
    Ok(())
}

fn stays_inside(link: &Path, top: &Path) -> bool {
    if let Ok(end) = link.canonicalize() {
        return end.starts_with(top);
    }
    // It leads to nothing yet: only up first, then only down, counts as known.
    let (Ok(target), Some(folder)) = (std::fs::read_link(link), link.parent()) else { return false };
    let up = target.components().take_while(|part| *part == Component::ParentDir).count();
    let down = target.components().skip(up).all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    down && folder.strip_prefix(top).is_ok_and(|inside| inside.components().count() >= up)
}

/// Tells how far the archive was read.
struct Counted<'a, R> {
    inner: R,
    done: u64,
    told: u64,
    progress: &'a mut dyn Progress,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.done += length as u64;
        if self.done - self.told > 1 << 20 {
            self.told = self.done;
            self.progress.at(self.done);
        }
        Ok(length)
    }
}

fn unpack(source: &Path, into: &Path, progress: &mut dyn Progress) -> Result<()> {
    let failed = |e: std::io::Error| Error::Archive { path: source.into(), source: e };
    let mut file = File::open(source).map_err(|e| crate::Error::file(source, e))?;
    let mut magic = [0; 6];
    let length = file.read(&mut magic).map_err(|e| crate::Error::file(source, e))?;
    let file = File::open(source).map_err(|e| crate::Error::file(source, e))?;
    let counted = BufReader::with_capacity(1 << 17, Counted { inner: file, done: 0, told: 0, progress });
    let stream: Box<dyn Read> = match &magic[..length] {
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(counted)),
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(counted)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(counted).map_err(failed)?),
        _ => Box::new(counted),
    };
    let mut archive = tar::Archive::new(stream);
    archive.set_overwrite(false);
    Ok(archive.unpack(into).map_err(failed)?)
}
