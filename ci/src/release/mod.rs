//! What is handed out: static programs with man pages and completions in archives, a Debian package, a bill of materials,
//! checksums. The same commit and compilers make the same bytes.

mod archive;
mod musl;
mod sbom;
mod target;
mod version;

use std::path::{Path, PathBuf};

use stoop_samples::failure::{Failure, Result};

use crate::{cache, repository, run, toolchain};

pub use target::Target;
pub use version::set as version;

/// Makes everything for these machines in `folder`, and prints the checksums.
///
/// # Errors
/// A compiler or a package is missing, or a build fails.
pub fn make(targets: &[Target], folder: &Path) -> Result<()> {
    let version = version::current()?;
    let time = commit_time()?;
    let pages = pages(folder)?;
    let mut files = Vec::new();
    for target in targets {
        let program = build(*target)?;
        try_out(&program, *target, &version)?;
        let content = archive::Content { version: &version, time, program: &program, pages: pages.path() };
        files.push(archive::tar(&content, *target, folder)?);
        files.push(archive::deb(&content, *target, folder)?);
    }
    let bill = folder.join(format!("stoop-{version}.cdx.json"));
    cache::write(&bill, sbom::cyclonedx(&version, time)?.as_bytes())?;
    files.push(bill);
    let mut sums = String::new();
    for file in &files {
        let hash = cache::hex(&<sha2::Sha256 as sha2::Digest>::digest(cache::read(file)?));
        sums += &format!("{hash}  {}\n", file.file_name().unwrap_or_default().to_string_lossy());
    }
    cache::write(&folder.join("SHA256SUMS"), sums.as_bytes())?;
    print!("{sums}");
    Ok(())
}

/// Makes everything twice, the second time in another folder with nothing compiled yet, and compares.
///
/// # Errors
/// As for [`make`], and files that differ.
pub fn make_twice(targets: &[Target], folder: &Path) -> Result<()> {
    let second = folder.join("second");
    make(targets, folder)?;
    for target in targets {
        let place = place(*target);
        std::fs::remove_dir_all(&place).map_err(|error| Failure::io(&place, &error))?;
    }
    make(targets, &second)?;
    let [one, two] = [folder, &second].map(|folder| cache::read(&folder.join("SHA256SUMS")));
    if one? == two? {
        eprintln!("release: the same sums twice");
        return Ok(());
    }
    Err(Failure::new(format!("two builds differ: {} and {}", folder.display(), second.display())))
}

/// Where a machine's build lies.
fn place(target: Target) -> PathBuf {
    repository().join("target/release-musl").join(target.machine())
}

/// The program, statically linked.
fn build(target: Target) -> Result<PathBuf> {
    let linker = musl::compiler(target)?;
    let triple = target.triple();
    let name = triple.replace('-', "_");
    let place = place(target);
    let mut cargo = toolchain::command("cargo");
    cargo.current_dir(repository()).args(["build", "--profile", "dist", "--locked", "--package", "stoop"]);
    // rustup has ready-made libraries for these targets; built from source, one way serves everybody, as it does for the shim.
    cargo.args(["-Zbuild-std=std,panic_abort", "--target", &triple, "--target-dir"]).arg(&place);
    cargo.env(format!("CC_{name}"), &linker).env(format!("AR_{name}"), "ar");
    cargo.env(format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), &linker);
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags().join("\u{1f}"));
    run::step(&format!("release: building for {triple}"), || run::logged(&mut cargo, &place.join("build.log")))?;
    let program = place.join("stoop");
    // The linker leaves aarch64's symbols in, although it is told not to.
    run::output(run::command(target.strip()).arg("-o").arg(&program).arg(place.join(&triple).join("dist/stoop")))?;
    Ok(program)
}

/// Runs the program: it is what it says, and has its boards. That of another machine runs in QEMU's user mode, where that is installed.
fn try_out(program: &Path, target: Target, version: &str) -> Result<()> {
    let emulator = (std::env::consts::ARCH != target.machine()).then(|| format!("qemu-{}-static", target.machine()));
    if let Some(emulator) = &emulator
        && run::output(run::command(emulator).arg("--version")).is_err()
    {
        eprintln!("release: the program for {} was not tried: there is no {emulator}", target.machine());
        return Ok(());
    }
    let said = |words: &[&str]| {
        let mut command = match &emulator {
            Some(emulator) => {
                let mut command = run::command(emulator);
                command.arg(program);
                command
            }
            None => run::command(program),
        };
        run::output(command.args(words))
    };
    for (words, front) in [
        (&["--version"][..], format!("stoop {version}\n")),
        (&["boards", "show", "gl-ar750"], "board              gl-ar750\n".into()),
    ] {
        let said = said(words)?;
        if !said.starts_with(&front) {
            let fact = format!("the program for {} says {said:?} to {words:?}", target.machine());
            return Err(Failure::new(fact));
        }
    }
    Ok(())
}

/// Paths of this machine do not belong into the program: they would make two builds differ.
fn flags() -> Vec<String> {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")));
    let mut flags: Vec<String> = ["link-self-contained=no", "target-feature=+crt-static", "relocation-model=static"]
        .into_iter()
        .flat_map(|option| ["-C".to_owned(), option.to_owned()])
        .collect();
    flags.push(format!("--remap-path-prefix={}=/stoop", repository().display()));
    flags.extend(home.map(|home| format!("--remap-path-prefix={home}=/cargo")));
    flags
}

/// Man pages in `man1`, completions in `completions`, written by this machine's own build of the command.
fn pages(folder: &Path) -> Result<tempfile::TempDir> {
    cache::create_dir(folder)?;
    let place = tempfile::tempdir_in(folder).map_err(|error| Failure::io(folder, &error))?;
    let stoop = |words: &[&std::ffi::OsStr]| {
        let mut cargo = run::command("cargo");
        cargo.current_dir(repository()).args(["run", "--quiet", "--locked", "--package", "stoop", "--"]).args(words);
        run::output(&mut cargo)
    };
    let man = place.path().join("man1");
    cache::create_dir(&man)?;
    stoop(&["man".as_ref(), man.as_os_str()])?;
    for (shell, file) in [("bash", "stoop"), ("zsh", "_stoop"), ("fish", "stoop.fish")] {
        let script = stoop(&["completions".as_ref(), shell.as_ref()])?;
        cache::write(&place.path().join("completions").join(shell).join(file), script.as_bytes())?;
    }
    Ok(place)
}

/// When the commit was made, in seconds since 1970: the time of every file in an archive.
fn commit_time() -> Result<u64> {
    if let Some(told) = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.parse().ok()) {
        return Ok(told);
    }
    let mut git = run::command("git");
    let text = run::output(git.arg("-C").arg(repository()).args(["log", "-1", "--format=%ct"]))?;
    text.trim().parse().map_err(|_| Failure::new(format!("git says that the commit was made at {text:?}")))
}
