//! Patches on a tree: each is applied once, in order, and remembered. A series that changed is taken back as far as it
//! changed. When one does not apply, the tree is as it was before, file times included, so that nothing is rebuilt.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::unpack::STATE;
use crate::Result;
use crate::kernel_build::Error;
use stoop_image::input;
use stoop_image::unfinished::UnfinishedFolder;

/// What was done to the tree.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Changed {
    /// Patches applied now.
    pub applied: usize,
    /// Patches taken back now.
    pub reverted: usize,
    /// Patches that were there already.
    pub kept: usize,
}

struct Patch {
    name: String,
    digest: String,
    text: Vec<u8>,
}

/// Makes the tree have exactly these patches, in this order.
///
/// # Errors
/// A patch cannot be read, is none, names files outside of the tree, or does not apply; `patch` is not installed.
pub fn apply(tree: &Path, files: &[PathBuf]) -> Result<Changed> {
    let state = tree.join(STATE).join("patches");
    let wanted = files.iter().map(|file| read_patch(file)).collect::<Result<Vec<_>>>()?;
    let undo = Undo { tree, directory: tree.join(STATE).join("undo") };
    // An interrupted run left the tree between two states.
    undo.restore()?;
    let present = read_state(&state)?;
    let kept = present.iter().zip(&wanted).take_while(|(old, new)| old.digest == new.digest).count();
    let (back, forward) = (&present[kept..], &wanted[kept..]);
    if back.is_empty() && forward.is_empty() {
        return Ok(Changed { kept, ..Changed::default() });
    }
    let mut touched = BTreeSet::new();
    for patch in back.iter().chain(forward) {
        touched.extend(touched_files(patch)?);
    }
    undo.save(&touched)?;
    let done = back
        .iter()
        .rev()
        .try_for_each(|patch| run(tree, patch, true))
        .and_then(|()| forward.iter().try_for_each(|patch| run(tree, patch, false)))
        .and_then(|()| write_state(&state, &wanted));
    match done {
        Ok(()) => undo.forget(),
        Err(failure) => {
            undo.restore()?;
            Err(failure)
        }
    }?;
    Ok(Changed { applied: forward.len(), reverted: back.len(), kept })
}

/// The files that one patch changes, relative to the tree's top directory.
///
/// # Errors
/// It cannot be read, changes nothing, or names files outside of the tree.
pub fn changed_files(file: &Path) -> Result<BTreeSet<PathBuf>> {
    touched_files(&read_patch(file)?)
}

fn read_patch(file: &Path) -> Result<Patch> {
    let text = input::read_file(file)?;
    let digest = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
    let patch = Patch { name: file.file_name().unwrap_or_default().to_string_lossy().into_owned(), digest, text };
    if touched_files(&patch)?.is_empty() {
        return Err(Error::NoPatch { path: file.into() }.into());
    }
    Ok(patch)
}

/// The applied patches, from the files `NNNN DIGEST NAME`.
fn read_state(state: &Path) -> Result<Vec<Patch>> {
    let entries = match std::fs::read_dir(state) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(crate::Error::file(state, error)),
    };
    let mut names: Vec<String> = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort();
    names
        .iter()
        .map(|file| {
            let mut parts = file.splitn(3, ' ').skip(1);
            let (digest, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
            let path = state.join(file);
            let text = std::fs::read(&path).map_err(|e| crate::Error::file(&path, e))?;
            Ok(Patch { name: name.to_owned(), digest: digest.to_owned(), text })
        })
        .collect()
}

/// Replaces the record in one step.
fn write_state(state: &Path, patches: &[Patch]) -> Result<()> {
    let parent = state.parent().unwrap_or(state);
    std::fs::create_dir_all(parent).map_err(|e| crate::Error::file(parent, e))?;
    let temporary = UnfinishedFolder::new(parent).map_err(|e| crate::Error::file(parent, e))?;
    let new = temporary.path().join("new");
    std::fs::create_dir(&new).map_err(|e| crate::Error::file(&new, e))?;
    for (number, patch) in patches.iter().enumerate() {
        let path = new.join(format!("{number:04} {} {}", patch.digest, patch.name));
        std::fs::write(&path, &patch.text).map_err(|e| crate::Error::file(&path, e))?;
    }
    temporary.persist(&new, state).map_err(|e| crate::Error::file(state, e))
}

/// The files that a patch changes, relative to the tree.
fn touched_files(patch: &Patch) -> Result<BTreeSet<PathBuf>> {
    let text = String::from_utf8_lossy(&patch.text);
    let mut touched = BTreeSet::new();
    for line in text.lines() {
        let named = line
            .strip_prefix("--- ")
            .or_else(|| line.strip_prefix("+++ "))
            .map(|rest| rest.split('\t').next().unwrap_or(rest))
            .and_then(|path| path.split_once('/').map(|(_, path)| path))
            .or_else(|| line.strip_prefix("rename from ").or_else(|| line.strip_prefix("rename to ")));
        let Some(path) = named.map(str::trim).filter(|path| !path.is_empty() && *path != "dev/null") else { continue };
        let path = PathBuf::from(path);
        if line.ends_with("/dev/null") {
            continue;
        }
        if !is_inside(&path) {
            return Err(Error::PatchOutside { patch: patch.name.clone(), path }.into());
        }
        touched.insert(path);
    }
    Ok(touched)
}

fn is_inside(path: &Path) -> bool {
    path.components().all(|part| matches!(part, Component::Normal(_)))
}

/// Where a file of the tree is.
///
/// # Errors
/// It is outside of the tree, or behind a link, which may lead anywhere.
fn inside(tree: &Path, file: &Path) -> Result<PathBuf> {
    let links = file.ancestors().filter(|part| !part.as_os_str().is_empty());
    let is_link = |part: &Path| std::fs::symlink_metadata(tree.join(part)).is_ok_and(|there| there.is_symlink());
    if !is_inside(file) || links.into_iter().any(is_link) {
        return Err(Error::NotInside { path: file.into() }.into());
    }
    Ok(tree.join(file))
}

fn run(tree: &Path, patch: &Patch, reverse: bool) -> Result<()> {
    let mut command = Command::new("patch");
    // No fuzz: a hunk that only fits when its context is ignored can land in the wrong place.
    command.args(["-p1", "--batch", "--forward", "--fuzz=0", "--no-backup-if-mismatch", "--reject-file=-"]);
    if reverse {
        command.args(["--reverse"]);
    }
    command.current_dir(tree).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let missing = |e: std::io::Error| Error::NoPatchProgram { source: e };
    let mut child = command.spawn().map_err(missing)?;
    let text = patch.text.clone();
    let stdin = child.stdin.take();
    let feeder = std::thread::spawn(move || {
        if let Some(mut stdin) = stdin {
            // patch stops reading when it fails, and says why itself.
            let _ = stdin.write_all(&text);
        }
    });
    let output = child.wait_with_output().map_err(missing)?;
    let _ = feeder.join();
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stdout);
    let mut file = "";
    let mut failed: Vec<String> = Vec::new();
    for line in said.lines() {
        file = line.strip_prefix("patching file ").unwrap_or(file);
        if line.contains("FAILED")
            || line.contains("can't find file")
            || line.contains("No file to patch")
            || line.contains("previously applied")
        {
            failed.push(format!("\n  {file}: {}", line.trim()));
        }
    }
    let patch = patch.name.clone();
    Err(match reverse {
        true => Error::NotTakenBack { patch, failed },
        false => Error::DoesNotApply { patch, failed },
    }
    .into())
}

/// The files as they were, kept on disk until the series is through.
struct Undo<'a> {
    tree: &'a Path,
    directory: PathBuf,
}

impl Undo<'_> {
    /// Copies the files; one that does not exist is noted as absent.
    fn save(&self, files: &BTreeSet<PathBuf>) -> Result<()> {
        let preparing = self.directory.with_extension("new");
        let failed = |path: &Path, e: std::io::Error| crate::Error::file(path, e);
        if preparing.exists() {
            std::fs::remove_dir_all(&preparing).map_err(|e| failed(&preparing, e))?;
        }
        std::fs::create_dir_all(&preparing).map_err(|e| failed(&preparing, e))?;
        let mut list = String::new();
        for (number, file) in files.iter().enumerate() {
            let original = inside(self.tree, file)?;
            let kind = if original.is_file() {
                let copy = preparing.join(number.to_string());
                std::fs::copy(&original, &copy).map_err(|e| failed(&original, e))?;
                let modified =
                    std::fs::metadata(&original).and_then(|m| m.modified()).map_err(|e| failed(&original, e))?;
                set_modified(&copy, modified)?;
                "was"
            } else {
                "absent"
            };
            list.push_str(&format!("{kind} {number} {}\n", file.display()));
        }
        let list_file = preparing.join("list");
        std::fs::write(&list_file, list).map_err(|e| failed(&list_file, e))?;
        std::fs::rename(&preparing, &self.directory).map_err(|e| failed(&self.directory, e))
    }

    /// Puts the files back, if there is anything to put back.
    fn restore(&self) -> Result<()> {
        let list_file = self.directory.join("list");
        let list = match std::fs::read_to_string(&list_file) {
            Ok(list) => list,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(crate::Error::file(&list_file, error)),
        };
        for line in list.lines() {
            let mut parts = line.splitn(3, ' ');
            let (Some(kind), Some(number), Some(file)) = (parts.next(), parts.next(), parts.next()) else { continue };
            let target = inside(self.tree, Path::new(file))?;
            if kind == "absent" {
                if target.exists() {
                    std::fs::remove_file(&target).map_err(|e| crate::Error::file(&target, e))?;
                }
                continue;
            }
            let copy = self.directory.join(number.parse::<u32>().unwrap_or_default().to_string());
            let modified =
                std::fs::metadata(&copy).and_then(|m| m.modified()).map_err(|e| crate::Error::file(&copy, e))?;
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent).map_err(|e| crate::Error::file(parent, e))?;
            }
            std::fs::copy(&copy, &target).map_err(|e| crate::Error::file(&target, e))?;
            set_modified(&target, modified)?;
        }
        self.forget()
    }

    fn forget(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.directory).map_err(|e| crate::Error::file(&self.directory, e))
    }
}

/// Sets a file's time, for make to see the file as it was.
pub(super) fn set_modified(path: &Path, modified: SystemTime) -> Result<()> {
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file| file.set_modified(modified))
        .map_err(|e| crate::Error::file(path, e))
}
