//! The book's pictures, from data: the crates by cargo's own list, a boot by what `stoop` says of a real kernel.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use stoop_image::svg::{LETTER, Picture};
use stoop_samples::failure::{Failure, Result};

use crate::lab::{Endian, Flavour, Lab};
use crate::{repository, run};

fn json(command: &mut Command) -> Result<Value> {
    let text = run::output(command)?;
    serde_json::from_str(&text).map_err(|error| Failure::new(format!("no JSON: {error}")))
}

/// The workspace's packages, each above what it depends on.
pub(super) fn crates() -> Result<String> {
    let mut cargo = run::command("cargo");
    cargo.current_dir(repository()).args(["metadata", "--no-deps", "--offline", "--format-version", "1"]);
    let list = json(&mut cargo)?;
    let packages = list["packages"].as_array().map_or(&[][..], Vec::as_slice);
    let names: Vec<&str> = packages.iter().filter_map(|package| package["name"].as_str()).collect();
    let mut needs: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let all = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
        // What only tests need would draw arrows up.
        let needed = all.iter().filter(|each| each["kind"] != "dev").filter_map(|each| each["name"].as_str());
        let mut needed: Vec<&str> = needed.filter(|name| names.contains(name)).collect();
        needed.sort_unstable();
        needed.dedup();
        needs.insert(package["name"].as_str().unwrap_or_default(), needed);
    }
    Ok(graph(&needs))
}

/// How many packages are below this one at most.
fn rank(needs: &BTreeMap<&str, Vec<&str>>, name: &str) -> usize {
    needs.get(name).into_iter().flatten().map(|below| rank(needs, below) + 1).max().unwrap_or(0)
}

fn graph(needs: &BTreeMap<&str, Vec<&str>>) -> String {
    const WIDE: usize = 160;
    const TALL: usize = 34;
    const GAP: usize = 56;
    let mut rows: Vec<Vec<&str>> = Vec::new();
    for name in needs.keys() {
        let rank = rank(needs, name);
        rows.resize(rows.len().max(rank + 1), Vec::new());
        rows[rank].push(name);
    }
    // One by itself has its place at the end of the lowest row.
    let most = rows.iter().map(Vec::len).max().unwrap_or(1);
    let (width, height) = (most * (WIDE + 20) + 20, rows.len() * (TALL + GAP) - GAP + 40);
    let mut picture = Picture::default();
    let mut at = BTreeMap::new();
    for (rank, row) in rows.iter().enumerate() {
        let left = (width - row.len() * (WIDE + 20) + 20) / 2;
        for (column, name) in row.iter().enumerate() {
            at.insert(*name, [left + column * (WIDE + 20), height - 20 - TALL - rank * (TALL + GAP)]);
        }
    }
    for (name, needed) in needs {
        // A need of a need is not drawn: the arrows through it are there.
        let direct =
            needed.iter().filter(|below| !needed.iter().any(|other| other != *below && reaches(needs, other, below)));
        for below in direct {
            let ([x1, y1], [x2, y2]) = (at[name], at[below]);
            picture.arrow([x1 + WIDE / 2, y1 + TALL], [x2 + WIDE / 2, y2]);
        }
    }
    for (name, place) in &at {
        let class = match *name {
            "stoop" | "stoop-shim" => "stoop",
            name if name.starts_with("stoop-core") || name.starts_with("stoop-image") => "kernel",
            "stoop-kernel" | "stoop-lab" => "data",
            _ => "plain",
        };
        picture.labelled(class, *place, [WIDE, TALL], name);
    }
    picture.finish("The packages of the workspace; an arrow goes to what a package depends on")
}

fn reaches(needs: &BTreeMap<&str, Vec<&str>>, from: &str, to: &str) -> bool {
    needs.get(from).into_iter().flatten().any(|below| *below == to || reaches(needs, below, to))
}

/// `memory.svg`, `bootargs.svg` and `slots.svg`: the lab's kernel and root filesystem for QEMU's little-endian Malta.
pub(super) fn of_a_boot() -> Result<Vec<(&'static str, String)>> {
    let lab = Lab::open()?;
    let folder = tempfile::tempdir().map_err(|error| Failure::new(format!("no temporary folder: {error}")))?;
    let image = folder.path().join("image.bin");
    let mut pack = run::stoop();
    pack.args(["pack", "--board", "qemu-malta-le", "--kernel"]).arg(lab.vmlinux(Endian::Little, Flavour::Lab));
    pack.arg("--rootfs").arg(lab.squashfs(Endian::Little)).arg("-o").arg(&image);
    run::output(&mut pack)?;
    let simulate = |args: &str| json(run::stoop().arg("simulate").arg(&image).args(["--json", "--args", args]));
    let lines = ["console=ttyS0,38400 root=31:03", "liminix quiet"];
    let seen = lines.iter().map(|line| Ok((*line, simulate(line)?))).collect::<Result<Vec<_>>>()?;
    let memory = run::output(run::stoop().arg("inspect").arg(&image).arg("--svg"))?;
    let slots = run::output(run::stoop().args(["boards", "show", "qemu-malta-le", "--svg"]))?;
    Ok(vec![("memory.svg", memory), ("bootargs.svg", bootargs(&seen)), ("slots.svg", slots)])
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// For each line that a bootloader passes: what becomes of it.
fn bootargs(seen: &[(&str, Value)]) -> String {
    const TALL: usize = 30;
    let longest = seen.iter().map(|(_, value)| word(&value["cmdline"]).len()).max().unwrap_or_default();
    let wide = longest * LETTER + 24;
    let mut picture = Picture::default();
    for (row, (line, value)) in seen.iter().enumerate() {
        let y = 20 + row * 190;
        picture.text("small", [20, y + 10], "the bootloader passes");
        picture.labelled("kept", [20, y + 18], [wide, TALL], line);
        picture.arrow([wide / 2 + 20, y + 48], [wide / 2 + 20, y + 68]);
        picture.labelled("stoop", [20, y + 70], [wide, TALL], &format!("the shim: {}", word(&value["verdict"])));
        picture.arrow([wide / 2 + 20, y + 100], [wide / 2 + 20, y + 120]);
        picture.labelled("kernel", [20, y + 122], [wide, TALL], word(&value["cmdline"]));
        picture.text("small", [20, y + 168], "the kernel's command line");
    }
    picture.finish("The way of bootargs, without and with the cookie")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_stands_above_all_that_it_needs_and_a_need_of_a_need_has_no_arrow() {
        let needs = BTreeMap::from([("a", vec!["b", "c"]), ("b", vec!["c"]), ("c", vec![])]);
        assert_eq!(["a", "b", "c"].map(|name| rank(&needs, name)), [2, 1, 0]);
        assert_eq!(graph(&needs).matches("marker-end").count(), 2);
    }
}
