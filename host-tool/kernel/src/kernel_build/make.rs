//! Runs the kernel's own make: the current file to the progress, everything to a log, the first error to the user.

use std::fs::File;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;
use crate::kernel_build::{Error, running};
use stoop_image::progress::Progress;

/// How make is called.
#[derive(Clone, Debug)]
pub struct Make {
    /// The tree.
    pub tree: PathBuf,
    /// `ARCH=`.
    pub architecture: String,
    /// `CROSS_COMPILE=`.
    pub cross_compile: String,
    /// `-j`.
    pub jobs: usize,
    /// Where the output of a build is kept.
    pub log: PathBuf,
}

/// What one call did.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Done {
    /// Files that were compiled, assembled, linked or generated.
    pub built: u64,
}

/// make's short names of steps that check or descend and build nothing.
const IDLE: [&str; 7] = ["CALL", "CHK", "SYNC", "DESCEND", "MKDIR", "CHECK", "DTC_CHK"];

impl Make {
    /// Builds targets.
    ///
    /// # Errors
    /// make is not installed or fails; the message has the first lines that say why.
    pub fn run(&self, targets: &[&str], environment: &[(&str, &str)], progress: &mut dyn Progress) -> Result<Done> {
        let mut log = File::create(&self.log).map_err(|e| crate::Error::file(&self.log, e))?;
        let mut command = self.command(targets, environment);
        let (reader, writer) = std::io::pipe().map_err(|e| Error::Pipe { source: e })?;
        let stderr = writer.try_clone().map_err(|e| Error::Pipe { source: e })?;
        command.stdout(writer).stderr(stderr);
        let mut child = running::begin(&mut command).map_err(not_installed)?;
        // The command holds the writing ends; the reader would never see the end with them open here.
        drop(command);
        let followed = self.follow(BufReader::new(reader), &mut log, progress);
        if followed.is_err() {
            running::stop();
        }
        let status = running::ended(|| child.wait()).map_err(|e| Error::Wait { source: e });
        let (done, errors) = followed?;
        let status = status?;
        if status.success() {
            return Ok(done);
        }
        Err(Error::Make {
            targets: targets.iter().map(|target| (*target).to_owned()).collect(),
            status,
            errors,
            log: self.log.clone(),
        }
        .into())
    }

    /// Reads its output to the end: what it did, and the first lines that say what is wrong.
    fn follow(&self, output: impl BufRead, log: &mut File, progress: &mut dyn Progress) -> Result<(Done, Vec<String>)> {
        let mut done = Done::default();
        let mut errors: Vec<String> = Vec::new();
        for line in output.split(b'\n') {
            let line = line.map_err(|e| Error::Output { source: e })?;
            let line = String::from_utf8_lossy(&line);
            writeln!(log, "{line}").map_err(|e| crate::Error::file(&self.log, e))?;
            if let Some(file) = current_file(&line) {
                done.built += 1;
                progress.at(done.built);
                progress.now(file);
            }
            let telling = [" error:", "error: ", "*** ", "undefined reference", ": not found"];
            if errors.len() < 12 && telling.iter().any(|mark| line.contains(mark)) {
                errors.push(format!("\n  {}", line.trim()));
            }
        }
        Ok((done, errors))
    }

    /// Asks make for one line of text, such as `kernelrelease`.
    ///
    /// # Errors
    /// make is not installed or fails.
    pub fn ask(&self, target: &str) -> Result<String> {
        let mut command = self.command(&["-s", target], &[]);
        let child = running::begin(command.stdout(Stdio::piped()).stderr(Stdio::piped())).map_err(not_installed)?;
        let output = running::ended(|| child.wait_with_output()).map_err(|e| Error::Wait { source: e })?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::Ask { target: target.to_owned(), said: said.trim().to_owned() }.into());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn command(&self, targets: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new("make");
        command
            .arg("-C")
            .arg(&self.tree)
            .arg(format!("-j{}", self.jobs))
            .arg(format!("ARCH={}", self.architecture))
            .arg(format!("CROSS_COMPILE={}", self.cross_compile))
            .args(targets)
            .stdin(Stdio::null())
            // The same source gives the same kernel: no time, user, host or count of builds in it.
            .env("KBUILD_BUILD_TIMESTAMP", "1970-01-01 00:00:00 UTC")
            .env("KBUILD_BUILD_USER", "stoop")
            .env("KBUILD_BUILD_HOST", "stoop")
            .env("KBUILD_BUILD_VERSION", "1")
            .env("LC_ALL", "C")
            .env_remove("MAKEFLAGS")
            .env_remove("KBUILD_OUTPUT")
            .envs(environment.iter().copied());
        command
    }
}

fn not_installed(source: std::io::Error) -> Error {
    Error::NoMake { source }
}

/// The file of a line like `  CC [M]  fs/squashfs/block.o`, when the line means work.
fn current_file(line: &str) -> Option<&str> {
    let line = line.strip_prefix("  ")?;
    let (step, rest) = line.split_once(' ')?;
    let is_step = step.len() > 1 && step.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
    if !is_step || IDLE.contains(&step) {
        return None;
    }
    let file = rest.trim_start().trim_start_matches("[M]").trim();
    (!file.is_empty()).then_some(file)
}

/// The prefix of a cross compiler for an architecture that is installed.
///
/// # Errors
/// None is found in the path.
pub fn find_cross_compiler(architecture: &str, is_big: bool) -> Result<String> {
    let (machine, package): (&[&str], &str) = match (architecture, is_big) {
        ("mips", true) => (&["mips", "mips64", "mips64r6"], "gcc-mips-linux-gnu"),
        ("mips", false) => (&["mipsel", "mips64el"], "gcc-mipsel-linux-gnu"),
        (_, true) => (&["aarch64_be", "aarch64"], "gcc-aarch64-linux-gnu"),
        (_, false) => (&["aarch64"], "gcc-aarch64-linux-gnu"),
    };
    let systems =
        ["linux-gnu", "unknown-linux-gnu", "linux-musl", "unknown-linux-musl", "openwrt-linux-musl", "linux-gnuabi64"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    for machine in machine {
        for system in systems {
            let prefix = format!("{machine}-{system}-");
            if directories.iter().any(|directory| is_program(&directory.join(format!("{prefix}gcc")))) {
                return Ok(prefix);
            }
        }
    }
    if architecture == "arm64" && !is_big && cfg!(target_arch = "aarch64") {
        return Ok(String::new());
    }
    Err(Error::NoCompiler { architecture: architecture.to_owned(), machine: machine[0], package }.into())
}

fn is_program(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_mean_work_name_a_file() {
        for (line, file) in [
            ("  CC      kernel/fork.o", Some("kernel/fork.o")),
            ("  CC [M]  fs/squashfs/block.o", Some("fs/squashfs/block.o")),
            ("  LD      vmlinux", Some("vmlinux")),
            ("  CALL    scripts/checksyscalls.sh", None),
            ("make: Entering directory", None),
            ("  mixed case", None),
        ] {
            assert_eq!(current_file(line), file, "{line}");
        }
    }
}
