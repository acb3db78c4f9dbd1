//! The guide's path from Debian's kernel to a booted image, typed as `docs/start.md` has it.

use std::path::Path;

use clap::Parser;
use stoop::command::Cli;
use stoop_ci::lab::{DEBIAN_KERNELS, Endian};
use stoop_hil_tests::packed::lab;

/// The lines of the section "Without a board" that call stoop.
fn lines() -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/start.md");
    let text = std::fs::read_to_string(page).expect("the guide");
    let section = text.split("\n## ").find(|section| section.contains("Without a board")).expect("its section");
    section.lines().filter(|line| line.starts_with("stoop ")).map(str::to_owned).collect()
}

/// Words without a shell: quotes hold them together; files of the guide are those in `place`.
fn words(line: &str, place: &Path) -> Vec<String> {
    let parts = line.split('"').enumerate().flat_map(|(at, part)| match at % 2 {
        1 => vec![part],
        _ => part.split_whitespace().collect(),
    });
    let is_file = |word: &str| [".deb", ".gz", ".bin"].iter().any(|end| word.ends_with(end));
    parts.map(|word| if is_file(word) { place.join(word).display().to_string() } else { word.to_owned() }).collect()
}

#[test]
fn the_guides_commands_boot_debians_kernel_as_written() {
    let Some(lab) = lab().expect("the lab") else { return };
    let (place, lines) = (tempfile::tempdir().expect("a folder"), lines());
    let verbs: Vec<_> = lines.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(verbs, ["pack", "check", "simulate", "run"]);
    let name = lines[0].split(' ').find(|word| word.ends_with(".deb")).expect("a kernel's package");
    let kernel = lab.debian_kernel(DEBIAN_KERNELS[0]).expect("Debian's kernel");
    std::fs::copy(kernel, place.path().join(name)).expect("the kernel");
    std::fs::copy(lab.initramfs(Endian::Little), place.path().join("my.cpio.gz")).expect("the ramdisk");
    for line in &lines {
        let cli = Cli::try_parse_from(words(line, place.path())).unwrap_or_else(|error| panic!("{line}\n{error}"));
        cli.run().unwrap_or_else(|failure| panic!("{line}\n{failure}"));
    }
}
