//! The bill of materials: every crate in the program, as CycloneDX 1.5 has it, from cargo's own list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stoop_samples::failure::{Failure, Result};

use crate::{repository, run};

/// The JSON text. `time` is that of the commit: a bill of the same commit is the same.
pub(super) fn cyclonedx(version: &str, time: u64) -> Result<String> {
    let mut cargo = run::command("cargo");
    cargo.current_dir(repository()).args(["metadata", "--locked", "--format-version", "1"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-musl"]);
    let list: Value = serde_json::from_str(&run::output(&mut cargo)?)
        .map_err(|error| Failure::new(format!("cargo metadata: {error}")))?;
    Ok(format!("{:#}\n", bill(&list, version, time)))
}

fn bill(list: &Value, version: &str, time: u64) -> Value {
    let array = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let packages: BTreeMap<String, Value> =
        array(&list["packages"]).into_iter().map(|package| (text(&package["id"]), package)).collect();
    let nodes: BTreeMap<String, Value> =
        array(&list["resolve"]["nodes"]).into_iter().map(|node| (text(&node["id"]), node)).collect();
    let root =
        packages.iter().find(|(_, package)| package["name"] == "stoop").map(|(id, _)| id.clone()).unwrap_or_default();
    // What runs: dependencies that are neither for tests nor for build scripts.
    let needs = |id: &str| -> Vec<String> {
        let all = array(nodes.get(id).map_or(&Value::Null, |node| &node["deps"]));
        let normal = all.iter().filter(|each| array(&each["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()));
        normal.map(|each| text(&each["pkg"])).collect()
    };
    let (mut found, mut open) = (BTreeSet::new(), vec![root.clone()]);
    while let Some(id) = open.pop() {
        if found.insert(id.clone()) {
            open.extend(needs(&id));
        }
    }
    let reference = |id: &str| packages.get(id).map(purl).unwrap_or_default();
    let mut components: Vec<Value> =
        found.iter().filter(|id| **id != root).filter_map(|id| packages.get(id)).map(component).collect();
    components.sort_by_key(|component| text(&component["bom-ref"]));
    let mut dependencies: Vec<Value> = found
        .iter()
        .map(|id| {
            let mut on: Vec<String> = needs(id).iter().map(|id| reference(id)).collect();
            on.sort();
            json!({"ref": reference(id), "dependsOn": on})
        })
        .collect();
    dependencies.sort_by_key(|dependency| text(&dependency["ref"]));
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": timestamp(time),
            "component": {"type": "application", "bom-ref": reference(&root), "name": "stoop", "version": version},
        },
        "components": components,
        "dependencies": dependencies,
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn purl(package: &Value) -> String {
    format!("pkg:cargo/{}@{}", text(&package["name"]), text(&package["version"]))
}

fn component(package: &Value) -> Value {
    // Older manifests have a slash, with and without blanks around it.
    let licence = text(&package["license"]).split('/').map(str::trim).collect::<Vec<_>>().join(" OR ");
    json!({
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        "purl": purl(package),
        "licenses": if licence.is_empty() { json!([]) } else { json!([{"expression": licence}]) },
    })
}

/// RFC 3339, of seconds since 1970 (the calendar by "days from civil", proleptic Gregorian).
pub(super) fn timestamp(time: u64) -> String {
    let (days, second) = (time / 86400 + 719_468, time % 86400);
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let (day, month) = (of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        // date -u -d @N +%FT%TZ
        for (time, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_692_645, "2026-11-26T11:30:45Z"),
        ] {
            assert_eq!(timestamp(time), text);
        }
    }

    #[test]
    fn the_bill_has_what_runs_and_not_what_only_tests_or_builds_need() {
        let dep = |pkg: &str, kind: Value| json!({"pkg": pkg, "dep_kinds": [{"kind": kind}]});
        let package = |name: &str| json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0"});
        let list = json!({
            "packages": [package("stoop"), package("used"), package("below"), package("tested"), package("cc")],
            "resolve": {"nodes": [
                {"id": "stoop", "deps": [dep("used", Value::Null), dep("tested", json!("dev")), dep("cc", json!("build"))]},
                {"id": "used", "deps": [dep("below", Value::Null)]},
            ]},
        });
        let bill = bill(&list, "1.0.0", 0);
        let names: Vec<_> = bill["components"].as_array().unwrap().iter().map(|each| text(&each["name"])).collect();
        assert_eq!(names, ["below", "used"]);
        assert_eq!(bill["components"][0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(bill["dependencies"][1]["dependsOn"], json!(["pkg:cargo/used@1.0.0"]));
    }
}
