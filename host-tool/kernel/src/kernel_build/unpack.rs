//! The source tree: a directory that is used where it lies, or an archive that is unpacked once.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Component, Path, PathBuf};

use stoop_image::progress::Progress;
use stoop_image::unfinished::UnfinishedFolder;
use stoop_image::{ErrorCode, Failure, Result};

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
        let fact = "a kernel's source does not come from stdin: what was unpacked is known by its file's name and size";
        return Err(Failure::usage(ErrorCode::KernelSource, fact).next("save the archive to a file, and give that"));
    }
    let metadata = std::fs::metadata(source)
        .map_err(|e| Failure::io(source, &e).next("give a kernel's source, as an archive or a directory"))?;
    if metadata.is_dir() {
        let directory = source.canonicalize().map_err(|e| Failure::io(source, &e))?;
        return is_kernel(&directory, source).map(|()| SourceTree { directory, is_new: false });
    }
    let name = source.file_name().unwrap_or_default().to_string_lossy();
    let identity = format!("{name} {:#x} bytes\n", metadata.len());
    let directory = out.join("tree");
    let record = directory.join(STATE).join("source");
    if let Ok(known) = std::fs::read_to_string(&record) {
        if known == identity {
            let directory = directory.canonicalize().map_err(|e| Failure::io(&directory, &e))?;
            return Ok(SourceTree { directory, is_new: false });
        }
        return Err(Failure::new(
            ErrorCode::KernelSource,
            format!("{} was unpacked from {}, not from {}", directory.display(), known.trim(), identity.trim()),
        )
        .next("use another --out, or remove that directory"));
    }
    if directory.exists() {
        return Err(Failure::new(
            ErrorCode::KernelSource,
            format!("{} is there already and was not unpacked by stoop", directory.display()),
        )
        .next("use another --out, or give that directory as --source"));
    }
    progress.step(&format!("unpack {name}"), Some(metadata.len()));
    std::fs::create_dir_all(out).map_err(|e| Failure::io(out, &e))?;
    let temporary = UnfinishedFolder::new(out).map_err(|e| Failure::io(out, &e))?;
    unpack(source, temporary.path(), progress)?;
    let top = single_directory(temporary.path()).ok_or_else(|| {
        Failure::new(ErrorCode::KernelSource, format!("{}: not one directory in it", source.display()))
            .next("give a kernel's source archive")
    })?;
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
    removed.map_err(|e| Failure::io(&state, &e))?;
    std::fs::create_dir(&state).map_err(|e| Failure::io(&state, &e))?;
    let record = state.join("source");
    std::fs::write(&record, identity).map_err(|e| Failure::io(&record, &e))?;
    std::fs::rename(&top, &directory).map_err(|e| Failure::io(&directory, &e))?;
    let directory = directory.canonicalize().map_err(|e| Failure::io(&directory, &e))?;
    Ok(SourceTree { directory, is_new: true })
}

fn is_kernel(directory: &Path, source: &Path) -> Result<()> {
    if ["Kconfig", "Makefile", "kernel", "scripts/kconfig"].iter().all(|part| directory.join(part).exists()) {
        return Ok(());
    }
    Err(Failure::new(ErrorCode::KernelSource, format!("{}: this is no Linux kernel source", source.display()))
        .next("give the kernel's source archive, or its unpacked tree"))
}

fn single_directory(parent: &Path) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(parent).ok()?;
    let only = entries.next()?.ok()?.path();
    let is_directory = std::fs::symlink_metadata(&only).is_ok_and(|only| only.is_dir());
    (entries.next().is_none() && is_directory).then_some(only)
}

/// Refuses a tree with a link that leads out of it: what is written there later would be written elsewhere.
fn only_links_inside(top: &Path) -> Result<()> {
    let top = top.canonicalize().map_err(|e| Failure::io(top, &e))?;
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|e| Failure::io(&folder, &e))? {
            let entry = entry.map_err(|e| Failure::io(&folder, &e))?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(|e| Failure::io(&folder, &e))?);
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() && !stays_inside(&path, &top) {
                let shown = path.strip_prefix(&top).unwrap_or(&path).display();
                return Err(Failure::new(
                    ErrorCode::KernelSource,
                    format!("the archive's {shown} is a link that leads out of it"),
                )
                .next("give a kernel's source archive as it was released"));
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
    let failed = |e: std::io::Error| {
        Failure::new(ErrorCode::KernelSource, format!("{}: the archive cannot be unpacked: {e}", source.display()))
            .next("download it again")
    };
    let mut file = File::open(source).map_err(|e| Failure::io(source, &e))?;
    let mut magic = [0; 6];
    let length = file.read(&mut magic).map_err(|e| Failure::io(source, &e))?;
    let file = File::open(source).map_err(|e| Failure::io(source, &e))?;
    let counted = BufReader::with_capacity(1 << 17, Counted { inner: file, done: 0, told: 0, progress });
    let stream: Box<dyn Read> = match &magic[..length] {
        [0xfd, b'7', b'z', b'X', b'Z', 0] => Box::new(liblzma::bufread::XzDecoder::new_multi_decoder(counted)),
        [0x1f, 0x8b, ..] => Box::new(flate2::bufread::MultiGzDecoder::new(counted)),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Box::new(zstd::stream::read::Decoder::with_buffer(counted).map_err(failed)?),
        _ => Box::new(counted),
    };
    let mut archive = tar::Archive::new(stream);
    archive.set_overwrite(false);
    archive.unpack(into).map_err(failed)
}
