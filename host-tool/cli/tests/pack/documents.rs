//! README and book: every block says what it is, every `stoop` line of a command block is a right command line, and the blocks that need
//! neither a board nor the lab are run, page by page, over files of the names that the pages use. `cargo ci transcript` runs those of the lab.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Parser;
use stoop::command::Cli;
use stoop_samples::pages::{self, Block, Runs};

use crate::bench::{Bench, CONFIG, Kernel, squashfs, tree};
use crate::integrations::command;

/// A command line's words without a shell: quotes hold words together, and what the shell would redirect is cut off.
pub fn words(line: &str) -> Vec<&str> {
    let line = line.split(" > ").next().unwrap_or(line);
    let words = line.split(['"', '\'']).enumerate().flat_map(|(at, part)| match at % 2 {
        1 => vec![part],
        _ => part.split_whitespace().collect(),
    });
    words.collect()
}

fn repository() -> PathBuf {
    let found =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("docs/SUMMARY.md").is_file());
    found.expect("the repository").to_owned()
}

/// Every page with its blocks.
fn documents() -> Vec<(PathBuf, Vec<Block>)> {
    let top = repository();
    let read = |page: PathBuf| {
        let text =
            std::fs::read_to_string(top.join(&page)).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let blocks = pages::blocks(&text);
        let blocks = blocks.unwrap_or_else(|it| panic!("{}:{}: {}", page.display(), it.line, it.fact));
        (page, blocks)
    };
    pages::pages(&top).unwrap().into_iter().map(read).collect()
}

/// What the pages' lines take.
fn files() -> Bench {
    let bench = Bench::new();
    let ath79 = Kernel { load: 0x8006_0000, ..Kernel::new(true) };
    bench.put("vmlinux", &ath79.elf());
    bench.put("vmlinux-le", &Kernel::new(false).elf());
    bench.put("kernel.config", CONFIG.as_bytes());
    bench.put("board.dtb", &tree(Some(b"console=ttyS0,115200")));
    bench.put("my.cpio.gz", b"070701 is what a cpio archive begins with");
    bench.put("root.squashfs", &squashfs(0x1_2345));
    bench.put("console.bin", b"stoop: E12 kernel crc 0x00000000 0x00000001\n");
    bench
}

#[test]
fn every_stoop_line_of_the_documents_is_a_right_command_line() {
    for (page, blocks) in documents() {
        for line in blocks.iter().flat_map(|block| &block.commands).filter(|line| line.starts_with("stoop ")) {
            Cli::try_parse_from(words(line)).unwrap_or_else(|error| panic!("{}: {line}\n{error}", page.display()));
        }
    }
}

#[test]
fn every_block_that_needs_no_lab_runs_and_those_that_nobody_runs_say_why() {
    let (mut run, mut lab, mut not) = (0, 0, BTreeMap::<String, usize>::new());
    for (page, blocks) in documents() {
        let bench = files();
        for block in blocks {
            let commands = block.commands.len();
            match block.runs {
                Runs::Lab => lab += commands,
                Runs::No(why) => *not.entry(why).or_default() += commands,
                Runs::Anywhere => {
                    run += commands;
                    let script = block.commands.join("\n");
                    // A page that begins with an image takes one like README's.
                    if script.contains("image.bin")
                        && !script.contains("-o image.bin")
                        && !bench.path("image.bin").exists()
                    {
                        let pack = "stoop pack --board gl-ar750 --kernel vmlinux --dtb board.dtb -o image.bin";
                        assert!(bench.stoop(&words(pack)[1..]).status.success());
                    }
                    let output = command("sh", &bench.path(".")).args(["-euxc", &script]).output().unwrap();
                    let text = [&output.stdout[..], &output.stderr].concat();
                    let text = String::from_utf8_lossy(&text);
                    assert!(output.status.success(), "{}:{}\n{text}", page.display(), block.line);
                }
            }
        }
    }
    eprintln!("commands: {run} run, {lab} are run by `cargo ci transcript`, not run: {not:?}");
    assert!(run >= 20, "only {run} commands were run");
}
