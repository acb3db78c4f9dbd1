//! `cargo deny`: whether the programs may be handed out with what they are made of, by `deny.toml`.

use stoop_samples::failure::Result;

use crate::tools::Tool;
use crate::{repository, run};

/// Without what fetches advisories.
const DENY: Tool = Tool { name: "cargo-deny", version: "0.20.2", options: &["--no-default-features"], minutes: 1 };

/// Checks licences, bans and sources of all crates. What is known about holes (advisories) is not asked for: that needs a database
/// from the network.
///
/// # Errors
/// cargo-deny is not there and cannot be built; or a crate has a licence that `deny.toml` does not allow, is banned, or comes from
/// elsewhere than a registry.
pub fn check() -> Result<()> {
    let mut deny = run::command(DENY.install()?);
    run::shown(deny.current_dir(repository()).args(["--locked", "check", "licenses", "bans", "sources"]))
}
