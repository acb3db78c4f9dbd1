//! README and book: every `stoop` line of a command block is a right command line, and those that need neither a board nor
//! QEMU nor a kernel's source are run, page by page, over files of the names that the pages use.

use std::path::{Path, PathBuf};

use clap::Parser;
use stoop::command::Cli;

use crate::bench::{Bench, CONFIG, Kernel, squashfs, tree};
use crate::integrations::command;

/// A command line's words without a shell: quotes hold words together, and what the shell would redirect is cut off.
pub fn words(line: &str) -> Vec<&str> {
    let line = line.split(" > ").next().unwrap_or(line);
    let words = line.split('"').enumerate().flat_map(|(at, part)| match at % 2 {
        1 => vec![part],
        _ => part.split_whitespace().collect(),
    });
    words.collect()
}

/// Not run here: they want QEMU with a bootloader, a board, a serial port, or a kernel's source and modules.
fn is_only_read(words: &[&str]) -> bool {
    let verbs = ["run", "monitor", "netboot", "flash", "power", "kernel", "modules"];
    verbs.contains(&words[1]) || words.contains(&"--modules")
}

fn repository() -> PathBuf {
    let found =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("docs/SUMMARY.md").is_file());
    found.expect("the repository").to_owned()
}

/// README and the book's pages.
fn pages() -> Vec<PathBuf> {
    let docs = repository().join("docs");
    let summary = std::fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let links = summary.lines().filter_map(|line| line.split_once("](")?.1.split_once(')'));
    let mut pages: Vec<PathBuf> = links.map(|(link, _)| docs.join(link)).collect();
    pages.push(repository().join("README.md"));
    pages
}

/// The lines of its blocks marked `sh` that call stoop.
fn lines(page: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).filter(|line| line.starts_with("stoop ")).map(str::to_owned).collect()
}

/// What the pages' lines take.
fn files() -> Bench {
    let bench = Bench::new();
    let ath79 = Kernel { load: 0x8006_0000, ..Kernel::new(true) };
    bench.put("vmlinux", &ath79.elf());
    for little in ["vmlinux-le", "linux-image-6.1.0-50-mips32r2el_6.1.176-1_mipsel.deb"] {
        bench.put(little, &Kernel::new(false).elf());
    }
    bench.put("kernel.config", CONFIG.as_bytes());
    bench.put("board.dtb", &tree(Some(b"console=ttyS0,115200")));
    bench.put("my.cpio.gz", b"070701 is what a cpio archive begins with");
    bench.put("root.squashfs", &squashfs(0x1_2345));
    std::fs::create_dir(bench.path("man1")).unwrap();
    bench
}

#[test]
fn every_command_of_the_documents_is_right_and_what_can_run_here_runs() {
    let mut run = 0;
    for page in pages() {
        let bench = files();
        // A page that begins with an image takes the one of README.
        let mut has_image = false;
        for line in lines(&page) {
            let said = words(&line);
            let at = format!("{}: {line}", page.display());
            Cli::try_parse_from(&said).unwrap_or_else(|error| panic!("{at}\n{error}"));
            if is_only_read(&said) {
                continue;
            }
            if said.contains(&"image.bin") && !has_image {
                has_image = true;
                if !said.contains(&"-o") {
                    let pack = "stoop pack --board gl-ar750 --kernel vmlinux --dtb board.dtb -o image.bin";
                    assert!(bench.stoop(&words(pack)[1..]).status.success());
                }
            }
            let output = command("sh", &bench.path(".")).args(["-euc", &line]).output().unwrap();
            let text = [&output.stdout[..], &output.stderr].concat();
            assert!(output.status.success(), "{at}\n{}", String::from_utf8_lossy(&text));
            run += 1;
        }
    }
    assert!(run >= 20, "only {run} lines were run");
}
