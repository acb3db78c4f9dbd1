//! What `--json` prints, held against `docs/schema/stoop.json`.

use serde_json::Value;

const SCHEMA: &str = include_str!("../../../../docs/schema/stoop.json");

/// A line of a verb that goes on for a while.
#[allow(dead_code, reason = "not every test binary runs such a verb")]
pub const LINE: &str = "stoop netboot, flash, run, monitor and kernel build, a line";

/// Checks a value by the entry of the schema that has this title.
///
/// # Panics
/// There is no such entry, or the value does not fit it.
#[track_caller]
pub fn check(title: &str, value: &Value) {
    let wrong: Vec<String> =
        of(title).iter_errors(value).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(wrong.is_empty(), "{title}: {wrong:#?}");
}

/// The check by one entry.
#[track_caller]
pub fn of(title: &str) -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let one = schema["anyOf"].as_array().unwrap().iter().find(|one| one["title"] == title);
    let mut one = one.unwrap_or_else(|| panic!("no {title} in the schema")).clone();
    one["$defs"] = schema["$defs"].clone();
    jsonschema::validator_for(&one).unwrap()
}
