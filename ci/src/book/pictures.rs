//! The book's pictures, from data: the crates by cargo's own list, a boot by what `stoop` says of a real kernel.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;
use stoop_image::{ErrorCode, Failure, Result};

use super::svg::{LETTER, Picture};
use crate::lab::{Endian, Flavour, Lab};
use crate::{repository, run};

fn json(command: &mut Command) -> Result<Value> {
    let text = run::output(command)?;
    serde_json::from_str(&text).map_err(|error| Failure::new(ErrorCode::Repository, format!("no JSON: {error}")))
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
    let mut picture = Picture::new(width, height);
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
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::new(ErrorCode::Repository, format!("no temporary folder: {error}")))?;
    let image = folder.path().join("image.bin");
    let stoop = || {
        let mut cargo = run::command("cargo");
        cargo.current_dir(repository()).args(["run", "--quiet", "--package", "stoop", "--"]);
        cargo
    };
    let mut pack = stoop();
    pack.args(["pack", "--board", "qemu-malta-le", "--json", "--kernel"])
        .arg(lab.vmlinux(Endian::Little, Flavour::Lab));
    pack.arg("--rootfs").arg(lab.squashfs(Endian::Little)).arg("-o").arg(&image);
    let packed = json(&mut pack)?;
    let simulate = |args: &str| json(stoop().arg("simulate").arg(&image).args(["--json", "--args", args]));
    let lines = ["console=ttyS0,38400 root=31:03", "liminix quiet"];
    let seen = lines.iter().map(|line| Ok((*line, simulate(line)?))).collect::<Result<Vec<_>>>()?;
    let board = json(stoop().args(["boards", "show", "qemu-malta-le", "--json"]))?;
    Ok(vec![("memory.svg", memory(&packed)), ("bootargs.svg", bootargs(&seen)), ("slots.svg", slots(&board))])
}

fn number(value: &Value) -> usize {
    value.as_u64().unwrap_or(0) as usize
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn class(name: &str) -> &'static str {
    match name {
        _ if name.contains("kernel") => "kernel",
        _ if name.contains("shim") || name.contains("image") => "stoop",
        _ if name.contains("rootfs")
            || name.contains("root file")
            || name.contains("initrd")
            || name.contains("dtb") =>
        {
            "data"
        }
        _ => "plain",
    }
}

/// A column for each phase of the boot; a region stands in those in which it holds something.
fn memory(packed: &Value) -> String {
    const LEFT: usize = 110;
    const COLUMN: usize = 190;
    const ROW: usize = 30;
    const TOP: usize = 50;
    let regions = packed["regions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut phases: Vec<&str> = Vec::new();
    for phase in regions.iter().flat_map(|region| region["when"].as_array().into_iter().flatten()) {
        if !phases.contains(&word(phase)) {
            phases.push(word(phase));
        }
    }
    let order = ["download", "shim", "handoff", "kernel"];
    phases.sort_by_key(|phase| order.iter().position(|known| known == phase));
    let mut picture = Picture::new(LEFT + phases.len() * COLUMN + 20, TOP + regions.len() * ROW + 30);
    for (column, phase) in phases.iter().enumerate() {
        picture.text("head", [LEFT + column * COLUMN + 8, 30], phase);
    }
    // The highest address on top. Not to scale.
    for (row, region) in regions.iter().rev().enumerate() {
        let (y, start) = (TOP + row * ROW, number(&region["start"]));
        picture.text("small", [8, y + 20], &format!("0x{start:08x}"));
        for (column, phase) in phases.iter().enumerate() {
            let held = region["when"].as_array().is_some_and(|when| when.iter().any(|when| word(when) == *phase));
            if held {
                let name = word(&region["name"]);
                let short: String = name.chars().take((COLUMN - 20) / LETTER).collect();
                picture.labelled(class(name), [LEFT + column * COLUMN, y], [COLUMN - 10, ROW - 4], &short);
            }
        }
    }
    let (kernel, size) = (word(&packed["kernel"]["version"]), number(&packed["size"]));
    let note = format!("{}, Linux {kernel}, image of {size} bytes; not to scale", word(&packed["board"]));
    picture.text("small", [8, TOP + regions.len() * ROW + 18], &note);
    picture.finish("What lies where in RAM, in each phase of a boot")
}

/// For each line that a bootloader passes: what becomes of it.
fn bootargs(seen: &[(&str, Value)]) -> String {
    const TALL: usize = 30;
    let longest = seen.iter().map(|(_, value)| word(&value["cmdline"]).len()).max().unwrap_or_default();
    let wide = longest * LETTER + 24;
    let mut picture = Picture::new(wide + 40, seen.len() * 190 + 20);
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

/// The flash map, with the slots.
fn slots(board: &Value) -> String {
    const LEFT: usize = 110;
    const WIDE: usize = 220;
    const ROW: usize = 34;
    let partitions = board["flash"]["partitions"].as_array().map_or(&[][..], Vec::as_slice);
    let mut picture = Picture::new(LEFT + WIDE + 330, partitions.len() * ROW + 30);
    for (row, partition) in partitions.iter().enumerate() {
        let y = 10 + row * ROW;
        let (role, protected) = (word(&partition["role"]), partition["protected"] == Value::Bool(true));
        let class = match role {
            _ if protected => "kept",
            "boot" => "stoop",
            "rootfs" => "data",
            "firmware" | "kernel" => "kernel",
            _ => "plain",
        };
        picture.text("small", [8, y + 20], &format!("0x{:08x}", number(&partition["offset"])));
        picture.labelled(class, [LEFT, y], [WIDE, ROW - 4], word(&partition["name"]));
        let slot = partition["slot"].as_str().map_or(String::new(), |slot| format!(", slot {slot}"));
        let never = if protected { ", never written" } else { "" };
        let note = format!("{role}{slot}, {} KiB{never}", number(&partition["size"]) / 1024);
        picture.text("small", [LEFT + WIDE + 12, y + 20], &note);
    }
    picture.finish("The flash of QEMU's Malta with two slots")
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
