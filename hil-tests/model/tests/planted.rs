//! The tables of planted faults in `docs/proof.md`.

use std::path::Path;

use stoop_samples::failure::{Failure, Result};

/// The table under this heading of the page.
fn table(heading: &str) -> Result<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/proof.md");
    let text = std::fs::read_to_string(&page).map_err(|error| Failure::io(&page, &error))?;
    let behind = text.lines().skip_while(|line| line.trim_start_matches('#').trim() != heading).skip(1);
    let section = behind.take_while(|line| !line.starts_with('#'));
    Ok(section.filter(|line| line.starts_with('|')).map(|line| format!("{line}\n")).collect())
}

/// The table under `heading` is that of these faults, each with the words of the finding that is meant for it.
pub fn assert_documented<'a>(heading: &str, faults: impl Iterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let rows = faults.map(|(name, by)| format!("| {name} | {by} |\n"));
    let wanted: String = ["| fault | found as |\n|---|---|\n".to_owned()].into_iter().chain(rows).collect();
    assert_eq!(
        table(heading)?,
        wanted,
        "the table under \"{heading}\" in docs/proof.md; these lines belong there:\n{wanted}"
    );
    Ok(())
}
