//! The version of all crates, in one place of `Cargo.toml`, and the changes under it.

use std::time::{SystemTime, UNIX_EPOCH};

use stoop_samples::failure::{Failure, Result};

use super::sbom::timestamp;
use crate::{cache, repository};

const UNRELEASED: &str = "## Unreleased\n";

/// The workspace's version.
pub(super) fn current() -> Result<String> {
    let text = read("Cargo.toml")?;
    let manifest: toml::Value = toml::from_str(&text).map_err(|error| Failure::new(format!("Cargo.toml: {error}")))?;
    let version = manifest.get("workspace").and_then(|it| it.get("package")?.get("version")?.as_str());
    version.map(str::to_owned).ok_or_else(|| Failure::new("Cargo.toml names no workspace.package.version"))
}

/// Gives every crate this version, in `Cargo.toml`, and puts it with today's date over what CHANGELOG.md has under "Unreleased".
///
/// # Errors
/// It is no version, or CHANGELOG.md has no "Unreleased".
pub fn set(version: &str) -> Result<()> {
    let numbers: Vec<&str> = version.split('.').collect();
    if numbers.len() != 3 || numbers.iter().any(|number| number.parse::<u32>().is_err()) {
        return Err(Failure::usage(format!("{version:?} is no version")).next("give three numbers, as 0.2.0"));
    }
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let manifest = manifest(&read("Cargo.toml")?, &current()?, version);
    let changes = changes(&read("CHANGELOG.md")?, version, &timestamp(seconds)[..10])?;
    cache::write(&repository().join("Cargo.toml"), manifest.as_bytes())?;
    cache::write(&repository().join("CHANGELOG.md"), changes.as_bytes())
}

/// The manifest with the new version, where it stands for the workspace and for the crates that depend on one another.
fn manifest(text: &str, old: &str, new: &str) -> String {
    let mut section = "";
    let lines = text.lines().map(|line| {
        if line.starts_with('[') {
            section = line;
        }
        let own = section == "[workspace.package]" && line.starts_with("version = ")
            || section == "[workspace.dependencies]" && line.starts_with("stoop");
        let line = if own {
            line.replace(&format!("version = \"{old}\""), &format!("version = \"{new}\""))
        } else {
            line.to_owned()
        };
        line + "\n"
    });
    lines.collect()
}

fn changes(text: &str, version: &str, date: &str) -> Result<String> {
    if !text.contains(UNRELEASED) {
        return Err(Failure::new("CHANGELOG.md has no section \"Unreleased\"").next("add one, with what has changed"));
    }
    Ok(text.replacen(UNRELEASED, &format!("{UNRELEASED}\n## {version}, {date}\n"), 1))
}

fn read(name: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(&cache::read(&repository().join(name))?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_versions_change() {
        let text = "[workspace.package]\nversion = \"0.1.0\"\n[workspace.dependencies]\n\
            stoop-core = { path = \"x\", version = \"0.1.0\" }\nother = { version = \"0.1.0\" }\n";
        let new = manifest(text, "0.1.0", "0.2.0");
        assert_eq!(new.matches("0.2.0").count(), 2);
        assert!(new.contains("other = { version = \"0.1.0\" }"));
    }

    #[test]
    fn what_was_unreleased_is_under_the_version_and_a_new_section_is_empty() {
        let new = changes("# C\n\n## Unreleased\n\n- a\n", "0.2.0", "2026-12-01").unwrap();
        assert_eq!(new, "# C\n\n## Unreleased\n\n## 0.2.0, 2026-12-01\n\n- a\n");
        assert!(changes("# C\n", "0.2.0", "x").is_err());
    }
}
