//! `cargo deny`: whether the programs may be handed out with what they are made of, by `deny.toml`.

use std::path::Path;

use stoop_image::Result;

use crate::tools::Tool;
use crate::{repository, run};

/// Its build is too long for every first run of the tests: `cargo ci licences` makes it.
const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    // A check of a few seconds needs no optimised program.
    options: &["--debug", "--no-default-features"],
    minutes: 8,
};

/// Why it was skipped, if it was: cargo-deny is neither in the cache nor on the PATH.
///
/// # Errors
/// A crate has a licence that `deny.toml` does not allow, is banned, or comes from elsewhere than a registry.
pub fn check() -> Result<Option<String>> {
    let built = DENY.path()?;
    if built.exists() {
        return deny(&built).map(|()| None);
    }
    if run::output(run::command("cargo-deny").arg("--version")).is_ok() {
        return deny(Path::new("cargo-deny")).map(|()| None);
    }
    Ok(Some("licences: cargo-deny is not installed; `cargo ci licences` builds it into the cache".into()))
}

/// The same, and builds cargo-deny first when it is not in the cache.
///
/// # Errors
/// As for [`check`], or cargo-deny cannot be built.
pub fn install_and_check() -> Result<()> {
    deny(&DENY.install()?)
}

/// What is known about holes (advisories) is not asked for: that needs a database from the network.
fn deny(program: &Path) -> Result<()> {
    let mut deny = run::command(program);
    run::shown(deny.current_dir(repository()).args(["--offline", "check", "licenses", "bans", "sources"]))
}
