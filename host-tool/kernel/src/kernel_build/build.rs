//! The whole build, step by step.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::collect::{Collected, collect};
use super::fragment::Requests;
use super::make::{Done, Make, find_cross_compiler};
use super::patches::{self, Changed};
use super::reasons::Symbols;
use super::unpack::{STATE, source_tree};
use crate::Result;
use crate::kernel_build::Error;
use stoop_image::kconfig::Kconfig;
use stoop_image::progress::Progress;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Request {
    /// The source: an archive or a tree.
    pub source: PathBuf,
    /// The architecture, as the kernel names it.
    pub architecture: String,
    /// Big endian.
    pub is_big: bool,
    /// Configuration fragments; a later one wins.
    pub fragments: Vec<PathBuf>,
    /// What the fragments are put on.
    pub base: String,
    /// Patches, in order.
    pub patches: Vec<PathBuf>,
    /// Modules too.
    pub modules: bool,
    /// The compiler's prefix; found when not given.
    pub cross_compile: Option<String>,
    /// How many jobs at once.
    pub jobs: usize,
    /// Where the results go.
    pub out: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The kernel's release, `uname -r`.
    pub release: String,
    /// The tree it was built in.
    pub tree: PathBuf,
    /// The compiler's prefix.
    pub cross_compile: String,
    /// What was done to the patches.
    pub patches: Changed,
    /// Whether the configuration was made anew.
    pub configured: bool,
    /// What make did.
    pub done: Done,
    /// The results.
    pub collected: Collected,
    /// Requests that a later fragment overrode.
    pub overridden: Vec<String>,
    /// Bytes written to disk by this process and all it started, where the system counts them.
    pub bytes_written: Option<u64>,
    /// Seconds it took.
    pub seconds: f64,
}

/// Builds.
///
/// # Errors
/// No source or compiler, a fragment or patch that cannot be used, requested symbols that did not hold, a failed build.
/// The results of an earlier build stay as they were.
pub fn build(request: &Request, progress: &mut dyn Progress) -> Result<Outcome> {
    let started = Instant::now();
    let written_before = bytes_written();
    let mut requests = Requests::read(&request.fragments)?;
    ask_for_endianness(&mut requests, request);
    let cross_compile = match &request.cross_compile {
        Some(prefix) => prefix.clone(),
        None => find_cross_compiler(&request.architecture, request.is_big)?,
    };
    if !request.out.is_dir() {
        std::fs::create_dir(&request.out).map_err(|e| Error::NoOut { path: request.out.clone(), source: e })?;
    }
    let out = request.out.canonicalize().map_err(|e| crate::Error::file(&request.out, e))?;
    let source = source_tree(&request.source, &out, progress)?;
    let tree = source.directory;
    let state = tree.join(STATE);
    if std::fs::symlink_metadata(&state).is_ok_and(|state| state.is_symlink()) {
        return Err(Error::StateIsLink { path: state }.into());
    }
    std::fs::create_dir_all(&state).map_err(|e| crate::Error::file(&state, e))?;
    let _lock = lock(&state)?;
    let patches = patches::apply(&tree, &request.patches)?;
    let make = Make {
        tree: tree.clone(),
        architecture: request.architecture.clone(),
        cross_compile: cross_compile.clone(),
        jobs: request.jobs,
        log: out.join("build.log"),
    };
    let configured = configure(
        &make,
        request,
        &requests,
        patches != Changed { kept: patches.kept, ..Changed::default() },
        progress,
    )?;
    progress.step("build", None);
    let done = make.run(&targets(request, &tree)?, &[], progress)?;
    let release = make.ask("kernelrelease")?;
    let collected = collect(&tree, &request.architecture, &out, request.modules.then_some(release.as_str()))?;
    Ok(Outcome {
        release,
        tree,
        cross_compile,
        patches,
        configured,
        done,
        collected,
        overridden: requests.overridden,
        bytes_written: bytes_written().zip(written_before).map(|(after, before)| after.saturating_sub(before)),
        seconds: started.elapsed().as_secs_f64(),
    })
}

fn ask_for_endianness(requests: &mut Requests, request: &Request) {
    let (on, off) =
        if request.is_big { ("CPU_BIG_ENDIAN", "CPU_LITTLE_ENDIAN") } else { ("CPU_LITTLE_ENDIAN", "CPU_BIG_ENDIAN") };
    requests.set(on, "y", "--endian");
    requests.set(off, "n", "--endian");
}

/// Two builds in one tree would mix.
fn lock(state: &Path) -> Result<std::fs::File> {
    let path = state.join("lock");
    let file = std::fs::File::create(&path).map_err(|e| crate::Error::file(&path, e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(_) => Err(Error::Locked { path }.into()),
    }
}

/// Makes `.config` from the base and the fragments, unless it was made from the same before, and proves that every
/// requested symbol holds.
fn configure(
    make: &Make,
    request: &Request,
    requests: &Requests,
    patched: bool,
    progress: &mut dyn Progress,
) -> Result<bool> {
    let config_file = make.tree.join(".config");
    let record = make.tree.join(STATE).join("configured");
    let text = requests.text();
    let wanted = format!("{} {} {}\n{text}", request.architecture, request.base, make.cross_compile);
    let known = std::fs::read_to_string(&record).unwrap_or_default();
    let present = std::fs::read_to_string(&config_file).unwrap_or_default();
    let modified = std::fs::metadata(&config_file).and_then(|metadata| metadata.modified());
    let put_back = || -> Result<()> {
        std::fs::write(&config_file, &present).map_err(|e| crate::Error::file(&config_file, e))?;
        modified.as_ref().map_or(Ok(()), |modified| patches::set_modified(&config_file, *modified))
    };
    // The record ends with the configuration that came of it, so a change by hand is seen.
    if !patched && !present.is_empty() && known == format!("{wanted}\n{present}") {
        return Ok(false);
    }
    progress.step("configure", None);
    let merged = make.tree.join(STATE).join("merged.config");
    std::fs::write(&merged, &text).map_err(|e| crate::Error::file(&merged, e))?;
    let done = run_kconfig(make, request, &config_file, &merged, &text, progress).and_then(|()| {
        let config = Kconfig::read(&config_file)?;
        verify(make, requests, &config)
    });
    if let Err(failure) = done {
        // The tree is built for the earlier configuration, which therefore stays.
        if present.is_empty() {
            let _ = std::fs::remove_file(&config_file);
        } else {
            put_back()?;
        }
        return Err(failure);
    }
    let made = std::fs::read_to_string(&config_file).map_err(|e| crate::Error::file(&config_file, e))?;
    if made == present {
        put_back()?;
    }
    std::fs::write(&record, format!("{wanted}\n{made}")).map_err(|e| crate::Error::file(&record, e))?;
    Ok(true)
}

fn run_kconfig(
    make: &Make,
    request: &Request,
    config: &Path,
    merged: &Path,
    text: &str,
    progress: &mut dyn Progress,
) -> Result<()> {
    let write = |text: String| std::fs::write(config, text).map_err(|e| crate::Error::file(config, e));
    match request.base.as_str() {
        "defaults" => write(text.to_owned())?,
        "allnoconfig" => {
            let merged = merged.to_string_lossy();
            make.run(&["allnoconfig"], &[("KCONFIG_ALLCONFIG", &merged)], progress)?;
            return Ok(());
        }
        target => {
            make.run(&[target], &[], progress)?;
            let base = std::fs::read_to_string(config).map_err(|e| crate::Error::file(config, e))?;
            write(base + text)?;
        }
    }
    make.run(&["olddefconfig"], &[], progress).map(|_| ())
}

fn verify(make: &Make, requests: &Requests, config: &Kconfig) -> Result<()> {
    let symbols = Symbols::read(&make.tree, &make.architecture)?;
    let mut lost: Vec<String> = Vec::new();
    for (name, asked, got) in requests.not_held(config) {
        let why = symbols.explain(name, asked, config);
        lost.push(format!("\n  CONFIG_{name}={} ({}) became {got}: {why}", asked.value, asked.origin));
    }
    // A symbol that is asked to be off and does not exist is off, and still a mistake.
    for name in requests.names().filter(|name| !symbols.knows(name)) {
        if let Some(asked) = requests.get(name).filter(|asked| asked.value == "n" && asked.origin != "--endian") {
            let why = symbols.explain(name, asked, config);
            lost.push(format!("\n  CONFIG_{name} ({}): {why}", asked.origin));
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    Err(Error::SymbolsLost { lost }.into())
}

fn targets<'a>(request: &Request, tree: &Path) -> Result<Vec<&'a str>> {
    let config = Kconfig::read(&tree.join(".config"))?;
    let is_set = |name: &str| config.get(name) == stoop_image::kconfig::Value::Yes;
    let mut targets = vec!["vmlinux"];
    if request.architecture == "arm64" {
        targets.push("Image");
    }
    if request.architecture == "mips" && is_set("SYS_SUPPORTS_ZBOOT") {
        targets.push("vmlinuz");
    }
    if is_set("OF_EARLY_FLATTREE") && tree.join("arch").join(&request.architecture).join("boot/dts").is_dir() {
        targets.push("dtbs");
    }
    if request.modules {
        if !is_set("MODULES") {
            return Err(Error::NoModules.into());
        }
        targets.push("modules");
    }
    Ok(targets)
}

/// Bytes that this process and its finished children made the disks write (`/proc/self/io`).
fn bytes_written() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: ")?.parse().ok())
}
