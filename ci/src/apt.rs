//! Debian packages and sources of another architecture, without touching the system's own apt: a configuration and state
//! of our own, with the mirrors, proxies and credentials that the system has.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use stoop_samples::failure::{Failure, Result};

use crate::{cache, run};

/// The release that still has MIPS as a release architecture in 32 bit, and the U-Boot that the tests know.
const RELEASE: &str = "bookworm";

/// Where Debian keeps its archive keys; other systems have it from the package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// An apt of our own, in a folder that goes with it.
pub struct Apt {
    place: tempfile::TempDir,
}

impl Apt {
    /// Fetches the lists of `architecture` and of the sources.
    ///
    /// # Errors
    /// When the system's apt knows no Debian mirror, or the lists cannot be fetched.
    pub fn of(architecture: &str, cache: &Path) -> Result<Apt> {
        Apt::from(architecture, cache, false)
    }

    /// The same, with the newer kernels of the release's backports.
    ///
    /// # Errors
    /// As for [`Apt::of`].
    pub fn with_backports(architecture: &str, cache: &Path) -> Result<Apt> {
        Apt::from(architecture, cache, true)
    }

    fn from(architecture: &str, cache: &Path, backports: bool) -> Result<Apt> {
        cache::create_dir(cache)?;
        let place = tempfile::Builder::new().prefix(".apt-").tempdir_in(cache);
        let apt = Apt { place: place.map_err(|error| Failure::io(cache, &error))? };
        for folder in ["state/lists/partial", "cache/archives/partial"] {
            cache::create_dir(&apt.path(folder))?;
        }
        cache::write(&apt.path("status"), b"")?;
        let targets = run::output(run::command("apt-get").args([
            "indextargets",
            "--format",
            "$(SITE) $(RELEASE) $(COMPONENT)",
            "Created-By: Packages",
            "Origin: Debian",
        ]))?;
        let sources = sources(&targets, Path::new(KEYRING).exists(), backports);
        if sources.is_empty() {
            return Err(Failure::new("apt knows no Debian mirror").next("run `apt-get update` as root"));
        }
        cache::write(&apt.path("sources.list"), sources.as_bytes())?;
        let system = run::output(run::command("apt-config").arg("dump"))?;
        cache::write(&apt.path("apt.conf"), configuration(&system, apt.place.path(), architecture).as_bytes())?;
        run::logged(apt.command("apt-get").args(["-q", "update"]), &cache.join("log/apt-update"))?;
        Ok(apt)
    }

    /// The newest package whose name matches the regular expression `name`, downloaded into `folder`.
    ///
    /// # Errors
    /// When there is none, or the download fails.
    pub fn package(&self, name: &str, folder: &Path) -> Result<PathBuf> {
        let found = run::output(self.command("apt-cache").args(["search", "--names-only", name]))?;
        let newest = found.lines().filter_map(|line| line.split(' ').next()).max_by_key(|name| numbers(name));
        let newest = newest.ok_or_else(|| Failure::new(format!("{RELEASE} has no package that matches {name}")))?;
        let draft = tempfile::tempdir_in(self.place.path()).map_err(|error| Failure::io(folder, &error))?;
        let log = self.path("log");
        run::logged(self.command("apt-get").args(["-q", "download", newest]).current_dir(draft.path()), &log)?;
        let file = only_file(draft.path(), ".deb")?;
        let to = folder.join(file.file_name().unwrap_or_default());
        cache::create_dir(folder)?;
        std::fs::rename(&file, &to).map_err(|error| Failure::io(&to, &error))?;
        Ok(to)
    }

    /// These packages and all that they depend on, downloaded into `folder`.
    ///
    /// # Errors
    /// When there is one missing, or the download fails.
    pub fn packages(&self, names: &[&str], folder: &Path) -> Result<()> {
        // The empty status has nothing installed, so nothing of what they depend on is left out.
        let mut install = self.command("apt-get");
        install.args(["-q", "-y", "--download-only", "--no-install-recommends", "install"]).args(names);
        run::logged(&mut install, &self.path("log"))?;
        let archives = self.path("cache/archives");
        cache::folder(folder, |draft| {
            for file in files(&archives, ".deb")? {
                let to = draft.join(file.file_name().unwrap_or_default());
                std::fs::rename(&file, &to).map_err(|error| Failure::io(&to, &error))?;
            }
            Ok(())
        })
    }

    /// The files of a source package, downloaded into `folder`.
    ///
    /// # Errors
    /// When there is none, or the download fails.
    pub fn source(&self, name: &str, folder: &Path) -> Result<()> {
        let log = self.path("log");
        let get = ["-q", "source", "--download-only", "--only-source", name];
        run::logged(self.command("apt-get").args(get).current_dir(folder), &log)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = run::command(program);
        command.env("APT_CONFIG", self.path("apt.conf"));
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }
}

/// The one file of a folder with that ending.
///
/// # Errors
/// When there is none.
pub fn only_file(folder: &Path, ending: &str) -> Result<PathBuf> {
    let found = files(folder, ending)?.into_iter().next();
    found.ok_or_else(|| Failure::new(format!("{} has no file *{ending}", folder.display())))
}

/// The files of a folder with that ending, by name.
///
/// # Errors
/// When it cannot be read.
pub fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| Failure::io(folder, &error))?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    files.sort();
    Ok(files)
}

/// Lines for binaries and sources of the release, from lines `SITE RELEASE COMPONENT` of the system's own.
fn sources(targets: &str, keyring: bool, backports: bool) -> String {
    let option = if keyring { format!("[signed-by={KEYRING}] ") } else { String::new() };
    let mut lines: Vec<String> = Vec::new();
    for target in targets.lines() {
        let [site, release, component] = target.split(' ').collect::<Vec<_>>()[..] else { continue };
        // bookworm-security belongs to its own site, and so does trixie-security.
        let suffix = release.split_once(['-', '/']).map(|(_, suffix)| format!("-{suffix}")).unwrap_or_default();
        for kind in ["deb", "deb-src"] {
            let line = format!("{kind} {option}{site} {RELEASE}{suffix} {component}\n");
            let mut all = vec![line];
            // They are on the main site.
            if backports && suffix.is_empty() {
                all.push(format!("{kind} {option}{site} {RELEASE}-backports {component}\n"));
            }
            for line in all {
                if component == "main" && !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
    }
    lines.concat()
}

/// The system's configuration (proxies, timeouts, credentials) without its folders, its hooks (a container's delete every
/// downloaded archive, the desktop's index them) and its own architecture.
fn configuration(system: &str, place: &Path, architecture: &str) -> String {
    let dropped = ["Dir", "DPkg", "APT::Update", "APT::Architecture", "APT::NeverAutoRemove", "Acquire::IndexTargets"];
    let mut text: String = system
        .lines()
        .filter(|line| !dropped.iter().any(|name| line.starts_with(name)) && !line.contains("Invoke"))
        .flat_map(|line| [line, "\n"])
        .collect();
    for name in ["main", "parts", "sourceparts"] {
        let _ = writeln!(text, "Dir::Etc::{name} \"/dev/null\";");
    }
    let place = place.display();
    for (name, value) in [("Etc::sourcelist", "sources.list"), ("State", "state"), ("State::status", "status")] {
        let _ = writeln!(text, "Dir::{name} \"{place}/{value}\";");
    }
    let _ = writeln!(text, "Dir::Cache \"{place}/cache\";");
    let _ = writeln!(text, "APT::Architecture \"{architecture}\"; APT::Architectures \"{architecture}\";");
    let _ = writeln!(text, "APT::Sandbox::User \"root\"; Acquire::Retries \"3\"; Acquire::Languages \"none\";");
    text
}

/// The numbers in a name, to compare versions by.
fn numbers(name: &str) -> Vec<u32> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirrors_are_the_systems_and_the_release_is_ours() {
        let text = sources(
            "http://a/debian trixie main\nhttp://b/sec trixie-security main\nhttp://a/debian trixie contrib\n",
            false,
            false,
        );
        assert_eq!(
            text,
            "deb http://a/debian bookworm main\ndeb-src http://a/debian bookworm main\n\
             deb http://b/sec bookworm-security main\ndeb-src http://b/sec bookworm-security main\n"
        );
    }

    #[test]
    fn a_proxy_is_kept_and_a_hook_is_not() {
        let system =
            "Acquire::http::Proxy \"http://proxy:3142\";\nAPT::Update::Post-Invoke:: \"rm -f *\";\nDir \"/\";\n";
        let text = configuration(system, Path::new("/place"), "mipsel");
        assert!(text.contains("Proxy") && !text.contains("rm -f") && !text.contains("Dir \"/\""), "{text}");
        assert!(text.contains("APT::Architecture \"mipsel\""), "{text}");
    }

    #[test]
    fn the_newest_kernel_is_the_one_with_the_highest_numbers() {
        assert!(numbers("linux-image-6.1.0-100-mips32r2el") > numbers("linux-image-6.1.0-50-mips32r2el"));
    }
}
