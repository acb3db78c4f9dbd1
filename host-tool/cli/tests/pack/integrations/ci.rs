//! The CI recipes are YAML, and every line of them that calls `stoop` is a right command line; the job that packs is run.

use clap::Parser;
use stoop::command::Cli;
use yaml_rust2::{Yaml, YamlLoader};

use super::{command, done, has_payloads, recipes};
use crate::bench::{Bench, Kernel, squashfs};
use crate::documents::words;

fn read(name: &str) -> Yaml {
    let text = std::fs::read_to_string(recipes().join("ci").join(name)).unwrap();
    YamlLoader::load_from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}")).remove(0)
}

/// All text below `script` and `run`, by lines.
fn scripts(yaml: &Yaml, found: &mut Vec<String>) {
    match yaml {
        Yaml::Array(items) => items.iter().for_each(|item| scripts(item, found)),
        Yaml::Hash(map) => map.iter().for_each(|(key, value)| match (key.as_str(), value) {
            (Some("run"), Yaml::String(text)) => found.extend(text.lines().map(str::to_owned)),
            (Some("script"), Yaml::Array(lines)) => {
                found.extend(lines.iter().map(|line| line.as_str().unwrap().to_owned()));
            }
            (_, value) => scripts(value, found),
        }),
        _ => {}
    }
}

#[test]
fn every_stoop_line_of_the_ci_recipes_is_a_right_command_line() {
    for name in ["gitlab-ci.yml", "github.yml"] {
        let mut lines = Vec::new();
        scripts(&read(name), &mut lines);
        let stoop: Vec<&String> = lines.iter().filter(|line| line.starts_with("stoop ")).collect();
        assert_eq!(stoop.len(), 4, "{name}: {lines:?}");
        for line in stoop {
            let line = line.replace("$BOARD", "qemu-malta-le");
            Cli::try_parse_from(words(&line)).unwrap_or_else(|error| panic!("{name}: {line}: {error}"));
        }
    }
}

#[test]
fn the_job_that_packs_leaves_its_artifacts() {
    let bench = Bench::new();
    bench.put("vmlinux", &Kernel::new(false).elf());
    bench.put("root.squashfs", &squashfs(0x1_2345));
    let recipe = read("gitlab-ci.yml");
    let job = &recipe["pack"];
    for line in job["script"].as_vec().unwrap() {
        let mut shell = command("sh", &bench.path("."));
        shell.env("BOARD", recipe["variables"]["BOARD"].as_str().unwrap());
        done(&shell.args(["-euc", line.as_str().unwrap()]).output().unwrap());
    }
    for artifact in job["artifacts"]["paths"].as_vec().unwrap() {
        assert!(bench.path(artifact.as_str().unwrap()).exists(), "{artifact:?}");
    }
    has_payloads(&bench.path("image.bin"), &["kernel", "rootfs"]);
}
