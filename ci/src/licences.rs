//! `cargo deny`: whether the programs may be handed out with what they are made of, by `deny.toml`.

use stoop_image::Result;

use crate::{repository, run};

/// Why it was skipped, if it was. What is known about holes (advisories) is not asked for: that needs the network.
///
/// # Errors
/// A crate has a licence that `deny.toml` does not allow, is banned, or comes from elsewhere than a registry.
pub fn check() -> Result<Option<String>> {
    if run::output(run::command("cargo").args(["deny", "--version"])).is_err() {
        return Ok(Some("licences: cargo-deny is not installed; `cargo install --locked cargo-deny` does it".into()));
    }
    let mut deny = run::command("cargo");
    deny.current_dir(repository()).args(["deny", "--offline", "check", "licenses", "bans", "sources"]);
    run::shown(&mut deny).map(|()| None)
}
